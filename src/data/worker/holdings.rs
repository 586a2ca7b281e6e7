//! What a worker has of what is limited on the host: permits in words that all share, and requests that wait.
//!
//! The shared words say how many are taken, not by whom. Each worker counts its own beside them, in words that it alone writes: what a
//! worker had that died is given back by that, and whoever has a permit to give sees who waits. Memory is taken for services and
//! slots that have bulkheads, and for listeners and addresses whose connections are limited.

use coregate_core::base::cells::{AddressPlace, Cells, ListenerPlace};
use coregate_core::base::counter::Gauges;
use coregate_core::base::ids::{InstanceSlot, ServiceId};
use coregate_core::base::limits;
use coregate_core::policy::queue::Class;

/// Permits of one worker, and those that wait there. Others read it only.
#[derive(Debug)]
pub struct Holdings {
    services: Gauges,
    instances: Gauges,
    connections: Gauges,
    waiting: Gauges,
    listeners: Gauges,
    addresses: Gauges,
}

impl Default for Holdings {
    fn default() -> Self {
        Self {
            services: Gauges::new(limits::SERVICES),
            instances: Gauges::new(limits::INSTANCE_SLOTS),
            connections: Gauges::new(limits::INSTANCE_SLOTS),
            waiting: Gauges::new(limits::SERVICES * Class::ALL.len()),
            listeners: Gauges::new(limits::LISTENER_NAMES),
            addresses: Gauges::new(AddressPlace::COUNT),
        }
    }
}

fn place(service: ServiceId, class: Class) -> usize {
    service.index() * Class::ALL.len() + class as usize
}

impl Holdings {
    /// Requests of a service that are in flight by this worker, where it has a bulkhead.
    pub fn in_flight(&self, service: ServiceId) -> u32 {
        self.services.get(service.index())
    }

    /// Requests of a service and class that wait on this worker.
    pub fn waiting(&self, service: ServiceId, class: Class) -> u32 {
        self.waiting.get(place(service, class))
    }

    /// The worker's own side: one of a service begins.
    pub fn begin(&self, service: ServiceId) {
        self.services.one(service.index());
    }

    /// ... and ends.
    pub fn end(&self, service: ServiceId) {
        self.services.less(service.index());
    }

    /// One at an instance begins.
    pub fn begin_at(&self, slot: InstanceSlot) {
        self.instances.one(slot.index());
    }

    /// ... and ends.
    pub fn end_at(&self, slot: InstanceSlot) {
        self.instances.less(slot.index());
    }

    /// A connection to an instance is made.
    pub fn connect(&self, slot: InstanceSlot) {
        self.connections.one(slot.index());
    }

    /// ... and closed.
    pub fn disconnect(&self, slot: InstanceSlot) {
        self.connections.less(slot.index());
    }

    /// The worker's own side: one waits.
    pub fn wait(&self, service: ServiceId, class: Class) {
        self.waiting.one(place(service, class));
    }

    /// The worker's own side: one waits no more.
    pub fn wait_no_more(&self, service: ServiceId, class: Class) {
        self.waiting.less(place(service, class));
    }

    /// The worker's own side: a client's connection of a listener is counted.
    pub fn count_listener(&self, place: ListenerPlace) {
        self.listeners.one(place.index());
    }

    /// ... and no more.
    pub fn uncount_listener(&self, place: ListenerPlace) {
        self.listeners.less(place.index());
    }

    /// One of an address is counted.
    pub fn count_address(&self, place: AddressPlace) {
        self.addresses.one(place.index());
    }

    /// ... and no more.
    pub fn uncount_address(&self, place: AddressPlace) {
        self.addresses.less(place.index());
    }

    /// Gives all of it back, for a worker that died: nobody who had any of it will.
    pub(super) fn give_back(&self, cells: &Cells) {
        let all = |gauges: &Gauges, count: usize, release: &dyn Fn(usize)| {
            for at in 0..count {
                (0..gauges.get(at)).for_each(|_| release(at));
            }
            gauges.clear();
        };
        let slot = |at| InstanceSlot(at as u32);
        let service = |at| cells.bulkhead(ServiceId(at as u16));
        let slots = limits::INSTANCE_SLOTS.min(cells.instances());
        all(&self.connections, slots, &|at| cells.instance_connections(slot(at)).release(1));
        all(&self.instances, slots, &|at| cells.instance_permits(slot(at)).release(1));
        all(&self.services, limits::SERVICES, &|at| _ = service(at).leave());
        let listener = |at| cells.listener_connections(ListenerPlace::at(at));
        all(&self.listeners, limits::LISTENER_NAMES, &|at| listener(at).release(1));
        let addresses = cells.addresses();
        all(&self.addresses, AddressPlace::COUNT, &|at| addresses.release(AddressPlace::at(at)));
        let classes = Class::ALL.len();
        all(&self.waiting, limits::SERVICES * classes, &|at| _ = service(at / classes).give_up());
    }
}
