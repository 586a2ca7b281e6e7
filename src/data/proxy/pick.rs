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
/// slots relies on.
pub fn pick(
    worker: &Worker,
    service: &LocalService,
    failed: Option<InstanceSlot>,
) -> Result<Picked, Reject> {
    let next = || service.next_instance(&worker.cells).ok_or(Reject::NoHealthyInstance);
    let instance = match (next()?, failed) {
        (instance, Some(failed)) if instance.instance.slot == failed => next()?,
        (instance, _) => instance,
    };
    let in_flight = worker.locals.in_flight(&instance);
    Ok(Picked { instance, _in_flight: in_flight })
}
