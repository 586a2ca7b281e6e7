//! Shared permits: a count of what is taken on the host, by two processes at most, in one word.
//!
//! ```text
//! bits  0..32   taken by the process of an even epoch
//!      32..64   ... of an odd epoch
//! ```
//!
//! An upgrade gives the successor the next epoch, and two processes at most live at a time: each has a half. The limit holds for the
//! sum. It is not in the word: whoever takes says what it is, so it can change while some are taken.
//!
//! # Proof
//!
//! *No [`take`](SharedPermits::take) leaves the sum above the limit it was given.* It succeeds only by a compare-and-swap from a word
//! whose halves and what it takes are within the limit together, and that replaces exactly what it compared with (fact 1 of the
//! [page of proof](super)). A release lowers a half. So under one limit the sum never exceeds it, for any interleaving. Under a
//! limit that was lowered nothing is taken until enough was given back; nothing that is held is revoked.
//!
//! *Each half is what its process holds.* A take adds `n` to its own half once, a release takes `n` off once, each by a
//! read-modify-write (fact 1), and neither touches the other half: a take that would carry into it (above `2^32 - 1`) fails, and a
//! release that was never preceded by its take, a fault of ours, stops at zero.
//!
//! *A process that dies* was between two instructions (fact 4): its half is exactly what it had taken and not given back.
//! [`forget`](SharedPermits::forget) makes that half zero in one step and leaves the other: nothing that the living hold is given
//! back, and nothing that the dead held stays taken, wherever it was killed.
//!
//! *Who takes a permit comes after who gave it back*: take and forget acquire, release and forget release, and all writes are
//! read-modify-writes, which continue what was released (fact 3).
//!
//! *A page in use has a mark* (see [pages](super::pages)): who raises a word from zero marks it first. A compare-and-swap that was
//! computed from another word than zero succeeds only where somebody else has raised it since it was last zero, or before.
//!
//! # Obligations of the callers
//!
//! - `forget` only when the process of the other epoch is gone: one that lives would go on to release what was given back already.
//! - A process of epoch `e` takes permits only once the one of `e - 2` was forgotten: they share a half.
//! - Each `true` of `take` is answered by one `release` of as many by the same process, also where a future is dropped or panics: a
//!   guard does it.

use super::pages::Pages;
use super::sync::{AtomicU64, Ordering};

const HALF: u64 = 0xFFFF_FFFF;

/// A word of two halves, as the process of one of them has it.
#[derive(Debug, Clone, Copy)]
pub struct SharedPermits<'a> {
    pages: Pages<'a>,
    at: usize,
    odd: bool,
}

impl<'a> SharedPermits<'a> {
    /// The view of a word for the process of this parity; a word of zero: none taken.
    #[inline]
    pub(super) const fn new(pages: Pages<'a>, at: usize, odd: bool) -> Self {
        Self { pages, at, odd }
    }

    /// Takes `n` permits of `limit`, all or none; `false`: there are not so many left. Each `true` is answered by one
    /// [`release`](Self::release) of as many.
    #[inline]
    #[must_use = "permits that were taken must be released"]
    pub fn take(self, n: u64, limit: u64) -> bool {
        let word = self.word();
        let mut now = word.load(Ordering::Relaxed);
        loop {
            let Some(next) = self.more(now, n, limit) else { return false };
            if now == 0 {
                self.pages.mark(self.at);
            }
            match word.compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(found) => now = found,
            }
        }
    }

    /// Gives `n` permits back.
    #[inline]
    pub fn release(self, n: u64) {
        let shift = shift(self.odd);
        let before = self.word().fetch_update(Ordering::Release, Ordering::Relaxed, |word| {
            Some(word - ((word >> shift & HALF).min(n) << shift))
        });
        debug_assert!(
            before.is_ok_and(|word| word >> shift & HALF >= n),
            "more permits released than taken"
        );
    }

    /// How many are taken on the host.
    #[inline]
    pub fn taken(self) -> u64 {
        let word = self.word().load(Ordering::Relaxed);
        (word & HALF) + (word >> 32)
    }

    /// How many of them this process has.
    pub fn held(self) -> u64 {
        self.word().load(Ordering::Relaxed) >> shift(self.odd) & HALF
    }

    /// Gives back what the other process held, which is gone; says how many those were. Idempotent.
    pub(super) fn forget(self) -> u64 {
        let shift = shift(!self.odd);
        self.word().fetch_and(!(HALF << shift), Ordering::AcqRel) >> shift & HALF
    }

    /// The word with `n` more in this process' half.
    #[inline]
    fn more(self, word: u64, n: u64, limit: u64) -> Option<u64> {
        let sum = ((word & HALF) + (word >> 32)).checked_add(n)?;
        let own = word >> shift(self.odd) & HALF;
        (sum <= limit && n <= HALF - own).then(|| word + (n << shift(self.odd)))
    }

    #[inline]
    fn word(self) -> &'a AtomicU64 {
        self.pages.word(self.at)
    }
}

#[inline]
const fn shift(odd: bool) -> u32 {
    if odd { 32 } else { 0 }
}
