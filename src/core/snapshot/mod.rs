//! The snapshot: routes, services and listeners, compiled into one immutable value (rule 4).
//!
//! The control plane publishes it behind one atomic pointer; workers read it and never write. Flat for now: services and
//! routes are shared by `Arc` one by one, so that a later snapshot can keep those that did not change.
//!
//! - [`plan`]: what is to be, resolved from a configuration.
//! - [`compile`]: from a plan to a [`Snapshot`], or why not.
//! - [`routes`], [`services`] and [`listeners`]: what a worker asks of it.
//! - [`trusted`]: the peers that may say who the client is.

pub mod compile;
pub mod listeners;
pub mod plan;
pub mod routes;
pub mod services;
pub mod trusted;

use std::sync::Arc;

use crate::base::ids::{ListenerId, RouteId, ServiceId};
use crate::snapshot::listeners::Listener;
use crate::snapshot::routes::{Route, Router};
use crate::snapshot::services::Service;

/// Everything that the data plane knows of the configuration at one moment.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) generation: u64,
    pub(crate) router: Router,
    pub(crate) routes: Box<[Arc<Route>]>,
    pub(crate) services: Box<[Arc<Service>]>,
    pub(crate) listeners: Box<[Arc<Listener>]>,
}

impl Snapshot {
    /// Which publish this is, from 1 on.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The route for a host and path in normal form.
    #[inline]
    pub fn find(&self, host: &[u8], path: &[u8]) -> Option<RouteId> {
        self.router.find(host, path)
    }

    /// A route by its id.
    pub fn route(&self, id: RouteId) -> &Arc<Route> {
        &self.routes[id.index()]
    }

    /// A service by its id.
    pub fn service(&self, id: ServiceId) -> &Arc<Service> {
        &self.services[id.index()]
    }

    /// A listener by its id.
    pub fn listener(&self, id: ListenerId) -> &Arc<Listener> {
        &self.listeners[id.index()]
    }

    /// All routes, by id.
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// All services, by id.
    pub fn services(&self) -> &[Arc<Service>] {
        &self.services
    }
}
