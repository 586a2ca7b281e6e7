//! `extends = "NAME"`: a service that takes over what it lacks of another.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use coregate_core::base::limits;

use super::{Heirs, heritage};
use crate::codes;
use crate::item::{Item, quoted, shown};
use crate::nearest::nearest;
use crate::node::{Entry, Table, joined};
use crate::report::{Diagnostic, Faults};

/// The key.
const EXTENDS: &str = "extends";

/// Which service each extends, and where it says so.
type Links = BTreeMap<String, (String, Range<usize>)>;

pub(super) fn apply(services: &mut Table, heirs: &mut Heirs<'_>) {
    let links = links(services, heirs.faults);
    let mut done = HashSet::new();
    for name in links.keys() {
        // From the heir to the one that extends none: a chain may be as long as there are services.
        let mut chain: Vec<&str> = Vec::new();
        let mut within = HashSet::new();
        let mut at = name.as_str();
        while let Some((base, _)) = links.get(at).filter(|_| !done.contains(at)) {
            if !within.insert(at) {
                let start = chain.iter().position(|member| *member == at).unwrap_or(0);
                circle(&chain.split_off(start), &links, &mut done, heirs.faults);
                break;
            }
            chain.push(at);
            at = base;
        }
        for heir in chain.into_iter().rev() {
            done.insert(heir);
            take(services, heir, &links, heirs);
        }
    }
}

/// Gives a service what it lacks of the one that it extends, which has all that it will have.
fn take(services: &mut Table, heir: &str, links: &Links, heirs: &mut Heirs<'_>) {
    let Some((name, place)) = links.get(heir) else { return };
    let Some(mut base) = services.get(name).and_then(|entry| entry.node.as_table().cloned()) else {
        return;
    };
    base.remove(EXTENDS);
    let Some(table) = services.get_mut(heir).and_then(Entry::table_mut) else { return };
    heirs.take(table, &base, &heritage(&joined("services", name), Some(name)), place);
}

/// What the services extend, as far as it can be.
fn links(services: &Table, faults: &mut Faults) -> Links {
    let mut links = Links::new();
    for (name, service) in services {
        let Some((key, entry)) =
            service.node.as_table().and_then(|table| table.get_key_value(EXTENDS))
        else {
            continue;
        };
        let item = Item::new(&joined("services", name), key, entry, false);
        let Some(base) = item.string("the name of a service", faults) else { continue };
        if services.contains_key(base) {
            links.insert(name.clone(), (base.to_owned(), item.value_span()));
            continue;
        }
        let message = format!("there is no service {}", quoted(base));
        let near = match faults.is_full() {
            false => {
                let others = services.keys().filter(|other| *other != name);
                nearest(base, others.map(String::as_str))
            }
            true => None,
        };
        let suggestion = near.map(|near| format!("did you mean \"{near}\"?"));
        let fault = Diagnostic::error(codes::UNKNOWN_SERVICE, item.value_span(), message);
        faults.push(fault.suggest(suggestion));
    }
    links
}

/// Reports services that extend each other; none of them takes anything over.
fn circle<'l>(
    members: &[&'l str],
    links: &'l Links,
    done: &mut HashSet<&'l str>,
    faults: &mut Faults,
) {
    done.extend(members);
    let place = |member: &str| links.get(member).map(|(_, place)| place.clone());
    let names = members
        .iter()
        .take(limits::CIRCLE_SHOWN)
        .chain(members.first())
        .copied()
        .collect::<Vec<_>>();
    let message = match members {
        [one] => format!("service {} extends itself", shown(one)),
        _ => format!("services extend each other: {}", names.join(" -> ")),
    };
    let mut places = members.iter().take(limits::CIRCLE_SHOWN).filter_map(|member| place(member));
    let Some(first) = places.next() else { return };
    let fault = Diagnostic::error(codes::CIRCLE, first, message);
    faults.push(places.fold(fault, |fault, place| fault.also(place, "and here")));
}
