//! Instances that register: `/v1/services/{service}/instances/{id}`.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post, put};
use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;
use serde::{Deserialize, Serialize};

use super::body;
use super::guard::Transport;
use super::problem::Problem;
use super::question::Question;
use super::routes::{Here, Instance, ask, duration, query};
use crate::registry::directory::admission::Caller;
use crate::registry::directory::view::InstanceView;
use crate::registry::directory::{Draft, Registration, Said, Wish};
use crate::registry::order::{Look, Order, Ordered, Page, Seen, What};

const SERVICES: &str = "/v1/services";
const INSTANCES: &str = "/v1/services/{service}/instances";
const INSTANCE: &str = "/v1/services/{service}/instances/{instance}";
const RENEW: &str = "/v1/services/{service}/instances/{instance}/renew";
const STATUS: &str = "/v1/services/{service}/instances/{instance}/status";

/// What a registration says; all of it may be left out where the id is an address. A registration says everything anew: what
/// is left out of a later one is as if it had never been said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterBody {
    /// Where it is: `10.0.0.1:9000` or `unix:/PATH`; its id by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// How long its lease lasts: `30s`; [`limits::LEASE`] by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
    /// What it says of itself: `up`, `starting` or `down`.
    #[serde(default)]
    pub status: Said,
    /// Its weight, 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// What it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What else it is called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What else is to be known of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// What an instance's status is to be: `{"status": "maintenance"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusBody {
    /// The status.
    pub status: StatusWord,
}

/// A status that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusWord {
    /// It is not ready yet.
    Starting,
    /// It takes requests.
    Up,
    /// It takes none.
    Down,
    /// It is held back, whatever it says when it registers again.
    Maintenance,
}

/// The endpoints that take no body.
pub(super) fn without_body() -> Router<Here> {
    Router::new()
        .route(SERVICES, get(services))
        .route(INSTANCES, get(instances))
        .route(INSTANCE, get(instance).delete(deregister))
        .route(RENEW, post(renew))
}

/// Those that do.
pub(super) fn with_body() -> Router<Here> {
    Router::new().route(INSTANCE, put(register)).route(STATUS, put(status))
}

/// Whether requests may be led to an address by who came this way. Over TCP not to a Unix socket: that may be the admin
/// listener's own, which believes whoever can open it, as the gateway can.
pub(super) fn may_lead_to(address: &Address, transport: Transport) -> Result<(), Problem> {
    match (address, transport) {
        (Address::Unix(_), Transport::Tcp { .. }) => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "an instance on a Unix socket can be registered over the Unix socket only",
        )),
        (Address::Unix(_), Transport::Unix) | (Address::Tcp(_), _) => Ok(()),
    }
}

/// What became of an order: the instance, and whether that outlives the process.
pub(super) fn ordered(Ordered { is_new, durable, instance }: Ordered) -> Response {
    #[derive(Serialize)]
    struct Shown {
        #[serde(flatten)]
        instance: InstanceView,
        durable: bool,
    }
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    (status, Json(Shown { instance, durable })).into_response()
}

/// What was asked for.
pub(super) fn seen(seen: Seen) -> Response {
    match seen {
        Seen::Services(services) => Json(services).into_response(),
        Seen::Instances(instances) => Json(instances).into_response(),
        Seen::Instance(instance) => Json(instance).into_response(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    after: Option<String>,
    limit: Option<usize>,
}

fn page(uri: &Uri) -> Result<Page, Problem> {
    let PageQuery { after, limit } = query(uri)?;
    let most = limit.unwrap_or(limits::REGISTRY_PAGE);
    if !(1..=limits::REGISTRY_PAGE).contains(&most) {
        let detail = format!("limit {most}: expected 1 to {}", limits::REGISTRY_PAGE);
        return Err(Problem::bad(detail));
    }
    Ok(Page { after, most })
}

async fn services(State(here): State<Here>, uri: Uri) -> Result<Response, Problem> {
    ask(&here, Question::Look(Look::Services(page(&uri)?))).await
}

async fn instances(
    State(here): State<Here>,
    service: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Problem> {
    let Path(service) = named(service)?;
    ask(&here, Question::Look(Look::Instances { service, page: page(&uri)? })).await
}

async fn instance(State(here): State<Here>, path: Instance) -> Result<Response, Problem> {
    let Path((service, id)) = named(path)?;
    ask(&here, Question::Look(Look::Instance { service, id })).await
}

async fn register(
    State(here): State<Here>,
    Extension(by): Extension<Caller>,
    path: Instance,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let Path((service, id)) = named(path)?;
    let body = if bytes.is_empty() { RegisterBody::default() } else { body::json(&bytes)? };
    let registration = registration(&id, body)?;
    may_lead_to(registration.address(), here.transport)?;
    let what = What::Register(Box::new(registration));
    order(&here, Order { service, id, by, what }).await
}

fn registration(id: &str, body: RegisterBody) -> Result<Registration, Problem> {
    let RegisterBody { address, ttl, status, weight, zone, version, tags, metadata } = body;
    let address = address.as_deref().unwrap_or(id);
    let address = address.parse().map_err(|error| Problem::bad(format!("address {error}")))?;
    let draft = Draft {
        ttl: Some(duration("ttl", ttl.as_deref())?.unwrap_or(limits::LEASE)),
        said: status,
        weight: weight.unwrap_or(1),
        zone,
        version,
        tags,
        metadata,
        ..Draft::at(address)
    };
    Registration::new(id, draft).map_err(|invalid| Problem::bad(invalid.to_string()))
}

async fn renew(
    State(here): State<Here>,
    Extension(by): Extension<Caller>,
    path: Instance,
) -> Result<Response, Problem> {
    let Path((service, id)) = named(path)?;
    order(&here, Order { service, id, by, what: What::Renew }).await
}

async fn deregister(
    State(here): State<Here>,
    Extension(by): Extension<Caller>,
    path: Instance,
) -> Result<Response, Problem> {
    let Path((service, id)) = named(path)?;
    order(&here, Order { service, id, by, what: What::Deregister }).await
}

async fn status(
    State(here): State<Here>,
    Extension(by): Extension<Caller>,
    path: Instance,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let Path((service, id)) = named(path)?;
    let StatusBody { status } = body::json(&bytes)?;
    let wish = match status {
        StatusWord::Starting => Wish::Said(Said::Starting),
        StatusWord::Up => Wish::Said(Said::Up),
        StatusWord::Down => Wish::Said(Said::Down),
        StatusWord::Maintenance => Wish::Maintenance,
    };
    order(&here, Order { service, id, by, what: What::Status(wish) }).await
}

async fn order(here: &Here, order: Order) -> Result<Response, Problem> {
    ask(here, Question::Order(Box::new(order))).await
}

fn named<T>(path: Result<Path<T>, PathRejection>) -> Result<Path<T>, Problem> {
    path.map_err(|error| Problem::bad(error.body_text()))
}
