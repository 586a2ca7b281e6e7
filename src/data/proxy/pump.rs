//! The pump: a request on its way to the instance, head first, then its body as it comes.
//!
//! Once the answer is through, or the instance no longer reads, what the client still sends is read and dropped within the
//! budget of [`limits::DRAIN_BYTES`] and the moment that the relay set in [`drain_until`](crate::proxy::forward::Turn::drain_until).

use std::future::{Future, poll_fn};
use std::io;
use std::task::Poll;

use bytes::BytesMut;
use coregate_core::base::limits;
use coregate_core::base::pace::Pace;
use coregate_core::http::body::{self, BodyReader, FRAME_BEFORE};
use coregate_core::http::encode::BodyOut;

use crate::proxy::forward::Sides;
use crate::proxy::intake::{Intake, Piece};
use crate::proxy::reject::Reject;
use crate::transport::{Reader, Ways, WriteError, Writer};
use crate::worker::context::Worker;
use crate::worker::rest::breathe;
use crate::worker::slots::Wait;

/// How a pump ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pumped {
    /// The whole request was sent.
    Whole,
    /// The whole body was read, but not all of it sent.
    Drained,
    /// The body was not read to its end: nothing behind it can be found.
    Short,
}

/// What a pump works with.
pub struct Pump<'s, 'a> {
    /// Both sides of the exchange.
    pub sides: &'s Sides<'a>,
}

impl Pump<'_, '_> {
    /// Sends the head, the body's first bytes from behind the head in its page, and what follows. What stands in the page
    /// behind the body stays there.
    #[expect(clippy::manual_async_fn, reason = "an async fn would hold its arguments twice")]
    pub fn run(self, reader: &mut Reader, writer: &mut Writer) -> impl Future<Output = Pumped> {
        async move {
            let mut body = BodyReader::new(self.sides.request.body);
            let mut total = 0;
            // What is here of the body travels with its head, and only once it has proved well-formed.
            if let Err(reject) = self.early_piece(&mut body, &mut total) {
                return self.client_broke(reject);
            }
            self.sides.turn.streaming.set(!body.is_done());
            let whole = body.is_done();
            let sent = self.send_head(writer, whole).await;
            if whole {
                return self.sent(sent);
            }
            self.sides.compact();
            self.body(reader, writer, body, total, sent).await
        }
    }

    /// Sends what goes with the head; `whole`: that is all.
    #[expect(clippy::manual_async_fn, reason = "an async fn would hold its arguments twice")]
    fn send_head(&self, writer: &mut Writer, whole: bool) -> impl Future<Output = bool> {
        async move {
            self.sides.arm_instance_write();
            let (sent, out) = writer.write_all(self.sides.out.take(), 0).await;
            self.sides.worker.buffers.give(out);
            self.sides.worker.slots.disarm(self.sides.instance, Wait::Write);
            let untouched = |error: &WriteError| error.untouched && whole;
            self.sides.turn.untouched.set(sent.as_ref().is_err_and(untouched));
            self.told(sent.is_ok())
        }
    }

    /// A part of the request was sent, or not: an instance that will not get the rest need not wait for it. It may have
    /// answered early, so that is read all the same.
    fn told(&self, sent: bool) -> bool {
        if !sent {
            self.sides.worker.slots.shut_down(self.sides.instance, Ways::Write);
            self.arm_first_byte();
        }
        sent
    }

    /// A deadline for the answer, unless its head is there: from now on it is the instance who keeps us waiting.
    fn arm_first_byte(&self) {
        let Sides { worker, instance, outbound, .. } = *self.sides;
        if !self.sides.turn.head_received.get() {
            worker.arm(instance, Wait::Read, outbound.first_byte(), Ways::Both);
        }
    }

    /// Waits until the relay is through, for better or worse. Nobody wakes it: see `forward::both`.
    fn until_answered(&self) -> impl Future<Output = ()> {
        poll_fn(|_| match self.sides.turn.answered.get() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
    }

    /// Takes what belongs to the body from the bytes that came with the head, and frames it behind the head.
    fn early_piece(&self, body: &mut BodyReader, total: &mut u64) -> Result<(), Reject> {
        let head = self.sides.head.borrow();
        let early = &head.page[self.sides.used.get()..];
        if body.is_done() || early.is_empty() {
            return Ok(());
        }
        let buffers = &self.sides.worker.buffers;
        let framing = framing_of(body);
        // A copy, because chunks are decoded in place and the page is kept for a second attempt.
        let mut buf = buffers.page_for(early.len());
        buf.extend_from_slice(early);
        let taken = body.take(&mut buf).map_err(|_| Reject::BadRequest)?;
        let mut out = self.sides.out.take();
        body::piece(&mut out, framing, &buf[..taken.data], body.then());
        self.sides.out.set(out);
        buffers.give(buf);
        self.sides.used.set(self.sides.used.get() + taken.consumed);
        self.count(taken.data, total)
    }

    /// Counts a piece of the body, against the limit too.
    fn count(&self, data: usize, total: &mut u64) -> Result<(), Reject> {
        *total += data as u64;
        self.sides.worker.stats().body_bytes_in.add(data as u64);
        match self.sides.outbound.body_bytes(self.sides.terms) {
            Some(most) if *total > most => Err(Reject::BodyTooLarge),
            _ => Ok(()),
        }
    }

    /// The whole request is behind us.
    fn sent(&self, ok: bool) -> Pumped {
        self.sides.turn.pumped.set(true);
        self.arm_first_byte();
        if ok { Pumped::Whole } else { Pumped::Drained }
    }

    #[expect(clippy::manual_async_fn, reason = "an async fn would hold its arguments twice")]
    fn body(
        &self,
        reader: &mut Reader,
        writer: &mut Writer,
        mut body: BodyReader,
        mut total: u64,
        mut sending: bool,
    ) -> impl Future<Output = Pumped> {
        async move {
            let framing = framing_of(&body);
            // Chunks are not read far into what follows them: it would become a large page.
            let mut intake = match framing {
                BodyOut::Chunked => Intake::of_small_pieces(),
                _ => Intake::default(),
            };
            let mut pace = self.sides.terms.pace();
            let mut dropped = 0;
            let mut pieces = 0;
            loop {
                sending = sending && self.until_taken(writer, &mut intake).await;
                if !sending {
                    // Nothing more is read before the relay has heard why: a client that sends on and on would be read for ever.
                    self.until_answered().await;
                }
                let read = self.next(reader, &mut intake, &mut pace, body.read_limit()).await;
                let answered = self.sides.turn.answered.get();
                let mut piece = match read {
                    Ok(piece) => piece,
                    Err(_) if answered => return Pumped::Short,
                    Err(reject) => return self.client_broke(reject),
                };
                let taken = match body.take(&mut piece.buf[FRAME_BEFORE..]) {
                    Ok(taken) => taken,
                    Err(_) => return self.broke_within(piece, Reject::BadRequest),
                };
                if let Err(reject) = self.count(taken.data, &mut total) {
                    return self.broke_within(piece, reject);
                }
                if body.is_done() && taken.consumed < piece.length {
                    self.keep_rest(&piece.buf[FRAME_BEFORE + taken.consumed..]);
                }
                piece.buf.truncate(FRAME_BEFORE + taken.data);
                if answered {
                    sending = false;
                    dropped += piece.length as u64;
                }
                if sending && (taken.data > 0 || body.is_done()) {
                    let begin = body::frame(&mut piece.buf, framing, body.then());
                    self.sides.arm_instance_write();
                    let (sent, written) = writer.write_all(piece.buf, begin).await;
                    piece.buf = written;
                    self.sides.worker.slots.disarm(self.sides.instance, Wait::Write);
                    sending = self.told(sent.is_ok());
                }
                self.sides.worker.buffers.give(piece.buf);
                if body.is_done() {
                    return self.sent(sending);
                }
                if dropped > limits::DRAIN_BYTES {
                    return Pumped::Short;
                }
                if piece.full {
                    breathe(self.sides.worker, &mut pieces, limits::PIECES_PER_TURN).await;
                }
            }
        }
    }

    /// Waits until the instance takes more: what it does not take stays with the client, not with us. Whether it did.
    async fn until_taken(&self, writer: &mut Writer, intake: &mut Intake) -> bool {
        if !writer.is_ready() {
            intake.shrink();
            self.sides.worker.clock.refresh();
            self.sides.arm_instance_write();
            let taken = writer.ready().await;
            self.sides.worker.slots.disarm(self.sides.instance, Wait::Write);
            if taken.is_err() || self.sides.worker.slots.expired(self.sides.instance, Wait::Write) {
                return self.told(false);
            }
        }
        intake.fit(writer);
        true
    }

    /// The client's next piece; never an empty one.
    #[expect(clippy::manual_async_fn, reason = "an async fn would hold its arguments twice")]
    fn next(
        &self,
        reader: &mut Reader,
        intake: &mut Intake,
        pace: &mut Pace,
        most: usize,
    ) -> impl Future<Output = Result<Piece, Reject>> {
        async move {
            let worker = self.sides.worker;
            loop {
                let counted = self.arm_client_read(pace);
                let since = worker.clock.now();
                self.sides.turn.waits_uncounted.set(!counted && !self.sides.turn.answered.get());
                let ready = intake.ready(reader).await;
                self.sides.turn.waits_uncounted.set(false);
                let waited = worker.clock.refresh().since(since);
                let expired = worker.slots.expired(self.sides.client, Wait::Read);
                worker.slots.disarm(self.sides.client, Wait::Read);
                if counted {
                    pace.waited(waited);
                }
                let read = ready.and_then(|()| intake.read(&worker.buffers, reader, most));
                match read {
                    // With the deadline reads were shut down: what comes now is late, and only our own end follows.
                    Ok(Some(piece)) if piece.length > 0 && !expired => {
                        pace.moved(piece.length);
                        return Ok(piece);
                    }
                    Ok(None) if !expired => {}
                    other => {
                        give_back(worker, other);
                        return Err(if expired { Reject::BodyTimeout } else { Reject::ClientGone });
                    }
                }
            }
        }
    }

    /// What came behind a chunked body begins the next request.
    fn keep_rest(&self, rest: &[u8]) {
        self.sides.turn.rest.set(Some(Box::new(BytesMut::from(rest))));
    }

    /// A deadline for the client's next piece; a shared one for all of them once the rest is only drained. Whether waiting
    /// for it is the client's own doing: it may rightly wait for a 100 before it sends anything.
    fn arm_client_read(&self, pace: &Pace) -> bool {
        let Sides { worker, client, ref turn, .. } = *self.sides;
        if let Some(until) = turn.drain_until.get() {
            worker.clock.refresh();
            worker.arm_at(client, Wait::Read, until, Ways::Read);
            return false;
        }
        let counted = !turn.awaits_continue.get();
        let span = if counted { pace.patience() } else { self.sides.terms.body };
        worker.arm(client, Wait::Read, span, Ways::Read);
        turn.awaits_continue.set(false);
        counted
    }

    /// The client's body cannot be sent on, and this piece of it was the last one read.
    fn broke_within(&self, piece: Piece, reject: Reject) -> Pumped {
        self.sides.worker.buffers.give(piece.buf);
        self.client_broke(reject)
    }

    /// The client's body cannot be sent on: the instance must not take what it has for the whole of it.
    fn client_broke(&self, reject: Reject) -> Pumped {
        if !self.sides.turn.answered.get() {
            self.sides.turn.client_fault.set(Some(reject));
            self.sides.worker.slots.shut_down(self.sides.instance, Ways::Both);
        }
        Pumped::Short
    }
}

/// Gives back the buffer of a piece that nobody wants.
pub(super) fn give_back(worker: &Worker, read: io::Result<Option<Piece>>) {
    if let Ok(Some(piece)) = read {
        worker.buffers.give(piece.buf);
    }
}

/// How a request's body goes on: as it came.
fn framing_of(body: &BodyReader) -> BodyOut {
    match body {
        BodyReader::Chunked(_) => BodyOut::Chunked,
        BodyReader::Done(_) | BodyReader::Length(_) | BodyReader::Close => BodyOut::Length(0),
    }
}
