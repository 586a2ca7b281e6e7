//! coregate-data: the data plane. Workers, each on its own core with its own ring, that proxy requests.
//!
//! Nothing here blocks, locks, resolves names, opens files, or allocates per request in the steady state; nothing of
//! tokio is linked. What a worker writes per request belongs to that worker alone (rule 2): the lints of this package
//! forbid locks and atomics outside the files that are named in `clippy.toml`'s comments.
//!
//! Floors, from the ground up. The worker's context and its life know the floors above by name (what an exchange slot or a
//! pool is, which task to spawn), but none of what they do:
//!
//! - [`transport`]: byte streams over sockets, or over memory in tests.
//! - [`worker`]: what a worker owns: its runtime, clock, slots, buffers, counters.
//! - [`upstream`]: connections to instances, pooled.
//! - [`proxy`]: the life of a request.

pub mod proxy;
pub mod transport;
pub mod upstream;
pub mod worker;
#[cfg(feature = "memory")]
pub mod world;
