//! Answers of our own, written whole before a byte of them is sent: refusals, and what routes answer themselves (redirects,
//! fixed responses).
//!
//! Each is a [`Settled`], and nothing but [`finish`](crate::proxy::finish) sends one: what becomes of the request's body and of the
//! connection is the same for all.

use bytes::BytesMut;
use coregate_core::base::limits;
use coregate_core::http::answer::{self, Answer};
use coregate_core::http::encode::Persistence;
use coregate_core::http::head::{Head, Method, Request};
use coregate_core::http::hop::{self, Role};
use coregate_core::http::rate_fields::RateFields;
use coregate_core::snapshot::plan::{Redirect, Respond, Values};
use coregate_core::snapshot::router::Asked;

use crate::proxy::connection::Downstream;
use crate::proxy::finish;
use crate::proxy::refusal::Refusal;
use crate::proxy::reject::{Fate, Reject, Row};
use crate::worker::buffers::RelaySize;
use crate::worker::context::Worker;

/// An answer of our own that has only to be sent.
#[derive(Debug)]
#[must_use = "a request must be answered"]
pub struct Settled {
    /// Its status.
    pub status: u16,
    /// Head and body.
    pub page: BytesMut,
    /// Whether the client is told that its connection lives on.
    pub persists: bool,
}

impl Settled {
    /// The answer to a request that is refused. `request` is known once its head was understood.
    pub fn refusal(
        worker: &Worker,
        downstream: &Downstream,
        head: &Head,
        request: Option<&Request>,
        refusal: &Refusal<'_>,
    ) -> Self {
        let reject = refusal.reject;
        let row = reject.row();
        let exposed = downstream.listener.terms.expose_reasons;
        let kept = request.filter(|_| row.fate == Fate::Keep);
        let answer = Answer {
            status: row.status,
            body: None,
            detail: refusal.detail(),
            request_id: request.map(|_| request_id(head)).unwrap_or_default(),
            to_head: match request {
                Some(request) => request.method == Method::Head,
                None => head.page.trim_ascii_start().starts_with(b"HEAD "),
            },
            persistence: persistence(worker, downstream, kept),
        };
        Self::written(worker, &answer, 0, |out| {
            refusal.write(out);
            match request {
                Some(request) if reject == Reject::MethodNotAllowed => {
                    allow(out, worker, &Asked::of(head, request));
                    reason(out, row, exposed);
                }
                _ => refusal_lines(out, row, exposed),
            }
        })
    }

    /// Sends the client elsewhere. Where its address names the host that was asked for, there must have been one.
    pub fn redirect(
        worker: &Worker,
        downstream: &Downstream,
        (head, request): (&Head, &Request),
        asked: &Asked<'_>,
        (redirect, rate): (&Redirect, Option<RateFields<'_>>),
    ) -> Result<Self, Reject> {
        let values = Values { host: asked.host, path: asked.path };
        if values.host.is_empty() && redirect.to.needs_host() {
            return Err(Reject::BadRequest);
        }
        let answer = of_route(worker, downstream, (head, request), redirect.status);
        // As a rule it is the target, and a little more.
        let room = values.path.len() + asked.query.map_or(0, <[u8]>::len);
        Ok(Self::written(worker, &answer, room, |out| {
            out.extend_from_slice(b"Location: ");
            redirect.location(&values, asked.query, out);
            out.extend_from_slice(b"\r\n");
            rate.iter().for_each(|rate| rate.write(out));
        }))
    }

    /// What a route always answers.
    pub fn fixed(
        worker: &Worker,
        downstream: &Downstream,
        (head, request): (&Head, &Request),
        (respond, rate): (&Respond, Option<RateFields<'_>>),
    ) -> Self {
        let mut answer = of_route(worker, downstream, (head, request), respond.status);
        answer.body = Some(&respond.body);
        if !answer.request_id.is_empty() && has_request_id(respond) {
            answer.request_id = b"";
        }
        let is_ours = |name: &[u8]| rate.is_some() && hop::role(name) == Role::RateLimit;
        let lines = || {
            let all = respond.headers.iter();
            let all = all.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            all.filter(|(name, _)| !is_ours(name))
        };
        let lengths: usize = lines().map(|(name, value)| name.len() + value.len() + 4).sum();
        Self::written(worker, &answer, lengths + respond.body.len(), |out| {
            lines().for_each(|(name, value)| answer::line(out, name, value));
            rate.iter().for_each(|rate| rate.write(out));
        })
    }

    /// `room`: what it takes beside what every answer of ours does, in bytes.
    fn written(
        worker: &Worker,
        answer: &Answer<'_>,
        room: usize,
        lines: impl FnOnce(&mut BytesMut),
    ) -> Self {
        let room = room + limits::HEAD_EXTRAS_BYTES;
        let mut page = match room > limits::RELAY_SMALL_BYTES {
            true => worker.buffers.relay_of(RelaySize::Medium),
            false => worker.buffers.page_for(room),
        };
        worker.clock.with_date(|date| answer::write(&mut page, answer, date, lines));
        let persists = answer.persistence != Persistence::Close;
        Self { status: answer.status, page, persists }
    }
}

/// What every answer of a route says.
fn of_route<'h>(
    worker: &Worker,
    downstream: &Downstream,
    (head, request): (&'h Head, &Request),
    status: u16,
) -> Answer<'h> {
    Answer {
        status,
        body: None,
        detail: "",
        request_id: request_id(head),
        to_head: request.method == Method::Head,
        persistence: persistence(worker, downstream, Some(request)),
    }
}

/// What is said about the connection; `request`: where there is one that it may live on behind.
fn persistence(worker: &Worker, downstream: &Downstream, request: Option<&Request>) -> Persistence {
    match request {
        // A client that waits for a 100 before it sends its body will not send it now; nobody can tell what comes next.
        Some(request) if !request.expects_continue => {
            finish::persistence(worker, &downstream.listener, downstream.served, request, false)
        }
        _ => Persistence::Close,
    }
}

/// The client's own id of the request, if it has a usable one.
fn request_id(head: &Head) -> &[u8] {
    head.value_of(Role::RequestId).filter(|id| finish::is_usable_id(id)).unwrap_or_default()
}

/// Whether the operator says what id the request has.
fn has_request_id(respond: &Respond) -> bool {
    let is_id = |name: &str| hop::role(name.as_bytes()) == Role::RequestId;
    respond.headers.iter().any(|(name, _)| is_id(name))
}

/// The header lines of a refusal.
pub fn refusal_lines(out: &mut BytesMut, row: &Row, exposed: bool) {
    if let Some((name, value)) = row.extra {
        answer::line(out, name.as_bytes(), value.as_bytes());
    }
    reason(out, row, exposed);
}

/// Where reasons are exposed, the reason.
fn reason(out: &mut BytesMut, row: &Row, exposed: bool) {
    if exposed {
        answer::line(out, b"X-Coregate-Reason", row.reason.as_bytes());
    }
}

/// The methods that routes would take this request with (RFC 9110 §10.2.1). Rare, so it is looked up only now.
#[cold]
fn allow(out: &mut BytesMut, worker: &Worker, asked: &Asked<'_>) {
    let names = worker.with_snapshot(|snapshot| snapshot.router().allowed(asked).join(", "));
    answer::line(out, b"Allow", names.as_bytes());
}
