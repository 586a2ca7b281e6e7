//! Asking the server's thread, or the registry's, and what its answer becomes; what stands in queries.

use axum::extract::Query;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use coregate_core::base::limits;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use super::question::{Asker, Question};
use super::report::{Answer, History, Refusal, Why};
use super::routes::Here;
use super::{guard, operate, registry};
use crate::io::moment;

/// Asks, waits, and answers with what it was told.
pub(super) async fn ask(here: &Here, question: Question) -> Result<Response, Problem> {
    respond(answer(here, question).await?)
}

/// Asks the server's thread, or the registry's, and waits for its answer.
pub(super) async fn answer(here: &Here, question: Question) -> Result<Answer, Problem> {
    let (asker, answer) = Asker::new();
    let unavailable =
        |detail: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).with_retry();
    here.shared.process.ask(question, asker).map_err(|busy| unavailable(busy.to_string()))?;
    match tokio::time::timeout(limits::ADMIN_ANSWER_TIME, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(unavailable("the process is ending".into())),
        Err(_) => Err(Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            format!(
                "no answer within {} s; it may still be done",
                limits::ADMIN_ANSWER_TIME.as_secs()
            ),
        )),
    }
}

/// An answer as a response: 200, or what went wrong.
pub(super) fn respond(answer: Answer) -> Result<Response, Problem> {
    let conflict = |detail: &str| Problem::new(StatusCode::CONFLICT, detail);
    Ok(match answer {
        Answer::Reload(report) if report.applied => Json(report).into_response(),
        Answer::Reload(report) => {
            return Err(conflict("it was refused: what was there still runs").with_report(&report));
        }
        Answer::Upgrade(report) if report.upgraded => Json(report).into_response(),
        Answer::Upgrade(report) => {
            return Err(conflict("it failed: this process still serves").with_report(&report));
        }
        Answer::Membership(report) if report.refused.is_empty() => Json(report).into_response(),
        Answer::Membership(report) => {
            return Err(conflict("some changes were refused, the others hold").with_report(&report));
        }
        Answer::History(history) => Json(History { history }).into_response(),
        Answer::Diff(report) => Json(report).into_response(),
        Answer::Config(report) => Json(report).into_response(),
        Answer::Instance(report) => Json(report).into_response(),
        Answer::Ordered(ordered) => registry::ordered(*ordered),
        Answer::Seen(seen) => registry::seen(*seen),
        Answer::Consumer(_) | Answer::Reset { .. } => {
            return Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "an answer to something else",
            ));
        }
        Answer::OrderedAll(results) => return operate::ordered_all(results),
        Answer::Refused(refusal) => return Err(refused(refusal)),
    })
}

pub(super) fn refused(Refusal { why, detail, revision }: Refusal) -> Problem {
    match why {
        Why::Changed => {
            Problem::new(StatusCode::PRECONDITION_FAILED, detail).with("revision", revision)
        }
        Why::Unauthorized => guard::wrong_token(&detail),
        Why::Forbidden => Problem::new(StatusCode::FORBIDDEN, detail),
        Why::NotFound => Problem::new(StatusCode::NOT_FOUND, detail),
        Why::Conflict => Problem::new(StatusCode::CONFLICT, detail),
        Why::Invalid => Problem::bad(detail),
        Why::Unavailable => Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).with_retry(),
    }
}

pub(super) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    match Query::try_from_uri(uri) {
        Ok(Query(query)) => Ok(query),
        Err(error) => Err(Problem::bad(error.body_text())),
    }
}

pub(super) fn duration(
    name: &str,
    text: Option<&str>,
) -> Result<Option<std::time::Duration>, Problem> {
    text.map(moment::duration).transpose().map_err(|error| Problem::bad(format!("{name} {error}")))
}
