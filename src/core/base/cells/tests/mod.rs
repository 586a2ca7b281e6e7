//! Tests of cells: each view by examples, properties and threads; with `--cfg loom` the models instead.

#[cfg(not(loom))]
mod addresses;
#[cfg(not(loom))]
mod allowance;
#[cfg(not(loom))]
mod bulkhead;
#[cfg(not(loom))]
mod connections;
#[cfg(not(loom))]
mod keys;
#[cfg(not(loom))]
mod listeners;
#[cfg(loom)]
mod models;
#[cfg(not(loom))]
mod outlier;
#[cfg(not(loom))]
mod permit;
#[cfg(not(loom))]
mod rate;
#[cfg(not(loom))]
mod shared;
#[cfg(not(loom))]
mod table;
#[cfg(not(loom))]
mod verdict;
