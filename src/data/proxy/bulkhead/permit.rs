//! Permits: what a request has of its service's bulkhead, given back when this is dropped.
//!
//! Whatever ends a request drops it: the end of an exchange or of a tunnel, a connection that is cut, a panic. A worker that dies drops
//! nothing; what it had is known by its [`Holdings`](crate::worker::holdings::Holdings).

use std::mem;
use std::rc::Rc;

use coregate_core::base::cells::{Bulkhead, BulkheadWord};
use coregate_core::base::ids::{InstanceSlot, ServiceId};

use crate::proxy::bulkhead;
use crate::worker::context::Worker;

/// A request's place in its service, and at an instance where that is limited.
#[must_use = "a permit that is dropped is given back"]
#[derive(Debug)]
pub struct Permit {
    worker: Rc<Worker>,
    /// `None`: its service has no bulkhead, or it was given back.
    service: Option<ServiceId>,
    /// [`NOWHERE`], or where it is limited the slot of its instance: in four bytes, as an exchange holds this.
    instance: InstanceSlot,
}

/// No instance.
const NOWHERE: InstanceSlot = InstanceSlot(u32::MAX);

impl Permit {
    /// For one whose service has no bulkhead.
    #[inline]
    pub fn unlimited(worker: &Rc<Worker>) -> Self {
        Self { worker: Rc::clone(worker), service: None, instance: NOWHERE }
    }

    /// The worker.
    #[inline]
    pub fn worker(&self) -> &Rc<Worker> {
        &self.worker
    }

    /// For one who was let in.
    pub fn entered(worker: &Rc<Worker>, service: ServiceId) -> Self {
        worker.holdings().begin(service);
        Self { worker: Rc::clone(worker), service: Some(service), instance: NOWHERE }
    }

    /// Takes one of an instance, too; `false`: it has as many as it may.
    #[inline]
    pub fn take_at(&mut self, slot: InstanceSlot, limit: u64) -> bool {
        debug_assert!(self.instance == NOWHERE, "a request is at one instance at a time");
        let taken = self.worker.cells.instance_permits(slot).take(1, limit);
        if taken {
            self.worker.holdings().begin_at(slot);
            self.instance = slot;
        }
        taken
    }

    /// The request leaves its instance, and may go to another.
    pub fn leave_instance(&mut self) {
        let slot = mem::replace(&mut self.instance, NOWHERE);
        if slot != NOWHERE {
            self.worker.holdings().end_at(slot);
            self.worker.cells.instance_permits(slot).release(1);
        }
    }

    /// One who is in waits after all, if there is a place: whether it does, and what that leaves behind.
    pub fn step_back(mut self, places: u64) -> (bool, BulkheadWord) {
        self.release_by(|word| word.step_back(places)).unwrap_or_default()
    }

    /// Gives it back, and leaves it to the caller to look at who waits.
    pub fn give_back(mut self) -> BulkheadWord {
        self.release_by(|word| word.leave()).unwrap_or_default()
    }

    /// First the instance's, then the service's: who sees the latter finds the former.
    #[inline]
    fn release_by<W>(&mut self, release: impl FnOnce(Bulkhead<'_>) -> W) -> Option<W> {
        let service = self.service.take()?;
        self.leave_instance();
        self.worker.holdings().end(service);
        Some(release(self.worker.cells.bulkhead(service)))
    }
}

impl Drop for Permit {
    #[inline]
    fn drop(&mut self) {
        let service = self.service;
        if let Some(after) = self.release_by(|word| word.leave())
            && after.waiting() > 0
            && let Some(service) = service
        {
            bulkhead::freed(&self.worker, service);
        }
    }
}
