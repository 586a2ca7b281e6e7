//! Reaching an instance: a place in the service's bulkhead, an instance in turn, a connection to it.

use std::future::Future;
use std::rc::Rc;

use coregate_core::base::ids::InstanceSlot;
use coregate_core::base::time::Span;

use crate::proxy::bulkhead::{self, Comer, Entrance};
use crate::proxy::judge;
use crate::proxy::reject::Reject;
use crate::upstream::Upstream;
use crate::upstream::connect::{self, ConnectError};
use crate::worker::context::Worker;
use crate::worker::services::LocalService;
use crate::worker::slots::SlotId;

/// Which connection is wanted.
#[derive(Debug, Default)]
pub struct Wanted {
    /// For whom: not to the instance of the attempt before, while there is another.
    pub comer: Comer,
    /// Not a pooled one.
    pub fresh: bool,
    /// Only one that speaks for this client.
    pub owner: Option<SlotId>,
}

/// A connection to the next instance: a pooled one, or a new one within `limit`. Else the instance that failed, if there was
/// one, and why.
#[expect(clippy::manual_async_fn, reason = "an async fn would hold its arguments twice")]
pub fn reach(
    worker: &Rc<Worker>,
    service: &LocalService,
    limit: impl FnOnce() -> Span,
    wanted: &mut Wanted,
) -> impl Future<Output = Result<Upstream, (Option<InstanceSlot>, Reject)>> {
    async move {
        let picked = match bulkhead::enter(worker, service, &mut wanted.comer) {
            Entrance::In(picked) => picked,
            // Rare, so it is boxed: the exchange's future stays small.
            Entrance::Waits(place) => {
                Box::pin(place.wait()).await.map_err(|reject| (None, reject))?
            }
            Entrance::No(reject) => return Err((None, reject)),
        };
        let terms = &service.service.terms;
        let pool = &picked.instance().pool;
        let pooled = || pool.take(worker, terms, wanted.owner);
        if let Some(idle) = (!wanted.fresh).then(pooled).flatten() {
            return Ok(idle.used_by(picked));
        }
        // Rare, so it is boxed: the exchange's future stays small.
        let connected =
            Box::pin(connect::connect(worker, picked, limit(), terms.connections)).await;
        connected.map_err(|(picked, error)| {
            judge::unreached(worker, service, &picked, &error);
            let slot = picked.slot();
            wanted.comer.permit = Some(picked.leave());
            let reject = match error {
                ConnectError::Timeout => Reject::ConnectTimeout,
                ConnectError::Full => Reject::BulkheadFull,
                ConnectError::Io(_) => Reject::ConnectFailed,
            };
            (Some(slot), reject)
        })
    }
}
