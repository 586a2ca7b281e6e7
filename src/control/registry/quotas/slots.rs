//! Which slots of allowances are free. The last use of each is told by its word, so none is held back.

use coregate_core::base::ids::QuotaSlot;
use coregate_core::base::limits;

/// The slots.
#[derive(Debug, Default)]
pub(super) struct Slots {
    free: Vec<QuotaSlot>,
    /// Those below were given once.
    next: u32,
}

impl Slots {
    /// A free one, if there is one.
    pub(super) fn give(&mut self) -> Option<QuotaSlot> {
        self.free.pop().or_else(|| {
            let fresh = (self.next as usize) < limits::QUOTA_KEYS;
            fresh.then(|| {
                self.next += 1;
                QuotaSlot(self.next - 1)
            })
        })
    }

    /// One is free again.
    pub(super) fn take_back(&mut self, slot: QuotaSlot) {
        self.free.push(slot);
    }

    /// These are taken, and no others: another process gave them.
    pub(super) fn inherit(&mut self, taken: impl Iterator<Item = QuotaSlot>) {
        let mut is_taken = vec![false; limits::QUOTA_KEYS];
        for slot in taken {
            is_taken[slot.index()] = true;
        }
        let end = is_taken.iter().rposition(|taken| *taken).map_or(0, |last| last + 1);
        self.next = end as u32;
        let free = (0..end).filter(|at| !is_taken[*at]);
        self.free = free.map(|at| QuotaSlot(at as u32)).collect();
    }
}
