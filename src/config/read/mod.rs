//! The sections of the language, one module each, and what holds between them.

mod addresses;
mod admin;
pub(crate) mod defaults;
mod listeners;
mod patterns;
mod routes;
mod runtime;
mod services;
#[cfg(test)]
mod tests;
mod trusted;

use std::collections::HashSet;

use coregate_core::snapshot::plan::{ListenerPlan, Plan, RoutePlan};

pub(crate) use self::listeners::{FOR_REQUESTS, SILENCE};
pub(crate) use self::patterns::is_path;
use self::services::Declared;
use crate::Settings;
use crate::address::Seen;
use crate::codes;
use crate::fields::Fields;
use crate::item::{Item, quoted};
use crate::report::{Diagnostic, Faults};
use crate::words;

/// Reads the whole file. What it returns holds only if there was no error.
pub(crate) fn settings(root: &Fields<'_>, faults: &mut Faults) -> Settings {
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
    defaults::read(root, &declared, faults);
    let (listeners, plans): (Vec<_>, Vec<ListenerPlan>) =
        listeners::read(root, &declared, &mut seen, faults).into_iter().unzip();
    let services = services::read(root, faults);
    let requests = plans.is_empty() || plans.iter().any(|listener| listener.tcp.is_none());
    let before = faults.errors();
    let routes = routes::read(root, &declared, requests, faults);
    let plan = Plan { routes, services, listeners: plans };
    // A route that could not be read may be the one that uses a service.
    if faults.errors() == before {
        unused(&plan, &declared, &services::extended(root), faults);
    }
    Settings { runtime, listeners, plan }
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
    const LENGTH_MAX: usize = 100;
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if item.key.is_empty() || item.key.len() > LENGTH_MAX || !item.key.bytes().all(legal) {
        let message = format!(
            "{what} {}: expected 1 to {LENGTH_MAX} letters, digits, `-`, `_` or `.`",
            quoted(item.key)
        );
        faults.push(Diagnostic::error(codes::NAME, item.span(), message));
    }
}

fn too_many(item: &Item<'_>, what: &str, count: usize, most: usize, faults: &mut Faults) {
    if count > most {
        let message = format!("{count} {what}: expected at most {most}");
        faults.push(Diagnostic::error(codes::TOO_MANY, item.span(), message));
    }
}
