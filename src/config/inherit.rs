//! What tables take over: `extends` the keys of another service, then `[defaults]` those of its tables. A key that is
//! written stays; tables are put together key by key, arrays and all else replace each other whole.
//!
//! Here the tree is changed and nothing is judged but `extends` itself: what stands in a service is judged where it is
//! written, what stands in `[defaults]` by [`read::defaults`](crate::read::defaults).

mod extends;
mod health;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::rc::Rc;

use coregate_core::base::limits;

use crate::codes;
use crate::node::{Entry, Heritage, Kind, Node, Table, joined};
use crate::read::defaults::{FOR_KNOWN, FOR_SERVICES, Section, may};
use crate::read::{FOR_REQUESTS, SILENCE, SIZES, is_path};
use crate::report::{Diagnostic, Faults};

/// Lets every table of the tree take over what it does.
pub(crate) fn apply(root: &mut Table, faults: &mut Faults) {
    health::spell_out(root);
    let mut heirs = Heirs { left: Some(limits::INHERITED_VALUES), faults };
    if let Some(services) = root.get_mut("services").and_then(Entry::table_mut) {
        extends::apply(services, &mut heirs);
    }
    let Some(defaults) = root.get("defaults").map(|entry| Rc::clone(&entry.node)) else { return };
    let Some(defaults) = defaults.as_table() else { return };
    for section in Section::ALL {
        let Some(mut table) =
            defaults.get(section.key()).and_then(|entry| entry.node.as_table().cloned())
        else {
            continue;
        };
        table.retain(|key, _| may(section, key));
        let Some(into) = root.get_mut(section.tables()).and_then(Entry::table_mut) else {
            continue;
        };
        if table.is_empty() {
            continue;
        }
        match section {
            Section::Service => heirs.services(into, &table),
            Section::Listener => heirs.listeners(into, &table),
            Section::Route => heirs.routes(into, &table, true),
        }
    }
}

/// The tables that take something over.
struct Heirs<'f> {
    /// So many values may still be taken over; none if it were too many, which was said.
    left: Option<usize>,
    faults: &'f mut Faults,
}

impl Heirs<'_> {
    fn services(&mut self, services: &mut Table, defaults: &Table) {
        for entry in services.values_mut() {
            self.defaults(entry, defaults, Section::Service);
        }
    }

    fn listeners(&mut self, listeners: &mut Table, defaults: &Table) {
        let silent = without(&without(defaults, "timeout", &SILENCE), "limits", &SIZES);
        let mut tcp = without(&silent, "timeout", &["head"]);
        let mut tcp_proxied = silent;
        for table in [&mut tcp, &mut tcp_proxied] {
            table.retain(|key, _| !FOR_REQUESTS.contains(&key.as_str()));
        }
        for entry in listeners.values_mut() {
            let Some(table) = entry.node.as_table() else { continue };
            let has = |key: &str| table.contains_key(key);
            // Where no requests are read, what is for requests is not taken over.
            let defaults = match (has("tcp"), has(PROXIED) || defaults.contains_key(PROXIED)) {
                (false, _) => defaults,
                (true, true) => &tcp_proxied,
                (true, false) => &tcp,
            };
            self.defaults(entry, defaults, Section::Listener);
        }
    }

    /// Routes, or the hosts that hold them.
    fn routes(&mut self, routes: &mut Table, defaults: &Table, hosts: bool) {
        for (key, entry) in routes {
            let own = entry.node.as_table();
            let is_route =
                |table: &Table| table.contains_key("path_regex") || table.contains_key("to");
            match own {
                Some(own) if hosts && !is_path(key) && !is_route(own) => {
                    if let Some(host) = entry.table_mut() {
                        self.routes(host, defaults, false);
                    }
                }
                Some(_) | None => self.route(entry, defaults),
            }
        }
    }

    fn route(&mut self, entry: &mut Entry, defaults: &Table) {
        let place = entry.span.clone();
        match &mut Rc::make_mut(&mut entry.node).kind {
            Kind::Table(table) => self.route_table(table, defaults, &place),
            Kind::Array(routes) => {
                for route in routes {
                    if let Kind::Table(table) = &mut route.kind {
                        self.route_table(table, defaults, &place);
                    }
                }
            }
            Kind::String(_) => {
                // The name of a service is short for a table that holds it.
                let node = Rc::clone(&entry.node);
                let to = Entry { span: node.span.clone(), node, heritage: None };
                let mut table = Table::from([("to".to_owned(), to)]);
                self.route_table(&mut table, defaults, &place);
                let node = Node { span: entry.node.span.clone(), kind: Kind::Table(table) };
                entry.node = Rc::new(node);
            }
            Kind::Integer { .. } | Kind::Float(_) | Kind::Boolean(_) | Kind::Datetime(_) => {}
        }
    }

    fn route_table(&mut self, table: &mut Table, defaults: &Table, place: &Range<usize>) {
        let to_service = ["to", "split"].iter().any(|key| table.contains_key(*key));
        let open =
            table.get("auth").is_some_and(|auth| matches!(auth.node.kind, Kind::Boolean(false)));
        let mut defaults = defaults.clone();
        defaults.retain(|key, _| to_service || !FOR_SERVICES.contains(&key.as_str()));
        // Where nobody is asked who calls, nobody is known.
        defaults.retain(|key, _| !(open && FOR_KNOWN.contains(&key.as_str())));
        self.take(table, &defaults, &heritage(&Section::Route.path(), None), place);
    }

    fn defaults(&mut self, heir: &mut Entry, defaults: &Table, section: Section) {
        let place = heir.span.clone();
        if let Some(table) = heir.table_mut() {
            self.take(table, defaults, &heritage(&section.path(), None), &place);
        }
    }

    /// Gives a table what it lacks of another. `place` is the heir's.
    fn take(
        &mut self,
        heir: &mut Table,
        from: &Table,
        heritage: &Rc<Heritage>,
        place: &Range<usize>,
    ) {
        for (key, entry) in from {
            let came = entry.heritage.as_ref().unwrap_or(heritage);
            let Some(own) = heir.get_mut(key) else {
                if self.spend(&entry.node, place) {
                    let heritage = Some(Rc::clone(came));
                    heir.insert(key.clone(), Entry { heritage, ..entry.clone() });
                }
                continue;
            };
            if let (true, Some(from)) = (own.node.as_table().is_some(), entry.node.as_table())
                && let Some(own) = own.table_mut()
            {
                let within = joined(&came.parent, key);
                let from = health::fitting(key, own, from);
                self.take(own, &from, &self::heritage(&within, came.service.as_deref()), place);
            }
        }
    }

    /// Whether a value more may be taken over, with all within it; said once if not, and then nothing is counted any more.
    fn spend(&mut self, node: &Node, place: &Range<usize>) -> bool {
        let Some(left) = self.left else { return false };
        self.left = left.checked_sub(node.count());
        if self.left.is_none() {
            let most = limits::INHERITED_VALUES;
            let message = format!(
                "`extends` and `[defaults]` stand for more values than there may be: expected at most {most}"
            );
            self.faults.push(Diagnostic::error(codes::TOO_MANY, place.clone(), message));
        }
        self.left.is_some()
    }
}

const PROXIED: &str = "proxy_protocol";

fn heritage(parent: &str, service: Option<&str>) -> Rc<Heritage> {
    Rc::new(Heritage { parent: parent.to_owned(), service: service.map(str::to_owned) })
}

/// The table without some keys of a table in it.
fn without(table: &Table, within: &str, keys: &[&str]) -> Table {
    let mut table = table.clone();
    if let Some(inner) = table.get_mut(within).and_then(Entry::table_mut) {
        inner.retain(|key, _| !keys.contains(&key.as_str()));
        if inner.is_empty() {
            table.remove(within);
        }
    }
    table
}
