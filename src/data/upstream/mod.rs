//! Connections to instances: made, kept, and looked at before they are used again.

pub mod connect;
pub mod pool;

use coregate_core::base::time::Tick;
use coregate_core::snapshot::services::ServiceTerms;

use crate::proxy::bulkhead::Permit;
use crate::proxy::pick::Picked;
use crate::worker::context::Worker;
use crate::worker::slots::SlotId;
use crate::worker::wire::Wire;

/// A connection to an instance, in the hands of one exchange.
#[derive(Debug)]
pub struct Upstream {
    /// The connection.
    pub wire: Wire,
    /// Whether an exchange has used it before: then it may have died meanwhile, and one retry is due.
    pub reused: bool,
    /// The instance.
    pub picked: Picked,
    born: Tick,
}

impl Upstream {
    /// It is of no use any more: it is closed. The request keeps its place in the service.
    pub fn leave(self) -> Box<Permit> {
        let Self { wire, picked, .. } = self;
        drop(wire);
        picked.leave()
    }

    /// Everything was said and read: the next exchange may use it. `owner`: the client that it speaks for alone.
    pub fn keep(self, worker: &Worker, terms: &ServiceTerms, owner: Option<SlotId>) {
        let Self { wire, picked, born, .. } = self;
        picked.instance().pool.give(worker, terms, wire, born, owner);
    }
}
