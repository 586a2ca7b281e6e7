//! Counters with one writer: a worker adds with a plain load and store, anyone may read.
//!
//! No read-modify-write instruction and no fence: an addition costs what a plain integer costs (rule 2). Each worker's
//! counters live in a block of their own, aligned so that no two workers share a cache line.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count that one thread writes and any thread reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owning thread calls this: two writers would lose counts.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Adds one.
    #[inline]
    pub fn one(&self) {
        self.add(1);
    }

    /// Takes `n` away; for gauges such as connections now open.
    #[inline]
    pub fn sub(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(n), Ordering::Relaxed);
    }

    /// The count as this thread sees it now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_up_and_down() {
        let count = Counter::default();
        count.add(5);
        count.one();
        count.sub(2);
        assert_eq!(count.get(), 4);
    }
}
