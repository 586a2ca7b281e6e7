//! Fuzz entries: one function a target, each with an oracle of its own. A panic is a finding.
//!
//! They live apart from the fuzzer (`tests/fuzz`, nightly) so that `cargo test` replays every corpus on stable, and so that
//! other tests can drive the same worlds. An oracle is never the code under test: it is the strict parser, a slow reference
//! written for that purpose, or a property.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "to panic is how an entry reports a finding"
)]

pub mod chunked;
pub mod config;
pub mod exchange;
pub mod framing;
pub mod heads;
pub mod path;
pub mod proxy_header;
pub mod seeds;

pub use chunked::chunked;
pub use config::config;
pub use exchange::exchange;
pub use framing::framing;
pub use heads::{request_head, response_head};
pub use path::path;
pub use proxy_header::proxy_header;

/// A target: its name, as its corpus and its fuzzer have it, and its entry.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 8] = [
    ("chunked", chunked),
    ("config", config),
    ("exchange", exchange),
    ("framing", framing),
    ("path", path),
    ("proxy_header", proxy_header),
    ("request_head", request_head),
    ("response_head", response_head),
];

/// Bytes for a message of a finding.
pub(crate) fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
