//! Instances as the compiler knows them, and what follows from changes for the words that the host shares.

use crate::base::ids::{InstanceSlot, ServiceId};
use crate::snapshot::plan::Address;

/// What follows from a change for the words that the host shares, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Slots that were given.
    pub given: Vec<Given>,
    /// Slots whose instance is there no more; to be marked before the next snapshot is published.
    pub gone: Vec<Gone>,
}

/// A slot whose instance is there no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone {
    /// The slot.
    pub slot: InstanceSlot,
    /// Which use of it that was.
    pub generation: u16,
    /// The instance's service, which may be gone too.
    pub service: ServiceId,
}

/// A slot that was given to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The slot.
    pub slot: InstanceSlot,
    /// Which use of it this is.
    pub generation: u16,
    /// The instance's service.
    pub service: ServiceId,
    /// Where the instance is.
    pub address: Address,
}

/// An instance as the compiler knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its slot.
    pub slot: InstanceSlot,
    /// Which use of the slot it is.
    pub generation: u16,
    /// Whether the configuration names it.
    pub of_file: bool,
    /// Whether it was registered.
    pub registered: bool,
    /// Whether a source of its service says that it is there.
    pub discovered: bool,
}

impl Member {
    /// Nobody says yet that it is there.
    pub(super) fn fresh(slot: InstanceSlot, generation: u16) -> Self {
        Self { slot, generation, of_file: false, registered: false, discovered: false }
    }

    /// Whether anybody says that it is there.
    pub(super) fn is_held(&self) -> bool {
        self.of_file || self.registered || self.discovered
    }
}
