//! Keys: any number of buckets in fixed memory, each a [rate](super::rate) of one word.
//!
//! The key of a bucket is a keyed hash ([`bucket`](super::bucket)). It says which set the bucket is in: one line of four entries, each a
//! tag (the whole key; 0: never used) and a time (the word of the rate). Beside the sets, elsewhere, each has a word of *overflow*:
//! a bucket too, for all keys of the set that have no entry.
//!
//! ```text
//! set        tag 0 | time 0 | tag 1 | time 1 | tag 2 | time 2 | tag 3 | time 3
//!                    bit 63: claimed, the entry is about to be another key's
//! overflow   bits 0..62 a time, bit 62 parity of the epoch of who has locked it, bit 63 locked
//! ```
//!
//! Who finds the entry of his key decides and spends there and nowhere else: two loads and a compare-and-swap in one line. Who does
//! not find it locks the overflow, looks again, and
//!
//! - is refused by the overflow's time: nothing is written but the lock; or
//! - claims an entry that is full (its time is in the past), which then begins from the overflow's time and the clock, whichever is later; or
//! - where all entries are in use, spends in the overflow, which is *shared* by all that have no entry.
//!
//! # Proof: of each key at most `t / T + b` in every span, for any interleaving
//!
//! Call a key's *last word* what its last admitted spend has written. By the proof of the [rate](super::rate) it is enough that each spend
//! of a key is computed from a word of at least the last word of that key (line 1 there; lines 2 and 3 hold of each spend by itself).
//!
//! **I1. At most one entry has a key, and it stands still while the set is locked.** Tags change in the hands of who holds the lock alone,
//! and he writes a key's tag only after he has looked for it under the lock (`Acquire`), so sees all tags that were written under it
//! before (`Release`).
//!
//! **I2. The time of an entry only rises**, whoever's it is: spends raise it (rate, line 1), and a claim publishes more than it found.
//! So a compare-and-swap from a time that was read before succeeds only if the entry was not touched in between: no claim came between
//! them, since a claim writes the time (the mark first).
//!
//! **I3. Who spends in an entry spends for its key.** He reads the time `x` (`Acquire`) and then the tag, and swaps from `x` (`Release`).
//! Let `x` be of the entry's use by key K: published (`Release`) after K's tag, or swapped since, which continues that release. So the tag he
//! reads is K's or a later one (facts 2 and 3). A later one is written by a claimer after his compare-and-swap (`Acquire`) to the mark,
//! which comes after `x` in the order of that word. If our swap from `x` succeeds, it comes before the claimer's; he has acquired it, so our
//! reading of the tag is before his writing of it, and we cannot have read that. So the tag is K's whenever the swap succeeds.
//!
//! **I4. The overflow's time is at least the last word of every key of the set that has no entry.** At first both are zero. It changes in
//! the hands of who holds the lock alone. A spend in the overflow makes it the last word of that key, and it rises. A claim takes an entry away
//! from a key: before anybody can see the new tag the overflow is raised to the time that was found there, which by I3 is that key's
//! last word and can no longer change (the mark makes all swaps fail).
//!
//! *So each spend is computed from the last word or more.* In an entry: by I3 from its time, which was published as more than the overflow's
//! time, which by I4 was at least the last word when the key had no entry, and has risen with each spend since. In the overflow: by I4, since
//! under the lock the key has no entry (I1). ∎
//!
//! Nothing was said about clocks: a worker whose clock lags may claim an entry later than it could, or find the overflow ahead of it, which
//! refuses it more. **No eviction loses anything**, whatever was evicted.
//!
//! *Nor does it cost anybody anything*: only entries are claimed whose time is not after the claimer's clock, so the overflow is not
//! raised above that, and a key that comes later than that begins with a full bucket, as it should. Only what is spent in the overflow
//! itself, because all four entries are in use, is charged to all who have no entry: that is counted (`shared`).
//!
//! *A refusal writes nothing* to entries or times. A refused key without an entry locks the overflow, where its check said it would be
//! admitted.
//!
//! # A lock that is not free
//!
//! It is held for some tens of instructions. Who finds it locked tries again a bounded number of times
//! ([`limits::LOCK_TRIES`](crate::base::limits)) and is then refused, for a moment: what cannot be decided fails closed. That takes a
//! holder whom the kernel has stopped right there, and a key without an entry.
//!
//! # What a process that dies leaves behind
//!
//! Swaps in entries are done or not done (fact 4). Killed with the lock, it leaves the set locked: keys with entries go on, others are
//! refused, until [`forget`](KeyTable::forget) finds the lock by the parity of its epoch and takes it off. Wherever it was:
//!
//! | killed after | left behind | then |
//! |---|---|---|
//! | the lock | the lock | I1 to I4 hold: it is taken off |
//! | the mark in an entry | the overflow is not raised yet | it is raised to the entry's time, the tag becomes 0, the time rises by one |
//! | the overflow was raised, or the tag written | the same | the same |
//! | the time was published | the lock | I4 holds: the overflow was raised before |
//!
//! The tag becomes 0 before the time is published (`Release`) by one more than it was (I2): who had read the old pair swaps in vain. The key
//! whose tag was 0 or half a claim has no entry, and its last word is at most the overflow's (I4): what it claimed for was not
//! published, so not admitted.
//!
//! # Obligations of the callers
//!
//! - `forget` only when the process of the other epoch is gone; one thread at a time.
//! - [`reset`](KeyTable::reset) is for operators: it lowers a time, so gives the key another burst. I2 then does not hold for who has read the time
//!   before: a thread that is stopped there, while another key claims the entry and comes to that very ns, charges that other key with one
//!   spend of its own.

use super::bucket::BucketTable;
use super::layout::SET_WORDS;
use super::pages::Pages;
use super::rate::{Decision, Terms};
use super::sync::AtomicU64;
use super::table::Cells;
use crate::base::limits;

mod entry;
mod lock;
mod own;

pub(super) use entry::Entry;
pub(super) use lock::Lock;
pub use own::OwnKeys;

/// The entries of a set.
const ENTRIES: usize = SET_WORDS / 2;

/// An entry: its tag and its time.
pub(super) type Words = [AtomicU64; 2];

/// A table of buckets by their keys, as the process of one parity of epochs has it.
#[derive(Debug, Clone, Copy)]
pub struct KeyTable<'a, const N: usize = ENTRIES> {
    sets: &'a [[Words; N]],
    side: Side<'a>,
    odd: bool,
}

/// Where the overflow is: worked out by who needs it.
#[derive(Debug, Clone, Copy)]
enum Side<'a> {
    Of(&'a Cells, BucketTable),
    At(Pages<'a>),
}

/// What a table says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawn {
    /// Whether the tokens are there, or were taken.
    pub decision: Decision,
    /// When the bucket is full again, in ns of the monotonic clock; in the past: it is full.
    pub full_at: u64,
    /// Whether others had a part in that: all entries of the set are in use, or what was spent while they were is not made up for yet.
    pub shared: bool,
}

impl<'a> KeyTable<'a> {
    /// The view of one of the host's tables: its sets, and whose they are.
    #[inline]
    pub(super) const fn of(
        sets: &'a [[Words; ENTRIES]],
        cells: &'a Cells,
        table: BucketTable,
        odd: bool,
    ) -> Self {
        Self { sets, side: Side::Of(cells, table), odd }
    }
}

impl<'a, const N: usize> KeyTable<'a, N> {
    /// The view of sets, a power of two of them, and of as many words of overflow.
    #[inline]
    pub(super) fn new(sets: &'a [[Words; N]], overflow: Pages<'a>, odd: bool) -> Self {
        debug_assert!(sets.len().is_power_of_two());
        Self { sets, side: Side::At(overflow), odd }
    }

    /// Whether `cost` tokens are to be had at `now` (ns of the monotonic clock). Writes nothing.
    #[inline]
    pub fn check(self, key: u64, now: u64, cost: u64, terms: Terms) -> Drawn {
        let at = self.at(key);
        match self.find(at, key).and_then(|entry| entry.time_of(key)) {
            Some(time) => Drawn::own(terms.decide(time, now, cost).0, time),
            None => self.check_beside(at, now, cost, terms),
        }
    }

    /// Takes `cost` tokens, all or none. The clock, in ns of the monotonic one, is read right before.
    #[inline]
    #[must_use = "a refusal must be carried out"]
    pub fn spend(self, key: u64, cost: u64, terms: Terms, clock: impl Fn() -> u64) -> Drawn {
        self.step(key, clock, |time, now| terms.decide(time, now, cost))
    }

    /// Takes `slab` tokens, or else `cost`, or none. Gives how many, too.
    #[must_use = "a refusal must be carried out"]
    pub fn lease(
        self,
        key: u64,
        (slab, cost): (u64, u64),
        terms: Terms,
        clock: impl Fn() -> u64,
    ) -> (Drawn, u64) {
        let taken = std::cell::Cell::new(0);
        let drawn = self.step(key, clock, |time, now| {
            taken.set(slab);
            let (decision, after) = terms.decide(time, now, slab);
            if after.is_some() {
                return (decision, after);
            }
            taken.set(cost);
            terms.decide(time, now, cost)
        });
        (drawn, if drawn.decision.is_admitted() { taken.get() } else { 0 })
    }

    /// Takes tokens that are not there, too: at `now`, in ns of the monotonic clock, into debt, at most by a burst.
    pub fn owe(self, key: u64, tokens: u64, terms: Terms, now: u64) -> Drawn {
        self.step(key, || now, |time, now| terms.owe(time, now, tokens))
    }

    /// Fills the bucket of a key; whether it was not full at `now`, in ns of the monotonic clock. One that is shared stays as it is.
    pub fn reset(self, key: u64, now: u64) -> bool {
        self.find(self.at(key), key).is_some_and(|entry| entry.lower(key, now))
    }

    /// How many entries are in use at `now`, in ns of the monotonic clock: their buckets are not full. Of the pages of sets that were ever
    /// written to one in `sample` is looked at.
    pub fn in_use(self, now: u64, sample: usize) -> usize {
        let sample = sample.max(1);
        let pages = self.overflow().used().step_by(sample);
        let sets = pages.flat_map(|(first, words)| &self.sets[first..first + words.len()]);
        sets.flatten().filter(|words| Entry::new(words).is_in_use(now)).count() * sample
    }

    /// Takes off the locks that the process of the other parity left behind, which is gone; says how many those were.
    pub(super) fn forget(self) -> u64 {
        let pages = self.overflow().used();
        let words = pages.flat_map(|(first, words)| first..first + words.len());
        let left = words.filter_map(|at| {
            let lock = Lock::left_behind(self.overflow().word(at), !self.odd)?;
            let found = self.sets[at].iter().filter_map(|words| Entry::new(words).disclaim()).max();
            let raised = lock.time().max(found.unwrap_or(0));
            lock.release(raised);
            Some(())
        });
        left.count() as u64
    }

    fn overflow(self) -> Pages<'a> {
        match self.side {
            Side::Of(cells, table) => cells.overflow(table),
            Side::At(pages) => pages,
        }
    }

    #[inline]
    fn at(self, key: u64) -> usize {
        key as usize & (self.sets.len() - 1)
    }

    #[inline]
    fn find(self, at: usize, key: u64) -> Option<Entry<'a>> {
        self.sets[at].iter().map(Entry::new).find(|entry| entry.is_of(key))
    }

    /// What the overflow says of a key that has no entry.
    #[cold]
    fn check_beside(self, at: usize, now: u64, cost: u64, terms: Terms) -> Drawn {
        let time = Lock::time_of(self.overflow().word(at));
        let full = self.sets[at].iter().all(|words| Entry::new(words).is_in_use(now));
        let (decision, _) = terms.decide(time, now, cost);
        Drawn { decision, full_at: time, shared: full || time > now }
    }

    /// Carries out a rule, told a time and the clock, on the bucket of a key.
    #[inline]
    fn step(self, key: u64, clock: impl Fn() -> u64, rule: impl Rule) -> Drawn {
        let at = self.at(key);
        let drawn = self.find(at, key).and_then(|entry| entry.step(key, clock(), &rule));
        drawn.unwrap_or_else(|| self.step_beside(at, key, clock, rule))
    }

    /// The same for a key that was not found.
    #[cold]
    #[inline(never)]
    fn step_beside(self, at: usize, key: u64, clock: impl Fn() -> u64, rule: impl Rule) -> Drawn {
        let Some(lock) = Lock::take(self.overflow(), at, self.odd) else { return Drawn::BUSY };
        let now = clock();
        let (drawn, time) = self.step_locked(at, key, (&lock, now), rule);
        lock.release(time);
        drawn
    }

    /// The same under the lock; with the time that the overflow is to have.
    fn step_locked(
        self,
        at: usize,
        key: u64,
        (lock, now): (&Lock<'_>, u64),
        rule: impl Rule,
    ) -> (Drawn, u64) {
        let before = lock.time();
        if let Some(drawn) = self.find(at, key).and_then(|entry| entry.step(key, now, &rule)) {
            return (drawn, before);
        }
        let (decision, after) = bounded(rule(before, now));
        let Some(after) = after else {
            let full = self.sets[at].iter().all(|words| Entry::new(words).is_in_use(now));
            return (Drawn { decision, full_at: before, shared: full || before > now }, before);
        };
        let Some((entry, found)) = self.claim(at, now) else {
            return (Drawn { decision, full_at: after, shared: true }, after);
        };
        // Before anybody can see the tag.
        let raised = before.max(found);
        lock.raise(raised);
        entry.publish(key, after.max(found + 1));
        (Drawn { decision, full_at: after, shared: before > now }, raised)
    }

    /// Claims the entry of the set that has been full for the longest time; gives what its time was. For who holds the lock.
    fn claim(self, at: usize, now: u64) -> Option<(Entry<'a>, u64)> {
        loop {
            let entries = self.sets[at].iter().map(Entry::new);
            let (time, entry) =
                entries.map(|entry| (entry.time(), entry)).min_by_key(|(time, _)| *time)?;
            // Whatever the clock: a mark is later than any time.
            if time > now.min(TIME) {
                return None;
            }
            // Else somebody has spent there.
            if entry.claim(time) {
                return Some((entry, time));
            }
        }
    }
}

impl Drawn {
    /// Neither the lock nor an entry was to be had.
    const BUSY: Self = Self {
        decision: Decision::Refused { wait: Some(limits::LOCK_WAIT), remaining: 0 },
        full_at: 0,
        shared: true,
    };

    #[inline]
    const fn own(decision: Decision, full_at: u64) -> Self {
        Self { decision, full_at, shared: false }
    }
}

/// What becomes of a time, told the time and the clock: `None`, it stays.
pub(super) trait Rule: Fn(u64, u64) -> (Decision, Option<u64>) {}

impl<F: Fn(u64, u64) -> (Decision, Option<u64>)> Rule for F {}

/// All bits that must be equal in two builds that share a table; the layout's hash is of them.
pub(super) const MASKS: [u64; 4] = [TIME, entry::CLAIMED, lock::LOCKED, lock::ODD];

/// The bits of a time: 146 years.
const TIME: u64 = (1 << 62) - 1;

/// A time that is no time is a refusal.
#[inline]
fn bounded((decision, after): (Decision, Option<u64>)) -> (Decision, Option<u64>) {
    match after {
        Some(after) if after >= TIME => (Decision::Refused { wait: None, remaining: 0 }, None),
        after => (decision, after),
    }
}
