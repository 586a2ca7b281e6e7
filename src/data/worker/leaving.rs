//! Listening sockets that are to be closed, while what waits in them is still accepted.
//!
//! An address listens as long as anybody holds a copy of its socket. The task that accepts has one, and should the worker die
//! before that task has ended, the dead runtime would hold it for as long as the process lives: nobody accepts there, whoever
//! connects waits, and the address cannot be had again. So the socket itself is kept until then, and stops listening, for all who
//! hold it, by `shutdown(2)`.

use std::cell::RefCell;

use rustix::net::{AddressFamily, Shutdown, sockopt};

use crate::worker::context::Worker;
use crate::worker::post::Listening;
use coregate_core::base::ids::SocketId;

/// The sockets that are on their way out.
#[derive(Debug, Default)]
pub struct Leaving(RefCell<Vec<Listening>>);

impl Leaving {
    /// These are to be closed once their tasks have ended.
    pub fn take_in(&self, sockets: Vec<Listening>) {
        self.0.borrow_mut().extend(sockets);
    }

    /// The task of this one has ended: it is closed.
    pub fn let_go(&self, worker: &Worker, socket: SocketId) {
        let gone = self.0.borrow_mut().extract_if(.., |one| one.id == socket).collect();
        close(worker, gone);
    }

    /// The worker has died: all of them are closed.
    pub fn let_all_go(&self, worker: &Worker) {
        close(worker, self.0.take());
    }
}

/// Closes sockets, here and wherever there is a copy, unless another process goes on with them.
fn close(worker: &Worker, sockets: Vec<Listening>) {
    if worker.handed_over.get() {
        return;
    }
    for listening in sockets {
        // A Unix socket is that of all workers, who may still accept what waits there. Where it goes by a reload its file has gone
        // first, so nobody comes to a copy that a dead runtime holds; where the process stops, the file is there to the end.
        let is_shared = sockopt::socket_domain(&listening.socket) == Ok(AddressFamily::UNIX);
        let is_stale = worker.stats().worker_deaths.get() > 0 && worker.told_to_stop.get();
        if !is_shared || is_stale {
            #[expect(clippy::disallowed_methods, reason = "of a listener, not of a connection")]
            let _ = rustix::net::shutdown(&listening.socket, Shutdown::Both);
        }
    }
}
