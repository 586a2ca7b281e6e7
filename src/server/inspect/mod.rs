//! Commands that look at routes: those of a file, or those of a running process, by the same functions.
//!
//! Of a file the plan is compiled as a start would, and nothing is opened or bound; a running process is asked by its admin listener.
//! Exit: 0 done, 1 not as asked for (no route takes the request, a test failed), 2 it cannot be asked
//! like this, 69 nobody there, 78 the file has errors.

mod cases;
mod explain;
mod routes;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use coregate_config::Settings;
use coregate_control::registry::time::unix_now;
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::compile::compile;
use coregate_core::snapshot::explain::guard::Surroundings;
use coregate_core::snapshot::plan::Plan;

use crate::server::cli::OneFile;
use crate::server::commands::To;
use crate::server::{Exit, say};

use explain::Explain;

/// What can be asked about routes.
#[derive(Debug, Subcommand)]
pub(crate) enum Inspect {
    /// Say which route takes a request, why the others do not, and what becomes of it; exit 1 if none does
    Explain(Explain),
    /// List the routes in order of precedence: those first that are asked first
    Routes {
        /// No file stands here alone: it is refused with what to write
        #[arg(hide = true, value_parser = bare)]
        file: Option<String>,
        #[command(flatten)]
        of: Of,
    },
    /// Run the tests of a configuration file; exit 1 if one fails
    Test {
        #[command(flatten)]
        file: OneFile,
        /// How to say it
        #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
        output: String,
    },
}

/// Whose routes, and how they are shown.
#[derive(Debug, Clone, Args)]
pub(crate) struct Of {
    /// The configuration file; without one the running process is asked
    #[arg(short, long, value_name = "FILE", conflicts_with = "admin")]
    config: Option<PathBuf>,
    #[command(flatten)]
    to: To,
}

/// Refuses a file without its flag: without one the running process is asked.
fn bare(file: &str) -> Result<String, String> {
    Err(format!("write coregate routes -c {file}"))
}

/// Reads a file, and says what is wrong with it.
type Load<'l> = &'l dyn Fn(&Path) -> Option<Settings>;

/// Looks, and shows what there is.
pub(crate) fn run(inspect: &Inspect, load: Load<'_>) -> Exit {
    let done = match inspect {
        Inspect::Explain(asked) => asked.run(load),
        Inspect::Routes { of, .. } => routes::run(of, load),
        Inspect::Test { file, output } => cases::run(file.path(), output == "json", load),
    };
    done.unwrap_or_else(|exit| exit)
}

/// What a file says.
fn settings(path: &Path, load: Load<'_>) -> Result<Settings, Exit> {
    load(path).ok_or(Exit::Config)
}

/// The plan with the keys of consumers that can be read here; of the others, whoever shows one is nobody.
fn plan(settings: &Settings) -> Plan {
    let (plan, missing) = settings.plan_with_keys_here();
    let note = |error| say::message(format_args!("{error}: whoever shows this key is nobody here"));
    missing.iter().for_each(note);
    plan
}

/// What is known beside a file: the time, and that nobody has spent anything.
fn unspent() -> Surroundings<'static> {
    let now = unix_now();
    Surroundings::unspent(now)
}

/// The snapshot that a process would start with.
fn snapshot(plan: &Plan) -> Result<Snapshot, Exit> {
    compile(plan, 0).map_err(|errors| {
        errors.iter().for_each(say::message);
        Exit::Config
    })
}
