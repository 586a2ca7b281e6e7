//! Quotas in `/v1/limits`: which there are is read from the published snapshot, how their counts stand is asked of the registry, which
//! alone grants. Looking grants nothing; a reset is in the store before it is answered, where there is one.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::http::StatusCode;
use coregate_core::base::{limits, moment};
use coregate_core::policy::quota::{Count, Question as Sum};
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::plan::Per;
use coregate_core::snapshot::quotas::Quota;
use coregate_core::snapshot::routes::Route;
use serde::{Deserialize, Serialize};

use super::asking::{answer, refused};
use super::openapi::ToSchema;
use super::problem::Problem;
use super::question::Question;
use super::rates::{BucketView, GroupLimit, LimitKind, LimitRoute, LimitView, PeriodView};
use super::report::Answer;
use super::routes::Here;
use super::whose::Wanted;
use crate::io::moment::Moment;
use crate::registry::order::{Look, Seen};
use crate::registry::quotas::QuotasView;
use crate::registry::time::unix_now;

/// How a count stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CountState {
    /// What it is of: a line each, `consumer mobile`.
    pub of: Vec<String>,
    /// How much there is in the period.
    pub limit: u64,
    /// How much of it was granted: a crash counts that as spent.
    pub granted: u64,
    /// How much can still be spent, granted or not.
    pub left: u64,
    /// Whether a request would be admitted now.
    pub admits: bool,
    /// When the period began.
    pub starts: Moment,
    /// When it ends, and all is left again.
    pub ends: Moment,
    /// Whether it outlives the process that it began anew: it is in the store; `null`: nobody asked for that.
    pub durable: Option<bool>,
}

/// A count that is asked for.
#[derive(Debug)]
pub(super) struct Sought {
    limit: LimitView,
    sum: Sum,
    of: Vec<String>,
}

impl Sought {
    /// The count that is wanted of a quota that these routes have.
    pub(super) fn new(
        quota: &Quota,
        routes: Vec<&Arc<Route>>,
        wanted: &Wanted,
        snapshot: &Snapshot,
    ) -> Result<Self, Problem> {
        let per: Vec<_> = quota.per.iter().map(|per| Per::from(*per)).collect();
        let named = wanted.named((&quota.name, &per), &routes, snapshot)?;
        let sum = Sum::new(quota, &named.whose());
        Ok(Self { limit: view(quota, routes), sum, of: named.of })
    }
}

/// A quota, whose keys nobody has counted yet.
pub(super) fn view(quota: &Quota, mut routes: Vec<&Arc<Route>>) -> LimitView {
    let plan = &quota.plan;
    routes.sort_by(|one, other| one.name.cmp(&other.name));
    let route = |route: &&Arc<Route>| {
        let route = route.name.to_string();
        LimitRoute { route, admitted: None, refused: None, dry_run: None }
    };
    let group = |(group, limit): &(String, NonZeroU64)| {
        let (group, limit) = (group.clone(), plan.written(limit.get()));
        GroupLimit { group, limit }
    };
    let (every, zone) = (plan.calendar.every().name(), plan.calendar.zone());
    LimitView {
        name: plan.name.clone(),
        kind: LimitKind::Quota,
        limit: plan.written(plan.limit.get()),
        burst: plan.limit.get(),
        period: Some(PeriodView { every: every.to_owned(), zone: zone.to_owned() }),
        per: plan.per.iter().map(ToString::to_string).collect(),
        keys: None,
        cost: plan.cost.to_string(),
        scope: "host".to_owned(),
        dry_run: plan.dry_run,
        groups: plan.groups.iter().map(group).collect(),
        route_count: routes.len(),
        routes: routes.iter().take(limits::LIMIT_ROUTES_SHOWN).map(route).collect(),
    }
}

/// Says of each quota among these how many keys have a count.
pub(super) async fn add_keys(here: &Here, limits: &mut [LimitView]) -> Result<(), Problem> {
    let seen = look(here, Vec::new()).await?;
    for limit in limits.iter_mut().filter(|limit| limit.kind == LimitKind::Quota) {
        limit.keys = Some(seen.keys.get(&limit.name).copied().unwrap_or(0));
    }
    Ok(())
}

/// How a count stands; `reset`: once it has begun anew.
pub(super) async fn count(here: &Here, sought: Sought, reset: bool) -> Result<BucketView, Problem> {
    let Sought { mut limit, sum, of } = sought;
    let durable = if reset { Some(self::reset(here, &sum).await?) } else { None };
    let seen = look(here, vec![sum]).await?;
    limit.keys = Some(seen.keys.get(&limit.name).copied().unwrap_or(0));
    let Some(count) = seen.counts.into_iter().flatten().next() else {
        let detail = format!("there is no quota {:?} any more", limit.name);
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    let Count { limit: most, granted, left, starts, ends, admits } = count;
    let [starts, ends] = [starts, ends].map(shown);
    let count = CountState { of, limit: most, granted, left, admits, starts, ends, durable };
    Ok(BucketView { limit, bucket: None, count: Some(count) })
}

/// Lets a count begin anew; whether that outlives the process.
async fn reset(here: &Here, sum: &Sum) -> Result<bool, Problem> {
    let (quota, key) = (sum.quota.to_string(), sum.key.clone());
    match answer(here, Question::ResetQuota { quota, key }).await? {
        Answer::Reset { durable } => Ok(durable),
        Answer::Refused(refusal) => Err(refused(refusal)),
        other => Err(foreign(&other)),
    }
}

/// How many keys have counts, and how these counts stand.
pub(super) async fn look(here: &Here, of: Vec<Sum>) -> Result<QuotasView, Problem> {
    let at = unix_now();
    match answer(here, Question::Look(Look::Quotas { of, at })).await? {
        Answer::Seen(seen) => match *seen {
            Seen::Quotas(view) => Ok(view),
            other => Err(foreign(&Answer::Seen(Box::new(other)))),
        },
        Answer::Refused(refusal) => Err(refused(refusal)),
        other => Err(foreign(&other)),
    }
}

fn foreign(other: &Answer) -> Problem {
    debug_assert!(false, "{other:?} to a question about quotas");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "an answer to something else")
}

/// A moment that can be shown: beyond the year 9999 periods have no end.
fn shown(unix: u64) -> Moment {
    Moment::from(UNIX_EPOCH + Duration::from_secs(unix.min(moment::LAST)))
}
