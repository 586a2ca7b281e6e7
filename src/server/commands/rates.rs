//! `coregate limits`: how much is allowed, and how much is left of it.

use clap::{Args, Subcommand};
use coregate_control::io::admin::quotas::CountState;
use coregate_control::io::admin::rates::{
    BucketState, BucketView, LimitKind, LimitRoute, LimitView, LimitsView,
};
use coregate_control::io::client::{Method, Reply};

use super::show::{self, Shown};
use super::{Call, To, escaped, with};
use crate::server::say;

/// What can be asked of limits.
#[derive(Debug, Subcommand)]
pub(crate) enum Ask {
    /// List the limits that routes have, and what came of them
    List {
        /// Begin after this limit
        #[arg(long, value_name = "NAME")]
        after: Option<String>,
        #[command(flatten)]
        to: To,
    },
    /// Show how much is left in a bucket of a rate, or of a quota; nothing is taken
    Show {
        /// The limit
        limit: String,
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        to: To,
    },
    /// Fill a bucket of a rate, or let a count of a quota begin anew
    Reset {
        /// The limit
        limit: String,
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        to: To,
    },
}

/// Which bucket or count is meant.
#[derive(Debug, Args)]
pub(crate) struct Of {
    /// Whose, where the limit is per consumer
    #[arg(long, value_name = "NAME")]
    consumer: Option<String>,
    /// Of which address, where it is per address; unix: of Unix sockets
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// Of requests with this field, where it is per header; may stand several times
    #[arg(long = "header", value_name = "NAME:VALUE")]
    headers: Vec<String>,
    /// Of which route, where it is per route
    #[arg(long)]
    route: Option<String>,
    /// Of which service, where it is per service
    #[arg(long)]
    service: Option<String>,
}

impl Of {
    fn query(&self) -> impl Iterator<Item = (&'static str, String)> {
        let one = |name, value: &Option<String>| Some((name, escaped(value.as_ref()?)));
        let each = [
            one("consumer", &self.consumer),
            one("address", &self.address),
            one("route", &self.route),
            one("service", &self.service),
        ];
        let headers = self.headers.iter().map(|header| ("header", escaped(header)));
        each.into_iter().flatten().chain(headers)
    }
}

impl Ask {
    pub(super) fn to(&self) -> &To {
        match self {
            Self::List { to, .. } | Self::Show { to, .. } | Self::Reset { to, .. } => to,
        }
    }

    pub(super) fn call(&self) -> Call {
        match self {
            Self::List { after, .. } => {
                let after = after.as_ref().map(|after| ("after", escaped(after)));
                Call::get(&with("/v1/limits", after))
            }
            Self::Show { limit, of, .. } => {
                Call::get(&with(&format!("/v1/limits/{}", escaped(limit)), of.query()))
            }
            Self::Reset { limit, of, .. } => {
                let target = format!("/v1/limits/{}/reset", escaped(limit));
                Call::new(Method::Post, with(&target, of.query()))
            }
        }
    }

    pub(super) fn show(&self, reply: &Reply) -> Shown {
        if !reply.is_success() {
            return show::refused(reply);
        }
        match self {
            Self::List { .. } => list(&reply.json()?),
            Self::Show { .. } | Self::Reset { .. } => stands(&reply.json()?),
        }
        Ok(())
    }
}

fn list(LimitsView { count, limits, next, .. }: &LimitsView) {
    for limit in limits {
        headline(limit);
        for route in &limit.routes {
            let LimitRoute { route, admitted, refused, dry_run } = route;
            let came = [admitted, refused, dry_run].map(|count| count.unwrap_or(0));
            match (limit.kind, came) {
                (LimitKind::Quota, _) => say::data(format_args!("  {route}")),
                (LimitKind::Rate, [admitted, refused, dry_run]) => say::data(format_args!(
                    "  {route}: {admitted} admitted, {refused} refused, {dry_run} would have been"
                )),
            }
        }
        let more = limit.route_count - limit.routes.len();
        if more > 0 {
            say::data(format_args!("  {more} more routes"));
        }
    }
    if limits.is_empty() {
        say::message("no route has a limit");
    }
    if let Some(next) = next {
        say::message(format_args!("{count} in all; for more: --after {next}"));
    }
}

fn headline(limit: &LimitView) {
    let LimitView { name, kind, limit: terms, per, keys, scope, dry_run, groups, cost, .. } = limit;
    let (kind, one) = match kind {
        LimitKind::Rate => ("", "one bucket"),
        LimitKind::Quota => ("quota, ", "one count"),
    };
    let per = if per.is_empty() { one.to_owned() } else { format!("per {}", per.join(", ")) };
    let scope = if scope == "host" { "" } else { ", on each worker by itself" };
    let cost = if cost == "1" { String::new() } else { format!(", cost {cost}") };
    let keys = keys.map(|keys| format!(", {keys} in use")).unwrap_or_default();
    let dry_run = if *dry_run { ", counts only" } else { "" };
    say::data(format_args!("{name}: {kind}{terms}, {per}{cost}{keys}{scope}{dry_run}"));
    for group in groups {
        say::data(format_args!("  group {}: {}", group.group, group.limit));
    }
}

fn stands(BucketView { limit, bucket, count }: &BucketView) {
    headline(limit);
    bucket.iter().for_each(self::bucket);
    count.iter().for_each(self::count);
}

fn bucket(bucket: &BucketState) {
    let BucketState { of, burst, remaining, full_in_ms, wait_ms, shared, .. } = bucket;
    let seconds = |ms: u64| format!("{:.1} s", ms as f64 / 1000.0);
    let full = match full_in_ms {
        0 => String::new(),
        ms => format!(", full in {}", seconds(*ms)),
    };
    say::data(format_args!("{}: {remaining} of {burst} left{full}", whose(of)));
    if let Some(ms) = wait_ms {
        say::data(format_args!("the next request is admitted in {}", seconds(*ms)));
    }
    if *shared {
        say::message("the table is full where this bucket lies: others share it");
    }
}

fn count(count: &CountState) {
    let CountState { of, limit, granted, left, admits, ends, durable, .. } = count;
    let (of, ends) = (whose(of), &ends.text);
    say::data(format_args!("{of}: {left} of {limit} left until {ends}; {granted} granted"));
    if !admits {
        say::data(format_args!("a request is refused"));
    }
    if *durable == Some(false) {
        say::message("this is in no store: nothing of it outlives the process");
    }
}

fn whose(of: &[String]) -> String {
    if of.is_empty() { "all requests".to_owned() } else { of.join(", ") }
}
