//! Listening sockets: bound before anything starts, changed while the process runs (door of socket2).
//!
//! - [`live`]: the addresses that the process holds, and the step from them to what a new configuration asks for.
//! - [`step`]: which held addresses stay, which move to another listener, which go, and what is to be bound.
//! - [`overlap`]: which addresses take connections from each other; pure.
//! - [`bind`]: one address, one socket a worker.
//!
//! All or nothing: whatever is new is bound before anything that is there is let go of, and where one address cannot be had
//! nothing changes.

pub(crate) mod bind;
#[cfg_attr(not(test), expect(dead_code, reason = "reload and upgrade are not wired up yet"))]
pub(crate) mod live;
mod overlap;
mod step;

use std::io;
use std::path::Path;

use coregate_config::Listener;
use coregate_core::base::ids::ListenerId;
use coregate_core::snapshot::plan::Address;
use coregate_data::worker::post::Listening;

use self::live::{Live, WorkerSocket};

/// Why a listener cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("listener {name}: {address}: address in use; see what listens there with: ss -ltnxp")]
    InUse { name: String, address: Address },
    #[error(
        "listener {name}: {address}: overlaps with {other} of listener {others_name}, which takes its connections too; keep one of them"
    )]
    Overlaps { name: String, address: Address, other: Address, others_name: String },
    #[error(
        "listener {name}: {address}: overlaps with {other} of listener {others_name}, which is to go but would have to be closed first, with connections that wait in it; take {other} out, reload, then add {address}; or restart"
    )]
    OverlapsOld { name: String, address: Address, other: Address, others_name: String },
    #[error(
        "listener {name}: {address}: whether it takes IPv4 too would change, because 0.0.0.0 comes to or leaves its port; an open socket cannot; take {address} out, reload, then add it again; or restart"
    )]
    ChangesFamilies { name: String, address: Address },
    #[error(
        "listener {name}: {address}: there is a file that is not a socket; remove it, or choose another path"
    )]
    NoSocket { name: String, address: Address },
    #[error("listener {name}: {address}: what was handed over for it {what}")]
    NotInherited { name: String, address: Address, what: &'static str },
    #[error("listener {name}: {address}: {error}{}", hint(.error))]
    Io { name: String, address: Address, error: io::Error },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need CAP_NET_BIND_SERVICE, socket paths a writable folder"
        }
        io::ErrorKind::AddrNotAvailable => "; this host has no such address: see ip addr",
        _ => "",
    }
}

impl ListenError {
    /// What a failure to bind means.
    fn of(name: &str, address: &Address, error: io::Error) -> Self {
        let (name, address) = (name.to_owned(), address.clone());
        let file = |path: &Path| !bind::is_socket(path);
        match (error.kind(), &address) {
            (io::ErrorKind::AddrInUse, Address::Unix(path)) if file(path) => {
                Self::NoSocket { name, address }
            }
            (io::ErrorKind::AddrInUse, _) => Self::InUse { name, address },
            _ => Self::Io { name, address, error },
        }
    }
}

/// Everything that was bound at the start.
#[derive(Debug)]
pub(crate) struct Bound {
    /// The sockets of each worker.
    pub(crate) per_worker: Vec<Vec<Listening>>,
    /// What to say: where each listener listens, with the port that was really bound.
    pub(crate) places: Vec<(String, Address)>,
    /// Removes socket files at the end. It holds no socket: those of a worker that stops are to be the last.
    _live: Live,
}

/// Binds all listeners for all workers, or none; says of every address why it cannot be had.
pub(crate) fn bind(listeners: &[Listener], workers: usize) -> Result<Bound, Vec<ListenError>> {
    let (mut live, sockets) = Live::bind(listeners, workers, Vec::new())?;
    let places = live.places().map(|(name, address)| (name.to_owned(), address.clone())).collect();
    let number = |name: &str| {
        let index = listeners.iter().position(|listener| listener.name == name);
        ListenerId(index.unwrap_or_default() as u16)
    };
    let listening = |WorkerSocket { id, listener, socket }| {
        let listener = number(&listener);
        Listening { id, listener, socket }
    };
    let per_worker = sockets.into_iter().map(|own| own.into_iter().map(listening).collect());
    live.close();
    Ok(Bound { per_worker: per_worker.collect(), places, _live: live })
}

#[cfg(test)]
mod tests;
