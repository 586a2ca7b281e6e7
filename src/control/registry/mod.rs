//! The registry: who owns the configuration and publishes what follows from it.

pub mod publish;
