//! coregate-core: what the gateway decides, without doing any of it.
//!
//! This package is pure (rule 5 of the architecture page): it holds no socket, no runtime and no clock; `now` and
//! randomness come in as arguments. What it decides is carried out by `coregate-data` and told to the operator by
//! `coregate-config` and `coregate-control`, which call the same functions.
//!
//! Floors, each of which uses only those above it in this list:
//!
//! - [`base`]: ids, limits, time, cells, mailboxes, counters.
//! - [`http`]: HTTP/1 heads, framing, chunks, normal forms and local answers, over bytes that others read and write.
//! - [`policy`]: what a request must have, and what it may use up. Its [`rate`](policy::rate) carries out the limits of a snapshot, so looks
//!   down on that.
//! - [`proxy_protocol`]: who the client is, as a proxy before us tells it, or as we tell an instance.
//! - [`snapshot`]: routes and services compiled into one immutable value.
#![forbid(unsafe_code)]

pub mod base;
pub mod http;
pub mod policy;
pub mod proxy_protocol;
pub mod snapshot;
