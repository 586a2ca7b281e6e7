//! Half-closed peers: who has said everything may still listen.

use std::sync::{Mutex, mpsc};

use crate::harness::client::{get, post, post_chunked};
use crate::harness::clock::{PATIENCE, until};
use crate::harness::gateway::Gateway;
use crate::harness::origin::{Origin, Reply};
use crate::harness::pattern;

/// The answer comes however the end stands to it: with the request, and when it has long been seen.
#[test]
fn a_client_that_ends_its_half_behind_a_request() {
    let (arrived, arrivals) = mpsc::channel();
    let (answer, answers) = mpsc::channel::<()>();
    let answers = Mutex::new(answers);
    let origin = Origin::serving(move |request| {
        arrived.send(()).unwrap();
        answers.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        Reply::ok(&request.body)
    });
    let gateway = Gateway::before(&[origin.address()]);
    let long = "x".repeat(300_000);
    for (request, expected) in [
        (get("/"), ""),
        (post("/", "hello"), "hello"),
        (format!("{}5\r\nhello\r\n0\r\n\r\n", post_chunked("/")), "hello"),
        (format!("{}5\r\nhello\r\n0\r\nx: y\r\n\r\n", post_chunked("/")), "hello"),
        (post("/", &long), &long),
        (format!("{}{:x}\r\n{long}\r\n0\r\n\r\n", post_chunked("/"), long.len()), &long),
    ] {
        let mut client = gateway.client();
        client.send(&request).finish();
        arrivals.recv_timeout(PATIENCE).unwrap();
        answer.send(()).unwrap();
        assert!(client.response().text() == expected, "{:?}", &request[..60]);
        client.expect_end();
    }
    assert_eq!(origin.take().len(), 6);
    gateway.stats_when("nothing is left", |stats| stats.total("connections_open") == 0);
}

#[test]
fn pipelined_requests_before_the_end_are_all_answered() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    let all: String = (0..20).map(|at| get(&format!("/{at}"))).collect();
    client.send(all).finish();
    for at in 0..20 {
        assert_eq!(client.response().text(), format!("o GET /{at}"));
    }
    client.expect_end();
}

/// An end within a request is none behind it: the instance must not take what it has for the whole.
#[test]
fn a_client_that_ends_its_half_within_a_request() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&[origin.address()]);
    for request in [
        "GET / HT".to_owned(),
        "GET / HTTP/1.1\r\nHost: a\r\n".into(),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello".into(),
        post_chunked("/") + "5\r\nhello\r\n",
        post_chunked("/") + "5\r\nhello\r\n0\r\n",
        post_chunked("/") + "5\r\nhello\r\n0\r\nx: y\r\n",
    ] {
        let mut client = gateway.client();
        client.send(&request).finish().expect_closed();
    }
    assert!(origin.take().is_empty(), "nothing was whole");
    gateway.stats_when("nothing is left", |stats| stats.total("connections_open") == 0);
}

/// An instance may say that it has said everything as soon as it has. A request that crosses that end is tried again.
#[test]
fn an_instance_that_ends_its_half_behind_its_answer() {
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nhi",
    ];
    let origin = Origin::scripted(move |peer, _| {
        let request = peer.request();
        peer.send(answers[request.target[1..].parse::<usize>().unwrap()]).finish();
        let _ = peer.reader.rest();
    });
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    for round in 0..10 {
        for at in 0..answers.len() {
            assert_eq!(client.get(&format!("/{at}")).text(), "hi", "{round}");
        }
    }
    let all = origin.connections();
    assert!(all >= 10 * answers.len(), "{all}");
    until("the instance sees our ends", || (origin.closed() == all).then_some(()));
}

/// While a body still goes to it: the answer counts, the rest of the body has nowhere to go.
#[test]
fn an_instance_that_ends_its_half_before_the_body_is_through() {
    let origin = Origin::scripted(|peer, _| {
        let request = peer.reader.request_head().unwrap();
        match request.target.as_str() {
            "/answers" => peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").finish(),
            "/silent" => peer.finish(),
            _ => peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi").finish(),
        };
        let _ = peer.reader.body(request.framing, |_| {});
    });
    let gateway = Gateway::before(&[origin.address()]);
    for target in ["/answers", "/silent", "/breaks"] {
        let mut client = gateway.client();
        client.send(post_chunked(target)).send("5\r\nhello\r\n");
        match (target, client.try_response()) {
            ("/answers", Ok(response)) => assert_eq!(response.text(), "hi"),
            ("/silent", Ok(response)) => {
                let reason = response.head.get("x-coregate-reason");
                assert_eq!((response.status, reason), (502, Some("upstream_closed")));
            }
            ("/breaks", Err(fault)) => assert!(fault.is_cut(), "{fault:?}"),
            other => panic!("{other:?}"),
        }
        // Drained, or closed; never half of each.
        let rest = pattern::bytes(1_000);
        let sent = client
            .try_send(format!("{:x}\r\n", rest.len()))
            .and_then(|()| client.try_send(&rest))
            .and_then(|()| client.try_send("\r\n0\r\n\r\n"))
            .and_then(|()| client.try_send(post("/answers", "x")));
        match client.try_response() {
            Ok(next) => assert_eq!((next.text().as_str(), target == "/breaks"), ("hi", false)),
            Err(fault) => assert!(fault.is_cut(), "{fault:?}, {sent:?}"),
        }
    }
}
