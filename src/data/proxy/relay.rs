//! The relay: an instance's answer on its way to the client. Head, interim answers, body.
//!
//! Nothing reaches the client before the head has been read and checked to its end, so a malformed answer becomes a clean
//! 502. From then on the only honest way out of a failure is to cut the client's connection.

use std::future::Future;

use bytes::BytesMut;
use coregate_core::base::limits;
use coregate_core::base::time::Span;
use coregate_core::http::body::{self, BodyReader, FRAME_BEFORE, FRAME_BEHIND};
use coregate_core::http::encode::{self, BodyOut, Persistence};
use coregate_core::http::head::{Head, Method, Request, Response};
use coregate_core::http::parse;
use futures_util::FutureExt;

use crate::proxy::finish;
use crate::proxy::forward::Sides;
use crate::proxy::read;
use crate::proxy::reject::Reject;
use crate::transport::{Reader, Ways, Writer};
use crate::worker::context::breathe;
use crate::worker::slots::Wait;

const DRAIN: Span = Span::of(limits::DRAIN_TIME);

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
    /// Whether the client takes the end of its connection for the end of the body.
    pub ends_with_connection: bool,
}

/// What a relay works with.
#[derive(Debug)]
pub struct Relay<'a> {
    /// Both sides of the exchange.
    pub sides: &'a Sides<'a>,
    /// The request that is answered.
    pub request: &'a Request,
}

impl Relay<'_> {
    /// Reads the answer and writes it to the client.
    #[expect(clippy::manual_async_fn, reason = "an async fn would hold its arguments twice")]
    pub fn run(
        self,
        reader: &mut Reader,
        writer: &mut Writer,
    ) -> impl Future<Output = Result<Answered, Broken>> {
        async move {
            let mut head = self.sides.worker.buffers.head();
            let result = self.answer(&mut head, reader, writer).await;
            self.sides.worker.buffers.give_head(head);
            self.sides.turn.answered.set(true);
            if !self.sides.turn.pumped.get() {
                self.stop_pump();
            }
            result
        }
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
        let mut body = BodyReader::new(response.body);
        let out_body = BodyOut::towards(response.body, self.request.http10);
        // A client that still waits for a 100 may send its body or not: nobody can tell what comes next.
        let undecided = self.request.expects_continue && !self.sides.turn.pumped.get();
        let ends = out_body == BodyOut::Close || undecided;
        let persistence = finish::persistence(self.sides.worker, self.request, ends);
        let (out, excess) = self.first_piece(head, &response, &mut body, out_body, persistence)?;
        self.write(writer, out).await.map_err(|reject| self.cut(reject, out_body))?;
        let late_excess = match body.is_done() {
            true => false,
            false => self.rest_of_body(&mut body, out_body, reader, writer).await?,
        };
        Ok(Answered {
            status: response.status,
            upstream_reusable: response.keep_alive && !excess && !late_excess,
            persists: persistence != Persistence::Close,
        })
    }

    /// The head of the final answer; interim ones are passed on.
    async fn head(
        &self,
        head: &mut Head,
        reader: &mut Reader,
        writer: &mut Writer,
    ) -> Result<Response, Broken> {
        let to_head = self.request.method == Method::Head;
        let mut interims = 0;
        loop {
            let known = head.page.len();
            if !matches!(read::fill(head, reader).await, Ok(1..)) {
                return Err(self.no_head(known == 0 && interims == 0));
            }
            if !read::may_be_whole(head, known, &[limits::RESPONSE_HEAD_BYTES]) {
                continue;
            }
            while let Some(response) = parse::response(head, to_head)
                .map_err(|_| self.broken(Reject::UpstreamMalformed))?
            {
                if response.status >= 200 {
                    return Ok(response);
                }
                // RFC 9110 §15.2.2: nobody asked for a switch of protocols.
                interims += 1;
                if response.status == 101 || interims > limits::INTERIM_RESPONSES {
                    return Err(self.broken(Reject::UpstreamMalformed));
                }
                if !self.request.http10 {
                    let mut out = self.page_beside(head);
                    encode::interim(&mut out, head, &response);
                    self.write(writer, out).await.map_err(|reject| self.broken(reject))?;
                }
                head.consume(response.head_len);
                if head.page.is_empty() {
                    break;
                }
            }
        }
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
        self.sides.worker.clock.with_date(|date| {
            encode::response(&mut out, head, response, out_body, persistence, date);
        });
        let data = &head.page[response.head_len..][..taken.data];
        encode::piece(&mut out, out_body, data, body.is_done());
        self.sides.worker.stats().body_bytes_out.add(taken.data as u64);
        let excess = head.page.len() > response.head_len + taken.consumed;
        if excess {
            self.sides.worker.stats().upstream_excess.one();
        }
        Ok((out, excess))
    }

    /// A buffer for what is written of a head and what came with it.
    fn page_beside(&self, head: &Head) -> BytesMut {
        self.sides.worker.buffers.page_for(head.page.len() + limits::HEAD_EXTRAS_BYTES)
    }

    /// What follows of the body. Whether more came than belongs to it.
    async fn rest_of_body(
        &self,
        body: &mut BodyReader,
        out_body: BodyOut,
        reader: &mut Reader,
        writer: &mut Writer,
    ) -> Result<bool, Broken> {
        let mut buf = self.sides.worker.buffers.relay();
        let mut pieces = 0;
        let result = loop {
            buf.clear();
            buf.resize(FRAME_BEFORE, 0);
            let room = buf.capacity() - FRAME_BEFORE - FRAME_BEHIND;
            let Sides { worker, instance, .. } = *self.sides;
            worker.arm(instance, Wait::Read, self.sides.service.body, Ways::Both);
            let (read, filled) = reader.read_more(buf, room.min(body.read_limit())).await;
            buf = filled;
            let expired = worker.slots.expired(instance, Wait::Read);
            worker.slots.disarm(instance, Wait::Read);
            let input = match read {
                Ok(length @ 1..) => length,
                // A reset is no clean end, even where the end of the connection is the end of the body.
                Ok(0) if !expired && self.sides.turn.client_fault.get().is_none() && body.end() => {
                    0
                }
                _ => break Err(self.truncated()),
            };
            let Ok(taken) = body.take(&mut buf[FRAME_BEFORE..]) else {
                break Err(Reject::UpstreamMalformed);
            };
            let excess = body.is_done() && taken.consumed < input;
            if excess {
                worker.stats().upstream_excess.one();
            }
            buf.truncate(FRAME_BEFORE + taken.data);
            worker.stats().body_bytes_out.add(taken.data as u64);
            if taken.data > 0 || body.is_done() {
                let begin = body::frame(&mut buf, out_body, body.is_done());
                let (sent, written) = self.send(writer, buf, begin).await;
                buf = written;
                if sent.is_err() {
                    break Err(Reject::ClientGone);
                }
            }
            if body.is_done() {
                break Ok(excess);
            }
            if input == room {
                buf = worker.buffers.grow_relay(buf);
                breathe(worker, &mut pieces).await;
            }
        };
        self.sides.worker.buffers.give(buf);
        result.map_err(|reject| self.cut(reject, out_body))
    }

    /// Writes a page to the client and gives it back to the worker.
    fn write(
        &self,
        writer: &mut Writer,
        page: BytesMut,
    ) -> impl Future<Output = Result<(), Reject>> {
        self.send(writer, page, 0).map(|(sent, page)| {
            self.sides.worker.buffers.give(page);
            sent
        })
    }

    fn send(
        &self,
        writer: &mut Writer,
        buf: BytesMut,
        from: usize,
    ) -> impl Future<Output = (Result<(), Reject>, BytesMut)> {
        let Sides { worker, client, terms, .. } = *self.sides;
        worker.arm(client, Wait::Write, terms.body, Ways::Both);
        writer.write_all(buf, from).map(|(sent, buf)| {
            self.sides.worker.slots.disarm(self.sides.client, Wait::Write);
            if sent.is_err() {
                self.sides.worker.stats().client_aborts.one();
            }
            (sent.map_err(|_| Reject::ClientGone), buf)
        })
    }

    /// The connection ended, or was ended, before there was a head.
    fn no_head(&self, before_first_byte: bool) -> Broken {
        let reject = match self.sides.turn.client_fault.get() {
            Some(fault) => fault,
            None if self.sides.worker.slots.expired(self.sides.instance, Wait::Read) => {
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
        Broken {
            reject,
            before_first_byte: false,
            answer_begun: false,
            ends_with_connection: false,
        }
    }

    /// The client has a part of the answer.
    fn cut(&self, reject: Reject, out_body: BodyOut) -> Broken {
        Broken {
            answer_begun: true,
            ends_with_connection: out_body == BodyOut::Close,
            ..self.broken(reject)
        }
    }
}
