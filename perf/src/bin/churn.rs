//! `churn`: what a thousand changes of membership a second cost a gateway with a hundred thousand instances.
//!
//! Pairs of runs, without changes and with them, at 30 % of what one worker can do: how late its ticks are, what control
//! costs, and when a change is routed by. It prints its lines as it goes, writes them to a dated file, and with `--bars` says
//! whether the bars hold.
#![allow(clippy::print_stdout, clippy::print_stderr)] // A program: its user reads the terminal.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{fs, io};

use clap::Parser;
use coregate_perf::child::Guarded;
use coregate_perf::churn::ask::{Admin, Client};
use coregate_perf::churn::changes::At;
use coregate_perf::churn::filler::Filler;
use coregate_perf::churn::gateway::{Look, World};
use coregate_perf::churn::renewals::{self, Pace};
use coregate_perf::churn::report::{self, Pair};
use coregate_perf::churn::run::{self, Setting};
use coregate_perf::folder::Folder;
use coregate_perf::peers::{Kind, Peer, sibling};
use coregate_perf::point::{self, Launch, Stop};
use coregate_perf::{machine, sock};

/// Bodies of the two origins, bytes: by them the probe tells who answered.
const LENGTHS: [usize; 2] = [128, 64];
/// Descriptors beside those of connections to instances.
const OPEN_FILES_SPARE: u64 = 512;
/// Changes that may be asked for a second: ten a request, four at a time, each public within 10 ms.
const CHANGES_MAX: u64 = 3_000;

/// Changes membership under load: one CPU for the worker, one for everything else.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The build of coregate; by default the one beside this program.
    #[arg(long, value_name = "PATH")]
    coregate: Option<PathBuf>,
    /// Services.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    services: u32,
    /// Instances of each.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    instances: u32,
    /// Services that requests go to, in turn. Their instances all have a connection, and descriptors are few; the other
    /// services are asked once or twice, so that the worker knows them.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    loaded: u32,
    /// Changes a second.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(10..=CHANGES_MAX))]
    changes: u64,
    /// Instances register with leases instead of standing in the file, and so many renewals a second come beside the changes;
    /// the registry is kept on disk.
    #[arg(long, value_name = "RATE", value_parser = clap::value_parser!(u64).range(1..=20_000))]
    renewals: Option<u64>,
    /// Connections that renewals come over.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(4..=1000))]
    renewers: u64,
    /// Keeps the load's CPU busy in all runs, at the lowest priority: on virtual CPUs, where a busy one makes its neighbour late.
    #[arg(long)]
    filled: bool,
    /// Connections of the load.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1000))]
    connections: u32,
    /// Requests a second; by default 30 % of what a closed loop of 3 s has.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: Option<u64>,
    /// Seconds of a run. There are 100 ticks in each: p99.9 is of few.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(2..=120))]
    seconds: u64,
    /// Seconds of requests before the first pair, at the same rate; by default until every loaded instance had one.
    #[arg(long, value_parser = clap::value_parser!(u64).range(0..=300))]
    warmup: Option<u64>,
    /// Pairs of runs.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=20))]
    pairs: u32,
    /// The CPU of the worker.
    #[arg(long, default_value_t = 0)]
    worker_cpu: usize,
    /// The CPU of control, the load and the origins.
    #[arg(long, default_value_t = 1)]
    load_cpu: usize,
    /// The gateway listens here, the origins 1,000 and 1,001 ports above.
    #[arg(long, default_value_t = 18280, value_parser = clap::value_parser!(u16).range(1024..=60_000))]
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
            eprintln!("churn: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether the bars hold, where they were asked for.
fn run(args: &Args) -> io::Result<bool> {
    let stop = Stop::on_signals()?;
    prepare(args)?;
    let world = World {
        services: args.services,
        instances: args.instances,
        cpu: args.worker_cpu,
        listen: args.base_port,
        origin: args.base_port.saturating_add(1000),
        other: args.base_port.saturating_add(1001),
        leased: args.renewals.is_some(),
    };
    let program = args.coregate.clone().or_else(|| sibling("coregate"));
    let program = program.ok_or_else(|| not_built("coregate"))?;
    let peer = Peer::new("coregate", Kind::Coregate, &program)?;
    let load = sibling("load").ok_or_else(|| not_built("load"))?;
    let folder = Folder::new("churn")?;
    let first = start_origin(args, folder.path(), world.origin, LENGTHS[0], &stop)?;
    let second = start_origin(args, folder.path(), world.other, LENGTHS[1], &stop)?;
    let gateway = start_gateway(args, &peer, &world, folder.path(), &stop)?;
    let setting = Setting {
        load: &load,
        gateway: gateway.pid(),
        origins: [first.pid(), second.pid()],
        lengths: LENGTHS,
        world,
        load_cpu: args.load_cpu,
        loaded: args.loaded.min(args.services),
        connections: args.connections,
        changes: args.changes,
        renewals: args.renewals.map(|rate| Pace { rate, connections: args.renewers }),
        seconds: args.seconds,
        folder: folder.path(),
        stop: &stop,
    };
    if let Some(pace) = setting.renewals {
        renewals::register_all(&setting.admin(), world, pace.connections)?;
    }
    let date = machine::now();
    let mut page = setup(args, &date, &peer, setting.loaded);
    print!("{page}");
    let pairs = measure_all(args, &setting, &mut page)?;
    if gateway.has_ended() {
        return Err(io::Error::other("the gateway ended"));
    }
    drop(gateway);
    let mut say = |text: String| {
        print!("{text}");
        page += &text;
    };
    say(report::summary(&pairs));
    if let Some(note) = report::disturbance(&pairs) {
        say(note + "\n");
    }
    let verdicts =
        if args.bars { report::verdicts(&pairs, args.changes, args.renewals) } else { Vec::new() };
    for verdict in &verdicts {
        say(format!("{} {}\n", if verdict.passed { "PASS" } else { "FAIL" }, verdict.text));
    }
    publish(&args.results, &date, &page)?;
    Ok(verdicts.iter().all(|verdict| verdict.passed))
}

/// Everything that may fail before anything is started.
fn prepare(args: &Args) -> io::Result<()> {
    if args.worker_cpu == args.load_cpu {
        return Err(io::Error::other("the worker and the load need a CPU each"));
    }
    // A connection to each instance, at least once: the gateway and the origin take this program's limit over.
    let instances = u64::from(args.loaded) * u64::from(args.instances);
    let files = instances + 2 * u64::from(args.services) + u64::from(args.connections);
    let files = files + OPEN_FILES_SPARE;
    if sock::raise_open_files_to(files)? < files {
        let few = "or fewer loaded services: --loaded";
        return Err(io::Error::other(format!("open files: at least {files} (ulimit -Hn), {few}")));
    }
    fs::create_dir_all(&args.results)?;
    // Tried here for a clear message; from here on this program is the load.
    sock::pin(args.worker_cpu)?;
    sock::pin(args.load_cpu)
}

fn measure_all(args: &Args, setting: &Setting<'_>, page: &mut String) -> io::Result<Vec<Pair>> {
    let mut say = |text: String| {
        println!("{text}");
        *page += &(text + "\n");
    };
    let mut admin = Client::admin(&setting.admin())?;
    // The bar is of a worker alone on its core, which the kernel's threads and others' would share.
    let mut workers =
        Look::at(&mut admin, setting.gateway)?.workers().collect::<Vec<_>>().into_iter();
    say(match workers.try_for_each(machine::run_first) {
        Ok(()) => "the worker runs before all else on its CPU (SCHED_FIFO)".to_owned(),
        Err(why) => format!("NOTE: the worker shares its CPU with whatever comes: {why}"),
    });
    let filler = args.filled.then(|| Filler::begin(args.load_cpu));
    if filler.is_some() {
        say("the load's CPU is kept busy in all runs, at the lowest priority".to_owned());
    }
    let rate = match args.rate {
        Some(rate) => rate,
        None => {
            let capacity = run::capacity(setting, 3)?;
            let rate = (capacity * 0.3) as u64;
            say(format!(
                "capacity {capacity:.0} requests/s in a closed loop, {rate} of them asked for"
            ));
            rate.max(1)
        }
    };
    let all = u64::from(setting.loaded) * u64::from(args.instances);
    warm_up(setting, &mut admin, rate, args.warmup.unwrap_or(all.div_ceil(rate) + 1))?;
    let mut at = At::begin(&mut admin, &setting.world)?;
    let mut pairs = Vec::new();
    for number in 0..args.pairs {
        let mut pair = Pair::default();
        // Every other pair begins with the changes.
        for turn in 0..2 {
            let outcome = if (number + turn) % 2 == 0 {
                pair.quiet = run::measure(setting, &mut admin, rate, None)?;
                report::line("quiet", &pair.quiet)
            } else {
                pair.churn = run::measure(setting, &mut admin, rate, Some(at))?;
                at = at.after(pair.churn.made);
                report::line("churn", &pair.churn)
            };
            say(outcome);
        }
        pairs.push(pair);
        filler.as_ref().map_or(Ok(()), Filler::check)?;
    }
    Ok(pairs)
}

/// Requests until the worker knows every service, and every loaded instance has its connection.
fn warm_up(setting: &Setting<'_>, admin: &mut Admin, rate: u64, seconds: u64) -> io::Result<()> {
    let all = setting.world.services;
    // Four seconds in all: about one request each.
    let slowly = u64::from(all).div_ceil(4);
    run::measure(&Setting { seconds: 1, loaded: all, ..*setting }, admin, slowly, None)?;
    if seconds > 0 {
        run::measure(&Setting { seconds, ..*setting }, admin, rate, None)?;
    }
    Ok(())
}

fn start_origin(
    args: &Args,
    folder: &Path,
    port: u16,
    body: usize,
    stop: &Stop,
) -> io::Result<Guarded> {
    let program = sibling("origin").ok_or_else(|| not_built("origin"))?;
    let log = folder.join(format!("origin-{port}.log"));
    let mut command = Command::new(program);
    command.args(["--body", &body.to_string(), "--listen", &format!("0.0.0.0:{port}")]);
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    point::start(Launch { command, at, cpus: &[args.load_cpu], log: &log }, body, stop)
}

fn start_gateway(
    args: &Args,
    peer: &Peer,
    world: &World,
    folder: &Path,
    stop: &Stop,
) -> io::Result<Guarded> {
    fs::write(folder.join("coregate.toml"), world.configuration())?;
    let mut command = Command::new(&peer.program);
    let admin = format!("unix:{}", folder.join("admin.sock").display());
    command.current_dir(folder).args(["run", "-c", "coregate.toml", "--drain-delay", "0s"]);
    command.args(["--admin", &admin]);
    if world.leased {
        command.arg("--state").arg(folder.join("state"));
    }
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, world.listen));
    // It may use both: where its threads go is its own business.
    let cpus = [args.worker_cpu, args.load_cpu];
    let log = folder.join("coregate.log");
    point::start(Launch { command, at, cpus: &cpus, log: &log }, LENGTHS[0], stop)
}

/// What was measured with what: everything a reader needs to do it again.
fn setup(args: &Args, date: &str, peer: &Peer, loaded: u32) -> String {
    let renewals = args.renewals.map_or_else(String::new, |rate| {
        format!(", {rate} renewals/s over {} connections, registry on disk", args.renewers)
    });
    format!(
        "changes of membership, {date}, commit {}, Linux {}, {} CPUs, {}\n{}\n\
         {} instances ({} services of {}), {} changes/s in requests of 10{renewals}; open loop over {} connections to {loaded} services; runs of {} s\n\n",
        machine::commit(),
        machine::kernel(),
        machine::cpus(),
        machine::cpu_model(),
        peer.version,
        args.services * args.instances,
        args.services,
        args.instances,
        args.changes,
        args.connections,
        args.seconds,
    )
}

fn publish(results: &Path, date: &str, page: &str) -> io::Result<()> {
    let stamp: String = date.chars().filter(|c| *c != ':').collect();
    let path = results.join(format!("{stamp}-churn.txt"));
    fs::write(&path, page)?;
    println!("\n{}", path.display());
    Ok(())
}

fn not_built(program: &str) -> io::Error {
    io::Error::other(format!("{program}: not built; try cargo build --release -p coregate-perf"))
}
