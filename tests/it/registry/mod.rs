//! The registry as instances and operators see it.

mod restarts;
mod store;
