//! The word of overflow, which is the lock of its set. See the [proof](super).

use super::TIME;
use crate::base::cells::pages::Pages;
use crate::base::cells::sync::{self, AtomicU64, Ordering};
use crate::base::limits;

/// Models try every way in which others hold it.
const TRIES: usize = if cfg!(all(test, loom)) { 2 } else { limits::LOCK_TRIES };

pub(super) const LOCKED: u64 = 1 << 63;
pub(super) const ODD: u64 = 1 << 62;

/// A word of overflow that is locked by us, or by somebody who is gone.
#[derive(Debug)]
#[must_use = "a lock must be released"]
pub(crate) struct Lock<'a> {
    word: &'a AtomicU64,
    held: u64,
}

impl<'a> Lock<'a> {
    /// Locks it for the process of this parity; `None`: others had it for too long.
    pub(crate) fn take(overflow: Pages<'a>, at: usize, odd: bool) -> Option<Self> {
        let word = overflow.word(at);
        for _ in 0..TRIES {
            let now = word.load(Ordering::Relaxed);
            if now & LOCKED == 0 {
                if now == 0 {
                    overflow.mark(at);
                }
                let held = now & TIME | mark(odd);
                let (taken, not) = (Ordering::AcqRel, Ordering::Relaxed);
                if word.compare_exchange_weak(now, held, taken, not).is_ok() {
                    return Some(Self { word, held });
                }
            }
            sync::relax();
        }
        None
    }

    /// What a process of this parity left locked, if it did.
    pub(super) fn left_behind(word: &'a AtomicU64, odd: bool) -> Option<Self> {
        let held = word.load(Ordering::Acquire);
        (held & !TIME == mark(odd)).then_some(Self { word, held })
    }

    /// The time of a word, whoever has it.
    pub(super) fn time_of(word: &AtomicU64) -> u64 {
        word.load(Ordering::Relaxed) & TIME
    }

    /// The time.
    pub(crate) const fn time(&self) -> u64 {
        self.held & TIME
    }

    /// Raises the time, and keeps the lock.
    pub(crate) fn raise(&self, time: u64) {
        self.word.store(self.held & !TIME | time & TIME, Ordering::Relaxed);
    }

    /// Takes the lock off, with this time.
    pub(crate) fn release(self, time: u64) {
        self.word.store(time & TIME, Ordering::Release);
    }
}

const fn mark(odd: bool) -> u64 {
    if odd { LOCKED | ODD } else { LOCKED }
}
