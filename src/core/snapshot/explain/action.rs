//! What becomes of a request once a route has it: computed as the data plane does, by the same functions of the plan.

use std::time::Duration;

use bytes::BytesMut;

use crate::base::limits;
use crate::base::time::{Span, TICK};
use crate::http::head::{Head, Request, TargetAt};
use crate::snapshot::Snapshot;
use crate::snapshot::explain::lossy;
use crate::snapshot::plan::{Action, Forward, RouteTerms, Values};
use crate::snapshot::router::Asked;
use crate::snapshot::routes::Route;
use crate::snapshot::services::Service;

/// What a route does with a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Taken {
    /// It goes to a service.
    Forward(Forwarded),
    /// Its client is sent elsewhere.
    Redirect {
        /// The status.
        status: u16,
        /// What `Location` says.
        location: String,
    },
    /// It is answered here.
    Respond {
        /// The status.
        status: u16,
        /// The header fields that the route adds.
        headers: Vec<(String, String)>,
        /// The length of the body.
        body_bytes: usize,
    },
}

/// To which services a request may go, and as what.
#[derive(Debug, Clone, PartialEq)]
pub struct Forwarded {
    /// The services, in their order.
    pub services: Vec<Share>,
    /// The service that it goes to, where that is certain: by the random number that was given, or because there is one alone.
    pub chosen: Option<String>,
    /// The target that the instance is asked for: path and query, or `*`.
    pub target: String,
}

/// A service, and how much of the route's requests goes there.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// The name of the service.
    pub service: String,
    /// Its share, in hundredths of a percent.
    pub weight: u32,
    /// The addresses of its instances, at most [`limits::EXPLAIN_INSTANCES`].
    pub instances: Vec<String>,
    /// How many it has.
    pub instance_count: usize,
    /// The deadlines that hold.
    pub timeout: Timeouts,
}

/// The deadlines of a request: the route's where it has one, else the service's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// A connect.
    pub connect: Duration,
    /// From the request to the answer's head.
    pub first_byte: Duration,
    /// Between two pieces of a body.
    pub body: Duration,
    /// A tunnel in which nothing moves.
    pub tunnel: Duration,
}

impl Taken {
    /// What a route does with a request that it takes.
    pub(super) fn of(
        snapshot: &Snapshot,
        route: &Route,
        head: &Head,
        request: &Request,
        random: Option<u64>,
    ) -> Self {
        let asked = Asked::of(head, request);
        match &route.plan.action {
            Action::Forward(forward) => {
                let target = match request.target {
                    TargetAt::Asterisk => "*".to_owned(),
                    TargetAt::Page(_) | TargetAt::Side => target(forward, &asked),
                };
                Self::Forward(Forwarded::of(snapshot, route, target, random))
            }
            Action::Redirect(redirect) => {
                let values = Values { host: asked.host, path: asked.path };
                let mut location = BytesMut::new();
                redirect.location(&values, asked.query, &mut location);
                Self::Redirect { status: redirect.status, location: lossy(&location) }
            }
            Action::Respond(respond) => Self::Respond {
                status: respond.status,
                headers: respond.headers.clone(),
                body_bytes: respond.body.len(),
            },
        }
    }
}

/// The target under which a request goes on.
fn target(forward: &Forward, asked: &Asked<'_>) -> String {
    let mut target = Vec::new();
    if !forward.rewrite.path(asked.path, &mut target) {
        target.extend_from_slice(asked.path);
    }
    if let Some(query) = asked.query {
        target.push(b'?');
        target.extend_from_slice(query);
    }
    lossy(&target)
}

/// The service that a request goes to, where that is certain: there is one alone, or the random number decides.
pub(super) fn chosen(snapshot: &Snapshot, route: &Route, random: Option<u64>) -> Option<String> {
    let name = |id| snapshot.service(id).map(|service| service.name.to_string());
    let mut named = route.plan.shares().iter().filter(|share| share.weight > 0);
    let alone = named.next().filter(|_| named.next().is_none());
    match (alone, random) {
        (Some(alone), _) => Some(alone.service.clone()),
        (None, Some(random)) => route.service(|| random).and_then(name),
        (None, None) => None,
    }
}

impl Forwarded {
    fn of(snapshot: &Snapshot, route: &Route, target: String, random: Option<u64>) -> Self {
        let chosen = chosen(snapshot, route, random);
        let shares = route.plan.shares().iter().zip(route.services());
        let services = shares.filter_map(|(share, id)| {
            let service = snapshot.service(id)?;
            Some(Share::of(service, share.weight, &route.plan.terms))
        });
        Self { services: services.collect(), chosen, target }
    }
}

impl Share {
    fn of(service: &Service, weight: u32, terms: &RouteTerms) -> Self {
        let shown = service.instances.iter().take(limits::EXPLAIN_INSTANCES);
        let its = &service.terms;
        Self {
            service: service.name.to_string(),
            weight,
            instances: shown.map(|instance| instance.address.to_string()).collect(),
            instance_count: service.instances.len(),
            timeout: Timeouts {
                connect: terms.connect.unwrap_or_else(|| time(its.connect)),
                first_byte: terms.first_byte.unwrap_or_else(|| time(its.first_byte)),
                body: terms.body.unwrap_or_else(|| time(its.body)),
                tunnel: terms.tunnel.unwrap_or_else(|| time(its.tunnel)),
            },
        }
    }
}

/// A deadline as it was asked for: a span has a tick more, so that it never comes early.
fn time(span: Span) -> Duration {
    TICK * span.ticks().saturating_sub(1)
}
