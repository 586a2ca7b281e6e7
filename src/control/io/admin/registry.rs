//! Instances that register: `/v1/services/{service}/instances/{id}`.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;
use serde::{Deserialize, Serialize};

use super::asking::{answer, ask, duration, query, respond};
use super::body;
use super::check::CheckBody;
use super::endpoint::Endpoint;
use super::expected::{Terms, tagged};
use super::guard::Transport;
use super::openapi::{self, Parameter, ToSchema, header, says};
use super::problem::Problem;
use super::question::Question;
use super::report::Answer;
use super::routes::{Here, Instance};
use super::services;
use super::tokens::{Access, Scope};
use crate::registry::directory::view::{InstanceView, InstancesView, ServicesView};
use crate::registry::directory::{Draft, Registration, Said, Wish};
use crate::registry::order::{Look, Order, Ordered, Page, Seen, What};

const SERVICES: &str = "/v1/services";
const INSTANCES: &str = "/v1/services/{service}/instances";
const INSTANCE: &str = "/v1/services/{service}/instances/{instance}";
const RENEW: &str = "/v1/services/{service}/instances/{instance}/renew";
const STATUS: &str = "/v1/services/{service}/instances/{instance}/status";

/// The parameters of a page.
pub(super) const PAGE: [Parameter; 2] = [
    openapi::query("after", "string", "what the page before ended with"),
    openapi::query("limit", "integer", "entries of the page, 1,000 at most and by default"),
];
/// What can be said of any change of an instance.
pub(super) const TERMS: [Parameter; 3] = [
    header("if-match", "revisions in quotes, one of which the instance must have, or *: else 412"),
    header("if-none-match", "*: there must be no such instance, else 412"),
    header("prefer", "return=minimal: no body where nothing is new"),
];
/// What goes wrong with bodies.
pub(super) const BODY: [u16; 3] = [408, 413, 415];

/// What a registration says; all of it may be left out where the id is an address. A registration says everything anew: what
/// is left out of a later one is as if it had never been said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    /// How it is probed; as its service says by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckBody>,
}

/// An instance, and whether what was done to it outlives the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderedView {
    /// The instance.
    #[serde(flatten)]
    pub instance: InstanceView,
    /// Whether it is in the store.
    #[serde(default)]
    pub durable: bool,
}

/// What an instance's status is to be: `{"status": "maintenance"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusBody {
    /// The status.
    pub status: StatusWord,
}

/// A status that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatusWord {
    /// It is not ready yet.
    Starting,
    /// It takes requests.
    Up,
    /// It takes none.
    Down,
    /// It is held back, whatever it says when it registers again; the end of its lease ends that too.
    Maintenance,
}

/// All that is asked of instances by themselves, and by those who look.
pub(super) fn endpoints() -> Vec<Endpoint> {
    use Scope::{Read, Register};
    const CHANGES: [u16; 4] = [404, 409, 412, 504];
    let changed =
        |summary| says(summary).with(&TERMS).gives::<OrderedView>(StatusCode::OK).fails(&CHANGES);
    let brief = |summary| changed(summary).gives_nothing(StatusCode::NO_CONTENT);
    vec![
        Endpoint::get(
            SERVICES,
            services::list,
            says("List the services, a page")
                .with(&PAGE)
                .gives::<ServicesView>(StatusCode::OK)
                .fails(&[504]),
        )
        .asked(),
        Endpoint::get(
            INSTANCES,
            instances,
            says("List who has registered with a service, a page")
                .with(&PAGE)
                .gives::<InstancesView>(StatusCode::OK)
                .fails(&[404, 504]),
        )
        .of_service(Read),
        Endpoint::get(
            INSTANCE,
            instance,
            says("Show an instance").gives::<InstanceView>(StatusCode::OK).fails(&[404, 504]),
        )
        .of_service(Read),
        Endpoint::put(
            INSTANCE,
            register,
            brief("Register an instance, which says everything anew")
                .takes::<RegisterBody>()
                .gives::<OrderedView>(StatusCode::CREATED)
                .fails(&BODY),
        )
        .of_service(Register)
        .with_body(),
        Endpoint::delete(INSTANCE, deregister, brief("Take an instance away")).of_service(Register),
        Endpoint::post(
            RENEW,
            renew,
            brief("Renew an instance's lease; 404 says that it has to register"),
        )
        .of_service(Register),
        Endpoint::put(
            STATUS,
            status,
            brief("Say how an instance stands; maintenance is an operator's to say")
                .takes::<StatusBody>()
                .fails(&BODY),
        )
        .of_service(Register)
        .with_body(),
    ]
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
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let revision = instance.revision;
    tagged((status, Json(OrderedView { instance, durable })).into_response(), revision)
}

/// What was asked for.
pub(super) fn seen(seen: Seen) -> Response {
    match seen {
        Seen::Services(services) => Json(services).into_response(),
        Seen::Instances(instances) => Json(instances).into_response(),
        Seen::Instance(instance) => {
            let revision = instance.revision;
            tagged(Json(instance).into_response(), revision)
        }
        Seen::Consumers(consumers) => Json(consumers).into_response(),
        // Only who knows what was asked for can show them.
        Seen::Quotas(_) => StatusCode::NO_CONTENT.into_response(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    after: Option<String>,
    limit: Option<usize>,
}

/// The page that a query asks for.
pub(super) fn page(uri: &Uri) -> Result<Page, Problem> {
    let PageQuery { after, limit } = query(uri)?;
    page_of(after, limit)
}

/// A page of so many entries.
pub(super) fn page_of(after: Option<String>, limit: Option<usize>) -> Result<Page, Problem> {
    let most = limit.unwrap_or(limits::REGISTRY_PAGE);
    if !(1..=limits::REGISTRY_PAGE).contains(&most) {
        let detail = format!("limit {most}: expected 1 to {}", limits::REGISTRY_PAGE);
        return Err(Problem::bad(detail));
    }
    Ok(Page { after, most })
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
    Extension(access): Extension<Access>,
    path: Instance,
    terms: Terms,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let Path((service, id)) = named(path)?;
    let body = if bytes.is_empty() { RegisterBody::default() } else { body::json(&bytes)? };
    let registration = registration(&id, body)?;
    may_lead_to(registration.address(), here.transport)?;
    let what = What::Register(Box::new(registration));
    order(&here, &access, (service, id), terms, what).await
}

/// What a body says of an instance.
pub(super) fn registration(id: &str, body: RegisterBody) -> Result<Registration, Problem> {
    let RegisterBody { address, ttl, status, weight, zone, version, tags, metadata, check } = body;
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
        check: check.map(CheckBody::check).transpose()?,
        ..Draft::at(address)
    };
    Registration::new(id, draft).map_err(|invalid| Problem::bad(invalid.to_string()))
}

async fn renew(
    State(here): State<Here>,
    Extension(access): Extension<Access>,
    path: Instance,
    terms: Terms,
) -> Result<Response, Problem> {
    order(&here, &access, named(path)?.0, terms, What::Renew).await
}

async fn deregister(
    State(here): State<Here>,
    Extension(access): Extension<Access>,
    path: Instance,
    terms: Terms,
) -> Result<Response, Problem> {
    order(&here, &access, named(path)?.0, terms, What::Deregister).await
}

async fn status(
    State(here): State<Here>,
    Extension(access): Extension<Access>,
    path: Instance,
    terms: Terms,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let Path((service, id)) = named(path)?;
    let StatusBody { status } = body::json(&bytes)?;
    let said = match status {
        StatusWord::Starting => Said::Starting,
        StatusWord::Up => Said::Up,
        StatusWord::Down => Said::Down,
        StatusWord::Maintenance => {
            access.check(Scope::Operate, &service)?;
            return order(&here, &access, (service, id), terms, What::Status(Wish::Maintenance))
                .await;
        }
    };
    // What an operator has said an instance does not take back.
    let is_operator = access.may(Scope::Operate, &service);
    let wish = if is_operator { Wish::Said(said) } else { Wish::Own(said) };
    order(&here, &access, (service, id), terms, What::Status(wish)).await
}

/// Has an order carried out by who asks.
pub(super) async fn order(
    here: &Here,
    access: &Access,
    (service, id): (String, String),
    Terms { expected, is_brief }: Terms,
    what: What,
) -> Result<Response, Problem> {
    let scope = match what {
        What::Weight(_) | What::Status(Wish::Maintenance) => Scope::Operate,
        _ => Scope::Register,
    };
    let by = access.caller(scope, &service);
    let order = Order { service, id, by, expected, what };
    let answered = answer(here, Question::Order(Box::new(order))).await?;
    match answered {
        Answer::Ordered(ordered) if is_brief && !ordered.is_new => {
            let revision = ordered.instance.revision;
            Ok(tagged(StatusCode::NO_CONTENT.into_response(), revision))
        }
        other => respond(other),
    }
}

/// What stands in a path.
pub(super) fn named<T>(path: Result<Path<T>, PathRejection>) -> Result<Path<T>, Problem> {
    path.map_err(|error| Problem::bad(error.body_text()))
}
