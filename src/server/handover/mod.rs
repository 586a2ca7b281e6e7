//! How a running process gives its successor, a newly started binary, what it holds: listening sockets, the cells, and the
//! registry's checkpoint.
//!
//! ```text
//!  predecessor (the parent)                        successor (the child)
//!  begin: starts the binary ───────────────────▶   inherit: takes its end of the socket pair
//!         Successor   ◀── hello {protocol, version, layout}
//!  hand_over:             manifest ──────────▶
//!                         descriptors, 128 at most ─▶
//!                     ◀── got {how many by now}        … as often as needed
//!                                                  Inheritance, Predecessor: binds, starts its workers
//!         Ready       ◀── ready {pid}, or failed {reason}
//!  go:                    go ────────────────▶     takes over; the predecessor drains and leaves
//! ```
//!
//! - **The predecessor serves on until it has said `go`, and whatever happens before.** A binary that is none of ours, that exits,
//!   that talks garbage or nothing at all ends in a [`HandoverError`] within [`limits::UPGRADE_TIME`]; it is ended and reaped.
//! - **The successor's end is its standard input**, so nothing has to be inheritable in this process even for a moment: the
//!   standard library makes the copy between `fork` and `exec`, in the child alone. Everything else is close-on-exec. Naming any
//!   other descriptor would take `unsafe` code on both sides.
//! - **The successor speaks first**, so that nothing of ours reaches a binary that takes its standard input for something else.
//! - Messages are JSON behind their length; what one side may send is bounded before it is read. Descriptors go beside the message
//!   that announces them (`SCM_RIGHTS`, unix(7)); any other ones are closed, and end it.
//! - Nothing here waits without a deadline. Everything blocks: it has no place on a worker.

mod channel;
mod child;
mod message;
mod parent;

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, OnceLock};
use std::{env, io};

use serde_json::value::RawValue;

#[cfg(doc)]
use coregate_core::base::limits;

pub(crate) use self::channel::ChannelError;
pub(crate) use self::child::{Predecessor, inherit};
pub(crate) use self::parent::{Ready, begin};
use crate::server::listen::live::Handed;

/// The environment variable that tells a process that it is a successor: the number of the descriptor that its predecessor is
/// at the other end of, which is always 0. It is not removed, which no safe code can; it reaches nobody, since [`begin`] is all
/// that starts a process here.
pub(crate) const VARIABLE: &str = "COREGATE_UPGRADE";

/// What a process leaves to its successor.
#[derive(Debug)]
pub(crate) struct Inheritance {
    /// The listening sockets: [`Live::hand_over`](crate::server::listen::live::Live::hand_over).
    pub(crate) sockets: Vec<Handed>,
    /// Those of the admin listener.
    pub(crate) admin: Vec<Handed>,
    /// The memory of the cells; without it they start fresh.
    pub(crate) cells: Option<Arc<OwnedFd>>,
    /// The generation of configuration and registry that it left off at.
    pub(crate) generation: u64,
    /// What the registry goes on from: JSON that nobody looks into here.
    pub(crate) checkpoint: Box<RawValue>,
}

/// Why an upgrade failed. In the predecessor: it serves on, and no new process is left.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandoverError {
    #[error("{}: {error}", .binary.display())]
    Start { binary: PathBuf, error: io::Error },
    #[error(
        "the new process ended ({0}) before it was ready; see its messages among those of the gateway"
    )]
    Exited(ExitStatus),
    #[error("the new process {why}; {}", ended(.status))]
    Broken { why: ChannelError, status: Option<ExitStatus> },
    #[error("the new process could not start: {0}")]
    Refused(String),
    #[error(
        "{}", stranger(.theirs, .version)
    )]
    Stranger { theirs: u32, version: String },
    #[error("{VARIABLE}={}: expected 0; unset it to start without a predecessor", .0.display())]
    Variable(OsString),
    #[error(
        "{VARIABLE} is set, but standard input is not the socket of a predecessor; unset it to start without one"
    )]
    NoPredecessor,
    #[error("the old process {0}")]
    Predecessor(ChannelError),
    #[error("what was handed over contradicts itself: {0}")]
    Contradiction(String),
    #[error("handover: {0}")]
    Io(#[from] io::Error),
}

fn ended(status: &Option<ExitStatus>) -> String {
    status.map_or_else(|| "it was killed".to_owned(), |status| format!("it ended: {status}"))
}

fn stranger(theirs: &u32, version: &str) -> String {
    let ours = message::PROTOCOL;
    format!(
        "coregate {version} hands over by protocol {theirs}, this one by {ours}: restart instead"
    )
}

/// The path of this process's binary, as it was started: when the file is replaced, the kernel calls the running one deleted,
/// and a link may point to a new version by then. To be called once at the start, which remembers it.
pub(crate) fn own_binary() -> io::Result<&'static Path> {
    static OWN: OnceLock<PathBuf> = OnceLock::new();
    if let Some(own) = OWN.get() {
        return Ok(own);
    }
    let running = env::current_exe()?;
    let named = env::args_os().next().and_then(|name| path_of(&name, &running));
    Ok(OWN.get_or_init(|| named.unwrap_or(running)))
}

/// The path that a binary was started by, if that is the running one.
fn path_of(name: &OsStr, running: &Path) -> Option<PathBuf> {
    let is_it = |path: &PathBuf| path.canonicalize().is_ok_and(|path| path == running);
    if Path::new(name).components().count() > 1 {
        return std::path::absolute(name).ok().filter(is_it);
    }
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(name)).find(is_it)
}

#[cfg(test)]
mod tests;
