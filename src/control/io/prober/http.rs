//! Probes over HTTP/1.1: one request, one answer, one connection, no redirects.
//!
//! The verdict is said as soon as it is known; then a little of the body is taken, so that a well-behaved peer sees an end and
//! not a reset.

use std::future::poll_fn;
use std::pin::pin;
use std::time::{Duration, Instant};

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{Address, HttpProbe};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout_at;

use super::deliver::Report;
use super::metered::Metered;
use super::words;
use crate::registry::probe::{Finding, ProbeOrder};

/// How a probe calls itself.
const AGENT: &str = concat!("coregate/", env!("CARGO_PKG_VERSION"), " (health check)");

/// What an answer may have in all, with what may be read ahead of it.
const ANSWER_BYTES: usize = limits::PROBE_HEAD_BYTES + limits::PROBE_BODY_BYTES;

/// What is asked, of whom, and until when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) probe: &'a HttpProbe,
    pub(super) order: &'a ProbeOrder,
    pub(super) deadline: Instant,
}

impl Asked<'_> {
    fn within(&self) -> Duration {
        self.order.check.timeout
    }
}

/// Asks over a connection, and reports.
pub(super) async fn ask<S>(stream: S, asked: Asked<'_>, report: Report)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(request) = request(&asked) else { return report.failed(words::NO_REQUEST) };
    let stream = TokioIo::new(Metered::new(stream, ANSWER_BYTES));
    let mut builder = http1::Builder::new();
    builder.max_buf_size(limits::PROBE_HEAD_BYTES).max_header_size(limits::PROBE_HEAD_BYTES);
    let (mut sender, connection) = match builder.handshake(stream).await {
        Ok(both) => both,
        Err(error) => return report.failed(words::of_exchange(&error)),
    };
    let exchange = async move {
        let answered = timeout_at(asked.deadline.into(), sender.send_request(request)).await;
        match answered {
            Ok(Ok(answer)) => judge(answer, asked, report).await,
            Ok(Err(error)) => report.failed(words::of_exchange(&error)),
            Err(_) => report.failed(words::no_answer(asked.within())),
        }
    };
    // In one task: what the connection has read is looked at in the same turn.
    let (mut connection, mut exchange) = (pin!(connection), pin!(exchange));
    let mut is_open = true;
    poll_fn(|cx| {
        if is_open {
            // How it ended is seen by who waits for the answer.
            is_open = connection.as_mut().poll(cx).is_pending();
        }
        let polled = exchange.as_mut().poll(cx);
        if polled.is_ready() && is_open {
            // What it has said is on its way to be flushed, or its end to be sent.
            let _ = connection.as_mut().poll(cx);
        }
        polled
    })
    .await;
}

/// The request; none if what was configured is none.
fn request(asked: &Asked<'_>) -> Option<Request<Empty<Bytes>>> {
    let HttpProbe { method, target, host, headers, .. } = asked.probe;
    let mut request = Request::builder().method(method.as_str()).uri(target.as_str());
    let fields = request.headers_mut()?;
    for (name, value) in headers {
        let name = HeaderName::try_from(name).ok()?;
        fields.append(name, HeaderValue::try_from(value).ok()?);
    }
    let address = || match (&asked.order.address, asked.order.check.port) {
        (Address::Tcp(address), Some(port)) => {
            std::net::SocketAddr::new(address.ip(), port).to_string()
        }
        (Address::Tcp(address), None) => address.to_string(),
        (Address::Unix(_), _) => "localhost".to_owned(),
    };
    let host = host.clone().unwrap_or_else(address);
    fields.entry(HOST).or_insert(HeaderValue::try_from(host).ok()?);
    fields.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
    fields.insert(CONNECTION, HeaderValue::from_static("close"));
    request.body(Empty::new()).ok()
}

/// Holds an answer against what is expected.
async fn judge(answer: Response<Incoming>, asked: Asked<'_>, report: Report) {
    let (head, mut body) = answer.into_parts();
    let status = head.status.as_u16();
    let passes = asked.probe.statuses.iter().any(|range| range.contains(&status));
    let mut ids = head.headers.get_all("x-instance-id").iter();
    let finding = match passes {
        false if status == 429 => Some(Finding::Warned),
        false => Some(Finding::Failed(words::status(status).into())),
        true if asked.probe.instance_id => {
            let expected = expected_id(asked.order);
            match (ids.next(), ids.next()) {
                (Some(id), None) if id.as_bytes() == expected.as_bytes() => None,
                (None, _) => Some(Finding::Failed(words::NO_ID.into())),
                _ => Some(Finding::Failed(words::OTHER_ID.into())),
            }
        }
        true => None,
    };
    let finding = match (finding, &asked.probe.body) {
        (Some(finding), _) => finding,
        (None, None) => Finding::Passed,
        (None, Some(text)) => {
            let read = timeout_at(asked.deadline.into(), holds(&mut body, text.as_bytes())).await;
            match read {
                Ok(Ok(true)) => Finding::Passed,
                Ok(Ok(false)) => Finding::Failed(words::OTHER_BODY.into()),
                Ok(Err(error)) => Finding::Failed(words::of_exchange(&error).into()),
                Err(_) => Finding::Failed(words::no_whole_body(asked.within()).into()),
            }
        }
    };
    let _place = report.say(finding);
    let _ = tokio::time::timeout(limits::PROBE_CLOSE, rest(body)).await;
}

/// The id of an instance: what it registered with, else its address.
fn expected_id(order: &ProbeOrder) -> String {
    order.id.as_deref().map_or_else(|| order.address.to_string(), str::to_owned)
}

/// Whether the beginning of a body holds a text. It is read no further than that is known.
async fn holds(body: &mut Incoming, text: &[u8]) -> Result<bool, hyper::Error> {
    let mut read: Vec<u8> = Vec::new();
    // What was looked through already holds it nowhere, but may hold its beginning.
    let mut looked = 0;
    while !text.is_empty() && !read[looked..].windows(text.len()).any(|at| at == text) {
        looked = (read.len() + 1).saturating_sub(text.len());
        let room = limits::PROBE_BODY_BYTES - read.len();
        if room == 0 {
            return Ok(false);
        }
        let Some(frame) = body.frame().await else { return Ok(false) };
        if let Ok(data) = frame?.into_data() {
            read.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    Ok(true)
}

/// Takes what is left of a body, if it is little; what is more is cut.
async fn rest(mut body: Incoming) {
    let mut left = limits::PROBE_BODY_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(1, Bytes::len));
        if left == 0 {
            return;
        }
    }
}
