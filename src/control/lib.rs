//! coregate-control: the control plane. What is slow, shared, or spoken to by operators.
//!
//! For now it publishes snapshots ([`registry`]) and runs the toy services of `coregate demo` ([`io`]); the registry thread,
//! the admin listener, probes and discovery come with later issues. Nothing of monoio is linked.

pub mod io;
pub mod registry;
