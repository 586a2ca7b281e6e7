//! Tunnels: bytes both ways between a client and an instance, until both have ended or nothing moves for long.
//!
//! After a 101 that both agreed on (WebSocket, and whatever else an instance speaks), and for TCP routes. A tunnel knows
//! nothing of what it carries. It waits without buffers, so that an idle one costs little more than its two sockets.
//!
//! An end that one side says is passed on, and the other direction goes on: half a connection is a connection. A reset is
//! passed on as a reset, so that nobody takes a stream that broke off for a whole one.

use std::cell::Cell;
use std::future::Future;
use std::mem;
use std::pin::pin;
use std::rc::Rc;

use bytes::BytesMut;
use coregate_core::base::counter::Counter;
use coregate_core::base::limits;
use coregate_core::base::time::Span;
use coregate_core::http::body::FRAME_BEFORE;
use coregate_core::http::head::Head;

use crate::proxy::connection::Downstream;
use crate::proxy::forward::both;
use crate::proxy::intake::Intake;
use crate::proxy::outbound::Outbound;
use crate::proxy::pump;
use crate::transport::{Reader, Ways, Writer};
use crate::upstream::Upstream;
use crate::worker::context::Worker;
use crate::worker::rest::breathe;
use crate::worker::slots::{SlotId, Wait};

/// What an exchange leaves for a tunnel: the connection to the instance that answered with 101.
#[derive(Debug)]
pub struct Switched {
    upstream: Upstream,
    to_client: BytesMut,
    to_instance: BytesMut,
    idle: Span,
}

impl Switched {
    /// `early`: what came behind the 101; `head`: what came behind the request is all that is left in its page.
    pub fn new(upstream: Upstream, early: BytesMut, head: &Head, outbound: &Outbound) -> Self {
        Self {
            upstream,
            to_client: early,
            to_instance: BytesMut::from(&head.page[..]),
            idle: outbound.tunnel(),
        }
    }

    /// The tunnel to this client.
    pub fn tunnel(self, downstream: Downstream) -> Tunnel {
        let Self { upstream, to_client, to_instance, idle } = self;
        Tunnel { downstream, upstream, to_client, to_instance, idle }
    }
}

/// A client and an instance that speak to each other.
#[derive(Debug)]
pub struct Tunnel {
    /// The client.
    pub downstream: Downstream,
    /// The instance.
    pub upstream: Upstream,
    /// What the instance has said already.
    pub to_client: BytesMut,
    /// What the client has said already.
    pub to_instance: BytesMut,
    /// It ends when nothing has moved for so long.
    pub idle: Span,
}

/// Carries bytes both ways until both have ended.
#[expect(clippy::manual_async_fn, reason = "an async fn would hold its argument twice")]
pub fn run(mut tunnel: Tunnel) -> impl Future<Output = ()> {
    async move {
        let (to_client, to_instance) =
            (mem::take(&mut tunnel.to_client), mem::take(&mut tunnel.to_instance));
        let Tunnel { downstream, upstream, idle, .. } = &mut tunnel;
        let idle = *idle;
        let worker = Rc::clone(downstream.wire.slot.worker());
        let _open = Open::new(&worker);
        let (client, instance) = (downstream.wire.slot.id(), upstream.wire.slot.id());
        let (stuck, half) = (Cell::new(0), Cell::new(false));
        let ends = Ends { worker: &worker, client, instance, idle, stuck, half };
        let (down, up) = (&mut downstream.wire.stream, &mut upstream.wire.stream);
        let stats = worker.stats();
        // Until a way has said its end, whatever ends it breaks it off.
        [client, instance].into_iter().for_each(|slot| worker.slots.set_breaks(slot, true));
        let (up_way, down_way) = (
            ends.carry(
                (&mut down.reader, client),
                (&mut up.writer, instance),
                to_instance,
                &stats.tunnel_bytes_in,
            ),
            ends.carry(
                (&mut up.reader, instance),
                (&mut down.writer, client),
                to_client,
                &stats.tunnel_bytes_out,
            ),
        );
        both(pin!(up_way), pin!(down_way)).await;
    }
}

/// Counts a tunnel as open.
struct Open<'w>(&'w Worker);

impl<'w> Open<'w> {
    fn new(worker: &'w Worker) -> Self {
        worker.stats().tunnels.one();
        worker.stats().tunnels_open.one();
        Self(worker)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.stats().tunnels_open.sub(1);
    }
}

/// How one direction ended.
enum End {
    /// Its source said that it has said everything.
    Said,
    /// Nothing moved for too long.
    Idle,
    /// Either side broke off.
    Broken,
}

/// Both ends of a tunnel.
struct Ends<'w> {
    worker: &'w Rc<Worker>,
    client: SlotId,
    instance: SlotId,
    idle: Span,
    /// Ways whose bytes nobody takes at the moment.
    stuck: Cell<u32>,
    /// One way has said its end.
    half: Cell<bool>,
}

impl Ends<'_> {
    /// Carries bytes one way until that way has ended, and says so to whoever must know.
    async fn carry(
        &self,
        (from, source): (&mut Reader, SlotId),
        (to, sink): (&mut Writer, SlotId),
        early: BytesMut,
        bytes: &Counter,
    ) {
        let slots = &self.worker.slots;
        match self.carry_on((from, source), (to, sink), early, bytes).await {
            End::Said => {
                slots.set_breaks(sink, false);
                slots.shut_down(sink, Ways::Write);
                self.half.set(true);
                self.moved();
            }
            // Nothing is on its way: a plain end.
            End::Idle if self.stuck.get() == 0 => [source, sink].into_iter().for_each(|slot| {
                slots.set_breaks(slot, false);
                slots.shut_down(slot, Ways::Both);
            }),
            End::Idle | End::Broken => {
                [source, sink].into_iter().for_each(|slot| slots.abort(slot))
            }
        }
    }

    async fn carry_on(
        &self,
        (from, source): (&mut Reader, SlotId),
        (to, sink): (&mut Writer, SlotId),
        early: BytesMut,
        bytes: &Counter,
    ) -> End {
        if !early.is_empty() {
            bytes.add(early.len() as u64);
            if !self.write(to, sink, early, 0).await {
                return End::Broken;
            }
        }
        let worker = self.worker;
        let mut intake = Intake::default();
        let mut pieces = 0;
        loop {
            self.moved();
            let ready = intake.ready(from).await;
            if worker.slots.expired(source, Wait::Read) {
                return End::Idle;
            }
            if !to.is_ready() {
                // What nobody takes stays with its sender.
                intake.shrink();
                worker.arm(sink, Wait::Write, self.idle, Ways::Both);
                self.stuck.set(self.stuck.get() + 1);
                let taken = to.ready().await;
                worker.slots.disarm(sink, Wait::Write);
                if worker.slots.expired(sink, Wait::Write) {
                    return End::Idle;
                }
                if taken.is_err() {
                    return End::Broken;
                }
                self.stuck.set(self.stuck.get() - 1);
            }
            intake.fit(to);
            let piece = match ready.and_then(|()| intake.read(&worker.buffers, from, usize::MAX)) {
                Ok(Some(piece)) if piece.length > 0 => piece,
                Ok(None) => continue,
                Ok(Some(end)) => {
                    pump::give_back(worker, Ok(Some(end)));
                    return End::Said;
                }
                Err(_) => return End::Broken,
            };
            bytes.add(piece.length as u64);
            if !self.write(to, sink, piece.buf, FRAME_BEFORE).await {
                return End::Broken;
            }
            if piece.full {
                breathe(worker, &mut pieces, limits::PIECES_PER_TURN).await;
            }
        }
    }

    async fn write(&self, to: &mut Writer, sink: SlotId, buf: BytesMut, from: usize) -> bool {
        self.worker.arm(sink, Wait::Write, self.idle, Ways::Both);
        self.stuck.set(self.stuck.get() + 1);
        let (sent, buf) = to.write_all(buf, from).await;
        self.worker.slots.disarm(sink, Wait::Write);
        if sent.is_ok() {
            self.stuck.set(self.stuck.get() - 1);
        }
        self.worker.buffers.give(buf);
        sent.is_ok()
    }

    /// Something has moved, one way or the other: both reads may wait anew.
    fn moved(&self) {
        let half = const { Span::of(limits::TUNNEL_HALF_CLOSED) };
        let span = if self.half.get() { self.idle.min(half) } else { self.idle };
        let until = self.worker.clock.refresh().after(span);
        for slot in [self.client, self.instance] {
            self.worker.arm_at(slot, Wait::Read, until, Ways::Both);
        }
    }
}
