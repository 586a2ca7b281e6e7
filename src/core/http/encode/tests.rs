//! Heads as they go on, line by line.

use super::*;
use crate::base::limits;
use crate::http::parse::{self, RequestLimits};

const EXTRAS: RequestExtras<'static> = RequestExtras {
    client: b"10.0.0.9",
    instance: b"10.1.1.1:9000",
    scheme: b"http",
    request_id: b"id-1",
    via: b"coregate",
    consumer: b"",
};
const OURS: &str = "X-Forwarded-For: 10.0.0.9\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\nVia: 1.1 coregate\r\nX-Request-Id: id-1\r\n\r\n";
const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";
const OURS_BACK: ResponseExtras<'static> =
    ResponseExtras { date: DATE, via: b"coregate", rate: None };

fn head_of(text: &str) -> Head {
    let mut head = Head::with_capacity(limits::PAGE_SMALL_BYTES);
    head.page.extend_from_slice(text.as_bytes());
    head
}

#[track_caller]
fn check_request(text: &str, expected: &str) {
    let mut head = head_of(text);
    let request = parse::request(&mut head, &RequestLimits::default()).unwrap().unwrap();
    let mut out = BytesMut::new();
    super::request(&mut out, &head, &request, &EXTRAS);
    assert_eq!(String::from_utf8(out.to_vec()).unwrap(), format!("{expected}{OURS}"));
}

#[test]
fn requests() {
    check_request(
        "GET /a/./b?c HTTP/1.1\r\nHOST: A\r\nAccept:  */*  \r\nConnection: x-hop, keep-alive\r\nX-Hop: 1\r\nTE: gzip\r\nUpgrade: h2c\r\n\r\n",
        "GET /a/b?c HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n",
    );
    check_request(
        "POST / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6\r\nX-Request-Id: z\r\nContent-Length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n",
    );
    check_request(
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nExpect: 100-continue\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n",
    );
}

#[test]
fn what_is_said_to_the_next_hop_alone() {
    check_request(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: h2c, WebSocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nConnection: Upgrade\r\n",
    );
    for dropped in [
        "Upgrade: websocket\r\n",
        "Connection: upgrade\r\nUpgrade: h2c\r\n",
        "Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n",
    ] {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{dropped}\r\n");
        check_request(&text, "GET / HTTP/1.1\r\nHost: a\r\n");
    }
    check_request(
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n",
    );
    check_request(
        "GET / HTTP/1.1\r\nHost: a\r\nTE: gzip, trailers\r\nTrailer: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTrailer: x\r\nTE: trailers\r\nConnection: TE\r\n",
    );
    check_request(
        "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 7\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 6\r\n",
    );
    check_request(
        "GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: x\r\n",
    );
}

#[test]
fn a_101_names_the_protocol() {
    let mut head = head_of(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket,\r\nConnection: x, upgrade\r\nX: 1\r\nSec-WebSocket-Accept: k\r\n\r\n",
    );
    let response = parse::response(&mut head, false).unwrap().unwrap();
    assert!(response.upgrades);
    let mut out = BytesMut::new();
    interim(&mut out, &head, &response, b"coregate");
    assert_eq!(
        std::str::from_utf8(&out).unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: k\r\nConnection: Upgrade\r\nVia: 1.1 coregate\r\n\r\n"
    );
}

#[test]
fn a_request_without_a_host_is_for_the_instance() {
    let mut head = head_of("GET / HTTP/1.0\r\n\r\n");
    let request = parse::request(&mut head, &RequestLimits::default()).unwrap().unwrap();
    let mut out = BytesMut::new();
    super::request(&mut out, &head, &request, &EXTRAS);
    assert!(out.starts_with(b"GET / HTTP/1.1\r\nHost: 10.1.1.1:9000\r\n"), "{out:?}");
}

#[track_caller]
fn check_response(text: &str, to_head: bool, http10_client: bool, expected: &str) {
    let mut head = head_of(text);
    let response = parse::response(&mut head, to_head).unwrap().unwrap();
    let body = BodyOut::towards(response.body, http10_client);
    let mut out = BytesMut::new();
    super::response(&mut out, &head, &response, body, Persistence::Close, &OURS_BACK);
    let expected = format!("{expected}Via: 1.1 coregate\r\nConnection: close\r\n\r\n");
    assert_eq!(String::from_utf8(out.to_vec()).unwrap(), expected, "{text:?}");
}

#[test]
fn responses() {
    let dated = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    check_response(
        "HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nKeep-Alive: 5\r\nDate: x\r\n\r\n",
        false,
        false,
        "HTTP/1.1 200 Fine\r\nDate: x\r\nContent-Length: 2\r\n",
    );
    check_response(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        false,
        false,
        &format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{dated}"),
    );
    check_response(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        false,
        true,
        &format!("HTTP/1.1 200 OK\r\n{dated}"),
    );
    check_response(
        "HTTP/1.1 200 OK\r\n\r\n",
        false,
        false,
        &format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{dated}"),
    );
    check_response(
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n",
        true,
        false,
        &format!("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n{dated}"),
    );
    check_response(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        true,
        false,
        &format!("HTTP/1.1 200 OK\r\n{dated}"),
    );
    check_response("HTTP/1.1 204 No\r\n\r\n", false, false, &format!("HTTP/1.1 204 No\r\n{dated}"));
    check_response(
        "HTTP/1.1 426 No\r\nUpgrade: , websocket,\r\nContent-Length: 0\r\n\r\n",
        false,
        false,
        &format!(
            "HTTP/1.1 426 No\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n{dated}"
        ),
    );
    check_response("HTTP/1.1 304\r\n\r\n", false, false, &format!("HTTP/1.1 304 \r\n{dated}"));
    check_response(
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        false,
        false,
        &format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{dated}"),
    );
}

#[test]
fn who_calls_is_said_by_us_alone() {
    for field in
        ["X-Coregate-Consumer: root", "x_coregate_consumer: root", "X-COREGATE_consumer: a"]
    {
        for option in ["", "Connection: x-coregate-consumer, x_coregate_consumer\r\n"] {
            let fields = format!("{field}\r\n{option}{field}\r\n");
            let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            check_request(&text, "GET / HTTP/1.1\r\nHost: a\r\n");
            let mut head = head_of(&text);
            let request = parse::request(&mut head, &RequestLimits::default()).unwrap().unwrap();
            let mut out = BytesMut::new();
            super::request(
                &mut out,
                &head,
                &request,
                &RequestExtras { consumer: b"ann", ..EXTRAS },
            );
            let out = String::from_utf8(out.to_vec()).unwrap().to_ascii_lowercase();
            assert_eq!(out.replace('_', "-").matches("x-coregate-consumer").count(), 1, "{out}");
            assert!(out.contains("\r\nx-coregate-consumer: ann\r\n"), "{out}");
        }
    }
}

#[test]
fn what_is_left_of_a_rate_is_said_once() {
    let fields = "RateLimit: \"x\";r=1\r\nRateLimit-Policy: a\r\nRatelimit-limit: 1\r\nRateLimit-Reset: 2\r\nRateLimit-Remaining: 3\r\n";
    let text = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n");
    let written = |rate| {
        let mut head = head_of(&text);
        let response = parse::response(&mut head, false).unwrap().unwrap();
        let mut out = BytesMut::new();
        let extras = ResponseExtras { rate, ..OURS_BACK };
        super::response(
            &mut out,
            &head,
            &response,
            BodyOut::Length(0),
            Persistence::Default,
            &extras,
        );
        String::from_utf8(out.to_vec()).unwrap()
    };
    assert!(written(None).contains(fields));
    let ours =
        written(Some(RateFields { name: None, limit: 9, remaining: 8, reset: 7, window: 6 }));
    assert_eq!(ours.to_ascii_lowercase().matches("ratelimit").count(), 3, "{ours}");
    assert!(
        ours.contains("RateLimit-Limit: 9\r\nRateLimit-Remaining: 8\r\nRateLimit-Reset: 7\r\n")
    );
}
