//! Limits and their buckets: `/v1/limits`. Of rates and quotas, which share their names; what is of quotas alone is in [`quotas`].
//!
//! Which limits there are, and which routes have them, is read from the published snapshot; how much a bucket has, from the words that all
//! workers share, by the function that they call. Looking takes nothing of it. Tokens that a worker has leased of a bucket are
//! not in it any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use coregate_core::base::limits;
use coregate_core::policy::rate::{self, Ruling};
use coregate_core::snapshot::limits::Limit;
use coregate_core::snapshot::plan::{RateTerms, Scope};
use coregate_core::snapshot::quotas::Quota;
use coregate_core::snapshot::routes::Route;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::openapi::{self, Parameter, ToSchema, says};
use super::problem::Problem;
use super::question::{Decided, Process};
use super::quotas::{self, CountState, Sought};
use super::registry::{PAGE, named, page};
use super::routes::Here;
use super::whose::Wanted;
use crate::registry::order::Page;

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

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// Requests in time, by buckets.
    Rate,
    /// Tokens in a day or a month.
    Quota,
}

/// A limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitView {
    /// Its name; one that stands under a route is called after it: `/api/*#1`.
    pub name: String,
    /// What it counts.
    pub kind: LimitKind,
    /// How much: `100/s, burst 200`, or `1000 a month of Europe/Berlin`.
    pub limit: String,
    /// The most at once; of a quota, all of it.
    pub burst: u64,
    /// Of a quota, which periods it counts; `null`: it is a rate.
    pub period: Option<PeriodView>,
    /// What has a bucket or a count of its own: `consumer`, `address/24`, `header:x-tenant`, `route`, `service`; nothing: one for all.
    pub per: Vec<String>,
    /// Of a quota, how many keys have a count in their present periods; `null`: it is a rate, or was not asked for.
    pub keys: Option<usize>,
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

/// Which periods a quota counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeriodView {
    /// `day` or `month`.
    pub every: String,
    /// The time zone in which they begin.
    pub zone: String,
}

/// What a limit allows a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupLimit {
    /// The group.
    pub group: String,
    /// How much: `1000/s`.
    pub limit: String,
}

/// A route that has a limit, and what all rates of that route together said of its requests; `null` where the limit is a quota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitRoute {
    /// The route.
    pub route: String,
    /// Requests that were admitted.
    pub admitted: Option<u64>,
    /// Requests that were refused.
    pub refused: Option<u64>,
    /// Requests that were admitted because the limit that would have refused them only counts.
    pub dry_run: Option<u64>,
}

/// A bucket of a rate, or a count of a quota, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BucketView {
    /// The limit.
    #[serde(flatten)]
    pub limit: LimitView,
    /// The bucket, if it is a rate.
    pub bucket: Option<BucketState>,
    /// The count, if it is a quota.
    pub count: Option<CountState>,
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
    let bucket =
        |summary| says(summary).with(&BUCKET).gives::<BucketView>(OK).fails(&[404, 409, 504]);
    vec![
        Endpoint::get(
            LIMITS,
            list,
            says("List the limits that routes have, a page")
                .with(&PAGE)
                .gives::<LimitsView>(OK)
                .fails(&[504]),
        ),
        Endpoint::get(
            LIMIT,
            show,
            bucket("Show a bucket of a rate or a count of a quota, and take nothing of it"),
        ),
        Endpoint::post(
            RESET,
            reset,
            bucket("Fill a bucket of a rate, or let a count of a quota begin anew"),
        ),
    ]
}

async fn list(State(here): State<Here>, uri: Uri) -> Result<Response, Problem> {
    let page = page(&uri)?;
    let process = Arc::clone(&here.shared.process);
    let mut view = here.shared.aside.made(move || Ok(listed(&*process, &page))).await?;
    if view.limits.iter().any(|limit| limit.kind == LimitKind::Quota) {
        quotas::add_keys(&here, &mut view.limits).await?;
    }
    Ok(Json(view).into_response())
}

fn listed(process: &dyn Process, page: &Page) -> LimitsView {
    let snapshot = process.snapshot();
    let mut all: BTreeMap<&str, (One<'_>, Vec<&Arc<Route>>)> = BTreeMap::new();
    for route in snapshot.routes() {
        for one in limits_of(route) {
            all.entry(one.name()).or_insert((one, Vec::new())).1.push(route);
        }
    }
    let count = all.len();
    let after = |name: &&str| page.after.as_ref().is_none_or(|after| *name > after.as_str());
    let mut rest = all.into_iter().filter(|(name, _)| after(name));
    let shown: Vec<_> = rest.by_ref().take(page.most).collect();
    let next = rest.next().and(shown.last()).map(|(name, _)| (*name).to_owned());
    let views = shown.into_iter().map(|(_, (one, routes))| one.view(routes, process));
    LimitsView { generation: snapshot.generation(), count, limits: views.collect(), next }
}

/// A limit of a route.
#[derive(Clone, Copy)]
enum One<'r> {
    Rate(&'r Arc<Limit>),
    Quota(&'r Arc<Quota>),
}

fn limits_of(route: &Route) -> impl Iterator<Item = One<'_>> {
    route.guard.limits.iter().map(One::Rate).chain(route.guard.quotas.iter().map(One::Quota))
}

impl<'r> One<'r> {
    fn name(self) -> &'r str {
        match self {
            Self::Rate(limit) => &limit.name,
            Self::Quota(quota) => &quota.name,
        }
    }

    fn view(self, routes: Vec<&Arc<Route>>, process: &dyn Process) -> LimitView {
        match self {
            Self::Rate(limit) => view(limit, routes, process),
            Self::Quota(quota) => quotas::view(quota, routes),
        }
    }
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
        let [admitted, refused, dry_run] = [admitted, refused, dry_run].map(Some);
        LimitRoute { route: route.name.to_string(), admitted, refused, dry_run }
    };
    LimitView {
        name: plan.name.clone(),
        kind: LimitKind::Rate,
        limit: plan.terms.to_string(),
        burst: plan.terms.burst.get(),
        period: None,
        per: plan.per.iter().map(ToString::to_string).collect(),
        keys: None,
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

/// What was found under a name.
enum Found {
    Bucket(Box<BucketView>),
    Count(Box<Sought>),
}

/// Looks at a bucket or a count; `fill`: once it is filled, or begins anew.
async fn bucket(here: &Here, name: Name, uri: &Uri, fill: bool) -> Result<Response, Problem> {
    let Path(name) = named(name)?;
    let wanted = Wanted::read(uri)?;
    let process = Arc::clone(&here.shared.process);
    let found = here.shared.aside.made(move || find(&*process, &name, &wanted, fill)).await?;
    let view = match found {
        Found::Bucket(view) => *view,
        Found::Count(sought) => quotas::count(here, *sought, fill).await?,
    };
    Ok(Json(view).into_response())
}

fn find(process: &dyn Process, name: &str, wanted: &Wanted, fill: bool) -> Result<Found, Problem> {
    let snapshot = process.snapshot();
    let one_of = |route| limits_of(route).find(|one| one.name() == name);
    let routes: Vec<_> = snapshot.routes().filter(|route| one_of(route).is_some()).collect();
    let limit = match routes.first().and_then(|route| one_of(route)) {
        Some(One::Rate(limit)) => limit,
        Some(One::Quota(quota)) => {
            let sought = Sought::new(quota, routes, wanted, &snapshot)?;
            return Ok(Found::Count(Box::new(sought)));
        }
        None => {
            let detail = format!("there is no limit {name:?} that a route has");
            return Err(Problem::new(StatusCode::NOT_FOUND, detail));
        }
    };
    if limit.scope == Scope::Worker {
        let detail = format!(
            "limit {name:?} holds on each worker by itself: nobody else can look at its buckets"
        );
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    let named = wanted.named((name, &limit.per), &routes, &snapshot)?;
    let (cells, facts) = (process.cells(), named.facts());
    let look = || rate::look(&cells, limit, &facts, monotonic());
    let mut ruling = look();
    if fill {
        rate::reset(&cells, ruling.bucket, monotonic());
        ruling = look();
    }
    let bucket = Some(state(limit, ruling, named.of));
    let limit = view(limit, routes, process);
    Ok(Found::Bucket(Box::new(BucketView { limit, bucket, count: None })))
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
