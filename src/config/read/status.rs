//! Statuses of answers.

use coregate_core::base::limits;

use crate::codes;
use crate::item::{Item, Value};
use crate::report::Faults;

/// RFC 9110 §15.4: those that send a client elsewhere by `Location`.
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

/// The status of a redirect.
pub(super) fn redirect(item: &Item<'_>, faults: &mut Faults) -> Option<u16> {
    let near = |status| match status {
        Some(300..=399) => "write 307, or 308 for good".to_owned(),
        Some(status @ 200..=599) => format!("write respond = {status} instead of redirect"),
        Some(_) | None => "write 307".to_owned(),
    };
    read(item, "301, 302, 303, 307 or 308", |status| REDIRECTS.contains(&status), near, faults)
}

/// The status of a final answer.
pub(super) fn of_answer(item: &Item<'_>, faults: &mut Faults) -> Option<u16> {
    let is_final = |status| (200..=599).contains(&status);
    read(item, "200 to 599", is_final, |_| "write 200".to_owned(), faults)
}

/// A status of those that `legal` lets stand here; `near` says what to write for another.
fn read(
    item: &Item<'_>,
    expected: &str,
    legal: impl Fn(u16) -> bool,
    near: impl Fn(Option<u16>) -> String,
    faults: &mut Faults,
) -> Option<u16> {
    let Some(decimal) = item.decimal() else {
        let number = match item.value() {
            Value::String(text) => text.trim().parse().ok().filter(|number| legal(*number)),
            Value::Table(_) | Value::Array(_) | Value::Other => None,
        };
        let suggestion = number.map_or_else(|| near(None), |number| format!("write {number}"));
        return item.wrong_type(&format!("a status, {expected}"), Some(suggestion), faults);
    };
    let status = decimal.parse().ok();
    match status.filter(|status| legal(*status)) {
        Some(status) => Some(status),
        None => {
            let cut: String = decimal.chars().take(limits::NUMBER_CHARS).collect();
            let why = format!("{cut}: expected {expected}");
            item.refuse(codes::STATUS, why, Some(near(status)), faults)
        }
    }
}
