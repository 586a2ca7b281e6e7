//! Allowances: what control has granted of a quota, and the workers have not spent yet.
//!
//! ```text
//! bits  0..31   left     tokens that may be spent
//!      31       last     control has no more of them to grant, for the time being
//!      32..64   stamp    which use of the slot this is: one key of one quota in one of its periods
//! ```
//!
//! Control counts what it grants, here is only what is left of that: a day of a million requests is some thousands of grants.
//! A slot is given to a key when somebody asks for it first, and taken back when the period is over; each use has a stamp of its
//! own, which control tells to whoever asks.
//!
//! # Proof
//!
//! *Under one stamp no more is spent than was granted.* [`take`](Allowance::take), [`give_back`](Allowance::give_back) and
//! [`grant`](Allowance::grant) each succeed by one compare-and-swap from a word with the stamp that they were given, and it replaces
//! exactly what it compared with (fact 1 of the [page of proof](super)): a take of `n` from a word with at least `n` left takes
//! `n` off, the other two add. So at any time `granted = left + taken - given back`, and as `left` is not negative, what was taken and
//! not given back is never above what was granted.
//!
//! *Who thinks of an earlier use spends nothing of this one.* Its stamp is another, so its compare-and-swap is never even tried, or
//! fails: the stamp is in the word that it compares. [`begin`](Allowance::begin) gives the next stamp, so two uses have the same
//! only after 2^32 uses of one slot.
//!
//! *At the end of a use nothing is lost or counted twice.* [`end`](Allowance::end) puts the next stamp, with nothing left, in the place
//! of the word in one step, and says what was left in the word that it replaced. Takes come before it and are not in that number,
//! or after it and fail. So `granted - left` is what was spent.
//!
//! *A process that dies* leaves words with what it had not spent, which others may (fact 4). A host that dies leaves none: what
//! was granted counts as spent, so a crash loses at most what was left in words.
//!
//! `Relaxed` is enough throughout: each argument is about one word.
//!
//! # Obligations of control
//!
//! - Only one process grants, begins and ends at a time: whoever the store belongs to.
//! - What is granted is counted, and on the disk where there is one, before [`grant`](Allowance::grant).

use super::sync::{AtomicU64, Ordering};

const LEFT: u64 = 0x7FFF_FFFF;
const LAST: u64 = 1 << 31;
const STAMP: u32 = 32;

/// The parts of a word, told to the hash of the layout.
pub(super) const MASKS: [u64; 3] = [LEFT, LAST, STAMP as u64];

/// A word of what is left of a grant.
#[derive(Debug, Clone, Copy)]
pub struct Allowance<'a> {
    word: &'a AtomicU64,
}

/// What became of a take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It has the tokens.
    Yes {
        /// What is left for others.
        left: u32,
        /// Whether control has more of them to grant.
        more: bool,
    },
    /// There are not so many left: ask control, which has more.
    Empty,
    /// There are not so many left, and control has no more.
    Spent {
        /// What is left for who wants less.
        left: u32,
    },
    /// The slot is another key's, or of another period: ask which slot it is.
    Stale,
}

impl<'a> Allowance<'a> {
    /// The view of a word; a word of zero: nothing was ever granted.
    #[inline]
    pub(super) const fn new(word: &'a AtomicU64) -> Self {
        Self { word }
    }

    /// The view of any word, for models.
    #[cfg(all(test, loom))]
    pub(super) const fn of(word: &'a AtomicU64) -> Self {
        Self { word }
    }

    /// Takes `n` tokens, all or none.
    #[inline]
    #[must_use = "what was not given must not be used"]
    pub fn take(self, stamp: u32, n: u32) -> Taken {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if stamp_of(word) != stamp {
                return Taken::Stale;
            }
            let (left, more) = (left_of(word), word & LAST == 0);
            if left < n {
                return if more { Taken::Empty } else { Taken::Spent { left } };
            }
            match self.swap(word, word - u64::from(n)) {
                Ok(()) => return Taken::Yes { left: left - n, more },
                Err(found) => word = found,
            }
        }
    }

    /// Gives back `n` tokens that were taken under this stamp and not used. Nothing, if the use is over.
    pub fn give_back(self, stamp: u32, n: u32) {
        let _ = self.change(stamp, |word| more(word, n));
    }

    /// Control's: `n` more may be spent; `last`: it has no more to grant. `false`: this use is over, and nothing was granted.
    #[must_use = "what was not granted is not spent"]
    pub fn grant(self, stamp: u32, n: u32, last: bool) -> bool {
        let grant = |word| {
            let word = more(word, n);
            if last { word | LAST } else { word & !LAST }
        };
        self.change(stamp, grant)
    }

    /// Control's: a new use begins, with nothing to spend. Gives its stamp.
    #[must_use = "nobody else is told the stamp"]
    pub fn begin(self) -> u32 {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            // Never 0, which is the stamp of a word that nobody has begun.
            let stamp = stamp_of(word).wrapping_add(1).max(1);
            match self.swap(word, u64::from(stamp) << STAMP) {
                Ok(()) => return stamp,
                Err(found) => word = found,
            }
        }
    }

    /// Control's: the use is over. Gives what was left of it; nothing, if it was over before.
    pub fn end(self, stamp: u32) -> u32 {
        let mut left = 0;
        let ended = self.change(stamp, |word| {
            left = left_of(word);
            u64::from(stamp.wrapping_add(1).max(1)) << STAMP
        });
        if ended { left } else { 0 }
    }

    /// What may be spent; `None`: it is another use by now.
    pub fn left(self, stamp: u32) -> Option<u32> {
        let word = self.word.load(Ordering::Relaxed);
        (stamp_of(word) == stamp).then(|| left_of(word))
    }

    /// Changes a word of this stamp; whether it was one.
    fn change(self, stamp: u32, mut to: impl FnMut(u64) -> u64) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while stamp_of(word) == stamp {
            match self.swap(word, to(word)) {
                Ok(()) => return true,
                Err(found) => word = found,
            }
        }
        false
    }

    #[inline]
    fn swap(self, from: u64, to: u64) -> Result<(), u64> {
        self.word.compare_exchange_weak(from, to, Ordering::Relaxed, Ordering::Relaxed).map(|_| ())
    }
}

#[inline]
const fn stamp_of(word: u64) -> u32 {
    (word >> STAMP) as u32
}

#[inline]
const fn left_of(word: u64) -> u32 {
    (word & LEFT) as u32
}

/// The word with `n` more left; what does not fit is lost, which admits less and not more.
fn more(word: u64, n: u32) -> u64 {
    let left = (word & LEFT) + u64::from(n);
    word & !LEFT | left.min(LEFT)
}
