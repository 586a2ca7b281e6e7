//! Verdicts: whether an instance takes requests, in one word that is read at every pick.
//!
//! ```text
//! 63          48 47          32 31          16 15    12 11     8 7          4    3      2      1      0
//! ├─ generation ─┼─── share ────┼── failures ──┼── * ───┼breaker*┼──── * ────┼EJECTED┼DOWN┼DRAINING┼GONE┤   * reserved, zero
//! ```
//!
//! - *generation*: which use of the slot the word speaks of. 0 is a slot that was never used; 65,535 is followed by 1.
//! - GONE: removed; never picked again under this generation. DRAINING: no new requests. DOWN: fails its health checks.
//!   EJECTED: live requests to it fail.
//! - *share*: of the requests that it would get in turn, so many of 65,536; 0 for all. Control writes it.
//! - *failures*: of requests, in a row; any success makes it 0. Workers write it.
//! - Reserved: the state of the *breaker* (0: closed).
//!
//! Control writes everything but failures; EJECTED is turned on by workers and control, and off by control, with a permit for it
//! ([`outlier`](super::outlier)).
//!
//! A pick takes an instance if generation and the low 16 bits are as they should be (nothing stands against it): one load,
//! one mask, one comparison. A breaker that is not closed will thereby lead off the short path without a change to it. A share other
//! than 0 does so too: then one more word is asked, and chance.
//!
//! # Proof: a mark never lands on another generation
//!
//! Every write after [`begin`](Verdict::begin) is a compare-and-swap from a word that was seen to bear the generation that
//! the writer means, and it succeeds only from exactly that word (fact 1 of the [page of proof](super)); it writes no
//! generation but that. So a probe that comes back late finds either its own generation or nothing to write to. Two
//! writers lose none of each other's bits, for the same reason: of failures that two workers count at once, of a share that is set
//! meanwhile, none is lost. GONE is set by [`remove`](Verdict::remove), and only
//! `begin`, with another generation, takes it away.
//!
//! # Proof: a slot is used again only when nobody is on it
//!
//! Slots are recycled while workers still hold old views of a service. The words: the verdict `V`; the pointer `P` to the
//! snapshot of generation `G`; per worker its acknowledgement `A` and its count `F` of requests in flight on the slot, both
//! written by that worker alone.
//!
//! ```text
//! control                                   worker
//! c1  V: GONE            (compare-and-swap)     w1  load P                  Acquire
//! c2  P = G, without the instance  Release      w2  A = the generation of P Release
//! c3  every A >= G ?               Acquire      k1  V takes requests?       Relaxed  ┐ no await
//! c4  every F == 0 ?               Acquire      k2  F + 1 (load, store)     Relaxed  ┘ in between
//! c5  V: begin(generation + 1)                  k3  F - 1, when it is over  Release
//! ```
//!
//! Claim: at c5 no request is on the slot under the old generation, and none will be. Take one pick (k1, k2), from whatever
//! old view. It is one step of its worker, so it lies wholly before or wholly after the w2 that c3 has read:
//!
//! - *After it.* Before that w2 the worker loaded a pointer of at least `G` (w1, Acquire), which control had published
//!   (c2, Release) after c1. So c1 happens before k1, and k1 reads GONE or what followed it in the order of `V` (fact 2):
//!   GONE under other marks, or another generation. None of these takes requests of the old generation: no pick.
//! - *Before it.* k2 is sequenced before w2 (Release), which c3 read (Acquire): k2 happens before c4. So c4 reads that
//!   count or a later one (fact 2). No later pick adds to it (the first case), so once it is read as zero it is over: k3
//!   has happened, and happens before c5 because c4 acquires what k3 released.
//!
//! *A first pick need not look for GONE.* It is in the step in which its worker loaded the pointer to the view that it picks
//! from (w1, w2, k1, k2 without an await). That view names the instance, so its generation is below `G`, and the step is
//! before the w2 that c3 reads: the second case, which asks nothing of k1. It must not look: between c1 and c2 whoever comes
//! has no other view yet, and where all instances of a service go at once none would be left for him. Later picks of an
//! exchange, after an await, look.
//!
//! No fence and no read-modify-write stands on the pick path; on x86 the Acquire and Release are plain moves.
//!
//! *A fresh instance is not refused for its predecessor:* c5 is before the publish (Release) of the first snapshot that
//! names it; whoever finds it there has loaded that pointer (Acquire), so reads c5's word or a later one.
//!
//! # Obligations of the callers
//!
//! - One control at a time begins and removes; in a binary upgrade the successor's, from the handover on. While its
//!   predecessor lives, whose workers acknowledge to nobody, it uses no slot again.
//! - A worker does not await between k1 and k2, and w1 comes before w2 for the same pointer.
//! - A worker that died acknowledges nothing, so nothing is reused, until another has its place: with counts of zero, and
//!   only once what the dead one had in flight has ended.
//! - Generations come back after 65,535 uses. Free slots are used in the order in which they became free: with an eighth of
//!   262,144 free and 1,000 changes a second that takes 24 days; an exchange picks for the last time within a few of its
//!   deadlines, and none of these is longer than one day.
//!
//! *A process that dies* leaves whole words (fact 4). Marks that it meant to set are missing: health is found again by the
//! next probe, and failures of live requests are counted again. An instance that it removed and did not publish is GONE and still in the log: the successor applies the log.

use std::num::NonZeroU16;

use super::sync::{AtomicU64, Ordering};

const GONE: u64 = 1 << 0;
const DRAINING: u64 = 1 << 1;
const DOWN: u64 = 1 << 2;
const EJECTED: u64 = 1 << 3;
/// Everything that can stand against a pick: state and breaker.
const AGAINST: u64 = 0xFFFF;
const BREAKER: u64 = 0xF << 8;
const FAILURES_SHIFT: u32 = 16;
const FAILURES: u64 = 0xFFFF << FAILURES_SHIFT;
const SHARE_SHIFT: u32 = 32;
const SHARE: u64 = 0xFFFF << SHARE_SHIFT;
const GENERATION_SHIFT: u32 = 48;
const GENERATION: u64 = 0xFFFF << GENERATION_SHIFT;

/// All that must be equal in two builds that share a table; the layout's hash is of it.
pub(super) const MASKS: [u64; 9] =
    [GONE, DRAINING, DOWN, EJECTED, AGAINST, BREAKER, FAILURES, SHARE, GENERATION];

/// A reason not to pick an instance that comes and goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// No new requests: it is being taken away.
    Draining,
    /// It fails its health checks.
    Down,
    /// Live requests to it fail: it is set aside for a while. Changed by [`Outlier`](super::Outlier) alone, for each such mark goes
    /// with a permit.
    Ejected,
}

impl Mark {
    const fn bit(self) -> u64 {
        match self {
            Self::Draining => DRAINING,
            Self::Down => DOWN,
            Self::Ejected => EJECTED,
        }
    }
}

/// The word of an instance slot.
#[derive(Debug, Clone, Copy)]
pub struct Verdict<'a> {
    word: &'a AtomicU64,
}

impl<'a> Verdict<'a> {
    /// The view of a word; a word of zero: a slot that was never used.
    #[inline]
    pub const fn new(word: &'a AtomicU64) -> Self {
        Self { word }
    }

    /// The verdict now.
    #[inline]
    pub fn load(self) -> VerdictWord {
        VerdictWord(self.word.load(Ordering::Relaxed))
    }

    /// A fresh use of the slot, with nothing against it: only when the module's conditions for that hold. Gives the word
    /// that it replaced.
    ///
    /// # Errors
    /// With the word as it is, unchanged, if the slot is in use, or if `generation` is 0 or the one it had.
    pub fn begin(self, generation: u16) -> Result<VerdictWord, VerdictWord> {
        self.update(|now| {
            let fresh = generation != 0 && generation != now.generation();
            (fresh && now.is_free()).then_some((generation as u64) << GENERATION_SHIFT)
        })
    }

    /// Removes the instance of this generation: nobody picks it any more, and it is not set aside any more. Gives the word that it
    /// replaced: where that has [`Mark::Ejected`], one permit of its service goes back. Idempotent.
    ///
    /// # Errors
    /// With the word as it is, unchanged, if it speaks of another generation.
    pub fn remove(self, generation: u16) -> Result<VerdictWord, VerdictWord> {
        self.update(|now| now.of(generation).map(|word| word & !EJECTED | GONE))
    }

    /// Sets a mark on the instance of this generation. Gives the word that it replaced, so one can see whether it is news.
    ///
    /// # Errors
    /// With the word as it is, unchanged, if it speaks of another generation.
    pub fn mark(self, generation: u16, mark: Mark) -> Result<VerdictWord, VerdictWord> {
        self.update(|now| now.of(generation).map(|word| word | mark.bit()))
    }

    /// Takes a mark away; otherwise as [`mark`](Self::mark).
    ///
    /// # Errors
    /// With the word as it is, unchanged, if it speaks of another generation.
    pub fn clear(self, generation: u16, mark: Mark) -> Result<VerdictWord, VerdictWord> {
        self.update(|now| now.of(generation).map(|word| word & !mark.bit()))
    }

    /// A request to the instance of this generation failed: one more in a row, up to `threshold` at most. Gives the word that came
    /// of it.
    ///
    /// # Errors
    /// With the word as it is, unchanged, if it speaks of another generation.
    pub fn failed(
        self,
        generation: u16,
        threshold: NonZeroU16,
    ) -> Result<VerdictWord, VerdictWord> {
        let before = self.update(|now| now.of(generation).map(|_| now.one_more(threshold).0))?;
        Ok(before.one_more(threshold))
    }

    /// Sets the instance of this generation aside, if at least so many requests have failed in a row. Gives the word that it
    /// replaced. For [`Outlier`](super::Outlier), who has a permit for it.
    ///
    /// # Errors
    /// With the word as it is, unchanged, if fewer have failed, if it is set aside already or was removed, or if the word speaks of
    /// another generation.
    pub(super) fn eject(self, generation: u16, failures: u16) -> Result<VerdictWord, VerdictWord> {
        self.update(|now| {
            let word = now.of(generation)?;
            let due = word & (GONE | EJECTED) == 0 && now.failures() >= failures;
            due.then_some(word | EJECTED)
        })
    }

    /// One succeeded: none has failed in a row. Writes only where the word says otherwise.
    #[inline]
    pub fn succeeded(self, generation: u16) {
        if self.load().0 & FAILURES != 0 {
            self.forget_failures(generation);
        }
    }

    #[cold]
    fn forget_failures(self, generation: u16) {
        // Another generation's are not this one's to forget.
        let _ = self.update(|now| now.of(generation).map(|word| word & !FAILURES));
    }

    /// The instance of this generation is set aside no longer, and begins anew. Gives the word that it replaced: where that has
    /// [`Mark::Ejected`], one permit of its service goes back.
    ///
    /// # Errors
    /// With the word as it is, unchanged, if it speaks of another generation.
    pub fn readmit(self, generation: u16) -> Result<VerdictWord, VerdictWord> {
        self.update(|now| now.of(generation).map(|word| word & !(EJECTED | FAILURES)))
    }

    /// Of the requests that it would get in turn, the instance of this generation gets so many of 65,536; 0: all. Otherwise as
    /// [`mark`](Self::mark).
    ///
    /// # Errors
    /// With the word as it is, unchanged, if it speaks of another generation.
    pub fn set_share(self, generation: u16, share: u16) -> Result<VerdictWord, VerdictWord> {
        self.update(|now| {
            now.of(generation).map(|word| word & !SHARE | u64::from(share) << SHARE_SHIFT)
        })
    }

    /// A compare-and-swap to what `next` makes of the word, which writes nothing that is there already.
    fn update(self, next: impl Fn(VerdictWord) -> Option<u64>) -> Result<VerdictWord, VerdictWord> {
        let mut now = self.load();
        loop {
            let Some(word) = next(now) else { return Err(now) };
            if word == now.0 {
                return Ok(now);
            }
            match self.word.compare_exchange_weak(now.0, word, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(before) => return Ok(VerdictWord(before)),
                Err(found) => now = VerdictWord(found),
            }
        }
    }
}

/// What a verdict's word said when it was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerdictWord(u64);

impl VerdictWord {
    /// Whether the instance that used the slot under `generation` may be picked.
    #[inline]
    pub const fn takes_requests(self, generation: u16) -> bool {
        self.0 & (GENERATION | AGAINST) == (generation as u64) << GENERATION_SHIFT
    }

    /// The same for a pick in the step in which its worker loaded the snapshot that names the instance: that one may have been
    /// removed meanwhile, and takes what began before that was public.
    #[inline]
    pub const fn takes_first_requests(self, generation: u16) -> bool {
        self.0 & (GENERATION | (AGAINST & !GONE)) == (generation as u64) << GENERATION_SHIFT
    }

    /// Whether all requests that come to it in turn may go to the instance that used the slot under `generation`: as
    /// [`takes_requests`](Self::takes_requests), and it has no share.
    #[inline]
    pub const fn takes_all_requests(self, generation: u16) -> bool {
        self.0 & (GENERATION | SHARE | AGAINST) == (generation as u64) << GENERATION_SHIFT
    }

    /// The same, as [`takes_first_requests`](Self::takes_first_requests).
    #[inline]
    pub const fn takes_all_first_requests(self, generation: u16) -> bool {
        self.0 & (GENERATION | SHARE | AGAINST & !GONE) == (generation as u64) << GENERATION_SHIFT
    }

    /// Whether nothing stands against the instance of this generation but that it is set aside.
    pub const fn is_only_ejected(self, generation: u16) -> bool {
        self.0 & (GENERATION | AGAINST) == (generation as u64) << GENERATION_SHIFT | EJECTED
    }

    /// Which use of the slot the word speaks of; 0: it was never used.
    pub const fn generation(self) -> u16 {
        (self.0 >> GENERATION_SHIFT) as u16
    }

    /// The generation of the slot's next use.
    pub const fn next_generation(self) -> u16 {
        match self.generation() {
            u16::MAX => 1,
            generation => generation + 1,
        }
    }

    /// Whether the instance was removed.
    pub const fn is_gone(self) -> bool {
        self.0 & GONE != 0
    }

    /// Whether the instance has this mark.
    pub const fn has(self, mark: Mark) -> bool {
        self.0 & mark.bit() != 0
    }

    /// Requests that failed in a row.
    pub const fn failures(self) -> u16 {
        (self.0 >> FAILURES_SHIFT) as u16
    }

    /// Its share, of 65,536; 0: all.
    #[inline]
    pub const fn share(self) -> u16 {
        (self.0 >> SHARE_SHIFT) as u16
    }

    /// Whether nobody uses the slot, as far as the word tells: workers may still be on it.
    const fn is_free(self) -> bool {
        self.is_gone() || self.generation() == 0
    }

    /// The word with one failure more, up to `threshold`.
    const fn one_more(self, threshold: NonZeroU16) -> Self {
        let (failures, most) = (self.failures(), threshold.get());
        let more = if failures < most { failures + 1 } else { most };
        Self(self.0 & !FAILURES | (more as u64) << FAILURES_SHIFT)
    }

    /// The bits, if they speak of this generation.
    const fn of(self, generation: u16) -> Option<u64> {
        if self.generation() == generation { Some(self.0) } else { None }
    }
}
