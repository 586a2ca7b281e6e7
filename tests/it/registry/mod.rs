//! The registry as instances and operators see it.

mod api;
mod crowd;
mod demo;
mod dns;
mod files;
mod probes;
mod restarts;
mod store;
