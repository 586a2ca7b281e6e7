//! What a test of a configuration expects of a request, held against what becomes of it.

use crate::snapshot::explain::action::Taken;
use crate::snapshot::explain::{Explanation, Outcome, Routed};
use crate::snapshot::plan::{HostPattern, PathPattern, RoutePlan, Segments};

/// What is expected; what is absent is not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// The route: its name, or its key as written, `[METHODS ][HOST]/PATH`; methods and host may be left out.
    pub route: Option<String>,
    /// The services: it must be forwarded, and every service that it may go to must be among these. Names that it may not go
    /// to do no harm, so that a split can be shifted without its tests.
    pub services: Vec<String>,
    /// The status, where the gateway itself answers.
    pub status: Option<u16>,
    /// The `Location` of a redirect.
    pub location: Option<String>,
    /// The path that the instance is asked for; with its query, if there is a `?` in it.
    pub path: Option<String>,
}

/// Something that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// What: `route`, `service`, `status`, `location`, `path`.
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
        let holds = self.route.as_ref().zip(routed).is_some_and(|(name, it)| is_called(name, it));
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
        let whole = self.path.as_ref().is_some_and(|path| path.contains('?'));
        let path = routed.and_then(|routed| path(routed, whole));
        let holds = self.path.as_deref() == path;
        look("path", self.path.clone(), path.map(str::to_owned), holds);
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
        Outcome::Routed(Routed { taken, .. }) => match taken {
            Taken::Redirect { status, .. } | Taken::Respond { status, .. } => Some(*status),
            Taken::Forward(_) => None,
        },
    }
}

fn location(routed: &Routed) -> Option<&str> {
    match &routed.taken {
        Taken::Redirect { location, .. } => Some(location),
        Taken::Forward(_) | Taken::Respond { .. } => None,
    }
}

fn path(routed: &Routed, whole: bool) -> Option<&str> {
    match &routed.taken {
        Taken::Forward(forwarded) if whole => Some(&forwarded.target),
        Taken::Forward(forwarded) => forwarded.target.split('?').next(),
        Taken::Redirect { .. } | Taken::Respond { .. } => None,
    }
}

/// Whether a route is meant by this text.
fn is_called(text: &str, routed: &Routed) -> bool {
    let plan = &routed.plan;
    text == routed.route || text == key_of(plan) || is_key_of(text, plan).unwrap_or(false)
}

/// The name that a route has by what it takes, whatever its operator calls it.
fn key_of(plan: &RoutePlan) -> String {
    RoutePlan { given_name: None, ..plan.clone() }.name()
}

/// Whether a route may stand under this key, in any of its spellings; none if the text is no key.
fn is_key_of(text: &str, plan: &RoutePlan) -> Option<bool> {
    let (host, methods, path) = match text.split_once(' ') {
        Some((methods, rest)) if !methods.contains('/') => (rest, Some(methods), rest.find('/')?),
        _ => (text, None, text.find('/')?),
    };
    let (host, path) = host.split_at(path);
    let methods_hold = methods.is_none_or(|methods| {
        let mut methods: Vec<_> = methods.split(',').collect();
        methods.sort_unstable();
        methods.dedup();
        methods == plan.when.methods
    });
    let host_holds = host.is_empty() || host.parse::<HostPattern>().ok()? == plan.host;
    let path_holds = match &plan.path {
        PathPattern::Segments(segments) => path.parse::<Segments>().ok()? == *segments,
        PathPattern::Regex(_) => false,
    };
    Some(methods_hold && host_holds && path_holds)
}
