//! Models: loom runs each body in every interleaving of its threads, with every value that a load may see by the memory
//! model. Run by `tests/run`, or
//!
//! ```text
//! CARGO_TARGET_DIR=target/loom RUSTFLAGS="--cfg loom" cargo test -p coregate-core --lib base::cells::tests::models
//! ```
//!
//! A check that cannot fail proves nothing: each model has variants with one step of its argument left out, and these must
//! fail with the words of the assertion.

mod addresses;
mod allowance;
mod bulkhead;
mod keys;
mod outlier;
mod permit;
mod rate;
mod reuse;
mod shared;
mod verdict;

use std::sync::Arc;

use loom::sync::atomic::AtomicU64;

/// Every interleaving; for models of two threads.
const EVERY: Option<usize> = None;
/// Those with at most three preemptions (times that a thread is stopped which could go on), for models of three threads: each
/// variant that must fail does so with two.
const THREE: Option<usize> = Some(3);

/// Runs a model.
fn model(preemptions: Option<usize>, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(body);
}

/// A word that threads share.
fn word(value: u64) -> Arc<AtomicU64> {
    Arc::new(AtomicU64::new(value))
}
