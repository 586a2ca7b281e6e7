//! The sections of the language, one module each, and what holds between them.

mod listeners;
mod patterns;
mod routes;
mod runtime;
mod services;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use coregate_core::snapshot::plan::Plan;

use crate::Settings;
use crate::codes;
use crate::item::{Fields, Item, quoted};
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
    let runtime = runtime::read(root, faults);
    let (listeners, terms) = listeners::read(root, faults).into_iter().unzip();
    let declared = services::declared(root);
    let services = services::read(root, faults);
    let before = faults.errors();
    let routes = routes::read(root, &declared, faults);
    // A route that could not be read may be the one that uses a service.
    if faults.errors() == before {
        let used: HashSet<_> = routes.iter().map(|route| route.service.as_str()).collect();
        let read: HashSet<_> = services.iter().map(|service| service.name.as_str()).collect();
        for (name, span) in &declared {
            if !used.contains(name) && read.contains(name) {
                let message = format!("service `{name}`: no route uses it");
                faults.push(Diagnostic::warning(codes::UNUSED_SERVICE, span.clone(), message));
            }
        }
    }
    Settings { runtime, listeners, plan: Plan { routes, services, listeners: terms } }
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
