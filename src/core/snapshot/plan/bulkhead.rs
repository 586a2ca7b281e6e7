//! Bulkheads, as a configuration asks for them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::limits;
use crate::policy::queue::Class;

/// How many requests of a service may be in flight on the host, and what becomes of those beyond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkheadPlan {
    /// Requests in flight to the service: 1 to [`limits::BULKHEAD_MAX`]; `None`: any number.
    pub service: Option<u64>,
    /// The same for each of its instances.
    pub instance: Option<u64>,
    /// Connections to each of its instances, idle ones included: 1 to [`limits::BULKHEAD_MAX`].
    pub connections: u64,
    /// How many may wait: at most [`limits::BULKHEAD_QUEUE_MAX`]; 0: nobody.
    pub queue: u64,
    /// How long they may wait: above 0, at most [`limits::BULKHEAD_WAIT_MAX`].
    pub wait: Duration,
    /// The classes of consumers, by their groups: at most [`limits::GROUPS_OF_BULKHEAD`]. Whoever is in none of them is normal.
    pub priority: BTreeMap<String, Class>,
}

impl Default for BulkheadPlan {
    fn default() -> Self {
        Self {
            service: None,
            instance: None,
            connections: limits::BULKHEAD_CONNECTIONS,
            queue: limits::BULKHEAD_QUEUE,
            wait: limits::BULKHEAD_WAIT,
            priority: BTreeMap::new(),
        }
    }
}
