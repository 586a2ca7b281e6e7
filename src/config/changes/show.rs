//! Changes as lines and as JSON.
//!
//! Lines are for people: bounded in number and length, each on one line whatever a path holds. JSON holds every change
//! whole; its size is bounded by that of the two files.

use std::fmt::{self, Display};

use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;
use serde_json::{Map, Value, json};

use super::{Change, Changes, Kind, Term, What};
use crate::item::plain;

impl Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, change) in self.list.iter().take(limits::CHANGES_SHOWN).enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            write!(f, "{end}{change}")?;
        }
        match self.list.len().saturating_sub(limits::CHANGES_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n... and {} more", grouped(more)),
        }
    }
}

impl Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = [self.kind.word(), &line(&self.name)].join(" ");
        let name = name.trim_end();
        match &self.what {
            What::Added { addresses, sources, service } => {
                write!(f, "+ {name}")?;
                let addresses = [items("", addresses), items("", sources)];
                let addresses = addresses.into_iter().filter(|items| !items.is_empty());
                let addresses = addresses.collect::<Vec<_>>().join(", ");
                match (self.kind, addresses.is_empty()) {
                    (Kind::Service, true) => write!(f, " without instances")?,
                    (_, true) => {}
                    (Kind::Listener, false) => write!(f, " on {addresses}")?,
                    (_, false) => write!(f, " with {addresses}")?,
                }
                match service {
                    Some(service) => write!(f, " -> {}", line(service)),
                    None => Ok(()),
                }
            }
            What::Removed => write!(f, "- {name}"),
            What::Changed { added, removed, terms } => {
                let addresses = [items("+ ", added), items("- ", removed)];
                let addresses = addresses.into_iter().filter(|items| !items.is_empty());
                let addresses = addresses.collect::<Vec<_>>().join(", ");
                let terms = terms.iter().take(limits::CHANGE_ITEMS_SHOWN).map(ToString::to_string);
                let parts = [addresses].into_iter().filter(|part| !part.is_empty()).chain(terms);
                write!(f, "~ {name}: {}", parts.collect::<Vec<_>>().join("; "))
            }
        }
    }
}

impl Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} -> {}", self.key, line(&self.old), line(&self.new))
    }
}

impl Kind {
    /// What one of the kind is called.
    fn word(self) -> &'static str {
        match self {
            Self::Runtime => "runtime",
            Self::Token => "token",
            Self::Consumer => "consumer",
            Self::Auth => "auth",
            Self::Rate => "rate",
            Self::Quota => "quota",
            Self::Listener => "listener",
            Self::Service => "service",
            Self::Route => "route",
        }
    }
}

/// Addresses with commas, each with `sign` before it; the last item is their number where there are too many.
fn items(sign: &str, addresses: &[impl Display]) -> String {
    let shown = addresses.iter().take(limits::CHANGE_ITEMS_SHOWN);
    let mut shown: Vec<_> =
        shown.map(|address| format!("{sign}{}", line(&address.to_string()))).collect();
    let more = addresses.len() - shown.len();
    if more > 0 {
        shown.push(format!("{sign}{} more", grouped(more)));
    }
    shown.join(", ")
}

/// A text that does not end its line, cut where it is too long to read.
fn line(text: &str) -> String {
    match text.char_indices().nth(limits::CHANGE_CHARS) {
        Some((end, _)) => format!("{}...", plain(&text[..end])),
        None => plain(text),
    }
}

/// `1,234`
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl Changes {
    /// Every change: `runtime` is an array of terms (`key`, `old`, `new`); `tokens`, `consumers`, `auth`, `rates`, `quotas`, `listeners`, `services` and `routes` are
    /// objects of three arrays, `added`, `removed` and `changed`, whose elements have a `name` and besides
    ///
    /// - added: `bind` and perhaps `service` of a listener, `instances` of a service, which are addresses and sources, `service`
    ///   of a route;
    /// - changed: `terms`, and of a listener or service the addresses in `added` and `removed`.
    pub fn to_json(&self) -> Value {
        let mut runtime = Vec::new();
        let mut groups = [(); 8].map(|()| Group::default());
        let [tokens, consumers, auths, rates, quotas, listeners, services, routes] = &mut groups;
        for change in &self.list {
            match change.kind {
                Kind::Runtime => {
                    if let What::Changed { terms, .. } = &change.what {
                        runtime.extend(terms.iter().map(term));
                    }
                }
                Kind::Token => tokens.put(change, None),
                Kind::Consumer => consumers.put(change, None),
                Kind::Auth => auths.put(change, None),
                Kind::Rate => rates.put(change, None),
                Kind::Quota => quotas.put(change, None),
                Kind::Listener => listeners.put(change, Some("bind")),
                Kind::Service => services.put(change, Some("instances")),
                Kind::Route => routes.put(change, None),
            }
        }
        let [tokens, consumers, auths, rates, quotas, listeners, services, routes] =
            groups.map(Group::into_json);
        json!({
            "runtime": runtime,
            "tokens": tokens,
            "consumers": consumers,
            "auth": auths,
            "rates": rates,
            "quotas": quotas,
            "listeners": listeners,
            "services": services,
            "routes": routes,
        })
    }
}

/// The changes of one kind.
#[derive(Default)]
struct Group {
    added: Vec<Value>,
    removed: Vec<Value>,
    changed: Vec<Value>,
}

impl Group {
    /// Puts a change where it belongs; `addresses` is the key that holds the addresses of what is added, if it has any.
    fn put(&mut self, change: &Change, addresses: Option<&str>) {
        let mut fields = Map::new();
        fields.insert("name".to_owned(), change.name.as_str().into());
        let list = match &change.what {
            What::Added { addresses: all, sources, service } => {
                if let Some(key) = addresses {
                    let sources = sources.iter().cloned();
                    let all = all.iter().map(ToString::to_string).chain(sources);
                    fields.insert(key.to_owned(), all.collect());
                }
                if let Some(service) = service {
                    fields.insert("service".to_owned(), service.as_str().into());
                }
                &mut self.added
            }
            What::Removed => &mut self.removed,
            What::Changed { added, removed, terms } => {
                if addresses.is_some() {
                    fields.insert("added".to_owned(), texts(added));
                    fields.insert("removed".to_owned(), texts(removed));
                }
                fields.insert("terms".to_owned(), terms.iter().map(term).collect());
                &mut self.changed
            }
        };
        list.push(Value::Object(fields));
    }

    fn into_json(self) -> Value {
        json!({ "added": self.added, "removed": self.removed, "changed": self.changed })
    }
}

fn texts(addresses: &[Address]) -> Value {
    addresses.iter().map(ToString::to_string).collect()
}

fn term(term: &Term) -> Value {
    json!({ "key": term.key, "old": term.old, "new": term.new })
}
