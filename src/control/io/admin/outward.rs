//! What the registry tells others: who scrapes (Prometheus' `http_sd`), and who scales (KEDA's `metrics-api`, or whoever reads numbers).
//!
//! `GET /v1/sd/prometheus` is a list of groups, one an instance, as `http_sd_config` takes it: the addresses of those that are
//! given requests, with what is known of each in labels that begin with `__meta_coregate_`. It is whole: its client knows no pages.
//!
//! `GET /v1/services/{service}/load` has a number for each thing that a service may be scaled by. With KEDA, to have an instance for
//! every 50 requests a second:
//!
//! ```yaml
//! triggers:
//!   - type: metrics-api
//!     metadata:
//!       url: "http://127.0.0.1:9900/v1/services/users/load"
//!       valueLocation: "requests_per_second"
//!       targetValue: "50"
//! ```

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use coregate_core::base::limits;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::asking::{answer, query, respond};
use super::endpoint::Endpoint;
use super::openapi::{self, ToSchema, header, says};
use super::problem::Problem;
use super::question::Question;
use super::registry::named;
use super::report::{Answer, Refusal, Why};
use super::routes::Here;
use super::services::own_services;
use super::tokens::{Access, Scope};
use super::view::Load;
use crate::registry::directory::Status;
use crate::registry::directory::view::InstanceView;
use crate::registry::order::{Look, Page, Seen};

const PROMETHEUS: &str = "/v1/sd/prometheus";
const LOAD: &str = "/v1/services/{service}/load";

/// Instances of one service that have the same labels, as Prometheus takes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TargetGroup {
    /// Where they are: `10.0.0.1:9000`.
    pub targets: Vec<String>,
    /// What is known of them.
    pub labels: BTreeMap<String, String>,
}

/// All groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TargetGroups(pub Vec<TargetGroup>);

/// What a service has to do, for who scales it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LoadView {
    /// The service.
    pub service: String,
    /// Instances that are given requests.
    pub serving: u64,
    /// Those that finish what they have.
    pub draining: u64,
    /// Those that probes have found down, or that are held back.
    pub down: u64,
    /// Those that live requests have set aside.
    pub ejected: u64,
    /// Requests and tunnels that all instances have now.
    pub in_flight: u64,
    /// The same for each that is given requests; of all, where there is none.
    pub in_flight_per_instance: f64,
    /// Requests that were given to instances since the process began; instances that are gone are not among them.
    pub requests: u64,
    /// The same in a second, over the second in which this was asked.
    pub requests_per_second: f64,
    /// The same for each that is given requests.
    pub requests_per_second_per_instance: f64,
}

/// What others ask for.
pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get(
            PROMETHEUS,
            prometheus,
            says("Instances as targets of Prometheus' http_sd, those that are given requests")
                .with(&[
                    openapi::query("all", "boolean", "those as well that are not given requests"),
                    openapi::query("service", "string", "of this service alone"),
                    header(
                        "if-none-match",
                        "the ETag of what was heard last: 304 where nothing is new",
                    ),
                ])
                .gives::<TargetGroups>(StatusCode::OK)
                .gives_nothing(StatusCode::NOT_MODIFIED)
                .fails(&[404, 500, 504]),
        )
        .asked(),
        Endpoint::get(
            LOAD,
            load,
            says("What a service has to do, looked at for a second")
                .gives::<LoadView>(StatusCode::OK)
                .fails(&[404]),
        )
        .of_service(Scope::Read),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetsQuery {
    #[serde(default)]
    all: bool,
    service: Option<String>,
}

async fn prometheus(
    State(here): State<Here>,
    Extension(access): Extension<Access>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let TargetsQuery { all, service } = query(&uri)?;
    let is_named = service.is_some();
    let services = match service {
        Some(service) => {
            access.check(Scope::Read, &service)?;
            vec![service]
        }
        None if access.may_with_some(Scope::Read) => services(&here, &access).await?,
        None => return Err(access.refused("", "the token has no scope read: name a service")),
    };
    let mut groups = Vec::new();
    for service in services {
        let mut after = None;
        loop {
            let page = Page { after, most: limits::REGISTRY_PAGE };
            let look = Look::Instances { service: service.clone(), page };
            let view = match answer(&here, Question::Look(look)).await? {
                Answer::Seen(seen) => match *seen {
                    Seen::Instances(view) => view,
                    other => return respond(Answer::Seen(Box::new(other))),
                },
                // It has gone since it was listed: the others are there.
                Answer::Refused(Refusal { why: Why::NotFound, .. }) if !is_named => break,
                other => return respond(other),
            };
            groups.extend(
                view.instances.into_iter().filter(|one| all || serves(one)).filter_map(group),
            );
            after = view.next;
            if after.is_none() {
                break;
            }
        }
    }
    whole(&here, &headers, groups).await
}

/// The names of those services that the token is for. Those as well with whom nobody has registered: instances of the file, and
/// those that were looked up, are scraped too.
async fn services(here: &Here, access: &Access) -> Result<Vec<String>, Problem> {
    let own = own_services(here, access).await?.services.into_iter();
    Ok(own.map(|service| service.name).collect())
}

/// Written beside this thread: there may be a hundred thousand of them.
async fn whole(
    here: &Here,
    headers: &HeaderMap,
    groups: Vec<TargetGroup>,
) -> Result<Response, Problem> {
    let response = here.shared.aside.json(move || Ok(TargetGroups(groups))).await?;
    let (mut parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known = known.flat_map(|value| value.split(',')).any(|one| one.trim() == tag);
    if let Ok(tag) = HeaderValue::try_from(tag) {
        parts.headers.insert(ETAG, tag);
    }
    if is_known {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(CONTENT_TYPE);
        return Ok((parts, Bytes::new()).into_response());
    }
    Ok((parts, bytes).into_response())
}

fn serves(instance: &InstanceView) -> bool {
    let is_believed = instance.health.as_ref().is_none_or(|health| health.serving);
    instance.status == Status::Up && is_believed
}

/// An instance as Prometheus takes it; none on a Unix socket, which it cannot scrape.
fn group(instance: InstanceView) -> Option<TargetGroup> {
    if instance.address.starts_with("unix:") {
        return None;
    }
    let label = |name: &str| format!("__meta_coregate_{name}");
    let status = serde_json::to_value(instance.status).ok()?;
    let mut labels = BTreeMap::from([
        (label("service"), instance.service),
        (label("id"), instance.id),
        (label("status"), status.as_str().unwrap_or_default().to_owned()),
        (label("weight"), instance.weight.to_string()),
    ]);
    labels.extend(instance.zone.map(|zone| (label("zone"), zone)));
    labels.extend(instance.version.map(|version| (label("version"), version)));
    for tag in &instance.tags {
        labels.insert(format!("__meta_coregate_tag_{}", word(tag)), "true".to_owned());
    }
    if !instance.tags.is_empty() {
        // With commas around each, as Prometheus' own discoveries have it: a pattern finds one without looking at the ends.
        labels.insert(label("tags"), format!(",{},", instance.tags.join(",")));
    }
    for (key, value) in instance.metadata {
        labels.insert(format!("__meta_coregate_metadata_{}", word(&key)), value);
    }
    Some(TargetGroup { targets: vec![instance.address], labels })
}

/// What a label's name may hold.
fn word(text: &str) -> String {
    text.chars().map(|one| if one.is_ascii_alphanumeric() { one } else { '_' }).collect()
}

async fn load(
    State(here): State<Here>,
    service: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let Path(service) = named(service)?;
    let process = &here.shared.process;
    let missing =
        || Problem::new(StatusCode::NOT_FOUND, format!("there is no service {service:?}"));
    let (before, began) = (process.load(&service).ok_or_else(missing)?, Instant::now());
    sleep(limits::LOAD_WINDOW).await;
    let (after, passed) = (process.load(&service).ok_or_else(missing)?, began.elapsed());
    Ok(Json(view(service, before, after, passed)).into_response())
}

fn view(service: String, before: Load, after: Load, passed: Duration) -> LoadView {
    let Load { serving, draining, down, ejected, in_flight, requests } = after;
    let each = |all: f64| all / serving.max(1) as f64;
    // An instance that went has taken its count with it.
    let rate = requests.saturating_sub(before.requests) as f64 / passed.as_secs_f64().max(0.001);
    LoadView {
        service,
        serving,
        draining,
        down,
        ejected,
        in_flight,
        in_flight_per_instance: each(in_flight as f64),
        requests,
        requests_per_second: rate,
        requests_per_second_per_instance: each(rate),
    }
}
