//! A client's connection: a small future that waits for requests, and lends itself to an exchange for each.
//!
//! This future is all that an idle connection costs beside its receive cell: its size is a test (256 bytes). A panic in
//! an exchange ends here: it is counted, this connection is closed, no other notices.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use coregate_core::base::ids::{ListenerId, ServiceId};
use coregate_core::base::limits;
use coregate_core::base::pace::Pace;
use coregate_core::base::time::Span;
use coregate_core::snapshot;
use coregate_core::snapshot::plan::{ListenerTerms, TrustedPeers};
use futures_util::FutureExt;

use crate::proxy::exchange::{First, Job, Rare, Running};
use crate::proxy::preface;
use crate::transport::{Stream, Ways};
use crate::worker::context::{Wire, Worker};
use crate::worker::slots::{PeerText, Wait};

/// What a worker knows of a listener.
#[derive(Debug)]
pub struct Listener {
    /// Its id.
    pub id: ListenerId,
    /// The terms on which it speaks to clients.
    pub terms: ListenerTerms,
    /// The peers that must begin with a PROXY protocol header.
    pub trusted: Option<TrustedPeers>,
    /// The service that connections are passed to as they are.
    pub tcp: Option<ServiceId>,
    /// Time for a head.
    pub head: Span,
    /// Time without a request.
    pub idle: Span,
    /// Time between two pieces of a body.
    pub body: Span,
}

impl Listener {
    /// A listener as the snapshot has it.
    pub fn new(id: ListenerId, listener: &snapshot::listeners::Listener) -> Self {
        let terms = listener.terms;
        Self {
            id,
            terms,
            trusted: listener.trusted.clone(),
            tcp: listener.tcp,
            head: Span::of(terms.head_timeout),
            idle: Span::of(terms.idle_timeout),
            body: Span::of(terms.body_timeout),
        }
    }

    /// Whether there is more to a connection than requests.
    fn has_preface(&self) -> bool {
        self.trusted.is_some() || self.tcp.is_some()
    }

    /// An account of the time that a client may take for a body, in one direction.
    pub fn pace(&self) -> Pace {
        // No more can be configured; see `limits::BODY_RATE_MAX`.
        let rate = u32::try_from(self.terms.body_rate).unwrap_or(u32::MAX / 10);
        Pace::new(rate, const { Span::of(limits::BODY_RATE_GRACE) }, self.body)
    }
}

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
    /// A connection for which a permit was taken.
    pub fn new(
        worker: &Rc<Worker>,
        stream: Stream,
        peer: PeerText,
        listener: Rc<Listener>,
    ) -> Self {
        worker.stats().connections_open.one();
        Self { wire: Wire::new(worker, stream, peer), listener, served: 0, proxied: None }
    }
}

impl Drop for Downstream {
    fn drop(&mut self) {
        let worker = self.wire.slot.worker();
        worker.release_permits(1);
        worker.untidy();
        let stats = worker.stats();
        stats.connections_open.sub(1);
        if worker.stopping.is_set() && stats.connections_open.get() == 0 {
            worker.drained.set();
        }
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
                if worker.stopping.is_set() {
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
