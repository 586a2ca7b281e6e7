//! Counters with one writer: a worker adds with a plain load and store, anyone may read.
//!
//! No read-modify-write instruction and no fence: an addition costs what a plain integer costs (rule 2). Each worker's
//! counters live in a block of their own, aligned so that no two workers share a cache line.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::base::zeroed;

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

    /// Makes it `n`; for what is said once.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// The count as this thread sees it now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Many small gauges with one writer, by index. Memory is taken where they are first touched.
#[derive(Debug)]
pub struct Gauges(Box<[AtomicU32]>);

impl Gauges {
    /// So many, all zero.
    pub fn new(count: usize) -> Self {
        Self(zeroed::boxed(count))
    }

    /// Adds one to number `at`. Only the owning thread calls this.
    #[inline]
    pub fn one(&self, at: usize) {
        if let Some(gauge) = self.0.get(at) {
            gauge.store(gauge.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// Takes one from number `at`. Release: who finds it zero also finds what was done before.
    #[inline]
    pub fn less(&self, at: usize) {
        if let Some(gauge) = self.0.get(at) {
            gauge.store(gauge.load(Ordering::Relaxed).wrapping_sub(1), Ordering::Release);
        }
    }

    /// Makes all of them zero. Only the owning thread calls this.
    pub fn clear(&self) {
        let touched = self.0.iter().filter(|gauge| gauge.load(Ordering::Relaxed) > 0);
        touched.for_each(|gauge| gauge.store(0, Ordering::Release));
    }

    /// What number `at` is now.
    pub fn get(&self, at: usize) -> u32 {
        self.0.get(at).map_or(0, |gauge| gauge.load(Ordering::Acquire))
    }
}

/// Many counters with one writer, by index. Memory is taken where they are first touched.
#[derive(Debug)]
pub struct Counters(Box<[AtomicU64]>);

impl Counters {
    /// So many, all zero.
    pub fn new(count: usize) -> Self {
        Self(zeroed::boxed(count))
    }

    /// Adds one to number `at`. Only the owning thread calls this.
    #[inline]
    pub fn one(&self, at: usize) {
        if let Some(count) = self.0.get(at) {
            count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// What number `at` is now.
    pub fn get(&self, at: usize) -> u64 {
        self.0.get(at).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_counters_count_each_by_itself() {
        let counters = Counters::new(3);
        [2, 2, 0, 7].into_iter().for_each(|at| counters.one(at));
        assert_eq!([0, 1, 2, 7].map(|at| counters.get(at)), [1, 0, 2, 0]);
    }

    #[test]
    fn gauges_go_up_and_down() {
        let gauges = Gauges::new(3);
        gauges.one(2);
        gauges.one(2);
        gauges.less(2);
        gauges.one(7);
        assert_eq!([0, 2, 7].map(|at| gauges.get(at)), [0, 1, 0]);
    }

    #[test]
    fn counts_up_and_down() {
        let count = Counter::default();
        count.add(5);
        count.one();
        count.sub(2);
        assert_eq!(count.get(), 4);
    }
}
