//! What differs between two configurations, in what they mean and not in how they are written: for people as lines, for
//! programs as JSON.
//!
//! Listeners and services are the same where they have the same name, routes where they take the same requests, or are called the same. The
//! order in which a file lists them, or the addresses of one of them, is no difference.
//!
//! ```text
//! ~ runtime: drain 30s -> 1m
//! ~ token deploy: scopes [read] -> [read, register]
//! + consumer mobile
//! ~ rate api: limit 100/s -> 200/s
//! + listener local on unix:/run/coregate/http.sock
//! ~ service users: + 10.0.0.3:9000, - 10.0.0.1:9000; timeout.connect 1s -> 250ms
//! + route shop.example.com/users/* -> users
//! - route /old/*
//! ```
//!
//! The work grows with n log n, n being what stands in both.

pub(crate) mod policies;
mod service;
mod show;
pub(crate) mod terms;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use coregate_core::snapshot::plan::{Address, ListenerPlan, Plan, RoutePlan, ServicePlan};

use crate::key::ConsumerKey;
use crate::settings::{Listener, Settings};

/// What a new configuration changes: runtime keys first, then tokens, consumers, ways to
/// authenticate, rates, quotas, listeners, services and routes, each kind by name. Its
/// `Display` is bounded, one line a change; [`Changes::to_json`] holds them all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    list: Vec<Change>,
}

/// One thing that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which kind of thing it is.
    pub kind: Kind,
    /// Its name, for a route what it takes; empty for the runtime keys, which are one thing.
    pub name: String,
    /// What becomes of it.
    pub what: What,
}

/// The kinds of things that change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The keys of `[runtime]`, and those of `[dns]`, which are called `dns.servers` and so on.
    Runtime,
    /// A token of `[tokens]`.
    Token,
    /// A consumer, with its keys.
    Consumer,
    /// A way to find out who calls.
    Auth,
    /// A rate: of `[rates]`, or one of a route, which is called after it.
    Rate,
    /// A quota.
    Quota,
    /// A listener.
    Listener,
    /// A service.
    Service,
    /// A route.
    Route,
}

/// What becomes of a thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// It is new.
    Added {
        /// Where a listener listens, or the instances of a service.
        addresses: Vec<Address>,
        /// Where instances of a service are looked up, as it is written.
        sources: Vec<String>,
        /// What a route does, or the service that a `tcp` listener leads to.
        service: Option<String>,
    },
    /// It is gone.
    Removed,
    /// It has become another.
    Changed {
        /// The addresses that are new, in order.
        added: Vec<Address>,
        /// The addresses that are gone, in order.
        removed: Vec<Address>,
        /// The keys whose values differ.
        terms: Vec<Term>,
    },
}

/// A key whose value differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The key as in a file, such as `timeout.connect`; `to` for what a route does.
    pub key: &'static str,
    /// What it was, as in a file; `none` or `default` where it was not set.
    pub old: String,
    /// What it is.
    pub new: String,
}

/// What `new` changes in `old`.
pub fn between(old: &Settings, new: &Settings) -> Changes {
    let mut list = Vec::new();
    let mut terms = terms::runtime(&old.runtime, &new.runtime);
    terms.extend(terms::dns(&old.dns, &new.dns));
    changed(&mut list, Kind::Runtime, String::new(), Addresses::default(), terms);
    tokens(old, new, &mut list);
    consumers(old, new, &mut list);
    let auths = [&old.plan.auths, &new.plan.auths]
        .map(|all| all.iter().map(|one| (one.name.as_str(), one)));
    things(Kind::Auth, auths, policies::auth, &mut list);
    let rates = [&old.plan.rates, &new.plan.rates]
        .map(|all| all.iter().map(|one| (one.name.as_str(), one)));
    things(Kind::Rate, rates, policies::rate, &mut list);
    let quotas = [&old.plan.quotas, &new.plan.quotas]
        .map(|all| all.iter().map(|one| (one.name.as_str(), one)));
    things(Kind::Quota, quotas, policies::quota, &mut list);
    listeners(old, new, &mut list);
    services(old, new, &mut list);
    routes(&old.plan, &new.plan, &mut list);
    Changes { list }
}

impl Changes {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Every change, in order.
    pub fn list(&self) -> &[Change] {
        &self.list
    }
}

/// Addresses that are new and those that are gone.
#[derive(Debug, Default)]
struct Addresses {
    added: Vec<Address>,
    removed: Vec<Address>,
}

/// Notes a thing that has become another, if anything in it differs.
fn changed(
    list: &mut Vec<Change>,
    kind: Kind,
    name: String,
    addresses: Addresses,
    terms: Vec<Term>,
) {
    let Addresses { added, removed } = addresses;
    if !(added.is_empty() && removed.is_empty() && terms.is_empty()) {
        list.push(Change { kind, name, what: What::Changed { added, removed, terms } });
    }
}

fn tokens(old: &Settings, new: &Settings, list: &mut Vec<Change>) {
    let grants = [&old.grants, &new.grants].map(|grants| grants.iter());
    things(Kind::Token, grants, terms::grant, list);
}

fn consumers(old: &Settings, new: &Settings, list: &mut Vec<Change>) {
    let all = [old, new].map(|settings| {
        let mut keys: HashMap<&str, Vec<&ConsumerKey>> = HashMap::new();
        for key in &settings.keys {
            keys.entry(&key.consumer).or_default().push(key);
        }
        let consumers = settings.plan.consumers.iter();
        let with = consumers
            .map(|one| (&one.name, (one, keys.remove(one.name.as_str()).unwrap_or_default())));
        with.collect::<Vec<_>>()
    });
    let [old, new] = &all;
    let all = [old, new].map(|all| all.iter().map(|(name, consumer)| (*name, consumer)));
    things(Kind::Consumer, all, policies::consumer, list);
}

/// What differs between things that have a name and terms, and nothing else.
fn things<'t, N: Ord + ToString, T: 't, I: Iterator<Item = (N, &'t T)>>(
    kind: Kind,
    [old, new]: [I; 2],
    terms: impl Fn(&T, &T) -> Vec<Term>,
    list: &mut Vec<Change>,
) {
    for (name, pair) in paired(old, new) {
        let name = name.to_string();
        match pair {
            (Some(old), Some(new)) => {
                changed(list, kind, name, Addresses::default(), terms(old, new));
            }
            (None, Some(_)) => {
                let what =
                    What::Added { addresses: Vec::new(), sources: Vec::new(), service: None };
                list.push(Change { kind, name, what });
            }
            (_, None) => list.push(Change { kind, name, what: What::Removed }),
        }
    }
}

fn listeners(old: &Settings, new: &Settings, list: &mut Vec<Change>) {
    fn all(settings: &Settings) -> impl Iterator<Item = (&str, (&Listener, &ListenerPlan))> {
        let both = settings.listeners.iter().zip(&settings.plan.listeners);
        both.map(|both| (both.0.name.as_str(), both))
    }
    for (name, pair) in paired(all(old), all(new)) {
        let name = name.to_owned();
        match pair {
            (Some((old, old_plan)), Some((new, new_plan))) => {
                let terms = terms::listener(old_plan, new_plan);
                changed(list, Kind::Listener, name, difference(&old.bind, &new.bind), terms);
            }
            (None, Some((new, plan))) => {
                let what = What::Added {
                    addresses: new.bind.clone(),
                    sources: Vec::new(),
                    service: plan.tcp.clone(),
                };
                list.push(Change { kind: Kind::Listener, name, what });
            }
            (_, None) => list.push(Change { kind: Kind::Listener, name, what: What::Removed }),
        }
    }
}

fn services(old: &Settings, new: &Settings, list: &mut Vec<Change>) {
    fn all(plan: &Plan) -> impl Iterator<Item = (&str, &ServicePlan)> {
        plan.services.iter().map(|service| (service.name.as_str(), service))
    }
    for (name, pair) in paired(all(&old.plan), all(&new.plan)) {
        let name = name.to_owned();
        match pair {
            (Some(plan), Some(new_plan)) => {
                let addresses = difference(&plan.instances, &new_plan.instances);
                let mut terms = terms::service(plan, new_plan);
                terms.extend(terms::token(old.tokens.get(&name), new.tokens.get(&name)));
                changed(list, Kind::Service, name, addresses, terms);
            }
            (None, Some(new)) => {
                let sources = new.sources.iter().map(service::source).collect();
                let addresses = new.instances.clone();
                let what = What::Added { addresses, sources, service: None };
                list.push(Change { kind: Kind::Service, name, what });
            }
            (_, None) => list.push(Change { kind: Kind::Service, name, what: What::Removed }),
        }
    }
}

fn routes(old: &Plan, new: &Plan, list: &mut Vec<Change>) {
    fn all(plan: &Plan) -> impl Iterator<Item = (String, &RoutePlan)> {
        plan.routes.iter().map(|route| (route.name(), route))
    }
    for (name, pair) in paired(all(old), all(new)) {
        match pair {
            (Some(old), Some(new)) => {
                let terms = terms::route(old, new);
                changed(list, Kind::Route, name, Addresses::default(), terms);
            }
            (None, Some(new)) => {
                let service = Some(new.action.to_string());
                let what = What::Added { addresses: Vec::new(), sources: Vec::new(), service };
                list.push(Change { kind: Kind::Route, name, what });
            }
            (Some(_), None) => {
                list.push(Change { kind: Kind::Route, name, what: What::Removed });
            }
            (None, None) => {}
        }
    }
}

/// What has the same key in both, in the order of the keys.
fn paired<K: Ord, T>(
    old: impl Iterator<Item = (K, T)>,
    new: impl Iterator<Item = (K, T)>,
) -> BTreeMap<K, (Option<T>, Option<T>)> {
    let mut pairs: BTreeMap<K, (Option<T>, Option<T>)> =
        old.map(|(key, one)| (key, (Some(one), None))).collect();
    for (key, one) in new {
        pairs.entry(key).or_default().1 = Some(one);
    }
    pairs
}

/// The addresses that only one side has. One that stands twice on one side (port 0 may) counts twice.
fn difference(old: &[Address], new: &[Address]) -> Addresses {
    let mut found = Addresses::default();
    if old == new {
        return found;
    }
    let sorted = |addresses| {
        let mut sorted = Vec::from_iter(addresses);
        sorted.sort_unstable();
        sorted.into_iter().peekable()
    };
    let (mut old, mut new) = (sorted(old), sorted(new));
    loop {
        let order = match (old.peek(), new.peek()) {
            (Some(old), Some(new)) => old.cmp(new),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return found,
        };
        // Whichever comes first in order and not on the other side is missing there.
        match order {
            Ordering::Less => found.removed.extend(old.next().cloned()),
            Ordering::Greater => found.added.extend(new.next().cloned()),
            Ordering::Equal => drop((old.next(), new.next())),
        }
    }
}
