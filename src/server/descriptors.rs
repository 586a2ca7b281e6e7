//! How many descriptors there are, and what for.

use coregate_config::RuntimeSettings;
use coregate_control::io::admin::room::Room;
use coregate_core::base::limits;
use rustix::process::{Resource, Rlimit};

use crate::server::say;

/// Raises the limit on descriptors as far as it goes; gives what it is then.
pub(crate) fn raise() -> u64 {
    let now = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: now.maximum, maximum: now.maximum };
    match rustix::process::setrlimit(Resource::Nofile, raised) {
        Ok(()) => now.maximum,
        Err(_) => now.current,
    }
    // No limit at all is still bounded by the kernel's table.
    .unwrap_or(limits::DESCRIPTORS)
}

/// How many connections the admin listener has room for: an eighth of the descriptors, or all that are left where it is said how
/// many connections there are to be.
pub(crate) fn admin(descriptors: u64, workers: u64, sockets: u64, most: Option<u64>) -> Room {
    let needed =
        most.map(|most| own(descriptors, workers, sockets).saturating_add(most.saturating_mul(2)));
    let left = needed.map_or(0, |needed| descriptors.saturating_sub(needed));
    Room::of(left.max(descriptors / 8))
}

/// How many connections there can be, each with one to an instance, beside what the process and its workers need.
pub(crate) fn connections(descriptors: u64, workers: u64, sockets: u64) -> u64 {
    let admin = Room::of(descriptors / 8).all as u64;
    let own = own(descriptors, workers, sockets) + admin;
    (descriptors.saturating_sub(own) / 2).max(limits::CONNECTIONS_MIN)
}

/// What the process and its workers need.
fn own(descriptors: u64, workers: u64, sockets: u64) -> u64 {
    // A listening socket is held three times: by its worker's task, for the worker's next life, and for a successor.
    let control = limits::RESERVED_DESCRIPTORS + probes(descriptors) as u64;
    control + workers * limits::WORKER_DESCRIPTORS + 3 * sockets
}

pub(crate) fn most_connections(runtime: &RuntimeSettings, descriptors: u64, room: u64) -> u64 {
    let most = runtime.connections.unwrap_or(room);
    if most > room {
        say::message(format_args!(
            "connections = {most}: {descriptors} descriptors (ulimit -n) are enough for {room} with one to an instance each"
        ));
    }
    most
}

/// How many of them probes may have at once.
pub(crate) fn probes(descriptors: u64) -> usize {
    (descriptors / limits::PROBE_DESCRIPTORS).min(limits::PROBES_AT_ONCE as u64) as usize
}
