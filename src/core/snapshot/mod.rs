//! The snapshot: routes, services and listeners, compiled into one immutable value (rule 4).
//!
//! The control plane publishes it behind one atomic pointer; workers read it and never write. It is a tree whose versions share
//! what did not change: a change of one instance costs its chunk of instances, its service, a chunk of services and the top.
//!
//! ```text
//!  Snapshot ─▶ router                                        made anew by a reload that changes routes
//!           ├▶ routes    ─▶ chunk of 256 ─▶ Route
//!           ├▶ services  ─▶ chunk of 256 ─▶ Service ─▶ chunk of 256 instances
//!           ├▶ listeners ─▶ Listener
//!           ├▶ doors                                         sockets and their listeners
//!           └▶ consumers                                     and their keys
//! ```
//!
//! - [`plan`]: what is to be, resolved from a configuration.
//! - [`compile`]: holds what is, takes plans and changes, makes snapshots.
//! - [`tree`], [`names`], [`slots`]: tables, ids and instance slots that outlive a version.
//! - [`router`]: which route takes a request.
//! - [`routes`], [`services`], [`instances`], [`listeners`], [`consumers`], [`limits`] and [`quotas`]: what a worker asks of it.
//! - [`explain`]: why a request goes where it goes.
//! - [`reader`]: what a worker says of the snapshots that it reads.
//! - [`doors`]: which listening socket belongs to which listener.
//! - [`trusted`]: the peers that may say who the client is.

pub mod bulkheads;
pub mod compile;
pub mod consumers;
pub mod doors;
pub mod explain;
pub mod instances;
pub mod limits;
pub mod listeners;
pub mod names;
pub mod plan;
pub mod quotas;
pub mod reader;
pub mod router;
pub mod routes;
pub mod services;
pub mod slots;
pub mod tree;
pub mod trusted;

use std::sync::Arc;

use crate::base::ids::{ListenerId, RouteId, ServiceId};
use crate::snapshot::consumers::Consumers;
use crate::snapshot::doors::Doors;
use crate::snapshot::listeners::Listener;
use crate::snapshot::router::{Asked, Missed, Router, order};
use crate::snapshot::routes::Route;
use crate::snapshot::services::Service;
use crate::snapshot::tree::Tree;

/// Everything that the data plane knows of the configuration at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(crate) generation: u64,
    pub(crate) router: Arc<Router>,
    pub(crate) routes: Tree<Route>,
    pub(crate) services: Tree<Service>,
    pub(crate) listeners: Tree<Listener>,
    pub(crate) doors: Arc<Doors>,
    pub(crate) consumers: Arc<Consumers>,
}

impl Snapshot {
    /// Which publish this is, from 1 on.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The route that takes a request.
    #[inline]
    pub fn find(&self, asked: &Asked<'_>) -> Result<RouteId, Missed> {
        self.router.find(asked)
    }

    /// The look-up table of routes.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// A route by its id, if it is there now.
    #[inline]
    pub fn route(&self, id: RouteId) -> Option<&Arc<Route>> {
        self.routes.get(id.index())
    }

    /// A service by its id, if it is there now.
    #[inline]
    pub fn service(&self, id: ServiceId) -> Option<&Arc<Service>> {
        self.services.get(id.index())
    }

    /// A listener by its id, if it is there now.
    pub fn listener(&self, id: ListenerId) -> Option<&Arc<Listener>> {
        self.listeners.get(id.index())
    }

    /// Which socket belongs to which listener.
    pub fn doors(&self) -> &Doors {
        &self.doors
    }

    /// Who may call.
    pub fn consumers(&self) -> &Consumers {
        &self.consumers
    }

    /// All routes, by id.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.iter().map(|(_, route)| route)
    }

    /// All routes, in order of precedence: those first that are asked first.
    pub fn routes_in_order(&self) -> Vec<&Arc<Route>> {
        let mut routes: Vec<_> = self.routes().collect();
        routes.sort_by(|a, b| order::precedence(&a.plan, &b.plan));
        routes
    }

    /// All services, by id.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.iter().map(|(_, service)| service)
    }

    /// All listeners, with their ids.
    pub fn listeners(&self) -> impl Iterator<Item = (ListenerId, &Arc<Listener>)> {
        self.listeners.iter().map(|(id, listener)| (ListenerId(id as u16), listener))
    }

    /// Whether both have the same listeners.
    pub fn has_listeners_of(&self, other: &Self) -> bool {
        self.listeners.is_same(&other.listeners)
    }
}
