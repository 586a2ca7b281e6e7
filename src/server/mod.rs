//! The server: the only place that sees both planes. It reads flags and files, binds sockets, starts workers, hears signals.
//!
//! - [`cli`]: flags and commands; [`commands`]: those that speak to a running process;
//!   [`inspect`]: those that look at routes, of a file or a process; [`demo`]: a small world, with processes of its own.
//! - [`start`]: from a configuration to a process that serves; [`topology`]: which CPUs; [`rings`]: which driver;
//!   [`legacy`]: what a predecessor left; [`state`]: what was kept.
//! - [`process`]: what runs, and the thread that decides for it; [`events`]: what that thread hears; [`signals`].
//! - [`configuration`]: what was applied, and what can be gone back to; [`reload`]: carrying a change out; [`answers`]: to
//!   what is asked.
//! - [`listen`]: sockets; [`admin`]: those of the admin listener; [`memory`]: the host's cells.
//! - [`upgrade`]: a new process takes over; [`handover`]: by which messages.
//! - [`discovery`]: how instances are looked up; [`descriptors`]: how many there are, and what for.
//! - [`threads`]: the life of a worker's thread.
//! - [`supervisor`]: what systemd is told.
//! - [`facts`]: what the process shows of itself; [`stats`]: the same as a file; [`watchdog`], [`complain`]: what it says
//!   by itself.

mod admin;
mod answers;
mod cli;
mod commands;
mod complain;
mod configuration;
mod decisions;
mod demo;
mod descriptors;
mod events;
mod facts;
mod handover;
mod inspect;
mod legacy;
mod listen;
mod memory;
mod orders;
mod process;
mod reload;
mod rings;
mod say;
mod signals;
mod start;
mod state;
mod stats;
mod supervisor;
mod threads;
mod tokens;
mod told;
mod topology;
mod upgrade;
mod watchdog;

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Exit codes, as in sysexits.h where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is well.
    Ok = 0,
    /// It could not be done.
    Failed = 1,
    /// It cannot be asked like this.
    Usage = 2,
    /// The running process cannot be reached.
    Unreachable = 69,
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
    if let Err(error) = signals::outlive_full_files() {
        say::message(format_args!("signals: {error}"));
    }
    ExitCode::from(cli::run() as u8)
}
