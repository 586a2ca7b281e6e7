//! Permits: a count of what is taken, never above its limit.
//!
//! The word is the number taken. The limit is not in it: whoever takes says what it is, so it can change while some are
//! taken.
//!
//! # Proof
//!
//! *No [`take`](Permits::take) leaves the count above the limit it was given.* It succeeds only by a compare-and-swap from
//! a count `c` with `c + n <= limit`, and a compare-and-swap replaces exactly what it compared with (fact 1): the count
//! becomes `c + n`. A release lowers it. So under one limit the count never exceeds it, for any interleaving. Under a limit
//! that was lowered, nothing is taken until enough has been given back; nothing that is held is revoked.
//!
//! *The count is what is held, no permit is lost or doubled.* Each success adds `n` once and each release takes `n` off
//! once, each by a read-modify-write that reads its predecessor's value (fact 1). A release that was never preceded by its
//! take is a fault of ours; it stops at zero rather than wrap to a count that would refuse everybody for ever.
//!
//! *Who takes a permit comes after who gave it back.* A take acquires, a release releases, and releases and takes in
//! between are read-modify-writes, which continue what was released (the release sequence): so all that one holder did is
//! before all that the next one does (fact 3). For the count itself `Relaxed` would be enough; this is for what the permit
//! guards, and costs nothing on x86.
//!
//! *A process that dies* between take and release leaves the count too high, never too low. Where that matters somebody
//! must know what it held: see [`SharedPermits`](super::SharedPermits).

use super::sync::{AtomicU64, Ordering};

/// A word that counts what is taken.
#[derive(Debug, Clone, Copy)]
pub struct Permits<'a> {
    taken: &'a AtomicU64,
}

impl<'a> Permits<'a> {
    /// The view of a word; a word of zero: none taken.
    pub const fn new(word: &'a AtomicU64) -> Self {
        Self { taken: word }
    }

    /// Takes `n` permits of `limit`, all or none; `false`: there are not so many left. Each `true` is answered by one
    /// [`release`](Self::release) of as many.
    #[must_use = "permits that were taken must be released"]
    pub fn take(self, n: u64, limit: u64) -> bool {
        self.taken
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |taken| {
                taken.checked_add(n).filter(|sum| *sum <= limit)
            })
            .is_ok()
    }

    /// Gives `n` permits back.
    pub fn release(self, n: u64) {
        let before = self.taken.fetch_update(Ordering::Release, Ordering::Relaxed, |taken| {
            Some(taken.saturating_sub(n))
        });
        debug_assert!(before.is_ok_and(|taken| taken >= n), "more permits released than taken");
    }

    /// How many are taken.
    pub fn taken(self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}
