//! The atomics that cells are made of: those of std, or loom's, which try every interleaving, in models.

#[cfg(all(test, loom))]
pub(super) use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(all(test, loom)))]
pub(super) use std::sync::atomic::{AtomicU64, Ordering};

/// So many words of zero, untouched.
#[cfg(not(all(test, loom)))]
pub(super) fn zeroed(count: usize) -> Box<[AtomicU64]> {
    crate::base::zeroed::boxed(count)
}

/// So many words of zero; loom's are no plain memory.
#[cfg(all(test, loom))]
pub(super) fn zeroed(count: usize) -> Box<[AtomicU64]> {
    (0..count).map(|_| AtomicU64::new(0)).collect()
}

/// Lets others go on.
pub(super) fn relax() {
    #[cfg(not(all(test, loom)))]
    std::hint::spin_loop();
    #[cfg(all(test, loom))]
    loom::thread::yield_now();
}
