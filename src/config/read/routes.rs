//! `[routes]`: which requests go where.
//!
//! A key that begins with `/` or a method is a path on any host; any other key is a host that holds such paths.

use std::collections::HashMap;
use std::ops::Range;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{HostPattern, PathPattern, RoutePlan};

use super::patterns::{self, is_path, not_a_path};
use super::services::Declared;
use super::too_many;
use crate::codes;
use crate::fields::Fields;
use crate::item::{Item, Value, not_supported, quoted, shown};
use crate::report::{Diagnostic, Faults};
use crate::words::TOP;

const KEYS: &[&str] = &["to"];

/// Reads the routes; `requests` is whether there may be a listener that routes requests.
pub(super) fn read<'t>(
    root: &Fields<'t>,
    services: &Declared<'t>,
    requests: bool,
    faults: &mut Faults,
) -> Vec<RoutePlan> {
    let mut reader = Reader { services, seen: HashMap::new(), routes: Vec::new(), count: 0 };
    let item = root.get("routes");
    let before = faults.errors();
    if let Some(fields) = item.as_ref().and_then(|item| item.table(faults)) {
        for item in fields.items() {
            if is_path(item.key) {
                reader.route(Some(&HostPattern::Any), &item, faults);
            } else {
                reader.host(&item, faults);
            }
        }
    }
    let none = reader.count == 0 && faults.errors() == before;
    if requests && none && !root.misspells(&["routes"], TOP) {
        let service = services.any();
        let message = "no routes: every request would be answered with 404";
        let fault = Diagnostic::error(codes::MISSING, item.as_ref().map(Item::span), message);
        faults.push(fault.suggest(format!("under [routes] write \"/*\" = \"{service}\"")));
    }
    if let (false, false, Some(item)) = (requests, none, &item) {
        let message = "these routes are never used: every listener has `tcp`";
        faults.push(Diagnostic::warning(codes::UNUSED_ROUTES, item.span(), message));
    }
    reader.slashes(faults);
    if let Some(item) = &item {
        too_many(item, "routes", reader.count, limits::ROUTES, faults);
    }
    reader.routes
}

/// Reports what is wrong with what `[defaults]` holds for routes.
pub(super) fn check_terms(fields: &Fields<'_>, faults: &mut Faults) {
    fields.check(&[], faults);
}

struct Reader<'r, 't> {
    services: &'r Declared<'t>,
    /// Where each pair of host and path stands first.
    seen: HashMap<(HostPattern, PathPattern), Range<usize>>,
    routes: Vec<RoutePlan>,
    count: usize,
}

impl<'t> Reader<'_, 't> {
    /// Warns of `/users/`, unless `/users/*` stands there too: then it is known that it takes nothing below it.
    fn slashes(&self, faults: &mut Faults) {
        for route in &self.routes {
            let path = route.path.to_string();
            let Some(prefix) = path.strip_suffix('/') else { continue };
            let Ok(below) = format!("{prefix}/*").parse() else { continue };
            let below = (route.host.clone(), below);
            let place = self.seen.get(&(route.host.clone(), route.path.clone()));
            if let (false, Some(place)) = (self.seen.contains_key(&below), place) {
                let (path, below) = (quoted(&path), quoted(&below.1.to_string()));
                let message = format!("route {path} matches only {path}");
                let fault = Diagnostic::warning(codes::SLASH_ALONE, place.clone(), message);
                faults.push(fault.suggest(format!("for all below write {below}")));
            }
        }
    }

    fn host(&mut self, item: &Item<'t>, faults: &mut Faults) {
        let key = item.key;
        if let Some(fault) = patterns::neither(item) {
            faults.push(fault);
            return;
        }
        if key.contains('/') {
            // Hosts have no slashes: this is a path without its first.
            let message = format!("{}: a path begins with \"/\"", quoted(key));
            let suggestion = format!("write {}", quoted(&format!("/{key}")));
            faults.push(Diagnostic::error(codes::PATH, item.span(), message).suggest(suggestion));
            self.target(item, faults);
            return;
        }
        let host = patterns::host(item, faults);
        let paths = match item.value() {
            Value::Table(paths) => paths,
            Value::String(_) | Value::Array(_) | Value::Other => {
                if let Some(fault) = item.elsewhere() {
                    faults.push(fault);
                    return;
                }
                let suggestion = format!("under [routes.\"{key}\"] write \"/*\" = ...");
                item.wrong_type::<()>("a table of paths", Some(suggestion), faults);
                return;
            }
        };
        for path in paths.items() {
            if is_path(path.key) {
                self.route(host.as_ref(), &path, faults);
            } else {
                let dotted = matches!(path.value(), Value::Table(_));
                let elsewhere = path.elsewhere().filter(|_| !dotted);
                faults.push(elsewhere.unwrap_or_else(|| not_a_path(key, &path)));
            }
        }
    }

    /// A path and what it holds. Without a host it is read for its faults alone.
    fn route(&mut self, host: Option<&HostPattern>, item: &Item<'t>, faults: &mut Faults) {
        self.count += 1;
        let path = patterns::path(item, faults);
        let service = self.target(item, faults);
        let (Some(host), Some(path)) = (host, path) else { return };
        let tie = (host.clone(), path.clone());
        let first = self.seen.get(&tie).cloned();
        let route = RoutePlan::to(tie.0.clone(), path, &service.unwrap_or_default());
        if let Some(first) = first {
            let message = format!("route {} stands twice", shown(&route.name()));
            let fault = Diagnostic::error(codes::ROUTE_TWICE, item.span(), message);
            faults.push(fault.also(first, "takes the same requests"));
        } else {
            let normal = route.path.to_string();
            if normal != item.key {
                let message = format!("route {} is {}", quoted(item.key), quoted(&normal));
                let fault = Diagnostic::warning(codes::NOT_NORMAL, item.span(), message);
                faults.push(fault.suggest(format!("write {}", quoted(&normal))));
            }
            self.seen.insert(tie, item.span());
            self.routes.push(route);
        }
    }

    /// The service that a route names.
    fn target(&self, item: &Item<'t>, faults: &mut Faults) -> Option<String> {
        let to = match item.value() {
            Value::String(_) => item.clone(),
            Value::Table(fields) => {
                fields.check(KEYS, faults);
                match fields.get("to") {
                    Some(to) => to,
                    None => {
                        // A `split` would name services, and that it is not supported has been said.
                        if !fields.has_any(&["split"]) && !fields.misspells(&["to"], KEYS) {
                            let message = format!("route {} names no service", shown(item.key));
                            let fault = Diagnostic::error(codes::MISSING, fields.span(), message);
                            let service = self.services.any();
                            faults.push(fault.suggest(format!("write to = \"{service}\"")));
                        }
                        return None;
                    }
                }
            }
            Value::Array(_) => {
                faults.push(not_supported(item.span(), "an array of tables under a route"));
                return None;
            }
            Value::Other => {
                return item.wrong_type("the name of a service or a table", None, faults);
            }
        };
        self.services.named(&to, faults).map(str::to_owned)
    }
}
