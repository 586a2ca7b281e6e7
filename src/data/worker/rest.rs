//! Waiting: for a time, for a deadline, for others to have their turn.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use coregate_core::base::time::{Span, TICK};

use crate::transport::Ways;
use crate::worker::context::{Reach, Worker};
use crate::worker::slots::{PeerText, SlotId, Wait};
use crate::worker::wire::OpenSlot;

/// Waits for `span`. May be dropped.
pub async fn sleep(worker: &Rc<Worker>, span: Span) {
    let slot = OpenSlot::new(worker, None, PeerText::new(""));
    worker.arm(slot.id(), Wait::Read, span, Ways::Both);
    until_deadline(worker, slot.id()).await;
}

/// Lets others have a turn after every `most` steps of a loop whose steps may never wait: pieces of a body that fill their
/// buffers, pipelined requests. `steps` counts them.
///
/// The ring ends every operation in a later turn by itself. monoio's epoll driver does not: where reads and writes are ready
/// at once, a task never waits; and one that wakes itself goes to the front of the queue. So it sleeps for a tick.
pub async fn breathe(worker: &Rc<Worker>, steps: &mut u32, most: u32) {
    *steps += 1;
    let epoll = matches!(worker.reach, Reach::Sockets { blocking: false });
    if epoll && steps.is_multiple_of(most) {
        Box::pin(sleep(worker, Span::of(TICK))).await;
    }
}

/// Waits until a slot's deadline has come.
pub async fn until_deadline(worker: &Worker, slot: SlotId) {
    poll_fn(|context| {
        if worker.slots.expired(slot, Wait::Read) {
            return Poll::Ready(());
        }
        worker.slots.wake_at_deadline(slot, context.waker());
        Poll::Pending
    })
    .await;
}
