//! Picking an instance: whoever's [turn](crate::worker::turn) it is, not the one that just failed while there is another.

use std::rc::Rc;

use coregate_core::base::ids::InstanceSlot;

use crate::proxy::reject::Reject;
use crate::worker::context::Worker;
use crate::worker::kept::InFlight;
use crate::worker::services::{LocalInstance, LocalService};
use crate::worker::turn::Sought;

/// An instance that a request, or a tunnel, is on its way to: counted in flight on it until this is dropped.
#[derive(Debug)]
pub struct Picked {
    instance: Rc<LocalInstance>,
    in_flight: InFlight,
}

impl Picked {
    /// The instance.
    pub fn instance(&self) -> &LocalInstance {
        &self.instance
    }

    /// Its slot.
    pub fn slot(&self) -> InstanceSlot {
        self.instance.instance.slot
    }

    /// Counts an attempt on it that has ended.
    #[inline]
    pub fn tell(&self, failed: bool) {
        self.in_flight.tell(failed);
    }
}

/// The next instance in turn.
///
/// The count goes up in the same breath as the instance's word is read: nothing is awaited in between, which the reuse of
/// slots relies on. `failed`: the instance of the attempt before. Without one this is the first attempt, and nothing was awaited
/// since the service was looked up.
pub fn pick(
    worker: &Worker,
    service: &LocalService,
    failed: Option<InstanceSlot>,
) -> Result<Picked, Reject> {
    let instance = match failed {
        // Marks that a successor sets follow no publish of ours.
        None => next(worker, service, Sought { current: !worker.handed_over.get(), failed: None }),
        Some(failed) => another(worker, service, failed),
    };
    let instance = instance.ok_or(Reject::NoHealthyInstance)?;
    let in_flight = worker.locals.in_flight(&instance);
    Ok(Picked { instance, in_flight })
}

/// One for a further attempt. Where all that there were at the first are gone, one of those that the service has now.
fn another(
    worker: &Worker,
    service: &LocalService,
    failed: InstanceSlot,
) -> Option<Rc<LocalInstance>> {
    next(worker, service, Sought { current: false, failed: Some(failed) }).or_else(|| {
        let find = |snapshot: &_| worker.locals.service(snapshot, service.service.id);
        next(worker, &*worker.with_snapshot(find)?, Sought { current: true, failed: None })
    })
}

#[inline]
fn next(worker: &Worker, service: &LocalService, sought: Sought) -> Option<Rc<LocalInstance>> {
    service.next_instance(&worker.cells, sought, || worker.random())
}
