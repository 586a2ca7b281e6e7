//! Routing: which route and service a request belongs to. The decision itself is the snapshot's.

use std::rc::Rc;

use coregate_core::base::limits;
use coregate_core::http::framing::BodyIn;
use coregate_core::http::head::{Head, Request};
use coregate_core::http::hop;
use coregate_core::snapshot::router::Asked;

use crate::proxy::reject::Reject;
use crate::worker::context::Worker;
use crate::worker::listeners::Listener;
use crate::worker::services::{LocalRoute, LocalService};

/// A request that has a route: all that is kept of the snapshot.
#[derive(Debug)]
pub struct Routed {
    route: Rc<LocalRoute>,
    service: Rc<LocalService>,
}

impl Routed {
    /// Its route.
    pub fn route(&self) -> &LocalRoute {
        &self.route
    }

    /// Its service.
    pub fn service(&self) -> &LocalService {
        &self.service
    }
}

/// Finds the route of a request.
pub fn route(
    worker: &Rc<Worker>,
    listener: &Listener,
    head: &Head,
    request: &Request,
) -> Result<Routed, Reject> {
    #[cfg(feature = "chaos")]
    chaos(request.path(head))?;
    if let (BodyIn::Length(length), Some(most)) = (request.body, listener.terms.body_bytes)
        && length > most
    {
        return Err(Reject::BodyTooLarge);
    }
    if request.has_via && hop::times_named(head, worker.via()) > limits::OWN_VIA {
        return Err(Reject::LoopDetected);
    }
    if request.max_forwards == Some(0) {
        return Err(Reject::MaxForwards);
    }
    let asked = Asked::of(head, request);
    worker.with_snapshot(|snapshot| {
        let route = worker.locals.find(snapshot, &asked).map_err(|_| Reject::NoRoute)?;
        let service = route.route.service(|| worker.random());
        let service = service.and_then(|service| worker.locals.service(snapshot, service));
        Ok(Routed { route, service: service.ok_or(Reject::NoRoute)? })
    })
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
