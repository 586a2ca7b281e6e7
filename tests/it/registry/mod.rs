//! The registry as instances and operators see it.

mod dns;
mod files;
mod restarts;
mod store;
