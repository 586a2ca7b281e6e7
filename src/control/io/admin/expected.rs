//! What a request expects of an instance, and what it wants to hear: `If-Match`, `If-None-Match`, `Prefer`, and `ETag` in answers.
//!
//! The entity tag of an instance is its revision in quotes: it changes with whatever is said of it, and with no renewal.

use axum::extract::FromRequestParts;
use axum::http::header::{ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use coregate_core::base::limits;

use super::problem::Problem;
use crate::registry::order::Expected;

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// What a request says besides its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terms {
    /// What the instance must be like.
    pub(super) expected: Expected,
    /// Whether only the status is wanted (RFC 7240 §4.2: `return=minimal`).
    pub(super) is_brief: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Terms {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.headers)
    }
}

impl Terms {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let prefer = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
        let mut wishes = prefer.flat_map(|value| value.split([',', ';'])).map(str::trim);
        let is_brief = wishes.any(|wish| wish.eq_ignore_ascii_case("return=minimal"));
        Ok(Self { expected: expected(headers)?, is_brief })
    }
}

/// RFC 9110 §13.1.1 and §13.1.2, as far as an instance can be meant.
fn expected(headers: &HeaderMap) -> Result<Expected, Problem> {
    let (wanted, unwanted) = (list(headers, &IF_MATCH), list(headers, &IF_NONE_MATCH));
    match (wanted.as_slice(), unwanted.as_slice()) {
        // An empty one says that something is expected, and not what: most often what should stand there was not known.
        ([], []) if ![IF_MATCH, IF_NONE_MATCH].iter().any(|name| headers.contains_key(name)) => {
            Ok(Expected::Anything)
        }
        ([], ["*"]) => Ok(Expected::Absent),
        (["*"], []) => Ok(Expected::Present),
        (tags, []) if (1..=limits::EXPECTED_REVISIONS).contains(&tags.len()) => {
            // A weak tag, or one that is not ours, fits nothing: that is no error (§13.1.1).
            Ok(Expected::Revision(tags.iter().filter_map(|tag| revision(tag)).collect()))
        }
        _ => Err(Problem::bad(format!(
            "expected one of If-Match: \"REVISION\", up to {} of them, If-Match: *, and If-None-Match: *",
            limits::EXPECTED_REVISIONS
        ))),
    }
}

fn list<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Vec<&'h str> {
    let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?"));
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|tag| !tag.is_empty()).collect()
}

fn revision(tag: &str) -> Option<u64> {
    tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

/// The same answer, with the entity tag of this revision.
pub(super) fn tagged(mut response: Response, revision: u64) -> Response {
    if let Ok(tag) = HeaderValue::try_from(format!("\"{revision}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_headers_expect() {
        let read = |lines: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(*name, HeaderValue::from_static(value));
            }
            Terms::of(&headers).map(|terms| (terms.expected, terms.is_brief)).ok()
        };
        let revisions = |revisions: &[u64]| Expected::Revision(revisions.to_vec());
        assert_eq!(read(&[]), Some((Expected::Anything, false)));
        assert_eq!(read(&[("if-match", "\"17\"")]), Some((revisions(&[17]), false)));
        let both = read(&[("if-match", "\"1\", W/\"2\""), ("if-match", "\"3\", other")]);
        assert_eq!(both, Some((revisions(&[1, 3]), false)));
        assert_eq!(read(&[("if-match", "*")]), Some((Expected::Present, false)));
        assert_eq!(read(&[("if-none-match", "*")]), Some((Expected::Absent, false)));
        assert_eq!(read(&[("if-none-match", "\"17\"")]), None);
        for empty in ["", " ", ",,"] {
            assert_eq!(read(&[("if-match", empty)]), None, "{empty:?}");
            assert_eq!(read(&[("if-none-match", empty)]), None, "{empty:?}");
        }
        assert_eq!(read(&[("if-match", "*"), ("if-none-match", "*")]), None);
        let brief = read(&[("prefer", "wait=1, Return=Minimal")]);
        assert_eq!(brief, Some((Expected::Anything, true)));
    }
}
