//! Routing: which route a request belongs to, and which service of that. The decision itself is the snapshot's.
//!
//! What the route makes of it is not done here: first it must be [admitted](crate::proxy::limit).

use std::net::IpAddr;
use std::rc::Rc;

use coregate_core::base::limits;
use coregate_core::http::framing::BodyIn;
use coregate_core::http::head::{Head, Request};
use coregate_core::http::hop;
use coregate_core::policy::queue::Class;
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::consumers::Consumer;
use coregate_core::snapshot::plan::Action;
use coregate_core::snapshot::router::{Asked, Missed};
use coregate_core::snapshot::routes::Guard;

use crate::proxy::connection::Downstream;
use crate::proxy::reject::Reject;
use crate::worker::context::Worker;
use crate::worker::listeners::Listener;
use crate::worker::services::{LocalRoute, LocalService};

/// A request that has arrived whole in its head, and the snapshot that holds for it.
#[derive(Debug, Clone, Copy)]
pub struct Arrived<'a> {
    /// The worker.
    pub worker: &'a Rc<Worker>,
    /// What every stage is decided by.
    pub snapshot: &'a Snapshot,
    /// The connection that it came on.
    pub downstream: &'a Downstream,
    /// Its head.
    pub head: &'a Head,
    /// What that says.
    pub request: &'a Request,
    /// What that asks.
    pub asked: Asked<'a>,
}

impl<'a> Arrived<'a> {
    /// One that has just arrived.
    #[inline]
    pub fn new(
        worker: &'a Rc<Worker>,
        snapshot: &'a Snapshot,
        downstream: &'a Downstream,
        (head, request): (&'a Head, &'a Request),
    ) -> Self {
        let asked = Asked::of(head, request);
        Self { worker, snapshot, downstream, head, request, asked }
    }

    /// Its client's address; `None`: a Unix socket's client has none.
    pub fn address(&self) -> Option<IpAddr> {
        self.worker.slots.peer(self.downstream.wire.slot.id()).address()
    }
}

/// A request that has a route, and a service where the route forwards.
#[derive(Debug)]
#[must_use = "it is on its way"]
pub struct Routed {
    route: Rc<LocalRoute>,
    service: Option<Rc<LocalService>>,
}

impl Routed {
    /// Its route.
    #[inline]
    pub fn route(&self) -> &Rc<LocalRoute> {
        &self.route
    }

    /// Who is let in, and how much.
    #[inline]
    pub fn guard(&self) -> &Guard {
        &self.route.route.guard
    }

    /// How much somebody's requests matter to its service.
    #[inline]
    pub fn class_of(&self, consumer: &Consumer) -> Class {
        let service = self.service.as_deref();
        let bulkhead = service.and_then(|local| local.service.bulkhead.as_deref());
        bulkhead.map_or_else(Class::default, |bulkhead| bulkhead.class_of(Some(consumer)))
    }

    /// The name of its service; empty: it has none.
    pub fn service_name(&self) -> &str {
        self.service.as_deref().map_or("", |local| &local.service.name)
    }

    /// All of it.
    pub(super) fn into_parts(self) -> (Rc<LocalRoute>, Option<Rc<LocalService>>) {
        (self.route, self.service)
    }
}

/// The most that a body of a route's requests may measure, in bytes: what the route says, else what the listener does.
pub fn body_bytes(route: &LocalRoute, listener: &Listener) -> Option<u64> {
    route.route.plan.terms.body_bytes.or(listener.terms.body_bytes)
}

/// Finds the route of a request, and chooses the service.
#[inline]
pub fn route(arrived: &Arrived<'_>) -> Result<Routed, Reject> {
    let Arrived { worker, snapshot, head, request, .. } = *arrived;
    #[cfg(feature = "chaos")]
    chaos(request.path(head))?;
    if request.has_via && hop::times_named(head, worker.via()) > limits::OWN_VIA {
        return Err(Reject::LoopDetected);
    }
    if request.max_forwards == Some(0) {
        return Err(Reject::MaxForwards);
    }
    let route = worker.locals.find(snapshot, &arrived.asked).map_err(|missed| match missed {
        Missed::Route => Reject::NoRoute,
        Missed::Method => Reject::MethodNotAllowed,
    })?;
    if let BodyIn::Length(length) = request.body
        && body_bytes(&route, &arrived.downstream.listener).is_some_and(|most| length > most)
    {
        return Err(Reject::BodyTooLarge);
    }
    let service = match &route.route.plan.action {
        Action::Forward(_) => {
            let service = route.route.service(|| worker.random());
            let service = service.and_then(|service| worker.locals.service(snapshot, service));
            Some(service.ok_or(Reject::NoRoute)?)
        }
        Action::Redirect(_) | Action::Respond(_) => None,
    };
    Ok(Routed { route, service })
}

/// The same once the request holds all that it may hold.
#[cfg(feature = "chaos")]
pub(super) fn chaos_at_instance(path: &[u8]) {
    assert!(path != b"/__panic_at_instance", "asked for by /__panic_at_instance");
}

/// Breaks things on purpose, for the tests.
#[cfg(feature = "chaos")]
fn chaos(path: &[u8]) -> Result<(), Reject> {
    match path {
        b"/__panic" => panic!("asked for by /__panic"),
        b"/__hang" => {
            std::thread::sleep(std::time::Duration::from_millis(1_500));
            Ok(())
        }
        b"/__panic_worker" => {
            monoio::spawn(async { panic!("asked for by /__panic_worker") });
            // Nobody is answered: the connection ends here, or with its worker.
            Err(Reject::ClientGone)
        }
        _ => Ok(()),
    }
}
