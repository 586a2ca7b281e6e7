//! The one path that ends a request, and alone may let a connection live on.
//!
//! A connection is used again only when the request's body was read to its end: by the upstream's side of the exchange, or
//! drained here within a budget. Otherwise it is closed, lingering: our half first, then what the client still sends is
//! read and dropped for a moment, so that the answer is not lost in a reset. Answers of our own are no exception: that is
//! where gateways have been smuggled through (CVE-2025-4366).

use std::future::Future;
use std::rc::Rc;

use bytes::BytesMut;
use coregate_core::base::limits;
use coregate_core::base::time::Span;
use coregate_core::http::body::{BodyReader, FRAME_BEFORE};
use coregate_core::http::encode::Persistence;
use coregate_core::http::framing::BodyIn;
use coregate_core::http::head::{Head, Request};

use crate::proxy::answer::Settled;
use crate::proxy::connection::Downstream;
use crate::proxy::forward::Ended;
use crate::proxy::intake::{Intake, Piece};
use crate::proxy::outbound::Outbound;
use crate::proxy::pump::{self, Pumped};
use crate::proxy::quota::Undecided;
use crate::proxy::record;
use crate::proxy::refusal::Refusal;
use crate::proxy::reject::Reject;
use crate::proxy::relay::{Answered, Broken};
use crate::proxy::tunnel::Switched;
use crate::transport::Ways;
use crate::worker::context::Worker;
use crate::worker::listeners::Listener;
use crate::worker::slots::Wait;

const DRAIN: Span = Span::of(limits::DRAIN_TIME);

/// What becomes of a connection.
#[derive(Debug)]
pub enum Next {
    /// It waits for its next request.
    Wait,
    /// Its next request has begun to arrive already.
    Again,
    /// The head of its next request has begun to arrive, and is not whole.
    More,
    /// Both ends go on with another protocol.
    Switch(Box<Switched>),
    /// It cannot be decided about its request before control is asked.
    Ask(Box<Undecided>),
    /// It is closed.
    Close,
}

/// What the head of a response says about the connection, as far as the request, the worker and the listener allow.
/// `served`: requests on this connection so far, this one included.
pub fn persistence(
    worker: &Worker,
    listener: &Listener,
    served: u32,
    request: &Request,
    ends_with_body: bool,
) -> Persistence {
    let ends = worker.stopping.is_set() || listener.is_gone();
    let may = request.keep_alive && !ends && served < listener.terms.requests;
    match may && !ends_with_body {
        false => Persistence::Close,
        true if request.http10 => Persistence::KeepAlive,
        true => Persistence::Default,
    }
}

/// Answers a request that is refused. `request` is known once its head was understood.
pub fn refuse<'a>(
    worker: &'a Rc<Worker>,
    downstream: &'a mut Downstream,
    head: &'a mut Head,
    request: Option<&'a Request>,
    refusal: Refusal<'_>,
) -> impl Future<Output = Next> + use<'a> {
    let settled = refused(worker, downstream, head, request, &refusal);
    answer(worker, downstream, head, request, settled)
}

/// Counts a refusal, and writes it, if there is anybody to have it.
pub fn refused(
    worker: &Worker,
    downstream: &Downstream,
    head: &Head,
    request: Option<&Request>,
    refusal: &Refusal<'_>,
) -> Option<Settled> {
    record::rejected(worker, refusal.reject);
    let is_there = refusal.reject != Reject::ClientGone;
    is_there.then(|| Settled::refusal(worker, downstream, head, request, refusal))
}

/// Sends an answer of our own; `None`: nobody is there to have one.
#[expect(clippy::manual_async_fn, reason = "an async fn would hold its arguments twice")]
pub fn answer<'a>(
    worker: &'a Rc<Worker>,
    downstream: &'a mut Downstream,
    head: &'a mut Head,
    request: Option<&'a Request>,
    settled: Option<Settled>,
) -> impl Future<Output = Next> + use<'a> {
    async move {
        let Some(Settled { status, page, persists }) = settled else { return Next::Close };
        let slot = downstream.wire.slot.id();
        worker.arm(slot, Wait::Write, downstream.listener.body, Ways::Both);
        let (sent, page) = downstream.wire.stream.writer.write_all(page, 0).await;
        worker.buffers.give(page);
        worker.slots.disarm(slot, Wait::Write);
        if sent.is_err() {
            worker.stats().client_aborts.one();
            return Next::Close;
        }
        record::answered(worker, status);
        if let Some(request) = request.filter(|_| persists) {
            let mut body = BodyReader::new(request.body);
            if let Ok(taken) = body.take(&mut head.page[request.head_len..]) {
                head.consume(request.head_len + taken.consumed);
                if body.is_done() || drain(worker, downstream, &mut body, head).await {
                    return next_of(head);
                }
            }
        }
        linger(worker, downstream).await;
        Next::Close
    }
}

/// The answer is with the client, to its end.
pub async fn after_answer(
    worker: &Rc<Worker>,
    downstream: &mut Downstream,
    head: &mut Head,
    answered: &Answered,
    ended: &mut Ended,
) -> Next {
    record::answered(worker, answered.status);
    if answered.persists && ended.pumped != Pumped::Short {
        head.consume(ended.used);
        take_rest(head, &mut ended.rest);
        return next_of(head);
    }
    linger(worker, downstream).await;
    Next::Close
}

/// The client has the 101 that its instance answered with.
pub fn after_switch(worker: &Worker, answered: &Answered) {
    record::answered(worker, answered.status);
}

/// There is no answer, or only a part of one.
pub async fn after_failure(
    worker: &Rc<Worker>,
    downstream: &mut Downstream,
    head: &mut Head,
    (request, outbound): (&Request, &Outbound),
    broken: &Broken,
    ended: &mut Ended,
) -> Next {
    if broken.answer_begun {
        // What the client has must not look whole; it sees the end of the connection before the end of the body.
        record::rejected(worker, broken.reject);
        return Next::Close;
    }
    let mut request = *request;
    if ended.pumped == Pumped::Short {
        request.keep_alive = false;
    } else {
        // The body is behind us: as if the request had had none.
        take_rest(head, &mut ended.rest);
        request.head_len = ended.used;
        request.body = BodyIn::None;
        request.expects_continue = false;
    }
    let refusal = outbound.refusal(broken.reject, downstream.listener.terms.rate_headers);
    refuse(worker, downstream, head, Some(&request), refusal).await
}

/// Puts what was read behind a body where the next request is looked for.
fn take_rest(head: &mut Head, rest: &mut Option<Box<BytesMut>>) {
    if let Some(rest) = rest.take() {
        head.page.extend_from_slice(&rest);
    }
}

/// What comes after a request whose bytes were taken out of the page.
fn next_of(head: &Head) -> Next {
    if head.page.is_empty() { Next::Wait } else { Next::Again }
}

/// Reads the rest of a body and drops it, within a budget of bytes and time; what follows it goes to the page. Whether it
/// ended in time.
async fn drain(
    worker: &Rc<Worker>,
    downstream: &mut Downstream,
    body: &mut BodyReader,
    head: &mut Head,
) -> bool {
    let slot = downstream.wire.slot.id();
    worker.arm(slot, Wait::Read, DRAIN, Ways::Read);
    let mut dropped = 0;
    while !body.is_done() && dropped < limits::DRAIN_BYTES {
        let Some(mut piece) = unwanted(worker, downstream, body.read_limit()).await else { break };
        dropped += piece.length as u64;
        let taken = body.take(&mut piece.buf[FRAME_BEFORE..]);
        if let (Ok(taken), true) = (&taken, body.is_done()) {
            head.page.extend_from_slice(&piece.buf[FRAME_BEFORE + taken.consumed..]);
        }
        worker.buffers.give(piece.buf);
        if taken.is_err() {
            break;
        }
    }
    worker.slots.disarm(slot, Wait::Read);
    body.is_done()
}

/// Ends our half and drops what the client still sends, for a moment: a close with unread bytes would reset the
/// connection and could take the answer with it (RFC 9112 §9.6). A client that goes on sending beyond the budget is reset:
/// else it would wait in vain for room to send into.
async fn linger(worker: &Rc<Worker>, downstream: &mut Downstream) {
    let slot = downstream.wire.slot.id();
    worker.slots.shut_down(slot, Ways::Write);
    worker.arm(slot, Wait::Read, DRAIN, Ways::Read);
    let mut dropped = 0;
    let ended = loop {
        let Some(piece) = unwanted(worker, downstream, usize::MAX).await else {
            break !worker.slots.expired(slot, Wait::Read);
        };
        worker.buffers.give(piece.buf);
        dropped += piece.length;
        if dropped >= limits::LINGER_BYTES {
            break false;
        }
    };
    if !ended {
        worker.slots.abort(slot);
    }
}

/// What the client sends next, which nobody wants; `None`: its stream has ended, or its time.
async fn unwanted(worker: &Worker, downstream: &mut Downstream, most: usize) -> Option<Piece> {
    let reader = &mut downstream.wire.stream.reader;
    let mut intake = Intake::of_small_pieces();
    loop {
        intake.ready(reader).await.ok()?;
        match intake.read(&worker.buffers, reader, most) {
            Ok(Some(piece)) if piece.length > 0 => return Some(piece),
            Ok(None) => {}
            other => {
                pump::give_back(worker, other);
                return None;
            }
        }
    }
}

/// Whether a client's request id may be passed on: 1 to 128 visible ASCII characters.
pub fn is_usable_id(id: &[u8]) -> bool {
    (1..=128).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}
