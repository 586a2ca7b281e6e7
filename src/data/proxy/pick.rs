//! Picking an instance: round robin among those that take requests, not the one that just failed while there is another.

use std::rc::Rc;

use coregate_core::base::ids::InstanceSlot;

use crate::proxy::reject::Reject;
use crate::worker::context::Worker;
use crate::worker::kept::InFlight;
use crate::worker::services::{LocalInstance, LocalService};

/// An instance that a request, or a tunnel, is on its way to: counted in flight on it until this is dropped.
#[derive(Debug)]
pub struct Picked {
    instance: Rc<LocalInstance>,
    _in_flight: InFlight,
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
        None => service.next_instance(&worker.cells, !worker.handed_over.get()),
        Some(failed) => another(worker, service, failed),
    };
    let instance = instance.ok_or(Reject::NoHealthyInstance)?;
    let in_flight = worker.locals.in_flight(&instance);
    Ok(Picked { instance, _in_flight: in_flight })
}

/// One for a further attempt. Where all that there were at the first are gone, one of those that the service has now.
fn another(
    worker: &Worker,
    service: &LocalService,
    failed: InstanceSlot,
) -> Option<Rc<LocalInstance>> {
    let next = || service.next_instance(&worker.cells, false);
    match next() {
        Some(instance) if instance.instance.slot == failed => next(),
        Some(instance) => Some(instance),
        None => {
            let find = |snapshot: &_| worker.locals.service(snapshot, service.service.id);
            worker.with_snapshot(find)?.next_instance(&worker.cells, true)
        }
    }
}
