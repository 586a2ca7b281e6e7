//! Policies: what a request must have, and what it may use up. Pure decisions, carried out by the data plane and called by
//! `explain` with the same arguments.
//!
//! - [`credential`]: what a client shows of a secret, and how it is compared;
//! - [`queue`]: who waits for a service that has as many requests as it may.

pub mod credential;
pub mod queue;
