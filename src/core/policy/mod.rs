//! Policies: what a request must have, and what it may use up. Pure decisions, carried out by the data plane and called by
//! `explain` with the same arguments.
//!
//! - [`credential`]: what a client shows of a secret, and how it is compared;
//! - [`queue`]: who waits for a service that has as many requests as it may.
//! - [`authenticate`]: who calls, and who is let in.
//! - [`key_place`]: where a key stands in a request.
//! - [`credential`]: what a client shows of a secret, and how it is compared.
//! - [`period`]: days and months in a time zone.
//! - [`quota`]: whether a request is within its day or month, and what it takes of it.
//! - [`rate`]: whether a request is within a limit, and what it takes of it.

pub mod authenticate;
pub mod credential;
pub mod key_place;
mod leases;
pub mod period;
pub mod queue;
pub mod quota;
pub mod rate;
