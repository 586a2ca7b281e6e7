//! Authentication: who calls. The decision itself is [`coregate_core::policy::authenticate`]'s.
//!
//! A failure costs the client's address a token of a bucket of its own. While that is empty, only keys that this worker has found good
//! lately are looked up for it, and whatever else it shows is 429: whoever guesses keys learns nothing, and costs one look at a word.
//! To show nothing at all is no failure.
//!
//! All of it happens within one look at the snapshot. What one day has to ask another thread (a password hash, an unknown key id)
//! must end that look, ask, and begin again from [`route`](crate::proxy::route): what it was told is then found in a set like that of
//! [verified keys](crate::worker::verified).

use std::time::Duration;

use coregate_core::policy::authenticate::{Verdict, shown};
use coregate_core::policy::key_place::Shown;
use coregate_core::policy::rate::Facts;
use coregate_core::snapshot::consumers::Consumer;

use crate::proxy::limit::Checked;
use crate::proxy::record;
use crate::proxy::refusal::Refused;
use crate::proxy::reject::Reject;
use crate::proxy::route::{Arrived, Routed};

/// A request of which is known who calls, where its route asks for that.
#[derive(Debug)]
#[must_use = "it is on its way"]
pub struct Authenticated<'s> {
    routed: Routed,
    consumer: Option<&'s Consumer>,
}

impl<'s> Authenticated<'s> {
    /// What it was routed to.
    pub(super) fn routed(&self) -> &Routed {
        &self.routed
    }

    /// Who calls.
    pub(super) fn consumer(&self) -> Option<&'s Consumer> {
        self.consumer
    }

    /// What it was routed to, and who calls.
    pub(super) fn into_parts(self) -> (Routed, Option<&'s Consumer>) {
        (self.routed, self.consumer)
    }
}

/// What came of asking who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identified {
    /// Somebody who is let in.
    Known,
    /// Somebody who is not: 403.
    Forbidden,
    /// It showed nothing: 401.
    Missing,
    /// It showed what is nobody's: 401.
    Unknown,
    /// It showed what has expired: 401.
    Expired,
    /// Its address failed too often; nobody looked: 429.
    Throttled,
}

impl Identified {
    /// All of them, in their order.
    pub const ALL: &[Self] = &[
        Self::Known,
        Self::Forbidden,
        Self::Missing,
        Self::Unknown,
        Self::Expired,
        Self::Throttled,
    ];
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The stable token: the label `result` in metrics.
    pub const fn token(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Forbidden => "forbidden",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Throttled => "throttled",
        }
    }
}

/// Finds out who calls, where the route asks for that.
#[inline]
pub fn authenticate<'s>(
    arrived: &Arrived<'s>,
    checked: Checked,
) -> Result<Authenticated<'s>, Refused> {
    let routed = checked.routed();
    let consumer = match routed.guard().auth {
        None => None,
        Some(_) => Some(identify(arrived, &routed)?),
    };
    Ok(Authenticated { routed, consumer })
}

fn identify<'s>(arrived: &Arrived<'s>, routed: &Routed) -> Result<&'s Consumer, Refused> {
    let guard = routed.guard();
    let shown = guard.auth.as_ref().map_or(Shown::Nothing, |auth| shown(auth, &arrived.asked));
    let verified = match &shown {
        Shown::Key(digest) => arrived.worker.accounts.verified.has(digest),
        Shown::Nothing | Shown::Nobodys => false,
    };
    let guesses = !verified && shown != Shown::Nothing;
    if let Some(wait) = guesses.then(|| throttled(arrived)).flatten() {
        record::identified(arrived.worker, Identified::Throttled);
        return Err(Refused::by(routed.route(), Reject::RateLimited, None).after(wait));
    }
    let now = arrived.worker.clock.wall().as_secs();
    let (answer, result) = match guard.admits(&shown, arrived.snapshot.consumers(), now) {
        Verdict::Known(consumer) => (Ok(&**consumer), Identified::Known),
        Verdict::Forbidden(_) => (Err(Reject::Forbidden), Identified::Forbidden),
        Verdict::Expired(_) => (Err(Reject::Unauthenticated), Identified::Expired),
        Verdict::Unknown => (Err(Reject::Unauthenticated), Identified::Unknown),
        Verdict::Missing | Verdict::Anonymous => {
            (Err(Reject::Unauthenticated), Identified::Missing)
        }
    };
    record::identified(arrived.worker, result);
    learn(arrived, &shown, result, verified);
    answer.map_err(|reject| Refused::by(routed.route(), reject, None))
}

/// How long whoever failed too often must wait before anybody looks at what it shows; `None`: it is looked at.
fn throttled(arrived: &Arrived<'_>) -> Option<Duration> {
    let accounts = &arrived.worker.accounts;
    let now = arrived.worker.clock.precise();
    let ruling = accounts.buckets.check(&accounts.failures, &whence(arrived), now);
    (!ruling.admitted).then(|| ruling.wait.unwrap_or(ruling.reset))
}

/// Remembers what is good, and counts what is not.
#[inline]
fn learn(arrived: &Arrived<'_>, shown: &Shown, result: Identified, verified: bool) {
    let worker = arrived.worker;
    let accounts = &worker.accounts;
    match (result, shown) {
        (Identified::Known | Identified::Forbidden, Shown::Key(digest)) if !verified => {
            accounts.verified.add(digest);
        }
        (Identified::Unknown | Identified::Expired, _) => {
            if let Shown::Key(digest) = shown {
                accounts.verified.remove(digest);
            }
            let clock = || worker.clock.precise();
            // Where others have just taken the last: it has failed all the same.
            let _spent = accounts.buckets.spend(&accounts.failures, &whence(arrived), clock);
        }
        (
            Identified::Known | Identified::Forbidden | Identified::Missing | Identified::Throttled,
            _,
        ) => {}
    }
}

/// Whose failures they are.
fn whence<'a>(arrived: &Arrived<'a>) -> Facts<'a> {
    Facts { consumer: None, address: arrived.address(), head: arrived.head, route: "", service: "" }
}
