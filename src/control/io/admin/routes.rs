//! The endpoints: which path asks what, and how an answer becomes a response.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Json, Response};
use coregate_core::base::limits;
use serde::Deserialize;
use serde_json::{Value, json};

use super::aside::Aside;
use super::asking::{ask, duration, query};
use super::body;
use super::endpoint::Endpoint;
use super::events::{self, Watchers};
use super::explain::{ExplainBody, Page, RoutesView};
use super::guard::{self, Door, Guard, Needs, Transport};
use super::openapi::{self, ToSchema, says};
use super::ping::Pinger;
use super::problem::Problem;
use super::question::{Change, Process, Question};
use super::report::{
    ConfigReport, DiffReport, History, MembershipReport, ReloadReport, UpgradeReport,
};
use super::room::Room;
use super::view::{Readiness, Status, WorkerView};
use super::{consumers, inquire, operate, outward, rates, registry};
use crate::io::metrics;
use crate::io::procfs::{self, ProcessFacts};

/// What all handlers share.
pub(super) struct Shared {
    pub(super) process: Arc<dyn Process>,
    pinger: Pinger,
    pub(super) aside: Aside,
    bodies: body::Places,
    pub(super) watchers: Arc<Watchers>,
    /// When the process began, in seconds since 1970.
    started: Option<f64>,
}

impl Shared {
    pub(super) fn new(process: Arc<dyn Process>, room: Room) -> Self {
        let journal = process.journal();
        Self {
            process,
            bodies: body::Places::default(),
            watchers: Arc::new(Watchers::new(journal, room.watchers)),
            pinger: Pinger::default(),
            aside: Aside::default(),
            started: procfs::started(),
        }
    }
}

/// What a handler sees: what is shared, and what its request came over.
#[derive(Clone)]
pub(super) struct Here {
    pub(super) shared: Arc<Shared>,
    pub(super) transport: Transport,
}

/// All endpoints, behind the guard.
pub(super) fn router(shared: Arc<Shared>, guard: Guard, transport: Transport) -> Router {
    let (mut router, mut needs) = (Router::new(), Needs::default());
    for endpoint in endpoints() {
        needs.insert(endpoint.path, endpoint.method.clone(), endpoint.need);
        router = endpoint.add_to(router);
    }
    let bodies = shared.bodies.clone();
    router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(bodies, body::read))
        .layer(from_fn_with_state(Door { guard, transport, needs: Arc::new(needs) }, guard::check))
        .with_state(Here { shared, transport })
}

/// Every endpoint that there is.
pub(super) fn endpoints() -> Vec<Endpoint> {
    let all = [
        general(),
        registry::endpoints(),
        operate::endpoints(),
        events::endpoints(),
        outward::endpoints(),
        consumers::endpoints(),
        rates::endpoints(),
    ];
    all.into_iter().flatten().collect()
}

/// Those of the process and its configuration.
fn general() -> Vec<Endpoint> {
    const PLAIN: &str = "text/plain; charset=utf-8";
    const OK: StatusCode = StatusCode::OK;
    let text = |summary| says(summary).gives_text(OK, PLAIN);
    let probe = |summary| text(summary).gives_text(StatusCode::SERVICE_UNAVAILABLE, PLAIN);
    let reload = |summary| says(summary).gives::<ReloadReport>(OK).fails(&[404, 409, 504]);
    vec![
        Endpoint::get("/livez", livez, probe("Whether every worker lives")).open(),
        Endpoint::get("/readyz", readyz, probe("Whether requests should be sent here")).open(),
        Endpoint::get(
            "/metrics",
            metrics,
            says("Every counter, as OpenMetrics text")
                .gives_text(OK, metrics::CONTENT_TYPE)
                .fails(&[500]),
        )
        .open(),
        Endpoint::get("/v1/openapi.json", described, says("This document").gives_json()).asked(),
        Endpoint::get("/v1/status", status, says("What this process is").gives::<Status>(OK)),
        Endpoint::get("/v1/workers", workers, says("What every worker does").gives_json()),
        Endpoint::get(
            "/v1/config",
            config,
            says("What runs, and how the last reload went").gives::<ConfigReport>(OK).fails(&[504]),
        ),
        Endpoint::get(
            "/v1/routes",
            routes,
            says("The routes in order of precedence, a page")
                .with(&[
                    openapi::query("from", "integer", "the first, from 0 on"),
                    openapi::query("limit", "integer", "how many, 1,000 by default"),
                ])
                .gives::<RoutesView>(OK)
                .fails(&[500]),
        ),
        Endpoint::get(
            "/v1/config/history",
            history,
            says("The configurations that were applied, the newest first")
                .gives::<History>(OK)
                .fails(&[504]),
        ),
        Endpoint::get(
            "/v1/config/diff",
            diff,
            says("How two of them differ")
                .with(&[
                    openapi::query(
                        "from",
                        "integer",
                        "the number of the first, the one before the second by default",
                    ),
                    openapi::query(
                        "to",
                        "integer",
                        "the number of the second, the one that runs by default",
                    ),
                ])
                .gives::<DiffReport>(OK)
                .fails(&[404, 504]),
        ),
        Endpoint::post(
            "/v1/config/reload",
            self::reload,
            reload("Read the configuration again and apply it, whole or not at all").with(&[
                openapi::query(
                    "confirm",
                    "string",
                    "take it back unless it is confirmed within this: 60s",
                ),
            ]),
        ),
        Endpoint::post("/v1/config/confirm", confirm, reload("Keep what was reloaded")),
        Endpoint::post(
            "/v1/config/rollback",
            rollback,
            reload("Go back to a configuration of the history").with(&[openapi::query(
                "to",
                "integer",
                "its number, the one before by default",
            )]),
        ),
        Endpoint::post(
            "/v1/upgrade",
            upgrade,
            says("Hand everything over to a new process")
                .takes::<UpgradeBody>()
                .gives::<UpgradeReport>(OK)
                .fails(&[408, 409, 413, 415, 504]),
        )
        .with_body(),
        Endpoint::post(
            "/v1/explain",
            inquire::explained,
            says("Why a request goes where it goes")
                .takes::<ExplainBody>()
                .gives_json()
                .fails(&[408, 413, 415, 500]),
        )
        .with_body(),
        Endpoint::post(
            "/v1/registry/changes",
            change,
            says("Instances come and go, without leases")
                .takes::<ChangesBody>()
                .gives::<MembershipReport>(OK)
                .fails(&[408, 409, 413, 415, 504]),
        )
        .with_body(),
    ]
}

/// Made once: it never changes.
async fn described() -> Response {
    static DOCUMENT: LazyLock<Bytes> =
        LazyLock::new(|| openapi::document(&endpoints()).to_string().into());
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.clone()).into_response()
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
        decisions: process.decisions(),
        bulkheads: process.bulkheads(),
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
    let by_name =
        |counts: &[(&'static str, u64)]| -> BTreeMap<_, _> { counts.iter().copied().collect() };
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
        "rejected": by_name(&view.rejected),
        "authentications": by_name(&view.authentications),
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

/// What stands in the path of an instance.
pub(super) type Instance = Result<Path<(String, String)>, PathRejection>;

/// What is to go on.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields)]
struct UpgradeBody {
    /// The binary, by an absolute path; the one that was started by default. Over the Unix socket only.
    #[schema(value_type = Option<String>)]
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

/// At most 1,000 changes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangesBody {
    /// They are made in this order.
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
