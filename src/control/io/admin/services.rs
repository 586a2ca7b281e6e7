//! The list of services, for who may see all of them and for who may see some.

use axum::extract::{Extension, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use coregate_core::base::limits;

use super::asking::{answer, ask, respond};
use super::problem::Problem;
use super::question::Question;
use super::registry::page;
use super::report::Answer;
use super::routes::Here;
use super::tokens::{Access, Scope};
use crate::registry::directory::view::{ServiceView, ServicesView};
use crate::registry::order::{Look, Page, Seen};

/// Those that the token is for.
pub(super) async fn list(
    State(here): State<Here>,
    Extension(access): Extension<Access>,
    uri: Uri,
) -> Result<Response, Problem> {
    if !access.may_with_some(Scope::Read) {
        return Err(access.refused("", "the token has no scope read"));
    }
    let Page { after, most } = page(&uri)?;
    if access.may_with_all(Scope::Read) {
        return ask(&here, Question::Look(Look::Services(Page { after, most }))).await;
    }
    let mut own = own_services(&here, &access).await?;
    own.services.retain(|service| after.as_ref().is_none_or(|after| service.name > *after));
    let is_more = own.services.len() > most;
    own.services.truncate(most);
    own.next = own.services.last().map(|last| last.name.clone()).filter(|_| is_more);
    Ok(Json(own).into_response())
}

/// All services that the token is for: of the others neither the names nor their number are its to know.
pub(super) async fn own_services(here: &Here, access: &Access) -> Result<ServicesView, Problem> {
    let mut own = ServicesView::default();
    loop {
        let page = Page { after: own.next.take(), most: limits::REGISTRY_PAGE };
        let seen = match answer(here, Question::Look(Look::Services(page))).await? {
            Answer::Seen(seen) => *seen,
            other => {
                respond(other)?;
                return Err(no_list());
            }
        };
        let Seen::Services(view) = seen else { return Err(no_list()) };
        let may = |service: &ServiceView| access.may(Scope::Read, &service.name);
        own.services.extend(view.services.into_iter().filter(may));
        (own.revision, own.count, own.next) = (view.revision, own.services.len(), view.next);
        if own.next.is_none() {
            return Ok(own);
        }
    }
}

fn no_list() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no list of services").with_retry()
}
