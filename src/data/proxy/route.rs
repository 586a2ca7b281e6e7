//! Routing: which route a request belongs to, and what that makes of it. The decision itself is the snapshot's.

use std::rc::Rc;

use coregate_core::base::limits;
use coregate_core::base::time::Span;
use coregate_core::http::framing::BodyIn;
use coregate_core::http::head::{Head, Request};
use coregate_core::http::hop;
use coregate_core::snapshot::plan::{Action, Forward, Rewrite};
use coregate_core::snapshot::router::{Asked, Missed};
use coregate_core::snapshot::services::ServiceTerms;

use crate::proxy::answer::Settled;
use crate::proxy::connection::Downstream;
use crate::proxy::finish;
use crate::proxy::reject::Reject;
use crate::worker::context::Worker;
use crate::worker::listeners::Listener;
use crate::worker::services::{LocalRoute, LocalService};

/// A request that goes to a service: all that is kept of the snapshot. Its path is the one that goes there.
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

    /// Its service, chosen once: a further attempt goes to the same.
    pub fn service(&self) -> &LocalService {
        &self.service
    }

    /// The terms of its service, but for what the route says itself, which are the times below.
    pub fn terms(&self) -> &ServiceTerms {
        &self.service.service.terms
    }

    /// Time for a connect.
    #[inline]
    pub fn connect(&self) -> Span {
        self.route.route.times.connect.unwrap_or(self.terms().connect)
    }

    /// Time to the answer's head.
    #[inline]
    pub fn first_byte(&self) -> Span {
        self.route.route.times.first_byte.unwrap_or(self.terms().first_byte)
    }

    /// Time between two pieces of a body from or to the instance.
    #[inline]
    pub fn body(&self) -> Span {
        self.route.route.times.body.unwrap_or(self.terms().body)
    }

    /// Time for a tunnel in which nothing moves either way.
    #[inline]
    pub fn tunnel(&self) -> Span {
        self.route.route.times.tunnel.unwrap_or(self.terms().tunnel)
    }

    /// The most that the request's body may measure, in bytes.
    pub fn body_bytes(&self, listener: &Listener) -> Option<u64> {
        body_bytes(&self.route, listener)
    }
}

/// The most that a body of a route's requests may measure, in bytes: what the route says, else what the listener does.
fn body_bytes(route: &LocalRoute, listener: &Listener) -> Option<u64> {
    route.route.plan.terms.body_bytes.or(listener.terms.body_bytes)
}

/// Finds the route of a request, and does what that says: chooses the service and makes the path the one that goes there.
/// Else what the client is told instead: its route's own answer, or a refusal.
pub fn route(
    worker: &Rc<Worker>,
    downstream: &Downstream,
    head: &mut Head,
    request: &mut Request,
) -> Result<Routed, Option<Settled>> {
    let reject = match way(worker, downstream, head, request) {
        Ok(Way::Forward(routed)) => match rewrite(worker, &routed, head, request) {
            Ok(()) => return Ok(routed),
            Err(reject) => reject,
        },
        Ok(Way::Answer(settled)) => {
            worker.stats().answered_by_route.one();
            return Err(Some(settled));
        }
        Err(reject) => reject,
    };
    Err(finish::refusal(worker, downstream, head, Some(request), reject))
}

/// What becomes of a request that has a route.
enum Way {
    /// It goes to a service.
    Forward(Routed),
    /// Its route has answered it.
    Answer(Settled),
}

#[inline]
fn way(
    worker: &Rc<Worker>,
    downstream: &Downstream,
    head: &Head,
    request: &Request,
) -> Result<Way, Reject> {
    #[cfg(feature = "chaos")]
    chaos(request.path(head))?;
    if request.has_via && hop::times_named(head, worker.via()) > limits::OWN_VIA {
        return Err(Reject::LoopDetected);
    }
    if request.max_forwards == Some(0) {
        return Err(Reject::MaxForwards);
    }
    let asked = Asked::of(head, request);
    worker.with_snapshot(|snapshot| {
        let route = worker.locals.find(snapshot, &asked).map_err(|missed| match missed {
            Missed::Route => Reject::NoRoute,
            Missed::Method => Reject::MethodNotAllowed,
        })?;
        if let BodyIn::Length(length) = request.body
            && body_bytes(&route, &downstream.listener).is_some_and(|most| length > most)
        {
            return Err(Reject::BodyTooLarge);
        }
        match &route.route.plan.action {
            Action::Forward(_) => {
                let service = route.route.service(|| worker.random());
                let service = service.and_then(|service| worker.locals.service(snapshot, service));
                Ok(Way::Forward(Routed { service: service.ok_or(Reject::NoRoute)?, route }))
            }
            Action::Redirect(redirect) => {
                let asked_by = (head, request);
                Settled::redirect(worker, downstream, asked_by, &asked, redirect).map(Way::Answer)
            }
            Action::Respond(respond) => {
                let settled = Settled::fixed(worker, downstream, (head, request), respond);
                Ok(Way::Answer(settled))
            }
        }
    })
}

/// Makes the path the one that goes to the instance.
#[inline]
fn rewrite(
    worker: &Worker,
    routed: &Routed,
    head: &mut Head,
    request: &mut Request,
) -> Result<(), Reject> {
    let Action::Forward(Forward { rewrite, .. }) = &routed.route.route.plan.action else {
        return Ok(());
    };
    if matches!(rewrite, Rewrite::Same) {
        return Ok(());
    }
    rewritten(worker, rewrite, head, request)
}

/// The same where there is anything to do.
fn rewritten(
    worker: &Worker,
    rewrite: &Rewrite,
    head: &mut Head,
    request: &mut Request,
) -> Result<(), Reject> {
    worker.buffers.with_spare(|spare| {
        let write = |path: &[u8], out: &mut _| {
            rewrite.path(path, out);
        };
        request.set_path(head, spare, write).map_err(|_| Reject::BadRequest)
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
