//! The admin listener: what operators, probes, scrapers and the commands ask of a running process.
//!
//! It runs on one thread named `io`, a tokio `current_thread` runtime (`aside` is what takes too long for it), and answers HTTP/1.1 on sockets that the server has
//! bound: a Unix socket (mode 0600, no token), loopback TCP where asked ([`guard`] says what is checked there). It imports
//! nothing of the data plane: what it tells, it asks of a [`Process`].
//!
//! | endpoint | answers |
//! |---|---|
//! | `GET /livez` | 200 `ok` if every worker answers a ping within 1 s, else 503 and which do not |
//! | `GET /readyz` | 200 `ready`, or 503 `starting` or `draining` |
//! | `GET /metrics` | every counter, as OpenMetrics text ([`metrics`](crate::io::metrics)) |
//! | `GET /v1/openapi.json` | all of this, as an OpenAPI 3.1 document |
//! | `GET /v1/status` | [`Status`](view::Status) |
//! | `GET /v1/workers` | `{"workers": [...]}`, see below |
//! | `GET /v1/config` | [`ConfigReport`](report::ConfigReport) |
//! | `GET /v1/config/history` | [`History`](report::History), the newest first |
//! | `GET /v1/config/diff?from=N&to=N` | [`DiffReport`](report::DiffReport) |
//! | `POST /v1/config/reload?confirm=60s` | [`ReloadReport`](report::ReloadReport); 409 if it was refused |
//! | `POST /v1/config/confirm` | the same |
//! | `POST /v1/config/rollback?to=N` | the same |
//! | `POST /v1/upgrade` | [`UpgradeReport`](report::UpgradeReport); takes `{"binary": "/PATH"}`, over the Unix socket only |
//! | `GET /v1/services?after=NAME&limit=N` | [`ServicesView`](crate::registry::directory::view::ServicesView), a page |
//! | `GET /v1/services/{service}/load` | [`LoadView`](outward::LoadView), after a second |
//! | `GET /v1/services/{service}/instances?after=ID&limit=N` | [`InstancesView`](crate::registry::directory::view::InstancesView), a page |
//! | `GET /v1/services/{service}/instances/{id}` | [`InstanceView`](crate::registry::directory::view::InstanceView) |
//! | `PUT /v1/services/{service}/instances/{id}` | registers: [`OrderedView`](registry::OrderedView), 201 if it is new; takes [`RegisterBody`](registry::RegisterBody) |
//! | `POST /v1/services/{service}/instances/{id}/renew` | the same; 404 says that it has to register |
//! | `PUT /v1/services/{service}/instances/{id}/status` | the same; takes [`StatusBody`](registry::StatusBody) |
//! | `PUT /v1/services/{service}/instances/{id}/weight` | the same; takes [`WeightBody`](operate::WeightBody) |
//! | `DELETE /v1/services/{service}/instances/{id}` | the same, as it was |
//! | `POST /v1/services/{service}/instances/{id}/drain?deadline=30s` | [`InstanceReport`](report::InstanceReport); by id, or else by address |
//! | `POST /v1/services/{service}/instances/{id}/enable` | the same |
//! | `POST /v1/registry/bulk` | [`BulkReport`](operate::BulkReport); takes [`BulkBody`](operate::BulkBody); 409 where some are refused: the others hold |
//! | `GET /v1/registry/watch?from=REVISION&service=NAME` | server-sent events: what changes of instances, see below |
//! | `GET /v1/sd/prometheus?all=true&service=NAME` | [`TargetGroups`](outward::TargetGroups), for Prometheus' `http_sd` |
//! | `GET /v1/routes?from=N&limit=N` | [`RoutesView`](explain::RoutesView): the routes in order of precedence, so many from this one on, 1,000 from 0 by default; `next` is the `from` of the next page |
//! | `POST /v1/explain` | why a request goes where it goes, see below; takes [`ExplainBody`](explain::ExplainBody) |
//! | `GET /v1/consumers?name=NAME&after=NAME&limit=N` | [`ConsumersView`](crate::registry::consumers::ConsumersView), a page |
//! | `POST /v1/consumers` | adds one: [`KeyReport`](consumers::KeyReport), 201; takes [`AddBody`](consumers::AddBody) |
//! | `DELETE /v1/consumers/{consumer}` | [`ConsumerReport`](consumers::ConsumerReport); what was added of it is gone |
//! | `POST /v1/consumers/{consumer}/keys` | another key: [`KeyReport`](consumers::KeyReport), 201; takes [`KeyBody`](consumers::KeyBody) |
//! | `DELETE /v1/consumers/{consumer}/keys` | [`ConsumerReport`](consumers::ConsumerReport); all its keys are revoked |
//! | `DELETE /v1/consumers/{consumer}/keys/{digest}` | the same; that one is, by the first 8 digits of its digest or more |
//! | `POST /v1/consumers/{consumer}/rotate` | a new key: [`KeyReport`](consumers::KeyReport), 201; takes [`RotateBody`](consumers::RotateBody) |
//! | `GET /v1/limits?after=NAME&limit=N` | [`LimitsView`](rates::LimitsView), a page |
//! | `GET /v1/limits/{limit}?consumer=NAME&address=A&header=N:V&route=R&service=S` | [`BucketView`](rates::BucketView): one bucket or count, of which nothing is taken |
//! | `POST /v1/limits/{limit}/reset?...` | the same, once the bucket is full, or the count has begun anew |
//! | `POST /v1/registry/changes` | [`MembershipReport`](report::MembershipReport); takes `{"changes": [`[`Change`](question::Change)`, ...]}` |
//!
//! Answers about one instance have its revision as `ETag`. `If-Match` with revisions, or `*`, and `If-None-Match: *` hold for every change
//! of one: 412 says the revision that it has, and nothing was changed. `Prefer: return=minimal` asks for 204 where nothing is new.
//!
//! Who watches is sent `event: instance` with `{"revision", "service", "id", "what": "said" | "health" | "gone", "why", "instance"}`, where `why`
//! is `deregistered`, `expired`, `claimed` or `service_gone`, and `instance` is as it stands then, `null` once it is gone. Whoever lists at a
//! revision, of several pages that of the first, and watches from it misses nothing; `Last-Event-ID` stands above `from`. After
//! `event: compacted` the stream ends: what came next is not kept, and who watches lists again.
//!
//! An address or an id in a path is escaped where it holds a slash: `unix:%2Frun%2Fa.sock`.
//!
//! Errors are [`problem`] documents. One that stands for a report which says no (409) has the report's members as well. A full
//! queue is 503 with `Retry-After`.
//!
//! A worker in `/v1/workers` has `worker` (its number), `cpu`, `generation` (acknowledged), `stuck`, `stuck_ms`, `busy_ratio` (0 to
//! 1, over the last second), `connections` (open), `idle` (those that wait for a request), `requests`, `lateness` (of its ticks:
//! `count`, `sum_us`, `p50_us`, `p99_us`, `p999_us`, `max_us`, and `buckets`, pairs of upper bound in µs and count, not cumulative; the last bound
//! may be `null`), and all of its `counters`, `rejected` and `authentications` by name.
//!
//! An explanation in `/v1/explain` has `generation`, `listener`, `request` (in normal form: `method`, `host`, `path`, `query`; `null` where it is
//! refused before it has one), `routes` (how many), `other_hosts` (of them), `candidates` (`route`, `standing`: `won`, `behind` or `lost`, and `why`),
//! `left_out` (candidates that are not listed), `lines` (all of it for people), and `outcome`:
//!
//! - `refused`: `status`, `reason`, `why`, `allow`; no route takes it, and the gateway answers;
//! - `forward`: `route`, `services` (`service`, `percent`, `instances` of `instance_count`, `timeout_ms`), `chosen` (where that is certain), `target` (that
//!   the instance is asked for), `limits`;
//! - `redirect`: `route`, `status`, `location`, `limits`;
//! - `respond`: `route`, `status`, `headers`, `body_bytes`, `limits`.

mod aside;
mod asking;
mod body;
pub mod check;
pub mod consumers;
mod endpoint;
mod events;
mod expected;
pub mod explain;
pub mod guard;
mod inquire;
pub(crate) mod openapi;
pub mod operate;
pub mod outward;
mod ping;
pub mod problem;
pub mod question;
pub mod quotas;
pub mod rates;
pub mod registry;
pub mod report;
pub mod room;
mod routes;
mod serve;
mod services;
#[cfg(test)]
pub(crate) mod tests;
pub mod tokens;
pub mod view;
mod watch;
mod whose;

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use coregate_core::base::limits;

use events::Watchers;
use guard::{Guard, Transport};
use question::Process;
use room::Room;
use routes::Shared;
use serve::{Listener, Places, Stage};

/// A socket that the admin listener accepts on: bound and listening, by the server.
#[derive(Debug)]
pub enum AdminSocket {
    /// A Unix socket: who can connect to it may do everything.
    Unix(UnixListener),
    /// A socket on a loopback address.
    Tcp(TcpListener),
}

/// A running admin listener. Dropped, it ends at once.
#[derive(Debug)]
pub struct Admin {
    stage: tokio::sync::watch::Sender<Stage>,
    /// Whether nothing was cut off, once it has ended.
    ended: mpsc::Receiver<bool>,
}

/// Starts the admin listener on these sockets, on a thread of its own.
///
/// # Errors
/// A TCP socket that is not on a loopback address, a socket that cannot be used, no thread, no runtime.
pub fn start(
    sockets: Vec<AdminSocket>,
    guard: Guard,
    process: Arc<dyn Process>,
    room: Room,
) -> io::Result<Admin> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let listeners = {
        // Sockets are made known to the runtime that is entered.
        let _entered = runtime.enter();
        sockets.into_iter().map(listener).collect::<io::Result<Vec<_>>>()?
    };
    let (stage, stages) = tokio::sync::watch::channel(Stage::Accepting);
    let (tell_ended, ended) = mpsc::channel();
    thread::Builder::new().name("io".into()).spawn(move || {
        let whole = runtime.block_on(run(listeners, guard, process, room, stages));
        // Whatever still runs is dropped here, before it is said that it ended.
        drop(runtime);
        // Nobody hears it if it was dropped.
        let _ = tell_ended.send(whole);
    })?;
    Ok(Admin { stage, ended })
}

impl Admin {
    /// Stops accepting. Connections that wait for a request are closed, answers that are being made are finished. The
    /// listening sockets stay as they are, for [`Admin::resume`] or for others that hold copies of them.
    pub fn pause(&self) {
        self.stage.send_replace(Stage::Paused);
    }

    /// Accepts again.
    pub fn resume(&self) {
        self.stage.send_replace(Stage::Accepting);
    }

    /// Stops accepting, waits for answers that are being made for at most `within`, and ends. The listening sockets are closed
    /// and not shut down, and no path is removed: copies elsewhere go on.
    ///
    /// Gives false if something was cut off.
    #[must_use = "whether something was cut off"]
    pub fn end(self, within: Duration) -> bool {
        self.stage.send_replace(Stage::Ending(within));
        self.ended.recv_timeout(within + limits::SHUTDOWN_GRACE).unwrap_or(false)
    }
}

/// Serves until it is told to end; gives whether nothing was cut off.
async fn run(
    listeners: Vec<(Listener, Transport)>,
    guard: Guard,
    process: Arc<dyn Process>,
    room: Room,
    mut stages: tokio::sync::watch::Receiver<Stage>,
) -> bool {
    let (shared, places) = (Arc::new(Shared::new(process, room)), Places::new(room));
    tokio::spawn(events::distribute(Arc::clone(&shared.watchers)));
    tokio::spawn(end_streams(Arc::clone(&shared.watchers), stages.clone()));
    for (listener, transport) in listeners {
        let router = routes::router(Arc::clone(&shared), guard.clone(), transport);
        let told = (stages.clone(), Arc::clone(&shared.watchers));
        tokio::spawn(serve::accept(listener, router, places.clone(), told));
    }
    let within = match stages.wait_for(|stage| matches!(stage, Stage::Ending(_))).await.as_deref() {
        Ok(Stage::Ending(within)) => *within,
        Ok(Stage::Accepting | Stage::Paused) | Err(_) => Duration::ZERO,
    };
    tokio::time::timeout(within, places.all_free()).await.is_ok()
}

/// Ends the streams of who watches whenever nothing new is accepted: they would never end by themselves.
async fn end_streams(watchers: Arc<Watchers>, mut stages: tokio::sync::watch::Receiver<Stage>) {
    while stages.changed().await.is_ok() {
        watchers.set_open(*stages.borrow_and_update() == Stage::Accepting);
    }
}

fn listener(socket: AdminSocket) -> io::Result<(Listener, Transport)> {
    match socket {
        AdminSocket::Unix(listener) => {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::UnixListener::from_std(listener)?;
            Ok((Listener::Unix(listener), Transport::Unix))
        }
        AdminSocket::Tcp(listener) => {
            let address = listener.local_addr()?;
            if !address.ip().is_loopback() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("admin address {address}: expected a loopback address"),
                ));
            }
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            Ok((Listener::Tcp(listener), Transport::Tcp { port: address.port() }))
        }
    }
}
