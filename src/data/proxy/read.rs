//! Reading a request's head: from the first bytes to a checked [`Request`], within the head's deadline.

use std::mem;
use std::rc::Rc;

use coregate_core::base::limits;
use coregate_core::http::head::{Head, Request};
use coregate_core::http::parse;

use crate::proxy::connection::Downstream;
use crate::proxy::reject::Reject;
use crate::transport::Ways;
use crate::worker::context::Worker;

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
                    worker.slots.disarm(slot);
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
            worker.clock.refresh();
            worker.arm(slot, downstream.listener.head, Ways::Read);
        }
        // Nothing new can be found before a line has ended, or the page is full.
        loop {
            let known = head.page.len();
            grow(head);
            let page = mem::take(&mut head.page);
            let (read, page) = downstream.wire.stream.reader.read_more(page, usize::MAX).await;
            head.page = page;
            match read {
                Ok(1..) => {}
                _ if worker.slots.expired(slot) => return Err(Ended::Refused(Reject::HeadTimeout)),
                _ => return Err(Ended::Silently),
            }
            if head.page[known..].contains(&b'\n') || head.page.len() >= most.target_bytes {
                break;
            }
        }
    }
}

/// Makes room in a full page: 4, then 16, then 64 KiB.
pub fn grow(head: &mut Head) {
    let length = head.page.len();
    if length < head.page.capacity() {
        return;
    }
    let sizes = [limits::PAGE_MEDIUM_BYTES, limits::PAGE_LARGE_BYTES];
    // Only what was pipelined behind a body is larger; the parser has refused the head, or will.
    let size = sizes.into_iter().find(|size| *size > length).unwrap_or(length * 2);
    head.page.reserve(size - length);
}
