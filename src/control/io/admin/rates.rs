//! Limits and their buckets: `/v1/limits`.
//!
//! Which limits there are, and which routes have them, is read from the published snapshot; how much a bucket has, from the words that all
//! workers share, by the function that they call. Looking takes nothing of it. Tokens that a worker has leased of a bucket are
//! not in it any more.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use coregate_core::base::limits;
use coregate_core::http::head::Head;
use coregate_core::http::parse::{self, RequestLimits};
use coregate_core::policy::rate::{self, Facts, Ruling};
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::consumers::Consumer;
use coregate_core::snapshot::limits::Limit;
use coregate_core::snapshot::plan::{Per, RateTerms, Scope};
use coregate_core::snapshot::routes::Route;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::asking::query;
use super::endpoint::Endpoint;
use super::openapi::{self, Parameter, ToSchema, says};
use super::problem::Problem;
use super::question::{Decided, Process};
use super::registry::{PAGE, named, page};
use super::routes::Here;

const LIMITS: &str = "/v1/limits";
const LIMIT: &str = "/v1/limits/{limit}";
const RESET: &str = "/v1/limits/{limit}/reset";

/// What tells which bucket is meant.
const BUCKET: [Parameter; 5] = [
    openapi::query("consumer", "string", "whose bucket, where the limit is per consumer"),
    openapi::query(
        "address",
        "string",
        "of which address, where it is per address; unix: of Unix sockets",
    ),
    openapi::query(
        "header",
        "string",
        "NAME:VALUE, where it is per header; may stand several times",
    ),
    openapi::query("route", "string", "of which route, where it is per route and several have it"),
    openapi::query(
        "service",
        "string",
        "of which service, where it is per service and there are several",
    ),
];

/// A page of limits, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitsView {
    /// The generation that they are of.
    pub generation: u64,
    /// How many there are in all, of those that a route has.
    pub count: usize,
    /// Those of this page.
    pub limits: Vec<LimitView>,
    /// What the next page comes after; `null`: this is the last.
    pub next: Option<String>,
}

/// A limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitView {
    /// Its name; one that stands under a route is called after it: `/api/*#1`.
    pub name: String,
    /// How much: `100/s, burst 200`.
    pub limit: String,
    /// The most at once.
    pub burst: u64,
    /// What has a bucket of its own: `consumer`, `address/24`, `header:x-tenant`, `route`, `service`; nothing: one for all.
    pub per: Vec<String>,
    /// What a request costs.
    pub cost: String,
    /// Where it holds: `host`, or `worker`, on each by itself.
    pub scope: String,
    /// Whether it only counts what it would refuse.
    pub dry_run: bool,
    /// What it allows consumers of these groups instead, the first that one is in.
    pub groups: Vec<GroupLimit>,
    /// How many routes have it.
    pub route_count: usize,
    /// The first of them, by name.
    pub routes: Vec<LimitRoute>,
}

/// What a limit allows a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupLimit {
    /// The group.
    pub group: String,
    /// How much: `1000/s`.
    pub limit: String,
}

/// A route that has a limit, and what all limits of that route together said of its requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitRoute {
    /// The route.
    pub route: String,
    /// Requests that were admitted.
    pub admitted: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Requests that were admitted because the limit that would have refused them only counts.
    pub dry_run: u64,
}

/// A bucket of a limit, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BucketView {
    /// The limit.
    #[serde(flatten)]
    pub limit: LimitView,
    /// The bucket.
    pub bucket: BucketState,
}

/// How a bucket stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BucketState {
    /// What it is of: a line each, `consumer mobile`.
    pub of: Vec<String>,
    /// The most tokens that it has.
    pub burst: u64,
    /// Whole tokens that it has.
    pub remaining: u64,
    /// How long until it is full, in milliseconds.
    pub full_in_ms: u64,
    /// Whether a request would be admitted now.
    pub admits: bool,
    /// How long until one would be, in milliseconds; `null`: it is now, or never will be.
    pub wait_ms: Option<u64>,
    /// Whether others share it, because the table is full where it lies.
    pub shared: bool,
}

/// What operators ask of limits: with the token that opens everything, or by the Unix socket.
pub(super) fn endpoints() -> Vec<Endpoint> {
    const OK: StatusCode = StatusCode::OK;
    let bucket = |summary| says(summary).with(&BUCKET).gives::<BucketView>(OK).fails(&[404, 409]);
    vec![
        Endpoint::get(
            LIMITS,
            list,
            says("List the limits that routes have, a page").with(&PAGE).gives::<LimitsView>(OK),
        ),
        Endpoint::get(LIMIT, show, bucket("Show a bucket of a limit, and take nothing of it")),
        Endpoint::post(RESET, reset, bucket("Fill a bucket of a limit")),
    ]
}

async fn list(State(here): State<Here>, uri: Uri) -> Result<Response, Problem> {
    let page = page(&uri)?;
    let process = Arc::clone(&here.shared.process);
    let listed = move || {
        let snapshot = process.snapshot();
        let mut all: BTreeMap<&str, Vec<&Arc<Route>>> = BTreeMap::new();
        for route in snapshot.routes() {
            for limit in &route.guard.limits {
                all.entry(&limit.name).or_default().push(route);
            }
        }
        let count = all.len();
        let after = |name: &&str| page.after.as_ref().is_none_or(|after| *name > after.as_str());
        let mut rest = all.into_iter().filter(|(name, _)| after(name));
        let shown: Vec<_> = rest.by_ref().take(page.most).collect();
        let next = rest.next().and(shown.last()).map(|(name, _)| (*name).to_owned());
        let views = shown.into_iter().filter_map(|(name, routes)| {
            let limit = limit_of(routes.first()?, name)?;
            Some(view(limit, routes, &*process))
        });
        let limits = views.collect();
        Ok(LimitsView { generation: snapshot.generation(), count, limits, next })
    };
    here.shared.aside.json(listed).await
}

fn limit_of<'r>(route: &'r Route, name: &str) -> Option<&'r Arc<Limit>> {
    route.guard.limits.iter().find(|limit| &*limit.name == name)
}

fn view(limit: &Limit, mut routes: Vec<&Arc<Route>>, process: &dyn Process) -> LimitView {
    let plan = &limit.plan;
    let group = |(group, terms): &(String, RateTerms)| {
        let (group, limit) = (group.clone(), terms.to_string());
        GroupLimit { group, limit }
    };
    routes.sort_by(|one, other| one.name.cmp(&other.name));
    let counted = |route: &&Arc<Route>| {
        let Decided { admitted, refused, dry_run } = process.decided(route.id);
        LimitRoute { route: route.name.to_string(), admitted, refused, dry_run }
    };
    LimitView {
        name: plan.name.clone(),
        limit: plan.terms.to_string(),
        burst: plan.terms.burst.get(),
        per: plan.per.iter().map(ToString::to_string).collect(),
        cost: plan.cost.to_string(),
        scope: plan.scope.to_string(),
        dry_run: plan.dry_run,
        groups: plan.groups.iter().map(group).collect(),
        route_count: routes.len(),
        routes: routes.iter().take(limits::LIMIT_ROUTES_SHOWN).map(counted).collect(),
    }
}

type Name = Result<Path<String>, PathRejection>;

async fn show(State(here): State<Here>, name: Name, uri: Uri) -> Result<Response, Problem> {
    bucket(&here, name, &uri, false).await
}

async fn reset(State(here): State<Here>, name: Name, uri: Uri) -> Result<Response, Problem> {
    bucket(&here, name, &uri, true).await
}

/// Looks at a bucket; `fill`: once it is filled.
async fn bucket(here: &Here, name: Name, uri: &Uri, fill: bool) -> Result<Response, Problem> {
    let Path(name) = named(name)?;
    let wanted = Wanted::read(uri)?;
    let process = Arc::clone(&here.shared.process);
    let looked = move || {
        let snapshot = process.snapshot();
        let has_it = |route: &&Arc<Route>| limit_of(route, &name).is_some();
        let routes: Vec<_> = snapshot.routes().filter(has_it).collect();
        let Some(limit) = routes.first().and_then(|route| limit_of(route, &name)) else {
            let detail = format!("there is no limit {name:?} that a route has");
            return Err(Problem::new(StatusCode::NOT_FOUND, detail));
        };
        if limit.scope == Scope::Worker {
            let detail = format!(
                "limit {name:?} holds on each worker by itself: nobody else can look at its buckets"
            );
            return Err(Problem::new(StatusCode::CONFLICT, detail));
        }
        let named = wanted.named(limit, &routes, &snapshot)?;
        let (cells, facts) = (process.cells(), named.facts());
        let look = || rate::look(&cells, limit, &facts, monotonic());
        let mut ruling = look();
        if fill {
            rate::reset(&cells, ruling.bucket, monotonic());
            ruling = look();
        }
        let bucket = state(limit, ruling, named.of);
        Ok(BucketView { bucket, limit: view(limit, routes, &*process) })
    };
    here.shared.aside.json(looked).await
}

fn state(limit: &Limit, ruling: Ruling, of: Vec<String>) -> BucketState {
    let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    BucketState {
        of,
        burst: ruling.limit,
        // What it says is what would be left of it.
        remaining: ruling.remaining + if ruling.admitted { limit.cost() } else { 0 },
        full_in_ms: ms(ruling.reset),
        admits: ruling.admitted,
        wait_ms: ruling.wait.map(ms),
        shared: ruling.shared,
    }
}

/// In ns of the clock that buckets are counted by.
pub(super) fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Which bucket somebody asks for.
#[derive(Debug, Default)]
struct Wanted {
    consumer: Option<String>,
    address: Option<String>,
    headers: Vec<(String, String)>,
    route: Option<String>,
    service: Option<String>,
}

/// The same, of a limit.
struct Named<'s> {
    consumer: Option<&'s Consumer>,
    address: Option<IpAddr>,
    head: Head,
    route: String,
    service: String,
    /// In words.
    of: Vec<String>,
}

impl Named<'_> {
    fn facts(&self) -> Facts<'_> {
        let Self { consumer, address, head, route, service, .. } = self;
        Facts { consumer: *consumer, address: *address, head, route, service }
    }
}

impl Wanted {
    fn read(uri: &Uri) -> Result<Self, Problem> {
        let mut wanted = Self::default();
        for (name, value) in query::<Vec<(String, String)>>(uri)? {
            let place = match name.as_str() {
                "consumer" => &mut wanted.consumer,
                "address" => &mut wanted.address,
                "route" => &mut wanted.route,
                "service" => &mut wanted.service,
                "header" => {
                    let pair = value.split_once(':').ok_or_else(|| {
                        Problem::bad(format!("header {value:?}: expected NAME:VALUE"))
                    })?;
                    let blank = [' ', '\t'];
                    let (name, value) = (pair.0.trim_matches(blank), pair.1.trim_matches(blank));
                    wanted.headers.push((name.to_owned(), value.to_owned()));
                    continue;
                }
                _ => return Err(Problem::bad(format!("there is no parameter {name:?}"))),
            };
            if place.replace(value).is_some() {
                return Err(Problem::bad(format!("{name} stands twice")));
            }
        }
        Ok(wanted)
    }

    /// What this means for a limit that these routes have.
    fn named<'s>(
        &self,
        limit: &Limit,
        routes: &[&Arc<Route>],
        snapshot: &'s Snapshot,
    ) -> Result<Named<'s>, Problem> {
        let name = &limit.name;
        let needs = |what: &str| Problem::bad(format!("limit {name:?} is per {what}: say which"));
        let mut named = Named {
            consumer: None,
            address: None,
            head: self.head()?,
            route: String::new(),
            service: String::new(),
            of: Vec::new(),
        };
        if let Some(consumer) = &self.consumer {
            let missing = || {
                let detail = format!("there is no consumer {consumer:?}");
                Problem::new(StatusCode::NOT_FOUND, detail)
            };
            named.consumer = Some(&**snapshot.consumers().named(consumer).ok_or_else(missing)?);
            named.of.push(format!("consumer {consumer}"));
        }
        for per in &limit.per {
            match per {
                Per::Consumer => {
                    named.consumer.ok_or_else(|| needs("consumer"))?;
                }
                Per::Address { .. } => {
                    let text = self.address.as_deref().ok_or_else(|| needs("address"))?;
                    named.address = address(text)?;
                    named.of.push(format!("address {text}"));
                }
                Per::Header(field) => named.of.push(match named.head.value_named(field) {
                    Some(value) => format!("header {field}: {}", value.escape_ascii()),
                    None => format!("requests without {field}"),
                }),
                Per::Route => {
                    let names = routes.iter().map(|route| &*route.name);
                    named.route =
                        one_of(self.route.as_deref(), names).ok_or_else(|| needs("route"))?;
                    named.of.push(format!("route {}", named.route));
                }
                Per::Service => {
                    let names = routes.iter().flat_map(|route| route.plan.services());
                    let one = one_of(self.service.as_deref(), names);
                    named.service = one.ok_or_else(|| needs("service"))?;
                    named.of.push(format!("service {}", named.service));
                }
            }
        }
        Ok(named)
    }

    /// A request with these header fields.
    fn head(&self) -> Result<Head, Problem> {
        let bad = || Problem::bad("header: expected NAME:VALUE as a request may have it");
        let mut head = Head::default();
        let mut text = "GET / HTTP/1.0\r\n".to_owned();
        for (name, value) in &self.headers {
            if value.contains(['\r', '\n']) || name.contains(['\r', '\n', ':']) {
                return Err(bad());
            }
            text += &format!("{name}: {value}\r\n");
        }
        head.page.extend_from_slice(format!("{text}\r\n").as_bytes());
        match parse::request(&mut head, &RequestLimits::default()) {
            Ok(Some(_)) => Ok(head),
            Ok(None) | Err(_) => Err(bad()),
        }
    }
}

/// The one that is named, or that there is.
fn one_of<'n>(wanted: Option<&str>, mut names: impl Iterator<Item = &'n str>) -> Option<String> {
    match wanted {
        Some(wanted) => names.find(|name| *name == wanted).map(str::to_owned),
        None => {
            let first = names.next()?;
            names.all(|name| name == first).then(|| first.to_owned())
        }
    }
}

fn address(text: &str) -> Result<Option<IpAddr>, Problem> {
    if text == "unix" {
        return Ok(None);
    }
    let bad = |error| {
        Problem::bad(format!("address {text:?}: {error}; expected one such as 10.0.0.7, or unix"))
    };
    text.parse().map(Some).map_err(bad)
}
