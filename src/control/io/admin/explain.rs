//! Routes and explanations as they go over the wire: read from the published snapshot, by the functions that the commands use
//! on a file.

use std::hash::{DefaultHasher, Hash, Hasher};

use coregate_core::base::{limits, moment};
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::explain::action::{Forwarded, Share, Taken, Timeouts};
use coregate_core::snapshot::explain::guard::{Identity, Limited, Says};
use coregate_core::snapshot::explain::inquiry::{Inquiry, WhenceError};
use coregate_core::snapshot::explain::quota::{CountSays, Counted};
use coregate_core::snapshot::explain::refusal::Refused;
use coregate_core::snapshot::explain::{Candidate, Explanation, Outcome, Standing};
use coregate_core::snapshot::plan::{Predicate, RoutePlan};
use coregate_core::snapshot::routes::Route;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::openapi::ToSchema;

/// What is to be explained: `{"method": "GET", "url": "https://shop.example.com/x", "headers": [["x-beta", "1"]]}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainBody {
    /// The method.
    pub method: String,
    /// The URL, or the target alone.
    pub url: String,
    /// The header fields, in order.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The listener that it comes in by; the first that reads requests by default.
    #[serde(default)]
    pub listener: Option<String>,
    /// The address that it comes from, or `unix`; what depends on it is not looked at without one.
    #[serde(default)]
    pub from: Option<String>,
    /// The random number by which a split chooses.
    #[serde(default)]
    pub random: Option<u64>,
    /// Whether up to [`limits::EXPLAIN_CANDIDATES_ALL`] candidates are listed, and not [`limits::EXPLAIN_CANDIDATES`].
    #[serde(default)]
    pub all: bool,
}

impl TryFrom<ExplainBody> for Inquiry {
    type Error = WhenceError;

    fn try_from(body: ExplainBody) -> Result<Self, WhenceError> {
        let ExplainBody { method, url, headers, listener, from, random, all } = body;
        let most = if all { limits::EXPLAIN_CANDIDATES_ALL } else { limits::EXPLAIN_CANDIDATES };
        let from = from.as_deref().map(str::parse).transpose()?.unwrap_or_default();
        Ok(Self { method, url, headers, listener, from, random, shown: most })
    }
}

/// An explanation as JSON; what it holds is documented at [`super`].
pub fn explanation(explanation: &Explanation) -> Value {
    let request = explanation.request.as_ref().map(|request| {
        json!({
            "method": request.method,
            "host": request.host,
            "path": request.path,
            "query": request.query,
        })
    });
    let candidates: Vec<_> = explanation.candidates.iter().map(candidate).collect();
    let mut all = json!({
        "generation": explanation.generation,
        "listener": explanation.listener,
        "request": request,
        "routes": explanation.routes,
        "other_hosts": explanation.other_hosts,
        "left_out": explanation.left_out,
        "candidates": candidates,
        "lines": explanation.lines(),
    });
    if let (Value::Object(all), Value::Object(own)) = (&mut all, outcome(&explanation.outcome)) {
        all.extend(own);
    }
    all
}

fn candidate(candidate: &Candidate) -> Value {
    let standing = match candidate.standing {
        Standing::Won => "won",
        Standing::Behind => "behind",
        Standing::Lost => "lost",
    };
    json!({ "route": candidate.route, "standing": standing, "why": candidate.why })
}

fn outcome(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Refused(refused) => json!({
            "outcome": "refused",
            "route": null,
            "status": refused.status,
            "reason": refused.reason,
            "why": refused.why,
            "allow": refused.allow,
        }),
        Outcome::Routed(routed) => {
            let mut all = json!({
                "route": routed.route,
                "limits": { "body": routed.body_bytes },
                "auth": routed.guard.identity.as_ref().map(identity),
                "quotas": routed.guard.quotas.iter().map(counted).collect::<Vec<_>>(),
                "rates": routed.guard.limits.iter().map(limited).collect::<Vec<_>>(),
                "refused": routed.guard.refused.as_ref().map(refused),
            });
            if let (Value::Object(all), Value::Object(own)) = (&mut all, taken(&routed.taken)) {
                all.extend(own);
            }
            all
        }
    }
}

/// Who calls. No key is shown.
fn identity(identity: &Identity) -> Value {
    json!({
        "name": identity.auth,
        "places": identity.places,
        "found": identity.found.token(),
        "consumer": identity.consumer,
    })
}

/// A limit. Without `left` it is not known here how much is; `asked` is whether it is asked at all.
fn limited(limit: &Limited) -> Value {
    let left = match &limit.says {
        Says::Left(left) => Some(json!({
            "admits": left.admits,
            "remaining": left.remaining,
            "most": left.most,
            "full_in_ms": left.reset.as_millis() as u64,
            "wait_ms": left.wait.map(|wait| wait.as_millis() as u64),
            "shared": left.shared,
        })),
        Says::Unseen(_) | Says::Unasked => None,
    };
    json!({
        "name": limit.name,
        "limit": limit.terms,
        "group": limit.group,
        "cost": limit.cost,
        "scope": limit.scope.to_string(),
        "dry_run": limit.dry_run,
        "bucket": parts(&limit.bucket),
        "asked": limit.says != Says::Unasked,
        "left": left,
    })
}

/// A quota. Without `left` it is not known here how much is.
fn counted(quota: &Counted) -> Value {
    let left = match &quota.says {
        CountSays::Stands(count) => Some(json!({
            "admits": count.admits,
            "remaining": count.left,
            "most": count.limit,
            "ends": moment::show(count.ends),
        })),
        CountSays::Unseen(_) | CountSays::Unasked => None,
    };
    json!({
        "name": quota.name,
        "limit": quota.terms,
        "group": quota.group,
        "cost": quota.cost,
        "dry_run": quota.dry_run,
        "key": parts(&quota.key),
        "asked": quota.says != CountSays::Unasked,
        "left": left,
    })
}

/// What tells buckets or counts apart.
fn parts(parts: &[(String, String)]) -> Vec<Value> {
    parts.iter().map(|(per, value)| json!({ "per": per, "value": value })).collect()
}

/// What a stage behind the route answers.
fn refused(refused: &Refused) -> Value {
    json!({ "status": refused.status, "reason": refused.reason, "why": refused.why })
}

fn taken(taken: &Taken) -> Value {
    match taken {
        Taken::Forward(Forwarded { services, chosen, target }) => {
            let services: Vec<_> = services.iter().map(share).collect();
            json!({ "outcome": "forward", "services": services, "chosen": chosen, "target": target })
        }
        Taken::Redirect { status, location } => {
            json!({ "outcome": "redirect", "status": status, "location": location })
        }
        Taken::Respond { status, headers, body_bytes } => json!({
            "outcome": "respond",
            "status": status,
            "headers": headers,
            "body_bytes": body_bytes,
        }),
    }
}

fn share(share: &Share) -> Value {
    let Timeouts { connect, first_byte, body, tunnel } = share.timeout;
    json!({
        "service": share.service,
        "percent": f64::from(share.weight) / 100.0,
        "instances": share.instances,
        "instance_count": share.instance_count,
        "timeout_ms": {
            "connect": connect.as_millis() as u64,
            "first_byte": first_byte.as_millis() as u64,
            "body": body.as_millis() as u64,
            "tunnel": tunnel.as_millis() as u64,
        },
    })
}

/// `GET /v1/routes`: the routes in order of precedence, or a page of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RoutesView {
    /// The generation that they belong to; 0 for a file.
    pub generation: u64,
    /// How many there are in all.
    #[serde(default)]
    pub total: usize,
    /// The first that is not here any more; none where there is none.
    #[serde(default)]
    pub next: Option<usize>,
    /// Stands for the names of all routes and their order: pages with the same one fit together.
    #[serde(default)]
    pub edition: String,
    /// The routes, those first that are asked first.
    pub routes: Vec<RouteView>,
}

/// Which routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// The first, counted from 0 in order of precedence.
    #[serde(default)]
    pub from: usize,
    /// How many at most.
    #[serde(default = "Page::limit")]
    pub limit: usize,
}

impl Page {
    /// All of them.
    pub const ALL: Self = Self { from: 0, limit: limits::ROUTES };

    fn limit() -> usize {
        limits::ROUTES_PAGE
    }
}

/// A route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RouteView {
    /// Its name.
    pub name: String,
    /// The hosts it takes: a name, `*.` and a suffix, or `*`.
    pub host: String,
    /// The methods it takes; any if there is none.
    pub methods: Vec<String>,
    /// The paths it takes.
    pub path: String,
    /// What else a request must have: `x-beta=1` for a header field, `?v=2` for a query parameter.
    pub predicates: Vec<String>,
    /// Its priority.
    pub priority: i32,
    /// What it does, in a line.
    pub action: String,
    /// The services that it may forward to.
    pub services: Vec<String>,
}

impl RoutesView {
    /// Routes of a snapshot.
    pub fn of(snapshot: &Snapshot, page: Page) -> Self {
        let all = snapshot.routes_in_order();
        let mut names = DefaultHasher::new();
        all.iter().for_each(|route| route.name.hash(&mut names));
        let end = page.from.saturating_add(page.limit);
        Self {
            generation: snapshot.generation(),
            total: all.len(),
            next: (end < all.len()).then_some(end),
            edition: format!("{:016x}", names.finish()),
            routes: all
                .iter()
                .skip(page.from)
                .take(page.limit)
                .map(|it| RouteView::of(it))
                .collect(),
        }
    }
}

impl RouteView {
    fn of(route: &Route) -> Self {
        let RoutePlan { host, path, when, priority, action, .. } = &route.plan;
        let named = |mark: &'static str, all: &[Predicate]| -> Vec<_> {
            all.iter().map(|one| format!("{mark}{one}")).collect()
        };
        Self {
            name: route.name.to_string(),
            host: host.to_string(),
            methods: when.methods.clone(),
            path: path.to_string(),
            predicates: [named("", &when.headers), named("?", &when.query)].concat(),
            priority: *priority,
            action: action.to_string(),
            services: route.plan.services().map(str::to_owned).collect(),
        }
    }
}
