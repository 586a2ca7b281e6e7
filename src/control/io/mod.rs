//! What the control plane does with sockets, on one tokio thread.

pub mod toy;
