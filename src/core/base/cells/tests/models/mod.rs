//! Models: loom runs each body in every interleaving of its threads, with every value that a load may see by the memory
//! model. Run by `tests/run`, or
//!
//! ```text
//! CARGO_TARGET_DIR=target/loom RUSTFLAGS="--cfg loom" cargo test -p coregate-core --lib base::cells::tests::models
//! ```
//!
//! A check that cannot fail proves nothing: each model has variants with one step of its argument left out, and these must
//! fail with the words of the assertion.

mod connections;
mod permit;
mod rate;
mod reuse;
mod verdict;

use std::sync::Arc;

use loom::sync::atomic::AtomicU64;

/// Runs a model, in every interleaving with at most so many preemptions: times that a thread is stopped which could go on.
/// The variants that must fail tell how many are needed.
fn model(preemptions: Option<usize>, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(body);
}

/// A word that threads share.
fn word(value: u64) -> Arc<AtomicU64> {
    Arc::new(AtomicU64::new(value))
}
