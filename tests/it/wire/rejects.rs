//! Every way a request ends without the upstream's answer: status, reason, and what becomes of the connection.

use std::sync::mpsc;
use std::time::Duration;

use coregate_strict::Response;

use crate::harness::client::{Peer, get, post, post_chunked};
use crate::harness::clock::until;
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::{Origin, Reply, blackhole, refusing};

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Then {
    Closed,
    Lives,
    Either,
}

/// `bytes_in` is answered so; a connection that lives serves `/fine` next.
#[track_caller]
fn check(gateway: &Gateway, bytes_in: &str, status: u16, reason: &str, then: Then) -> Response {
    let mut client = gateway.client();
    let sent = client.try_send(bytes_in);
    let shown = bytes_in.chars().take(200).collect::<String>();
    let response = match client.try_response() {
        Ok(response) => response,
        Err(fault) => panic!("{shown:?}: {fault:?}, sent: {sent:?}"),
    };
    let told = response.head.get("x-coregate-reason");
    assert_eq!((response.status, told), (status, Some(reason)), "{shown:?}");
    assert_eq!(response.head.get("content-type"), Some("application/problem+json"));
    assert!(response.text().contains(&format!("\"status\":{status}")), "{}", response.text());
    assert_eq!(response.closes(), response.head.has("connection"), "{}", response.head.text());
    if then == Then::Closed {
        assert!(response.closes(), "it must say that it closes: {shown:?}");
    }
    if then == Then::Lives {
        assert!(!response.closes(), "it must not close: {shown:?}");
    }
    if response.closes() {
        client.expect_closed();
    } else {
        assert_eq!(client.get("/fine").status, 200, "after {shown:?}");
    }
    response
}

#[test]
fn requests_that_are_refused() {
    use Then::{Closed, Either, Lives};
    let origin = Origin::named("o");
    let text = config("limits = { body = \"1KiB\" }", "", &[origin.address()])
        .replace("\"/*\"", "\"/fine\"");
    let gateway = Setup::run(&text).start();
    let target = |target: &str| get(target);
    let with = |fields: &str| format!("GET /fine HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let method = |method: &str| format!("{method} /fine HTTP/1.1\r\nHost: a\r\n\r\n");
    for (bytes_in, status, reason, then) in [
        ("garbage\r\n\r\n".into(), 400, "bad_request", Closed),
        (with("x : y\r\n"), 400, "bad_request", Closed),
        (with("Content-Length: x\r\n"), 400, "bad_request", Closed),
        (with("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), 400, "bad_request", Closed),
        (with("Host: b\r\n"), 400, "bad_request", Closed),
        ("GET /fine HTTP/1.1\r\n\r\n".into(), 400, "bad_request", Closed),
        (post_chunked("/fine") + "zz\r\n", 400, "bad_request", Closed),
        (target("/a%00"), 400, "bad_request", Either),
        (target("/../a"), 400, "bad_request", Either),
        (post("/fine", &"x".repeat(1_025)), 413, "body_too_large", Closed),
        (target(&format!("/{}", "t".repeat(9_000))), 414, "uri_too_long", Closed),
        (with("Expect: fish\r\n"), 417, "expectation_failed", Either),
        (with(&format!("x: {}\r\n", "y".repeat(20_000))), 431, "head_too_large", Closed),
        (with(&"x: y\r\n".repeat(150)), 431, "head_too_large", Closed),
        (target("/nowhere"), 404, "no_route", Lives),
        (method("TRACE"), 405, "method_not_allowed", Either),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n".into(), 405, "method_not_allowed", Either),
        (method(&"M".repeat(40)), 501, "not_implemented", Closed),
        (with("Transfer-Encoding: gzip\r\n"), 501, "not_implemented", Closed),
        (with("Transfer-Encoding: gzip, chunked\r\n"), 501, "not_implemented", Closed),
        (method("GET").replace("1.1", "2.0"), 505, "version_not_supported", Closed),
        (method("GET").replace("1.1", "1.2"), 505, "version_not_supported", Closed),
    ] {
        check(&gateway, &bytes_in, status, reason, then);
    }
    let fine = origin.take();
    assert!(fine.iter().all(|request| request.target == "/fine" && request.body.is_empty()));
    let stats = gateway.stats();
    assert_eq!(stats.total("rejected.no_route"), 1);
    assert_eq!(stats.total("rejected.head_too_large"), 2);
    assert_eq!(stats.total("rejected.body_too_large"), 1);
}

/// Only known while the body arrives: the upstream gets no whole request either.
#[test]
fn a_chunked_body_that_grows_too_large() {
    let origin = Origin::echo();
    let text = config("limits = { body = \"1KiB\" }", "", &[origin.address()]);
    let gateway = Setup::run(&text).start();
    let chunk = format!("200\r\n{}\r\n", "x".repeat(512));
    let fits = post_chunked("/") + &chunk.repeat(2) + "0\r\n\r\n";
    assert_eq!(gateway.client().send(fits).response().body.len(), 1_024);
    let grows = post_chunked("/") + &chunk.repeat(3);
    check(&gateway, &grows, 413, "body_too_large", Then::Closed);
    assert_eq!(origin.take().len(), 1);
}

#[test]
fn upstreams_that_do_not_answer() {
    let stalled = Origin::scripted(|peer, _| drop(peer.reader.rest()));
    let closing = Origin::scripted(|peer, _| drop(peer.reader.request()));
    let garbling = Origin::scripted(|peer, _| {
        peer.request();
        peer.send("SSH-2.0-OpenSSH_9.2\r\n\r\n");
        peer.expect_closed();
    });
    let fine = Origin::named("o");
    let hole = blackhole();
    let services: String = [
        ("stalled", stalled.address()),
        ("closing", closing.address()),
        ("garbling", garbling.address()),
        ("refusing", &refusing()),
        ("hole", &hole.address),
        ("fine", fine.address()),
        ("empty", ""),
    ]
    .map(|(name, address)| {
        let instances = Vec::from_iter(Some(address).filter(|address| !address.is_empty()));
        format!(
            "[services.{name}]\ninstances = {instances:?}\n\
             timeout = {{ connect = \"100ms\", first_byte = \"200ms\" }}\n"
        )
    })
    .concat();
    let routes: String = ["stalled", "closing", "garbling", "refusing", "hole", "fine", "empty"]
        .map(|name| format!("\"/{name}\" = {name:?}\n"))
        .concat();
    let gateway = Setup::run(&format!(
        "[runtime]\ncores = 1\n[listeners.default]\nbind = \"127.0.0.1:0\"\nexpose_reasons = true\n\
         {services}[routes]\n{routes}"
    ))
    .start();
    for (path, status, reason) in [
        ("/stalled", 504, "first_byte_timeout"),
        ("/closing", 502, "upstream_closed"),
        ("/garbling", 502, "upstream_malformed"),
        ("/refusing", 502, "connect_failed"),
        ("/hole", 504, "connect_timeout"),
        ("/empty", 503, "no_healthy_instance"),
    ] {
        let response = check(&gateway, &get(path), status, reason, Then::Lives);
        assert_eq!(response.head.has("retry-after"), status == 503, "{}", response.head.text());
        assert_eq!(gateway.stats().total(&format!("rejected.{reason}")), 1);
        check(&gateway, &post(path, "body"), status, reason, Then::Either);
    }
    until("the stalled connections are closed", || (stalled.closed() == 2).then_some(()));
}

fn with_timeouts(listener: &str, origin: &Origin) -> Gateway {
    let listener = format!("timeout = {{ {listener} }}");
    Setup::run(&config(&listener, "", &[origin.address()])).start()
}

#[test]
fn a_head_that_is_never_finished() {
    let origin = Origin::named("o");
    let gateway = with_timeouts("head = \"200ms\"", &origin);
    check(&gateway, "GET / HTTP/1.1\r\nHost", 408, "head_timeout", Then::Closed);
    // Counted from the first byte, not anew with each, nor with each line.
    for piece in ["x", "x: y\r\n"] {
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\n");
        let mut slow = Peer::new(client.reader.stream.try_clone());
        let (over, is_over) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                while is_over.recv_timeout(Duration::from_millis(20)).is_err() {
                    if slow.try_send(piece).is_err() {
                        return;
                    }
                }
            });
            assert_eq!(client.response().status, 408, "{piece:?}");
            over.send(()).unwrap_or_default();
        });
    }
    assert_eq!(origin.connections(), 0);
}

#[test]
fn a_connection_without_a_request_ends_silently() {
    let origin = Origin::named("o");
    let gateway = with_timeouts("idle = \"200ms\"", &origin);
    gateway.client().expect_closed();
    let mut client = gateway.client();
    assert_eq!(client.get("/").status, 200);
    client.expect_closed();
}

#[test]
fn a_body_that_stops_arriving() {
    let origin = Origin::echo();
    let gateway = with_timeouts("body = \"200ms\"", &origin);
    let stops = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello";
    check(&gateway, stops, 408, "body_timeout", Then::Closed);
    check(&gateway, &(post_chunked("/") + "5\r\nhel"), 408, "body_timeout", Then::Closed);
    until("the upstream is told", || (origin.cut() == 2).then_some(()));
    assert!(origin.take().is_empty());
}

/// A reader that stops is cut too, and its upstream connection with it.
#[test]
fn a_client_that_stops_reading() {
    let origin = Origin::serving(|_| Reply::ok("x".repeat(64 << 20)));
    let gateway = with_timeouts("body = \"200ms\"", &origin);
    let mut client = gateway.client();
    client.send(get("/"));
    until("the upstream connection is closed", || (origin.closed() == 1).then_some(()));
    client.expect_cut();
}

/// At the limit, whoever is busy stays, and whoever comes is turned away.
#[test]
fn more_connections_than_allowed() {
    let origin = Origin::named("o");
    let gateway = with_four_connections(&origin);
    let begun = "GET / HTTP/1.1\r\nHost: a\r\n";
    let mut held: Vec<_> = (0..4).map(|_| gateway.client()).collect();
    for client in &mut held {
        assert_eq!(client.get("/").status, 200);
        client.send(begun);
    }
    // Their bytes are there, if perhaps not read yet: whoever is shed with a request before it is answered.
    let mut refused = gateway.client();
    let answer = refused.response();
    let reason = answer.head.get("x-coregate-reason");
    assert_eq!((answer.status, reason), (503, Some("overloaded")));
    refused.expect_closed();
    held.pop();
    until("a place is free again", || {
        let mut client = gateway.client();
        client.try_send(get("/")).ok()?;
        client.try_response().ok().filter(|response| response.status == 200)
    });
    for client in &mut held {
        let status = client.send("\r\n").response().status;
        assert_eq!(status, 200, "those that were there are untouched");
    }
}

/// At the limit, the connection that has been idle for longest makes room for whoever comes.
#[test]
fn the_longest_idle_connection_makes_room() {
    let origin = Origin::named("o");
    let gateway = with_four_connections(&origin);
    let mut held: Vec<_> = (0..4).map(|_| gateway.client()).collect();
    for client in &mut held {
        assert_eq!(client.get("/").status, 200);
    }
    // The others begin a request; their bytes reach the gateway before the next connection does.
    for client in &mut held[1..] {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n");
    }
    assert_eq!(gateway.client().get("/").status, 200);
    held.remove(0).expect_closed();
    for client in &mut held {
        assert_eq!(client.send("\r\n").response().status, 200);
    }
    gateway.stats_when("it was counted", |stats| {
        stats.total("connections_shed") == 1 && stats.total("connections_refused") == 0
    });
}

fn with_four_connections(origin: &Origin) -> Gateway {
    let text =
        config("", "", &[origin.address()]).replace("cores = 1", "cores = 1\nconnections = 4");
    Setup::run(&text).start()
}
