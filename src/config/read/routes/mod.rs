//! `[routes]`: which requests go where.
//!
//! A key that begins with `/` or a method is a path on any host; any other key is a host that holds such paths. Under a path
//! stands the name of a service, a table, or an array of tables that their predicates tell apart.
//!
//! ```text
//! host ─▶ key ─▶ table ─▶ when, forward | answer ─▶ RoutePlan ─▶ checks between all of them ─▶ loops of redirects
//! ```

mod answer;
mod checks;
mod forward;
mod key;
mod loops;
mod patterns;
mod regexes;
mod table;
mod template;
mod when;

use std::ops::Range;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{HostPattern, PathPattern, RoutePlan, RoutePolicies};

use self::key::Key;
pub(crate) use self::key::is_path;
use self::regexes::Regexes;
pub(super) use self::table::check_terms;
use super::policies::{Policies, Rate};
use super::services::{self, Declared};
use super::too_many;
use crate::codes;
use crate::fields::Fields;
use crate::item::{Item, Value, quoted};
use crate::report::{Diagnostic, Faults};
use crate::words::TOP;

/// What the listeners say of requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listening {
    /// Whether there may be a listener that routes requests.
    pub(super) requests: bool,
    /// Whether one of them has port 80.
    pub(super) port_80: bool,
    /// Whether clients come in to all of them by Unix sockets, and nobody says who they are.
    pub(super) unix: bool,
}

/// Reads the routes, and the rates that stand in them.
pub(super) fn read<'t>(
    root: &Fields<'t>,
    (services, policies): (&Declared<'t>, &Policies<'t>),
    Listening { requests, port_80, unix: _ }: Listening,
    faults: &mut Faults,
) -> (Vec<RoutePlan>, Vec<Rate>) {
    let mut reader = Reader {
        services,
        policies,
        regexes: Regexes::default(),
        found: Vec::new(),
        rates: Vec::new(),
        count: 0,
    };
    let item = root.get("routes");
    let before = faults.errors();
    if let Some(fields) = item.as_ref().and_then(|item| item.table(faults)) {
        let within = patterns::path_within(&fields);
        let is_route = within.is_some();
        within.into_iter().for_each(|fault| faults.push(fault));
        for item in fields.items() {
            if is_path(item.key) {
                reader.path(Some(&HostPattern::Any), &item, faults);
            } else if !is_route || item.fields().is_some() {
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
    if let Some(item) = &item {
        too_many(item, "routes", reader.count, limits::ROUTES, faults);
        too_many(item, "rates in routes", reader.rates.len(), limits::RATES, faults);
    }
    checks::all(&reader.found, port_80, faults);
    (reader.found.into_iter().map(|found| found.plan).collect(), reader.rates)
}

/// A route and where it stands.
#[derive(Debug)]
struct Found {
    plan: RoutePlan,
    /// Its key, or its table among several under one key.
    place: Range<usize>,
    /// The place of the key, and what is written there: what stands before the path, and the path.
    key: Range<usize>,
    before: String,
    written: String,
}

struct Reader<'r, 't> {
    services: &'r Declared<'t>,
    policies: &'r Policies<'t>,
    regexes: Regexes<'t>,
    found: Vec<Found>,
    /// The rates that stand in them.
    rates: Vec<Rate>,
    /// How many there are, those that could not be read included.
    count: usize,
}

impl<'t> Reader<'_, 't> {
    fn host(&mut self, item: &Item<'t>, faults: &mut Faults) {
        let key = item.key;
        if let Some(fault) = patterns::neither(item) {
            faults.push(fault);
            return;
        }
        // A host holds a table, and most have a dot.
        let word = matches!(item.value(), Value::String(_)) && !key.contains(['.', '*', ':']);
        if key.contains('/') || (word && item.elsewhere().is_none()) {
            // Hosts have no slashes: this is a path without its first.
            let message = format!("{}: a path begins with \"/\"", quoted(key));
            let suggestion = format!("write {}", quoted(&format!("/{key}")));
            faults.push(Diagnostic::error(codes::PATH, item.span(), message).suggest(suggestion));
            self.routes(None, None, item, faults);
            return;
        }
        if let Some(fault) = item.fields().and_then(|fields| patterns::path_within(&fields)) {
            faults.push(fault);
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
                let suggestion = match item.value() {
                    Value::String(service) if key == "*" => {
                        format!("write \"/*\" = {}", quoted(service))
                    }
                    _ => format!("under [routes.\"{key}\"] write \"/*\" = ..."),
                };
                item.wrong_type::<()>("a table of paths", Some(suggestion), faults);
                return;
            }
        };
        for path in paths.items() {
            if is_path(path.key) {
                self.path(host.as_ref(), &path, faults);
            } else {
                let dotted = matches!(path.value(), Value::Table(_));
                let elsewhere = path.elsewhere().filter(|_| !dotted);
                let fault = elsewhere.or_else(|| patterns::methods(&path));
                faults.push(fault.unwrap_or_else(|| patterns::not_a_path(key, &path)));
            }
        }
    }

    /// A path and what it holds. Without a host, which was refused, it is read for its faults alone.
    fn path(&mut self, host: Option<&HostPattern>, item: &Item<'t>, faults: &mut Faults) {
        let key = key::read(item, faults);
        self.routes(host, key.as_ref(), item, faults);
    }

    fn routes(
        &mut self,
        host: Option<&HostPattern>,
        key: Option<&Key>,
        item: &Item<'t>,
        faults: &mut Faults,
    ) {
        let Value::Array(items) = item.value() else {
            self.route(host, key, item, faults);
            return;
        };
        if items.is_empty() {
            let service = self.services.any();
            let suggestion = Some(format!("write \"{service}\""));
            item.refuse::<()>(codes::MISSING, "expected at least one table", suggestion, faults);
        }
        for item in &items {
            match item.value() {
                Value::Table(_) => self.route(host, key, item, faults),
                Value::String(name) => {
                    let address = services::instead(name);
                    let suggestion =
                        address.unwrap_or_else(|| format!("write {{ to = {} }}", quoted(name)));
                    item.wrong_type::<()>("a table", Some(suggestion), faults);
                }
                Value::Array(_) | Value::Other => {
                    let suggestion = format!("write {{ to = \"{}\" }}", self.services.any());
                    item.wrong_type::<()>("a table", Some(suggestion), faults);
                }
            }
        }
    }

    fn route(
        &mut self,
        host: Option<&HostPattern>,
        key: Option<&Key>,
        item: &Item<'t>,
        faults: &mut Faults,
    ) {
        self.count += 1;
        let known = (self.services, self.policies);
        let read = table::read(item, key, known, &mut self.regexes, faults);
        let (Some(host), Some(key), Some(read)) = (host, key, read) else { return };
        let path = read.regex.map_or_else(|| key.path.clone(), PathPattern::Regex);
        let mut plan = RoutePlan {
            given_name: read.name,
            host: host.clone(),
            path,
            when: read.when,
            priority: read.priority,
            action: read.action,
            terms: read.terms,
            policies: RoutePolicies::default(),
        };
        plan.policies = read.guard.of_route(&plan.name(), &mut self.rates);
        let (before, written) = (key.before.clone(), key.written.clone());
        self.found.push(Found { plan, place: item.span(), key: key.span.clone(), before, written });
    }
}
