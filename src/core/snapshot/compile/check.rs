//! Whether a plan can be taken: everything that is wrong with it, at once.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::base::ids::ServiceId;
use crate::base::limits;
use crate::snapshot::compile::{CompileError, Compiler};
use crate::snapshot::plan::{Address, AuthPlan, ListenerPlan, Plan, RoutePlan, ServicePlan};
use crate::snapshot::router::order::Places;

impl Compiler {
    /// Everything that is wrong with a plan, whose routes have these names.
    pub(super) fn check(
        &self,
        plan: &Plan,
        route_names: &[String],
    ) -> Result<(), Vec<CompileError>> {
        let mut errors = too_many(plan);
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut services = BTreeSet::new();
        for service in &plan.services {
            if !services.insert(service.name.as_str()) {
                errors.push(CompileError::DuplicateService(service.name.clone()));
            }
        }
        check_routes((&plan.routes, route_names), &services, &mut errors);
        let mut listeners = BTreeSet::new();
        for ListenerPlan { name, tcp, .. } in &plan.listeners {
            if !listeners.insert(name.as_str()) {
                errors.push(CompileError::DuplicateListener(name.clone()));
            }
            if let Some(service) = tcp.as_ref().filter(|name| !services.contains(name.as_str())) {
                let (listener, service) = (name.clone(), service.clone());
                errors.push(CompileError::NoSuchTcpService { listener, service });
            }
        }
        check_policies(plan, route_names, &mut errors);
        let routes = self.route_names.unknown(route_names.iter().map(String::as_str));
        let services = self.service_names.unknown(services.into_iter());
        let listeners = self.listener_names.unknown(listeners.into_iter());
        let (groups, known_groups) = self.policies.groups_of(plan);
        for (what, fresh, known, most) in [
            ("routes", routes, self.route_names.len(), limits::NAMES),
            ("services", services, self.service_names.len(), limits::NAMES),
            ("listeners", listeners, self.listener_names.len(), limits::LISTENER_NAMES),
            ("groups", groups, known_groups, limits::NAMES),
        ] {
            if known + fresh > most {
                errors.push(CompileError::TooManyNames { what, fresh, known, most });
            }
        }
        let fresh = plan.services.iter().map(|service| self.fresh_instances(service)).sum();
        let available = self.slots.available();
        if fresh > available {
            let most = self.slots.capacity();
            errors.push(CompileError::NoSlots { fresh, available, most });
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn fresh_instances(&self, service: &ServicePlan) -> usize {
        let id = self.service_names.known(&service.name).map(ServiceId);
        let known = id.and_then(|id| self.members.get(&id));
        let fresh = |address: &&Address| known.is_none_or(|known| !known.contains_key(*address));
        service.instances.iter().filter(fresh).count()
    }
}

fn too_many(plan: &Plan) -> Vec<CompileError> {
    let counts = [
        ("routes", plan.routes.len(), limits::ROUTES),
        ("services", plan.services.len(), limits::SERVICES),
        ("listeners", plan.listeners.len(), limits::LISTENERS),
        ("consumers", plan.consumers.len(), limits::CONSUMERS),
        ("keys", plan.consumers.iter().map(|one| one.keys.len()).sum(), limits::KEYS),
        ("auth", plan.auths.len(), limits::AUTHS),
        ("rates", plan.rates.len(), limits::RATES),
        ("quotas", plan.quotas.len(), limits::QUOTAS),
    ];
    let errors = counts.into_iter().filter(|(_, count, most)| count > most);
    errors.map(|(what, count, most)| CompileError::TooMany { what, count, most }).collect()
}

/// What is wrong with consumers, limits, and with what routes make of them.
fn check_policies(plan: &Plan, route_names: &[String], errors: &mut Vec<CompileError>) {
    unique("consumer", plan.consumers.iter().map(|one| &one.name), errors);
    let auths = unique("auth", plan.auths.iter().map(|one| &one.name), errors);
    let rated = unique("rate", plan.rates.iter().map(|one| &one.name), errors);
    let counted = unique("quota", plan.quotas.iter().map(|one| &one.name), errors);
    let both = rated.intersection(&counted);
    errors.extend(both.map(|name| CompileError::RateAndQuota((*name).to_owned())));
    for quota in &plan.quotas {
        let wrong = quota.fault().map(|fault| (quota.name.clone(), fault));
        errors.extend(wrong.map(|(quota, fault)| CompileError::Quota { quota, fault }));
    }
    let mut keys = HashMap::new();
    for consumer in &plan.consumers {
        for key in &consumer.keys {
            let first = *keys.entry(key.digest).or_insert(&consumer.name);
            if *first != consumer.name {
                let (one, other) = (first.clone(), consumer.name.clone());
                errors.push(CompileError::SameKey { key: key.digest, one, other });
            }
        }
    }
    let rates: HashMap<_, _> = plan.rates.iter().map(|rate| (rate.name.as_str(), rate)).collect();
    let quotas: HashMap<_, _> = plan.quotas.iter().map(|one| (one.name.as_str(), one)).collect();
    for (route, name) in plan.routes.iter().zip(route_names) {
        let policies = &route.policies;
        let mut none = |what, missing: &str| {
            let (route, name) = (name.clone(), missing.to_owned());
            errors.push(CompileError::NoSuch { route, what, name });
        };
        let auth = policies.auth.as_deref();
        if let Some(auth) = auth.filter(|auth| *auth != AuthPlan::KEY && !auths.contains(auth)) {
            none("auth", auth);
        }
        let missing = policies.rates.iter().filter(|rate| !rates.contains_key(rate.as_str()));
        missing.for_each(|rate| none("rate", rate));
        let missing = policies.quotas.iter().filter(|one| !quotas.contains_key(one.as_str()));
        missing.for_each(|quota| none("quota", quota));
        if auth.is_none() {
            let known = policies.rates.iter().filter_map(|rate| rates.get(rate.as_str()));
            let needy = known.filter(|rate| rate.needs_identity());
            let needy = needy.map(|rate| format!("rate {:?}", rate.name));
            let known = policies.quotas.iter().filter_map(|one| quotas.get(one.as_str()));
            let counted = known.filter(|quota| quota.needs_identity());
            let counted = counted.map(|quota| format!("quota {:?}", quota.name));
            let access = (!policies.access.is_open()).then(|| "`allow` or `deny`".to_owned());
            let nobody = |what| CompileError::NobodyKnown { route: name.clone(), what };
            errors.extend(needy.chain(counted).chain(access).map(nobody));
        }
    }
}

/// The names, each of which stands once.
fn unique<'p>(
    what: &'static str,
    names: impl Iterator<Item = &'p String>,
    errors: &mut Vec<CompileError>,
) -> HashSet<&'p str> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name.as_str()) {
            errors.push(CompileError::Twice { what, name: name.clone() });
        }
    }
    seen
}

fn check_routes(
    (plans, route_names): (&[RoutePlan], &[String]),
    services: &BTreeSet<&str>,
    errors: &mut Vec<CompileError>,
) {
    let mut names = HashSet::new();
    for (plan, name) in plans.iter().zip(route_names) {
        for service in plan.services().filter(|service| !services.contains(service)) {
            let service = service.to_owned();
            errors.push(CompileError::NoSuchService { route: name.clone(), service });
        }
        if !names.insert(name) {
            errors.push(CompileError::DuplicateRoute(name.clone()));
        }
    }
    let plans: Vec<_> = plans.iter().collect();
    let places = Places::of(&plans);
    for (at, count) in places.crowds() {
        errors.push(CompileError::Crowd(route_names[at].clone(), count));
    }
    for (at, count) in places.regex_crowds() {
        errors.push(CompileError::Regexes(route_names[at].clone(), count));
    }
    if !errors.is_empty() {
        return;
    }
    for (one, other) in places.ties() {
        let (one, other) = (route_names[one].clone(), route_names[other].clone());
        errors.push(CompileError::Tie(one, other));
    }
}
