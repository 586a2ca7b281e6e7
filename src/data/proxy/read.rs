//! Reading a request's head: from the first bytes to a checked [`Request`], within the head's deadline.

use std::future::Future;
use std::io;
use std::mem;
use std::rc::Rc;

use coregate_core::base::limits;
use coregate_core::http::head::{Head, Request};
use coregate_core::http::parse;
use futures_util::FutureExt;

use crate::proxy::connection::Downstream;
use crate::proxy::reject::Reject;
use crate::transport::{Reader, Ways};
use crate::worker::context::Worker;
use crate::worker::slots::Wait;

/// Why there is no request.
#[derive(Debug)]
pub enum Ended {
    /// The client went away without one.
    Silently,
    /// What came is refused.
    Refused(Reject),
}

/// Reads on until the page begins with a whole head.
///
/// The deadline counts from the first byte, not from each (hostile clients send one byte at a time).
pub async fn request(
    worker: &Rc<Worker>,
    downstream: &mut Downstream,
    head: &mut Head,
) -> Result<Request, Ended> {
    let slot = downstream.wire.slot.id();
    let most = downstream.listener.terms.request;
    let mut waiting = false;
    loop {
        match parse::request(head, &most) {
            Ok(Some(request)) => {
                if waiting {
                    worker.slots.disarm(slot, Wait::Read);
                }
                worker.clock.refresh();
                worker.stats().requests.one();
                return Ok(request);
            }
            Ok(None) => {}
            Err(fault) => return Err(Ended::Refused(fault.into())),
        }
        if !waiting {
            waiting = true;
            worker.arm(slot, Wait::Read, downstream.listener.head, Ways::Read);
        }
        loop {
            let known = head.page.len();
            match fill(head, &mut downstream.wire.stream.reader).await {
                Ok(1..) => {}
                _ if worker.slots.expired(slot, Wait::Read) => {
                    return Err(Ended::Refused(Reject::HeadTimeout));
                }
                _ => return Err(Ended::Silently),
            }
            let line = most.target_bytes + limits::METHOD_BYTES + " HTTP/1.1\r\n".len();
            if may_be_whole(head, known, &[line, most.head_bytes]) {
                break;
            }
        }
    }
}

/// Whether there is anything new to find in a page that held `known` bytes: a line has ended, or a limit was reached.
///
/// A peer that sends one byte at a time must not make us parse its whole head each time.
pub fn may_be_whole(head: &Head, known: usize, marks: &[usize]) -> bool {
    let crossed = |mark: &usize| known < *mark && head.page.len() >= *mark;
    head.page[known..].contains(&b'\n') || marks.iter().any(crossed)
}

/// Reads once behind what the page holds; a full page grows first.
pub fn fill(head: &mut Head, reader: &mut Reader) -> impl Future<Output = io::Result<usize>> {
    grow(head);
    reader.read_more(mem::take(&mut head.page), usize::MAX).map(|(read, page)| {
        head.page = page;
        read
    })
}

/// Makes room in a full page: 4, then 16, then 64 KiB.
fn grow(head: &mut Head) {
    let length = head.page.len();
    if length < head.page.capacity() {
        return;
    }
    let sizes = [limits::PAGE_MEDIUM_BYTES, limits::PAGE_LARGE_BYTES];
    // Only what was pipelined behind a body is larger; the parser has refused the head, or will.
    let size = sizes.into_iter().find(|size| *size > length).unwrap_or(length * 2);
    head.page.reserve(size - length);
}
