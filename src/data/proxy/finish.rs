//! The one path that ends a request, and alone may let a connection live on.
//!
//! A connection is used again only when the request's body was read to its end: by the upstream's side of the exchange, or
//! drained here within a budget. Otherwise it is closed, lingering: our half first, then what the client still sends is
//! read and dropped for a moment, so that the answer is not lost in a reset. Answers of our own are no exception: that is
//! where gateways have been smuggled through (CVE-2025-4366).

use std::mem;
use std::rc::Rc;

use bytes::BytesMut;
use coregate_core::base::limits;
use coregate_core::base::time::Span;
use coregate_core::http::answer::{self, Answer};
use coregate_core::http::body::BodyReader;
use coregate_core::http::encode::Persistence;
use coregate_core::http::framing::BodyIn;
use coregate_core::http::head::{Head, Method, Request};
use coregate_core::http::hop::Role;

use crate::proxy::connection::Downstream;
use crate::proxy::forward::Ended;
use crate::proxy::pump::Pumped;
use crate::proxy::record;
use crate::proxy::reject::{Fate, Reject};
use crate::proxy::relay::{Answered, Broken};
use crate::transport::Ways;
use crate::worker::context::Worker;
use crate::worker::slots::Wait;

const DRAIN: Span = Span::of(limits::DRAIN_TIME);

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It waits for its next request.
    Wait,
    /// Its next request has begun to arrive already.
    Again,
    /// It is closed.
    Close,
}

/// What the head of a response says about the connection, as far as the request and the worker allow.
pub fn persistence(worker: &Worker, request: &Request, ends_with_body: bool) -> Persistence {
    match request.keep_alive && !worker.stopping.is_set() && !ends_with_body {
        false => Persistence::Close,
        true if request.http10 => Persistence::KeepAlive,
        true => Persistence::Default,
    }
}

/// Answers a request that is refused. `request` is known once its head was understood.
pub async fn refuse(
    worker: &Rc<Worker>,
    downstream: &mut Downstream,
    head: &mut Head,
    request: Option<&Request>,
    reject: Reject,
) -> Next {
    let row = reject.row();
    record::rejected(worker, reject);
    if reject == Reject::ClientGone {
        return Next::Close;
    }
    // A client that waits for a 100 before it sends its body will not send it now; nobody can tell what comes next.
    let persistence = match request {
        Some(request) if row.fate == Fate::Keep && !request.expects_continue => {
            persistence(worker, request, false)
        }
        _ => Persistence::Close,
    };
    let request_id =
        request.and_then(|_| head.value_of(Role::RequestId)).filter(|id| is_usable_id(id));
    let answer = Answer {
        status: row.status,
        extra: row.extra,
        request_id: request_id.unwrap_or_default(),
        reason: downstream.listener.terms.expose_reasons.then_some(row.reason),
        to_head: request.is_some_and(|request| request.method == Method::Head),
        persistence,
    };
    let mut page = worker.buffers.page_for(limits::HEAD_EXTRAS_BYTES);
    worker.clock.with_date(|date| answer::write(&mut page, &answer, date));
    let slot = downstream.wire.slot.id();
    worker.arm(slot, Wait::Write, downstream.listener.body, Ways::Both);
    let (sent, page) = downstream.wire.stream.writer.write_all(page, 0).await;
    worker.buffers.give(page);
    worker.slots.disarm(slot, Wait::Write);
    if sent.is_err() {
        worker.stats().client_aborts.one();
        return Next::Close;
    }
    record::answered(worker, row.status);
    let Some(request) = request.filter(|_| persistence != Persistence::Close) else {
        linger(worker, downstream).await;
        return Next::Close;
    };
    let mut body = BodyReader::new(request.body);
    match body.take(&mut head.page[request.head_len..]) {
        Ok(taken) => head.consume(request.head_len + taken.consumed),
        Err(_) => {
            linger(worker, downstream).await;
            return Next::Close;
        }
    }
    if body.is_done() {
        return next_of(head);
    }
    match drain(worker, downstream, &mut body).await {
        Some(rest) => {
            head.page.extend_from_slice(&rest);
            worker.buffers.give(rest);
            next_of(head)
        }
        None => {
            linger(worker, downstream).await;
            Next::Close
        }
    }
}

/// The answer is with the client, to its end.
pub async fn after_answer(
    worker: &Rc<Worker>,
    downstream: &mut Downstream,
    head: &mut Head,
    request: &Request,
    answered: &Answered,
    ended: &mut Ended,
) -> Next {
    record::answered(worker, answered.status);
    if answered.persists && ended.pumped != Pumped::Short {
        head.consume(request.head_len + ended.page_used);
        take_rest(worker, head, &mut ended.rest);
        return next_of(head);
    }
    linger(worker, downstream).await;
    Next::Close
}

/// There is no answer, or only a part of one.
pub async fn after_failure(
    worker: &Rc<Worker>,
    downstream: &mut Downstream,
    head: &mut Head,
    request: &Request,
    broken: &Broken,
    ended: &mut Ended,
) -> Next {
    if broken.answer_begun {
        // What the client has must not look whole; it sees the end of the connection before the end of the body.
        record::rejected(worker, broken.reject);
        if broken.ends_with_connection {
            worker.slots.abort(downstream.wire.slot.id());
        }
        return Next::Close;
    }
    let mut request = *request;
    if ended.pumped == Pumped::Short {
        request.keep_alive = false;
    } else {
        // The body is behind us: as if the request had had none.
        take_rest(worker, head, &mut ended.rest);
        request.head_len += ended.page_used;
        request.body = BodyIn::None;
        request.expects_continue = false;
    }
    refuse(worker, downstream, head, Some(&request), broken.reject).await
}

/// Puts what was read behind a body where the next request is looked for.
fn take_rest(worker: &Rc<Worker>, head: &mut Head, rest: &mut BytesMut) {
    if rest.capacity() > 0 {
        let rest = mem::take(rest);
        head.page.extend_from_slice(&rest);
        worker.buffers.give(rest);
    }
}

/// What comes after a request whose bytes were taken out of the page.
fn next_of(head: &Head) -> Next {
    if head.page.is_empty() { Next::Wait } else { Next::Again }
}

/// Reads the rest of a body and drops it, within a budget of bytes and time. Gives what follows it, if it ended in time.
async fn drain(
    worker: &Rc<Worker>,
    downstream: &mut Downstream,
    body: &mut BodyReader,
) -> Option<BytesMut> {
    let slot = downstream.wire.slot.id();
    worker.arm(slot, Wait::Read, DRAIN, Ways::Read);
    let mut budget = limits::DRAIN_BYTES;
    let mut buf = worker.buffers.relay();
    let whole = loop {
        buf.clear();
        let (read, filled) = downstream.wire.stream.reader.read_more(buf, body.read_limit()).await;
        buf = filled;
        let Ok(length @ 1..) = read else { break false };
        let Ok(taken) = body.take(&mut buf) else { break false };
        if body.is_done() {
            let rest = buf.len() - taken.consumed;
            buf.copy_within(taken.consumed.., 0);
            buf.truncate(rest);
            break true;
        }
        budget = budget.saturating_sub(length as u64);
        if budget == 0 {
            break false;
        }
    };
    worker.slots.disarm(slot, Wait::Read);
    if whole {
        return Some(buf);
    }
    worker.buffers.give(buf);
    None
}

/// Ends our half and drops what the client still sends, for a moment: a close with unread bytes would reset the
/// connection and could take the answer with it (RFC 9112 §9.6). A client that goes on sending beyond the budget is reset:
/// else it would wait in vain for room to send into.
async fn linger(worker: &Rc<Worker>, downstream: &mut Downstream) {
    let slot = downstream.wire.slot.id();
    worker.slots.shut_down(slot, Ways::Write);
    worker.arm(slot, Wait::Read, DRAIN, Ways::Read);
    let mut budget = limits::LINGER_BYTES;
    let mut buf = worker.buffers.relay();
    let ended = loop {
        buf.clear();
        let (read, filled) = downstream.wire.stream.reader.read_more(buf, usize::MAX).await;
        buf = filled;
        match read {
            Ok(length @ 1..) => budget = budget.saturating_sub(length),
            _ => break !worker.slots.expired(slot, Wait::Read),
        }
        if budget == 0 {
            break false;
        }
    };
    worker.buffers.give(buf);
    if !ended {
        worker.slots.abort(slot);
    }
}

/// Whether a client's request id may be passed on: 1 to 128 visible ASCII characters.
pub fn is_usable_id(id: &[u8]) -> bool {
    (1..=128).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}
