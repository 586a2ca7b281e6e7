//! What is counted of probes: written by the prober's thread alone, read by anyone.

use std::sync::Arc;

use coregate_core::base::counter::Counter;
use tokio::sync::Semaphore;

use crate::registry::probe::Finding;

/// Its counters, and gauges.
#[derive(Debug)]
pub struct ProbeStats {
    /// Probes that passed.
    pub passed: Counter,
    /// Probes that were answered with 429.
    pub warned: Counter,
    /// Probes that failed.
    pub failed: Counter,
    /// Probes that could not be made, because this host lacks something for them.
    pub skipped: Counter,
    /// Probes that had to wait for those on their way. Written by who orders them.
    pub held_back: Counter,
    room: Arc<Semaphore>,
    most: usize,
}

impl ProbeStats {
    pub(super) fn new(room: &Arc<Semaphore>, most: usize) -> Self {
        let [passed, warned, failed, skipped, held_back] = [(); 5].map(|()| Counter::default());
        Self { passed, warned, failed, skipped, held_back, room: Arc::clone(room), most }
    }

    pub(super) fn count(&self, finding: &Finding) {
        match finding {
            Finding::Passed => self.passed.one(),
            Finding::Warned => self.warned.one(),
            Finding::Failed(_) => self.failed.one(),
        }
    }

    /// How many are on their way.
    pub fn on_their_way(&self) -> usize {
        self.most.saturating_sub(self.room.available_permits())
    }

    /// Every one of them: its name, what it counts, its value, and whether it goes down too.
    pub fn explained(&self) -> [(&'static str, &'static str, u64, bool); 6] {
        [
            ("probes_passed", "Probes that passed", self.passed.get(), false),
            ("probes_warned", "Probes that were answered with 429", self.warned.get(), false),
            ("probes_failed", "Probes that failed", self.failed.get(), false),
            (
                "probes_skipped",
                "Probes that could not be made, because this host lacks descriptors, memory or ports",
                self.skipped.get(),
                false,
            ),
            (
                "probes_held_back",
                "Probes that had to wait because too many were on their way, in all or of their service",
                self.held_back.get(),
                false,
            ),
            (
                "probes_on_their_way",
                "Probes that are on their way",
                self.on_their_way() as u64,
                true,
            ),
        ]
    }
}
