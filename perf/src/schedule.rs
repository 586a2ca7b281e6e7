//! When each request of an open-loop load is due, and on which connection.
//!
//! The schedule is arithmetic and fixed before the first byte: request `k` is due `k / rate` after
//! the start, on connection `k mod connections`. A slow answer delays nothing that is due later,
//! so waiting behind it is counted as latency (no coordinated omission).

use std::time::Duration;

const NANOS: u128 = 1_000_000_000;

/// A constant rate over a number of connections.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    rate: u64,
    connections: u64,
    total: u64,
    /// The first so many requests are warm-up.
    warmup: u64,
}

impl Schedule {
    /// `rate` requests a second over `connections`, both at least 1, for `warmup` seconds that are
    /// not counted and `seconds` that are.
    pub fn new(rate: u64, connections: u64, warmup: u64, seconds: u64) -> Schedule {
        let warmup_count = rate.saturating_mul(warmup);
        Schedule {
            rate: rate.max(1),
            connections: connections.max(1),
            total: warmup_count.saturating_add(rate.saturating_mul(seconds)),
            warmup: warmup_count,
        }
    }

    /// How many requests there are, warm-up included.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many of them are counted.
    pub fn counted(&self) -> u64 {
        self.total - self.warmup
    }

    /// Whether request `k` is counted.
    pub fn counts(&self, k: u64) -> bool {
        k >= self.warmup
    }

    /// When request `k` is due, from the start.
    pub fn at(&self, k: u64) -> Duration {
        let nanos = u128::from(k) * NANOS / u128::from(self.rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// When the counted part begins.
    pub fn counted_from(&self) -> Duration {
        self.at(self.warmup)
    }

    /// Which connection request `k` is for.
    pub fn connection(&self, k: u64) -> usize {
        (k % self.connections) as usize
    }

    /// The `turn`-th request of a connection.
    pub fn request(&self, connection: usize, turn: u64) -> u64 {
        connection as u64 + turn * self.connections
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_times_are_exact_and_never_drift() {
        let schedule = Schedule::new(3, 2, 0, 10);
        assert_eq!(schedule.at(0), Duration::ZERO);
        assert_eq!(schedule.at(1), Duration::from_nanos(333_333_333));
        assert_eq!(schedule.at(3), Duration::from_secs(1));
        assert_eq!(schedule.at(3_000_000), Duration::from_secs(1_000_000));
        assert_eq!(schedule.total(), 30);
    }

    #[test]
    fn every_request_has_one_connection_and_turn() {
        let schedule = Schedule::new(10, 7, 0, 10);
        let mut turns = [0; 7];
        for k in 0..schedule.total() {
            let connection = schedule.connection(k);
            assert_eq!(schedule.request(connection, turns[connection]), k);
            turns[connection] += 1;
        }
        assert!(turns.iter().all(|count| (14..=15).contains(count)));
    }

    #[test]
    fn warm_up_comes_first_and_is_not_counted() {
        let schedule = Schedule::new(100, 4, 2, 3);
        assert_eq!((schedule.total(), schedule.counted()), (500, 300));
        assert!(!schedule.counts(199) && schedule.counts(200));
        assert_eq!(schedule.counted_from(), Duration::from_secs(2));
    }
}
