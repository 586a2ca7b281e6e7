//! The server: the only place that sees both planes. It reads flags and files, binds sockets, starts workers, hears signals.
//!
//! - [`cli`]: flags and commands.
//! - [`topology`]: which CPUs, how many workers.
//! - [`listen`]: sockets, bound before anything starts.
//! - [`memory`]: the cells' table, which a successor inherits.
//! - [`run`]: from settings to a running process and back to an exit code.
//! - [`threads`]: the life of a worker's thread.
//! - [`stats`]: counters as JSON.
//! - [`complain`]: what has run out, said once a second.
//! - [`demo`]: a small world in one process.

mod cli;
mod complain;
mod demo;
mod listen;
mod memory;
mod run;
mod say;
mod stats;
mod threads;
mod topology;

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// Panics that are told in full; later ones are only counted, so that a flood of them cannot fill a terminal or block on it.
const PANICS_TOLD: usize = 10;

/// Says where a panic happened, and what it said; the backtrace is for a debugger.
fn tell_panics() {
    let told = AtomicUsize::new(0);
    std::panic::set_hook(Box::new(move |panic| {
        if told.fetch_add(1, Ordering::Relaxed) < PANICS_TOLD {
            say::message(format_args!("{panic}").to_string().replace('\n', " "));
        }
    }));
}

/// Runs what the command line asks for.
pub(crate) fn main() -> ExitCode {
    tell_panics();
    ExitCode::from(cli::run() as u8)
}
