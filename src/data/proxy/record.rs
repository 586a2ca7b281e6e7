//! Recording how a request ended: counters for now; the access log comes later.

use crate::proxy::authenticate::Identified;
use crate::proxy::reject::Reject;
use crate::worker::accounts::Decision;
use crate::worker::context::Worker;
use crate::worker::services::LocalRoute;

/// A response was sent, with this status.
pub fn answered(worker: &Worker, status: u16) {
    worker.stats().response(status);
}

/// A request was refused, or its answer failed, for this reason.
pub fn rejected(worker: &Worker, reject: Reject) {
    worker.stats().rejected[reject as usize].one();
}

/// It was asked who calls, with this result.
pub fn identified(worker: &Worker, result: Identified) {
    worker.stats().authentications[result as usize].one();
}

/// The rates of a route have said this of a request.
pub fn decided(worker: &Worker, local: &LocalRoute, decision: Decision) {
    worker.post().decisions.one(local.route.id, decision);
    let stats = worker.stats();
    match decision {
        Decision::Admitted => &stats.rates_admitted,
        Decision::Refused => &stats.rates_refused,
        Decision::DryRun => &stats.rates_dry_run,
    }
    .one();
}
