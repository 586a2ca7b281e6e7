//! `per` of a rate: what has a bucket of its own.

use coregate_core::base::limits;
use coregate_core::snapshot::plan::Per;

use super::keys::twice;
use super::perhaps;
use crate::codes;
use crate::item::{Item, quoted};
use crate::nearest::nearest;
use crate::read::{headers, too_many};
use crate::report::Faults;

/// The bits that are compared where nothing else is said: of IPv4 the whole address, of IPv6 the network that one subscriber has, who would
/// else have buckets without end.
const BITS: (u8, u8) = Per::ADDRESS_BITS;

/// The bits that there are.
const MOST: (u8, u8) = (32, 128);

/// What others call it.
const OTHER_NAMES: [(&str, &str); 18] = [
    ("ip", "address"),
    ("client_ip", "address"),
    ("client-ip", "address"),
    ("remote_addr", "address"),
    ("$remote_addr", "address"),
    ("$binary_remote_addr", "address"),
    ("source_ip", "address"),
    ("src", "address"),
    ("user", "consumer"),
    ("client", "consumer"),
    ("credential", "consumer"),
    ("key", "consumer"),
    ("api_key", "consumer"),
    ("path", "route"),
    ("uri", "route"),
    ("upstream", "service"),
    ("backend", "service"),
    ("header", "header:x-tenant"),
];

/// Reads it, one word or several.
pub(super) fn read(item: &Item<'_>, faults: &mut Faults) -> Vec<Per> {
    let words = perhaps(item, "word for what has a bucket of its own", "consumer", faults);
    too_many(item, "words in `per`", words.len(), limits::PER_OF_RATE, faults);
    let mut all: Vec<Per> = Vec::new();
    for (word, item) in words {
        let Some(per) = one(word, &item, faults) else { continue };
        let alike = |other: &Per| match (other, &per) {
            // Of two networks the smaller would say all.
            (Per::Address { .. }, Per::Address { .. }) => true,
            (other, per) => other == per,
        };
        match all.iter().any(alike) {
            true => twice(&quoted(word.split('/').next().unwrap_or(word)), &item, None, faults),
            false => all.push(per),
        }
    }
    all
}

fn one(word: &str, item: &Item<'_>, faults: &mut Faults) -> Option<Per> {
    match word {
        "consumer" => return Some(Per::Consumer),
        "route" => return Some(Per::Route),
        "service" => return Some(Per::Service),
        "address" => return Some(Per::Address { v4: BITS.0, v6: BITS.1 }),
        _ => {}
    }
    if let Some(bits) = word.strip_prefix("address/") {
        return address(word, bits, item, faults);
    }
    if let Some(name) = word.strip_prefix("header:") {
        return headers::field(name.trim(), item, faults).map(Per::Header);
    }
    let lower = word.trim().to_ascii_lowercase();
    let other = OTHER_NAMES.iter().find(|(other, _)| *other == lower).map(|(_, meant)| *meant);
    let known = ["consumer", "address", "route", "service"];
    let near = other.or_else(|| nearest(&lower, known)).map(str::to_owned);
    let spaced = lower.split_once(':').filter(|(before, _)| before.trim() == "header");
    let near = near.or_else(|| spaced.map(|(_, name)| format!("header:{}", name.trim())));
    let suggestion = match near {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("write \"header:{}\" for a header field, or \"consumer\"", "x-tenant"),
    };
    let why = format!(
        "{}: expected \"consumer\", \"address\", \"header:NAME\", \"route\" or \"service\"",
        quoted(word)
    );
    item.refuse(codes::PER, why, Some(suggestion), faults)
}

/// `24` or `24/64`.
fn address(word: &str, bits: &str, item: &Item<'_>, faults: &mut Faults) -> Option<Per> {
    let (v4, v6) = match bits.split_once('/') {
        Some((v4, v6)) => (v4, Some(v6)),
        None => (bits, None),
    };
    let number = |text: &str, most: u8| {
        let digits = text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty();
        text.parse::<u8>().ok().filter(|bits| digits && (1..=most).contains(bits))
    };
    match (number(v4, MOST.0), v6.map(|v6| number(v6, MOST.1))) {
        (Some(v4), None) => Some(Per::Address { v4, v6: BITS.1 }),
        (Some(v4), Some(Some(v6))) => Some(Per::Address { v4, v6 }),
        (v4_bits, v6_bits) => {
            let only_v6 = number(v4, MOST.1).filter(|_| v4_bits.is_none() && v6_bits.is_none());
            let suggestion = match only_v6 {
                Some(v6) => format!("write \"address/32/{v6}\""),
                None => "write \"address/24\", or \"address/24/64\" for IPv6 too".to_owned(),
            };
            let why = format!(
                "{}: expected 1 to {} bits of IPv4, and 1 to {} of IPv6 behind them",
                quoted(word),
                MOST.0,
                MOST.1
            );
            item.refuse(codes::PER, why, Some(suggestion), faults)
        }
    }
}
