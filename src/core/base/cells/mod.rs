//! Cells: words that say one thing for the whole host, however many workers and processes there are (rule 3).
//!
//! A [`Cells`] is a handle on one table of `AtomicU64`s. The table lies in memory that others make (this package has no
//! I/O and no `unsafe`): a mapping that every process of the host shares, so that a binary upgrade inherits it, or a small
//! allocation for tests. What a word means is said by a *view*, a small `Copy` value that borrows it:
//!
//! | view | says | written |
//! |---|---|---|
//! | [`Verdict`] | whether an instance takes requests, and whose use of the slot that speaks of | when that changes |
//! | [`Outlier`] | whether live requests have set an instance aside, and how many of its service are | when one fails, and when one succeeds after that |
//! | [`Rate`] | when a bucket is full again (GCRA) | when a request is admitted; never when it is refused |
//! | [`KeyTable`] | the same for any number of keys | when a request is admitted; never when it is refused |
//! | [`Allowance`] | what is left of a grant of a quota, and whose | when a request is admitted; never when it is refused |
//! | [`Permits`] | how many are taken | when one is taken or given back |
//! | [`SharedPermits`] | how many are taken, by each of two processes | when one is taken or given back |
//! | [`Bulkhead`] | how many requests of a service are in flight, and how many wait | when one begins, waits, or ends |
//! | [`ConnectionPermits`] | how many connections are open, in all and in this process | once a connection |
//! | [`AddressPermits`] | how many connections are open of any number of addresses | once a connection, where that is limited |
//! | [`ListenerPlace`] | which [`SharedPermits`] are those of a listener | when a name is first counted |
//!
//! # The page of proof
//!
//! Each view's module argues its own property; all of them count on these facts and on no others:
//!
//! 1. **One word, one order.** All writes to one atomic word lie in one total order (its *modification order*), whatever
//!    the memory orderings. A read-modify-write (a successful compare-and-swap among them) reads the write just before its
//!    own in that order. So what a view promises about *one* word needs no fence: every writer's step keeps the promise if
//!    it held before, hence it holds for any interleaving of any number of threads. `Relaxed` is enough for that.
//! 2. **A thread never goes back.** What a thread read of a word bounds from below, in that order, what it reads of it
//!    later; a write that *happens before* a read bounds it likewise (coherence).
//! 3. **Release and acquire.** A store with `Release` and a load with `Acquire` that reads it put all that the one thread
//!    did before before all that the other does after. Nothing else orders two different words, so each place where two
//!    words must agree says which pair does it.
//! 4. **A process ends between two instructions.** What it wrote before stays in the shared memory, what came after never
//!    happens. So of one word nothing is ever half written, and where two words change, their order must leave the safe
//!    side in between.
//! 5. **Any value is a value.** No pattern of bits in a word makes a reader panic, loop or index anything: a word that
//!    another program wrote could make answers wrong, never memory unsafe.
//! 6. **Compare-and-swap loops end.** An attempt fails only because another thread's succeeded (or, on some processors,
//!    for no reason, which does not last): somebody always gets on.
//!
//! Processes share the words through one mapping of the same memory, where these facts hold as between threads: they are
//! facts of the processor's coherent memory, and the operations are instructions without a lock.
//!
//! `tests/models` lets loom try each argument: every interleaving and every stale value that the memory model allows, where
//! two threads take part; with three threads, up to three preemptions. Beside each stands a variant with one step of the
//! argument left out, which must fail.

mod addresses;
mod allowance;
mod bucket;
mod bulkhead;
mod connections;
mod keys;
mod layout;
mod listeners;
mod outlier;
mod pages;
mod permit;
mod rate;
mod shared;
mod sync;
mod table;
mod verdict;

pub use addresses::{AddressPermits, AddressPlace, AddressTaken};
pub use allowance::{Allowance, Taken};
pub use bucket::{BucketHasher, BucketTable, tag_of};
pub use bulkhead::{Bulkhead, BulkheadWord, Entry};
pub use connections::ConnectionPermits;
pub use keys::{Drawn, KeyTable, OwnKeys};
pub use layout::LAYOUT;
pub use listeners::ListenerPlace;
pub use outlier::Outlier;
pub use permit::Permits;
pub use rate::{Decision, Rate, Terms};
pub use shared::SharedPermits;
pub use table::{Cells, LayoutMismatch};
pub use verdict::{Mark, Verdict, VerdictWord};

#[cfg(test)]
mod tests;
