//! What the control plane does with sockets.
//!
//! - [`admin`]: the admin listener: what operators and tools ask of a running process.
//! - [`client`]: the other end of it, for the commands.
//! - [`discover`]: where else instances are looked up: names, files.
//! - [`look`]: whether a file has changed.
//! - [`metrics`]: every counter as text for a scraper (door of prometheus-client).
//! - [`moment`]: points in time as they go over the wire.
//! - [`prober`]: what carries out active checks, on a thread of its own.
//! - [`procfs`]: what the kernel says of this process.
//! - [`store`]: what was registered, on a disk, on a thread of its own (door of redb).
//! - [`toy`]: small origins for the demo.
//! - [`voice`]: how something is said to the operator.

pub mod admin;
pub mod client;
pub mod discover;
pub mod look;
pub mod metrics;
pub mod moment;
pub mod prober;
pub mod procfs;
pub mod store;
pub mod toy;
pub mod voice;
