//! What the control plane does with sockets, on one tokio thread.
//!
//! - [`admin`]: the admin listener: what operators and tools ask of a running process.
//! - [`client`]: the other end of it, for the commands.
//! - [`metrics`]: every counter as text for a scraper (door of prometheus-client).
//! - [`moment`]: times and durations as text (door of humantime).
//! - [`procfs`]: what the kernel says of this process.
//! - [`store`]: what was registered, on a disk, on a thread of its own (door of redb).
//! - [`toy`]: small origins for the demo.

pub mod admin;
pub mod client;
pub mod metrics;
pub mod moment;
pub mod procfs;
pub mod store;
pub mod toy;
