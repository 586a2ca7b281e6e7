//! A strict reader of HTTP/1.1 messages (RFC 9112), for both sides of the gateway.
//!
//! It accepts only what a careful sender writes: every deviation is a [`Fault::Malformed`], so whatever the gateway emits is
//! held to the letter. It is not a general parser: chunk extensions, absolute-form targets and lists in `Content-Length`
//! are faults here because the gateway must never write them. It shares no code with the gateway, nor with httparse.
//!
//! [`Reader`] reads messages from a stream or from memory; `rules.rs` holds what a message must keep to. [`hostile`] is the
//! table of hostile requests, [`answers`] that of broken answers: tests over sockets and in memory share both.

pub mod answers;
pub mod hostile;
mod message;
mod reader;
mod rules;

pub use message::{Fault, Framing, Head, Request, Response, latin1};
pub use reader::Reader;

#[cfg(test)]
mod tests;
