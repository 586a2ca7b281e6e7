//! Accepting connections and serving them. `axum::serve` has no limits of its own, so hyper is driven here.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request, Response};
use coregate_core::base::limits;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{interval, sleep};

use super::events::Watchers;
use super::room::Room;
use super::watch::{Pace, Paced};

/// What an admin listener does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It accepts connections.
    Accepting,
    /// It accepts none; what is in flight is finished, the rest is closed.
    Paused,
    /// The same, and it ends when nothing is in flight any more, or after this.
    Ending(Duration),
}

/// A listening socket.
#[derive(Debug)]
pub(super) enum Listener {
    /// A Unix socket.
    Unix(UnixListener),
    /// A TCP socket.
    Tcp(TcpListener),
}

/// The places for connections.
#[derive(Debug, Clone)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    tcp: Arc<Semaphore>,
    room: Room,
}

impl Places {
    pub(super) fn new(room: Room) -> Self {
        Self {
            all: Arc::new(Semaphore::new(room.all)),
            tcp: Arc::new(Semaphore::new(room.tcp)),
            room,
        }
    }

    /// Waits until every connection has ended.
    pub(super) async fn all_free(&self) {
        // It fails only if the semaphore was closed, which nobody does.
        drop(self.all.acquire_many(self.room.all as u32).await);
    }

    /// Waits for a place. Those of TCP are fewer, so that the Unix socket always has some.
    ///
    /// Cancel safety: dropped, it has taken nothing.
    async fn take(&self, listener: &Listener) -> Option<Place> {
        let tcp = match listener {
            Listener::Tcp(_) => Some(Arc::clone(&self.tcp).acquire_owned().await.ok()?),
            Listener::Unix(_) => None,
        };
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Place { _all: all, _tcp: tcp })
    }
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
struct Place {
    _all: OwnedSemaphorePermit,
    _tcp: Option<OwnedSemaphorePermit>,
}

/// Accepts connections until the stage is [`Stage::Ending`]. The listening socket is closed then, not shut down: others may
/// hold copies of it.
pub(super) async fn accept(
    listener: Listener,
    router: Router,
    places: Places,
    (mut stage, watchers): (watch::Receiver<Stage>, Arc<Watchers>),
) {
    let stages = stage.clone();
    loop {
        let now = *stage.borrow_and_update();
        if now == Stage::Accepting {
            watchers.open();
        }
        match now {
            Stage::Ending(_) => return,
            Stage::Paused => {
                if stage.changed().await.is_err() {
                    return;
                }
            }
            Stage::Accepting => tokio::select! {
                biased;
                changed = stage.changed() => if changed.is_err() { return },
                () = accept_one(&listener, &router, &places, &stages) => {}
            },
        }
    }
}

/// Cancel safety: a connection is either served or still to be accepted.
async fn accept_one(
    listener: &Listener,
    router: &Router,
    places: &Places,
    stage: &watch::Receiver<Stage>,
) {
    let Some(place) = places.take(listener).await else {
        return;
    };
    let (router, stage) = (router.clone(), stage.clone());
    let accepted = match listener {
        Listener::Unix(listener) => listener.accept().await.map(|(stream, _)| {
            tokio::spawn(serve(stream, router, stage, place));
        }),
        Listener::Tcp(listener) => listener.accept().await.map(|(stream, _)| {
            // Only a matter of pace.
            let _ = stream.set_nodelay(true);
            tokio::spawn(serve(stream, router, stage, place));
        }),
    };
    if accepted.is_err() {
        // Descriptors have run out, or the peer has left already: a bare loop would burn a core.
        sleep(limits::ACCEPT_BACKOFF).await;
    }
}

/// Serves a connection until it ends; `held` is dropped then.
pub(super) async fn serve<S, H>(
    stream: S,
    router: Router,
    mut stage: watch::Receiver<Stage>,
    held: H,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let pace = Pace::new();
    let io = TokioIo::new(Paced::new(stream, Arc::clone(&pace)));
    let routes = TowerToHyperService::new(router);
    let stages = stage.clone();
    let service = service_fn(|request: Request<Incoming>| {
        let answering = pace.answering();
        let response = routes.call(request);
        let stages = stages.clone();
        async move {
            let mut response: Result<Response<Body>, Infallible> = response.await;
            // The stage itself is asked: those who wait for it are woken one after the other, and this connection may not
            // have been yet. An end that is not announced would look like a failure to who sends the next request.
            if let Ok(response) = &mut response
                && *stages.borrow() != Stage::Accepting
            {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            drop(answering);
            response
        }
    });
    let mut connection = pin!(builder().serve_connection(io, service));
    let mut look = interval(limits::ADMIN_LOOK_EVERY);
    let mut told = false;
    loop {
        tokio::select! {
            _ = stage.wait_for(|stage| *stage != Stage::Accepting), if !told => {
                told = true;
                connection.as_mut().graceful_shutdown();
            }
            // How a connection ended is nobody's concern: a peer's bytes are no event.
            _ = connection.as_mut() => break,
            _ = look.tick() => if pace.is_over() { break },
        }
    }
    drop(held);
}

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // From the end of an answer to the end of the next head; what is stricter is kept by `Pace`.
        .header_read_timeout(limits::ADMIN_IDLE)
        .max_headers(limits::ADMIN_FIELDS)
        .max_header_size(limits::ADMIN_HEAD_BYTES)
        .max_buf_size(limits::ADMIN_HEAD_BYTES);
    builder
}
