//! `instances` of a service: addresses, perhaps with weights, and where others are looked up.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{Address, AddressError, Source};

use super::{PORT, sources, words};
use crate::address::{self, Seen};
use crate::codes;
use crate::item::{Item, Value, not_supported, quoted, shown};
use crate::read::too_many;
use crate::report::{Diagnostic, Faults};

/// What a service has for instances.
#[derive(Debug, Default)]
pub(super) struct Instances {
    pub(super) addresses: Vec<Address>,
    /// Those that are not 1.
    pub(super) weights: BTreeMap<Address, u32>,
    pub(super) sources: Vec<Source>,
}

/// Reads an array of addresses and sources, or one source alone.
pub(super) fn read(item: &Item<'_>, faults: &mut Faults) -> Instances {
    const EXPECTED: &str = "an array of addresses";
    let mut found = Instances::default();
    let items = match item.value() {
        Value::Array(items) => items,
        Value::String(text) if sources::is_one(text) => {
            found.sources.extend(sources::read(item, text, faults));
            return found;
        }
        Value::String(text) => {
            let suggestion = Some(format!("write [{}]", quoted(text)));
            item.wrong_type::<()>(EXPECTED, suggestion, faults);
            return found;
        }
        Value::Table(_) | Value::Other => {
            let suggestion = address::of_port(item).or_else(|| of_table(item));
            let suggestion = suggestion.map(|one| one.replace("write ", "write [") + "]");
            item.wrong_type::<()>(EXPECTED, suggestion, faults);
            return found;
        }
    };
    too_many(item, "instances of a service", items.len(), limits::INSTANCES_PER_SERVICE, faults);
    let (mut seen, mut looked_up) = (Seen::default(), HashMap::new());
    for item in &items {
        if let Value::String(text) = item.value()
            && sources::is_one(text)
        {
            if let Some(source) = sources::read(item, text, faults) {
                note(&source, item, &mut looked_up, faults);
                found.sources.push(source);
            }
        } else if let Some((address, weight)) = instance(item, faults) {
            seen.note(&address, item, faults);
            if weight != 1 {
                found.weights.insert(address.clone(), weight);
            }
            found.addresses.push(address);
        }
    }
    let (count, most) = (found.sources.len(), limits::SOURCES_PER_SERVICE);
    too_many(item, "sources of instances of a service", count, most, faults);
    found
}

/// Reports a source that stands twice, at both places.
fn note(
    source: &Source,
    item: &Item<'_>,
    seen: &mut HashMap<Source, Range<usize>>,
    faults: &mut Faults,
) {
    if let Some(first) = seen.get(source) {
        let message = format!("{}: the same source stands twice", shown(item.path()));
        let fault = Diagnostic::error(codes::ADDRESS_TWICE, item.value_span(), message);
        faults.push(fault.also(first.clone(), "first here"));
    } else {
        seen.insert(source.clone(), item.value_span());
    }
}

/// An address and its weight.
fn instance(item: &Item<'_>, faults: &mut Faults) -> Option<(Address, u32)> {
    let Value::String(text) = item.value() else {
        if let Some(suggestion) = of_table(item) {
            let expected = "an address such as \"10.0.0.12:9000 weight=2\"";
            return item.wrong_type(expected, Some(suggestion), faults);
        }
        return address::read(item, PORT, faults).map(|address| (address, 1));
    };
    if let Some(rest) = text.trim().strip_prefix("https://") {
        let bare = rest.split('/').next().filter(|bare| bare.parse::<Address>().is_ok());
        let fault = not_supported(item.value_span(), "TLS to instances");
        let write = |bare| format!("write {}, if it speaks HTTP without TLS", quoted(bare));
        faults.push(fault.suggest(bare.map(write)));
        return None;
    }
    if let Some((address, behind)) = words::split(text) {
        let address = usable(item, address, faults);
        let weight = words::weight(item, text, behind, faults);
        return address.zip(weight);
    }
    if let Some(meant) = named(text) {
        let why = format!("{}: expected an IP address and port", quoted(text));
        let suggestion = Some(format!("write {}, and the name is looked up", quoted(&meant)));
        return item.refuse(codes::ADDRESS, why, suggestion, faults);
    }
    let address = address::read(item, PORT, faults)?;
    usable(item, address, faults).map(|address| (address, 1))
}

/// An address that can be connected to.
fn usable(item: &Item<'_>, address: Address, faults: &mut Faults) -> Option<Address> {
    if matches!(address, Address::Tcp(address) if address.port() == 0) {
        return item.refuse(codes::ADDRESS, "port 0: expected 1 to 65535", None, faults);
    }
    Some(address)
}

/// The source that a name stands for: `users.internal:9000`, `users.internal`, `http://users.internal:9000/`.
fn named(text: &str) -> Option<String> {
    let url = text.trim().strip_prefix("http://");
    let bare = url.map_or(text.trim(), |url| url.split(['/', '?', '#']).next().unwrap_or_default());
    let whole = match bare.parse::<Address>() {
        Err(AddressError::HostName(_)) => bare.to_owned(),
        Err(AddressError::Address(_)) => format!("{bare}:{PORT}"),
        Ok(_) | Err(AddressError::UnixPath(_)) => return None,
    };
    let (host, port) = whole.rsplit_once(':')?;
    let is_name = host.starts_with(|c: char| c.is_ascii_alphabetic()) && sources::is_host(host);
    // 127.0.0.1 is better than that.
    let right = is_name && !matches!(host, "localhost" | "unix") && port.parse::<u16>().is_ok();
    right.then(|| format!("dns:{whole}"))
}

/// What to write for a table that holds an address, and perhaps a weight.
fn of_table(item: &Item<'_>) -> Option<String> {
    let fields = item.fields()?;
    let text = |key| match fields.get(key)?.value() {
        Value::String(text) => Some(text),
        Value::Table(_) | Value::Array(_) | Value::Other => None,
    };
    let address = ["address", "addr", "url", "host"].into_iter().find_map(text)?;
    let address = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
    let address = address.parse::<Address>().ok()?;
    let weight = fields.get("weight").and_then(|item| item.decimal());
    let weight = weight.map_or_else(String::new, |weight| format!(" weight={weight}"));
    Some(format!("write {}", quoted(&format!("{address}{weight}"))))
}
