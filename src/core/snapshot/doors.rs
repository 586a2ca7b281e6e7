//! Which listening socket belongs to which listener.
//!
//! A reload may give an address to another listener while clients come in by it. Which terms a connection is served on is
//! decided when it is accepted, by the snapshot that has these terms: both change at once.

use std::time::Duration;

use crate::base::ids::{ListenerId, SocketId};
use crate::base::limits;

/// The sockets of a snapshot.
#[derive(Debug)]
pub struct Doors {
    /// Sorted by socket.
    sockets: Box<[(SocketId, ListenerId)]>,
    /// How long connections may go on whose listener is gone.
    pub drain: Duration,
}

impl Default for Doors {
    /// No socket has changed hands yet.
    fn default() -> Self {
        Self { sockets: Box::default(), drain: limits::SHUTDOWN_TIME }
    }
}

impl Doors {
    /// These sockets.
    pub(crate) fn new(mut sockets: Vec<(SocketId, ListenerId)>, drain: Duration) -> Self {
        sockets.sort_unstable();
        Self { sockets: sockets.into(), drain }
    }

    /// The listener that a socket belongs to. None of one that is to be closed, nor of any before the first reload: then it is
    /// the one that the socket was made for.
    pub fn listener(&self, socket: SocketId) -> Option<ListenerId> {
        let found = self.sockets.binary_search_by_key(&socket, |(socket, _)| *socket);
        found.ok().map(|at| self.sockets[at].1)
    }
}
