//! `compare`: coregate beside nginx, HAProxy, Envoy and the floor, in interleaved rounds.
//!
//! Each proxy runs alone on one CPU, the load and the origin on another. It prints a table, writes
//! it with all samples to a dated pair of files, and with `--bars` says whether the bars hold.
#![allow(clippy::print_stdout, clippy::print_stderr)] // A program: its user reads the terminal.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{fs, io};

use clap::Parser;
use coregate_perf::folder::Folder;
use coregate_perf::peers::{self, Choice, Kind, Peer, Place};
use coregate_perf::point::{self, Bench, Launch, Stop};
use coregate_perf::report::{self, Row, Sample, Verdict};
use coregate_perf::{machine, sock};
use serde_json::{Value, json};

const BODY_BYTES: usize = 128;
/// Enough for 2,000 connections on both sides of a proxy, and to spare.
const OPEN_FILES_MIN: u64 = 8192;

/// Compares proxies on this machine: one CPU for the proxy, one for the load and the origin.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Which peers: coregate (or the names given with --coregate), nginx, haproxy, envoy, floor.
    /// Without it, all that are found.
    #[arg(long, value_delimiter = ',')]
    peers: Option<Vec<String>>,
    /// Connections of the load.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 512, 2000],
          value_parser = clap::value_parser!(u32).range(1..=3000))]
    connections: Vec<u32>,
    /// Rounds; in each, every peer has its turn at every number of connections.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of a point.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Seconds of load before each point that do not count.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=60))]
    warmup: u64,
    /// A build of coregate, PATH or NAME=PATH; may be repeated to compare builds.
    #[arg(long, value_name = "NAME=PATH")]
    coregate: Vec<String>,
    /// The envoy program, where it is not on the search path.
    #[arg(long, value_name = "PATH")]
    envoy: Option<PathBuf>,
    /// The CPU of the proxy.
    #[arg(long, default_value_t = 0)]
    proxy_cpu: usize,
    /// The CPU of the load and the origin.
    #[arg(long, default_value_t = 1)]
    load_cpu: usize,
    /// The first peer listens here, the next ones after it, the origin 1,000 ports above each.
    #[arg(long, default_value_t = 18080, value_parser = clap::value_parser!(u16).range(1024..=60_000))]
    base_port: u16,
    /// Check the bars; the exit code is 1 where one does not hold.
    #[arg(long)]
    bars: bool,
    /// Where the dated files go.
    #[arg(long, default_value = "perf/results")]
    results: PathBuf,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether the bars hold, where they were asked for.
fn run(args: &Args) -> io::Result<bool> {
    let stop = Stop::on_signals()?;
    if sock::raise_open_files()? < OPEN_FILES_MIN {
        return Err(io::Error::other(format!(
            "open files: at least {OPEN_FILES_MIN} (ulimit -Hn)"
        )));
    }
    if args.proxy_cpu == args.load_cpu {
        return Err(io::Error::other("the proxy and the load need a CPU each"));
    }
    fs::create_dir_all(&args.results)?;
    // Tried here for a clear message. Then: what this program does itself must not disturb the
    // proxy.
    sock::pin(args.proxy_cpu)?;
    sock::pin(args.load_cpu)?;
    let wrk = peers::find("wrk").ok_or_else(|| io::Error::other("wrk: not found"))?;
    let peers = peers::choose(&Choice {
        wanted: args.peers.as_deref(),
        coregate: &args.coregate,
        envoy: args.envoy.as_deref(),
        kinds: &Kind::ALL,
    })?;
    let folder = Folder::new("compare")?;
    let place = |index| Place::new(folder.path(), index, args.base_port, args.proxy_cpu);
    let places: Vec<Place> = (0..peers.len()).map(place).collect();

    let origin_command = origin_command(&places)?;
    let origin_shown = peers::shown(&origin_command);
    let log = folder.path().join("origin.log");
    let at = places.first().ok_or_else(|| io::Error::other("no peers"))?.origin;
    let launch = Launch { command: origin_command, at, cpus: &[args.load_cpu], log: &log };
    let origin = point::start(launch, BODY_BYTES, &stop)?;
    let bench = Bench {
        wrk: &wrk,
        origin: origin.pid(),
        load_cpu: args.load_cpu,
        seconds: args.seconds,
        warmup: args.warmup,
        body: BODY_BYTES,
        stop: &stop,
    };

    let samples = measure_all(args, &bench, &peers, &places)?;
    drop(origin);
    let rows = report::rows(&samples);
    let verdicts = if args.bars { report::verdicts(&rows) } else { Vec::new() };
    let setup = setup(args, &peers, &places, &origin_shown, &wrk)?;
    publish(args, &setup, &samples, &rows, &verdicts)?;
    Ok(verdicts.iter().all(|verdict| verdict.passed))
}

fn measure_all(
    args: &Args,
    bench: &Bench<'_>,
    peers: &[Peer],
    places: &[Place],
) -> io::Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for round in 0..args.rounds {
        for &connections in &args.connections {
            for turn in 0..peers.len() {
                // Each round begins with another peer.
                let index = (turn + round as usize) % peers.len();
                let (peer, place) = (&peers[index], &places[index]);
                let point = point::measure(bench, peer, place, connections)?;
                eprintln!(
                    "round {}/{} {:>5} {:<12} {:>7.0} req/s  proxy {:>5.1} µs  both {:>5.1} µs",
                    round + 1,
                    args.rounds,
                    connections,
                    peer.name,
                    point.rate(),
                    point.proxy_us,
                    point.both_us,
                );
                let (peer, kind) = (peer.name.clone(), peer.kind);
                samples.push(Sample { peer, kind, connections, round: round + 1, point });
            }
        }
    }
    Ok(samples)
}

fn origin_command(places: &[Place]) -> io::Result<Command> {
    let program = peers::sibling("origin").ok_or_else(|| {
        io::Error::other("origin: not built; try cargo build --release -p coregate-perf")
    })?;
    let listen: Vec<String> = places.iter().map(|place| place.origin.to_string()).collect();
    let mut command = Command::new(program);
    command.args(["--body", &BODY_BYTES.to_string(), "--listen", &listen.join(",")]);
    Ok(command)
}

/// What was measured with what: everything a reader needs to do it again.
fn setup(
    args: &Args,
    peers: &[Peer],
    places: &[Place],
    origin: &str,
    wrk: &Path,
) -> io::Result<Value> {
    let mut described = Vec::new();
    for (peer, place) in peers.iter().zip(places) {
        let command = peers::shown(&peer.command(place)?);
        described.push(json!({ "name": peer.name, "version": peer.version, "command": command }));
    }
    let wrk_args = point::wrk_args(0, args.seconds).join(" ").replace("-c0", "-cN");
    Ok(json!({
        "date": machine::now(),
        "commit": machine::commit(),
        "kernel": machine::kernel(),
        "cpu": machine::cpu_model(),
        "cpus": machine::cpus(),
        "rounds": args.rounds,
        "seconds": args.seconds,
        "warmup_seconds": args.warmup,
        "body_bytes": BODY_BYTES,
        "proxy_cpu": args.proxy_cpu,
        "load_cpu": args.load_cpu,
        "peers": described,
        "origin": origin,
        "load": format!("wrk {wrk_args} http://127.0.0.1:PORT/"),
        "load_version": peers::version_of(wrk, "-v"),
    }))
}

fn publish(
    args: &Args,
    setup: &Value,
    samples: &[Sample],
    rows: &[Row],
    verdicts: &[Verdict],
) -> io::Result<()> {
    let text = |key: &str| setup[key].as_str().unwrap_or_default().to_owned();
    let table = report::table(rows);
    let mut page = format!(
        "# Comparison of {}\n\ncommit {} · Linux {} · {} · {} CPUs\n\n{table}\n",
        text("date"),
        text("commit"),
        text("kernel"),
        text("cpu"),
        setup["cpus"],
    );
    page += &format!(
        "Medians of {} rounds of {} s; CPU is µs a request, `both cores` of proxy, load and origin.\n\n",
        args.rounds, args.seconds
    );
    for peer in setup["peers"].as_array().into_iter().flatten() {
        let of = |key: &str| peer[key].as_str().unwrap_or_default();
        page += &format!("- {}: {}: `{}`\n", of("name"), of("version"), of("command"));
    }
    page += &format!("- origin: `{}`\n", text("origin"));
    page += &format!("- load: {}: `{}`\n", text("load_version"), text("load"));
    let verdict_lines: Vec<String> = verdicts
        .iter()
        .map(|verdict| format!("{} {}", if verdict.passed { "PASS" } else { "FAIL" }, verdict.text))
        .collect();
    if !verdict_lines.is_empty() {
        page += &format!("\n{}\n", verdict_lines.join("\n\n"));
    }

    println!("\n{table}");
    verdict_lines.iter().for_each(|line| println!("{line}"));
    let stamp: String = text("date").chars().filter(|c| *c != ':').collect();
    let path = args.results.join(format!("{stamp}-compare"));
    let mut whole = report::json(samples, rows, verdicts);
    whole["setup"] = setup.clone();
    fs::write(path.with_extension("md"), page)?;
    fs::write(path.with_extension("json"), format!("{whole:#}\n"))?;
    println!("\n{0}.md and {0}.json", path.display());
    Ok(())
}
