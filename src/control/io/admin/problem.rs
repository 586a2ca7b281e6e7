//! Errors as `application/problem+json` (RFC 9457).

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use coregate_core::base::limits;
use serde::Serialize;
use serde_json::{Map, Value};

/// The media type of an error.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// An error answer: `{"title": ..., "status": ..., "detail": ...}` and what else is known.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    challenge: Option<&'static str>,
    retry: bool,
    members: Map<String, Value>,
}

impl Problem {
    /// An error; `detail` says for people what was wrong and what would have been right.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let mut members = Map::new();
        members.insert("title".into(), status.canonical_reason().unwrap_or("Error").into());
        members.insert("status".into(), status.as_u16().into());
        members.insert("detail".into(), detail.into().into());
        Self { status, challenge: None, retry: false, members }
    }

    /// A request that can never be answered as it is (400).
    pub(super) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Its status.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// What was wrong, for people.
    pub(super) fn detail(&self) -> &str {
        self.members.get("detail").and_then(Value::as_str).unwrap_or_default()
    }

    /// Adds a member.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.into(), value.into());
        self
    }

    /// Adds all members of a report. Reports have none of the names above.
    pub(super) fn with_report(mut self, report: &impl Serialize) -> Self {
        if let Ok(Value::Object(report)) = serde_json::to_value(report) {
            debug_assert!(!report.keys().any(|name| self.members.contains_key(name)));
            self.members.extend(report);
        }
        self
    }

    /// Says what credentials are asked for.
    pub(super) fn with_challenge(mut self, challenge: &'static str) -> Self {
        self.challenge = Some(challenge);
        self
    }

    /// Says that it may go better soon.
    pub(super) fn with_retry(mut self) -> Self {
        self.retry = true;
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Value::from(self.members).to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(challenge) = self.challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if self.retry {
            headers.insert(RETRY_AFTER, limits::ADMIN_RETRY_AFTER.as_secs().into());
        }
        response
    }
}
