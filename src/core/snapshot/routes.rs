//! Routes as workers see them: a plan whose services are ids.

use std::sync::Arc;

use crate::base::ids::{RouteId, ServiceId};
use crate::base::time::Span;
use crate::snapshot::consumers::Consumer;
use crate::snapshot::limits::Limit;
use crate::snapshot::names::Names;
use crate::snapshot::plan::{Access, AuthPlan, Principal, RoutePlan, RouteTerms, Share};
use crate::snapshot::quotas::Quota;

/// The times of a route that hold instead of those of its service, where there are any: see [`RouteTerms`].
#[derive(Debug, Clone, Copy)]
pub struct RouteTimes {
    /// Time for a connect.
    pub connect: Option<Span>,
    /// Time to the answer's head.
    pub first_byte: Option<Span>,
    /// Time between two pieces of a body.
    pub body: Option<Span>,
    /// Time for a tunnel in which nothing moves either way.
    pub tunnel: Option<Span>,
}

impl RouteTimes {
    fn new(terms: &RouteTerms) -> Self {
        let RouteTerms { body_bytes: _, connect, first_byte, body, tunnel } = *terms;
        let [connect, first_byte, body, tunnel] =
            [connect, first_byte, body, tunnel].map(|time| time.map(Span::of));
        Self { connect, first_byte, body, tunnel }
    }
}

/// A route as workers see it.
#[derive(Debug)]
pub struct Route {
    /// Its id.
    pub id: RouteId,
    /// What it is called in counters and logs: [`RoutePlan::name`].
    pub name: Box<str>,
    /// What it takes, and what becomes of it.
    pub plan: RoutePlan,
    /// The times that hold for its requests instead of their service's.
    pub times: RouteTimes,
    /// The services of its shares, in their order, each with the shares up to its own; none unless it forwards.
    targets: Box<[(ServiceId, u32)]>,
    /// Who is let in, and how much.
    pub guard: Guard,
}

/// Who is let in by a route, and how much.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// How it is found out who calls; with none, nobody is asked.
    pub auth: Option<Arc<AuthPlan>>,
    /// Which consumers are let in.
    pub access: Gate,
    /// The limits that hold.
    pub limits: Box<[Arc<Limit>]>,
    /// The quotas that hold.
    pub quotas: Box<[Arc<Quota>]>,
}

/// Which consumers are let in, by names and by ids of groups.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Gate {
    allow: Option<Side>,
    deny: Side,
}

/// One side of a gate.
#[derive(Debug, Default, PartialEq, Eq)]
struct Side {
    consumers: Box<[Box<str>]>,
    groups: Box<[u16]>,
}

impl Side {
    fn new(principals: &[Principal], groups: &mut Names) -> Self {
        let (mut consumers, mut ids) = (Vec::new(), Vec::new());
        for principal in principals {
            match principal {
                Principal::Consumer(name) => consumers.push(name.as_str().into()),
                Principal::Group(name) => ids.push(groups.id(name)),
            }
        }
        Self { consumers: consumers.into(), groups: ids.into() }
    }

    fn has(&self, consumer: &Consumer) -> bool {
        self.groups.iter().any(|group| consumer.is_in(*group))
            || self.consumers.iter().any(|name| **name == *consumer.name)
    }
}

impl Gate {
    pub(crate) fn new(access: &Access, groups: &mut Names) -> Self {
        let some = !access.allow.is_empty();
        Self {
            allow: some.then(|| Side::new(&access.allow, groups)),
            deny: Side::new(&access.deny, groups),
        }
    }

    /// Whether a consumer is let in: [`Access::admits`].
    #[inline]
    pub fn admits(&self, consumer: &Consumer) -> bool {
        self.allow.as_ref().is_none_or(|allow| allow.has(consumer)) && !self.deny.has(consumer)
    }
}

impl Route {
    /// A route under this id and name; `service` gives ids to names.
    pub(crate) fn new(
        (id, name): (RouteId, &str),
        plan: &RoutePlan,
        mut service: impl FnMut(&str) -> ServiceId,
        guard: Guard,
    ) -> Self {
        let shares = plan.shares().iter().scan(0, |sum, Share { service: name, weight }| {
            *sum += weight;
            Some((service(name), *sum))
        });
        let (name, times) = (name.into(), RouteTimes::new(&plan.terms));
        Self { id, name, times, targets: shares.collect(), plan: plan.clone(), guard }
    }

    /// Whether its requests are answered here, and go to no service.
    pub fn is_local(&self) -> bool {
        self.targets.is_empty()
    }

    /// The service for a request, if the route forwards: a pure choice by a random number, in which each service has its share.
    #[inline]
    pub fn service(&self, random: impl FnOnce() -> u64) -> Option<ServiceId> {
        match &*self.targets {
            [] => None,
            [(only, _)] => Some(*only),
            targets => {
                let sum = u64::from(targets[targets.len() - 1].1);
                // The upper half of the product is uniform in 0..sum (Lemire 2019).
                let at = ((u128::from(random()) * u128::from(sum)) >> 64) as u32;
                targets.iter().find(|(_, below)| at < *below).map(|(service, _)| *service)
            }
        }
    }

    /// All services that it may forward to.
    pub fn services(&self) -> impl Iterator<Item = ServiceId> {
        self.targets.iter().map(|(service, _)| *service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::plan::{Action, Forward, HostPattern, PathPattern};

    #[test]
    fn shares_are_what_they_say() {
        let mut plan = RoutePlan::to(HostPattern::Any, PathPattern::ALL, "a");
        let Action::Forward(Forward { to, .. }) = &mut plan.action else { unreachable!() };
        to[0].weight = 9_500;
        to.push(Share { service: "none".into(), weight: 0 });
        to.push(Share { service: "b".into(), weight: 500 });
        let id = |name: &str| ServiceId(name.len() as u16 * 10 + u16::from(name == "b"));
        let route = Route::new((RouteId(0), "r"), &plan, id, Guard::default());
        let step = u64::MAX / 10_000;
        let chosen: Vec<_> = (0..10_000).map(|n| route.service(|| n * step + step / 2)).collect();
        let count = |id| chosen.iter().filter(|one| **one == Some(ServiceId(id))).count();
        assert_eq!((count(10), count(11), count(40)), (9_500, 500, 0));
        assert_eq!(route.service(|| u64::MAX), Some(ServiceId(11)));
    }
}
