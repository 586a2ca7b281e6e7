//! What stands before the first request of a connection: a PROXY protocol header from peers that are trusted to send one.
//!
//! A trusted peer must begin with a header, within the time for a head; a connection that does not is closed without an
//! answer, because nobody can tell whose it is. From others no header is looked for: to them it is a malformed request.

use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::{Buf, BytesMut};
use coregate_core::base::limits;
use coregate_core::proxy_protocol::{self, Parsed, ProxyVersion, Source};

use crate::proxy::accept;
use crate::proxy::connection::Downstream;
use crate::proxy::exchange::{First, Kept};
use crate::proxy::read::{self, Begun};
use crate::proxy::tcp;
use crate::transport::Ways;
use crate::worker::context::Worker;
use crate::worker::counted;
use crate::worker::slots::{PeerText, Wait};

/// Reads the header, if there must be one, and passes the connection on: to its service, where the listener has a TCP route,
/// or back to wait for requests.
#[expect(clippy::manual_async_fn, reason = "an async fn would hold its argument twice")]
pub fn run(mut downstream: Downstream) -> impl Future<Output = Option<Kept>> {
    async move {
        let worker = Rc::clone(downstream.wire.slot.worker());
        let mut early = BytesMut::new();
        if must_say(&worker, &downstream) && !header(&worker, &mut downstream, &mut early).await {
            // A stop ends those that have said nothing, which is no fault of theirs.
            if !worker.closing.is_set() || !early.is_empty() {
                worker.stats().proxy_header_errors.one();
            }
            return None;
        }
        if downstream.proxied.is_some() && !is_let_in(&worker, &downstream) {
            return None;
        }
        if let Some(service) = downstream.listener.tcp {
            tcp::run(downstream, service, early).await;
            return None;
        }
        let first = (!early.is_empty()).then(|| First::Begun(Begun::new(early)));
        Some((downstream, first))
    }
}

/// Whether this peer is one that must begin with a header.
fn must_say(worker: &Worker, downstream: &Downstream) -> bool {
    downstream.listener.must_say(&worker.slots.peer(downstream.wire.slot.id()))
}

/// Counts a connection among those of the client that its header tells of; whether it may stay.
fn is_let_in(worker: &Worker, downstream: &Downstream) -> bool {
    let slot = downstream.wire.slot.id();
    let listener = &downstream.listener;
    match counted::of_address(worker, listener, &worker.slots.peer(slot)) {
        Ok(None) => true,
        Ok(address) => {
            let kept = worker.slots.set_counted(slot, |counted| counted.address = address);
            debug_assert!(kept, "its task lives");
            true
        }
        Err(reject) => {
            accept::turn_away(worker, &downstream.wire.stream.handle(), listener, reject);
            false
        }
    }
}

/// Reads a header; what came behind it is left in `early`. Whether there was one.
async fn header(worker: &Worker, downstream: &mut Downstream, early: &mut BytesMut) -> bool {
    let slot = downstream.wire.slot.id();
    worker.arm(slot, Wait::Read, downstream.listener.head, Ways::Read);
    early.reserve(limits::NOTE_BYTES);
    let parsed = loop {
        let idle = early.is_empty();
        if idle {
            if worker.closing.is_set() {
                break None;
            }
            // Proxies keep connections open for requests to come, so this is one that waits for a request.
            worker.set_idle(slot, true);
        }
        let read = read::fill(early, &mut downstream.wire.stream.reader).await;
        if idle {
            worker.set_idle(slot, false);
        }
        if !matches!(read, Ok(1..)) {
            break None;
        }
        match proxy_protocol::parse(early) {
            Ok(Some(parsed)) => break Some(parsed),
            Ok(None) => {}
            Err(_) => break None,
        }
    };
    worker.slots.disarm(slot, Wait::Read);
    let Some(Parsed { consumed, source }) = parsed else { return false };
    early.advance(consumed);
    match source {
        Source::Local => {}
        Source::Peer { client, server } => {
            worker.slots.set_peer(slot, PeerText::of(client.ip().to_canonical()));
            downstream.proxied = Some(Box::new((client, server)));
        }
    }
    true
}

/// Writes the header that a connection to an instance begins with: who the client is, and where it came in.
pub fn write(worker: &Worker, downstream: &Downstream, version: ProxyVersion, out: &mut BytesMut) {
    let socket = || worker.slots.addresses(downstream.wire.slot.id());
    let known: Option<(SocketAddr, SocketAddr)> = downstream.proxied.as_deref().copied();
    match known.or_else(socket) {
        Some((client, server)) => proxy_protocol::write(version, client, server, out),
        None => proxy_protocol::write_local(version, out),
    }
}
