//! Which services there are, by their names, before any of them is read.

use std::collections::{BTreeMap, HashSet};
use std::ops::{Bound, Range};

use coregate_core::snapshot::plan::Address;

use super::PORT;
use crate::codes;
use crate::fields::Fields;
use crate::item::{Item, Value, quoted};
use crate::nearest::nearest;
use crate::node::is_bare;
use crate::report::{Diagnostic, Faults};
use crate::words::TOP;

/// The names of all services and where they stand, those that cannot be read included.
#[derive(Debug)]
pub(in crate::read) struct Declared<'t> {
    places: BTreeMap<&'t str, Range<usize>>,
    /// Whether the services are lost under a wrong name, which has been said.
    misspelled: bool,
}

impl<'t> Declared<'t> {
    pub(in crate::read) fn of(root: &Fields<'t>) -> Self {
        let places = match root.get("services").map(|item| item.value()) {
            Some(Value::Table(services)) => {
                services.items().into_iter().map(|item| (item.key, item.span())).collect()
            }
            _ => BTreeMap::new(),
        };
        Self { places, misspelled: root.misspells(&["services"], TOP) }
    }

    pub(in crate::read) fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    pub(in crate::read) fn places(&self) -> &BTreeMap<&'t str, Range<usize>> {
        &self.places
    }

    /// Whether none of their names begins so.
    pub(in crate::read) fn misses(&self, prefix: &str) -> bool {
        let next = self.places.range::<str, _>((Bound::Included(prefix), Bound::Unbounded)).next();
        !self.misspelled && !next.is_some_and(|(name, _)| name.starts_with(prefix))
    }

    /// A service that suggestions can name.
    pub(in crate::read) fn any(&self) -> &'t str {
        self.places.keys().next().copied().unwrap_or("users")
    }

    /// The service that an item names; reported if there is none of that name.
    pub(in crate::read) fn named(&self, item: &Item<'t>, faults: &mut Faults) -> Option<&'t str> {
        let name = item.string("the name of a service", faults)?;
        self.check(name, item.value_span(), faults);
        Some(name)
    }

    /// Reports a name that stands at `span` and is no service's.
    pub(in crate::read) fn check(&self, name: &str, span: Range<usize>, faults: &mut Faults) {
        if !self.contains(name) && !self.misspelled {
            let message = format!("there is no service {}", quoted(name));
            let fault = Diagnostic::error(codes::UNKNOWN_SERVICE, span, message);
            let near = match faults.is_full() {
                false => nearest(name, self.places.keys().copied()),
                true => None,
            };
            let suggestion = match near {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => instead(name).unwrap_or_else(|| {
                    let name = if is_bare(name) { name } else { "users" };
                    format!(
                        "write [services.{name}] and below it instances = [\"127.0.0.1:{PORT}\"]"
                    )
                }),
            };
            faults.push(fault.suggest(suggestion));
        }
    }
}

/// What to write for an address that stands where the name of a service does.
pub(in crate::read) fn instead(text: &str) -> Option<String> {
    let url = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let bare = url.map_or(text, |url| url.split('/').next().unwrap_or_default());
    let address = bare.parse::<Address>().ok()?;
    Some(format!("write \"users\", and [services.users] with instances = [\"{address}\"]"))
}

/// The names of the services that others extend.
pub(in crate::read) fn extended<'t>(root: &Fields<'t>) -> HashSet<&'t str> {
    let services = root.get("services").and_then(|item| item.fields());
    let items = services.iter().flat_map(Fields::items);
    let extended = items.filter_map(|item| match item.fields()?.get("extends")?.value() {
        Value::String(name) => Some(name),
        Value::Table(_) | Value::Array(_) | Value::Other => None,
    });
    extended.collect()
}
