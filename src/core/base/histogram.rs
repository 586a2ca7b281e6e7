//! A histogram with one writer: eight buckets to each power of two, so that a value is known to an eighth.
//!
//! Recording costs two plain additions (see [`counter`](super::counter)); anyone may read. The unit is the writer's.

use std::array;

use super::counter::Counter;

/// Values below this have a bucket each.
const LINEAR: u64 = 16;
/// Powers of two above that: 67 s in microseconds is the largest that is told from larger ones.
const POWERS: usize = 22;
const BUCKETS: usize = LINEAR as usize + 8 * POWERS;

/// Counts of values, by size.
#[derive(Debug)]
pub struct Histogram {
    buckets: [Counter; BUCKETS],
    sum: Counter,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: array::from_fn(|_| Counter::default()), sum: Counter::default() }
    }
}

impl Histogram {
    /// Counts a value. Only the owning thread calls this.
    pub fn record(&self, value: u64) {
        self.buckets[bucket_of(value)].one();
        self.sum.add(value);
    }

    /// The sum of all values.
    pub fn sum(&self) -> u64 {
        self.sum.get()
    }

    /// Every bucket that counts anything: the largest value that falls into it, and how many did.
    pub fn counts(&self) -> Vec<(u64, u64)> {
        let counts = self.buckets.iter().enumerate().map(|(at, count)| (upper(at), count.get()));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

/// The value that `share` of all are not above (0.999 for p99.9), to an eighth; 0 without any. `counts` as
/// [`Histogram::counts`] gives them, or a difference of two such.
pub fn quantile(counts: &[(u64, u64)], share: f64) -> u64 {
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    let wanted = (share * all as f64).ceil() as u64;
    let mut seen = 0;
    for (upper, count) in counts {
        seen += count;
        if seen >= wanted && *count > 0 {
            return *upper;
        }
    }
    0
}

fn bucket_of(value: u64) -> usize {
    if value < LINEAR {
        return value as usize;
    }
    let power = value.ilog2();
    let eighth = (value >> (power - 3)) & 7;
    let at = LINEAR as usize + 8 * (power as usize - 4) + eighth as usize;
    at.min(BUCKETS - 1)
}

/// The largest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let Some(above) = bucket.checked_sub(LINEAR as usize) else { return bucket as u64 };
    let (power, eighth) = (above / 8 + 4, (above % 8) as u64);
    ((8 + eighth + 1) << (power - 3)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket() {
        for value in (0..5_000).chain([1 << 20, (1 << 25) + 12_345, (1 << 26) - 1]) {
            let bucket = bucket_of(value);
            assert!(value <= upper(bucket), "{value}");
            assert!(bucket == 0 || value > upper(bucket - 1), "{value}");
            assert!(upper(bucket) <= value + value / 8, "{value}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles() {
        let histogram = Histogram::default();
        assert_eq!(quantile(&histogram.counts(), 0.5), 0);
        (1..=1_000).for_each(|value| histogram.record(value));
        let counts = histogram.counts();
        for (share, expected) in [(0.001, 1), (0.5, 511), (0.999, 1_023), (1.0, 1_023)] {
            assert_eq!(quantile(&counts, share), expected, "{share}");
        }
        assert_eq!(histogram.sum(), 500_500);
    }
}
