//! Answers that a route always gives, and those to methods that it does not take.

use super::gateway;
use crate::harness::client::{get, post, post_chunked};
use crate::harness::origin::Origin;

#[test]
fn fixed_responses() {
    let origin = Origin::named("s");
    let long = "x".repeat(16 * 1024);
    let gateway = gateway(
        &[("s", &origin)],
        &format!(
            "\"/text\" = {{ respond = \"hello\" }}\n\
             \"/none\" = {{ respond = 204 }}\n\
             \"/same\" = {{ respond = {{ status = 304, headers = {{ etag = \"'1'\" }} }} }}\n\
             \"/gone\" = {{ respond = {{ status = 410, body = \"{{}}\", content_type = \"application/json\", headers = {{ x-from = \"here\" }} }} }}\n\
             \"/long\" = {{ respond = {{ status = 503, body = \"{long}\" }} }}\n\
             \"/*\" = \"s\""
        ),
    );
    let mut client = gateway.client();
    for (path, status, kind, body) in [
        ("/text", 200, Some("text/plain; charset=utf-8"), "hello"),
        ("/none", 204, None, ""),
        ("/same", 304, None, ""),
        ("/gone", 410, Some("application/json"), "{}"),
        ("/long", 503, Some("text/plain; charset=utf-8"), &long),
    ] {
        for method in ["GET", "HEAD", "POST", "OPTIONS"] {
            client.send(format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
            let answer = client.response_to(method);
            assert_eq!((answer.status, answer.head.get("content-type")), (status, kind), "{path}");
            let body = if method == "HEAD" { "" } else { body };
            assert!(answer.text() == body, "{method} {path}");
            assert!(!answer.closes());
            assert_eq!(answer.head.has("content-length"), !matches!(status, 204 | 304), "{path}");
            assert_eq!(answer.head.get("x-from"), (status == 410).then_some("here"));
        }
    }
    assert_eq!(client.get("/x").text(), "s GET /x");
    assert_eq!(origin.take().len(), 1);
    let stats = gateway.stats_when("all are counted", |stats| stats.total("requests") == 21);
    assert_eq!(stats.total("answered_by_route"), 20);
}

#[test]
fn a_connection_lives_on_behind_a_fixed_response() {
    let origin = Origin::named("s");
    let gateway = gateway(&[("s", &origin)], "\"/*\" = \"s\"\n\"/own\" = { respond = \"own\" }");
    let mut client = gateway.client();
    let chunked = post_chunked("/own") + "3\r\nabc\r\n0\r\nx-trailer: y\r\n\r\n";
    for request in [get("/own"), post("/own", "body"), chunked] {
        for size in [1, usize::MAX] {
            client.send_pieces(&request, size);
            assert_eq!(client.response().text(), "own");
            assert_eq!(client.get("/next").text(), "s GET /next");
        }
    }
    let waits =
        "POST /own HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    assert!(client.send(waits).response().closes());
    client.expect_closed();
    let old = "GET /own HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let mut client = gateway.client();
    for _ in 0..3 {
        let answer = client.send(old).response();
        assert_eq!(
            (answer.text().as_str(), answer.head.get("connection")),
            ("own", Some("keep-alive"))
        );
    }
    // A body that is not framed as it must be is refused behind the answer: its end is not known.
    let mut client = gateway.client();
    client.send(post_chunked("/own") + "zz\r\n");
    assert_eq!(client.response().text(), "own");
    client.expect_closed();
}

#[test]
fn other_methods_are_told_which_are_allowed() {
    let origin = Origin::named("s");
    let gateway = gateway(
        &[("s", &origin)],
        "\"GET /a\" = \"s\"\n\"PUT,DELETE /a\" = \"s\"\n\"POST /a/b\" = \"s\"\n\
         [routes.\"x.example.com\"]\n\"PATCH /a\" = \"s\"",
    );
    let mut client = gateway.client();
    for (method, host, path, status, allow) in [
        ("GET", "a", "/a", 200, None),
        ("HEAD", "a", "/a", 200, None),
        ("DELETE", "a", "/a", 200, None),
        ("POST", "a", "/a", 405, Some("DELETE, GET, HEAD, PUT")),
        ("OPTIONS", "a", "/a", 405, Some("DELETE, GET, HEAD, PUT")),
        ("get", "a", "/a", 405, Some("DELETE, GET, HEAD, PUT")),
        ("GET", "a", "/a/b", 405, Some("POST")),
        ("POST", "x.example.com", "/a", 405, Some("DELETE, GET, HEAD, PATCH, PUT")),
        ("PATCH", "x.example.com", "/a", 200, None),
        ("GET", "a", "/b", 404, None),
    ] {
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let answer = client.response_to(method);
        let got = (answer.status, answer.head.get("allow"));
        assert_eq!(got, (status, allow), "{method} {host}{path}");
        let reason = match status {
            404 => Some("no_route"),
            405 => Some("method_not_allowed"),
            _ => None,
        };
        assert_eq!(answer.head.get("x-coregate-reason"), reason);
        assert!(!answer.closes(), "{method} {host}{path}");
    }
    assert_eq!(client.send(post("/a", "body")).response().status, 405);
    assert_eq!(client.get("/a").status, 200);
    assert_eq!(gateway.stats().total("rejected.method_not_allowed"), 6);
}
