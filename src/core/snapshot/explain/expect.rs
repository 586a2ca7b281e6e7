//! What a test of a configuration expects of a request, held against what becomes of it.

use crate::snapshot::explain::action::Taken;
use crate::snapshot::explain::{Explanation, Outcome, Routed};

/// What is expected; what is absent is not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// The name of the route that takes it, as [`RoutePlan::name`](crate::snapshot::plan::RoutePlan::name) has it.
    pub route: Option<String>,
    /// The services: it is forwarded, and every one that it may go to is among these; empty where nothing is said. Names that it
    /// does not go to do no harm, so that shares can be shifted without their tests.
    pub services: Vec<String>,
    /// The status of the answer that the gateway gives by itself: of a `respond`, a `redirect`, or a refusal such as 404.
    pub status: Option<u16>,
    /// The `Location` of a redirect.
    pub location: Option<String>,
    /// The path that goes upstream, without the query.
    pub path: Option<String>,
    /// The way to find out who calls that its route names; within, none where nobody is asked.
    pub auth: Option<Option<String>>,
}

/// Something that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// What: `route`, `service`, `status`, `location`, `path`, `auth`.
    pub what: &'static str,
    /// What was expected.
    pub expected: String,
    /// What there was instead; `none` for nothing of the kind.
    pub seen: String,
}

impl Expected {
    /// What of it does not hold.
    pub fn missed(&self, explanation: &Explanation) -> Vec<Missed> {
        let mut missed = Vec::new();
        let mut look = |what, expected: Option<String>, seen: Option<String>, holds: bool| {
            if let (Some(expected), false) = (expected, holds) {
                let seen = seen.unwrap_or_else(|| "none".to_owned());
                missed.push(Missed { what, expected, seen });
            }
        };
        let routed = match &explanation.outcome {
            Outcome::Routed(routed) => Some(routed),
            Outcome::Refused(_) => None,
        };
        let route = routed.map(|routed| routed.route.clone());
        let holds = self.route == route;
        look("route", self.route.clone(), route, holds);
        let services = routed.and_then(services);
        let among =
            |all: &Vec<&str>| all.iter().all(|one| self.services.iter().any(|it| it == one));
        let expected = (!self.services.is_empty()).then(|| self.services.join(", "));
        let holds = services.as_ref().is_some_and(among);
        look("service", expected, services.map(|all| all.join(", ")), holds);
        let status = status(&explanation.outcome);
        let text = |status: u16| status.to_string();
        look("status", self.status.map(text), status.map(text), self.status == status);
        let location = routed.and_then(location);
        let holds = self.location.as_deref() == location;
        look("location", self.location.clone(), location.map(str::to_owned), holds);
        let path = routed.and_then(path);
        let holds = self.path.as_deref() == path;
        look("path", self.path.clone(), path.map(str::to_owned), holds);
        let identity = routed.and_then(|routed| routed.guard.identity.as_ref());
        let auth = identity.map(|identity| identity.auth.clone());
        let holds = self.auth.as_ref().is_none_or(|expected| routed.is_some() && *expected == auth);
        let expected = self.auth.clone().map(|auth| auth.unwrap_or_else(|| "none".to_owned()));
        look("auth", expected, auth, holds);
        missed
    }
}

/// The services that it may go to, if it goes to any.
fn services(routed: &Routed) -> Option<Vec<&str>> {
    match &routed.taken {
        Taken::Forward(forwarded) => {
            let may = forwarded.services.iter().filter(|share| share.weight > 0);
            Some(may.map(|share| share.service.as_str()).collect())
        }
        Taken::Redirect { .. } | Taken::Respond { .. } => None,
    }
}

/// The status, unless it is the instance's to say.
fn status(outcome: &Outcome) -> Option<u16> {
    match outcome {
        Outcome::Refused(refused) => Some(refused.status),
        Outcome::Routed(Routed { guard, taken, .. }) => match (&guard.refused, taken) {
            (Some(refused), _) => Some(refused.status),
            (None, Taken::Redirect { status, .. } | Taken::Respond { status, .. }) => Some(*status),
            (None, Taken::Forward(_)) => None,
        },
    }
}

fn location(routed: &Routed) -> Option<&str> {
    match &routed.taken {
        Taken::Redirect { location, .. } => Some(location),
        Taken::Forward(_) | Taken::Respond { .. } => None,
    }
}

fn path(routed: &Routed) -> Option<&str> {
    match &routed.taken {
        Taken::Forward(forwarded) => forwarded.target.split('?').next(),
        Taken::Redirect { .. } | Taken::Respond { .. } => None,
    }
}
