//! Recording how a request ended: counters for now; the access log comes later.

use crate::proxy::reject::Reject;
use crate::worker::context::Worker;

/// A response was sent, with this status.
pub fn answered(worker: &Worker, status: u16) {
    worker.stats().response(status);
}

/// A request was refused, or its answer failed, for this reason.
pub fn rejected(worker: &Worker, reject: Reject) {
    worker.stats().rejected[reject as usize].one();
}
