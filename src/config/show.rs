//! A configuration printed as it was put together: its files as one, with what its tables take over, with what is built in,
//! and where each value comes from.
//!
//! What is printed as TOML is itself a file that says the same. The built-in values are not listed here: they are what the
//! typed settings hold where nothing was written.

mod layout;
#[cfg(test)]
pub(crate) mod tests;
mod value;

use std::collections::HashMap;

use serde_json::{Map, Value};

use self::layout::{Section, sections};
use self::value::{Shape, key, written};
use crate::changes::{policies, terms};
use crate::inherit;
use crate::node::{Entry, Kind, Node, Table};
use crate::read::{FOR_REQUESTS, SILENCE, SIZES};
use crate::report::{Faults, Report};
use crate::settings::Settings;
use crate::sources::Sources;

/// What is shown of a configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wish {
    /// With `[defaults]` and `extends` carried out, and the built-in values filled in.
    pub expanded: bool,
    /// With the place that each value comes from.
    pub origin: bool,
    /// As JSON and not as TOML.
    pub json: bool,
}

/// A configuration as it is shown.
#[derive(Debug)]
pub struct Shown {
    /// It, as TOML or JSON; none if there was any error.
    pub text: Option<String>,
    /// What is wrong with it.
    pub report: Report,
}

/// What stands in the files. `root` is what was put together before anything was taken over.
pub(crate) fn shown(root: &Table, settings: &Settings, sources: &Sources, wish: Wish) -> String {
    let mut root = root.clone();
    if wish.expanded {
        expand(&mut root);
    }
    let mut sections = sections(&root);
    if wish.expanded {
        built_in(&mut sections, settings);
    }
    match wish.json {
        true => to_json(&sections, sources, wish.origin),
        false => to_toml(&sections, sources, wish.origin),
    }
}

/// Carries out what is short for something else.
fn expand(root: &mut Table) {
    if let Some(listen) = root.remove("listen") {
        // What a lone `listen` stands for.
        let span = listen.span.clone();
        let table = |key: &str, entry: Entry| {
            let kind = Kind::Table(Table::from([(key.to_owned(), entry)]));
            Entry::new(span.clone(), Node { span: span.clone(), kind })
        };
        root.insert("listeners".to_owned(), table("default", table("bind", listen)));
    }
    // What is wrong with it has been said.
    inherit::apply(root, &mut Faults::default());
    root.remove("defaults");
    let services = root.get_mut("services").and_then(Entry::table_mut);
    for service in services.into_iter().flat_map(Table::values_mut) {
        if let Some(service) = service.table_mut() {
            service.remove("extends");
        }
    }
}

/// Adds what is so because nothing else was written.
fn built_in(sections: &mut Vec<Section<'_>>, settings: &Settings) {
    if !sections.iter().any(|section| section.path == ["runtime"]) {
        let at = sections.iter().take_while(|section| section.path.is_empty()).count();
        sections.insert(at, Section { path: vec!["runtime".to_owned()], leaves: Vec::new() });
    }
    let services: HashMap<_, _> =
        settings.plan.services.iter().map(|service| (service.name.as_str(), service)).collect();
    let rates: HashMap<_, _> =
        settings.plan.rates.iter().map(|rate| (rate.name.as_str(), rate)).collect();
    for section in sections {
        let terms = match section.path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["runtime"] => terms::of_runtime(&settings.runtime),
            ["dns"] => terms::of_dns(&settings.dns),
            ["auth", name] => {
                let plan = settings.plan.auths.iter().find(|plan| plan.name == name);
                plan.map(policies::of_auth).unwrap_or_default()
            }
            ["rates", name] => {
                rates.get(name).map(|plan| policies::of_rate(plan)).unwrap_or_default()
            }
            ["services", name] => {
                services.get(name).map(|plan| terms::of_service(plan)).unwrap_or_default()
            }
            ["listeners", name] => {
                let plan = settings.plan.listeners.iter().find(|plan| plan.name == name);
                let mut terms = plan.map(terms::of_listener).unwrap_or_default();
                if plan.is_some_and(|plan| plan.tcp.is_some()) {
                    let proxied = plan.is_some_and(|plan| plan.proxy_protocol.is_some());
                    terms.retain(|(key, _)| !for_requests(key, proxied));
                }
                terms
            }
            _ => continue,
        };
        for (key, value) in terms {
            if let Some(kind) = written(&value) {
                section.add_built_in(key, kind);
            }
        }
    }
}

/// Whether a term of a listener means nothing where no requests are read; `proxied` is whether a PROXY protocol header is.
fn for_requests(key: &str, proxied: bool) -> bool {
    match key.split_once('.') {
        Some(("limits", key)) => SIZES.contains(&key),
        Some(("timeout", key)) => SILENCE.contains(&key) || (key == "head" && !proxied),
        Some((table, _)) => FOR_REQUESTS.contains(&table),
        None => FOR_REQUESTS.contains(&key),
    }
}

fn to_toml(sections: &[Section<'_>], sources: &Sources, origin: bool) -> String {
    let mut text = String::new();
    for section in sections {
        if !section.path.is_empty() {
            let blank = if text.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{blank}[{}]\n", dotted(&section.path)));
        }
        for leaf in &section.leaves {
            let value = Shape(&leaf.kind);
            text.push_str(&format!("{} = {value}", dotted(&leaf.path)));
            if origin {
                text.push_str(&format!("  # {}", leaf.origin(sources)));
            }
            text.push('\n');
        }
    }
    text
}

/// Objects in each other, as the tables are; with origins, each value is an object itself.
fn to_json(sections: &[Section<'_>], sources: &Sources, origin: bool) -> String {
    let mut root = Value::Object(Map::new());
    for section in sections {
        let at = place(&mut root, &section.path);
        for leaf in &section.leaves {
            let value = Shape(&leaf.kind).to_json();
            *place(at, &leaf.path) = match origin {
                true => leaf.with_origin(value, sources),
                false => value,
            };
        }
    }
    root.to_string()
}

/// What an object holds at a path of keys; an empty object, if there was nothing.
fn place<'v>(value: &'v mut Value, path: &[String]) -> &'v mut Value {
    path.iter().fold(value, |value, key| {
        let place = &mut value[key.as_str()];
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        place
    })
}

fn dotted(path: &[String]) -> String {
    path.iter().map(|part| key(part)).collect::<Vec<_>>().join(".")
}
