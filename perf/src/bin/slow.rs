//! `slow`: thousands of slow clients against coregate, nginx and HAProxy, in turns.
//!
//! What a slow connection costs in memory, how polite clients fare meanwhile, and whether all slow
//! ones are shed once their deadline has come. It prints its lines as it goes, writes them to a
//! dated file, and with `--bars` says whether the bars hold.
#![allow(clippy::print_stdout, clippy::print_stderr)] // A program: its user reads the terminal.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;
use std::{fs, io};

use clap::Parser;
use coregate_perf::folder::Folder;
use coregate_perf::peers::{self, Choice, Peer, Place};
use coregate_perf::point::{self, Launch, Stop};
use coregate_perf::slow::Counts;
use coregate_perf::slow::phase::{self, Phase, Setting};
use coregate_perf::slow::report::{self, Sample};
use coregate_perf::slow::servers::{self, Purpose};
use coregate_perf::{machine, sock};

const BODY_BYTES: usize = 128;
/// SO_SNDBUF of the origin, bytes: with more, the kernel would hold the answers that nobody takes.
const ORIGIN_SEND_BUFFER: usize = 32 * 1024;
/// Descriptors beside those of the slow connections.
const OPEN_FILES_SPARE: u64 = 1024;

/// Holds proxies with slow clients: one CPU for the proxy, one for everything else.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Which peers: coregate (or the names given with --coregate), nginx, haproxy. Without it, all that are found.
    #[arg(long, value_delimiter = ',')]
    peers: Option<Vec<String>>,
    /// A build of coregate, PATH or NAME=PATH; may be repeated to compare builds.
    #[arg(long, value_name = "NAME=PATH")]
    coregate: Vec<String>,
    /// Slow heads.
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u16).range(..=9000))]
    head: u16,
    /// Slow bodies.
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u16).range(..=9000))]
    body: u16,
    /// Slow readers.
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u16).range(..=9000))]
    read: u16,
    /// Seconds between two bytes of a slow client.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    every: u64,
    /// Seconds of polite requests beside the slow clients that hang.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(3..=60))]
    seconds: u64,
    /// Seconds of the deadline that no client is to reach.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(60..=600))]
    hang: u64,
    /// Seconds of the deadline within which all are to be shed; 0 leaves that out. coregate's least rate of a body
    /// begins to count after 10.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=60))]
    deadline: u64,
    /// Polite requests a second.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// Polite connections.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    polite: u32,
    /// Rounds; in each, every peer has its turn at every phase.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// The CPU of the proxy.
    #[arg(long, default_value_t = 0)]
    proxy_cpu: usize,
    /// The CPU of the load and the origin.
    #[arg(long, default_value_t = 1)]
    load_cpu: usize,
    /// The first peer listens here, the next ones after it, the origin 1,000 ports above each.
    #[arg(long, default_value_t = 18180, value_parser = clap::value_parser!(u16).range(1024..=60_000))]
    base_port: u16,
    /// Check the bars; the exit code is 1 where one does not hold.
    #[arg(long)]
    bars: bool,
    /// Where the dated file goes.
    #[arg(long, default_value = "perf/results")]
    results: PathBuf,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("slow: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether the bars hold, where they were asked for.
fn run(args: &Args) -> io::Result<bool> {
    let stop = Stop::on_signals()?;
    let counts = Counts { head: args.head.into(), body: args.body.into(), read: args.read.into() };
    if counts.total() == 0 {
        return Err(io::Error::other("no slow clients: expected --head, --body or --read above 0"));
    }
    // A proxy has a client and an instance for each; the peers take this program's limit over.
    let files = 2 * counts.total() as u64 + 2 * u64::from(args.polite) + OPEN_FILES_SPARE;
    if sock::raise_open_files_to(files)? < files {
        return Err(io::Error::other(format!("open files: at least {files} (ulimit -Hn)")));
    }
    if args.proxy_cpu == args.load_cpu {
        return Err(io::Error::other("the proxy and the load need a CPU each"));
    }
    fs::create_dir_all(&args.results)?;
    // Tried here for a clear message; from here on this program is the load.
    sock::pin(args.proxy_cpu)?;
    sock::pin(args.load_cpu)?;
    let load = peers::sibling("load").ok_or_else(|| not_built("load"))?;
    let peers = peers::choose(&Choice {
        wanted: args.peers.as_deref(),
        coregate: &args.coregate,
        envoy: None,
        kinds: &servers::KINDS,
    })?;
    let folder = Folder::new("slow")?;
    let place = |index| Place::new(folder.path(), index, args.base_port, args.proxy_cpu);
    let places: Vec<Place> = (0..peers.len()).map(place).collect();

    let at = places.first().ok_or_else(|| io::Error::other("no peers"))?.origin;
    let log = folder.path().join("origin.log");
    let command = origin_command(&places)?;
    let launch = Launch { command, at, cpus: &[args.load_cpu], log: &log };
    let origin = point::start(launch, BODY_BYTES, &stop)?;
    let setting = Setting {
        load: &load,
        origin: origin.pid(),
        load_cpu: args.load_cpu,
        rate: args.rate,
        polite: args.polite,
        body: BODY_BYTES,
        every: Duration::from_secs(args.every),
        stop: &stop,
    };

    let date = machine::now();
    let mut page = setup(args, &date, &peers, counts);
    print!("{page}");
    let samples = measure_all(args, &setting, &peers, &places, counts, &mut page)?;
    drop(origin);
    let verdicts = match args.bars {
        true => report::verdicts(&samples, counts, args.deadline),
        false => Vec::new(),
    };
    if let Some(note) = report::disturbance(&samples) {
        println!("{note}");
        page += &format!("{note}\n");
    }
    for verdict in &verdicts {
        let line = format!("{} {}\n", if verdict.passed { "PASS" } else { "FAIL" }, verdict.text);
        print!("{line}");
        page += &line;
    }
    publish(&args.results, &date, &page)?;
    Ok(verdicts.iter().all(|verdict| verdict.passed))
}

fn measure_all(
    args: &Args,
    setting: &Setting<'_>,
    peers: &[Peer],
    places: &[Place],
    counts: Counts,
    page: &mut String,
) -> io::Result<Vec<Sample>> {
    let hang = |(name, counts)| Phase {
        name,
        counts,
        deadline: Duration::from_secs(args.hang),
        purpose: Purpose::Hang,
        seconds: args.seconds,
    };
    let mut phases: Vec<Phase> = counts.split().into_iter().map(hang).collect();
    if args.deadline > 0 {
        phases.push(Phase {
            name: "shed",
            counts,
            deadline: Duration::from_secs(args.deadline),
            purpose: Purpose::Shed,
            seconds: args.deadline + 1,
        });
    }
    let mut samples = Vec::new();
    for round in 0..args.rounds as usize {
        for phase in &phases {
            for turn in 0..peers.len() {
                // Each round begins with another peer.
                let index = (turn + round) % peers.len();
                let (peer, place) = (&peers[index], &places[index]);
                let outcome = phase::measure(setting, peer, place, phase)?;
                let (name, kind) = (peer.name.clone(), peer.kind);
                let sample = Sample { peer: name, kind, phase: *phase, outcome };
                let line = report::line(&sample) + "\n";
                print!("{line}");
                *page += &line;
                samples.push(sample);
            }
        }
    }
    Ok(samples)
}

fn origin_command(places: &[Place]) -> io::Result<Command> {
    let program = peers::sibling("origin").ok_or_else(|| not_built("origin"))?;
    let listen: Vec<String> = places.iter().map(|place| place.origin.to_string()).collect();
    let mut command = Command::new(program);
    command.args(["--body", &BODY_BYTES.to_string(), "--listen", &listen.join(",")]);
    command.args(["--send-buffer", &ORIGIN_SEND_BUFFER.to_string()]);
    Ok(command)
}

/// What was measured with what: everything a reader needs to do it again.
fn setup(args: &Args, date: &str, peers: &[Peer], counts: Counts) -> String {
    let mut text = format!(
        "slow clients, {date}, commit {}, Linux {}, {} CPUs, {}\n",
        machine::commit(),
        machine::kernel(),
        machine::cpus(),
        machine::cpu_model(),
    );
    for peer in peers {
        text += &format!("{}: {}\n", peer.name, peer.version);
    }
    text += &format!(
        "{} slow heads, {} slow bodies, {} slow readers of 1 MiB; a byte every {} s; polite: {} requests/s over {} connections\n\n",
        counts.head, counts.body, counts.read, args.every, args.rate, args.polite,
    );
    text
}

fn publish(results: &Path, date: &str, page: &str) -> io::Result<()> {
    let stamp: String = date.chars().filter(|c| *c != ':').collect();
    let path = results.join(format!("{stamp}-slow.txt"));
    fs::write(&path, page)?;
    println!("\n{}", path.display());
    Ok(())
}

fn not_built(program: &str) -> io::Error {
    io::Error::other(format!("{program}: not built; try cargo build --release -p coregate-perf"))
}
