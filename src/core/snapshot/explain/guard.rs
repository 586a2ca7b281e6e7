//! What the stages behind a route say of a request: who calls, whether the route lets that consumer in, and what each limit says. By
//! the functions that serve; nothing is taken from any bucket, and no key is shown.
//!
//! They are asked in the gateway's order: limits that need not know who calls, where that will be asked; then who calls; then
//! quotas ([`quota`](super::quota)); then all limits. The first refusal is the answer, and what would have come after it is not asked, as in the gateway.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::base::limits;
use crate::http::query;
use crate::policy::authenticate::{self, Verdict};
use crate::policy::key_place::Shown;
use crate::policy::rate::{Facts, Ruling};
use crate::snapshot::Snapshot;
use crate::snapshot::consumers::Consumer;
use crate::snapshot::explain::inquiry::Whence;
use crate::snapshot::explain::lossy;
use crate::snapshot::explain::quota::{Counted, Stands};
use crate::snapshot::explain::refusal::Refused;
use crate::snapshot::limits::Limit;
use crate::snapshot::plan::{Access, AuthMethod, AuthPlan, KeyPlace, Per, Principal, Scope};
use crate::snapshot::router::Asked;
use crate::snapshot::routes::Route;

/// What says of a limit whether it would let a request pass now.
pub type Look<'l> = dyn Fn(&Limit, &Facts<'_>) -> Ruling + 'l;

/// What is known beside a snapshot.
pub struct Surroundings<'s> {
    /// The time, in seconds of Unix time: what decides whether a key has expired.
    pub now: u64,
    /// What a limit says of a request now, without taking anything, where there are buckets to look at; of a file there are none, and
    /// nobody has spent anything.
    pub look: Option<&'s Look<'s>>,
    /// How a count of a quota stands, where there are some to look at.
    pub stands: Option<&'s Stands<'s>>,
}

impl Surroundings<'_> {
    /// Of a file: nobody has spent anything. `now`: in seconds of Unix time.
    pub const fn unspent(now: u64) -> Self {
        Self { now, look: None, stands: None }
    }
}

impl fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let live = self.look.is_some();
        f.debug_struct("Surroundings").field("now", &self.now).field("live", &live).finish()
    }
}

/// What the stages behind a route say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guarded {
    /// Who calls, where the route asks.
    pub identity: Option<Identity>,
    /// What each of its quotas says, in their order.
    pub quotas: Vec<Counted>,
    /// What each of its limits says, in their order.
    pub limits: Vec<Limited>,
    /// The answer, if one of them refuses the request.
    pub refused: Option<Refused>,
}

/// Who calls, as far as that is found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name of the way to find out.
    pub auth: String,
    /// Where a key is looked for: `header x-api-key`.
    pub places: Vec<String>,
    /// What was found.
    pub found: Found,
    /// The consumer whose key it is, or was.
    pub consumer: Option<String>,
}

/// What was found of who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A consumer that is let in.
    Known,
    /// One that is not.
    Forbidden,
    /// No key.
    Missing,
    /// Nobody's key.
    Unknown,
    /// One that has expired.
    Expired,
    /// Nobody looked: the request was refused before.
    Unasked,
}

impl Found {
    /// The stable token.
    pub const fn token(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Forbidden => "forbidden",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Unasked => "unasked",
        }
    }
}

/// What a limit says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limited {
    /// Its name.
    pub name: String,
    /// How much it allows this consumer, as it is written: `100/s, burst 200`.
    pub terms: String,
    /// The group of the consumer that says so, if one does.
    pub group: Option<String>,
    /// What a request costs, as it is written.
    pub cost: String,
    /// Where it holds.
    pub scope: Scope,
    /// Whether it only counts what it would refuse.
    pub dry_run: bool,
    /// Whose bucket it is: what tells buckets apart, and what the request has there.
    pub bucket: Vec<(String, String)>,
    /// What it says.
    pub says: Says,
}

/// What a limit says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// It is asked, and so much is left before the request.
    Left(Left),
    /// It would be asked, and how much is left is not known here.
    Unseen(Unseen),
    /// It is not asked: the request is refused before.
    Unasked,
}

/// Why it is not known how much is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unseen {
    /// Of a file: nobody has spent anything.
    Unspent,
    /// Each worker has buckets of its own.
    Worker,
    /// It is not said where the request comes from.
    Address,
    /// It is not certain to which service the request goes.
    Service,
    /// The registry was not asked, or has not said.
    Unknown,
}

impl Unseen {
    /// The same in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Unspent => "as if nobody had spent anything",
            Self::Worker => "each worker counts by itself",
            Self::Address => "how much is left depends on where it comes from",
            Self::Service => "how much is left depends on the service that is chosen",
            Self::Unknown => "how much is left could not be found out",
        }
    }
}

/// What is left in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Whether there is as much as the request costs.
    pub admits: bool,
    /// Whole tokens that are left after it; before it, where there are not enough.
    pub remaining: u64,
    /// The most that there are at once.
    pub most: u64,
    /// How long until the bucket is full.
    pub reset: Duration,
    /// How long until the request would be admitted, where it is not.
    pub wait: Option<Duration>,
    /// Whether others share the bucket because the table is full.
    pub shared: bool,
}

/// Asks the stages behind a route. `service`: where the request goes, where that is certain.
pub(super) fn guarded(
    snapshot: &Snapshot,
    route: &Route,
    asked: &Asked<'_>,
    (from, service): (Whence, Option<&str>),
    around: &Surroundings<'_>,
) -> Guarded {
    let name = service.unwrap_or_default();
    let (address, head) = (from.address(), asked.head);
    let facts = Facts { consumer: None, address, head, route: &route.name, service: name };
    let mut stages = Stages { route, facts, from, service, around, refused: None, over: false };
    let identity = route.guard.auth.as_ref().map(|auth| stages.identify(snapshot, auth, asked));
    let quotas = route.guard.quotas.iter().map(|quota| stages.counted(quota)).collect();
    let limits = route.guard.limits.iter().map(|limit| stages.limited(limit)).collect();
    Guarded { identity, quotas, limits, refused: stages.refused }
}

/// The stages, as far as they have come.
pub(super) struct Stages<'a> {
    pub(super) route: &'a Route,
    pub(super) facts: Facts<'a>,
    from: Whence,
    pub(super) service: Option<&'a str>,
    pub(super) around: &'a Surroundings<'a>,
    pub(super) refused: Option<Refused>,
    /// Whether a quota has refused it: limits that come behind quotas are not asked.
    pub(super) over: bool,
}

impl<'a> Stages<'a> {
    /// Who calls, unless a limit that need not know it refuses the request before.
    fn identify(&mut self, snapshot: &'a Snapshot, auth: &AuthPlan, asked: &Asked<'_>) -> Identity {
        let AuthMethod::Key(key) = &auth.method;
        let places = key.places.iter().map(place).collect();
        let said = |found, consumer: Option<&Consumer>| {
            let consumer = consumer.map(|consumer| consumer.name.to_string());
            Identity { auth: auth.name.clone(), places, found, consumer }
        };
        let guard = &self.route.guard;
        for limit in guard.limits.iter().filter(|limit| !limit.needs_identity) {
            self.ask(limit);
        }
        if self.refused.is_some() {
            return said(Found::Unasked, None);
        }
        let shown = authenticate::shown(auth, asked);
        let (found, who) = match guard.admits(&shown, snapshot.consumers(), self.around.now) {
            Verdict::Known(who) => (Found::Known, Some(who)),
            Verdict::Forbidden(who) => (Found::Forbidden, Some(who)),
            Verdict::Expired(who) => (Found::Expired, Some(who)),
            Verdict::Unknown => (Found::Unknown, None),
            Verdict::Missing | Verdict::Anonymous => (Found::Missing, None),
        };
        let who = who.map(|who| &**who);
        self.refused = match found {
            Found::Known => {
                self.facts.consumer = who;
                None
            }
            Found::Forbidden => {
                let name = who.map(|who| &*who.name).unwrap_or_default();
                Some(Refused::forbidden(name, &access(&self.route.plan.policies.access)))
            }
            Found::Unknown | Found::Expired => {
                self.throttled(&shown).or_else(|| Some(Refused::unauthenticated(found)))
            }
            Found::Missing | Found::Unasked => Some(Refused::unauthenticated(found)),
        };
        said(found, who)
    }

    /// The answer to an address that failed too often, whatever it shows that no worker knows to be good.
    fn throttled(&self, shown: &Shown) -> Option<Refused> {
        let is_said = self.from != Whence::Unsaid && *shown != Shown::Nothing;
        let look = self.around.look.filter(|_| is_said)?;
        let whence = Facts { consumer: None, route: "", service: "", ..self.facts };
        look(&Limit::of_failures(), &whence).throttles().map(|_| Refused::failed_too_often())
    }

    /// What a limit says, if it can say anything here. One that refuses is the answer, if there is none yet.
    fn ask(&mut self, limit: &Limit) -> Says {
        let look = match (self.unseen(limit), self.around.look) {
            (None, Some(look)) => look,
            (Some(why), Some(_)) => return Says::Unseen(why),
            (_, None) => return Says::Unseen(Unseen::Unspent),
        };
        let ruling = look(limit, &self.facts);
        if !ruling.admitted && !limit.dry_run && self.refused.is_none() {
            self.refused = Some(Refused::by_limit(&limit.name));
        }
        Says::Left(Left {
            admits: ruling.admitted,
            remaining: ruling.remaining,
            most: ruling.limit,
            reset: ruling.reset,
            wait: ruling.wait,
            shared: ruling.shared,
        })
    }

    /// Why a limit's bucket cannot be looked at, if so.
    fn unseen(&self, limit: &Limit) -> Option<Unseen> {
        let per_address = limit.per.iter().any(|per| matches!(per, Per::Address { .. }));
        if limit.scope == Scope::Worker {
            Some(Unseen::Worker)
        } else if per_address && self.from == Whence::Unsaid {
            Some(Unseen::Address)
        } else if limit.per.contains(&Per::Service)
            && self.service.is_none()
            && !self.route.is_local()
        {
            Some(Unseen::Service)
        } else {
            None
        }
    }

    /// A limit, and what it says; once the request is refused, nothing of a consumer is asked any more, nor what comes behind quotas.
    fn limited(&mut self, limit: &Limit) -> Limited {
        let asks = self.route.guard.auth.is_some();
        let stranger = asks && self.facts.consumer.is_none();
        let early = asks && !limit.needs_identity;
        let says = match !early && (stranger || self.over) {
            true => Says::Unasked,
            false => self.ask(limit),
        };
        let (terms, group) = limit.written_for(self.facts.consumer);
        Limited {
            name: limit.name.to_string(),
            terms: terms.to_string(),
            group: group.map(str::to_owned),
            cost: limit.cost.to_string(),
            scope: limit.scope,
            dry_run: limit.dry_run,
            bucket: limit.per.iter().map(|per| (per.to_string(), self.part(per))).collect(),
            says,
        }
    }

    /// What a request has of what tells buckets apart. What may be a credential is not shown.
    fn part(&self, per: &Per) -> String {
        match per {
            Per::Consumer => self.named_consumer(),
            Per::Address { .. } if self.from == Whence::Unsaid => "not said".to_owned(),
            Per::Address { v4, v6 } => match self.facts.address.map(|it| it.to_canonical()) {
                Some(address @ IpAddr::V4(_)) if *v4 == 32 => address.to_string(),
                Some(address @ IpAddr::V6(_)) if *v6 == 128 => address.to_string(),
                Some(address) => {
                    let bits = if address.is_ipv4() { v4 } else { v6 };
                    format!("{address}/{bits}")
                }
                None => "none: by a Unix socket".to_owned(),
            },
            Per::Header(name) if self.is_secret(name) => DOTS.to_owned(),
            Per::Header(name) => match self.facts.head.value_named(name) {
                Some(value) => lossy(value).chars().take(limits::EXPLAIN_WORDS).collect(),
                None => "none".to_owned(),
            },
            Per::Route => self.route.name.to_string(),
            Per::Service => self.named_service(),
        }
    }

    pub(super) fn named_consumer(&self) -> String {
        self.facts.consumer.map_or_else(|| "not known".to_owned(), |it| it.name.to_string())
    }

    pub(super) fn named_service(&self) -> String {
        match self.service {
            Some(service) => service.to_owned(),
            None if self.route.is_local() => "none".to_owned(),
            None => "one of several".to_owned(),
        }
    }

    fn is_secret(&self, header: &str) -> bool {
        let known = ["authorization", "cookie", "proxy-authorization", "x-api-key"];
        let auth = self.route.guard.auth.as_ref().map(|auth| &auth.method);
        let own = auth.is_some_and(|AuthMethod::Key(key)| {
            key.places.contains(&KeyPlace::Header(header.to_owned()))
        });
        own || known.contains(&header)
    }
}

/// What stands for a secret.
pub(super) const DOTS: &str = "••••••••";

/// A query in which keys are dots.
pub(super) fn without_keys(query: &str, places: &[KeyPlace]) -> String {
    let is_key = |named: &[u8]| {
        places
            .iter()
            .any(|place| matches!(place, KeyPlace::Query(name) if query::is_plain(named, name)))
    };
    let shown = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if is_key(name.as_bytes()) => format!("{name}={DOTS}"),
        Some(_) | None => pair.to_owned(),
    };
    query.split('&').map(shown).collect::<Vec<_>>().join("&")
}

fn place(place: &KeyPlace) -> String {
    match place {
        KeyPlace::Header(name) => format!("header {name}"),
        KeyPlace::Query(name) => format!("query {name}"),
        KeyPlace::Cookie(name) => format!("cookie {name}"),
    }
}

/// Who is let in, in words.
fn access(access: &Access) -> String {
    let listed = |what: &str, all: &[Principal]| {
        let names = all.iter().map(|principal| match principal {
            Principal::Consumer(name) => name.clone(),
            Principal::Group(name) => format!("{}{name}", Principal::GROUP),
        });
        let names = names.collect::<Vec<_>>().join(", ");
        (!all.is_empty()).then(|| format!("{what} {names}"))
    };
    let sides = [listed("allow", &access.allow), listed("deny", &access.deny)];
    sides.into_iter().flatten().collect::<Vec<_>>().join("; ")
}
