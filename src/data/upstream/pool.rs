//! Idle connections to one instance, per worker: the last one put in is the first taken out.
//!
//! A connection is looked at before it is used (one system call): one that has ended is dropped, and so is one on which
//! bytes wait, because they would be taken for the answer to the next request, which may be another client's. Whether an
//! instance closes it in the very moment it is used cannot be known: that is what the one retry is for.

use std::cell::RefCell;

use coregate_core::base::limits;
use coregate_core::base::time::Tick;
use coregate_core::snapshot::services::ServiceTerms;

use crate::proxy::pick::Picked;
use crate::transport::Pulse;
use crate::upstream::Upstream;
use crate::worker::context::{Wire, Worker};
use crate::worker::slots::SlotId;

/// The idle connections to one instance.
#[derive(Debug, Default)]
pub struct Pool {
    idle: RefCell<Vec<Idle>>,
}

/// A connection that waits, or waited, for its next exchange.
#[derive(Debug)]
pub struct Idle {
    wire: Wire,
    /// The client that it has named to the instance, and speaks for alone.
    owner: Option<SlotId>,
    born: Tick,
    since: Tick,
}

impl Idle {
    /// In the hands of an exchange with this instance.
    pub fn used_by(self, picked: Picked) -> Upstream {
        Upstream { wire: self.wire, reused: true, picked, born: self.born }
    }

    fn is_over(&self, terms: &ServiceTerms, now: Tick) -> bool {
        self.since.after(terms.idle).is_due(now) || self.born.after(terms.age).is_due(now)
    }
}

impl Pool {
    /// Takes a connection that is fit for use. `owner`: one that speaks for this client.
    pub fn take(
        &self,
        worker: &Worker,
        terms: &ServiceTerms,
        owner: Option<SlotId>,
    ) -> Option<Idle> {
        let now = worker.clock.now();
        loop {
            let idle = self.pop(owner)?;
            if idle.is_over(terms, now) {
                continue;
            }
            if worker.slots.pulse(idle.wire.slot.id()) != Pulse::Alive {
                worker.stats().upstream_stale.one();
                continue;
            }
            worker.stats().upstream_reused.one();
            return Some(idle);
        }
    }

    /// The last one put in.
    fn pop(&self, owner: Option<SlotId>) -> Option<Idle> {
        let mut idle = self.idle.borrow_mut();
        if owner.is_none() {
            return idle.pop();
        }
        let at = idle.iter().rposition(|idle| idle.owner == owner)?;
        Some(idle.remove(at))
    }

    /// Keeps a connection on which everything was said and read.
    pub fn give(
        &self,
        worker: &Worker,
        terms: &ServiceTerms,
        wire: Wire,
        born: Tick,
        owner: Option<SlotId>,
    ) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= terms.idle_per_worker && owner.is_some() {
            idle.retain(|idle| idle.owner.is_some_and(|owner| worker.slots.is_open(owner)));
        }
        if idle.len() < terms.idle_per_worker {
            let since = worker.clock.now();
            idle.push(Idle { wire, owner, born, since });
            worker.untidy();
        }
    }

    /// Closes what has waited too long, and of the longest idle what has ended; how many are left.
    pub fn sweep(&self, worker: &Worker, terms: &ServiceTerms) -> usize {
        let now = worker.clock.now();
        let mut idle = self.idle.borrow_mut();
        let mut looks = 0;
        idle.retain(|idle| {
            looks += 1;
            let alive = || worker.slots.pulse(idle.wire.slot.id()) == Pulse::Alive;
            let owned = idle.owner.is_none_or(|owner| worker.slots.is_open(owner));
            owned && !idle.is_over(terms, now) && (looks > limits::SWEEP_LOOKS || alive())
        });
        idle.len()
    }

    /// Closes the longer idle half, because descriptors have run out; how many that were.
    pub fn shed(&self) -> usize {
        let mut idle = self.idle.borrow_mut();
        let shed = idle.len().div_ceil(2);
        idle.drain(..shed).count()
    }

    /// How many connections wait.
    pub fn len(&self) -> usize {
        self.idle.borrow().len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
