//! Bodies of requests: read whole before a handler runs, bounded in size and time, JSON or nothing.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use coregate_core::base::limits;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::problem::Problem;
use super::tokens::Access;

const CLOSE: [(HeaderName, HeaderValue); 1] = [(CONNECTION, HeaderValue::from_static("close"))];

/// Places for large bodies: one for each that is read, or being answered.
#[derive(Debug, Clone)]
pub(super) struct Places {
    known: Arc<Semaphore>,
    /// For those whose token nobody has compared yet: they take none of the others' places.
    unknown: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Self {
        let places = || Arc::new(Semaphore::new(limits::ADMIN_LARGE_BODIES));
        Self { known: places(), unknown: places() }
    }
}

impl Places {
    /// Waits for a place, where one is needed.
    ///
    /// Cancel safety: dropped, it has taken nothing.
    async fn take(
        &self,
        announced: Option<u64>,
        is_known: bool,
    ) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        if announced.is_some_and(|bytes| bytes <= limits::ADMIN_SMALL_BODY_BYTES as u64) {
            return Ok(None);
        }
        let places = if is_known { &self.known } else { &self.unknown };
        let place = timeout(limits::ADMIN_TURN_TIME, Arc::clone(places).acquire_owned()).await;
        place.ok().and_then(Result::ok).map(Some).ok_or_else(|| {
            let detail = "too many large bodies at once";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).with_retry()
        })
    }
}

/// Reads the body, as a layer around all routes.
pub(super) async fn read(State(places): State<Places>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let access = parts.extensions.get::<Access>();
    let is_known = access.is_some_and(|access| !access.is_unknown());
    let place = match places.take(body.size_hint().upper(), is_known).await {
        Ok(place) => place,
        Err(problem) => return (CLOSE, problem).into_response(),
    };
    let bytes = match collect(body, limits::ADMIN_BODY_TIMEOUT).await {
        Ok(bytes) => bytes,
        Err(problem) => {
            // What is left of it would be taken for the next request.
            return (CLOSE, problem).into_response();
        }
    };
    if !bytes.is_empty() && !is_json(&parts.headers) {
        return Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "a body must be JSON, with Content-Type: application/json",
        )
        .into_response();
    }
    let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    drop(place);
    response
}

/// Refuses a body, as a layer around the routes that take none; it was read before.
pub(super) async fn refuse(request: Request, next: Next) -> Response {
    if request.body().size_hint().exact() == Some(0) {
        next.run(request).await
    } else {
        Problem::bad("this takes no body").into_response()
    }
}

/// Reads JSON.
pub(super) fn json<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        // Nothing is wrong with a member where the body as a whole is.
        let at = if path == "." { String::new() } else { format!(" at `{path}`") };
        problem(&at, error.inner())
    })?;
    json.end().map_err(|error| problem("", &error))?;
    Ok(value)
}

fn problem(at: &str, error: &serde_json::Error) -> Problem {
    Problem::bad(format!("the body is not as expected{at}: {error}"))
        .with("line", error.line())
        .with("column", error.column())
}

async fn collect(body: Body, within: Duration) -> Result<Bytes, Problem> {
    let most = limits::ADMIN_BODY_BYTES;
    let too_large = || {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is too large: expected up to {most} bytes"),
        )
    };
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    match timeout(within, Limited::new(body, most).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::bad("the body is broken or was cut off")),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body did not come within {} s", within.as_secs()),
        )),
    }
}

/// Exactly one media type, and that `application/json`; parameters such as `charset` say nothing about JSON.
fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    let kind = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "read to be refused")]
        check: Inner,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[expect(dead_code, reason = "read to be refused")]
        every: String,
    }

    #[track_caller]
    fn check(body: &'static str, expected: &str) {
        let problem = json::<Outer>(&Bytes::from_static(body.as_bytes())).unwrap_err();
        let said = format!("{problem:?}");
        assert!(said.contains(expected), "{said}");
    }

    #[test]
    fn the_member_that_is_wrong_is_named() {
        check(r#"{"check": {"every": 5}}"#, "at `check.every`: invalid type: integer `5`");
        check(r#"{"check": "/healthz"}"#, "at `check`: invalid type");
        check(r#"[]"#, "not as expected: invalid");
        check(r#"{"check": {"every": "5s"}} x"#, "not as expected: trailing characters");
    }
}
