//! The sweep: once a second, while there is anything to look at, a worker tidies up what no request touches.
//!
//! There may be a hundred thousand instances and as many idle connections, and no request is to wait for that: the sweep goes in
//! small parts, with a rest between them.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use coregate_core::base::ids::ServiceId;
use coregate_core::base::limits;
use coregate_core::base::time::Span;

use crate::worker::context::Worker;

use crate::worker::ending;
use crate::worker::rest::sleep;
use crate::worker::services::{LocalService, Then};
use crate::worker::slots::Whose;

/// Whether there is anything for the sweep to look at: idle connections in pools, connections to what is gone, free memory.
#[derive(Debug, Default)]
pub struct Untidy {
    said: Cell<bool>,
    sweeper: RefCell<Option<Waker>>,
}

impl Untidy {
    /// There is.
    pub fn say(&self) {
        if !self.said.replace(true)
            && let Some(sweeper) = self.sweeper.borrow_mut().take()
        {
            sweeper.wake();
        }
    }

    /// Waits until there is; for the one task that sweeps.
    pub(crate) async fn until(&self) {
        poll_fn(|context| {
            if self.said.replace(false) {
                return Poll::Ready(());
            }
            *self.sweeper.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// How many connections a part of a sweep may close that has cost so much already: one at least, so that there is an end.
pub(crate) fn closes_for(cost: usize) -> usize {
    (limits::SWEEP_AT_ONCE.saturating_sub(cost) / limits::SWEEP_CLOSE_COST).max(1)
}

/// How far a sweep has come.
#[derive(Debug, Default)]
pub struct Sweep {
    /// The service that is next, and which of its instances.
    service: usize,
    place: usize,
    left: usize,
}

impl Sweep {
    /// Goes on for a part; whether there is more. Services that differ from the latest snapshot are mended; idle connections
    /// that have waited too long, that have ended, or that go to instances which are gone are closed.
    pub fn go_on(&mut self, worker: &Worker) -> bool {
        let locals = &worker.locals;
        let mut cost = 0;
        // First what is gone: to go through all that is there may take a while.
        if locals.graveyard().tidy(&mut cost) {
            return true;
        }
        while self.service < locals.touched() {
            let id = ServiceId(self.service as u16);
            let mend = |snapshot: &_| locals.mend_service(snapshot, id);
            let (local, looks) = worker.with_snapshot(mend);
            cost += 1 + looks * limits::SWEEP_MEND_COST;
            if let Some(local) = local
                && let Some(place) = self.go_through(worker, &local, &mut cost)
            {
                self.place = place;
                return true;
            }
            (self.service, self.place) = (self.service + 1, 0);
            if cost >= limits::SWEEP_AT_ONCE {
                return true;
            }
        }
        if !locals.graveyard().is_empty() {
            return true;
        }
        worker.with_snapshot(|snapshot| locals.mend_routes(snapshot));
        false
    }

    /// Goes through the pools of a service; where to go on, if the part was over before. One pool at least gets its turn.
    fn go_through(
        &mut self,
        worker: &Worker,
        local: &LocalService,
        cost: &mut usize,
    ) -> Option<usize> {
        local.visit_from(self.place, |known| {
            *cost += 1;
            if let Some(instance) = known {
                let most = closes_for(*cost);
                let swept = instance.pool.sweep(worker, &local.service.terms, most);
                *cost += swept.looks * limits::SWEEP_LOOK_COST
                    + swept.closed * limits::SWEEP_CLOSE_COST
                    + swept.passed / limits::SWEEP_PASSED;
                if swept.more {
                    return Then::Again;
                }
                self.left += instance.pool.len();
            }
            if *cost < limits::SWEEP_AT_ONCE { Then::GoOn } else { Then::Rest }
        })
    }

    /// How many idle connections are left of those that it has come by.
    pub fn left(&self) -> usize {
        self.left
    }
}

/// Sweeps for as long as the worker lives; also ends what is left of listeners that are gone, and frees memory that nobody
/// uses.
pub(crate) async fn run(worker: Rc<Worker>) {
    loop {
        worker.until_untidy().await;
        sleep(&worker, Span::of(limits::SWEEP_EVERY)).await;
        let mut sweep = Sweep::default();
        let mut draining = end_drained(&worker).await;
        while sweep.go_on(&worker) {
            sleep(&worker, Span::of_ticks(1)).await;
            draining = end_drained(&worker).await;
        }
        if worker.trim() || sweep.left() > 0 || draining {
            worker.untidy();
        }
    }
}

/// Ends connections of clients that came by listeners whose time to drain is over. Whether there are some whose is not.
async fn end_drained(worker: &Rc<Worker>) -> bool {
    let now = worker.clock.refresh();
    let mut buried = Vec::new();
    let bury = |incarnation| buried.push(Whose::Client(incarnation));
    let more = worker.listeners.bury(now, worker.drain_time(), bury);
    if worker.ending.name(buried) {
        ending::run(Rc::clone(worker)).await;
    }
    more
}
