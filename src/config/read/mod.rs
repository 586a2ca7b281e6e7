//! The sections of the language, one module each, and what holds between them.

mod addresses;
mod admin;
mod cases;
pub(crate) mod defaults;
mod dns;
mod grants;
mod headers;
mod listeners;
mod methods;
mod percent;
mod policies;
mod routes;
mod runtime;
mod secrets;
mod services;
mod status;
#[cfg(test)]
mod tests;
mod trusted;

use std::collections::HashSet;
use std::ops::Range;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{Address, ListenerPlan, Plan, RoutePlan};

pub(crate) use self::listeners::{FOR_REQUESTS, SILENCE, SIZES};
pub(crate) use self::routes::is_path;
use self::services::Declared;
pub(crate) use self::services::{FOR_HTTP, QUESTIONS};
use crate::address::Seen;
use crate::codes;
use crate::fields::Fields;
use crate::item::{Item, Value, quoted, shown};
use crate::report::{Diagnostic, Faults};
use crate::words;
use crate::{Listener, Settings};

/// Reads the whole file. What it returns holds only if there was no error.
/// `now` is the time in seconds since 1970.
pub(crate) fn settings(root: &Fields<'_>, now: u64, faults: &mut Faults) -> Settings {
    if root.items().is_empty() {
        let message = "the file says nothing: expected `listen`, `routes` and `services`";
        let suggestion = format!("the smallest useful file is\n{}", words::MINIMAL);
        faults.push(Diagnostic::error(codes::MISSING, None, message).suggest(suggestion));
        return Settings::to_instances(&[], &[]);
    }
    root.check(words::TOP, faults);
    // Nobody can listen where another does, so these are looked at together.
    let mut seen = Seen::default();
    let runtime = runtime::read(root, &mut seen, faults);
    let declared = Declared::of(root);
    let policies = policies::read(root, now, faults);
    defaults::read(root, &declared, &policies, faults);
    let (listeners, plans): (Vec<_>, Vec<ListenerPlan>) =
        listeners::read(root, &declared, &mut seen, faults).into_iter().unzip();
    let (services, tokens) =
        services::read(root, &policies, faults).into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
    let listening = listening(&listeners, &plans);
    let before = faults.errors();
    let (routes, own) = routes::read(root, (&declared, &policies), listening, faults);
    let names = services.iter().map(|service| service.name.clone());
    let tokens = names.zip(tokens).filter_map(|(name, token)| Some((name, token?))).collect();
    let plan = Plan { routes, services, listeners: plans, ..Plan::default() };
    // A route that could not be read may be the one that uses a service, or that a test expects.
    let whole = faults.errors() == before;
    if whole {
        unused(&plan, &declared, &services::extended(root), faults);
        policies::doubts::unused(&policies, &plan.routes, faults);
    }
    if listening.unix {
        policies::doubts::addresses(&policies, &own, faults);
    }
    let tests = cases::read(root, &declared, (whole.then_some(&plan.routes), &policies), faults);
    let (grants, dns) = (grants::read(root, &declared, faults), dns::read(root, faults));
    let policies::Plans { consumers, keys, auths, rates, quotas } = policies.into_plans(own);
    let plan = Plan { consumers, auths, rates, quotas, ..plan };
    Settings { runtime, listeners, plan, tokens, grants, keys, dns, tests }
}

fn listening(listeners: &[Listener], plans: &[ListenerPlan]) -> routes::Listening {
    let reading = || listeners.iter().zip(plans).filter(|(_, plan)| plan.tcp.is_none());
    let nameless = |(listener, plan): (&Listener, &ListenerPlan)| {
        let unix = |address: &Address| matches!(address, Address::Unix(_));
        plan.proxy_protocol.is_none() && listener.bind.iter().all(unix)
    };
    let is_80 = |address: &Address| matches!(address, Address::Tcp(tcp) if tcp.port() == 80);
    routes::Listening {
        requests: plans.is_empty() || reading().next().is_some(),
        port_80: reading().any(|(listener, _)| listener.bind.iter().any(is_80)),
        unix: reading().next().is_some() && reading().all(nameless),
    }
}

/// Warns of services that neither a route nor a listener names, nor another service extends.
fn unused(plan: &Plan, declared: &Declared<'_>, extended: &HashSet<&str>, faults: &mut Faults) {
    let tcp = plan.listeners.iter().filter_map(|listener| listener.tcp.as_deref());
    if tcp.clone().any(|service| !declared.contains(service)) {
        return;
    }
    let routes = plan.routes.iter().flat_map(RoutePlan::services);
    let used: HashSet<_> = routes.chain(tcp).collect();
    let read: HashSet<_> = plan.services.iter().map(|service| service.name.as_str()).collect();
    for (name, span) in declared.places() {
        if !used.contains(name) && !extended.contains(name) && read.contains(name) {
            let message = format!("service `{name}`: nothing uses it");
            faults.push(Diagnostic::warning(codes::UNUSED_SERVICE, span.clone(), message));
        }
    }
}

/// Whether the key is a name that can stand in logs and metrics as it is.
fn check_name(what: &str, item: &Item<'_>, faults: &mut Faults) {
    if let Some(fault) = name_fault(what, item.key, item.span()) {
        faults.push(fault);
    }
}

/// What is wrong with such a name.
fn name_fault(what: &str, name: &str, span: Range<usize>) -> Option<Diagnostic> {
    let most = limits::NAME_BYTES;
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let message =
        format!("{what} {}: expected 1 to {most} letters, digits, `-`, `_` or `.`", quoted(name));
    let is_name = !name.is_empty() && name.len() <= most && name.bytes().all(legal);
    (!is_name).then(|| Diagnostic::error(codes::NAME, span, message))
}

/// Reports two keys that cannot stand together, at the later one of them.
fn conflict(one: &Item<'_>, other: &Item<'_>, faults: &mut Faults) {
    let (first, second) = match one.span().start < other.span().start {
        true => (one, other),
        false => (other, one),
    };
    let (a, b) = (shown(first.key), shown(second.key));
    let message = format!("{a} and {b} cannot stand together");
    let fault = Diagnostic::error(codes::CONFLICT, second.span(), message);
    let fault = fault.also(first.span(), "the other");
    faults.push(fault.suggest(format!("remove {a} or {b}")));
}

/// A string; `example` is what to write instead of another value.
fn text<'t>(
    item: &Item<'t>,
    expected: &str,
    example: &str,
    faults: &mut Faults,
) -> Option<&'t str> {
    match item.value() {
        Value::String(text) => Some(text),
        Value::Table(_) | Value::Array(_) | Value::Other => {
            item.wrong_type(expected, Some(format!("write \"{example}\"")), faults)
        }
    }
}

/// The strings of a string or of an array of strings, with their places; one at least.
fn strings<'t>(
    item: &Item<'t>,
    what: &str,
    example: &str,
    faults: &mut Faults,
) -> Vec<(&'t str, Item<'t>)> {
    let items = match item.value() {
        Value::Array(items) if items.is_empty() => {
            let (why, write) =
                (format!("expected at least one {what}"), format!("write \"{example}\""));
            item.refuse::<()>(codes::MISSING, why, Some(write), faults);
            return Vec::new();
        }
        Value::Array(items) => items,
        Value::String(_) | Value::Table(_) | Value::Other => vec![item.clone()],
    };
    let expected = format!("a {what} or an array of them");
    let texts =
        items.into_iter().map(|item| text(&item, &expected, example, faults).map(|it| (it, item)));
    texts.flatten().collect()
}

fn too_many(item: &Item<'_>, what: &str, count: usize, most: usize, faults: &mut Faults) {
    if count > most {
        let message = format!("{count} {what}: expected at most {most}");
        faults.push(Diagnostic::error(codes::TOO_MANY, item.span(), message));
    }
}
