//! Flags and commands (door of clap).

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use coregate_config::{Cores, Inputs, Io, Loaded, Settings, Shown, StatePlace};
use coregate_control::io::moment;
use coregate_core::base::limits;
use coregate_core::snapshot::plan::{Address, RatePlan, Scope, written};

use crate::server::commands::{self, Ask};
use crate::server::configuration::Source;
use crate::server::inspect::{self, Inspect};
use crate::server::start::{self, Wish};
use crate::server::{Exit, demo, say, topology};

/// An API gateway, reverse proxy and service registry: one shared-nothing worker a core, on io_uring.
#[derive(Debug, Parser)]
#[command(
    name = "coregate",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve what a configuration file says
    Run {
        #[command(flatten)]
        file: OneFile,
        /// Reload the configuration file whenever it changes
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        options: Options,
    },
    /// Check a configuration file and say everything that is wrong with it
    Check {
        #[command(flatten)]
        file: OneFile,
        /// How to say it
        #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json", "github"])]
        output: String,
    },
    /// Look at a configuration file
    Config {
        #[command(subcommand)]
        look: Look,
    },
    /// Print the configuration language as a JSON Schema, for editors
    Schema,
    /// Explain a command, or a code such as E0012 that a configuration was refused with
    Help {
        /// A command, or a code
        #[arg(value_name = "COMMAND|CODE")]
        topic: Vec<String>,
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
    /// Run a small world: two toy services that register, the gateway before them, and an instance that is killed and comes back
    Demo {
        /// Where to listen
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
        listen: Address,
        /// How long each scene lasts
        #[arg(long, hide = true, value_name = "TIME", default_value = "10s", value_parser = moment::duration)]
        scene: Duration,
        #[command(flatten)]
        options: Options,
    },
    /// Play an instance of the demo
    #[command(hide = true)]
    Toy(Role),
    #[command(flatten)]
    Inspect(Inspect),
    #[command(flatten)]
    Ask(Ask),
}

/// Ways to look at a configuration file.
#[derive(Debug, Subcommand)]
enum Look {
    /// Print it as one file, with all that it includes
    Show {
        #[command(flatten)]
        file: OneFile,
        /// Carry out `[defaults]` and `extends`, and fill in what is built in
        #[arg(long)]
        expanded: bool,
        /// Say where each value comes from
        #[arg(long)]
        origin: bool,
        /// How to say it
        #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
        output: String,
    },
}

/// The file that a command is about, with or without its flag.
#[derive(Debug, Clone, Args)]
pub(crate) struct OneFile {
    /// The configuration file
    #[arg(value_name = "FILE", required_unless_present = "config")]
    file: Option<PathBuf>,
    /// The same, as a flag
    #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
}

impl OneFile {
    /// Where it is: clap sees to it that one of the two is given.
    pub(crate) fn path(&self) -> &Path {
        self.file.as_deref().or(self.config.as_deref()).unwrap_or(Path::new(""))
    }
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
    /// Where the admin listener is: unix:/PATH or a loopback ADDRESS:PORT, several with commas; or none
    #[arg(long, value_name = "ADDR", value_delimiter = ',')]
    pub(crate) admin: Vec<AdminPlace>,
    /// Where registrations are kept: a directory of this gateway's own, or memory
    #[arg(long, value_name = "DIR|memory")]
    pub(crate) state: Option<StatePlace>,
    /// After SIGTERM, how long to say that one is not ready, and accept all the same: 5s, 0s
    #[arg(long, value_name = "TIME", value_parser = delay)]
    pub(crate) drain_delay: Option<Duration>,
}

/// What a toy of the demo is told.
#[derive(Debug, Args)]
pub(crate) struct Role {
    /// The service that it is an instance of
    #[arg(long)]
    pub(crate) service: String,
    /// What it is called
    #[arg(long)]
    pub(crate) id: String,
    /// Where it announces itself
    #[arg(long)]
    pub(crate) admin: Address,
    /// Who started it
    #[arg(long)]
    pub(crate) parent: i32,
}

/// Where the admin listener is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AdminPlace {
    /// Nowhere.
    None,
    /// Here.
    At(Address),
}

impl FromStr for AdminPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::None);
        }
        match text.parse().map_err(|error| format!("{error}, or none"))? {
            Address::Tcp(address) if !address.ip().is_loopback() => Err(format!(
                "{address}: expected a loopback address: whoever reaches it can change everything"
            )),
            address => Ok(Self::At(address)),
        }
    }
}

fn delay(text: &str) -> Result<Duration, String> {
    match text {
        "0" | "0s" | "0ms" => Ok(Duration::ZERO),
        text => moment::duration(text),
    }
}

/// Runs the command that was asked for. clap itself exits with 2 where flags are wrong.
pub(crate) fn run() -> Exit {
    carry_out(Cli::parse().command)
}

/// The same, for a process that is told what to do by another way.
pub(crate) fn obey<'a>(words: impl Iterator<Item = &'a str>) -> Exit {
    carry_out(Cli::parse_from(words).command)
}

fn carry_out(command: Command) -> Exit {
    match command {
        Command::Run { file, watch, options } => match load(file.path()) {
            Ok((settings, text, inputs)) => {
                let watch = watch.then_some(inputs);
                // Whatever folder it is read again from, it is the same file.
                let path = std::path::absolute(file.path());
                let source = Source::File(path.unwrap_or_else(|_| file.path().to_owned()));
                start::serve(Wish { source, settings, text, watch, options: &options }, |_| {})
            }
            Err(why) => {
                start::tell_predecessor(&why);
                Exit::Config
            }
        },
        Command::Check { file, output } => check(file.path(), &output),
        Command::Config { look: Look::Show { file, expanded, origin, output } } => {
            show(file.path(), coregate_config::Wish { expanded, origin, json: output == "json" })
        }
        Command::Schema => {
            say::data(coregate_config::schema());
            Exit::Ok
        }
        Command::Help { topic } => help(&topic),
        Command::Proxy { listen, to, options } => {
            let settings = Settings::to_instances(&listen, &to);
            let (source, text, watch) = (Source::Flags, String::new(), None);
            start::serve(Wish { source, settings, text, watch, options: &options }, |_| {})
        }
        Command::Demo { listen, scene, options } => demo::run(&listen, scene, &options),
        Command::Toy(role) => demo::play(&role),
        Command::Inspect(inspect) => {
            inspect::run(&inspect, &|path| load(path).ok().map(|loaded| loaded.0))
        }
        Command::Ask(ask) => commands::run(&ask),
    }
}

/// What a file says, or what is wrong with it, which was said as well.
fn load(path: &Path) -> Result<(Settings, String, Inputs), String> {
    let Loaded { settings, report, text, inputs } = coregate_config::load(path);
    if !report.diagnostics().is_empty() {
        say::diagnostics(&report.render(is_terminal()));
    }
    match settings {
        Some(settings) => Ok((settings, text.unwrap_or_default(), inputs)),
        None => Err(report.render(false)),
    }
}

fn check(path: &Path, output: &str) -> Exit {
    let Loaded { settings, report, .. } = coregate_config::load(path);
    match output {
        "json" => say::data(report.to_json()),
        "github" => say::lines(&report.to_github()),
        _ if report.diagnostics().is_empty() => say::data(format_args!("{}: ok", path.display())),
        _ => say::diagnostics(&report.render(is_terminal())),
    }
    // Where it is checked they need not be: nobody has to have them but who serves.
    if let Some(Err(missing)) = settings.as_ref().map(Settings::plan_with_keys) {
        missing.iter().for_each(|error| say::message(format_args!("missing here: {error}")));
    }
    match settings {
        Some(settings) => {
            if !matches!(output, "json" | "github") {
                of_each_worker(&settings).iter().for_each(say::data);
            }
            Exit::Ok
        }
        None => Exit::Config,
    }
}

/// What rates come to here that hold on each worker by itself.
fn of_each_worker(settings: &Settings) -> Vec<String> {
    let runtime = &settings.runtime;
    let workers = topology::cpus(&runtime.cores, runtime.workers).map_or(1, |cpus| cpus.len());
    let rates = settings.plan.rates.iter().filter(|rate| rate.scope == Scope::Worker);
    let line = |rate: &RatePlan| {
        let RatePlan { name, terms, .. } = rate;
        let most = terms.count.get().saturating_mul(workers as u64);
        let noun = if workers == 1 { "worker" } else { "workers" };
        format!(
            "rate {name}: {terms} on each of {workers} {noun} here, up to {most}/{} in all",
            written(terms.window)
        )
    };
    rates.map(line).collect()
}

/// Prints what a file says; where anything is wrong with it, that and nothing else.
fn show(path: &Path, wish: coregate_config::Wish) -> Exit {
    let Shown { text, report } = coregate_config::show(path, wish);
    if !report.diagnostics().is_empty() {
        say::diagnostics(&report.render(is_terminal()));
    }
    match text {
        Some(text) => {
            say::data(text.trim_end());
            Exit::Ok
        }
        None => Exit::Config,
    }
}

/// What a code means; of anything else what clap says of it, which ends the process.
fn help(topic: &[String]) -> Exit {
    if let [code] = topic
        && let Some(text) = coregate_config::help(code)
    {
        say::lines(text);
        return Exit::Ok;
    }
    let mut command = Cli::command();
    if let [code] = topic
        && is_code(code)
    {
        let message = format!("there is no code {code}");
        command.error(ErrorKind::InvalidValue, message).exit();
    }
    let topic = topic.iter().map(String::as_str);
    match Cli::try_parse_from(["coregate"].into_iter().chain(topic).chain(["--help"])) {
        // Whatever a command is told besides, help is all that it gives.
        Ok(_) => Exit::Ok,
        Err(shown) => shown.exit(),
    }
}

/// Whether it looks like a code of a diagnostic.
fn is_code(word: &str) -> bool {
    let digits = word.strip_prefix(['E', 'W', 'e', 'w']);
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

fn is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}
