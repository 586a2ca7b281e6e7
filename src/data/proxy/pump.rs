//! The pump: a request on its way to the instance, head first, then its body as it comes.
//!
//! Once the answer is through, or the instance no longer reads, what the client still sends is read and dropped within the
//! budget of [`limits::DRAIN_BYTES`] and the moment that the relay set in [`drain_until`](crate::proxy::forward::Turn::drain_until).

use std::future::Future;

use bytes::BytesMut;
use coregate_core::base::limits;
use coregate_core::http::body::{self, BodyReader, FRAME_BEFORE, FRAME_BEHIND};
use coregate_core::http::encode::{self, BodyOut};
use coregate_core::http::framing::BodyIn;

use crate::proxy::forward::Sides;
use crate::proxy::reject::Reject;
use crate::transport::{Reader, Ways, WriteError, Writer};
use crate::worker::context::breathe;
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
#[derive(Debug)]
pub struct Pump<'a> {
    /// Both sides of the exchange.
    pub sides: &'a Sides<'a>,
    /// Where what came behind a chunked body is left.
    pub rest: &'a mut BytesMut,
    /// Where it is said how much of the page belonged to the body.
    pub page_used: &'a mut usize,
}

impl Pump<'_> {
    /// Sends `out` (the head), the body's first bytes `early`, and what follows. Whatever is left in `early` behind the body
    /// stays in the page.
    #[expect(clippy::manual_async_fn, reason = "an async fn would hold its arguments twice")]
    pub fn run(
        mut self,
        reader: &mut Reader,
        writer: &mut Writer,
        mut out: BytesMut,
        body: BodyIn,
        early: &[u8],
    ) -> impl Future<Output = Pumped> {
        async move {
            let mut body = BodyReader::new(body);
            let mut total = 0;
            // What is here of the body travels with its head, and only once it has proved well-formed.
            if let Err(reject) = self.early_piece(&mut body, &mut out, early, &mut total) {
                self.sides.worker.buffers.give(out);
                return self.client_broke(reject);
            }
            self.sides.arm_instance_write();
            let (sent, out) = writer.write_all(out, 0).await;
            self.sides.worker.buffers.give(out);
            self.sides.worker.slots.disarm(self.sides.instance, Wait::Write);
            if body.is_done() {
                let untouched = |error: &WriteError| error.untouched;
                self.sides.turn.untouched.set(sent.as_ref().is_err_and(untouched));
                return self.sent(sent.is_ok());
            }
            self.body(reader, writer, body, total, sent.is_ok()).await
        }
    }

    /// Takes what belongs to the body from the bytes that came with the head, and frames it behind the head.
    fn early_piece(
        &mut self,
        body: &mut BodyReader,
        out: &mut BytesMut,
        early: &[u8],
        total: &mut u64,
    ) -> Result<(), Reject> {
        if body.is_done() || early.is_empty() {
            return Ok(());
        }
        let buffers = &self.sides.worker.buffers;
        let framing = framing_of(body);
        // A copy, because chunks are decoded in place and the page is kept for a second attempt.
        let mut buf = buffers.page_for(early.len());
        buf.extend_from_slice(early);
        let taken = body.take(&mut buf).map_err(|_| Reject::BadRequest)?;
        encode::piece(out, framing, &buf[..taken.data], body.is_done());
        buffers.give(buf);
        *self.page_used = taken.consumed;
        self.count(taken.data, total)
    }

    /// Counts a piece of the body, against the listener's limit too.
    fn count(&self, data: usize, total: &mut u64) -> Result<(), Reject> {
        *total += data as u64;
        self.sides.worker.stats().body_bytes_in.add(data as u64);
        match self.sides.terms.terms.body_bytes {
            Some(most) if *total > most => Err(Reject::BodyTooLarge),
            _ => Ok(()),
        }
    }

    /// The whole request is behind us.
    fn sent(&self, ok: bool) -> Pumped {
        self.sides.turn.pumped.set(true);
        if !self.sides.turn.head_received.get() {
            let sides = self.sides;
            sides.worker.arm(sides.instance, Wait::Read, sides.service.first_byte, Ways::Both);
        }
        if ok { Pumped::Whole } else { Pumped::Drained }
    }

    #[expect(clippy::manual_async_fn, reason = "an async fn would hold its arguments twice")]
    fn body(
        &mut self,
        reader: &mut Reader,
        writer: &mut Writer,
        mut body: BodyReader,
        mut total: u64,
        mut sending: bool,
    ) -> impl Future<Output = Pumped> {
        async move {
            let framing = framing_of(&body);
            let mut buf = self.sides.worker.buffers.relay();
            let mut dropped = 0;
            let mut pieces = 0;
            let pumped = loop {
                buf.clear();
                buf.resize(FRAME_BEFORE, 0);
                let room = buf.capacity() - FRAME_BEFORE - FRAME_BEHIND;
                self.arm_client_read();
                let (read, filled) = reader.read_more(buf, room.min(body.read_limit())).await;
                buf = filled;
                let answered = self.sides.turn.answered.get();
                let expired = self.sides.worker.slots.expired(self.sides.client, Wait::Read);
                self.sides.worker.slots.disarm(self.sides.client, Wait::Read);
                let input = match read {
                    Ok(length @ 1..) => length,
                    _ if answered => break Pumped::Short,
                    _ if expired => break self.client_broke(Reject::BodyTimeout),
                    _ => break self.client_broke(Reject::ClientGone),
                };
                let Ok(taken) = body.take(&mut buf[FRAME_BEFORE..]) else {
                    break self.client_broke(Reject::BadRequest);
                };
                if let Err(reject) = self.count(taken.data, &mut total) {
                    break self.client_broke(reject);
                }
                if body.is_done() && taken.consumed < input {
                    self.keep_rest(&buf[FRAME_BEFORE + taken.consumed..]);
                }
                buf.truncate(FRAME_BEFORE + taken.data);
                if answered {
                    sending = false;
                    dropped += input as u64;
                }
                if sending && (taken.data > 0 || body.is_done()) {
                    let begin = body::frame(&mut buf, framing, body.is_done());
                    self.sides.arm_instance_write();
                    let (sent, written) = writer.write_all(buf, begin).await;
                    buf = written;
                    self.sides.worker.slots.disarm(self.sides.instance, Wait::Write);
                    sending = sent.is_ok();
                }
                if body.is_done() {
                    break self.sent(sending);
                }
                if dropped > limits::DRAIN_BYTES {
                    break Pumped::Short;
                }
                if input == room {
                    // Not for chunks: what comes behind them in a large buffer would be a large page.
                    if framing != BodyOut::Chunked {
                        buf = self.sides.worker.buffers.grow_relay(buf);
                    }
                    breathe(self.sides.worker, &mut pieces).await;
                }
            };
            self.sides.worker.buffers.give(buf);
            pumped
        }
    }

    /// What came behind a chunked body begins the next request.
    fn keep_rest(&mut self, rest: &[u8]) {
        let mut kept = self.sides.worker.buffers.page_for(rest.len());
        kept.extend_from_slice(rest);
        *self.rest = kept;
    }

    /// A deadline for the client's next piece; a shared one for all of them once the rest is only drained.
    fn arm_client_read(&self) {
        let Sides { worker, client, .. } = *self.sides;
        match self.sides.turn.drain_until.get() {
            Some(until) => worker.arm_at(client, Wait::Read, until, Ways::Read),
            None => worker.arm(client, Wait::Read, self.sides.terms.body, Ways::Read),
        }
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

/// How a request's body goes on: as it came.
fn framing_of(body: &BodyReader) -> BodyOut {
    match body {
        BodyReader::Chunked(_) => BodyOut::Chunked,
        BodyReader::Done | BodyReader::Length(_) | BodyReader::Close => BodyOut::Length(0),
    }
}
