//! Answers before the answer, and answers before the request is over.

use std::sync::mpsc;

use crate::harness::client::{get, post};
use crate::harness::clock::PATIENCE;
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::{Origin, Reply};

const FINAL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";

/// RFC 9110 §15.2: a proxy forwards 1xx answers, but not to an HTTP/1.0 client.
#[test]
fn interim_answers_are_passed_on() {
    let origin = Origin::serving(|_| {
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        Reply::raw(format!("{hints}HTTP/1.1 102 Processing\r\n\r\n{FINAL}"))
    });
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    for _ in 0..2 {
        let hints = client.get("/");
        assert_eq!((hints.status, hints.head.get("link")), (103, Some("</a>")));
        assert_eq!(client.response().status, 102);
        assert_eq!(client.response().text(), "done");
    }
    let old = gateway.client().send("GET / HTTP/1.0\r\nHost: a\r\n\r\n").response();
    assert_eq!(old.status, 200);
}

#[test]
fn as_many_interim_answers_as_allowed() {
    let origin =
        Origin::serving(|_| Reply::raw("HTTP/1.1 102 Processing\r\n\r\n".repeat(32) + FINAL));
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    client.send(get("/"));
    for _ in 0..32 {
        assert_eq!(client.response().status, 102);
    }
    assert_eq!(client.response().text(), "done");
}

/// RFC 9110 §10.1.1: the body waits for the 100, which comes from the upstream.
#[test]
fn a_body_that_waits_for_100() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    for framing in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{framing}\r\n\r\n"
        ));
        assert_eq!(client.response().status, 100, "{framing}");
        let chunked = framing.starts_with('T');
        client.send(if chunked { "5\r\nhello\r\n0\r\n\r\n" } else { "hello" });
        assert_eq!(client.response().text(), "hello");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_body_that_is_refused_before_it_is_sent() {
    let origin = Origin::scripted(|peer, _| {
        while let Ok(request) = peer.reader.request_head() {
            let refused = request.head.has("expect");
            peer.send(if refused {
                "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
            } else {
                FINAL
            });
        }
    });
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.response().status, 401);
    client.finish().expect_closed();
    assert_eq!(gateway.client().get("/").text(), "done");
    assert_eq!(origin.connections(), 2, "the first still waits for a body: never used again");
}

/// RFC 9112 §9.3; CVE-2025-4366: the rest of the body is drained or the connection closed, on both sides.
#[test]
fn an_answer_while_the_body_is_still_arriving() {
    for (length, rest) in [(1_000, 500), (1 << 20, 1 << 19), (8 << 20, 4 << 20)] {
        let (answered, is_answered) = mpsc::channel();
        let origin = Origin::scripted(move |peer, number| {
            while let Ok(request) = peer.reader.request_head() {
                if request.method == "GET" {
                    peer.send(FINAL);
                    continue;
                }
                assert_eq!(number, 0);
                peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
                answered.send(()).unwrap();
                // Whatever comes now is the rest of this body or an end, never another request.
                let mut arrived = 0;
                if peer.reader.body(request.framing, |piece| arrived += piece.len()).is_err() {
                    return;
                }
                assert_eq!(arrived, length);
            }
        });
        let gateway = Gateway::before(&[origin.address()]);
        let mut client = gateway.client();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
        let _ = client.try_send("x".repeat(length - rest));
        is_answered.recv_timeout(PATIENCE).unwrap();
        let response = client.response();
        assert_eq!((response.status, response.text().as_str()), (413, "big"));
        let sent = client.try_send("x".repeat(rest)).and_then(|()| client.try_send(get("/")));
        match client.try_response() {
            Ok(next) => assert_eq!(next.text(), "done", "after {length} bytes"),
            Err(fault) => assert!(fault.is_cut(), "{fault:?} after {length} bytes, {sent:?}"),
        }
        assert_eq!(gateway.client().get("/").text(), "done");
    }
}

/// CVE-2025-4366: the same for answers of our own.
#[test]
fn a_local_answer_while_the_body_is_still_arriving() {
    let origin = Origin::echo();
    let text = config("", "", &[origin.address()]).replace("\"/*\"", "\"/known\"");
    let gateway = Setup::run(&text).start();
    for length in [0, 1, 5_000, 60_000, 10 << 20] {
        let mut client = gateway.client();
        let body = "GET /known HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1 + length / 30);
        let sent = client
            .try_send(post("/unknown", &body[..length]))
            .and_then(|()| client.try_send(post("/known", "second")));
        assert_eq!(client.response().status, 404, "{length} bytes: {sent:?}");
        match client.try_response() {
            Ok(next) => assert_eq!(next.text(), "second", "after {length} bytes"),
            Err(fault) => assert!(fault.is_cut() && length > 0, "{fault:?} after {length} bytes"),
        }
        let seen = origin.take();
        assert!(seen.iter().all(|request| request.body == b"second"), "{seen:?}");
    }
}
