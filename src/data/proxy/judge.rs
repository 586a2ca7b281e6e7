//! What an attempt says of its instance: at the end of each, once.
//!
//! | success | failure | neither |
//! |---|---|---|
//! | an answer that was passed on whole, with any other status; 500 too | status 502, 503 or 504 | what is the client's fault: it broke off, was slow, sent a bad body |
//! | a switch to another protocol | no answer in time, a malformed one, one that broke off | a used connection that ended before a byte of the answer: instances may close idle connections |
//! | for a TCP route, a connection | no connection, refused or in time | no connection because this host has no more descriptors, ports or memory |
//!
//! A success is two writes that nobody else makes and one load. Failures in a row set the instance aside
//! ([`Outlier`](coregate_core::base::cells::Outlier)); the control plane lets it in again, and looks at how many of all requests failed.
//! An instance that drains is not judged any more, and nothing is by a worker that ends its connections itself.

use crate::proxy::pick::Picked;
use crate::proxy::reject::{Fault, Reject};
use crate::proxy::relay::Broken;
use crate::upstream::Upstream;
use crate::upstream::connect::ConnectError;
use crate::worker::context::Worker;
use crate::worker::services::LocalService;

/// An answer with this status was passed on whole.
#[inline]
pub fn answered(worker: &Worker, service: &LocalService, picked: &Picked, status: u16) {
    match status {
        502..=504 => failed(worker, service, picked),
        _ => succeeded(worker, picked),
    }
}

/// There was no answer, or not all of one.
pub fn broke(worker: &Worker, service: &LocalService, upstream: &Upstream, broken: &Broken) {
    let closed_idle =
        upstream.reused && broken.before_first_byte && broken.reject == Reject::UpstreamClosed;
    if broken.reject.row().fault == Fault::Upstream && !closed_idle {
        failed(worker, service, &upstream.picked);
    }
}

/// There was no connection.
pub fn unreached(worker: &Worker, service: &LocalService, picked: &Picked, error: &ConnectError) {
    if !error.is_ours() {
        failed(worker, service, picked);
    }
}

/// All went well.
#[inline]
pub fn succeeded(worker: &Worker, picked: &Picked) {
    picked.tell(false);
    let instance = &picked.instance().instance;
    worker.cells.verdict(instance.slot).succeeded(instance.generation);
}

#[cold]
fn failed(worker: &Worker, service: &LocalService, picked: &Picked) {
    if worker.closing.is_set() {
        return;
    }
    picked.tell(true);
    worker.stats().upstream_failures.one();
    let (service, instance) = (&service.service, &picked.instance().instance);
    let Some(threshold) = service.terms.ejecting.failures else { return };
    let most = service.terms.ejecting.most(service.instances.len());
    let outlier = worker.cells.outlier(service.id, instance.slot, instance.generation);
    if outlier.failed(threshold, most) {
        worker.stats().ejections.one();
    }
}
