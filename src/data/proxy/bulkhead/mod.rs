//! The bulkhead of a service: how many of its requests are in flight on the host, who waits for that, and who is let in next.
//!
//! ```text
//!  request ──▶ enter ──▶ in: pick an instance with room ──▶ Picked, with a Permit
//!                   └──▶ a place in the worker's line ┄┄┄▶ let in by whoever leaves, or refused: 503 bulkhead_full
//! ```
//!
//! How many are in flight and how many wait is one word for the host ([`Bulkhead`](coregate_core::base::cells::Bulkhead)); who waits stands in
//! a line on its own worker. Whoever leaves and sees in that word that somebody waits gives the room to the highest class that waits anywhere,
//! by chance among workers that have some of it, in proportion to how many: to one of its own line at once, or by a knock at
//! another worker's post. Nobody is told of anything where nobody waits.
//!
//! The tick that beats while requests come ([`heart`](crate::worker::heart)) beats also while somebody waits: it refuses who is late, and lets in
//! whom another process made room for, which cannot knock here.
//!
//! A further attempt of a request keeps its place in the service, and does not wait for an instance: where there is too much to do,
//! retries are the first to end.

mod line;
mod permit;

use std::rc::Rc;
use std::time::Duration;

use coregate_core::base::cells::Entry;
use coregate_core::base::ids::{InstanceSlot, ServiceId};
use coregate_core::base::limits;
use coregate_core::policy::queue::Class;
use coregate_core::snapshot::bulkheads::BulkheadTerms;

pub use self::line::{Lines, Place};
use self::line::{Promised, Told};
pub use self::permit::Permit;
use crate::proxy::pick::{self, Picked, Unpicked};
use crate::proxy::reject::Reject;
use crate::worker::context::Worker;
use crate::worker::services::LocalService;

/// Who comes to a service.
#[derive(Debug, Default)]
pub struct Comer {
    /// Its class.
    pub class: Class,
    /// The instance of the attempt before.
    pub failed: Option<InstanceSlot>,
    /// What the attempt before has left.
    pub permit: Option<Box<Permit>>,
}

/// What becomes of one who comes.
#[derive(Debug)]
pub enum Entrance {
    /// It has an instance.
    In(Picked),
    /// It waits.
    Waits(Place),
    /// It is refused.
    No(Reject),
}

/// Lets a request in, to an instance whose turn it is; else it waits, or is refused.
#[inline]
pub fn enter(worker: &Rc<Worker>, service: &LocalService, comer: &mut Comer) -> Entrance {
    let Some(bulkhead) = &service.service.bulkhead else {
        // Even if it has one: the service had a bulkhead when the attempt before began.
        let permit = comer.permit.take().map_or_else(|| Permit::unlimited(worker), |held| *held);
        return match pick::pick(worker, service, comer.failed, permit) {
            Ok(picked) => Entrance::In(picked),
            Err(reject) => Entrance::No(reject),
        };
    };
    enter_limited(worker, service, bulkhead, comer)
}

fn enter_limited(
    worker: &Rc<Worker>,
    service: &LocalService,
    bulkhead: &BulkheadTerms,
    comer: &mut Comer,
) -> Entrance {
    let (id, class) = (service.service.id, comer.class);
    let held = comer.permit.take();
    let first = held.is_none();
    if let Some(line) = worker.lines.get(id) {
        line.refuse_late(worker, id, bulkhead.wait, now(worker));
    }
    let entered = || match worker.cells.bulkhead(id).enter(bulkhead.service, bulkhead.queue) {
        Entry::Entered => Ok(Permit::entered(worker, id)),
        Entry::Waits => Err(wait(worker, id, class)),
        Entry::Full => Err(displace(worker, id, class)),
    };
    let permit = match held.map_or_else(entered, |held| Ok(*held)) {
        Ok(permit) => permit,
        Err(entrance) => return entrance,
    };
    match pick::pick_with_room(worker, service, comer.failed, (permit, bulkhead.instance)) {
        Ok(picked) => Entrance::In(picked),
        Err(Unpicked::Nobody(_)) => Entrance::No(Reject::NoHealthyInstance),
        Err(Unpicked::Full(permit)) if first => {
            let (waits, after) = permit.step_back(bulkhead.queue);
            if waits {
                let place = wait(worker, id, class);
                // One may have left its instance before this one was counted as waiting.
                let_in(worker, id);
                return place;
            }
            if after.waiting() > 0 {
                freed(worker, id);
            }
            displace(worker, id, class)
        }
        Err(Unpicked::Full(_)) => Entrance::No(Reject::BulkheadFull),
    }
}

/// What a queue counts time by.
fn now(worker: &Worker) -> Duration {
    Duration::from_nanos(worker.clock.precise())
}

fn wait(worker: &Rc<Worker>, service: ServiceId, class: Class) -> Entrance {
    worker.stats().bulkhead_waits.one();
    Entrance::Waits(Place::join(worker, service, class, now(worker)))
}

/// The queue is full: one of a higher class takes the place of one that waits here.
fn displace(worker: &Rc<Worker>, service: ServiceId, class: Class) -> Entrance {
    match worker.lines.get(service) {
        Some(line) if line.displace(worker, service, class) => wait(worker, service, class),
        _ => Entrance::No(Reject::BulkheadFull),
    }
}

/// Somebody has left while others wait, here or elsewhere: lets one in, or tells a worker on which one waits.
#[cold]
pub fn freed(worker: &Rc<Worker>, service: ServiceId) {
    match worker.posts().next_of_others(worker.id, service, || worker.random()) {
        Some(other) => other.knock_free(),
        None => let_in(worker, service),
    }
}

/// Lets in whoever waits here, as many as there is room for, and refuses who is late.
pub fn let_in(worker: &Rc<Worker>, service: ServiceId) {
    let local = worker.with_snapshot(|snapshot| worker.locals.service(snapshot, service));
    let bulkhead = local.as_ref().and_then(|local| local.service.bulkhead.as_deref());
    let limits = bulkhead.map_or(Limits::NONE, Limits::of);
    while let Some(line) = worker.lines.get(service) {
        line.refuse_late(worker, service, limits.wait, now(worker));
        let Some(first) = line.first() else { continue };
        if worker.cells.bulkhead(service).promote(limits.service).is_none() {
            return;
        }
        worker.holdings().wait_no_more(service, first.class());
        let permit = Permit::entered(worker, service);
        let picked = match &local {
            Some(local) => pick::pick_with_room(worker, local, None, (permit, limits.instance)),
            None => Err(Unpicked::Nobody(permit)),
        };
        match picked {
            Ok(picked) => line.call(worker, service, first, Told::In(Promised::new(picked))),
            Err(Unpicked::Nobody(permit)) => {
                line.call(worker, service, first, Told::No(Reject::NoHealthyInstance));
                permit.give_back();
            }
            Err(Unpicked::Full(permit)) => {
                if permit.step_back(limits.places).0 {
                    worker.holdings().wait(service, first.class());
                } else {
                    line.call(worker, service, first, Told::No(Reject::BulkheadFull));
                }
                // Should one have left its instance just now, unseen: the next tick looks again.
                return;
            }
        }
    }
    // All of this worker's are in. There may be room for those of others.
    if worker.cells.bulkhead(service).load().waiting() > 0
        && let Some(other) = worker.posts().next_of_others(worker.id, service, || worker.random())
    {
        other.knock_free();
    }
}

/// What holds for those who wait.
struct Limits {
    service: u64,
    instance: Option<u64>,
    places: u64,
    wait: Duration,
}

impl Limits {
    /// The service has no bulkhead any more.
    const NONE: Self = Self {
        service: limits::BULKHEAD_MAX,
        instance: None,
        places: limits::BULKHEAD_QUEUE_MAX,
        wait: limits::BULKHEAD_WAIT,
    };

    fn of(terms: &BulkheadTerms) -> Self {
        let BulkheadTerms { service, instance, queue, wait, .. } = *terms;
        Self { service, instance, places: queue, wait }
    }
}

/// The same for all services for which anybody waits here: with each tick, and where somebody knocked.
pub fn let_all_in(worker: &Rc<Worker>) {
    for service in worker.lines.services() {
        let_in(worker, service);
    }
}
