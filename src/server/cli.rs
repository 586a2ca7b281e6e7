//! Flags and commands (door of clap).

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use coregate_config::{Cores, Io, Loaded, Settings};
use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;

use crate::server::{Exit, demo, run, say};

/// An API gateway and reverse proxy: one shared-nothing worker a core, on io_uring.
#[derive(Debug, Parser)]
#[command(name = "coregate", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve what a configuration file says
    Run {
        /// The configuration file
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
        #[command(flatten)]
        options: Options,
    },
    /// Check a configuration file and say everything that is wrong with it
    Check {
        /// The configuration file
        #[arg(value_name = "FILE")]
        config: PathBuf,
        /// How to say it
        #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
        output: String,
    },
    /// Forward everything to some instances, without a file
    Proxy {
        /// Where to listen: ADDRESS:PORT or unix:/PATH, several with commas
        #[arg(long, value_name = "ADDR", required = true, value_delimiter = ',')]
        listen: Vec<Address>,
        /// The instances: ADDRESS:PORT or unix:/PATH, several with commas
        #[arg(long, value_name = "ADDR", required = true, value_delimiter = ',')]
        to: Vec<Address>,
        #[command(flatten)]
        options: Options,
    },
    /// Run a small world in one process: two toy services, and the gateway before them
    Demo {
        /// Where to listen
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
        listen: Address,
        #[command(flatten)]
        options: Options,
    },
}

/// What holds for every command that serves. Flags win over the file.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// CPUs to pin workers to: auto, a number (4), a list (0-3,6; 3-3 is one CPU), or isolated
    #[arg(long, value_name = "CORES")]
    pub(crate) cores: Option<Cores>,
    /// Workers; one per CPU by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=limits::WORKERS as u64))]
    pub(crate) workers: Option<u64>,
    /// The driver: auto (io_uring, else epoll), uring (or nothing), epoll
    #[arg(long, value_name = "DRIVER")]
    pub(crate) io: Option<Io>,
    /// Write every counter to FILE as JSON, on exit and on SIGUSR2
    #[arg(long, value_name = "FILE")]
    pub(crate) stats: Option<PathBuf>,
}

/// Runs the command that was asked for. clap itself exits with 2 where flags are wrong.
pub(crate) fn run() -> Exit {
    match Cli::parse().command {
        Command::Run { config, options } => match load(&config) {
            Some(settings) => run::run(settings, &options),
            None => Exit::Config,
        },
        Command::Check { config, output } => check(&config, &output),
        Command::Proxy { listen, to, options } => {
            run::run(Settings::to_instances(&listen, &to), &options)
        }
        Command::Demo { listen, options } => demo::run(&listen, &options),
    }
}

fn load(path: &std::path::Path) -> Option<Settings> {
    let Loaded { settings, report, .. } = coregate_config::load(path);
    if !report.diagnostics().is_empty() {
        say::diagnostics(&report.render(is_terminal()));
    }
    settings
}

fn check(path: &std::path::Path, output: &str) -> Exit {
    let Loaded { settings, report, .. } = coregate_config::load(path);
    match output {
        "json" => say::data(report.to_json()),
        _ if report.diagnostics().is_empty() => say::data(format_args!("{}: ok", path.display())),
        _ => say::diagnostics(&report.render(is_terminal())),
    }
    match settings {
        Some(_) => Exit::Ok,
        None => Exit::Config,
    }
}

fn is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}
