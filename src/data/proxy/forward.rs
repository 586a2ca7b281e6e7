//! Forwarding: a request goes to an instance, its answer comes back, both bodies stream at once.
//!
//! ```text
//!  client ──reader──▶ pump  ──writer──▶ instance        two futures under one join, sharing a `Turn`;
//!  client ◀─writer── relay ◀─reader─── instance         neither is ever dropped half-way (rule 11)
//! ```
//!
//! When one side must stop the other, it shuts the stream down that the other waits on; the other then finds in the
//! [`Turn`] why. Retries follow RFC 9110 §9.2.2: any request while none of its bytes was handed to the kernel; an
//! idempotent one without a body once more, if a connection that had been used before died without a byte of an answer.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use bytes::BytesMut;
use coregate_core::base::limits;
use coregate_core::base::time::Tick;
use coregate_core::http::encode::{self, RequestExtras};
use coregate_core::http::framing::BodyIn;
use coregate_core::http::head::{Head, Request};
use coregate_core::http::hop::Role;

use crate::proxy::bulkhead::Comer;
use crate::proxy::connection::Downstream;
use crate::proxy::finish::{self, Next};
use crate::proxy::judge;
use crate::proxy::outbound::Outbound;
use crate::proxy::preface;
use crate::proxy::pump::{Pump, Pumped};
use crate::proxy::reach::{Wanted, reach};
use crate::proxy::reject::Reject;
use crate::proxy::relay::{Answered, Broken, Relay};
use crate::proxy::tunnel::Switched;
use crate::transport::Ways;
use crate::upstream::Upstream;
use crate::worker::context::Worker;
use crate::worker::listeners::Listener;
use crate::worker::slots::{SlotId, Wait};

/// What the two directions of an exchange tell each other.
#[derive(Default)]
pub struct Turn {
    /// The final answer is through, or never will be: what is left of the request's body is only drained.
    pub answered: Cell<bool>,
    /// The head of the final answer has come.
    pub head_received: Cell<bool>,
    /// The request is through, its body included.
    pub pumped: Cell<bool>,
    /// The client has yet to send a part of the request's body.
    pub streaming: Cell<bool>,
    /// The client may wait for a 100 before it sends its body.
    pub awaits_continue: Cell<bool>,
    /// The pump waits for the client, who may rightly wait for a 100.
    pub waits_uncounted: Cell<bool>,
    /// Not one byte of the request was handed to the kernel, and all of it is still here.
    pub untouched: Cell<bool>,
    /// When draining must end, once there is nothing but that to do.
    pub drain_until: Cell<Option<Tick>>,
    /// The client broke the exchange off, in this way.
    pub client_fault: Cell<Option<Reject>>,
    /// What came behind a 101: the first bytes of another protocol.
    pub switched: Cell<Option<Box<BytesMut>>>,
    /// What came behind the request's body, if it was read from the client beyond the page.
    pub rest: Cell<Option<Box<BytesMut>>>,
}

impl Turn {
    fn new(request: &Request) -> Self {
        Self { awaits_continue: Cell::new(request.expects_continue), ..Self::default() }
    }
}

/// Both sides of an exchange, as the pump and the relay see them.
pub struct Sides<'a> {
    /// The worker.
    pub worker: &'a Rc<Worker>,
    /// What the two directions tell each other.
    pub turn: Turn,
    /// The listener's terms.
    pub terms: &'a Listener,
    /// Where the request goes, and on what terms.
    pub outbound: &'a Outbound,
    /// The request.
    pub request: &'a Request,
    /// The client's slot.
    pub client: SlotId,
    /// The instance's slot.
    pub instance: SlotId,
    /// The page that the request came in.
    pub head: RefCell<&'a mut Head>,
    /// The request's head as it goes to the instance.
    pub out: Cell<BytesMut>,
    /// How much of that page belongs to the request.
    pub used: Cell<usize>,
    /// How many requests were served on the client's connection, this one included.
    pub served: u32,
}

impl Sides<'_> {
    /// A deadline for a write to the instance of what has just been read, and with it the clock.
    pub fn arm_instance_write(&self) {
        let until = self.worker.clock.after(self.outbound.body());
        self.worker.arm_at(self.instance, Wait::Write, until, Ways::Both);
    }

    /// Keeps of the request's page only what is still needed, in a smaller one: a body may be long in coming or going.
    pub fn compact(&self) {
        let mut head = self.head.borrow_mut();
        if head.page.capacity() <= limits::NOTE_BYTES {
            return;
        }
        // Nothing is behind a body that has not come to its end.
        let streaming = self.turn.streaming.get() && !self.turn.pumped.get();
        let end = head.fields.last().map_or(0, |field| field.value.range().end);
        let kept = if streaming { end.min(head.page.len()) } else { head.page.len() };
        let Some(mut note) = self.worker.buffers.note_for(kept) else { return };
        note.extend_from_slice(&head.page[..kept]);
        self.worker.buffers.give_page(mem::replace(&mut head.page, note));
        self.worker.untidy();
        self.used.set(self.used.get().min(kept));
    }

    /// Both directions are through.
    fn ended(self, pumped: Pumped, answer: Result<Answered, Broken>) -> Ended {
        // Whatever still waited on the client's side waits no longer.
        self.worker.slots.disarm(self.client, Wait::Read);
        Ended {
            answer,
            pumped,
            untouched: self.turn.untouched.get(),
            rest: self.turn.rest.take(),
            used: self.used.get(),
            switched: self.turn.switched.take(),
        }
    }
}

/// Forwards a request, and again where that is allowed; answers the client in every case.
#[expect(clippy::manual_async_fn, reason = "an async fn would hold its arguments twice")]
pub fn forward(
    worker: &Rc<Worker>,
    downstream: &mut Downstream,
    head: &mut Head,
    request: &Request,
    outbound: Outbound,
) -> impl Future<Output = Next> {
    async move {
        // A connection that has named a client speaks for no other.
        let named = outbound.terms().proxy_protocol.is_some();
        let owner = named.then(|| downstream.wire.slot.id());
        let comer = Comer { class: outbound.class(), ..Comer::default() };
        let mut wanted = Wanted { comer, owner, ..Wanted::default() };
        for attempt in 1.. {
            let service = outbound.service();
            let last = attempt >= service.service.terms.attempts;
            let reached = reach(worker, service, || outbound.connect(), &mut wanted).await;
            let mut upstream = match reached {
                Ok(upstream) => upstream,
                Err((Some(picked), reject)) if !last && reject.row().retry => {
                    worker.stats().retries.one();
                    wanted.comer.failed = Some(picked);
                    continue;
                }
                Err((_, reject)) => {
                    let headers = downstream.listener.terms.rate_headers;
                    let refusal = outbound.refusal(reject, headers);
                    return finish::refuse(worker, downstream, head, Some(request), refusal).await;
                }
            };
            #[cfg(feature = "chaos")]
            crate::proxy::route::chaos_at_instance(request.path(head));
            let out = head_for_instance(worker, downstream, head, request, (&outbound, &upstream));
            let client = &mut downstream.wire.stream;
            let instance = &mut upstream.wire.stream;
            let sides = Sides {
                worker,
                turn: Turn::new(request),
                terms: &downstream.listener,
                outbound: &outbound,
                request,
                client: downstream.wire.slot.id(),
                instance: upstream.wire.slot.id(),
                head: RefCell::new(head),
                out: Cell::new(out),
                used: Cell::new(request.head_len),
                served: downstream.served,
            };
            let (pumped, answer) = {
                let pumping = Pump { sides: &sides }.run(&mut client.reader, &mut instance.writer);
                let relaying =
                    Relay { sides: &sides }.run(&mut instance.reader, &mut client.writer);
                both(pin!(pumping), pin!(relaying)).await
            };
            let mut ended = sides.ended(pumped, answer);
            match ended.answer {
                Ok(answered) if answered.status == 101 && ended.pumped == Pumped::Whole => {
                    judge::succeeded(worker, &upstream.picked);
                    finish::after_switch(worker, &answered);
                    head.consume(ended.used);
                    let early = ended.switched.take().map(|early| *early).unwrap_or_default();
                    return Next::Switch(Box::new(Switched::new(upstream, early, head, &outbound)));
                }
                Ok(answered) => {
                    judge::answered(worker, service, &upstream.picked, answered.status);
                    // Kept or closed now: what follows may take its time.
                    match answered.upstream_reusable && ended.pumped == Pumped::Whole {
                        true => upstream.keep(worker, outbound.terms(), wanted.owner),
                        false => drop(upstream),
                    }
                    return finish::after_answer(worker, downstream, head, &answered, &mut ended)
                        .await;
                }
                Err(broken) => {
                    judge::broke(worker, service, &upstream, &broken);
                    let repeatable = request.method.is_idempotent() && request.body == BodyIn::None;
                    let died = broken.before_first_byte && broken.reject.row().retry;
                    let harmless = ended.untouched || (upstream.reused && repeatable);
                    let failed = upstream.picked.slot();
                    let permit = upstream.leave();
                    if died && harmless && !last {
                        worker.stats().retries.one();
                        // Its siblings in the pool may have died with it, and so may its instance.
                        wanted.fresh = true;
                        wanted.comer.failed = Some(failed);
                        wanted.comer.permit = Some(permit);
                        continue;
                    }
                    drop(permit);
                    let sent = (request, &outbound);
                    return finish::after_failure(
                        worker, downstream, head, sent, &broken, &mut ended,
                    )
                    .await;
                }
            }
        }
        Next::Close
    }
}

/// Runs both to their end, where they lie: nothing is moved, as a `join` would. When the second ends, the first is looked at
/// once more, which may wait for just that.
pub(super) fn both<A, B>(
    mut a: Pin<&mut impl Future<Output = A>>,
    mut b: Pin<&mut impl Future<Output = B>>,
) -> impl Future<Output = (A, B)> {
    let (mut first, mut second) = (None, None);
    poll_fn(move |context| {
        if first.is_none()
            && let Poll::Ready(output) = a.as_mut().poll(context)
        {
            first = Some(output);
        }
        if second.is_none()
            && let Poll::Ready(output) = b.as_mut().poll(context)
        {
            second = Some(output);
            if first.is_none()
                && let Poll::Ready(output) = a.as_mut().poll(context)
            {
                first = Some(output);
            }
        }
        match (first.take(), second.take()) {
            (Some(first), Some(second)) => Poll::Ready((first, second)),
            unfinished => {
                (first, second) = unfinished;
                Poll::Pending
            }
        }
    })
}

/// How both directions of an exchange ended.
#[derive(Debug)]
pub struct Ended {
    /// The answer.
    pub answer: Result<Answered, Broken>,
    /// The request.
    pub pumped: Pumped,
    /// Not one byte of the request was handed to the kernel.
    pub untouched: bool,
    /// What came behind the request's body, if it was read from the client beyond the page.
    pub rest: Option<Box<BytesMut>>,
    /// How much of the page belonged to the request.
    pub used: usize,
    /// What came behind a 101.
    pub switched: Option<Box<BytesMut>>,
}

/// The request's head, as it goes to an instance.
fn head_for_instance(
    worker: &Rc<Worker>,
    downstream: &Downstream,
    head: &Head,
    request: &Request,
    (outbound, upstream): (&Outbound, &Upstream),
) -> BytesMut {
    let target = request.target(head).len();
    let mut out = worker.buffers.page_for(head.page.len() + target + limits::HEAD_EXTRAS_BYTES);
    if let (Some(version), false) = (outbound.terms().proxy_protocol, upstream.reused) {
        preface::write(worker, downstream, version, &mut out);
    }
    let peer = worker.slots.peer(downstream.wire.slot.id());
    let mut made = [0; 36];
    let known = head.value_of(Role::RequestId).filter(|id| finish::is_usable_id(id));
    let request_id = known.unwrap_or_else(|| {
        encode::new_request_id(worker.clock.wall(), worker.random(), worker.random(), &mut made)
    });
    let extras = RequestExtras {
        client: peer.as_bytes(),
        instance: upstream.picked.instance().authority.as_bytes(),
        scheme: b"http",
        request_id,
        via: worker.via(),
        consumer: outbound.consumer(),
    };
    encode::request(&mut out, head, request, &extras);
    out
}
