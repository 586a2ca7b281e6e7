//! coregate-control: the control plane. What is slow, shared, or spoken to by operators.
//!
//! [`registry`] decides: its thread takes commands, publishes snapshots and writes verdicts, and does no I/O. [`io`] is whatever
//! speaks to the world for it: the admin listener, probes, discovery, the store, metrics. Nothing of monoio is linked.

pub mod io;
pub mod registry;
