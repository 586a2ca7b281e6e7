//! What the registry asks of the prober, and what it is told.
//!
//! The registry decides what is probed and when (a schedule without I/O); the prober carries it out on a thread of its own and
//! proposes what came of it as a [`Command::Probed`](crate::registry::log::Command::Probed).

use std::sync::Arc;
use std::time::Duration;

use coregate_core::base::ids::{InstanceSlot, ServiceId};
use coregate_core::snapshot::plan::{Address, HealthCheck};

/// A probe that is to be made now.
#[derive(Debug, Clone)]
pub struct ProbeOrder {
    /// The instance's service.
    pub service: ServiceId,
    /// The instance's slot.
    pub slot: InstanceSlot,
    /// Which use of it.
    pub generation: u16,
    /// Where the instance is.
    pub address: Address,
    /// Its id, if it has registered.
    pub id: Option<Arc<str>>,
    /// What is asked of it.
    pub check: Arc<HealthCheck>,
}

/// What came of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// The instance's slot.
    pub slot: InstanceSlot,
    /// Which use of it.
    pub generation: u16,
    /// What it showed.
    pub finding: Finding,
    /// How long it took.
    pub took: Duration,
}

/// What a probe showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// All is as expected.
    Passed,
    /// The instance answers, and asks for less (429): this counts neither way.
    Warned,
    /// It does not, for this reason: a few words for people, without what the instance sent.
    Failed(Box<str>),
}

/// A probe that is not made now.
#[derive(Debug, Clone)]
pub enum Unprobed {
    /// There are too many on their way.
    Full(ProbeOrder),
    /// Of this service there are; those of others may have room.
    Share(ProbeOrder),
}

/// Where probes go to be made.
pub trait Probes: Send {
    /// Has this probe made; does not wait. Gives it back where there are too many on their way.
    fn probe(&self, order: ProbeOrder) -> Result<(), Unprobed>;
}

/// Nobody makes any.
impl Probes for () {
    fn probe(&self, order: ProbeOrder) -> Result<(), Unprobed> {
        Err(Unprobed::Full(order))
    }
}
