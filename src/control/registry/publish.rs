//! Publishing snapshots: the door of arc-swap on the control side. One pointer in the whole process (rule 4).
//!
//! The snapshot that was current goes onto a list, and is freed here, by this thread, once every worker has acknowledged a
//! newer one; so are the routes and services that workers kept from it and gave back. A worker that sleeps on an old snapshot
//! is woken for the new one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use coregate_core::base::ids::{InstanceSlot, WorkerId};
use coregate_core::base::limits;
use coregate_core::base::mailbox::Ticket;
use coregate_core::policy::quota::Answer;
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::reader::{Reader, acknowledged_by_all};

/// What control can do to workers.
pub trait Workers: Send {
    /// Wakes worker number `at`, to look at the latest snapshot.
    fn wake(&self, at: usize);

    /// Ends on every worker what is in flight on this use of an instance's slot. `false`: not every one was told.
    #[must_use = "who was not told must be told again"]
    fn cut(&self, slot: InstanceSlot, generation: u16) -> bool;

    /// Answers what a worker has asked under this ticket. Who is not reached finds out in time that nobody answers.
    fn answer(&self, by: WorkerId, ticket: Ticket, answer: Answer);
}

/// The pointer that workers read.
pub type Pointer = Arc<ArcSwap<Snapshot>>;

/// Owns the pointer, and what was behind it before.
#[derive(Debug)]
pub struct Publisher {
    pointer: Pointer,
    readers: Arc<[Reader]>,
    /// What was current before, oldest first.
    retired: VecDeque<Arc<Snapshot>>,
    /// When workers that have not acknowledged the latest are woken next.
    wake_at: Option<Instant>,
}

impl Publisher {
    /// Publishes the first snapshot.
    pub fn new(first: Snapshot, readers: Arc<[Reader]>) -> Self {
        let pointer = Arc::new(ArcSwap::from_pointee(first));
        Self { pointer, readers, retired: VecDeque::new(), wake_at: None }
    }

    /// The pointer, for a worker.
    pub fn pointer(&self) -> Pointer {
        Arc::clone(&self.pointer)
    }

    /// What the workers say.
    pub fn readers(&self) -> &[Reader] {
        &self.readers
    }

    /// Publishes a snapshot at `now`: requests that begin from here on are routed by it.
    pub fn publish(&mut self, snapshot: Snapshot, now: Instant) {
        self.retired.push_back(self.pointer.swap(Arc::new(snapshot)));
        if self.retired.len() > limits::RETIRED_SNAPSHOTS {
            self.retired.pop_front();
        }
        // A worker that is woken for one is woken for all that came since.
        self.wake_at.get_or_insert(now + limits::ACKNOWLEDGE_TIME);
    }

    /// Frees what no worker needs any more; whether something is left that some still may.
    pub fn free(&mut self) -> bool {
        let acknowledged = acknowledged_by_all(&self.readers);
        // What is retired under its own generation is needed by who has acknowledged no newer one.
        while self.retired.front().is_some_and(|old| old.generation() < acknowledged) {
            self.retired.pop_front();
        }
        let most = limits::RECLAIM_AT_ONCE;
        let returned = self.readers.iter().map(|reader| reader.free_returned(most));
        returned.max() == Some(most) || !self.retired.is_empty()
    }

    /// Wakes the workers that have not acknowledged the latest snapshot in time.
    pub fn wake(&mut self, now: Instant, workers: &impl Workers) {
        if self.wake_at.is_none_or(|at| at > now) {
            return;
        }
        let latest = self.pointer.load().generation();
        let behind = |(_, reader): &(usize, &Reader)| reader.acknowledged() < latest;
        let mut any = false;
        for (at, _) in self.readers.iter().enumerate().filter(behind) {
            workers.wake(at);
            any = true;
        }
        self.wake_at = any.then(|| now + limits::ACKNOWLEDGE_TIME);
    }

    /// How many snapshots are kept for workers that may still read them.
    pub fn retired(&self) -> usize {
        self.retired.len()
    }
}

#[cfg(test)]
mod tests;
