//! Admission: what a request that passed every stage may do, which is what its route says.

use std::rc::Rc;

use coregate_core::http::head::{Head, Request};
use coregate_core::policy::key_place;
use coregate_core::snapshot::plan::{Action, AuthMethod, Forward, Rewrite};
use coregate_core::snapshot::router::Asked;

use crate::proxy::answer::Settled;
use crate::proxy::connection::Downstream;
use crate::proxy::outbound::Outbound;
use crate::proxy::refusal::{Refused, rate_fields};
use crate::proxy::reject::Reject;
use crate::proxy::route::Routed;
use crate::worker::context::Worker;
use crate::worker::notes::Lent;
use crate::worker::services::LocalRoute;

/// A request that every limit has let pass, by somebody who may.
#[derive(Debug)]
#[must_use = "it has been paid for"]
pub struct Admitted {
    routed: Routed,
    note: Option<Lent>,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Way {
    /// It goes to a service.
    Forward(Outbound),
    /// Its route has answered it.
    Answer(Settled),
}

impl Admitted {
    pub(super) fn new(routed: Routed, note: Option<Lent>) -> Self {
        Self { routed, note }
    }

    /// Does what its route says: makes the request the one that goes to the service, or answers it.
    #[inline]
    pub fn go(
        self,
        worker: &Worker,
        downstream: &Downstream,
        head: &mut Head,
        request: &mut Request,
    ) -> Result<Way, Refused> {
        let (route, service) = self.routed.into_parts();
        match service {
            Some(service) => {
                let sent = outward(worker, &route, head, request);
                let outbound = Outbound::new(route, service, self.note);
                match sent {
                    Ok(()) => Ok(Way::Forward(outbound)),
                    Err(reject) => Err(outbound.refused(reject)),
                }
            }
            None => answer(worker, downstream, (head, request), &route, self.note),
        }
    }
}

/// Makes a request the one that goes to the instance: its path, and without its key.
#[inline]
fn outward(
    worker: &Worker,
    local: &LocalRoute,
    head: &mut Head,
    request: &mut Request,
) -> Result<(), Reject> {
    if let Some(auth) = &local.route.guard.auth {
        let AuthMethod::Key(key) = &auth.method;
        if !key.forward {
            key_place::take_off(&key.places, head, request);
        }
    }
    match &local.route.plan.action {
        Action::Forward(Forward { rewrite: Rewrite::Same, .. }) => Ok(()),
        Action::Forward(Forward { rewrite, .. }) => rewritten(worker, rewrite, head, request),
        Action::Redirect(_) | Action::Respond(_) => Ok(()),
    }
}

/// Makes the path the one that goes to the instance.
fn rewritten(
    worker: &Worker,
    rewrite: &Rewrite,
    head: &mut Head,
    request: &mut Request,
) -> Result<(), Reject> {
    worker.buffers.with_spare(|spare| {
        let write = |path: &[u8], out: &mut _| {
            rewrite.path(path, out);
        };
        request.set_path(head, spare, write).map_err(|_| Reject::BadRequest)
    })
}

/// The answer of a route that has its own.
fn answer(
    worker: &Worker,
    downstream: &Downstream,
    (head, request): (&Head, &Request),
    local: &Rc<LocalRoute>,
    note: Option<Lent>,
) -> Result<Way, Refused> {
    let told = note.as_deref().and_then(|note| note.told);
    let headers = downstream.listener.terms.rate_headers;
    let rate = told.and_then(|told| rate_fields(local, &told, headers));
    let asked_by = (head, request);
    let settled = match &local.route.plan.action {
        Action::Redirect(redirect) => {
            let asked = Asked::of(head, request);
            Settled::redirect(worker, downstream, asked_by, &asked, (redirect, rate))
        }
        Action::Respond(respond) => {
            Ok(Settled::fixed(worker, downstream, asked_by, (respond, rate)))
        }
        Action::Forward(_) => Err(Reject::NoRoute),
    };
    let settled = settled.map_err(|reject| Refused::by(local, reject, told))?;
    worker.stats().answered_by_route.one();
    Ok(Way::Answer(settled))
}
