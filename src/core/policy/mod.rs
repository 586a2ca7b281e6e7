//! Policies: what a request must have, and what it may use up. Pure decisions, carried out by the data plane and called by
//! `explain` with the same arguments.
//!
//! - [`credential`]: what a client shows of a secret, and how it is compared.
//! - [`rate`]: whether a request is within a limit, and what it takes of it.

pub mod credential;
mod leases;
pub mod rate;
