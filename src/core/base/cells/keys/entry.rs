//! An entry of a set: a tag and a time. See the [proof](super).

use super::{Drawn, Rule, Words, bounded};
use crate::base::cells::sync::{AtomicU64, Ordering};

/// In a time: the entry is about to be another key's.
pub(super) const CLAIMED: u64 = 1 << 63;

/// The view of an entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    tag: &'a AtomicU64,
    time: &'a AtomicU64,
}

impl<'a> Entry<'a> {
    #[inline]
    pub(crate) const fn new([tag, time]: &'a Words) -> Self {
        Self { tag, time }
    }

    /// Whether it had this key's tag a moment ago.
    #[inline]
    pub(super) fn is_of(self, key: u64) -> bool {
        self.tag.load(Ordering::Relaxed) == key
    }

    /// Its time, the mark with it.
    #[inline]
    pub(super) fn time(self) -> u64 {
        self.time.load(Ordering::Relaxed)
    }

    /// Its time, if it is this key's: read before the tag.
    #[inline]
    pub(super) fn time_of(self, key: u64) -> Option<u64> {
        let time = self.time.load(Ordering::Acquire);
        (time & CLAIMED == 0 && self.is_of(key)).then_some(time)
    }

    /// Whether its bucket is not full: it is nobody else's to claim.
    #[inline]
    pub(super) fn is_in_use(self, now: u64) -> bool {
        self.time() > now
    }

    /// Carries out a rule, if the entry is this key's.
    #[inline]
    pub(crate) fn step(self, key: u64, now: u64, rule: &impl Rule) -> Option<Drawn> {
        loop {
            let time = self.time_of(key)?;
            let (decision, after) = bounded(rule(time, now));
            let Some(after) = after else { return Some(Drawn::own(decision, time)) };
            // Release: our reading of the tag is before what a claimer writes, who acquires this.
            let swapped =
                self.time.compare_exchange_weak(time, after, Ordering::Release, Ordering::Relaxed);
            if swapped.is_ok() {
                return Some(Drawn::own(decision, after));
            }
        }
    }

    /// Lowers the time to this one, if the entry is the key's and its time is later; whether it was.
    pub(super) fn lower(self, key: u64, now: u64) -> bool {
        while let Some(time) = self.time_of(key) {
            if time <= now {
                return false;
            }
            let (done, not) = (Ordering::Release, Ordering::Relaxed);
            if self.time.compare_exchange_weak(time, now, done, not).is_ok() {
                return true;
            }
        }
        false
    }

    /// Marks it, if its time still is this one: nobody spends there from now on. For who holds the lock.
    pub(crate) fn claim(self, time: u64) -> bool {
        let swapped =
            self.time.compare_exchange(time, time | CLAIMED, Ordering::Acquire, Ordering::Relaxed);
        swapped.is_ok()
    }

    /// Makes it, which was claimed, this key's with this time.
    pub(crate) fn publish(self, key: u64, time: u64) {
        self.tag.store(key, Ordering::Relaxed);
        self.time.store(time, Ordering::Release);
    }

    /// Makes it, which somebody claimed who is gone, nobody's; gives its time. `None`: it is not claimed.
    pub(super) fn disclaim(self) -> Option<u64> {
        let time = self.time.load(Ordering::Acquire);
        (time & CLAIMED != 0).then(|| {
            let time = time & !CLAIMED;
            self.publish(0, time.saturating_add(1) & !CLAIMED);
            time
        })
    }
}
