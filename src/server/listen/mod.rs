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
pub(crate) mod live;
mod overlap;
mod step;

use std::io;
use std::path::Path;

use coregate_core::snapshot::plan::Address;

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

#[cfg(test)]
mod tests;
