//! The endpoints: which path asks what, and how an answer becomes a response.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use coregate_core::base::limits;
use coregate_core::snapshot::explain;
use coregate_core::snapshot::plan::Address;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::aside::Aside;
use super::body;
use super::explain::{ExplainBody, Page, RoutesView, explanation};
use super::guard::{self, Guard, Transport};
use super::ping::Pinger;
use super::problem::Problem;
use super::question::{Asker, Change, InstanceAction, Process, Question};
use super::registry;
use super::report::{Answer, Refusal, Why};
use super::view::{Readiness, WorkerView};
use crate::io::procfs::{self, ProcessFacts};
use crate::io::{metrics, moment};

/// What all handlers share.
pub(super) struct Shared {
    process: Arc<dyn Process>,
    pinger: Pinger,
    aside: Aside,
    /// When the process began, in seconds since 1970.
    started: Option<f64>,
}

impl Shared {
    pub(super) fn new(process: Arc<dyn Process>) -> Self {
        Self {
            process,
            pinger: Pinger::default(),
            aside: Aside::default(),
            started: procfs::started(),
        }
    }
}

/// What a handler sees: what is shared, and what its request came over.
#[derive(Clone)]
pub(super) struct Here {
    shared: Arc<Shared>,
    pub(super) transport: Transport,
}

/// All endpoints, behind the guard.
pub(super) fn router(shared: Arc<Shared>, guard: Guard, transport: Transport) -> Router {
    let without_body = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/v1/status", get(status))
        .route("/v1/workers", get(workers))
        .route("/v1/config", get(config))
        .route("/v1/routes", get(routes))
        .route("/v1/config/history", get(history))
        .route("/v1/config/diff", get(diff))
        .route("/v1/config/reload", post(reload))
        .route("/v1/config/confirm", post(confirm))
        .route("/v1/config/rollback", post(rollback))
        .route("/v1/services/{service}/instances/{instance}/drain", post(drain))
        .route("/v1/services/{service}/instances/{instance}/enable", post(enable))
        .merge(registry::without_body())
        .route_layer(from_fn(body::refuse));
    without_body
        .merge(registry::with_body())
        .route("/v1/upgrade", post(upgrade))
        .route("/v1/explain", post(explained))
        .route("/v1/registry/changes", post(change))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn(body::read))
        .layer(from_fn_with_state((guard, transport), guard::check))
        .with_state(Here { shared, transport })
}

async fn not_found(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at {}", uri.path()))
}

async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "the Allow header names the methods that this takes",
    )
}

async fn livez(State(here): State<Here>) -> Response {
    if let Some(what) = here.shared.process.ailing() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{what}\n")).into_response();
    }
    let silent = here.shared.pinger.unanswered(here.shared.process.as_ref()).await;
    if silent.is_empty() {
        return "ok\n".into_response();
    }
    let workers: Vec<_> = silent.iter().map(ToString::to_string).collect();
    let noun = if silent.len() == 1 { "worker" } else { "workers" };
    let within = limits::PING_TIME.as_secs();
    let text = format!("no answer within {within} s from {noun} {}\n", workers.join(", "));
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn readyz(State(here): State<Here>) -> Response {
    let readiness = here.shared.process.readiness();
    let status = match readiness {
        Readiness::Ready => StatusCode::OK,
        Readiness::Starting | Readiness::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, format!("{}\n", readiness.word())).into_response()
}

async fn metrics(State(here): State<Here>) -> Response {
    let process = here.shared.process.as_ref();
    let scrape = metrics::Scrape {
        status: process.status(),
        workers: process.workers(),
        sources: process.sources(),
        registry: process.registry(),
        facts: ProcessFacts::now(),
        started: here.shared.started,
    };
    match metrics::encode(scrape) {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("metrics: {error}"))
            .into_response(),
    }
}

async fn status(State(here): State<Here>) -> Response {
    Json(here.shared.process.status()).into_response()
}

async fn workers(State(here): State<Here>) -> Response {
    let workers: Vec<_> = here.shared.process.workers().iter().map(worker).collect();
    Json(json!({ "workers": workers })).into_response()
}

/// A worker as JSON; what it holds is documented at [`super`].
fn worker(view: &WorkerView) -> Value {
    let quantile = |share| view.lateness.quantile_us(share);
    let counters: BTreeMap<_, _> =
        view.counters.iter().map(|count| (count.name, count.value)).collect();
    let rejected: BTreeMap<_, _> = view.rejected.iter().copied().collect();
    json!({
        "worker": view.worker,
        "cpu": view.cpu,
        "generation": view.generation,
        "stuck": view.stuck.is_some(),
        "stuck_ms": view.stuck.map(|stuck| stuck.as_millis() as u64),
        "busy_ratio": view.busy_ratio,
        "connections": view.count("connections_open"),
        "idle": view.count("connections_idle"),
        "requests": view.count("requests"),
        "lateness": {
            "count": view.lateness.count(),
            "sum_us": view.lateness.sum_us,
            "p50_us": quantile(0.5),
            "p99_us": quantile(0.99),
            "p999_us": quantile(0.999),
            "max_us": view.lateness.max_us,
            "buckets": view.lateness.buckets,
        },
        "counters": counters,
        "rejected": rejected,
    })
}

async fn routes(State(here): State<Here>, uri: Uri) -> Result<Response, Problem> {
    let page: Page = query(&uri)?;
    if !(1..=limits::ROUTES_PAGE_MAX).contains(&page.limit) {
        let most = limits::ROUTES_PAGE_MAX;
        return Err(Problem::bad(format!("limit {}: expected 1 to {most}", page.limit)));
    }
    let process = Arc::clone(&here.shared.process);
    here.shared.aside.json(move || Ok(RoutesView::of(&process.snapshot(), page))).await
}

async fn explained(State(here): State<Here>, bytes: Bytes) -> Result<Response, Problem> {
    let inquiry: ExplainBody = body::json(&bytes)?;
    let process = Arc::clone(&here.shared.process);
    let explained = move || match explain::explain(&process.snapshot(), &inquiry.into()) {
        Ok(explained) => Ok(explanation(&explained)),
        Err(error) => Err(Problem::bad(error.to_string())),
    };
    here.shared.aside.json(explained).await
}

async fn config(State(here): State<Here>) -> Result<Response, Problem> {
    ask(&here, Question::Config).await
}

async fn history(State(here): State<Here>) -> Result<Response, Problem> {
    ask(&here, Question::History).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DiffQuery {
    from: Option<u64>,
    to: Option<u64>,
}

async fn diff(State(here): State<Here>, uri: Uri) -> Result<Response, Problem> {
    let DiffQuery { from, to } = query(&uri)?;
    ask(&here, Question::Diff { from, to }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReloadQuery {
    confirm: Option<String>,
}

async fn reload(State(here): State<Here>, uri: Uri) -> Result<Response, Problem> {
    let ReloadQuery { confirm } = query(&uri)?;
    let confirm = duration("confirm", confirm.as_deref())?;
    ask(&here, Question::Reload { confirm }).await
}

async fn confirm(State(here): State<Here>) -> Result<Response, Problem> {
    ask(&here, Question::Confirm).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RollbackQuery {
    to: Option<u64>,
}

async fn rollback(State(here): State<Here>, uri: Uri) -> Result<Response, Problem> {
    let RollbackQuery { to } = query(&uri)?;
    ask(&here, Question::Rollback { to }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DrainQuery {
    deadline: Option<String>,
}

/// What stands in the path of an instance.
pub(super) type Instance = Result<Path<(String, String)>, PathRejection>;

async fn drain(State(here): State<Here>, path: Instance, uri: Uri) -> Result<Response, Problem> {
    let DrainQuery { deadline } = query(&uri)?;
    let deadline = duration("deadline", deadline.as_deref())?.unwrap_or(limits::SHUTDOWN_TIME);
    instance(&here, path, InstanceAction::Drain { deadline }).await
}

async fn enable(State(here): State<Here>, path: Instance) -> Result<Response, Problem> {
    instance(&here, path, InstanceAction::Enable).await
}

async fn instance(
    here: &Here,
    path: Instance,
    action: InstanceAction,
) -> Result<Response, Problem> {
    let Path((service, address)) = path.map_err(|error| Problem::bad(error.body_text()))?;
    let address: Address =
        address.parse().map_err(|error| Problem::bad(format!("instance {error}")))?;
    ask(here, Question::Instance { service, address, action }).await
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct UpgradeBody {
    binary: Option<PathBuf>,
}

/// A token that leaks must not run programs of somebody else's choice: over TCP no binary can be named.
async fn upgrade(State(here): State<Here>, bytes: Bytes) -> Result<Response, Problem> {
    let UpgradeBody { binary } =
        if bytes.is_empty() { UpgradeBody::default() } else { body::json(&bytes)? };
    if binary.is_some() && here.transport != Transport::Unix {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "a binary can be named over the Unix socket only",
        ));
    }
    if let Some(binary) = binary.as_ref().filter(|binary| !binary.is_absolute()) {
        let detail = format!("binary {}: expected an absolute path", binary.display());
        return Err(Problem::bad(detail));
    }
    ask(&here, Question::Upgrade { binary }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangesBody {
    changes: Vec<Change>,
}

async fn change(State(here): State<Here>, bytes: Bytes) -> Result<Response, Problem> {
    let ChangesBody { changes } = body::json(&bytes)?;
    if changes.is_empty() || changes.len() > limits::MEMBERSHIP_BATCH {
        let most = limits::MEMBERSHIP_BATCH;
        let detail = format!("changes {}: expected 1 to {most} in one request", changes.len());
        return Err(Problem::bad(detail));
    }
    changes.iter().try_for_each(|change| registry::may_lead_to(&change.address, here.transport))?;
    ask(&here, Question::Membership(changes)).await
}

/// Asks the server's thread and waits for its answer.
pub(super) async fn ask(here: &Here, question: Question) -> Result<Response, Problem> {
    let (asker, answer) = Asker::new();
    let unavailable =
        |detail: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).with_retry();
    here.shared.process.ask(question, asker).map_err(|busy| unavailable(busy.to_string()))?;
    match tokio::time::timeout(limits::ADMIN_ANSWER_TIME, answer).await {
        Ok(Ok(answer)) => respond(answer),
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
fn respond(answer: Answer) -> Result<Response, Problem> {
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
        Answer::History(history) => Json(json!({ "history": history })).into_response(),
        Answer::Diff(report) => Json(report).into_response(),
        Answer::Config(report) => Json(report).into_response(),
        Answer::Instance(report) => Json(report).into_response(),
        Answer::Ordered(ordered) => registry::ordered(*ordered),
        Answer::Seen(seen) => registry::seen(*seen),
        Answer::Refused(refusal) => return Err(refused(refusal)),
    })
}

fn refused(Refusal { why, detail }: Refusal) -> Problem {
    match why {
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
