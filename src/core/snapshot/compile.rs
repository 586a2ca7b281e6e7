//! From a plan to a snapshot: pure, total, all faults at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::ids::{RouteId, ServiceId};
use crate::base::limits;
use crate::snapshot::Snapshot;
use crate::snapshot::listeners::Listener;
use crate::snapshot::plan::{HostPattern, Plan, RoutePlan};
use crate::snapshot::routes::{Route, Router};
use crate::snapshot::services::Service;

/// Why a plan cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// A route whose service does not exist.
    #[error("route {route}: there is no service {service:?}")]
    NoSuchService {
        /// The route's name.
        route: String,
        /// The service it names.
        service: String,
    },
    /// A listener that passes connections to a service that does not exist.
    #[error("listener {listener:?}: there is no service {service:?}")]
    NoSuchTcpService {
        /// The listener's name.
        listener: String,
        /// The service it names.
        service: String,
    },
    /// Two routes with the same host and path.
    #[error("route {0} stands twice")]
    DuplicateRoute(String),
    /// Two services with the same name.
    #[error("service {0:?} stands twice")]
    DuplicateService(String),
    /// More of something than there are ids.
    #[error("{count} {what}: at most {most}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
}

/// Compiles `plan` into the snapshot of this generation.
pub fn compile(plan: &Plan, generation: u64) -> Result<Snapshot, Vec<CompileError>> {
    let mut errors = Vec::new();
    for (what, count, most) in [
        ("routes", plan.routes.len(), limits::ROUTES),
        ("services", plan.services.len(), limits::SERVICES),
        ("listeners", plan.listeners.len(), limits::LISTENERS),
    ] {
        if count > most {
            errors.push(CompileError::TooMany { what, count, most });
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut ids = BTreeMap::new();
    for (at, service) in plan.services.iter().enumerate() {
        if ids.insert(service.name.as_str(), ServiceId(at as u16)).is_some() {
            errors.push(CompileError::DuplicateService(service.name.clone()));
        }
    }
    let mut seen = BTreeSet::new();
    let mut routes = Vec::with_capacity(plan.routes.len());
    for (at, route) in plan.routes.iter().enumerate() {
        let name = name_of(route);
        if !seen.insert((&route.host, &route.path)) {
            errors.push(CompileError::DuplicateRoute(name.clone()));
        }
        match ids.get(route.service.as_str()) {
            Some(service) => routes.push(Arc::new(Route {
                id: RouteId(at as u16),
                name: name.into(),
                host: route.host.clone(),
                path: route.path.clone(),
                service: *service,
            })),
            None => errors
                .push(CompileError::NoSuchService { route: name, service: route.service.clone() }),
        }
    }
    let mut listeners = Vec::with_capacity(plan.listeners.len());
    for listener in &plan.listeners {
        let tcp = listener.tcp.as_deref().map(|service| ids.get(service).copied().ok_or(service));
        match tcp.transpose() {
            Ok(tcp) => listeners.push(Arc::new(Listener::new(listener, tcp))),
            Err(service) => errors.push(CompileError::NoSuchTcpService {
                listener: listener.name.clone(),
                service: service.to_owned(),
            }),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let services = plan.services.iter().enumerate();
    Ok(Snapshot {
        generation,
        router: Router::new(routes.iter().map(|route| &**route)),
        routes: routes.into(),
        services: services
            .map(|(at, plan)| Arc::new(Service::new(ServiceId(at as u16), plan)))
            .collect(),
        listeners: listeners.into(),
    })
}

/// What a route is called: `/users/*`, or `shop.example.com/users/*`.
pub fn name_of(route: &RoutePlan) -> String {
    match &route.host {
        HostPattern::Any => route.path.to_string(),
        host => format!("{host}{}", route.path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::ListenerId;
    use crate::snapshot::plan::{
        ListenerPlan, PoolTerms, ServicePlan, ServiceTimeouts, TrustedPeers,
    };

    fn route(path: &str, service: &str) -> RoutePlan {
        RoutePlan { host: HostPattern::Any, path: path.parse().unwrap(), service: service.into() }
    }

    fn service(name: &str) -> ServicePlan {
        ServicePlan {
            name: name.into(),
            instances: Vec::new(),
            timeout: ServiceTimeouts::default(),
            pool: PoolTerms::default(),
            proxy_protocol: None,
        }
    }

    fn listener(name: &str, tcp: Option<&str>) -> ListenerPlan {
        ListenerPlan { name: name.into(), tcp: tcp.map(String::from), ..ListenerPlan::default() }
    }

    #[test]
    fn all_faults_come_at_once() {
        let plan = Plan {
            routes: vec![route("/a", "x"), route("/a", "s"), route("/b", "s")],
            services: vec![service("s"), service("s")],
            listeners: vec![listener("l", Some("t")), listener("m", None)],
        };
        let errors = compile(&plan, 1).unwrap_err();
        assert_eq!(errors.len(), 4, "{errors:?}");
        assert_eq!(errors[3].to_string(), "listener \"l\": there is no service \"t\"");
    }

    #[test]
    fn ids_are_positions() {
        let plan = Plan {
            routes: vec![route("/b/*", "t"), route("/a/*", "s")],
            services: vec![service("s"), service("t")],
            listeners: vec![
                listener("http", None),
                ListenerPlan {
                    proxy_protocol: Some(TrustedPeers { networks: Vec::new(), unix: true }),
                    ..listener("tcp", Some("t"))
                },
            ],
        };
        let snapshot = compile(&plan, 7).unwrap();
        let found = snapshot.find(b"", b"/b/c").unwrap();
        assert_eq!(&*snapshot.route(found).name, "/b/*");
        assert_eq!(&*snapshot.service(snapshot.route(found).service).name, "t");
        assert_eq!(snapshot.generation(), 7);
        let [http, tcp] = [0, 1].map(|id| snapshot.listener(ListenerId(id)));
        assert!(http.tcp.is_none() && http.trusted.is_none());
        assert_eq!(tcp.tcp.map(|id| &*snapshot.service(id).name), Some("t"));
        assert!(tcp.trusted.as_ref().is_some_and(|trusted| trusted.trusts(None)));
    }
}
