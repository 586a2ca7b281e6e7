//! Rates: GCRA, the generic cell rate algorithm (ITU-T I.371, Annex A), on one word.
//!
//! The word is the theoretical arrival time: the moment, in ns of the host's monotonic clock, at which the bucket is full
//! again. That clock is one for all processes of a host (`CLOCK_MONOTONIC`) and begins at zero when the host does, which
//! is also when the table is gone. A word in the past is a full bucket, whatever the terms; so is a zero word.
//!
//! With `T` ns a token and a burst of `b` tokens, `c` tokens are to be had at `now` if
//!
//! ```text
//! after = max(word, now) + c T   <=   now + b T
//! ```
//!
//! and then `after` is the next word. [`check`](Rate::check) only loads; [`spend`](Rate::spend) swaps `after` in if the
//! word is still the one it was computed from. A refusal writes nothing, so a flood that is refused costs the host's other
//! cores nothing.
//!
//! # Proof: at most `t / T + b` in every span of `t`, for any interleaving
//!
//! Number the admitted spends in the order of the word (fact 1 of the [page of proof](super)); let spend `k` have cost
//! `c_k`, clock reading `n_k`, and write `w_k`. By the rule, since it swapped from `w_(k-1)` exactly:
//!
//! 1. `w_k >= w_(k-1) + c_k T`  (the word only rises, by what was admitted at least),
//! 2. `w_k >= n_k + c_k T`,
//! 3. `w_k <= n_k + b T`.
//!
//! Take a span from `s` to `e = s + t` and the spends whose readings lie in it; in the word's order let `i` be the first
//! and `j` the last of them. Then `w_j >= w_i + T (sum of the c after i)` by (1), `w_i >= s + c_i T` by (2), and
//! `w_j <= e + b T` by (3). Hence `T (sum of all their c) <= e - s + b T`. ∎
//!
//! Nothing was said about the order of the readings: they may stand in any order to that of the word. So **a worker whose
//! clock lags, or that was interrupted between reading its clock and the swap, changes nothing**: its spend counts for the
//! moment that its clock showed, which is some moment between its call and its return if the clock is read for it. Who
//! counts at the moment of the write instead, sees up to `L / T` more in a span, `L` being the longest time from a reading
//! to its write; so the clock is read right before a spend. Over a run that is counted from its first reading there is
//! no such term.
//!
//! *Any numbers.* `after` is computed exactly or not at all: a sum or product that does not fit is a refusal. `now + b T`
//! saturates, downwards: it refuses more. So (1) to (3) hold for all values of 64 bits.
//!
//! # Terms may change at any time
//!
//! (1) to (3) are about each spend's own terms, so while some workers have old terms and some new ones the sum is bounded by
//! the shorter `T` and the larger `b T`; in a span that begins after the last use of the old terms, by the new ones alone.
//! No word need be touched. One thing is unkind, though not unsafe: where tokens came slowly, a debt may be long (a minute,
//! at 10 a minute), and is paid in time, also under terms that give a thousand a second. [`settle`](Rate::settle) shortens
//! such a debt to what the new terms could have made: an empty bucket.
//!
//! # What a process that dies leaves behind
//!
//! One swap, done or not done. Tokens that it spent and did not use are lost, none is doubled.

use std::num::NonZeroU64;
use std::time::Duration;

use super::sync::{AtomicU64, Ordering};

/// What a rate allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    period: NonZeroU64,
    burst: u64,
    /// `period x burst`: how far the word may be ahead of the clock.
    tolerance: u64,
}

impl Terms {
    /// A token each `period` ns, and at most `burst` tokens at once. A burst of 0 admits nothing.
    pub const fn new(period: NonZeroU64, burst: u64) -> Self {
        Self { period, burst, tolerance: period.get().saturating_mul(burst) }
    }

    /// `count` tokens in each `window`, and at most `burst` at once. The period is rounded up to whole ns, so that a rate
    /// is never exceeded: rates up to 1,000,000/s lose at most 0.1 %.
    pub fn per(count: NonZeroU64, window: Duration, burst: u64) -> Self {
        let period = window.as_nanos().div_ceil(u128::from(count.get()));
        let period = u64::try_from(period).unwrap_or(u64::MAX);
        Self::new(NonZeroU64::new(period).unwrap_or(NonZeroU64::MIN), burst)
    }

    /// The time that a token takes to come, in ns.
    pub const fn period(self) -> NonZeroU64 {
        self.period
    }

    /// The most tokens that there are at once.
    pub const fn burst(self) -> u64 {
        self.burst
    }

    /// What a full bucket says of `cost` tokens.
    pub fn of_full(self, cost: u64) -> Decision {
        self.decide(0, 0, cost).0
    }

    /// What these terms say of `cost` tokens at `now`: the decision, and the word after it was carried out.
    #[inline]
    pub(super) fn decide(self, word: u64, now: u64, cost: u64) -> (Decision, Option<u64>) {
        let base = word.max(now);
        let until = now.saturating_add(self.tolerance);
        let after = self.period.get().checked_mul(cost).and_then(|debt| base.checked_add(debt));
        match after {
            Some(after) if after <= until => {
                (Decision::Admitted { remaining: (until - after) / self.period }, Some(after))
            }
            _ => {
                let wait = after.filter(|_| cost <= self.burst).map(|after| after - until);
                let remaining = until.saturating_sub(base) / self.period;
                (Decision::Refused { wait: wait.map(Duration::from_nanos), remaining }, None)
            }
        }
    }

    /// What a word becomes when `tokens` are owed at `now`: later by these, but by no more than what makes an empty bucket lack a burst.
    pub(super) fn owe(self, word: u64, now: u64, tokens: u64) -> (Decision, Option<u64>) {
        let base = word.max(now);
        let most = now.saturating_add(self.tolerance.saturating_mul(2));
        let debt = self.period.get().saturating_mul(tokens);
        let after = base.saturating_add(debt).min(most).max(base);
        let until = now.saturating_add(self.tolerance);
        let remaining = until.saturating_sub(after) / self.period;
        (Decision::Admitted { remaining }, (after > base).then_some(after))
    }
}

/// What a rate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Admitted {
        /// Whole tokens that are left of the burst.
        remaining: u64,
    },
    /// Not now.
    Refused {
        /// How long until it would be admitted, if nobody else spends; `None`: never, the cost is above the burst.
        wait: Option<Duration>,
        /// Whole tokens that there are.
        remaining: u64,
    },
}

impl Decision {
    /// Whether it is a yes.
    pub const fn is_admitted(self) -> bool {
        matches!(self, Self::Admitted { .. })
    }

    /// Whole tokens that are left.
    pub const fn remaining(self) -> u64 {
        match self {
            Self::Admitted { remaining } | Self::Refused { remaining, .. } => remaining,
        }
    }
}

/// A word that limits a rate.
#[derive(Debug, Clone, Copy)]
pub struct Rate<'a> {
    full_at: &'a AtomicU64,
}

impl<'a> Rate<'a> {
    /// The view of a word; a word of zero: a full bucket.
    pub const fn new(word: &'a AtomicU64) -> Self {
        Self { full_at: word }
    }

    /// Whether `cost` tokens are to be had at `now` (ns of the monotonic clock). Writes nothing.
    pub fn check(self, now: u64, cost: u64, terms: Terms) -> Decision {
        terms.decide(self.full_at.load(Ordering::Relaxed), now, cost).0
    }

    /// Takes `cost` tokens at `now` (ns of the monotonic clock, read for this), all or none.
    #[must_use = "a refusal must be carried out"]
    pub fn spend(self, now: u64, cost: u64, terms: Terms) -> Decision {
        let mut word = self.full_at.load(Ordering::Relaxed);
        loop {
            let (decision, after) = terms.decide(word, now, cost);
            let Some(after) = after else { return decision };
            match self.full_at.compare_exchange_weak(
                word,
                after,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return decision,
                Err(found) => word = found,
            }
        }
    }

    /// Shortens a debt that only other terms can have made to an empty bucket of these; says whether there was one. For
    /// when terms were changed, once every worker has the new ones: nobody then makes such a debt, so at most what comes in
    /// between the reading of this clock and the write is forgiven.
    pub fn settle(self, now: u64, terms: Terms) -> bool {
        let most = now.saturating_add(terms.tolerance);
        self.full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
                (word > most).then_some(most)
            })
            .is_ok()
    }

    /// When the bucket is full again, in ns of the monotonic clock; in the past: it is full.
    pub fn full_at(self) -> u64 {
        self.full_at.load(Ordering::Relaxed)
    }
}
