//! The relay: an instance's answer on its way to the client. Head, interim answers, body.
//!
//! Nothing reaches the client before the head has been read and checked to its end, so a malformed answer becomes a clean
//! 502. From then on the only honest way out of a failure is to cut the client's connection.

use std::future::Future;
use std::mem;

use bytes::BytesMut;
use coregate_core::base::limits;
use coregate_core::base::pace::Pace;
use coregate_core::base::time::Span;
use coregate_core::http::body::{self, BodyReader, FRAME_BEFORE};
use coregate_core::http::encode::{self, BodyOut, Persistence, ResponseExtras};
use coregate_core::http::head::{Head, Method, Response};
use coregate_core::http::hop::{self, Role};
use coregate_core::http::parse;

use crate::proxy::finish;
use crate::proxy::forward::Sides;
use crate::proxy::intake::{Intake, Piece};
use crate::proxy::pump;
use crate::proxy::read;
use crate::proxy::reject::Reject;
use crate::transport::{Reader, Ways, Writer};
use crate::worker::rest::breathe;
use crate::worker::slots::Wait;

const DRAIN: Span = Span::of(limits::DRAIN_TIME);

/// Where an answer is looked at though no line of it has ended: what is no HTTP is refused at once.
const RESPONSE_MARKS: [usize; 3] =
    ["HTTP/1.1 ".len(), limits::PAGE_SMALL_BYTES, limits::RESPONSE_HEAD_BYTES];

/// An answer that was sent to its end.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    /// Its status.
    pub status: u16,
    /// Whether the instance's connection is in order: everything was read, nothing more came.
    pub upstream_reusable: bool,
    /// Whether the client was told that its connection lives on.
    pub persists: bool,
}

/// An answer that did not come, or not to its end.
#[derive(Debug, Clone, Copy)]
pub struct Broken {
    /// Why.
    pub reject: Reject,
    /// Whether not one byte of an answer came.
    pub before_first_byte: bool,
    /// Whether the client has a part of it.
    pub answer_begun: bool,
}

/// What a relay works with.
pub struct Relay<'s, 'a> {
    /// Both sides of the exchange.
    pub sides: &'s Sides<'a>,
}

impl Relay<'_, '_> {
    /// Reads the answer and writes it to the client.
    #[expect(clippy::manual_async_fn, reason = "an async fn would hold its arguments twice")]
    pub fn run(
        self,
        reader: &mut Reader,
        writer: &mut Writer,
    ) -> impl Future<Output = Result<Answered, Broken>> {
        async move {
            let mut head = Head::default();
            let result = self.answer(&mut head, reader, writer).await;
            self.sides.worker.buffers.give_head(head);
            self.sides.turn.answered.set(true);
            if !self.sides.turn.pumped.get() {
                // An instance may answer before we hear that the last of the request was sent; its connection is in order.
                match result.is_ok() && !self.sides.turn.streaming.get() {
                    true => self.hurry_pump(),
                    false => self.stop_pump(),
                }
            }
            result
        }
    }

    /// All that the pump waits for is that the instance takes the rest of what is written.
    fn hurry_pump(&self) {
        let Sides { worker, instance, .. } = *self.sides;
        worker.arm(instance, Wait::Write, DRAIN, Ways::Both);
    }

    /// The pump may wait for an instance that no longer reads, or for a client that no longer sends.
    fn stop_pump(&self) {
        let Sides { worker, client, instance, .. } = *self.sides;
        worker.slots.shut_down(instance, Ways::Both);
        worker.clock.refresh();
        let until = worker.clock.after(DRAIN);
        self.sides.turn.drain_until.set(Some(until));
        worker.arm_at(client, Wait::Read, until, Ways::Read);
    }

    async fn answer(
        &self,
        head: &mut Head,
        reader: &mut Reader,
        writer: &mut Writer,
    ) -> Result<Answered, Broken> {
        let response = self.head(head, reader, writer).await?;
        self.sides.turn.head_received.set(true);
        self.sides.worker.slots.disarm(self.sides.instance, Wait::Read);
        self.sides.outbound.charge(self.sides.worker, head);
        if response.status == 101 {
            return self.switch(head, &response, writer).await;
        }
        let mut answered = Answered {
            status: response.status,
            upstream_reusable: response.keep_alive,
            persists: false,
        };
        let mut body = BodyReader::new(response.body);
        let out_body = BodyOut::towards(response.body, self.sides.request.http10);
        let persistence = self.persistence(out_body);
        answered.persists = persistence != Persistence::Close;
        let (out, excess) = self.first_piece(head, &response, &mut body, out_body, persistence)?;
        answered.upstream_reusable &= !excess;
        let mut pace = self.sides.terms.pace();
        // Where only the end of the connection marks the end of the body, nothing but that may look like it.
        let breaks = out_body == BodyOut::Close;
        if breaks {
            self.sides.worker.slots.set_breaks(self.sides.client, true);
        }
        self.write(writer, out, &mut pace).await.map_err(|reject| self.cut(reject))?;
        if !body.is_done() {
            // What follows may take its time: neither head is needed for it.
            let filled = head.page.len() == head.page.capacity();
            self.sides.worker.buffers.give_head(mem::take(head));
            self.sides.compact();
            let streams = (reader, writer);
            let excess = self.rest_of_body(body, out_body, streams, (pace, filled)).await?;
            answered.upstream_reusable &= !excess;
        }
        if breaks {
            self.sides.worker.slots.set_breaks(self.sides.client, false);
        }
        Ok(answered)
    }

    fn persistence(&self, out_body: BodyOut) -> Persistence {
        // A client that still waits for a 100 may send its body or not: nobody can tell what comes next.
        let undecided = self.sides.request.expects_continue && !self.sides.turn.pumped.get();
        let ends = out_body == BodyOut::Close || undecided;
        let Sides { worker, terms, served, .. } = *self.sides;
        finish::persistence(worker, terms, served, self.sides.request, ends)
    }

    /// The head of the final answer; interim ones are passed on.
    async fn head(
        &self,
        head: &mut Head,
        reader: &mut Reader,
        writer: &mut Writer,
    ) -> Result<Response, Broken> {
        let to_head = self.sides.request.method == Method::Head;
        let mut interims = 0;
        loop {
            if self.sides.turn.streaming.get() && head.page.capacity() == 0 {
                // The client may take its time with the request: no page waits for the answer.
                let _ = reader.ready().await;
            }
            if head.page.capacity() == 0 {
                *head = self.sides.worker.buffers.head();
            }
            let known = head.page.len();
            if !matches!(read::fill(&mut head.page, reader).await, Ok(1..)) {
                return Err(self.no_head(known == 0 && interims == 0));
            }
            if !read::may_be_whole(&head.page, known, &RESPONSE_MARKS) {
                continue;
            }
            while let Some(response) = parse::response(head, to_head)
                .map_err(|_| self.broken(Reject::UpstreamMalformed))?
            {
                if response.status >= 200 || self.may_switch(head, &response) {
                    return Ok(response);
                }
                // RFC 9110 §15.2.2: a switch that nobody asked for, or to something else.
                interims += 1;
                if response.status == 101 || interims > limits::INTERIM_RESPONSES {
                    return Err(self.broken(Reject::UpstreamMalformed));
                }
                self.sides.outbound.hide_costs(head);
                Box::pin(self.interim(head, &response, writer)).await?;
                head.consume(response.head_len);
                if head.page.is_empty() {
                    break;
                }
            }
        }
    }

    /// Passes an interim answer on. Rare, so its caller boxes it.
    async fn interim(
        &self,
        head: &Head,
        response: &Response,
        writer: &mut Writer,
    ) -> Result<(), Broken> {
        if !self.sides.request.http10 {
            let mut out = self.page_beside(head);
            encode::interim(&mut out, head, response, self.sides.worker.via());
            let mut pace = self.sides.terms.pace();
            self.write(writer, out, &mut pace).await.map_err(|reject| self.broken(reject))?;
        }
        let Sides { worker, client, terms, ref turn, .. } = *self.sides;
        if response.status == 100 && turn.waits_uncounted.replace(false) {
            // From now on it is the client who keeps us waiting.
            worker.arm(client, Wait::Read, terms.pace().patience(), Ways::Read);
        }
        Ok(())
    }

    /// Whether this is the 101 that the client asked for: it names nothing but what was offered (RFC 9110 §7.8).
    fn may_switch(&self, head: &Head, response: &Response) -> bool {
        if response.status != 101 || !self.sides.request.upgrades || !response.upgrades {
            return false;
        }
        let request = self.sides.head.borrow();
        let offered = request.value_of(Role::Upgrade).unwrap_or_default();
        head.value_of(Role::Upgrade).is_some_and(|named| hop::accepts(named, offered))
    }

    /// Passes the 101 on; what came behind it is the first of another protocol.
    async fn switch(
        &self,
        head: &Head,
        response: &Response,
        writer: &mut Writer,
    ) -> Result<Answered, Broken> {
        let behind = BytesMut::from(&head.page[response.head_len..]);
        self.sides.turn.switched.set(Some(Box::new(behind)));
        Box::pin(self.interim(head, response, writer)).await?;
        Ok(Answered { status: 101, upstream_reusable: false, persists: false })
    }

    /// The client's head, with the piece of the body that came with the instance's, for one send. Whether more came than
    /// belongs to the answer.
    fn first_piece(
        &self,
        head: &mut Head,
        response: &Response,
        body: &mut BodyReader,
        out_body: BodyOut,
        persistence: Persistence,
    ) -> Result<(BytesMut, bool), Broken> {
        let Ok(taken) = body.take(&mut head.page[response.head_len..]) else {
            return Err(self.broken(Reject::UpstreamMalformed));
        };
        let mut out = self.page_beside(head);
        let worker = self.sides.worker;
        worker.clock.with_date(|date| {
            let rate = self.sides.outbound.rate(self.sides.terms.terms.rate_headers);
            let ours = ResponseExtras { date, via: worker.via(), rate };
            encode::response(&mut out, head, response, out_body, persistence, &ours);
        });
        let data = &head.page[response.head_len..][..taken.data];
        body::piece(&mut out, out_body, data, body.then());
        worker.stats().body_bytes_out.add(taken.data as u64);
        let excess = head.page.len() > response.head_len + taken.consumed;
        if excess {
            worker.stats().upstream_excess.one();
        }
        Ok((out, excess))
    }

    /// A buffer for what is written of a head and what came with it.
    fn page_beside(&self, head: &Head) -> BytesMut {
        self.sides.worker.buffers.page_for(head.page.len() + limits::HEAD_EXTRAS_BYTES)
    }

    /// What follows of the body. Whether more came than belongs to it. `filled`: more is known to be there.
    #[expect(clippy::manual_async_fn, reason = "an async fn would hold its arguments twice")]
    fn rest_of_body(
        &self,
        mut body: BodyReader,
        out_body: BodyOut,
        (reader, writer): (&mut Reader, &mut Writer),
        (mut pace, filled): (Pace, bool),
    ) -> impl Future<Output = Result<bool, Broken>> {
        async move {
            let Sides { worker, .. } = *self.sides;
            let mut intake = Intake::default();
            if filled {
                intake.expect_more();
            }
            let mut pieces = 0;
            let result = loop {
                let mut piece =
                    match self.next(&mut intake, &mut pace, reader, writer, &mut body).await {
                        Ok(piece) => piece,
                        Err(reject) => break Err(reject),
                    };
                let Ok(taken) = body.take(&mut piece.buf[FRAME_BEFORE..]) else {
                    worker.buffers.give(piece.buf);
                    break Err(Reject::UpstreamMalformed);
                };
                let excess = body.is_done() && taken.consumed < piece.length;
                if excess {
                    worker.stats().upstream_excess.one();
                }
                piece.buf.truncate(FRAME_BEFORE + taken.data);
                worker.stats().body_bytes_out.add(taken.data as u64);
                if taken.data > 0 || body.is_done() {
                    let begin = body::frame(&mut piece.buf, out_body, body.then());
                    let sent = self.send(writer, piece.buf, begin, &mut pace).await;
                    piece.buf = sent.1;
                    if let Err(reject) = sent.0 {
                        worker.buffers.give(piece.buf);
                        break Err(reject);
                    }
                }
                worker.buffers.give(piece.buf);
                if body.is_done() {
                    break Ok(excess);
                }
                if piece.full {
                    breathe(worker, &mut pieces, limits::PIECES_PER_TURN).await;
                }
            };
            result.map_err(|reject| self.cut(reject))
        }
    }

    /// The instance's next piece, once the client takes it; an empty one only where the end of the connection is the end of
    /// the body.
    #[expect(clippy::manual_async_fn, reason = "an async fn would hold its arguments twice")]
    fn next(
        &self,
        intake: &mut Intake,
        pace: &mut Pace,
        reader: &mut Reader,
        writer: &mut Writer,
        body: &mut BodyReader,
    ) -> impl Future<Output = Result<Piece, Reject>> {
        async move {
            let Sides { worker, instance, .. } = *self.sides;
            loop {
                worker.arm(instance, Wait::Read, self.sides.outbound.body(), Ways::Both);
                let ready = intake.ready(reader).await;
                let expired = worker.slots.expired(instance, Wait::Read);
                worker.slots.disarm(instance, Wait::Read);
                if !writer.is_ready() {
                    // What a slow client does not take stays with the instance, not with us.
                    intake.shrink();
                    self.until_taken(writer, pace).await?;
                }
                intake.fit(writer);
                let most = body.read_limit();
                match ready.and_then(|()| intake.read(&worker.buffers, reader, most)) {
                    Ok(Some(piece)) if piece.length > 0 && !expired => return Ok(piece),
                    // A reset is no clean end, even where the end of the connection is the end of the body; nor is one of
                    // our own, which follows whatever came with the deadline.
                    Ok(Some(piece)) if !expired && self.may_end() && body.end() => {
                        return Ok(piece);
                    }
                    Ok(None) if !expired => {}
                    other => {
                        pump::give_back(worker, other);
                        return Err(self.truncated());
                    }
                }
            }
        }
    }

    /// Whether the end of the instance's connection is its own doing: a client's fault ends it, and so does the deadline of
    /// a request that the instance does not take.
    fn may_end(&self) -> bool {
        let Sides { worker, instance, ref turn, .. } = *self.sides;
        turn.client_fault.get().is_none() && !worker.slots.expired(instance, Wait::Write)
    }

    /// The connection ended, or was ended, before there was a head.
    fn no_head(&self, before_first_byte: bool) -> Broken {
        let reject = match self.sides.turn.client_fault.get() {
            Some(fault) => fault,
            // It did not answer, or not even take the request.
            None if [Wait::Read, Wait::Write]
                .into_iter()
                .any(|wait| self.sides.worker.slots.expired(self.sides.instance, wait)) =>
            {
                Reject::FirstByteTimeout
            }
            None => Reject::UpstreamClosed,
        };
        Broken { before_first_byte, ..self.broken(reject) }
    }

    /// The body broke off.
    fn truncated(&self) -> Reject {
        match self.sides.turn.client_fault.get() {
            Some(fault) => fault,
            None => {
                self.sides.worker.stats().upstream_truncated.one();
                Reject::UpstreamTruncated
            }
        }
    }

    /// The client has nothing of the answer yet.
    fn broken(&self, reject: Reject) -> Broken {
        Broken { reject, before_first_byte: false, answer_begun: false }
    }

    /// The client has a part of the answer.
    fn cut(&self, reject: Reject) -> Broken {
        Broken { answer_begun: true, ..self.broken(reject) }
    }
}
