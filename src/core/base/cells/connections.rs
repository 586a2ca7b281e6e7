//! Connection permits: how many connections are open on this host, over two processes during a binary upgrade.
//!
//! One word of the header, a [`SharedPermits`], whose proof and obligations are those of this view; the limit is the process' own.

use super::shared::SharedPermits;
use super::table::Cells;

/// The connection permits of the host, as one process has them.
#[derive(Debug)]
pub struct ConnectionPermits {
    cells: Cells,
    limit: u64,
}

impl ConnectionPermits {
    /// Permits for at most `limit` connections on the host, for the process of this epoch: 0 at first, one more with each
    /// binary upgrade.
    pub fn new(cells: Cells, epoch: u64, limit: u64) -> Self {
        Self { cells: cells.in_epoch(epoch), limit }
    }

    /// Takes one permit; `false` when all are taken. Each `true` is answered by one [`release`](Self::release).
    #[must_use = "a permit that was taken must be released"]
    pub fn acquire(&self) -> bool {
        self.word().take(1, self.limit)
    }

    /// Gives `n` permits back.
    pub fn release(&self, n: u64) {
        self.word().release(n);
    }

    /// Gives back what a process that is gone left behind; says how many those were. Idempotent.
    pub fn forget(&self, epoch: u64) -> u64 {
        debug_assert!(!self.cells.is_in(epoch), "a process does not outlive itself");
        if self.cells.is_in(epoch) { 0 } else { self.word().forget() }
    }

    /// How many permits are taken on the host.
    pub fn open(&self) -> u64 {
        self.word().taken()
    }

    /// How many of them this process has.
    pub fn held(&self) -> u64 {
        self.word().held()
    }

    /// How many there are.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    fn word(&self) -> SharedPermits<'_> {
        self.cells.connections()
    }
}
