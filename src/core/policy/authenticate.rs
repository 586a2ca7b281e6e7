//! Authentication: who calls, and whether a route lets that consumer in.
//!
//! Two steps, because something may stand between them: [`shown`] says what a request shows of a credential, without asking whose
//! it is; [`Guard::admits`] asks. `explain` takes both at once ([`authenticate`]).
//!
//! What cannot be decided is a no: only [`Verdict::Anonymous`] and [`Verdict::Known`] let anybody in.

use std::sync::Arc;

use crate::policy::key_place::{self, Shown};
use crate::snapshot::consumers::{Consumer, Consumers, Presented};
use crate::snapshot::plan::{AuthMethod, AuthPlan};
use crate::snapshot::router::Asked;
use crate::snapshot::routes::Guard;

/// What is said to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a refusal must be carried out"]
pub enum Verdict<'c> {
    /// Nobody is asked who it is.
    Anonymous,
    /// It is this consumer, who is let in.
    Known(&'c Arc<Consumer>),
    /// It is this consumer, who is not: 403.
    Forbidden(&'c Arc<Consumer>),
    /// It shows no credential: 401.
    Missing,
    /// It shows nobody's: 401.
    Unknown,
    /// It shows one that was this consumer's and has expired: 401.
    Expired(&'c Arc<Consumer>),
}

/// What a request shows of the credential that is asked for.
#[inline]
pub fn shown(auth: &AuthPlan, asked: &Asked<'_>) -> Shown {
    match &auth.method {
        AuthMethod::Key(key) => {
            key_place::shown(&key.places, asked.head, asked.query.unwrap_or_default())
        }
    }
}

/// What is said to a request at this time, in seconds of Unix time.
pub fn authenticate<'c>(
    guard: &Guard,
    asked: &Asked<'_>,
    consumers: &'c Consumers,
    now: u64,
) -> Verdict<'c> {
    match &guard.auth {
        None => Verdict::Anonymous,
        Some(auth) => guard.admits(&shown(auth, asked), consumers, now),
    }
}

impl Guard {
    /// What is said to a request that shows this, where it is asked who it is; `now` in seconds of Unix time.
    #[inline]
    pub fn admits<'c>(&self, shown: &Shown, consumers: &'c Consumers, now: u64) -> Verdict<'c> {
        let presented = match shown {
            Shown::Nothing => return Verdict::Missing,
            Shown::Nobodys => Presented::Unknown,
            Shown::Key(digest) => consumers.by_key(digest, now),
        };
        match presented {
            Presented::Unknown => Verdict::Unknown,
            Presented::Expired(consumer) => Verdict::Expired(consumer),
            Presented::Of(consumer) if self.access.admits(consumer) => Verdict::Known(consumer),
            Presented::Of(consumer) => Verdict::Forbidden(consumer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::Head;
    use crate::http::parse::{self, RequestLimits};
    use crate::policy::credential::KeyDigest;
    use crate::snapshot::compile::compile;
    use crate::snapshot::plan::{Access, ConsumerPlan, KeyPlan, Plan, Principal};

    fn consumer(name: &str, group: &str, expires: Option<u64>) -> ConsumerPlan {
        let digest = KeyDigest::of(format!("key of {name}").as_bytes());
        let keys = vec![KeyPlan { digest, expires }];
        ConsumerPlan { name: name.into(), groups: vec![group.into()], keys }
    }

    #[test]
    fn every_verdict() {
        let mut plan = Plan::to_instances(&["127.0.0.1:1".parse().unwrap()]);
        plan.consumers = vec![
            consumer("ann", "gold", None),
            consumer("bob", "tin", None),
            consumer("cat", "gold", Some(100)),
        ];
        let policies = &mut plan.routes[0].policies;
        policies.auth = Some(AuthPlan::KEY.to_owned());
        policies.access = Access { allow: vec![Principal::Group("gold".into())], deny: Vec::new() };
        let said = |plan: &Plan, field: &str, now| {
            let snapshot = compile(plan, 1).unwrap();
            let mut head = Head::with_capacity(4_096);
            let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n");
            head.page.extend_from_slice(text.as_bytes());
            let request = parse::request(&mut head, &RequestLimits::default()).unwrap().unwrap();
            let asked = Asked::of(&head, &request);
            let route = snapshot.route(snapshot.find(&asked).unwrap()).unwrap();
            let verdict = authenticate(&route.guard, &asked, snapshot.consumers(), now);
            match verdict {
                Verdict::Known(who) => format!("known {}", who.name),
                Verdict::Forbidden(who) => format!("forbidden {}", who.name),
                Verdict::Expired(who) => format!("expired {}", who.name),
                other => format!("{other:?}"),
            }
        };
        for (field, now, expected) in [
            ("", 0, "Missing"),
            ("X-Api-Key: nobody's\r\n", 0, "Unknown"),
            ("X-Api-Key: key of ann\r\nX-Api-Key: key of ann\r\n", 0, "Unknown"),
            ("X-Api-Key: key of ann\r\n", 0, "known ann"),
            ("X-Api-Key: key of bob\r\n", 0, "forbidden bob"),
            ("X-Api-Key: key of cat\r\n", 99, "known cat"),
            ("X-Api-Key: key of cat\r\n", 100, "expired cat"),
        ] {
            assert_eq!(said(&plan, field, now), expected, "{field}");
        }
        plan.routes[0].policies = Default::default();
        assert_eq!(said(&plan, "X-Api-Key: key of ann\r\n", 0), "Anonymous");
    }
}
