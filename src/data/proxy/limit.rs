//! Limits: those that need not know who calls are looked at before that is found out, all of them afterwards; then each is spent
//! from.
//!
//! A request that some limit refuses has spent nothing of the others, but for one that another request emptied between the look and
//! the spending: there are no refunds. A limit that is a dry run is spent from like the others, and refuses nobody.

use coregate_core::policy::rate::{Facts, Ruling};
use coregate_core::snapshot::consumers::Consumer;
use coregate_core::snapshot::limits::Limit;
use coregate_core::snapshot::plan::Cost;

use crate::proxy::authenticate::Authenticated;
use crate::proxy::record;
use crate::proxy::refusal::{Refused, seconds};
use crate::proxy::reject::Reject;
use crate::proxy::route::{Arrived, Routed};
use crate::worker::accounts::Decision;
use crate::worker::notes::{Lent, Owed, Told};

/// A request that no limit refuses, as far as that can be said of somebody who is not known.
#[derive(Debug)]
#[must_use = "it is on its way"]
pub struct Checked {
    routed: Routed,
}

impl Checked {
    /// What it was routed to.
    pub(super) fn routed(self) -> Routed {
        self.routed
    }
}

/// A request that every limit has let pass, by somebody who may.
#[derive(Debug)]
#[must_use = "it has been paid for"]
pub struct Admitted {
    routed: Routed,
    note: Option<Lent>,
}

impl Admitted {
    /// What it was routed to, and what is noted of it, if anything.
    #[inline]
    pub(super) fn into_parts(self) -> (Routed, Option<Lent>) {
        (self.routed, self.note)
    }
}

/// Looks at the limits that need not know who calls, where that will be asked.
#[inline]
pub fn check(arrived: &Arrived<'_>, routed: Routed) -> Result<Checked, Refused> {
    let guard = routed.guard();
    if guard.auth.is_some() && !guard.limits.is_empty() {
        look(arrived, &routed, None, |limit| !limit.needs_identity)?;
    }
    Ok(Checked { routed })
}

/// Looks at these limits: whether none refuses the request now.
fn look(
    arrived: &Arrived<'_>,
    routed: &Routed,
    consumer: Option<&Consumer>,
    which: impl Fn(&Limit) -> bool,
) -> Result<(), Refused> {
    let worker = arrived.worker;
    let now = worker.clock.precise();
    let facts = facts(arrived, routed, consumer);
    for (at, limit) in routed.guard().limits.iter().enumerate() {
        if limit.dry_run || !which(limit) {
            continue;
        }
        let ruling = worker.accounts.buckets.check(limit, &facts, now);
        if !ruling.admitted {
            return Err(refuse(arrived, routed, at, &ruling, consumer));
        }
    }
    Ok(())
}

/// Looks at all limits, and spends from all.
#[inline]
pub fn spend(arrived: &Arrived<'_>, authenticated: Authenticated<'_>) -> Result<Admitted, Refused> {
    let (routed, consumer) = authenticated.into_parts();
    if routed.guard().limits.is_empty() && consumer.is_none() {
        return Ok(Admitted { routed, note: None });
    }
    spend_all(arrived, routed, consumer)
}

fn spend_all(
    arrived: &Arrived<'_>,
    routed: Routed,
    consumer: Option<&Consumer>,
) -> Result<Admitted, Refused> {
    let limits = &routed.guard().limits;
    let mut note = arrived.worker.accounts.notes.lend();
    if let Some(consumer) = consumer {
        note.consumer.push_str(&consumer.name);
        note.class = routed.class_of(consumer);
    }
    if limits.len() > 1 {
        look(arrived, &routed, consumer, |_| true)?;
    }
    if !limits.is_empty() {
        let decision = spend_each(arrived, &routed, consumer, &mut note)?;
        record::decided(arrived.worker, routed.route(), decision);
    }
    Ok(Admitted { routed, note: Some(note) })
}

/// Spends from each, in their order, until one refuses.
fn spend_each(
    arrived: &Arrived<'_>,
    routed: &Routed,
    consumer: Option<&Consumer>,
    note: &mut Lent,
) -> Result<Decision, Refused> {
    let worker = arrived.worker;
    let facts = facts(arrived, routed, consumer);
    let mut decision = Decision::Admitted;
    for (at, limit) in routed.guard().limits.iter().enumerate() {
        let ruling = worker.accounts.buckets.spend(limit, &facts, || worker.clock.precise());
        if ruling.shared {
            worker.stats().rate_buckets_shared.one();
        }
        if !ruling.admitted {
            if !limit.dry_run {
                return Err(refuse(arrived, routed, at, &ruling, consumer));
            }
            decision = Decision::DryRun;
        }
        if !limit.dry_run && note.told.is_none_or(|told| ruling.remaining < told.remaining) {
            note.told = Some(told(limit, at, &ruling, consumer));
        }
        if let Cost::Answer(_) = limit.cost {
            let bucket = ruling.admitted.then_some(ruling.bucket);
            note.owed.push(Owed { at: at as u8, bucket });
        }
    }
    Ok(decision)
}

/// What is refused by a limit.
#[cold]
fn refuse(
    arrived: &Arrived<'_>,
    routed: &Routed,
    at: usize,
    ruling: &Ruling,
    consumer: Option<&Consumer>,
) -> Refused {
    record::decided(arrived.worker, routed.route(), Decision::Refused);
    let told = routed.guard().limits.get(at).map(|limit| told(limit, at, ruling, consumer));
    // Where it never would be admitted, nothing better can be said than when there is most.
    let wait = ruling.wait.unwrap_or(ruling.reset);
    Refused::by(routed.route(), Reject::RateLimited, told).after(wait)
}

fn told(limit: &Limit, at: usize, ruling: &Ruling, consumer: Option<&Consumer>) -> Told {
    let terms = limit.terms_for(consumer);
    let window = terms.period().get().saturating_mul(terms.burst());
    Told {
        at: at as u8,
        limit: ruling.limit,
        remaining: ruling.remaining,
        reset: seconds(ruling.reset),
        // What was rounded up to whole nanoseconds is not to look like a second more.
        window: (window.saturating_add(500_000_000) / 1_000_000_000).max(1),
    }
}

/// What tells whose buckets a request draws on.
fn facts<'a>(
    arrived: &Arrived<'a>,
    routed: &'a Routed,
    consumer: Option<&'a Consumer>,
) -> Facts<'a> {
    // Its text is read only where it may matter.
    let matters = routed.guard().limits.iter().any(|limit| limit.of_strangers);
    Facts {
        consumer,
        address: if matters { arrived.address() } else { None },
        head: arrived.head,
        route: &routed.route().route.name,
        service: routed.service_name(),
    }
}
