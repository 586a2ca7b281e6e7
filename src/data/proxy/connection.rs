//! A client's connection: a small future that waits for requests, and lends itself to an exchange for each.
//!
//! This future is all that an idle connection costs beside its receive cell: its size is a test (256 bytes). A panic in
//! an exchange ends here: it is counted, this connection is closed, no other notices.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use futures_util::FutureExt;

use crate::proxy::exchange::{First, Job, Rare, Running};
use crate::proxy::preface;
use crate::transport::{Stream, Ways};
use crate::worker::context::Worker;
use crate::worker::counted::Counted;
use crate::worker::listeners::Listener;
use crate::worker::slots::{PeerText, Wait};
use crate::worker::wire::Wire;

/// A client's connection, which holds one of the host's connection permits.
#[derive(Debug)]
pub struct Downstream {
    /// The connection.
    pub wire: Wire,
    /// Where it came in.
    pub listener: Rc<Listener>,
    /// How many requests were answered on it.
    pub served: u32,
    /// Who the client is and where it came in, as a PROXY protocol header has it.
    pub proxied: Option<Box<(SocketAddr, SocketAddr)>>,
}

impl Downstream {
    /// A connection for which a permit was taken. `counted`: what else it is counted among.
    pub fn new(
        worker: &Rc<Worker>,
        stream: Stream,
        (peer, counted): (PeerText, Counted),
        listener: Rc<Listener>,
    ) -> Self {
        worker.stats().connections_open.one();
        let wire = Wire::new(worker, stream, peer);
        let kept = worker.slots.set_counted(wire.slot.id(), |slot| *slot = counted);
        debug_assert!(kept, "it was opened just now");
        worker.slots.set_client(wire.slot.id(), listener.incarnation);
        Self { wire, listener, served: 0, proxied: None }
    }

    /// The next request is served on the terms of now, unless its listener is gone, or another by now.
    fn renew_terms(&mut self) {
        if self.listener.is_outdated()
            && let Some(listener) = self.wire.slot.worker().listener(self.listener.id)
            && listener.incarnation == self.listener.incarnation
        {
            self.listener = listener;
        }
    }
}

impl Drop for Downstream {
    fn drop(&mut self) {
        let worker = self.wire.slot.worker();
        worker.release_permits(1);
        worker.untidy();
        worker.stats().connections_open.sub(1);
    }
}

/// Serves a connection until it ends. Never panics.
pub fn serve(worker: Rc<Worker>, downstream: Downstream) -> impl Future<Output = ()> {
    let requests = AssertUnwindSafe(requests(downstream)).catch_unwind();
    requests.map(move |result| {
        if result.is_err() {
            worker.stats().panics.one();
        }
    })
}

#[expect(clippy::manual_async_fn, reason = "an async fn would hold its argument twice")]
fn requests(mut downstream: Downstream) -> impl Future<Output = ()> {
    async move {
        let mut first = None;
        if downstream.listener.has_preface() {
            let worker = Rc::clone(downstream.wire.slot.worker());
            let mut running = Running::Rare(Rare::new(preface::run(downstream)));
            match poll_fn(|context| running.poll(&worker, context)).await {
                Some((kept, next)) => (downstream, first) = (kept, next),
                None => return,
            }
        }
        loop {
            let worker = Rc::clone(downstream.wire.slot.worker());
            let slot = downstream.wire.slot.id();
            if first.is_none() {
                if worker.closing.is_set() {
                    return;
                }
                worker.arm(slot, Wait::Read, downstream.listener.idle, Ways::Read);
                worker.set_idle(slot, true);
                let cell = worker.buffers.cell();
                let (read, cell) = downstream.wire.stream.reader.read(cell).await;
                worker.set_idle(slot, false);
                worker.slots.disarm(slot, Wait::Read);
                match read {
                    Ok(length @ 1..) => first = Some(First::Cell(cell, length as u16)),
                    _ => return worker.buffers.give_cell(cell),
                }
            }
            let Some(begun) = first.take() else { return };
            worker.beat();
            downstream.renew_terms();
            let mut running = Running::new(&worker, Job { downstream, first: begun });
            match poll_fn(|context| running.poll(&worker, context)).await {
                Some((kept, next)) => (downstream, first) = (kept, next),
                None => return,
            }
        }
    }
}

/// The size of the future that serves a connection, in bytes.
pub fn future_size() -> usize {
    fn size<F: Future>(_: impl Fn(Rc<Worker>, Downstream) -> F) -> usize {
        size_of::<F>()
    }
    size(serve)
}
