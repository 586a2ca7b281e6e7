//! What stands behind an address: `weight=2`, and what others write there.

use std::fmt::Write;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;

use crate::codes;
use crate::item::{Item, quoted};
use crate::nearest::nearest;
use crate::report::Faults;
use crate::units;

const WEIGHT: &str = "weight";

/// An address and the words behind it, if there are both. A path may hold blanks: only a weight ends that of a socket.
pub(super) fn split(text: &str) -> Option<(Address, &str)> {
    let at = match text.starts_with("unix:") {
        true => text.rfind(" weight=")?,
        false => text.find(' ')?,
    };
    let (address, behind) = text.split_at(at);
    let address = address.parse().ok()?;
    let first = behind.split_whitespace().next()?;
    // Addresses in one text are another mistake.
    first.parse::<Address>().is_err().then_some((address, behind))
}

/// Reads the weight of the instance that `text` names, out of the words `behind` its address.
pub(super) fn weight(
    item: &Item<'_>,
    text: &str,
    behind: &str,
    faults: &mut Faults,
) -> Option<u32> {
    let address = text.get(..text.len() - behind.len()).unwrap_or_default();
    let word = behind.trim_start_matches(' ');
    let number = word.strip_prefix(WEIGHT).and_then(|rest| rest.strip_prefix('='));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let Some(number) = number.filter(|number| digits(number)) else {
        let why = format!("{}: expected nothing but weight=N behind an address", quoted(word));
        return item.refuse(codes::ADDRESS, why, Some(meant(address, word)), faults);
    };
    let most = limits::INSTANCE_WEIGHT;
    match number.parse().ok().filter(|weight| (1..=most).contains(weight)) {
        Some(weight) => Some(weight),
        None => item.out_of_range(word, &format!("{WEIGHT}=1 to {WEIGHT}={most}"), faults),
    }
}

/// What others say of one instance, and coregate of a service.
#[derive(Debug, Default)]
struct Meant {
    weight: Option<String>,
    health: Vec<String>,
    outlier: Vec<String>,
    slow_start: Option<String>,
}

/// What to write for the words that nginx and HAProxy have behind an address.
fn meant(address: &str, words: &str) -> String {
    let mut meant = Meant::default();
    let mut words = words.split([' ', '=']).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        let time = |text: &&str| units::duration(text).is_ok();
        let number = |text: &str| text.parse::<u32>().ok().map(|number| number.to_string());
        match word {
            "check" => meant.health.push("tcp = true".to_owned()),
            _ if nearest(word, [WEIGHT]).is_some() => meant.weight = words.next().and_then(number),
            "inter" => {
                // A number alone is milliseconds there.
                let every = words.next().map(|text| match number(text) {
                    Some(number) => format!("{number}ms"),
                    None => text.to_owned(),
                });
                let every = every.filter(|text| units::duration(text).is_ok());
                meant.health.extend(every.map(|every| format!("every = \"{every}\"")));
            }
            "rise" | "fall" => {
                let count = words.next().and_then(number);
                meant.health.extend(count.map(|count| format!("{word} = {count}")));
            }
            "max_fails" => {
                let count = words.next().and_then(number);
                meant.outlier.extend(count.map(|count| format!("failures = {count}")));
            }
            "fail_timeout" => {
                let ejected = words.next().filter(time);
                meant.outlier.extend(ejected.map(|time| format!("ejected = \"{time}\"")));
            }
            "slow_start" | "slowstart" => {
                meant.slow_start = words.next().filter(time).map(str::to_owned);
            }
            _ => {}
        }
    }
    meant.written(address)
}

impl Meant {
    fn written(self, address: &str) -> String {
        let Self { weight, health, outlier, slow_start } = self;
        let weight = weight.map_or_else(String::new, |weight| format!(" {WEIGHT}={weight}"));
        let mut text = format!("write {}", quoted(&format!("{address}{weight}")));
        let mut keys = Vec::new();
        for (key, parts) in [("health", health), ("outlier", outlier)] {
            if !parts.is_empty() {
                keys.push(format!("{key} = {{ {} }}", parts.join(", ")));
            }
        }
        keys.extend(slow_start.map(|time| format!("slow_start = \"{time}\"")));
        if !keys.is_empty() {
            // A `String` takes whatever is written to it.
            let _ = write!(text, ", and of the whole service {}", keys.join(", "));
        }
        text
    }
}
