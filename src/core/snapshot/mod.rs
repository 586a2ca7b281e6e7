//! The snapshot: routes, services and the terms of listeners, compiled into one immutable value (rule 4).
//!
//! The control plane publishes it behind one atomic pointer; workers read it and never write. Flat for now: services and
//! routes are shared by `Arc` one by one, so that a later snapshot can keep those that did not change.
//!
//! - [`plan`]: what is to be, resolved from a configuration.
//! - [`compile`]: from a plan to a [`Snapshot`], or why not.
//! - [`routes`] and [`services`]: what a worker asks of it.

pub mod compile;
pub mod plan;
pub mod routes;
pub mod services;

use std::sync::Arc;

use crate::base::ids::{ListenerId, RouteId, ServiceId};
use crate::snapshot::plan::ListenerTerms;
use crate::snapshot::routes::{Route, Router};
use crate::snapshot::services::Service;

/// Everything that the data plane knows of the configuration at one moment.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) generation: u64,
    pub(crate) router: Router,
    pub(crate) routes: Box<[Arc<Route>]>,
    pub(crate) services: Box<[Arc<Service>]>,
    pub(crate) listeners: Box<[Arc<ListenerTerms>]>,
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

    /// The terms of a listener by its id.
    pub fn listener(&self, id: ListenerId) -> &Arc<ListenerTerms> {
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
