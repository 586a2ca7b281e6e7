//! A sequence of numbers that looks random, from a seed that is given: for what only has to be spread (rule 5).

use std::time::Duration;

/// The sequence.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// Equal seeds give equal sequences.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number (splitmix64, Steele et al. 2014).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A part of `whole`, none of it up to nearly all.
    pub(super) fn part_of(&mut self, whole: Duration) -> Duration {
        part(whole, self.next() >> 32)
    }
}

/// So many parts of 2^32 of a time.
pub(super) fn part(whole: Duration, of_all: u64) -> Duration {
    let nanos = (whole.as_nanos() * u128::from(of_all)) >> 32;
    Duration::from_nanos(nanos.try_into().unwrap_or(u64::MAX))
}
