//! The pump: a request on its way to the instance, head first, then its body as it comes.
//!
//! Once the answer is through, or the instance no longer reads, what the client still sends is read and dropped within the
//! budget of [`limits::DRAIN_BYTES`] and [`limits::DRAIN_TIME`]; the relay sets that deadline.

use std::future::Future;

use bytes::BytesMut;
use coregate_core::base::limits;
use coregate_core::http::body::{self, BodyReader, FRAME_BEFORE, FRAME_BEHIND};
use coregate_core::http::encode::BodyOut;
use coregate_core::http::framing::BodyIn;

use crate::proxy::forward::Sides;
use crate::proxy::reject::Reject;
use crate::transport::{Reader, Ways, Writer};

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
    /// Where what came behind the body is left.
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
            if let BodyReader::Length(length) = body {
                // A body of known length that is here already travels with its head.
                let here = early.len().min(usize::try_from(length).unwrap_or(usize::MAX));
                out.extend_from_slice(&early[..here]);
                *self.page_used = here;
                self.sides.worker.stats().body_bytes_in.add(here as u64);
                body = BodyReader::new(match length - here as u64 {
                    0 => BodyIn::None,
                    missing => BodyIn::Length(missing),
                });
            }
            self.sides.worker.arm(self.sides.instance, self.sides.service.body, Ways::Both);
            let (sent, out) = writer.write_all(out, 0).await;
            self.sides.worker.buffers.give(out);
            if body.is_done() && sent.as_ref().is_err_and(|error| error.untouched) {
                self.sides.turn.untouched.set(true);
            }
            if !body.is_done() {
                let early = if matches!(body, BodyReader::Chunked(_)) { early } else { &[] };
                return self.body(reader, writer, body, early, sent.is_ok()).await;
            }
            self.sent(sent.is_ok())
        }
    }

    /// The whole request is behind us.
    fn sent(&self, ok: bool) -> Pumped {
        self.sides.turn.pumped.set(true);
        if !self.sides.turn.head_received.get() {
            self.sides.worker.arm(self.sides.instance, self.sides.service.first_byte, Ways::Both);
        }
        if ok { Pumped::Whole } else { Pumped::Drained }
    }

    #[expect(clippy::manual_async_fn, reason = "an async fn would hold its arguments twice")]
    fn body(
        &mut self,
        reader: &mut Reader,
        writer: &mut Writer,
        mut body: BodyReader,
        early: &[u8],
        mut sending: bool,
    ) -> impl Future<Output = Pumped> {
        async move {
            let out = if matches!(body, BodyReader::Chunked(_)) {
                BodyOut::Chunked
            } else {
                BodyOut::Length(0)
            };
            let mut buf = self.sides.worker.buffers.relay();
            buf.resize(FRAME_BEFORE, 0);
            buf.extend_from_slice(early);
            *self.page_used += early.len();
            let mut total = 0;
            let mut dropped = 0;
            let pumped = loop {
                // What the buffer holds behind its room in front was not looked at yet.
                let input = buf.len() - FRAME_BEFORE;
                let Ok(taken) = body.take(&mut buf[FRAME_BEFORE..]) else {
                    break self.client_broke(Reject::BadRequest);
                };
                total += taken.data as u64;
                if self.sides.terms.terms.body_bytes.is_some_and(|most| total > most) {
                    break self.client_broke(Reject::BodyTooLarge);
                }
                if body.is_done() && taken.consumed < input {
                    // Chunked bodies only: the next request begins in this buffer.
                    let rest = FRAME_BEFORE + taken.consumed..FRAME_BEFORE + input;
                    let mut kept = self.sides.worker.buffers.relay();
                    kept.extend_from_slice(&buf[rest]);
                    *self.rest = kept;
                }
                buf.truncate(FRAME_BEFORE + taken.data);
                if self.sides.turn.answered.get() {
                    sending = false;
                    dropped += input as u64;
                }
                if sending && (taken.data > 0 || body.is_done()) {
                    let begin = body::frame(&mut buf, out, body.is_done());
                    self.sides.worker.arm(self.sides.instance, self.sides.service.body, Ways::Both);
                    let (sent, written) = writer.write_all(buf, begin).await;
                    buf = written;
                    sending = sent.is_ok();
                    if sending && !self.sides.turn.head_received.get() {
                        self.sides.worker.slots.disarm(self.sides.instance);
                    }
                }
                if body.is_done() {
                    break self.sent(sending);
                }
                if dropped > limits::DRAIN_BYTES {
                    break Pumped::Short;
                }
                if input == buf.capacity() - FRAME_BEFORE - FRAME_BEHIND {
                    buf = self.sides.worker.buffers.grow_relay(buf);
                }
                buf.clear();
                buf.resize(FRAME_BEFORE, 0);
                let room = buf.capacity() - FRAME_BEFORE - FRAME_BEHIND;
                if !self.sides.turn.answered.get() {
                    self.sides.worker.arm(self.sides.client, self.sides.terms.body, Ways::Read);
                }
                let (read, filled) = reader.read_more(buf, room.min(body.read_limit())).await;
                buf = filled;
                match read {
                    Ok(length @ 1..) => self.sides.worker.stats().body_bytes_in.add(length as u64),
                    _ if self.sides.turn.answered.get() => break Pumped::Short,
                    _ if self.sides.worker.slots.expired(self.sides.client) => {
                        break self.client_broke(Reject::BodyTimeout);
                    }
                    _ => break self.client_broke(Reject::ClientGone),
                }
            };
            self.sides.worker.buffers.give(buf);
            pumped
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
