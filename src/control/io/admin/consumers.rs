//! Consumers and their keys: `/v1/consumers`.
//!
//! A key is made here, from the operating system's randomness, and stands in the one answer to whoever asked for it. All others are
//! given its digest: the registry, the store, whoever lists.

use std::fmt;

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use coregate_core::base::{limits, moment};
use coregate_core::policy::credential::{KeyDigest, key_of};
use coregate_core::snapshot::plan::KeyPlan;
use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};

use super::asking::{answer, ask, query, respond};
use super::body;
use super::endpoint::Endpoint;
use super::openapi::{self, ToSchema, says};
use super::problem::Problem;
use super::question::Question;
use super::registry::{BODY, PAGE, named, page_of};
use super::report::Answer;
use super::routes::Here;
use crate::registry::consumers::{
    Asked, ConsumerOrder, ConsumerOrdered, ConsumerView, ConsumersView, Which,
};
use crate::registry::order::Look;
use crate::registry::time::unix_now;

const CONSUMERS: &str = "/v1/consumers";
const CONSUMER: &str = "/v1/consumers/{consumer}";
const KEYS: &str = "/v1/consumers/{consumer}/keys";
const KEY: &str = "/v1/consumers/{consumer}/keys/{digest}";
const ROTATE: &str = "/v1/consumers/{consumer}/rotate";

/// A consumer that is to be there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddBody {
    /// Its name: 1 to 64 letters, digits and `-_.@:`.
    pub name: String,
    /// Its groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// When its key ends: `90d`, or `2027-01-31T00:00:00Z`; never by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// Another key; all of it may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyBody {
    /// When it ends: `90d`, or `2027-01-31T00:00:00Z`; never by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// A new key for old ones; all of it may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateBody {
    /// How long the old keys go on: `24h` by default, `0` for not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<String>,
    /// The old key, by the first digits of its digest; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// When the new one ends: `90d`, or `2027-01-31T00:00:00Z`; never by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// A key that was made. It is said here and never again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyReport {
    /// The key.
    #[schema(value_type = String)]
    pub key: FreshKey,
    /// By which it is told from others.
    pub digest: String,
    /// Whose it is.
    pub consumer: ConsumerView,
    /// Whether that outlives the process: it is in the store.
    pub durable: bool,
    /// What else is to be said, for people.
    pub notes: Vec<String>,
}

/// What was changed about a consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConsumerReport {
    /// The consumer; `null`: it is there no more.
    pub consumer: Option<ConsumerView>,
    /// Whether that outlives the process: it is in the store.
    pub durable: bool,
    /// What else is to be said, for people.
    pub notes: Vec<String>,
}

/// A key that was just made; its `Debug` is dots.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FreshKey(pub String);

impl fmt::Debug for FreshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("••••••••")
    }
}

/// What operators ask of consumers: with the token that opens everything, or by the Unix socket.
pub(super) fn endpoints() -> Vec<Endpoint> {
    const MADE: StatusCode = StatusCode::CREATED;
    let made = |summary| says(summary).gives::<KeyReport>(MADE).fails(&BODY);
    let changed = |summary| says(summary).gives::<ConsumerReport>(StatusCode::OK);
    vec![
        Endpoint::get(
            CONSUMERS,
            list,
            says("List the consumers, a page, or show one; never a key")
                .with(&[openapi::query("name", "string", "this one alone")])
                .with(&PAGE)
                .gives::<ConsumersView>(StatusCode::OK)
                .fails(&[404, 504]),
        ),
        Endpoint::post(
            CONSUMERS,
            add,
            made("Add a consumer, and make its key, which is said once")
                .takes::<AddBody>()
                .fails(&[409, 504]),
        )
        .with_body(),
        Endpoint::delete(
            CONSUMER,
            remove,
            changed("Take a consumer away that was added").fails(&[404, 409, 504]),
        ),
        Endpoint::post(
            KEYS,
            give,
            made("Make another key for a consumer").takes::<KeyBody>().fails(&[404, 409, 504]),
        )
        .with_body(),
        Endpoint::delete(
            KEYS,
            revoke_all,
            changed("Revoke all keys of a consumer").fails(&[404, 504]),
        ),
        Endpoint::delete(
            KEY,
            revoke,
            changed("Revoke a key, by the first digits of its digest").fails(&[404, 409, 504]),
        ),
        Endpoint::post(
            ROTATE,
            rotate,
            made("Make a new key for a consumer, whose old ones go on for a while")
                .takes::<RotateBody>()
                .fails(&[404, 409, 504]),
        )
        .with_body(),
    ]
}

/// What stands in the path of a consumer.
type Name = Result<Path<String>, PathRejection>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    name: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

async fn list(State(here): State<Here>, uri: Uri) -> Result<Response, Problem> {
    let ListQuery { name, after, limit } = query(&uri)?;
    let look = Look::Consumers { name, page: page_of(after, limit)?, at: unix_now() };
    ask(&here, Question::Look(look)).await
}

async fn add(State(here): State<Here>, bytes: Bytes) -> Result<Response, Problem> {
    let AddBody { name, groups, expires } = body::json(&bytes)?;
    make(&here, name, expires.as_deref(), |key, _| Ok(Asked::Add { groups, key })).await
}

async fn give(State(here): State<Here>, name: Name, bytes: Bytes) -> Result<Response, Problem> {
    let KeyBody { expires } = body_or_none(&bytes)?;
    make(&here, named(name)?.0, expires.as_deref(), |key, _| Ok(Asked::Give(key))).await
}

async fn rotate(State(here): State<Here>, name: Name, bytes: Bytes) -> Result<Response, Problem> {
    let RotateBody { grace, digest, expires } = body_or_none(&bytes)?;
    let bad = |error: String| Problem::bad(format!("grace {error}"));
    let grace = grace.as_deref().map(moment::life).transpose().map_err(bad)?;
    let grace = grace.unwrap_or(limits::ROTATE_GRACE);
    let old = digest.as_deref().map_or(Ok(Which::All), which)?;
    make(&here, named(name)?.0, expires.as_deref(), |key, at| {
        Ok(Asked::Rotate { key, old, until: at.saturating_add(grace.as_secs()) })
    })
    .await
}

async fn revoke_all(State(here): State<Here>, name: Name) -> Result<Response, Problem> {
    change(&here, named(name)?.0, Asked::Revoke(Which::All)).await
}

async fn revoke(
    State(here): State<Here>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Problem> {
    let Path((name, digest)) = named(path)?;
    change(&here, name, Asked::Revoke(which(&digest)?)).await
}

async fn remove(State(here): State<Here>, name: Name) -> Result<Response, Problem> {
    change(&here, named(name)?.0, Asked::Remove).await
}

/// Makes a key, and has the order about it carried out.
async fn make(
    here: &Here,
    name: String,
    expires: Option<&str>,
    what: impl FnOnce(KeyPlan, u64) -> Result<Asked, Problem>,
) -> Result<Response, Problem> {
    let at = unix_now();
    let expires = expires.map(|text| moment::end(text, at)).transpose();
    let expires = expires.map_err(|error| Problem::bad(format!("expires {error}")))?;
    let key = fresh_key()?;
    let digest = KeyDigest::of(key.0.as_bytes());
    let what = what(KeyPlan { digest, expires }, at)?;
    let ConsumerOrdered { consumer, durable, notes } =
        ordered(here, ConsumerOrder { name, at, what }).await?;
    let Some(consumer) = consumer else { return Err(lost()) };
    // A key that was given stands last.
    let Some(digest) = consumer.keys.last().map(|key| key.digest.clone()) else {
        return Err(lost());
    };
    let report = KeyReport { key, digest, consumer, durable, notes };
    Ok((StatusCode::CREATED, Json(report)).into_response())
}

/// Has an order carried out that makes no key.
async fn change(here: &Here, name: String, what: Asked) -> Result<Response, Problem> {
    let ConsumerOrdered { consumer, durable, notes } =
        ordered(here, ConsumerOrder { name, at: unix_now(), what }).await?;
    Ok(Json(ConsumerReport { consumer, durable, notes }).into_response())
}

async fn ordered(here: &Here, order: ConsumerOrder) -> Result<ConsumerOrdered, Problem> {
    match answer(here, Question::Consumer(Box::new(order))).await? {
        Answer::Consumer(ordered) => Ok(*ordered),
        other => {
            respond(other)?;
            Err(lost())
        }
    }
}

fn lost() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no answer")
}

fn which(digits: &str) -> Result<Which, Problem> {
    Which::one(digits).map_err(|error| Problem::bad(error.to_string()))
}

fn body_or_none<T: Default + serde::de::DeserializeOwned>(bytes: &Bytes) -> Result<T, Problem> {
    if bytes.is_empty() { Ok(T::default()) } else { body::json(bytes) }
}

/// A key that nobody can guess.
fn fresh_key() -> Result<FreshKey, Problem> {
    let mut bytes = [0; limits::KEY_BYTES];
    // So few are given whole, once the kernel has any (getrandom(2)).
    match getrandom(&mut bytes, GetRandomFlags::empty()) {
        Ok(count) if count == bytes.len() => Ok(FreshKey(key_of(&bytes))),
        other => {
            let why = other.err().map_or_else(String::new, |error| format!(": {error}"));
            let detail = format!("the system gives no randomness, so no key was made{why}");
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).with_retry())
        }
    }
}
