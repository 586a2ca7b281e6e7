//! Connecting to an instance, under a deadline.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use coregate_core::base::time::Span;
use coregate_core::snapshot::plan::Address;

use crate::transport::{Stream, Ways};
use crate::upstream::Upstream;
use crate::worker::context::{OpenSlot, Wire, Worker, sleep};
use crate::worker::slots::PeerText;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The deadline came first.
    #[error("no connection in time")]
    Timeout,
    /// The kernel says no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// How long a Unix socket whose backlog is full is left alone.
const BACKLOG_PAUSE: Span = Span::of(Duration::from_millis(10));

/// A full backlog makes TCP wait by itself; a Unix socket says EAGAIN, and we wait.
async fn patiently(worker: &Rc<Worker>, address: &Address) -> io::Result<Stream> {
    loop {
        match worker.connect(address).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                sleep(worker, BACKLOG_PAUSE).await;
            }
            other => return other,
        }
    }
}

/// Connects to `address` within `limit`.
pub async fn connect(
    worker: &Rc<Worker>,
    address: &Address,
    limit: Span,
) -> Result<Upstream, ConnectError> {
    let slot = OpenSlot::new(worker, None, PeerText::new(""));
    worker.arm(slot.id(), limit, Ways::Both);
    let mut connecting = pin!(patiently(worker, address));
    let result = poll_fn(|context| {
        if let Poll::Ready(result) = connecting.as_mut().poll(context) {
            return Poll::Ready(result.map_err(ConnectError::Io));
        }
        if worker.slots.expired(slot.id()) {
            return Poll::Ready(Err(ConnectError::Timeout));
        }
        worker.slots.wake_at_deadline(slot.id(), context.waker());
        Poll::Pending
    })
    .await;
    match result {
        Ok(stream) => {
            worker.stats().upstream_connects.one();
            let wire = Wire::new(worker, stream, PeerText::new(""));
            Ok(Upstream { wire, reused: false, born: worker.clock.now() })
        }
        Err(error) => {
            worker.stats().upstream_connect_errors.one();
            Err(error)
        }
    }
}
