//! `/v1/explain` of a running process: the stages are asked by the functions that serve, over the words that they share.
//!
//! How counts of quotas stand only the registry knows. So a request with quotas is explained twice: once to learn which counts it would
//! be held against, and again once the registry has said how these stand. Where that does not answer, how much is left is not known.

use std::cell::RefCell;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Json, Response};
use coregate_core::policy::quota::{Count, Question};
use coregate_core::policy::rate::{self, Facts};
use coregate_core::snapshot::explain;
use coregate_core::snapshot::explain::guard::Surroundings;
use coregate_core::snapshot::explain::inquiry::Inquiry;
use coregate_core::snapshot::limits::Limit;
use serde_json::Value;

use super::body;
use super::explain::{ExplainBody, explanation};
use super::problem::Problem;
use super::question::Process;
use super::routes::Here;
use super::{quotas, rates};
use crate::registry::time::unix_now;

pub(super) async fn explained(State(here): State<Here>, bytes: Bytes) -> Result<Response, Problem> {
    let inquiry: ExplainBody = body::json(&bytes)?;
    let inquiry =
        Inquiry::try_from(inquiry).map_err(|error| Problem::bad(format!("from: {error}")))?;
    let aside = &here.shared.aside;
    let (process, asked) = (Arc::clone(&here.shared.process), inquiry.clone());
    let (said, wanted) = aside.made(move || explain_with(&*process, &asked, &[])).await?;
    if wanted.is_empty() {
        return Ok(Json(said).into_response());
    }
    let Ok(seen) = quotas::look(&here, wanted.clone()).await else {
        return Ok(Json(said).into_response());
    };
    let known: Vec<_> = wanted.into_iter().zip(seen.counts).collect();
    let process = Arc::clone(&here.shared.process);
    let again = move || explain_with(&*process, &inquiry, &known).map(|(said, _)| said);
    aside.json(again).await
}

/// An explanation where this is known of counts, and the counts of which it was not.
fn explain_with(
    process: &dyn Process,
    inquiry: &Inquiry,
    known: &[(Question, Option<Count>)],
) -> Result<(Value, Vec<Question>), Problem> {
    let now = unix_now();
    let (cells, at) = (process.cells(), rates::monotonic());
    let look = |limit: &Limit, facts: &Facts<'_>| rate::look(&cells, limit, facts, at);
    let wanted = RefCell::new(Vec::new());
    let stands = |question: Question| {
        let found = known.iter().find(|(one, _)| *one == question);
        if found.is_none() {
            wanted.borrow_mut().push(question);
        }
        found.and_then(|(_, count)| *count)
    };
    let around = Surroundings { now, look: Some(&look), stands: Some(&stands) };
    let explained = explain::explain(&process.snapshot(), inquiry, &around)
        .map_err(|error| Problem::bad(error.to_string()))?;
    Ok((explanation(&explained), wanted.into_inner()))
}
