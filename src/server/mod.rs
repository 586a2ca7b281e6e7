//! The server: the only place that sees both planes. It reads flags and files, binds sockets, starts workers, hears signals.
//!
//! - [`cli`]: flags and commands.
//! - [`topology`]: which CPUs, how many workers.
//! - [`listen`]: sockets, bound before anything starts.
//! - [`run`]: from settings to a running process and back to an exit code.
//! - [`threads`]: the life of a worker's thread.
//! - [`stats`]: counters as JSON.
//! - [`demo`]: a small world in one process.

mod cli;
mod demo;
mod listen;
mod run;
mod say;
mod stats;
mod threads;
mod topology;

use std::process::ExitCode;

/// Exit codes, as in sysexits.h where it has one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Exit {
    /// All is well.
    Ok = 0,
    /// It could not be done.
    Failed = 1,
    /// Workers died too often.
    GaveUp = 70,
    /// The configuration, or the machine it asks for.
    Config = 78,
}

/// Runs what the command line asks for.
pub(crate) fn main() -> ExitCode {
    ExitCode::from(cli::run() as u8)
}
