//! coregate-config: what the operator wrote, parsed, resolved and explained.

// A test that cannot go on says so by panicking.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod cores;

pub use crate::cores::{Cores, CoresError, Io, IoError};
