//! What a worker says of the snapshots that it reads, for the control plane to know what nobody needs any more.
//!
//! Four things, each written by its worker alone:
//!
//! - the generation that it has **acknowledged**: it has loaded that snapshot and holds no older one, nor will it load one;
//! - how many exchanges and tunnels are **in flight** on each instance slot;
//! - how many **requests**, and how many that **failed**, it has counted on each slot: they go on from one use of the slot to the
//!   next and wrap, so that only differences mean something;
//! - what it has **returned**: routes and services that it kept from older snapshots and needs no more. A worker never frees
//!   them itself: one that was the last to hold ten thousand instances would make its clients wait for that.
//!
//! Tops and chunks of a snapshot are freed by control once all workers have acknowledged a newer one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::counter::Gauges;
use crate::base::ids::InstanceSlot;
use crate::base::limits;
use crate::base::mailbox::Queue;
use crate::snapshot::listeners::Listener;
use crate::snapshot::routes::Route;
use crate::snapshot::services::Service;

/// Something of a snapshot that a worker kept and needs no more.
#[derive(Debug)]
pub enum Returned {
    /// A route.
    Route(Arc<Route>),
    /// A service.
    Service(Arc<Service>),
    /// A listener.
    Listener(Arc<Listener>),
}

/// What one worker says. Others read it only.
#[derive(Debug)]
#[repr(align(128))]
pub struct Reader {
    acknowledged: AtomicU64,
    in_flight: Gauges,
    requests: Gauges,
    failures: Gauges,
    returned: Queue<Returned>,
}

impl Reader {
    /// A worker that has read nothing yet, in a host with so many instance slots.
    pub fn new(slots: usize) -> Self {
        Self {
            acknowledged: AtomicU64::new(0),
            in_flight: Gauges::new(slots),
            requests: Gauges::new(slots),
            failures: Gauges::new(slots),
            returned: Queue::new(limits::RETURNED),
        }
    }

    /// The worker's own side: it has loaded the snapshot of this generation. Release: what it did before, on older ones, is
    /// seen by whoever reads this.
    pub fn acknowledge(&self, generation: u64) {
        self.acknowledged.store(generation, Ordering::Release);
    }

    /// The generation that was acknowledged last.
    #[inline]
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Acquire)
    }

    /// The worker's own side: something begins on this slot.
    #[inline]
    pub fn begin(&self, slot: InstanceSlot) {
        self.in_flight.one(slot.index());
    }

    /// The worker's own side: it ends.
    #[inline]
    pub fn end(&self, slot: InstanceSlot) {
        self.in_flight.less(slot.index());
    }

    /// The worker's own side, in its next life: nothing is in flight any more.
    pub fn end_all(&self) {
        self.in_flight.clear();
    }

    /// What is in flight on a slot.
    pub fn in_flight(&self, slot: InstanceSlot) -> u32 {
        self.in_flight.get(slot.index())
    }

    /// The worker's own side: a request to the instance of this slot has ended, well or not.
    #[inline]
    pub fn tell(&self, slot: InstanceSlot, failed: bool) {
        self.requests.one(slot.index());
        if failed {
            self.failures.one(slot.index());
        }
    }

    /// Requests to instances of a slot that have ended, attempts each by itself; modulo 2^32.
    pub fn requests(&self, slot: InstanceSlot) -> u32 {
        self.requests.get(slot.index())
    }

    /// Those of them that failed; modulo 2^32. May be ahead of [`requests`](Self::requests) or behind by what ends meanwhile.
    pub fn failures(&self, slot: InstanceSlot) -> u32 {
        self.failures.get(slot.index())
    }

    /// The worker's own side: it needs this no more. Gives it back when control has not looked for long.
    pub fn give_back(&self, returned: Returned) -> Result<(), Returned> {
        self.returned.put(returned)
    }

    /// Takes what was given back, to free it; at most `most`. How many there were.
    pub fn free_returned(&self, most: usize) -> usize {
        (0..most).take_while(|_| self.returned.take().is_some()).count()
    }
}

/// The generation that all of these have acknowledged.
pub fn acknowledged_by_all(readers: &[Reader]) -> u64 {
    readers.iter().map(Reader::acknowledged).min().unwrap_or(u64::MAX)
}

/// Whether anything is in flight on a slot.
pub fn is_in_flight(readers: &[Reader], slot: InstanceSlot) -> bool {
    readers.iter().any(|reader| reader.in_flight(slot) > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_is_counted_by_slot_and_outlives_what_was_in_flight() {
        let reader = Reader::new(3);
        let [one, other] = [1, 2].map(InstanceSlot);
        reader.begin(one);
        [false, true, false].into_iter().for_each(|failed| reader.tell(one, failed));
        reader.tell(other, true);
        reader.end_all();
        assert_eq!((reader.requests(one), reader.failures(one), reader.in_flight(one)), (3, 1, 0));
        assert_eq!((reader.requests(other), reader.failures(other)), (1, 1));
        assert_eq!((reader.requests(InstanceSlot(0)), reader.failures(InstanceSlot(7))), (0, 0));
    }
}
