//! HTTP/1 as pure functions over bytes: what a head means, how its body is framed, how a head is written anew.
//!
//! In the order of a request's life: [`parse`] finds the head in a page and fills a [`head::Head`] with spans; [`path`] and
//! the host checks give its one normal form; [`framing`] says how its body ends; [`hop`] says what must not go on;
//! [`encode`] writes the head for the next hop; [`body`], [`chunked`] and [`trailers`] follow bodies; [`answer`] and [`date`] serve answers of our own;
//! [`query`] and [`cookie`] read what stands in a target and in a field; [`rate_fields`] tells
//! clients of rates.
//!
//! Nothing here reads or writes a socket, and no input panics: each function says `Err` with whose fault it was.

pub mod answer;
pub mod body;
pub mod chunked;
pub mod cookie;
pub mod date;
pub mod encode;
mod fields;
pub mod framing;
pub mod head;
pub mod hop;
pub mod parse;
pub mod path;
pub mod query;
pub mod rate_fields;
mod target;
pub mod trailers;
