//! `live`: holds the gateway to the bars of what changes while clients are being served.
//!
//! One line for each bar and driver, with its figures; the exit code is 1 where one does not hold.
#![allow(clippy::print_stdout, clippy::print_stderr)] // A program: its user reads the terminal.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use coregate_perf::folder::Folder;
use coregate_perf::live::bars::{self, Amount, Bar};
use coregate_perf::live::line::Setup;
use coregate_perf::peers;
use coregate_perf::point::Stop;

/// Changes a gateway while clients are being served, and checks every byte that they get
#[derive(Debug, Parser)]
#[command(name = "live")]
struct Args {
    /// Which bar
    bar: Which,
    /// The driver, or both in turn
    #[arg(long, default_value = "both")]
    io: Drivers,
    /// How many of them; as many as the bar says by default
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    count: Option<u64>,
    /// What reloads are spread over, in seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// The gateway's binary; the one beside this program by default
    #[arg(long, value_name = "PATH")]
    coregate: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Which {
    /// Reloads in an even pace, every fifth of a broken file
    Reloads,
    /// Generations that pass under 1,000 open tunnels
    TunnelsGenerations,
    /// Binary upgrades one after the other
    Upgrades,
    /// Stops
    Sigterm,
    /// Instances that register, until they are asked
    Registered,
    /// Instances that are killed, until nobody is sent to them
    Killed,
    /// Starts after SIGKILL, while instances register
    Restarts,
    /// Keys that are revoked, until every worker refuses them
    Revoked,
    /// Seconds of twice as many requests as a service can do
    Queue,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Drivers {
    Uring,
    Epoll,
    Both,
}

impl Which {
    fn bar(self) -> (Bar, u64) {
        match self {
            Self::Reloads => (bars::reloads, 1_000),
            Self::TunnelsGenerations => (bars::tunnels, 10_000),
            Self::Upgrades => (bars::upgrades, 50),
            Self::Sigterm => (bars::sigterm, 10),
            Self::Registered => (bars::registered, 300),
            Self::Killed => (bars::killed, 10),
            Self::Restarts => (bars::restarts, 50),
            Self::Revoked => (bars::revoked, 300),
            Self::Queue => (bars::queue, 20),
        }
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("live: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the bar holds.
fn run(args: &Args) -> io::Result<bool> {
    let stop = Stop::on_signals()?;
    let binary = args.coregate.clone().or_else(|| peers::sibling("coregate"));
    let binary = binary.ok_or_else(|| {
        io::Error::other("coregate: not built; try cargo build --release --bin coregate")
    })?;
    let folder = Folder::new("live")?;
    let (bar, count) = args.bar.bar();
    let time = Duration::from_secs(args.seconds);
    let amount = Amount { count: args.count.unwrap_or(count), time };
    let drivers: &[_] = match args.io {
        Drivers::Uring => &["uring"],
        Drivers::Epoll => &["epoll"],
        Drivers::Both => &["uring", "epoll"],
    };
    let mut all = true;
    for io in drivers {
        let binary = binary.clone();
        let setup = Setup { binary, io, folder: folder.path(), stop: &stop };
        let verdict = bar(&setup, amount)?;
        println!("{} {io}: {}", if verdict.holds { "PASS" } else { "FAIL" }, verdict.figures);
        verdict.wrong.iter().for_each(|wrong| println!("  wrong: {wrong}"));
        all &= verdict.holds;
    }
    Ok(all)
}
