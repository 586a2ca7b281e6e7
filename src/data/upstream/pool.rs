//! Idle connections to one instance, per worker: the last one put in is the first taken out.
//!
//! A connection is looked at before it is used (one system call): one that has ended is dropped, and so is one on which
//! bytes wait, because they would be taken for the answer to the next request, which may be another client's. Whether an
//! instance closes it in the very moment it is used cannot be known: that is what the one retry is for.

use std::cell::{Cell, RefCell};

use coregate_core::base::limits;
use coregate_core::base::time::Tick;
use coregate_core::snapshot::services::ServiceTerms;

use crate::proxy::pick::Picked;
use crate::transport::Pulse;
use crate::upstream::Upstream;
use crate::worker::context::Worker;
use crate::worker::slots::SlotId;
use crate::worker::wire::Wire;

/// The idle connections to one instance.
#[derive(Debug, Default)]
pub struct Pool {
    idle: RefCell<Vec<Idle>>,
    /// Its instance is gone: what is given to it is closed.
    retired: Cell<bool>,
}

/// What came of sweeping a pool.
#[derive(Debug, Default)]
pub struct Swept {
    /// Connections that were looked at, by a system call each.
    pub looks: usize,
    /// Connections that were passed by.
    pub passed: usize,
    /// Connections that were closed.
    pub closed: usize,
    /// It was not gone through to the end: as many were closed as may be at once.
    pub more: bool,
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
    ///
    /// One that is not is closed. After some of these a new connection costs less: the others are left to the sweep.
    pub fn take(
        &self,
        worker: &Worker,
        terms: &ServiceTerms,
        owner: Option<SlotId>,
    ) -> Option<Idle> {
        let now = worker.clock.now();
        for _ in 0..limits::POOL_CLOSES {
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
        None
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

    /// Keeps a connection on which everything was said and read; closes it if the instance is gone.
    pub fn give(
        &self,
        worker: &Worker,
        terms: &ServiceTerms,
        wire: Wire,
        born: Tick,
        owner: Option<SlotId>,
    ) {
        if self.retired.get() {
            return;
        }
        let most = terms.idle_of(worker.posts().all().len());
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= most && owner.is_some() {
            let mut closed = 0;
            idle.retain(|idle| {
                let speaks = idle.owner.is_some_and(|owner| worker.slots.is_open(owner));
                let stays = speaks || closed == limits::POOL_CLOSES;
                closed += usize::from(!stays);
                stays
            });
        }
        if idle.len() < most {
            let since = worker.clock.now();
            idle.push(Idle { wire, owner, born, since });
            worker.untidy();
        }
    }

    /// Closes what has waited too long, and of the longest idle what has ended; at most so many, which must not be 0.
    pub fn sweep(&self, worker: &Worker, terms: &ServiceTerms, most: usize) -> Swept {
        let now = worker.clock.now();
        let mut swept = Swept::default();
        self.idle.borrow_mut().retain(|idle| {
            if swept.closed == most {
                swept.more = true;
                return true;
            }
            let owned = idle.owner.is_none_or(|owner| worker.slots.is_open(owner));
            let mut stays = owned && !idle.is_over(terms, now);
            if stays && swept.looks < limits::SWEEP_LOOKS {
                swept.looks += 1;
                stays = worker.slots.pulse(idle.wire.slot.id()) == Pulse::Alive;
            }
            swept.passed += 1;
            swept.closed += usize::from(!stays);
            stays
        });
        swept
    }

    /// Its instance is gone: from now on nothing is kept.
    pub fn retire(&self) {
        self.retired.set(true);
    }

    /// Closes the longest idle, at most so many; how many that were.
    pub fn close(&self, most: usize) -> usize {
        let mut idle = self.idle.borrow_mut();
        let close = idle.len().min(most);
        idle.drain(..close).count()
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
