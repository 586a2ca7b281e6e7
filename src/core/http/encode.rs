//! Writing heads anew for the next hop.
//!
//! A head is never passed on raw (rule 7): every line is written from what was parsed and checked. What we add stands
//! last: `X-Forwarded-For`, `-Proto`, `-Host` (a client's own are dropped; RFC 7239's `Forwarded` too), `Via`
//! (RFC 9110 §7.6.3) and `X-Request-Id`.

use std::time::Duration;

use bytes::BytesMut;

use crate::http::framing::BodyIn;
use crate::http::head::{Head, Request, Response};
use crate::http::hop::{self, Role};
use crate::http::rate_fields::RateFields;

/// What the gateway adds to a request.
#[derive(Debug)]
pub struct RequestExtras<'a> {
    /// The client's address, as text without port.
    pub client: &'a [u8],
    /// The host to name if the request names none (HTTP/1.0): that of the instance.
    pub instance: &'a [u8],
    /// `http` or `https`, as the client spoke it.
    pub scheme: &'static [u8],
    /// The request's id, if the client sent no usable one.
    pub request_id: &'a [u8],
    /// What this gateway calls itself in `Via`.
    pub via: &'a [u8],
    /// Who calls, if that is known; else empty.
    pub consumer: &'a [u8],
}

/// Writes the head of `request` for an upstream: `Transfer-Encoding` or `Content-Length` as `request.body` says.
pub fn request(out: &mut BytesMut, head: &Head, request: &Request, extras: &RequestExtras<'_>) {
    let host = request.host(head);
    put(out, head.bytes(request.method_at));
    put(out, b" ");
    put(out, request.target(head));
    put(out, b" HTTP/1.1\r\nHost: ");
    if host.is_empty() {
        put(out, extras.instance);
    } else {
        put_host(out, host, request.port);
    }
    put(out, b"\r\n");
    for field in &head.fields {
        match field.role {
            // RFC 9110 §10.1.1: in HTTP/1.0 an expectation means nothing.
            Role::Expect if request.http10 => {}
            Role::EndToEnd | Role::Date | Role::Via | Role::Expect | Role::RateLimit => {
                put_field(out, head.bytes(field.name), head.bytes(field.value));
            }
            Role::MaxForwards => {
                put(out, b"Max-Forwards: ");
                match request.max_forwards {
                    Some(number) => put_number(out, u64::from(number.saturating_sub(1))),
                    None => put(out, head.bytes(field.value)),
                }
                put(out, b"\r\n");
            }
            Role::Upgrade if request.upgrades => put_offers(out, head.bytes(field.value)),
            Role::HopByHop
            | Role::Te
            | Role::Connection
            | Role::Upgrade
            | Role::Host
            | Role::ContentLength
            | Role::TransferEncoding
            | Role::Forwarded
            | Role::RequestId
            | Role::Consumer => {}
        }
    }
    if request.wants_trailers || request.upgrades {
        put_hop(out, request);
    }
    let content_expected = head.fields.iter().any(|field| field.role == Role::ContentLength);
    put_framing(out, request.body, content_expected.then_some(0));
    put(out, b"X-Forwarded-For: ");
    put(out, extras.client);
    put(out, b"\r\nX-Forwarded-Proto: ");
    put(out, extras.scheme);
    if !host.is_empty() {
        put(out, b"\r\nX-Forwarded-Host: ");
        put_host(out, host, request.port);
    }
    put(out, if request.http10 { b"\r\nVia: 1.0 " } else { b"\r\nVia: 1.1 " });
    put(out, extras.via);
    if !extras.consumer.is_empty() {
        put(out, b"\r\nX-Coregate-Consumer: ");
        put(out, extras.consumer);
    }
    put(out, b"\r\nX-Request-Id: ");
    put(out, extras.request_id);
    put(out, b"\r\n\r\n");
}

/// What is said to the next hop alone: `TE` and `Upgrade` are named by `Connection` (RFC 9110 §10.1.4, §7.8).
#[cold]
fn put_hop(out: &mut BytesMut, request: &Request) {
    if request.wants_trailers {
        put(out, b"TE: trailers\r\n");
    }
    put(
        out,
        match (request.wants_trailers, request.upgrades) {
            (true, true) => b"Connection: TE, Upgrade\r\n".as_slice(),
            (true, false) => b"Connection: TE\r\n",
            (false, _) => b"Connection: Upgrade\r\n",
        },
    );
}

#[cold]
fn put_offers(out: &mut BytesMut, value: &[u8]) {
    for (at, protocol) in hop::offers(value).enumerate() {
        put(out, if at == 0 { b"Upgrade: " } else { b", " });
        put(out, protocol);
    }
    put(out, b"\r\n");
}

/// How a response's body goes to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyOut {
    /// Not at all.
    None,
    /// As many bytes as the head says.
    Length(u64),
    /// In chunks.
    Chunked,
    /// Until the connection ends: for an HTTP/1.0 client, where the length is not known.
    Close,
}

impl BodyOut {
    /// How a body that came as `body` goes on to a client.
    pub fn towards(body: BodyIn, client_is_http10: bool) -> Self {
        match body {
            BodyIn::None => Self::None,
            BodyIn::Length(length) => Self::Length(length),
            BodyIn::Chunked | BodyIn::Close if client_is_http10 => Self::Close,
            BodyIn::Chunked | BodyIn::Close => Self::Chunked,
        }
    }
}

/// Makes a request id: a UUIDv7 (RFC 9562 §5.7) of this moment and these random bits, as text.
pub fn new_request_id(
    since_epoch: Duration,
    random_a: u64,
    random_b: u64,
    text: &mut [u8; 36],
) -> &[u8] {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&random_a.to_ne_bytes());
    random[8..].copy_from_slice(&random_b.to_ne_bytes()[..2]);
    let id = uuid::Builder::from_unix_timestamp_millis(since_epoch.as_millis() as u64, &random);
    id.into_uuid().hyphenated().encode_lower(text).as_bytes()
}

/// What the gateway says in a response's head about the connection to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// The connection lives on, as HTTP/1.1 has it by default: nothing is said.
    Default,
    /// The connection lives on, which an HTTP/1.0 client must be told.
    KeepAlive,
    /// The connection ends with this response.
    Close,
}

/// What the gateway adds to a response.
#[derive(Debug, Clone, Copy)]
pub struct ResponseExtras<'a> {
    /// The `Date` of one that has none.
    pub date: &'a [u8; 29],
    /// What this gateway calls itself in `Via`.
    pub via: &'a [u8],
    /// What is left of a rate: said in place of whatever the instance says of its own.
    pub rate: Option<RateFields<'a>>,
}

/// Writes the head of `response` for a client.
pub fn response(
    out: &mut BytesMut,
    head: &Head,
    response: &Response,
    body: BodyOut,
    persistence: Persistence,
    extras: &ResponseExtras<'_>,
) {
    put(out, b"HTTP/1.1 ");
    put(out, &status_digits(response.status));
    put(out, b" ");
    put(out, head.bytes(response.reason));
    put(out, b"\r\n");
    for field in &head.fields {
        match field.role {
            Role::EndToEnd
            | Role::Date
            | Role::Via
            | Role::RequestId
            | Role::Expect
            | Role::Forwarded
            | Role::MaxForwards
            | Role::Consumer
            | Role::Host => {
                put_field(out, head.bytes(field.name), head.bytes(field.value));
            }
            Role::RateLimit if extras.rate.is_none() => {
                put_field(out, head.bytes(field.name), head.bytes(field.value));
            }
            // RFC 9110 §15.5.22: what the client should ask for.
            Role::Upgrade if response.status == 426 && response.offers => {
                put_field(out, b"Connection", b"Upgrade");
                put_offers(out, head.bytes(field.value));
            }
            Role::HopByHop
            | Role::Te
            | Role::Connection
            | Role::Upgrade
            | Role::ContentLength
            | Role::RateLimit
            | Role::TransferEncoding => {}
        }
    }
    if let Some(rate) = &extras.rate {
        rate.write(out);
    }
    match body {
        BodyOut::None => put_framing(out, BodyIn::None, response.stated_length),
        BodyOut::Length(length) => put_framing(out, BodyIn::Length(length), None),
        BodyOut::Chunked => put_framing(out, BodyIn::Chunked, None),
        BodyOut::Close => {}
    }
    if !response.has_date {
        put(out, b"Date: ");
        put(out, extras.date);
        put(out, b"\r\n");
    }
    put(out, if response.http10 { b"Via: 1.0 " } else { b"Via: 1.1 " });
    put(out, extras.via);
    put(
        out,
        match persistence {
            Persistence::Default => b"\r\n\r\n",
            Persistence::KeepAlive => b"\r\nConnection: keep-alive\r\n\r\n",
            Persistence::Close => b"\r\nConnection: close\r\n\r\n",
        },
    );
}

/// Writes an interim (1xx) response for a client: its fields, nothing of ours but `Via`. A 101 also names the protocol that
/// both go on with.
pub fn interim(out: &mut BytesMut, head: &Head, response: &Response, via: &[u8]) {
    put(out, b"HTTP/1.1 ");
    put(out, &status_digits(response.status));
    put(out, b" ");
    put(out, head.bytes(response.reason));
    put(out, b"\r\n");
    let switches = response.status == 101;
    for field in &head.fields {
        if field.role == Role::EndToEnd {
            put_field(out, head.bytes(field.name), head.bytes(field.value));
        } else if switches && field.role == Role::Upgrade {
            put_offers(out, head.bytes(field.value));
        }
    }
    put(out, if switches { b"Connection: Upgrade\r\nVia: 1.1 ".as_slice() } else { b"Via: 1.1 " });
    put(out, via);
    put(out, b"\r\n\r\n");
}

fn put_framing(out: &mut BytesMut, body: BodyIn, without_body: Option<u64>) {
    match (body, without_body) {
        (BodyIn::Length(length), _) | (BodyIn::None, Some(length)) => {
            put(out, b"Content-Length: ");
            put_number(out, length);
            put(out, b"\r\n");
        }
        (BodyIn::Chunked, _) => put(out, b"Transfer-Encoding: chunked\r\n"),
        (BodyIn::None, None) | (BodyIn::Close, _) => {}
    }
}

#[inline]
fn put(out: &mut BytesMut, bytes: &[u8]) {
    out.extend_from_slice(bytes);
}

#[inline]
fn put_field(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    put(out, name);
    put(out, b": ");
    put(out, value);
    put(out, b"\r\n");
}

fn put_host(out: &mut BytesMut, host: &[u8], port: Option<u16>) {
    put(out, host);
    if let Some(port) = port {
        put(out, b":");
        put_number(out, u64::from(port));
    }
}

/// Writes a number in decimal.
pub fn put_number(out: &mut BytesMut, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return put(out, &digits[at..]);
        }
    }
}

/// A status as three digits.
pub fn status_digits(status: u16) -> [u8; 3] {
    let digit = |value: u16| b'0' + (value % 10) as u8;
    [digit(status / 100), digit(status / 10), digit(status)]
}

#[cfg(test)]
mod tests;
