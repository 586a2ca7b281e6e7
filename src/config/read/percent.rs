//! Shares of a hundred.

use coregate_core::snapshot::plan::Share;

use crate::item::{Item, Value, quoted};
use crate::report::Faults;
use crate::{codes, units};

/// 100 %, in hundredths.
const ALL: u32 = Share::ALL;

/// A percent, in hundredths.
pub(super) fn hundredths(item: &Item<'_>, faults: &mut Faults) -> Option<u32> {
    const EXPECTED: &str = "a percent such as \"95%\" or \"12.5%\"";
    let Value::String(text) = item.value() else {
        let number = item.decimal().map(|number| format!("write \"{number}%\""));
        let suggestion = number.unwrap_or_else(|| "write \"12.5%\"".to_owned());
        return item.wrong_type(EXPECTED, Some(suggestion), faults);
    };
    match units::percent(text) {
        Ok(hundredths) if hundredths <= ALL => Some(hundredths),
        Ok(_) => {
            let why = format!("{}: expected 0% to 100%", quoted(text));
            item.refuse(codes::PERCENT, why, Some("write \"100%\"".to_owned()), faults)
        }
        Err(fault) => {
            let why = format!("expected {EXPECTED}, at most two digits behind the point");
            let meant = fault.meant.unwrap_or_else(|| "50%".to_owned());
            let suggestion = Some(format!("write \"{meant}\""));
            item.refuse(
                codes::PERCENT,
                format!("{why}, found {}", quoted(text)),
                suggestion,
                faults,
            )
        }
    }
}

/// A whole percent from 1 to 100.
pub(super) fn whole(item: &Item<'_>, faults: &mut Faults) -> Option<u8> {
    let hundredths = hundredths(item, faults)?;
    let (percent, part) = (hundredths / 100, hundredths % 100);
    let small = u8::try_from(percent).ok().filter(|percent| part == 0 && *percent > 0);
    if small.is_none() {
        let shown = units::show_percent(u64::from(hundredths));
        let why = format!("{shown}: expected a whole percent from 1% to 100%");
        let meant = format!("write \"{}%\"", percent.max(1));
        return item.refuse(codes::PERCENT, why, Some(meant), faults);
    }
    small
}
