//! A worker's own view of routes and services: what it keeps beside the snapshot's immutable data.
//!
//! It is mended, never rebuilt: when a request touches a service whose data differ from those that this worker has, the new
//! data are taken, and the instances that are in both keep their connections. A sweep does the same once a second for services
//! that nobody touches, so that connections to instances that are gone do not linger. It also closes these: the request that
//! finds its service replaced only lays them aside ([`graveyard`](crate::worker::graveyard)).

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use coregate_core::base::ids::{InstanceSlot, RouteId, ServiceId, WorkerId};
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::instances::Instance;
use coregate_core::snapshot::plan::Address;
use coregate_core::snapshot::router::{Asked, Missed};
use coregate_core::snapshot::routes::Route;
use coregate_core::snapshot::services::Service;

use crate::upstream::pool::Pool;
use crate::worker::graveyard::Graveyard;
use crate::worker::kept::{Kept, Reads};
use crate::worker::sweep::Untidy;

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
    /// The place of who is next in turn: see [`turn`](crate::worker::turn).
    pub(super) cursor: Cell<usize>,
    /// There is a newer one, or none any more; who began with this one goes on with it.
    outdated: Cell<bool>,
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
    /// Requests that were let in to it and have not begun yet: each will want a connection.
    pub promised: Cell<u64>,
}

impl LocalInstance {
    fn new(instance: &Instance) -> Self {
        let authority = match &instance.address {
            Address::Tcp(address) => address.to_string().into(),
            Address::Unix(_) => "localhost".into(),
        };
        Self {
            instance: instance.clone(),
            authority,
            pool: Pool::default(),
            promised: Cell::default(),
        }
    }
}

/// What is known of instances, in the order of their slots.
struct Known(Vec<(InstanceSlot, Option<Rc<LocalInstance>>)>);

impl Known {
    fn of<'c>(chunks: impl Iterator<Item = &'c LocalChunk>) -> Self {
        let known = chunks.flat_map(|chunk| &chunk.0).filter_map(|known| known.borrow().clone());
        let mut known: Vec<_> = known.map(|one| (one.instance.slot, Some(one))).collect();
        known.sort_unstable_by_key(|(slot, _)| *slot);
        Self(known)
    }

    /// What is known of this very instance.
    fn take(&mut self, one: &Instance) -> Option<Rc<LocalInstance>> {
        let at = self.0.binary_search_by_key(&one.slot, |(slot, _)| *slot).ok()?;
        self.0[at].1.take_if(|known| known.instance.generation == one.generation)
    }

    /// What nobody has taken.
    fn rest(self) -> impl Iterator<Item = Rc<LocalInstance>> {
        self.0.into_iter().filter_map(|(_, known)| known)
    }
}

impl LocalChunk {
    fn new(instances: &[Instance]) -> Self {
        Self(instances.iter().map(|_| RefCell::default()).collect())
    }

    /// One of which some may be known.
    fn mended(instances: &[Instance], known: &mut Known) -> Self {
        Self(instances.iter().map(|one| RefCell::new(known.take(one))).collect())
    }
}

/// A service with newer data, and what came of that.
struct Mended {
    service: LocalService,
    /// Those that are not in it any more.
    gone: Known,
    /// How many instances were looked at.
    looks: usize,
}

impl LocalService {
    fn new(service: Kept<Service>, worker: WorkerId) -> Self {
        let chunks = service.instances.chunks().iter();
        let chunks = chunks.map(|chunk| Rc::new(LocalChunk::new(chunk))).collect();
        // Each worker starts elsewhere, so that they do not all send their first requests to the same instance.
        let cursor = Cell::new(worker.index());
        Self { service, chunks, cursor, outdated: Cell::new(false) }
    }

    /// The same with newer data.
    fn mended(&self, service: Kept<Service>) -> Mended {
        let (old, new) = (self.service.instances.chunks(), service.instances.chunks());
        let unchanged = |(at, chunk): (usize, &Arc<[Instance]>)| {
            let same = |old: &Arc<[Instance]>| Arc::ptr_eq(old, chunk);
            // Where a chunk became empty, those behind it have moved.
            match old.get(at).is_some_and(same) {
                true => Some(at),
                false => old.iter().position(same),
            }
        };
        let unchanged: Vec<_> = new.iter().enumerate().map(unchanged).collect();
        let mut stays = vec![false; old.len()];
        unchanged.iter().flatten().for_each(|at| stays[*at] = true);
        let changed = self.chunks.iter().zip(stays).filter(|(_, stays)| !stays);
        let mut known = Known::of(changed.map(|(chunk, _)| &**chunk));
        let mut looks = known.0.len();
        let chunk = |(chunk, unchanged): (&Arc<[Instance]>, Option<usize>)| match unchanged {
            Some(at) => Rc::clone(&self.chunks[at]),
            None => {
                looks += chunk.len();
                Rc::new(LocalChunk::mended(chunk, &mut known))
            }
        };
        let chunks = new.iter().zip(unchanged).map(chunk).collect();
        self.outdated.set(true);
        let (cursor, outdated) = (Cell::new(self.cursor.get()), Cell::new(false));
        let service = Self { service, chunks, cursor, outdated };
        Mended { service, gone: known, looks }
    }

    /// What is known of the instance at a place.
    #[inline]
    pub(super) fn known(
        &self,
        (chunk, place): (usize, usize),
        instance: &Instance,
    ) -> Rc<LocalInstance> {
        let mut known = self.chunks[chunk].0[place].borrow_mut();
        if let Some(known) = &*known {
            return Rc::clone(known);
        }
        let fresh = Rc::new(LocalInstance::new(instance));
        match self.outdated.get() {
            // No other request would find what it keeps.
            true => fresh.pool.retire(),
            false => *known = Some(Rc::clone(&fresh)),
        }
        fresh
    }

    /// Every instance that this worker has picked so far and that is still there.
    pub fn for_each_instance(&self, mut visit: impl FnMut(&LocalInstance)) {
        self.visit_from(0, |instance| {
            instance.into_iter().for_each(&mut visit);
            Then::GoOn
        });
    }

    /// The place of each instance, from this one on, and what is known of it, for as long as `visit` says so; where to go on, if
    /// it did not come to the end.
    pub fn visit_from(
        &self,
        from: usize,
        mut visit: impl FnMut(Option<&LocalInstance>) -> Then,
    ) -> Option<usize> {
        let places = self.chunks.iter().flat_map(|chunk| &chunk.0).enumerate();
        for (place, known) in places.skip(from) {
            match visit(known.borrow().as_deref()) {
                Then::GoOn => {}
                Then::Rest => return Some(place + 1),
                Then::Again => return Some(place),
            }
        }
        None
    }

    /// Forgets what is known of the instances at `most` places from this one on; where to go on, if there are more.
    pub fn forget(
        &self,
        from: usize,
        most: usize,
        gone: impl FnMut(Rc<LocalInstance>),
    ) -> Option<usize> {
        let mut places = self.chunks.iter().flat_map(|chunk| &chunk.0).skip(from);
        places.by_ref().take(most).filter_map(RefCell::take).for_each(gone);
        places.next().map(|_| from + most)
    }
}

/// What follows a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The next.
    GoOn,
    /// A rest, and then the next.
    Rest,
    /// A rest, and then this one once more.
    Again,
}

/// Local routes and services by id, made when a request first touches them and mended when the snapshot's differ.
#[derive(Debug)]
pub struct Locals {
    worker: WorkerId,
    reads: Rc<Reads>,
    routes: RefCell<Vec<Option<Rc<LocalRoute>>>>,
    services: RefCell<Vec<Option<Rc<LocalService>>>>,
    graveyard: Graveyard,
    /// How many instances were looked at to mend services.
    looks: Cell<usize>,
}

impl Locals {
    /// Nothing was touched yet. `untidy`: where it is said that the sweep must come.
    pub fn new(worker: WorkerId, reads: &Rc<Reads>, untidy: &Rc<Untidy>) -> Self {
        Self {
            worker,
            reads: Rc::clone(reads),
            routes: RefCell::default(),
            services: RefCell::default(),
            graveyard: Graveyard::new(untidy),
            looks: Cell::default(),
        }
    }

    /// What is gone.
    pub fn graveyard(&self) -> &Graveyard {
        &self.graveyard
    }

    /// The route that takes a request.
    #[inline]
    pub fn find(&self, snapshot: &Snapshot, asked: &Asked<'_>) -> Result<Rc<LocalRoute>, Missed> {
        let id = snapshot.find(asked)?;
        let route = snapshot.route(id).ok_or(Missed::Route)?;
        let make = |_: Option<&LocalRoute>| LocalRoute { route: Kept::new(route, &self.reads) };
        let is = |local: &LocalRoute| local.route.is(route);
        Ok(local(&self.routes, id.index(), is, make))
    }

    /// A service, if it is there.
    pub fn service(&self, snapshot: &Snapshot, id: ServiceId) -> Option<Rc<LocalService>> {
        let service = snapshot.service(id)?;
        let make = |old: Option<&LocalService>| {
            let kept = Kept::new(service, &self.reads);
            match old {
                Some(old) => self.mended(old, kept),
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

    #[cold]
    fn mended(&self, old: &LocalService, newer: Kept<Service>) -> LocalService {
        let Mended { service, gone, looks } = old.mended(newer);
        self.looks.set(self.looks.get() + looks);
        gone.rest().for_each(|instance| self.graveyard.take_in(instance));
        service
    }

    /// Makes a service that was touched what this snapshot says, or lets go of it if it is not there any more. Also gives how
    /// many instances were looked at for that.
    pub fn mend_service(
        &self,
        snapshot: &Snapshot,
        id: ServiceId,
    ) -> (Option<Rc<LocalService>>, usize) {
        if self.services.borrow().get(id.index()).is_none_or(Option::is_none) {
            return (None, 0);
        }
        let before = self.looks.get();
        let mended = self.service(snapshot, id);
        if mended.is_none()
            && let Some(gone) = self.services.borrow_mut()[id.index()].take()
        {
            gone.outdated.set(true);
            self.graveyard.take_in_service(gone);
        }
        (mended, self.looks.get() - before)
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

    /// Every pool there is, those of what is gone first.
    pub fn for_each_pool(&self, mut visit: impl FnMut(&Pool)) {
        self.graveyard.for_each_pool(&mut visit);
        for service in self.services.borrow().iter().flatten() {
            service.for_each_instance(|instance| visit(&instance.pool));
        }
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
