//! Watching the registry: `GET /v1/registry/watch`, as server-sent events.
//!
//! A stream has `event: instance` with what has changed of one, its revision as `id`; and at most one `event: compacted`, after which
//! it ends: what came next is not kept any more, and who watches lists again. Comments stand in it where nothing happens.
//!
//! **List, then watch**: whoever has read a list at revision R, and watches from R, misses nothing and hears nothing twice. Of a list of
//! several pages it is the revision of the first page.
//!
//! A watcher is a cursor, a place among those who wait for its service, and a timer. [`distribute`] wakes those whose service has
//! changed, at most every [`limits::WATCHERS_EVERY`]; nothing is queued for anybody. Who does not read is left alone by us, and
//! closed by the connection's [`pace`](super::watch).

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Extension, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use coregate_core::base::limits;
use hyper::body::Frame;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::asking::query;
use super::endpoint::Endpoint;
use super::openapi::{self, header, says};
use super::problem::Problem;
use super::routes::Here;
use super::tokens::{Access, Scope};
use crate::registry::journal::{Cursor, Journal, Next};

const WATCH: &str = "/v1/registry/watch";
const EVENT_STREAM: &str = "text/event-stream";

/// The endpoint.
pub(super) fn endpoints() -> Vec<Endpoint> {
    let watch = says("Watch what changes of instances, as server-sent events")
        .with(&[
            openapi::query(
                "from",
                "integer",
                "tell what came after this revision; from now on by default",
            ),
            openapi::query("service", "string", "this service alone"),
            header("last-event-id", "the same as from, as browsers say it when they come again"),
        ])
        .gives_text(StatusCode::OK, EVENT_STREAM);
    vec![Endpoint::get(WATCH, self::watch, watch).asked()]
}

/// All who watch.
#[derive(Debug)]
pub(super) struct Watchers {
    journal: Arc<Journal>,
    places: Arc<Semaphore>,
    /// Whether streams go on. While an upgrade may come of it they end, and who watches comes again, to whoever serves then.
    is_open: AtomicBool,
    /// Who waits for what: for one service, or for all. What is sent says nothing but that there is something.
    topics: Mutex<HashMap<Option<Arc<str>>, watch::Sender<()>>>,
}

impl Watchers {
    pub(super) fn new(journal: Arc<Journal>, most: usize) -> Self {
        let places = Arc::new(Semaphore::new(most));
        Self { journal, places, is_open: AtomicBool::new(true), topics: Mutex::default() }
    }

    /// Streams that come go on again. Said before the connections are accepted that bring them: who ends streams may hear of it later.
    pub(super) fn open(&self) {
        self.is_open.store(true, Ordering::Release);
    }

    /// Ends all streams, and those that come, until it is told otherwise.
    pub(super) fn set_open(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::Release);
        self.topics().retain(|_, topic| topic.send(()).is_ok());
    }

    /// Nobody may wait for this any more: then it is forgotten. Names are whatever somebody asked for.
    fn leave(&self, topic: &Option<Arc<str>>) {
        let mut topics = self.topics();
        if topics.get(topic).is_some_and(|topic| topic.receiver_count() == 0) {
            topics.remove(topic);
        }
    }

    fn join(&self, service: Option<&Arc<str>>) -> watch::Receiver<()> {
        let mut topics = self.topics();
        match topics.get(&service.cloned()) {
            Some(topic) => topic.subscribe(),
            None => {
                let (topic, receiver) = watch::channel(());
                topics.insert(service.cloned(), topic);
                receiver
            }
        }
    }

    /// Wakes those who wait for this.
    fn wake(&self, topic: &Option<Arc<str>>) {
        let mut topics = self.topics();
        // Else nobody is left to hear it.
        if topics.get(topic).is_some_and(|topic| topic.send(()).is_err()) {
            topics.remove(topic);
        }
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<Option<Arc<str>>, watch::Sender<()>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes watchers whose services have changed, for ever.
pub(super) async fn distribute(watchers: Arc<Watchers>) {
    loop {
        for service in watchers.journal.changed().await {
            watchers.wake(&Some(service));
        }
        watchers.wake(&None);
        sleep(limits::WATCHERS_EVERY).await;
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WatchQuery {
    from: Option<u64>,
    service: Option<String>,
}

async fn watch(
    State(here): State<Here>,
    Extension(access): Extension<Access>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let WatchQuery { from, service } = query(&uri)?;
    match &service {
        Some(service) if service.is_empty() => {
            return Err(Problem::bad("service: expected a name"));
        }
        Some(service) => access.check(Scope::Read, service)?,
        None if access.may_with_all(Scope::Read) => {}
        None => {
            return Err(
                access.refused("", "the token has no scope read for all services: name one")
            );
        }
    }
    // It comes again: what it heard last is newer than what it first asked for.
    let from = last_heard(&headers)?.or(from);
    let watchers = &here.shared.watchers;
    let place = Arc::clone(&watchers.places).try_acquire_owned().map_err(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many watch already").with_retry()
    })?;
    let service: Option<Arc<str>> = service.map(Arc::from);
    let stream = Stream::new(Arc::clone(watchers), (access, service), from, place);
    Ok(([(CONTENT_TYPE, EVENT_STREAM)], Body::new(stream)).into_response())
}

fn last_heard(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let revision = value.to_str().ok().and_then(|text| text.parse().ok());
    revision.map(Some).ok_or_else(|| Problem::bad("Last-Event-ID: expected a revision"))
}

/// The body of an answer to who watches.
struct Stream {
    watchers: Arc<Watchers>,
    access: Access,
    service: Option<Arc<str>>,
    /// None: it is told that it has to list again, and that is the end.
    cursor: Option<Cursor>,
    wake: Pin<Box<Wake>>,
    heartbeat: Pin<Box<Sleep>>,
    has_ended: bool,
    _place: OwnedSemaphorePermit,
}

/// Ends when there may be something new, and gives what it waited on.
type Wake = dyn Future<Output = watch::Receiver<()>> + Send;

fn wake(mut joined: watch::Receiver<()>) -> Pin<Box<Wake>> {
    Box::pin(async move {
        // Nobody else ends a topic while there is somebody to hear of it.
        let _ = joined.changed().await;
        joined
    })
}

impl Stream {
    fn new(
        watchers: Arc<Watchers>,
        (access, service): (Access, Option<Arc<str>>),
        from: Option<u64>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        // Joined first: what comes between the two is heard of twice, and read once.
        let wake = wake(watchers.join(service.as_ref()));
        let cursor = watchers.journal.cursor(service.as_deref(), from);
        // At once, so that both sides know that it has begun.
        let heartbeat = Box::pin(sleep_until(Instant::now()));
        let has_ended = false;
        Self { watchers, access, service, cursor, wake, heartbeat, has_ended, _place: place }
    }

    /// Whether it goes on: no upgrade may come, and the token still opens what is watched.
    fn goes_on(&mut self) -> bool {
        self.access.look_again();
        let may = match &self.service {
            Some(service) => self.access.may(Scope::Read, service),
            None => self.access.may_with_all(Scope::Read),
        };
        may && !self.has_ended && self.watchers.is_open.load(Ordering::Acquire)
    }

    /// The next text that is to be sent, if it is its time.
    fn next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if !self.goes_on() {
                return Poll::Ready(None);
            }
            let next = match &mut self.cursor {
                Some(cursor) => self.watchers.journal.next(self.service.as_deref(), cursor),
                None => Next::Compacted,
            };
            match next {
                Next::Event(text) => {
                    self.quiet();
                    return Poll::Ready(Some(text));
                }
                Next::Compacted => {
                    self.has_ended = true;
                    let latest = self.watchers.journal.latest();
                    let text = format!("event: compacted\ndata: {{\"revision\":{latest}}}\n\n");
                    return Poll::Ready(Some(text.into()));
                }
                Next::Nothing => {}
            }
            if let Poll::Ready(joined) = self.wake.as_mut().poll(context) {
                self.wake = wake(joined);
                continue;
            }
            if self.heartbeat.as_mut().poll(context).is_ready() {
                self.quiet();
                return Poll::Ready(Some(Bytes::from_static(b":\n\n")));
            }
            return Poll::Pending;
        }
    }

    /// Something is sent: there is no need for a sign of life for a while.
    fn quiet(&mut self) {
        self.heartbeat.as_mut().reset(Instant::now() + limits::WATCH_HEARTBEAT);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // What it waits on goes first.
        self.wake = Box::pin(std::future::pending());
        self.watchers.leave(&self.service);
    }
}

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.get_mut().next(context).map(|text| text.map(|text| Ok(Frame::data(text))))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::super::tokens::{Held, TokenTable, Tokens};
    use super::*;
    use crate::registry::directory::admission::{Caller, TokenCheck};

    fn stream(watchers: &Arc<Watchers>, access: Access, service: &str) -> Stream {
        let place = Arc::clone(&watchers.places).try_acquire_owned().expect("a place");
        Stream::new(Arc::clone(watchers), (access, Some(service.into())), None, place)
    }

    #[tokio::test]
    async fn names_that_nobody_watches_any_more_are_forgotten() {
        let watchers = Arc::new(Watchers::new(Journal::new(), 4));
        let watch = |service| stream(&watchers, Access::Everything(Caller::Socket), service);
        let (one, other, third) = (watch("no such service"), watch("no such service"), watch("s"));
        drop((one, third));
        assert_eq!(watchers.topics().len(), 1, "one still waits for it");
        drop(other);
        assert_eq!(watchers.topics().len(), 0);
    }

    #[tokio::test]
    async fn a_stream_ends_with_the_token_that_opened_it() {
        let watchers = Arc::new(Watchers::new(Journal::new(), 1));
        let (tokens, own) = (Tokens::default(), TokenCheck::new(|given| given == b"own"));
        let services = HashMap::from([("s".to_owned(), own)]);
        tokens.set(TokenTable { services, ..TokenTable::default() });
        let access = Access::Held(Arc::new(Held::new(b"own", &tokens)));
        let mut stream = stream(&watchers, access, "s");
        let sign_of_life = poll_fn(|context| stream.next(context)).await;
        assert!(sign_of_life.is_some());
        tokens.set(TokenTable::default());
        assert!(poll_fn(|context| stream.next(context)).await.is_none());
    }
}
