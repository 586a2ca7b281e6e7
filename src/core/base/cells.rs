//! Cells: words that say one thing for the whole host, however many workers there are (rule 3).
//!
//! For now there is one: the connection permit. It is taken once a connection, never once a request. The table that
//! holds rates, verdicts and bulkheads comes with live change.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many connections are open on this host, and the most there may be.
///
/// The count never exceeds the limit: a permit is taken by compare-and-swap.
#[derive(Debug)]
#[repr(align(64))]
pub struct ConnectionPermits {
    open: AtomicU64,
    limit: u64,
}

impl ConnectionPermits {
    /// Permits for at most `limit` connections, none taken.
    pub fn new(limit: u64) -> Self {
        Self { open: AtomicU64::new(0), limit }
    }

    /// Takes one permit; `false` when all are taken. Each `true` is answered by one [`release`](Self::release).
    #[must_use = "a permit that was taken must be released"]
    pub fn acquire(&self) -> bool {
        self.open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
                (open < self.limit).then_some(open + 1)
            })
            .is_ok()
    }

    /// Gives `n` permits back.
    pub fn release(&self, n: u64) {
        let before = self.open.fetch_sub(n, Ordering::Relaxed);
        debug_assert!(before >= n, "more permits released than taken");
    }

    /// How many permits are taken.
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// How many there are.
    pub fn limit(&self) -> u64 {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_the_limit() {
        let permits = ConnectionPermits::new(100);
        let taken = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        if permits.acquire() {
                            taken.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(taken.load(Ordering::Relaxed), 100);
        assert_eq!(permits.open(), 100);
        permits.release(40);
        assert!(permits.acquire());
        assert_eq!(permits.open(), 61);
    }
}
