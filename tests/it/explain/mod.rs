//! What `coregate explain`, `routes` and `test` say, held against what the gateway then does.

mod commands;
mod equals;
mod random;
