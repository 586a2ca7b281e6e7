//! What a process does: flags and exits, signals, drivers, descriptors, threads, panics.

mod exhaustion;
mod flags;
mod ladder;
#[cfg(feature = "chaos")]
mod panics;
mod signals;
mod sockets;
mod supervisor;
mod threads;
