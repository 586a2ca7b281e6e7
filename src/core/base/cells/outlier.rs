//! Outliers: an instance that fails live requests is set aside, as long as enough of its service are left.
//!
//! Two words. The instance's [verdict](super::verdict) counts failures in a row and has the mark EJECTED; the service's
//! [permits](super::permit) count how many of its instances have that mark. A worker sets aside, the control plane lets in again:
//!
//! ```text
//! worker                                        control
//! e1  V: one failure more in a row              r1  V: EJECTED off, failures 0     (readmit), or
//!     as many as the threshold:                     V: GONE, and EJECTED off       (remove)
//! e2  P: take one of the limit        Acquire       it was on:
//! e3  V: EJECTED, if it has neither that        r2  P: give one back              Release
//!     nor GONE, and the failures still are
//!     as many; else P: give one back
//! ```
//!
//! # Proof: one permit for each mark
//!
//! *Who turns the mark on has a permit for it.* EJECTED is turned on in e3 alone, by a compare-and-swap from a word without it (fact 1
//! of the [page of proof](super)), whose writer took a permit in e2 for this one attempt. Who does not turn it on gives that permit
//! back in the same breath. So of several workers that reach the threshold at once, one turns the mark on and one permit stays taken.
//!
//! *Who turns it off gives the permit back, once.* It is turned off in r1 alone, by a compare-and-swap from a word with it; the word that
//! was replaced tells whether it was on. Of two that turn it off, one replaces such a word. `remove` turns it off too, and what is
//! GONE is never marked again under its generation: nothing is left on a slot for whom nobody is there to give back, and a second
//! `remove`, or a `readmit` that comes after it, gives nothing back.
//!
//! *So the permits are never fewer than the marks*: raised before a mark is on, lowered after it is off. And as a permit is taken within the
//! limit or not at all, **no more instances of a service have the mark than the limit allows** that was in force when the last of them
//! got it. A limit that was lowered since, because instances went, lets none in: those that are set aside come back by themselves.
//! While a worker is between e2 and e3 there is a permit without a mark, and another worker may be refused one for another instance:
//! the next failure of that one asks again, since failures are counted up to the threshold and stay there.
//!
//! *A success in between* makes the failures fewer than the threshold, and e3 finds that out: it sets nothing aside that has just
//! answered. A success after it changes nothing about the mark: requests on their way when an instance is set aside do not let it in.
//!
//! *Another generation* is met by none of the steps (see the verdict): a failure that comes back late counts for nobody.
//!
//! # Obligations of the callers
//!
//! - The service is that of the instance: a slot's word does not say whose it is.
//! - Only these functions change the mark. Whoever calls [`Verdict::readmit`] or [`Verdict::remove`] instead gives one permit back where
//!   the word that they replaced has the mark.
//!
//! *A process that dies* between e2 and e3, or between r1 and r2, leaves one permit too many: one instance fewer can be set aside,
//! until the host's last process ends. That is the safe side: instances too many that serve.

use std::num::NonZeroU16;

use super::permit::Permits;
use super::verdict::{Mark, Verdict, VerdictWord};

/// What live requests say of one use of a slot, and the permits of its service.
#[derive(Debug, Clone, Copy)]
pub struct Outlier<'a> {
    verdict: Verdict<'a>,
    ejections: Permits<'a>,
    generation: u16,
}

impl<'a> Outlier<'a> {
    /// The view of the two words.
    #[inline]
    pub(super) const fn new(verdict: Verdict<'a>, ejections: Permits<'a>, generation: u16) -> Self {
        Self { verdict, ejections, generation }
    }

    /// A request failed. Sets the instance aside when as many as the threshold have in a row, and fewer than `limit` of its service
    /// are set aside; whether this did so. Of one that drains nothing is counted: who takes it away may end its requests.
    pub fn failed(self, threshold: NonZeroU16, limit: u64) -> bool {
        if self.verdict.load().has(Mark::Draining) {
            return false;
        }
        let Ok(word) = self.verdict.failed(self.generation, threshold) else { return false };
        let due = word.failures() >= threshold.get() && !word.has(Mark::Ejected) && !word.is_gone();
        due && self.set_aside(threshold.get(), limit)
    }

    /// Sets the instance aside for another reason than failures in a row; whether this did so.
    pub fn eject(self, limit: u64) -> bool {
        self.set_aside(0, limit)
    }

    /// The instance is set aside no longer, and begins anew; whether it was, and this let it in.
    pub fn readmit(self) -> bool {
        let before = self.verdict.readmit(self.generation);
        self.given_back(before).is_ok_and(|word| word.has(Mark::Ejected))
    }

    /// Removes the instance: nobody picks it any more. Gives the word that it replaced; idempotent.
    ///
    /// # Errors
    /// With the word as it is, unchanged, if it speaks of another generation.
    pub fn remove(self) -> Result<VerdictWord, VerdictWord> {
        let before = self.verdict.remove(self.generation);
        self.given_back(before)
    }

    /// The mark is off: if it was on before, its permit goes back.
    fn given_back(
        self,
        before: Result<VerdictWord, VerdictWord>,
    ) -> Result<VerdictWord, VerdictWord> {
        if before.is_ok_and(|word| word.has(Mark::Ejected)) {
            self.ejections.release(1);
        }
        before
    }

    fn set_aside(self, failures: u16, limit: u64) -> bool {
        if !self.ejections.take(1, limit) {
            return false;
        }
        let marked = self.verdict.eject(self.generation, failures).is_ok();
        if !marked {
            self.ejections.release(1);
        }
        marked
    }
}
