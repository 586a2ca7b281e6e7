//! The sweep: once a second, while there is anything to look at, a worker tidies up what no request touches.
//!
//! There may be a hundred thousand instances and as many idle connections, and no request is to wait for that: the sweep goes in
//! small parts, with a rest between them.

use std::rc::Rc;

use coregate_core::base::ids::ServiceId;
use coregate_core::base::limits;
use coregate_core::base::time::Span;

use crate::worker::context::{Worker, sleep};
use crate::worker::ending;
use crate::worker::slots::Whose;

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
        while self.service < locals.touched() {
            let id = ServiceId(self.service as u16);
            cost += 1;
            if let Some(local) = worker.with_snapshot(|snapshot| locals.mend_service(snapshot, id))
            {
                let terms = &local.service.terms;
                if self.place == 0 {
                    cost += local.size();
                }
                let stopped = local.visit_from(self.place, |instance| {
                    cost += instance.pool.len().min(limits::SWEEP_LOOKS) * limits::SWEEP_LOOK_COST;
                    self.left += instance.pool.sweep(worker, terms);
                    cost < limits::SWEEP_AT_ONCE
                });
                if let Some(place) = stopped {
                    self.place = place;
                    return true;
                }
            }
            (self.service, self.place) = (self.service + 1, 0);
            if cost >= limits::SWEEP_AT_ONCE {
                return true;
            }
        }
        worker.with_snapshot(|snapshot| locals.mend_routes(snapshot));
        false
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
        while sweep.go_on(&worker) {
            sleep(&worker, Span::of_ticks(1)).await;
        }
        let now = worker.clock.refresh();
        let mut buried = Vec::new();
        let bury = |incarnation| buried.push(Whose::Client(incarnation));
        let more = worker.listeners.bury(now, worker.drain_time.get(), bury);
        if worker.ending.name(buried) {
            ending::run(Rc::clone(&worker)).await;
        }
        if worker.trim() || sweep.left() > 0 || more {
            worker.untidy();
        }
    }
}
