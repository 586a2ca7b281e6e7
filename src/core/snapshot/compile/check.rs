//! Whether a plan can be taken: everything that is wrong with it, at once.

use std::collections::{BTreeSet, HashSet};

use crate::base::ids::ServiceId;
use crate::base::limits;
use crate::snapshot::compile::{CompileError, Compiler};
use crate::snapshot::plan::{Address, ListenerPlan, Plan, RoutePlan, ServicePlan};
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
        let routes = self.route_names.unknown(route_names.iter().map(String::as_str));
        let services = self.service_names.unknown(services.into_iter());
        let listeners = self.listener_names.unknown(listeners.into_iter());
        for (what, fresh, names, most) in [
            ("routes", routes, &self.route_names, limits::NAMES),
            ("services", services, &self.service_names, limits::NAMES),
            ("listeners", listeners, &self.listener_names, limits::LISTENER_NAMES),
        ] {
            let known = names.len();
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
    ];
    let errors = counts.into_iter().filter(|(_, count, most)| count > most);
    errors.map(|(what, count, most)| CompileError::TooMany { what, count, most }).collect()
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
