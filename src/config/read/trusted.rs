//! `proxy_protocol = { from = [...] }`: the peers that a listener trusts to say who the client is.

use std::net::SocketAddr;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::TrustedPeers;
use coregate_core::snapshot::trusted::{self, NetworkFault};

use super::too_many;
use crate::codes;
use crate::fields::Fields;
use crate::item::{Item, Value, quoted};
use crate::language::{self, known};
use crate::report::{Diagnostic, Faults};

const KEYS: &[&str] = known!(language::PROXY_PROTOCOL);

/// What stands for every peer on a Unix socket.
const UNIX: &str = "unix";

/// What suggestions show.
const EXAMPLE: &str = "10.0.0.0/8";

pub(super) fn read(item: &Item<'_>, faults: &mut Faults) -> Option<TrustedPeers> {
    let fields = item.table(faults)?;
    fields.check(KEYS, faults);
    match fields.get("from") {
        Some(from) => peers(&from, faults),
        None => {
            if !fields.misspells(&["from"], KEYS) {
                missing(item, &fields, faults);
            }
            None
        }
    }
}

fn missing(item: &Item<'_>, fields: &Fields<'_>, faults: &mut Faults) {
    let message = format!("`{}` names no peers that are trusted", item.path());
    let fault = Diagnostic::error(codes::MISSING, fields.span(), message);
    faults.push(fault.suggest(format!("write from = [\"{EXAMPLE}\"]")));
}

fn peers(item: &Item<'_>, faults: &mut Faults) -> Option<TrustedPeers> {
    let items = match item.value() {
        Value::Array(items) => items,
        Value::String(text) => {
            let suggestion = Some(format!("write [{}]", quoted(text)));
            return item.wrong_type("an array of networks", suggestion, faults);
        }
        Value::Table(_) | Value::Other => {
            return item.wrong_type("an array of networks", None, faults);
        }
    };
    if items.is_empty() {
        let why = "expected at least one network, address or \"unix\"";
        return item.refuse(codes::MISSING, why, Some(format!("write [\"{EXAMPLE}\"]")), faults);
    }
    too_many(item, "trusted networks", items.len(), limits::TRUSTED_NETWORKS, faults);
    let mut peers = TrustedPeers::default();
    for item in &items {
        let Some(text) = item.string("a network such as \"10.0.0.0/8\" or \"unix\"", faults) else {
            continue;
        };
        if text == UNIX {
            peers.unix = true;
            continue;
        }
        match trusted::network(text) {
            Ok(network) => peers.networks.push(network),
            Err(why) => {
                let suggestion = meant(text, &why).map(|meant| format!("write {}", quoted(&meant)));
                let why = format!("{}: {why}", quoted(text));
                item.refuse::<()>(codes::NETWORK, why, suggestion, faults);
            }
        }
    }
    Some(peers)
}

/// The network that was perhaps meant.
fn meant(text: &str, why: &NetworkFault) -> Option<String> {
    match why {
        NetworkFault::HostBits(right) => Some(right.to_string()),
        NetworkFault::Prefix { .. } => None,
        NetworkFault::Form => {
            let text = text.trim();
            if let Ok(address) = text.parse::<SocketAddr>() {
                return Some(address.ip().to_string());
            }
            match text.to_ascii_lowercase() {
                lower if lower.starts_with(UNIX) => Some(UNIX.to_owned()),
                lower if lower == "localhost" => Some("127.0.0.1".to_owned()),
                lower => trusted::network(&lower).is_ok().then_some(lower),
            }
        }
    }
}
