//! A worker's own view of routes and services: what it keeps beside the snapshot's immutable data.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use coregate_core::base::ids::{ServiceId, WorkerId};
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::routes::Route;
use coregate_core::snapshot::services::Service;

use crate::upstream::pool::Pool;
use crate::worker::context::share;
use crate::worker::stats::WorkerStats;

/// A route as this worker holds it: what a request keeps of the snapshot, together with its [`LocalService`].
#[derive(Debug)]
pub struct LocalRoute {
    /// The route's immutable data.
    pub route: Arc<Route>,
}

/// A service as this worker holds it: its cursor, and a pool for each instance.
#[derive(Debug)]
pub struct LocalService {
    /// The service's immutable data.
    pub service: Arc<Service>,
    /// The connections to each instance, in the order of the service's instances.
    pub pools: Box<[Pool]>,
    cursor: Cell<usize>,
}

impl LocalService {
    fn new(service: Arc<Service>, worker: WorkerId) -> Self {
        let pools = service.instances.iter().map(|_| Pool::default()).collect();
        // Each worker starts elsewhere, so that they do not all send their first requests to the same instance.
        Self { service, pools, cursor: Cell::new(worker.index()) }
    }

    /// The next instance in turn; `None` if there is none at all.
    pub fn next_instance(&self) -> Option<usize> {
        let count = self.pools.len();
        if count == 0 {
            return None;
        }
        let at = self.cursor.get() % count;
        self.cursor.set(at + 1);
        Some(at)
    }
}

/// Local routes and services by id, made when a request first touches them and remade when the snapshot's differ.
#[derive(Debug, Default)]
pub struct Locals {
    routes: RefCell<Vec<Option<Rc<LocalRoute>>>>,
    services: RefCell<Vec<Option<Rc<LocalService>>>>,
}

impl Locals {
    /// The route for this host and path, and its service.
    #[inline]
    pub fn find(
        &self,
        snapshot: &Snapshot,
        (worker, stats): (WorkerId, &WorkerStats),
        host: &[u8],
        path: &[u8],
    ) -> Option<(Rc<LocalRoute>, Rc<LocalService>)> {
        let id = snapshot.find(host, path)?;
        let route = snapshot.route(id);
        let of = |local: &LocalRoute| Arc::as_ptr(&local.route);
        let make = || LocalRoute { route: share(route, stats) };
        let local_route = local(&self.routes, id.index(), Arc::as_ptr(route), of, make);
        Some((local_route, self.service(snapshot, (worker, stats), route.service)))
    }

    /// A service.
    pub fn service(
        &self,
        snapshot: &Snapshot,
        (worker, stats): (WorkerId, &WorkerStats),
        id: ServiceId,
    ) -> Rc<LocalService> {
        let service = snapshot.service(id);
        let of = |local: &LocalService| Arc::as_ptr(&local.service);
        let make = || LocalService::new(share(service, stats), worker);
        local(&self.services, id.index(), Arc::as_ptr(service), of, make)
    }

    /// Every service touched so far.
    pub fn for_each_service(&self, mut visit: impl FnMut(&LocalService)) {
        self.services.borrow().iter().flatten().for_each(|service| visit(service));
    }
}

/// The entry at `index` if it is about `current`, else a new one.
#[inline]
fn local<L, S>(
    table: &RefCell<Vec<Option<Rc<L>>>>,
    index: usize,
    current: *const S,
    of: impl FnOnce(&L) -> *const S,
    make: impl FnOnce() -> L,
) -> Rc<L> {
    let mut table = table.borrow_mut();
    if let Some(Some(local)) = table.get(index)
        && of(local) == current
    {
        return Rc::clone(local);
    }
    if table.len() <= index {
        table.resize_with(index + 1, || None);
    }
    let fresh = Rc::new(make());
    table[index] = Some(Rc::clone(&fresh));
    fresh
}
