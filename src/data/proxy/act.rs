//! What a route does with a request that was admitted: it goes to a service, as that is to see it, or is answered here.

use std::rc::Rc;

use coregate_core::http::head::{Head, Request};
use coregate_core::policy::key_place;
use coregate_core::snapshot::plan::{Action, AuthMethod, Forward, Rewrite};
use coregate_core::snapshot::router::Asked;

use crate::proxy::answer::Settled;
use crate::proxy::connection::Downstream;
use crate::proxy::limit::Admitted;
use crate::proxy::outbound::Outbound;
use crate::proxy::refusal::{Refused, rate_fields};
use crate::proxy::reject::Reject;
use crate::worker::context::Worker;
use crate::worker::notes::Lent;
use crate::worker::services::LocalRoute;

/// What becomes of a request.
#[derive(Debug)]
pub enum Way {
    /// It goes to a service.
    Forward(Outbound),
    /// Its route has answered it.
    Answer(Settled),
}

/// Does what the route of an admitted request says: makes it the one that goes to the service, or answers it.
#[inline]
pub fn act(
    worker: &Worker,
    downstream: &Downstream,
    head: &mut Head,
    request: &mut Request,
    admitted: Admitted,
) -> Result<Way, Refused> {
    match Outbound::of(admitted) {
        Ok(outbound) => match outward(worker, outbound.route(), head, request) {
            Ok(()) => Ok(Way::Forward(outbound)),
            Err(reject) => Err(outbound.refused(reject)),
        },
        Err((route, note)) => {
            // A redirect says the query again, to whoever stands there.
            take_key_off(&route, head, request);
            answer(worker, downstream, (head, request), &route, note)
        }
    }
}

/// Takes the key off a request, unless instances are to see it.
#[inline]
fn take_key_off(local: &LocalRoute, head: &mut Head, request: &mut Request) {
    if let Some(auth) = &local.route.guard.auth {
        let AuthMethod::Key(key) = &auth.method;
        if !key.forward {
            key_place::take_off(&key.places, head, request);
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
    take_key_off(local, head, request);
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
