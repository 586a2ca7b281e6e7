//! Which part of the requests that come to it in turn an instance gets: by its weight, and while it recovers.

use std::time::Duration;

use coregate_core::base::limits;

/// All of them, in parts of which the verdict's word counts.
const WHOLE: u64 = 1 << 16;

/// The share of an instance of this weight among others of at most `heaviest`, of 65,536, as a verdict's word has it: 0 is all of them.
/// `recovers`: for how long it has recovered, and how long that takes.
pub(super) fn share(weight: u32, heaviest: u32, recovers: Option<(Duration, Duration)>) -> u16 {
    let of_weight = WHOLE * u64::from(weight) / u64::from(heaviest.max(weight).max(1));
    let whole = of_weight * recovered(recovers) / WHOLE;
    // The word's zero is the whole: less than one part is one.
    if whole >= WHOLE { 0 } else { whole.max(1) as u16 }
}

/// From a tenth at first to the whole, in a line.
fn recovered(recovers: Option<(Duration, Duration)>) -> u64 {
    let Some((since, whole)) = recovers.filter(|(since, whole)| since < whole) else {
        return WHOLE;
    };
    let first = u64::from(limits::SLOW_START_SHARE);
    let rest = u128::from(WHOLE - first) * since.as_nanos() / whole.as_nanos().max(1);
    first + rest as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        let ten = Duration::from_secs(10);
        assert_eq!(share(1, 1, None), 0);
        assert_eq!(share(1, 2, None), 32_768);
        assert_eq!(share(3, 2, None), 0, "who is heavier than all others is the heaviest");
        assert_eq!(share(1, 65_535, None), 1);
        assert_eq!(share(1, 1, Some((Duration::ZERO, ten))), 6_554);
        assert_eq!(share(1, 1, Some((ten / 2, ten))), 36_045);
        assert_eq!(share(1, 2, Some((ten / 2, ten))), 18_022);
        assert_eq!(share(1, 1, Some((ten, ten))), 0);
        assert_eq!(share(1, 1, Some((Duration::ZERO, Duration::ZERO))), 0, "without slow start");
        assert_eq!(share(1, 65_535, Some((Duration::ZERO, ten))), 1, "some come nevertheless");
    }
}
