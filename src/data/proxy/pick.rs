//! Picking an instance: whoever's [turn](crate::worker::turn) it is, not the one that just failed while there is another.

use std::mem;
use std::rc::Rc;

use coregate_core::base::ids::InstanceSlot;
use coregate_core::base::limits;

use crate::proxy::bulkhead::Permit;
use crate::proxy::reject::Reject;
use crate::worker::context::Worker;
use crate::worker::services::{LocalInstance, LocalService};
use crate::worker::turn::Sought;

/// An instance that a request, or a tunnel, is on its way to: counted in flight on it until this is dropped. Control waits for that
/// before the instance's slot means another.
#[derive(Debug)]
pub struct Picked {
    instance: Rc<LocalInstance>,
    permit: Permit,
}

/// Why there is none.
#[derive(Debug)]
pub enum Unpicked {
    /// Nobody takes requests.
    Nobody(Permit),
    /// All who do have as many as they may.
    Full(Permit),
}

impl Picked {
    #[inline]
    fn new(instance: Rc<LocalInstance>, permit: Permit) -> Self {
        permit.worker().reader().begin(instance.instance.slot);
        Self { instance, permit }
    }

    /// The instance.
    pub fn instance(&self) -> &LocalInstance {
        &self.instance
    }

    /// Its slot.
    #[inline]
    pub fn slot(&self) -> InstanceSlot {
        self.instance.instance.slot
    }

    /// Counts an attempt on it that has ended.
    #[inline]
    pub fn tell(&self, failed: bool) {
        self.permit.worker().reader().tell(self.slot(), failed);
    }

    /// The attempt is over, and the request may make another: it keeps its place in the service.
    pub fn leave(mut self) -> Box<Permit> {
        self.permit.leave_instance();
        let none = Permit::unlimited(self.permit.worker());
        Box::new(mem::replace(&mut self.permit, none))
    }
}

impl Drop for Picked {
    /// Before the permit is given back: whoever gets that may be told of the same instance.
    #[inline]
    fn drop(&mut self) {
        self.permit.worker().reader().end(self.slot());
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
    permit: Permit,
) -> Result<Picked, Reject> {
    let instance = one(worker, service, failed).ok_or(Reject::NoHealthyInstance)?;
    Ok(Picked::new(instance, permit))
}

/// The next in turn that has room, where instances are limited: for one more request, and for one more connection, if this worker
/// has none that is idle.
pub fn pick_with_room(
    worker: &Worker,
    service: &LocalService,
    failed: Option<InstanceSlot>,
    (mut permit, limit): (Permit, Option<u64>),
) -> Result<Picked, Unpicked> {
    for _ in 0..service.service.instances.len().clamp(1, limits::BULKHEAD_LOOKS) {
        let Some(instance) = one(worker, service, failed) else {
            return Err(Unpicked::Nobody(permit));
        };
        if has_connection(worker, service, &instance)
            && limit.is_none_or(|limit| permit.take_at(instance.instance.slot, limit))
        {
            return Ok(Picked::new(instance, permit));
        }
    }
    Err(Unpicked::Full(permit))
}

/// Whether there is a connection to an instance, or may be one more, beyond those that were promised.
fn has_connection(worker: &Worker, service: &LocalService, instance: &LocalInstance) -> bool {
    let Some(limit) = service.service.terms.connections else { return true };
    let taken = worker.cells.instance_connections(instance.instance.slot).taken();
    let idle = instance.pool.len() as u64;
    instance.promised.get() < limit.saturating_sub(taken) + idle
}

#[inline]
fn one(
    worker: &Worker,
    service: &LocalService,
    failed: Option<InstanceSlot>,
) -> Option<Rc<LocalInstance>> {
    match failed {
        // Marks that a successor sets follow no publish of ours.
        None => next(worker, service, Sought { current: !worker.handed_over.get(), failed: None }),
        Some(failed) => another(worker, service, failed),
    }
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
