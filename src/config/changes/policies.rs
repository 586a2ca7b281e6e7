//! Who may call, how it is found out, and how much, as a file writes it: always the same keys in the same order.

use std::num::NonZeroU64;

use coregate_core::base::moment;
use coregate_core::snapshot::plan::{
    Access, AuthMethod, AuthPlan, ConsumerPlan, Cost, KeyAuth, KeyPlace, KeyPlan, Principal,
    QuotaPlan, RateHeaders, RatePlan, RateTerms, RoutePolicies,
};

use super::Term;
use super::terms::{Shown, differing, listed, or};
use crate::key::ConsumerKey;
use crate::rates;

/// A consumer, and those of its keys that lie elsewhere.
pub(super) type Consumer<'s> = (&'s ConsumerPlan, Vec<&'s ConsumerKey>);

pub(super) fn consumer(old: &Consumer<'_>, new: &Consumer<'_>) -> Vec<Term> {
    differing(old, new, |(plan, elsewhere)| {
        let ConsumerPlan { name: _, groups, keys } = plan;
        let until = |expires: Option<u64>| {
            expires.map(|at| format!(" until {}", moment::show(at))).unwrap_or_default()
        };
        let digests = keys.iter().map(|KeyPlan { digest, expires }| {
            // As many digits of it as tell keys apart.
            format!("sha256 {digest}{}", until(*expires))
        });
        let places = elsewhere.iter().map(|key| format!("{}{}", key.secret, until(key.expires)));
        vec![("groups", listed(groups.iter().cloned())), ("keys", listed(digests.chain(places)))]
    })
}

pub(super) fn auth(old: &AuthPlan, new: &AuthPlan) -> Vec<Term> {
    differing(old, new, |plan| {
        let AuthPlan { name: _, realm: _, method } = plan;
        let AuthMethod::Key(KeyAuth { places, forward: _ }) = method;
        let place = |place: &KeyPlace| match place {
            KeyPlace::Header(name) => format!("header {name}"),
            KeyPlace::Query(name) => format!("query {name}"),
            KeyPlace::Cookie(name) => format!("cookie {name}"),
        };
        let key = ("key", listed(places.iter().map(place)));
        [key].into_iter().chain(of_auth(plan)).collect()
    })
}

/// What is built in of a way to find out who calls.
pub(crate) fn of_auth(plan: &AuthPlan) -> Shown {
    let AuthMethod::Key(KeyAuth { places: _, forward }) = &plan.method;
    vec![("realm", plan.realm.clone()), ("forward", forward.to_string())]
}

pub(super) fn rate(old: &RatePlan, new: &RatePlan) -> Vec<Term> {
    differing(old, new, |plan| {
        let RatePlan { name: _, terms, per, scope: _, dry_run: _, cost: _, groups } = plan;
        let group = |(name, terms): &(String, RateTerms)| {
            format!("{name}: {}, burst {}", limit(terms), terms.burst)
        };
        let mut all = vec![
            ("limit", limit(terms)),
            ("per", listed(per.iter().map(ToString::to_string))),
            ("groups", listed(groups.iter().map(group))),
        ];
        all.extend(of_rate(plan));
        all
    })
}

pub(super) fn quota(old: &QuotaPlan, new: &QuotaPlan) -> Vec<Term> {
    differing(old, new, |plan| {
        let QuotaPlan { name: _, limit, calendar, per, groups, cost: _, dry_run: _ } = plan;
        let group = |(name, limit): &(String, NonZeroU64)| format!("{name}: {limit}");
        let mut all = vec![
            ("limit", limit.to_string()),
            ("every", calendar.every().name().to_owned()),
            ("per", listed(per.iter().map(|per| per.name().to_owned()))),
            ("groups", listed(groups.iter().map(group))),
        ];
        all.extend(of_quota(plan));
        all
    })
}

/// What is built in of a quota.
pub(crate) fn of_quota(plan: &QuotaPlan) -> Shown {
    vec![
        ("zone", plan.calendar.zone().to_owned()),
        ("cost", plan.cost.to_string()),
        ("dry_run", plan.dry_run.to_string()),
    ]
}

/// What is built in of a rate.
pub(crate) fn of_rate(plan: &RatePlan) -> Shown {
    let cost = match &plan.cost {
        Cost::Fixed(tokens) => tokens.to_string(),
        Cost::Answer(field) => format!("answer {field}"),
    };
    vec![
        ("burst", plan.terms.burst.to_string()),
        ("cost", cost),
        ("scope", plan.scope.to_string()),
        ("dry_run", plan.dry_run.to_string()),
    ]
}

/// `100/s`
pub(crate) fn limit(terms: &RateTerms) -> String {
    rates::show(terms.count.get(), terms.window)
}

/// What a route says of them.
pub(super) fn of_route(policies: &RoutePolicies) -> Shown {
    let RoutePolicies { auth, access: Access { allow, deny }, rates, quotas } = policies;
    let all = |principals: &[Principal]| {
        let names = principals.iter().map(|principal| match principal {
            Principal::Consumer(name) => name.clone(),
            Principal::Group(name) => format!("group:{name}"),
        });
        listed(names)
    };
    vec![
        ("auth", or(auth, "none")),
        ("allow", all(allow)),
        ("deny", all(deny)),
        ("rate", listed(rates.iter().cloned())),
        ("quota", listed(quotas.iter().cloned())),
    ]
}

/// How clients are told what is left of a rate.
pub(super) fn headers(headers: RateHeaders) -> String {
    match headers {
        RateHeaders::Plain => "true",
        RateHeaders::Draft => "draft",
        RateHeaders::Off => "false",
    }
    .to_owned()
}
