//! What is known of the health of one instance.

use std::sync::Arc;
use std::time::Duration;

use coregate_core::base::ids::{InstanceSlot, ServiceId};
use coregate_core::snapshot::plan::{Address, HealthCheck};

use super::probes::Probing;
use super::traffic::Traffic;
use super::{Turn, Turned};

/// An instance.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) slot: InstanceSlot,
    pub(super) generation: u16,
    pub(super) service: ServiceId,
    pub(super) address: Address,
    /// Its id, if it has registered.
    pub(super) id: Option<Arc<str>>,
    pub(super) weight: u32,
    /// What was said of that; none: it is the file's.
    pub(super) said_weight: Option<u32>,
    /// Whether it is held back, whatever its probes say.
    pub(super) held: bool,
    /// The check that it brought.
    pub(super) own_check: Option<Arc<HealthCheck>>,
    /// Its probes; none: nobody asks.
    pub(super) probing: Option<Box<Probing>>,
    pub(super) traffic: Traffic,
    /// Since when it recovers, if it does.
    pub(super) recovers: Option<Duration>,
    /// Its place among the recoveries.
    pub(super) raised_at: Option<Duration>,
    /// What was written as its share last.
    pub(super) share: u16,
}

impl Entry {
    /// Whether it serves: it is not held back, and its probes do not say otherwise.
    pub(super) fn is_up(&self) -> bool {
        !self.held && self.probing.as_ref().is_none_or(|probing| probing.standing.serves())
    }

    /// The same, told.
    pub(super) fn turned(&self, turn: Turn) -> Turned {
        Turned { service: self.service, address: self.address.clone(), turn }
    }
}
