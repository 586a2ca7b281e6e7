//! A worker's own view of routes and services: what it keeps beside the snapshot's immutable data.
//!
//! It is mended, never rebuilt: when a request touches a service whose data differ from those that this worker has, the new
//! data are taken, and the instances that are in both keep their connections. A sweep does the same once a second for services
//! that nobody touches, so that connections to instances that are gone do not linger.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use coregate_core::base::cells::Cells;
use coregate_core::base::ids::{RouteId, ServiceId, WorkerId};
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::instances::Instance;
use coregate_core::snapshot::plan::Address;
use coregate_core::snapshot::routes::Route;
use coregate_core::snapshot::services::Service;

use crate::upstream::pool::Pool;
use crate::worker::kept::{InFlight, Kept, Reads};

/// A route as this worker holds it: what a request keeps of the snapshot, together with its [`LocalService`].
#[derive(Debug)]
pub struct LocalRoute {
    /// The route's immutable data.
    pub route: Kept<Route>,
}

/// A service as this worker holds it: its cursor, and what it knows of each instance.
#[derive(Debug)]
pub struct LocalService {
    /// The service's immutable data.
    pub service: Kept<Service>,
    /// What is known of the instances of each chunk.
    chunks: Box<[Rc<LocalChunk>]>,
    cursor: Cell<usize>,
}

/// What a worker knows of a chunk of instances, in their order; of those that it has never picked, nothing.
#[derive(Debug)]
struct LocalChunk(Box<[RefCell<Option<Rc<LocalInstance>>>]>);

/// An instance as this worker knows it.
#[derive(Debug)]
pub struct LocalInstance {
    /// What the snapshot says of it.
    pub instance: Instance,
    /// What a request that names no host is told to be for.
    pub authority: Box<str>,
    /// Idle connections to it.
    pub pool: Pool,
}

impl LocalInstance {
    fn new(instance: &Instance) -> Self {
        let authority = match &instance.address {
            Address::Tcp(address) => address.to_string().into(),
            Address::Unix(_) => "localhost".into(),
        };
        Self { instance: instance.clone(), authority, pool: Pool::default() }
    }
}

impl LocalChunk {
    fn new(instances: &[Instance]) -> Self {
        Self(instances.iter().map(|_| RefCell::default()).collect())
    }

    /// The same for other instances, of which some may be known.
    fn mended(&self, instances: &[Instance]) -> Self {
        let mut known = self.0.iter().filter_map(|known| known.borrow().clone()).peekable();
        if known.peek().is_none() {
            return Self::new(instances);
        }
        let mut known: Vec<_> = known.map(Some).collect();
        let mut from = 0;
        let same = |known: &Option<Rc<LocalInstance>>, one: &Instance| {
            known.as_ref().is_some_and(|known| {
                (known.instance.slot, known.instance.generation) == (one.slot, one.generation)
            })
        };
        // Most stay in their order, so the next is most often where the last was found.
        let mut find = |one: &Instance| {
            let (before, after) = known.split_at(from);
            let at = after.iter().position(|known| same(known, one)).map(|at| at + from);
            let at = at.or_else(|| before.iter().position(|known| same(known, one)))?;
            from = at + 1;
            known[at].take()
        };
        Self(instances.iter().map(|one| RefCell::new(find(one))).collect())
    }
}

impl LocalService {
    fn new(service: Kept<Service>, worker: WorkerId) -> Self {
        let chunks = service.instances.chunks().iter();
        let chunks = chunks.map(|chunk| Rc::new(LocalChunk::new(chunk))).collect();
        // Each worker starts elsewhere, so that they do not all send their first requests to the same instance.
        Self { service, chunks, cursor: Cell::new(worker.index()) }
    }

    /// The same with newer data.
    fn mended(&self, service: Kept<Service>) -> Self {
        let (old, new) = (self.service.instances.chunks(), service.instances.chunks());
        let chunk = |(at, chunk): (usize, &Arc<[Instance]>)| {
            let same = |old: &Arc<[Instance]>| Arc::ptr_eq(old, chunk);
            // Where a chunk became empty, those behind it have moved.
            let unchanged = match old.get(at).is_some_and(same) {
                true => Some(at),
                false => old.iter().position(same),
            };
            match (unchanged, self.chunks.get(at)) {
                (Some(at), _) => Rc::clone(&self.chunks[at]),
                (None, Some(known)) => Rc::new(known.mended(chunk)),
                (None, None) => Rc::new(LocalChunk::new(chunk)),
            }
        };
        let chunks = new.iter().enumerate().map(chunk).collect();
        Self { service, chunks, cursor: Cell::new(self.cursor.get()) }
    }

    /// The next instance in turn that takes requests; `None` if there is none. `current`: this view was looked up in the
    /// same step of its worker; then one that is being removed takes requests too.
    ///
    /// The words of instances that are passed over cost a load each: all of them, where all are down.
    pub fn next_instance(&self, cells: &Cells, current: bool) -> Option<Rc<LocalInstance>> {
        let instances = &self.service.instances;
        let count = instances.len();
        if count == 0 {
            return None;
        }
        let first = self.cursor.get() % count;
        for at in (first..count).chain(0..first) {
            let (chunk, place) = instances.place(at);
            let instance = instances.at((chunk, place));
            let verdict = cells.verdict(instance.slot).load();
            let takes = match current {
                true => verdict.takes_first_requests(instance.generation),
                false => verdict.takes_requests(instance.generation),
            };
            if !takes {
                continue;
            }
            self.cursor.set(at + 1);
            let mut known = self.chunks[chunk].0[place].borrow_mut();
            return Some(Rc::clone(
                known.get_or_insert_with(|| Rc::new(LocalInstance::new(instance))),
            ));
        }
        None
    }

    /// How many instances there are: what it costs to visit them.
    pub fn size(&self) -> usize {
        self.service.instances.len()
    }

    /// Every instance that this worker has picked so far and that is still there.
    pub fn for_each_instance(&self, mut visit: impl FnMut(&LocalInstance)) {
        self.visit_from(0, |instance| {
            visit(instance);
            true
        });
    }

    /// The same from a place on, for as long as `visit` says so; where it stopped, if it did not come to the end.
    pub fn visit_from(
        &self,
        from: usize,
        mut visit: impl FnMut(&LocalInstance) -> bool,
    ) -> Option<usize> {
        let places = self.chunks.iter().flat_map(|chunk| &chunk.0).enumerate();
        for (place, known) in places.skip(from) {
            if let Some(known) = &*known.borrow()
                && !visit(known)
            {
                return Some(place + 1);
            }
        }
        None
    }
}

/// Local routes and services by id, made when a request first touches them and mended when the snapshot's differ.
#[derive(Debug)]
pub struct Locals {
    worker: WorkerId,
    reads: Rc<Reads>,
    routes: RefCell<Vec<Option<Rc<LocalRoute>>>>,
    services: RefCell<Vec<Option<Rc<LocalService>>>>,
}

impl Locals {
    /// Nothing was touched yet.
    pub fn new(worker: WorkerId, reads: &Rc<Reads>) -> Self {
        let reads = Rc::clone(reads);
        Self { worker, reads, routes: RefCell::default(), services: RefCell::default() }
    }

    /// Counts something that begins on its way to an instance.
    pub fn in_flight(&self, instance: &LocalInstance) -> InFlight {
        InFlight::new(&self.reads, instance.instance.slot)
    }

    /// The route for this host and path, and its service.
    #[inline]
    pub fn find(
        &self,
        snapshot: &Snapshot,
        host: &[u8],
        path: &[u8],
    ) -> Option<(Rc<LocalRoute>, Rc<LocalService>)> {
        let id = snapshot.find(host, path)?;
        let route = snapshot.route(id)?;
        let make = |_: Option<&LocalRoute>| LocalRoute { route: Kept::new(route, &self.reads) };
        let is = |local: &LocalRoute| local.route.is(route);
        let local_route = local(&self.routes, id.index(), is, make);
        Some((local_route, self.service(snapshot, route.service)?))
    }

    /// A service, if it is there.
    pub fn service(&self, snapshot: &Snapshot, id: ServiceId) -> Option<Rc<LocalService>> {
        let service = snapshot.service(id)?;
        let make = |old: Option<&LocalService>| {
            let kept = Kept::new(service, &self.reads);
            match old {
                Some(old) => old.mended(kept),
                None => LocalService::new(kept, self.worker),
            }
        };
        let is = |local: &LocalService| local.service.is(service);
        Some(local(&self.services, id.index(), is, make))
    }

    /// Ids below this may have been touched.
    pub fn touched(&self) -> usize {
        self.services.borrow().len()
    }

    /// Makes a service that was touched what this snapshot says, or lets go of it if it is not there any more.
    pub fn mend_service(&self, snapshot: &Snapshot, id: ServiceId) -> Option<Rc<LocalService>> {
        self.services.borrow().get(id.index())?.as_ref()?;
        let mended = self.service(snapshot, id);
        if mended.is_none() {
            let gone = self.services.borrow_mut()[id.index()].take();
            drop(gone);
        }
        mended
    }

    /// Lets go of routes that are not there any more, or that are others now.
    pub fn mend_routes(&self, snapshot: &Snapshot) {
        let mut routes = self.routes.borrow_mut();
        for (id, local) in routes.iter_mut().enumerate() {
            let current = snapshot.route(RouteId(id as u16));
            if local.as_ref().is_some_and(|local| !current.is_some_and(|one| local.route.is(one))) {
                *local = None;
            }
        }
    }

    /// Every service touched so far.
    pub fn for_each_service(&self, mut visit: impl FnMut(&LocalService)) {
        self.services.borrow().iter().flatten().for_each(|service| visit(service));
    }
}

/// The entry at `index` if it `is` about what is current, else a new one, made of the old.
#[inline]
fn local<L>(
    table: &RefCell<Vec<Option<Rc<L>>>>,
    index: usize,
    is: impl FnOnce(&L) -> bool,
    make: impl FnOnce(Option<&L>) -> L,
) -> Rc<L> {
    if let Some(Some(local)) = table.borrow().get(index)
        && is(local)
    {
        return Rc::clone(local);
    }
    let mut table = table.borrow_mut();
    if table.len() <= index {
        table.resize_with(index + 1, || None);
    }
    let fresh = Rc::new(make(table[index].as_deref()));
    table[index] = Some(Rc::clone(&fresh));
    fresh
}
