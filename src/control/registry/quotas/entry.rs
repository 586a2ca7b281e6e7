//! One count: what was granted of a key in its period, and where that is spent from.

use coregate_core::base::cells::Cells;
use coregate_core::base::ids::QuotaSlot;
use coregate_core::base::limits;
use coregate_core::policy::period::Period;
use coregate_core::policy::quota::Place;

/// A count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its period.
    pub(super) period: Period,
    /// How much may be granted, as whoever asked last says.
    pub(super) limit: u64,
    /// Tokens that were granted, on the way to the store or in it.
    pub(super) used: u64,
    /// Where the allowance is.
    pub(super) slot: QuotaSlot,
    /// Which use of the slot.
    pub(super) stamp: u32,
}

impl Entry {
    /// A count of nothing yet.
    pub(super) fn begin(period: Period, limit: u64, slot: QuotaSlot, cells: &Cells) -> Self {
        let stamp = cells.allowance(slot).begin();
        Self { period, limit, used: 0, slot, stamp }
    }

    /// Where workers spend from.
    pub(super) fn place(&self) -> Place {
        let Self { period, slot, stamp, .. } = *self;
        Place { slot, stamp, ends: period.ends, lease: self.lease() }
    }

    /// How much is granted at a time.
    pub(super) fn lease(&self) -> u32 {
        let share = self.limit / limits::QUOTA_LEASE_SHARE;
        // At most a lease, which is far below 2^32.
        share.clamp(1, limits::QUOTA_LEASE) as u32
    }

    /// How many tokens are to be granted, where so many are wanted now; 0: enough is left, or no more may be.
    ///
    /// What nobody waits for is granted once half of a lease is left, so that mostly nobody has to.
    pub(super) fn lack(&self, wanted: u32, cells: &Cells) -> u32 {
        let left = cells.allowance(self.slot).left(self.stamp).unwrap_or(0);
        let lease = self.lease();
        if left >= (if wanted > 0 { wanted } else { (lease / 2).max(1) }) {
            return 0;
        }
        let lack = u64::from(wanted.max(lease).saturating_sub(left));
        lack.min(self.limit.saturating_sub(self.used)) as u32
    }

    /// So many more may be spent.
    pub(super) fn grant(&self, tokens: u32, cells: &Cells) {
        let last = self.used >= self.limit;
        // A word of another stamp is one that somebody else wrote: nobody can spend then, which is the safe side.
        let _ = cells.allowance(self.slot).grant(self.stamp, tokens, last);
    }

    /// Says in the word whether there is more to grant.
    pub(super) fn show(&self, cells: &Cells) {
        self.grant(0, cells);
    }

    /// Lets workers ask for more, whether there is some or not.
    pub(super) fn reopen(&self, cells: &Cells) {
        let _ = cells.allowance(self.slot).grant(self.stamp, 0, false);
    }

    /// Nothing of it may be spent any more. Gives what was left.
    pub(super) fn end(&self, cells: &Cells) -> u32 {
        cells.allowance(self.slot).end(self.stamp)
    }
}
