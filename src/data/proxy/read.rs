//! Reading a request's head: from the first bytes to a checked [`Request`], within the head's deadline.
//!
//! Most heads are whole in their first read. One that is not goes back to its connection, in as little memory as it takes,
//! and waits there ([`more`]) without an exchange: thousands of clients may send theirs a byte at a time.

use std::future::Future;
use std::io;
use std::mem;
use std::rc::Rc;

use bytes::BytesMut;
use coregate_core::base::limits;
use coregate_core::base::time::Tick;
use coregate_core::http::head::{Head, Request};
use coregate_core::http::parse;
use futures_util::FutureExt;

use crate::proxy::connection::Downstream;
use crate::proxy::exchange::{First, Kept};
use crate::proxy::reject::Reject;
use crate::transport::{Reader, Ways};
use crate::worker::buffers::Buffers;
use crate::worker::context::Worker;
use crate::worker::slots::Wait;

/// The request whose head begins the page; `None`: not all of it is there.
pub fn request(
    worker: &Worker,
    downstream: &Downstream,
    head: &mut Head,
) -> Result<Option<Request>, Reject> {
    let request = parse::request(head, &downstream.listener.terms.request)?;
    if request.is_some() {
        worker.clock.refresh();
        worker.stats().requests.one();
    }
    Ok(request)
}

/// A head that has begun to arrive.
#[derive(Debug)]
pub struct Begun {
    /// What there is of it.
    pub page: BytesMut,
    /// When it must be whole; `None`: it has begun just now.
    until: Option<Tick>,
    /// That moment came first.
    pub late: bool,
}

impl Begun {
    /// These are the first bytes of a head.
    pub fn new(page: BytesMut) -> Box<Self> {
        Box::new(Self { page, until: None, late: false })
    }

    /// A head that is not whole, taken out of the page that it was looked for in; `before`: as it came there, if it had
    /// begun earlier.
    pub fn taken_out(before: Option<Box<Self>>, buffers: &Buffers, head: &mut Head) -> Box<Self> {
        let mut begun = before.unwrap_or_else(|| Self::new(BytesMut::new()));
        begun.page = match buffers.note_for(head.page.len()) {
            Some(mut note) => {
                note.extend_from_slice(&head.page);
                note
            }
            None => mem::take(&mut head.page),
        };
        begun
    }
}

/// Reads on until the head may be whole, or its deadline has come. `None`: the client went away without a request.
///
/// The deadline counts from the head's first byte, not from each (hostile clients send one byte at a time).
#[expect(clippy::manual_async_fn, reason = "an async fn would hold its arguments twice")]
pub fn more(
    mut downstream: Downstream,
    mut begun: Box<Begun>,
) -> impl Future<Output = Option<Kept>> {
    async move {
        let worker = Rc::clone(downstream.wire.slot.worker());
        let slot = downstream.wire.slot.id();
        let most = downstream.listener.terms.request;
        let line = most.target_bytes + limits::METHOD_BYTES + " HTTP/1.1\r\n".len();
        worker.clock.refresh();
        let until = *begun.until.get_or_insert(worker.clock.after(downstream.listener.head));
        if until.is_due(worker.clock.now()) {
            // Its last bytes came together with the deadline.
            begun.late = true;
            return Some((downstream, Some(First::Begun(begun))));
        }
        worker.arm_at(slot, Wait::Read, until, Ways::Read);
        let arrived = loop {
            let known = begun.page.len();
            match fill(&mut begun.page, &mut downstream.wire.stream.reader).await {
                Ok(1..) => {}
                _ if worker.slots.expired(slot, Wait::Read) => {
                    begun.late = true;
                    break true;
                }
                _ => break false,
            }
            if may_be_whole(&begun.page, known, &[line, most.head_bytes]) {
                break true;
            }
        };
        worker.slots.disarm(slot, Wait::Read);
        if arrived {
            return Some((downstream, Some(First::Begun(begun))));
        }
        worker.buffers.give_page(begun.page);
        None
    }
}

/// Whether there is anything new to find in a page that held `known` bytes: a line has ended, or a limit was reached.
///
/// A peer that sends one byte at a time must not make us parse its whole head each time.
pub fn may_be_whole(page: &[u8], known: usize, marks: &[usize]) -> bool {
    let crossed = |mark: &usize| known < *mark && page.len() >= *mark;
    page[known..].contains(&b'\n') || marks.iter().any(crossed)
}

/// Reads once behind what the page holds; a full page grows first.
pub fn fill(page: &mut BytesMut, reader: &mut Reader) -> impl Future<Output = io::Result<usize>> {
    grow(page);
    reader.read_more(mem::take(page), usize::MAX).map(|(read, filled)| {
        *page = filled;
        read
    })
}

/// Makes room in a full page: half a KiB at first, then always twice as much, so that no more is held than twice what came.
fn grow(page: &mut BytesMut) {
    let length = page.len();
    if length < page.capacity() {
        return;
    }
    // Only what was pipelined behind a body is larger than the largest page; the parser has refused the head, or will.
    let size = (length * 2).max(limits::SLIP_BYTES);
    page.reserve(size - length);
}
