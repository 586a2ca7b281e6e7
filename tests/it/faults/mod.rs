//! Calls that fail: whole exchanges in memory and over sockets, with faults on order at every call of ours
//! (`coregate_data::transport::faults`; the feature `faults`).

mod memory;
mod play;
mod sockets;
