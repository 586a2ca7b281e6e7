//! Connection permits: how many connections are open on this host, over two processes during a binary upgrade.
//!
//! Three words. `total` is what is taken in all; it alone decides. `held` is what one process holds of it; there are two
//! such words, one for even and one for odd epochs (an upgrade gives the successor the next epoch), because two processes
//! at most live at a time. When one is gone, however it went, the other gives back what it left behind:
//! [`forget`](ConnectionPermits::forget).
//!
//! # Proof
//!
//! *The total never exceeds the limit*: it is a [`Permits`], argued there.
//!
//! *`total >= held[even] + held[odd]`, whenever a process is killed*, so that what remains after `forget` is never less
//! than what the living hold. Two words cannot change at once, so the total is **raised first and lowered last**:
//!
//! | step | first | then | killed in between |
//! |---|---|---|---|
//! | acquire | total + 1 | held + 1 | total has one that nobody holds |
//! | release(n) | held - n | total - n | total has n that nobody holds |
//! | forget | n = held, held = 0 | total - n | total has n that nobody holds |
//!
//! Each row keeps the inequality after its first write and makes both sides equal again after its second. The second write
//! has `Release`, so neither the compiler nor the processor moves the first behind it (fact 3), and a process ends between
//! two instructions (fact 4): no kill leaves the second write without the first. What was held by the dead and counted in
//! `held` is given back once, since `forget` swaps it for zero; what was in between stays counted in the total as taken:
//! at most one acquire or release of each thread that was killed in the act, some nanoseconds a connection. That is the
//! safe side: too few connections, never too many.
//!
//! # Obligations of the caller
//!
//! - `forget(epoch)` only when the process of that epoch is gone (waited for, or its pidfd is readable): one that lives
//!   would go on to release what was given back already.
//! - A process of epoch `e` takes permits only once the one of `e - 2` was forgotten: they share a word. A successor that
//!   failed is forgotten in the same way, and the next one may have its epoch.

use super::permit::Permits;
use super::sync::{AtomicU64, Ordering};
use super::table::Cells;

/// The connection permits of the host, as one process has them.
#[derive(Debug)]
pub struct ConnectionPermits {
    cells: Cells,
    odd: bool,
    limit: u64,
}

impl ConnectionPermits {
    /// Permits for at most `limit` connections on the host, for the process of this epoch: 0 at first, one more with each
    /// binary upgrade.
    pub fn new(cells: Cells, epoch: u64, limit: u64) -> Self {
        Self { cells, odd: is_odd(epoch), limit }
    }

    /// Takes one permit; `false` when all are taken. Each `true` is answered by one [`release`](Self::release).
    #[must_use = "a permit that was taken must be released"]
    pub fn acquire(&self) -> bool {
        self.words().acquire(self.limit)
    }

    /// Gives `n` permits back.
    pub fn release(&self, n: u64) {
        self.words().release(n);
    }

    /// Gives back what a process that is gone left behind; says how many those were. Idempotent.
    pub fn forget(&self, epoch: u64) -> u64 {
        debug_assert!(is_odd(epoch) != self.odd, "a process does not outlive itself");
        if is_odd(epoch) == self.odd {
            return 0;
        }
        ConnectionWords::new(self.cells.connections(), self.cells.held(is_odd(epoch))).forget()
    }

    /// How many permits are taken on the host.
    pub fn open(&self) -> u64 {
        self.words().total.taken()
    }

    /// How many of them this process has.
    pub fn held(&self) -> u64 {
        self.words().held.load(Ordering::Relaxed)
    }

    /// How many there are.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    fn words(&self) -> ConnectionWords<'_> {
        ConnectionWords::new(self.cells.connections(), self.cells.held(self.odd))
    }
}

const fn is_odd(epoch: u64) -> bool {
    epoch % 2 == 1
}

/// The two words that one process writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConnectionWords<'a> {
    pub(super) total: Permits<'a>,
    held: &'a AtomicU64,
}

impl<'a> ConnectionWords<'a> {
    pub(super) const fn new(total: &'a AtomicU64, held: &'a AtomicU64) -> Self {
        Self { total: Permits::new(total), held }
    }

    pub(super) fn acquire(self, limit: u64) -> bool {
        let taken = self.total.take(1, limit);
        if taken {
            self.held.fetch_add(1, Ordering::Release);
        }
        taken
    }

    pub(super) fn release(self, n: u64) {
        self.let_go(n);
        self.total.release(n);
    }

    /// The first half of a release.
    pub(super) fn let_go(self, n: u64) {
        Permits::new(self.held).release(n);
    }

    pub(super) fn forget(self) -> u64 {
        let left = self.held.swap(0, Ordering::Acquire);
        self.total.release(left);
        left
    }
}
