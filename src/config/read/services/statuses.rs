//! The statuses that pass a probe: `200`, `"200-299"`, `[204, "300-399"]`.

use std::ops::RangeInclusive;

use coregate_core::base::limits;

use crate::codes;
use crate::item::{Item, Value, quoted};
use crate::read::status;
use crate::read::too_many;
use crate::report::Faults;

/// Those of an answer that is final.
const FINAL: RangeInclusive<u16> = 200..=599;

/// Reads one, a range, or an array of them; in order.
pub(super) fn read(item: &Item<'_>, faults: &mut Faults) -> Option<Vec<RangeInclusive<u16>>> {
    let items = match item.value() {
        Value::Array(items) if items.is_empty() => {
            let suggestion = Some("write \"200-299\"".to_owned());
            return item.refuse(codes::MISSING, "expected at least one status", suggestion, faults);
        }
        Value::Array(items) => items,
        Value::String(_) | Value::Table(_) | Value::Other => vec![item.clone()],
    };
    too_many(item, "statuses", items.len(), limits::PROBE_STATUSES, faults);
    let ranges = items.iter().map(|item| range(item, faults)).collect::<Vec<_>>();
    let mut ranges = ranges.into_iter().collect::<Option<Vec<_>>>()?;
    ranges.sort_by_key(|range| (*range.start(), *range.end()));
    ranges.dedup();
    Some(ranges)
}

fn range(item: &Item<'_>, faults: &mut Faults) -> Option<RangeInclusive<u16>> {
    let Value::String(text) = item.value() else {
        return status::of_answer(item, faults).map(|status| status..=status);
    };
    let status = |text: &str| {
        let digits = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|status| digits && FINAL.contains(status))
    };
    let ends = text.split_once('-').map(|(first, last)| (status(first), status(last)));
    if let Some((Some(first), Some(last))) = ends.filter(|(first, last)| first <= last) {
        return Some(first..=last);
    }
    let meant = match (ends, text.trim().as_bytes()) {
        (Some((Some(first), Some(last))), _) => Some(format!("write \"{last}-{first}\"")),
        (None, [class @ b'2'..=b'5', b'x' | b'X', b'x' | b'X']) => {
            let class = char::from(*class);
            Some(format!("write \"{class}00-{class}99\""))
        }
        _ => status(text.trim())
            .map(|status| format!("write {status}"))
            .or_else(|| several(text, status).map(|all| format!("write [{all}]"))),
    };
    let why = format!("{}: expected a range of statuses such as \"200-299\"", quoted(text));
    item.refuse(codes::STATUS, why, meant.or_else(|| Some("write \"200-299\"".to_owned())), faults)
}

/// Statuses that stand in one text.
fn several(text: &str, status: impl Fn(&str) -> Option<u16>) -> Option<String> {
    let parts = text.split([',', ' ', '|']).filter(|part| !part.is_empty());
    let parts = parts.take(limits::ADVICE_VALUES + 1).map(|part| status(part).map(|_| part));
    let parts = parts.collect::<Option<Vec<_>>>()?;
    (2..=limits::ADVICE_VALUES).contains(&parts.len()).then(|| parts.join(", "))
}
