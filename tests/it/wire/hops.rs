//! How far a request may go: `Max-Forwards`, loops, and the methods and targets that are meant for a hop.

use crate::harness::client::get;
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::{Origin, Reply};

/// RFC 9110 §7.6.2.
#[test]
fn max_forwards() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    // Zero is answered here; more is counted down; what is no number is refused.
    for (sent, at_the_instance) in [
        ("0", None),
        ("00", None),
        ("1", Some("0")),
        ("5", Some("4")),
        ("007", Some("6")),
        ("99999999999", Some("4294967294")),
    ] {
        client.send(format!("OPTIONS /a HTTP/1.1\r\nHost: a\r\nMax-Forwards: {sent}\r\n\r\n"));
        let response = client.response();
        match at_the_instance {
            Some(expected) => {
                assert_eq!(response.text(), "o OPTIONS /a", "{sent}");
                let seen = origin.take_one();
                assert_eq!(seen.head.get("max-forwards"), Some(expected), "{sent}");
            }
            None => {
                assert_eq!((response.status, response.text().as_str()), (204, ""), "{sent}");
                assert!(response.head.get("allow").unwrap().contains("OPTIONS"), "{sent}");
                assert_eq!(response.head.get("x-coregate-reason"), Some("max_forwards"));
                assert!(!response.closes() && !response.head.has("content-length"), "{sent}");
                assert!(origin.take().is_empty(), "{sent}");
            }
        }
    }
    for fields in ["x", "-1", "+5", "1, 2", "", "0x5", "5\r\nMax-Forwards: 5"] {
        let mut client = gateway.client();
        client.send(format!("OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: {fields}\r\n\r\n"));
        assert_eq!(client.response().status, 400, "{fields:?}");
        client.expect_closed();
    }
    assert!(origin.take().is_empty());
    // It means nothing in other methods: passed on as it is.
    for method in ["GET", "POST", "DELETE", "FROB"] {
        for value in ["0", "5", "x"] {
            client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\nMax-Forwards: {value}\r\n\r\n"));
            assert_eq!(client.response().status, 200, "{method} {value}");
            assert_eq!(origin.take_one().head.get("max-forwards"), Some(value), "{method}");
        }
    }
    assert_eq!(origin.connections(), 1);
}

/// RFC 9112 §3.2.4: the asterisk is about the server, which is no path: no route takes it, not even `/*`.
#[test]
fn options_for_the_server_itself() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().text(), "o OPTIONS *", "whoever takes the root answers");
    client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
    let answer = client.response();
    assert_eq!((answer.status, answer.head.has("allow"), answer.closes()), (204, true, false));
    for (target, seen) in [("http://a", "*"), ("http://a/", "/"), ("http://a?q", "/?q")] {
        client.send(format!("OPTIONS {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(client.response().text(), format!("o OPTIONS {seen}"));
    }
}

/// Refused whatever `Max-Forwards` says: neither is ever for an instance.
#[test]
fn trace_and_connect() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    for request in [
        "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 5\r\n\r\n",
        "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
        "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nbytes of a tunnel",
    ] {
        let mut client = gateway.client();
        let response = client.send(request).response();
        assert_eq!(response.status, 405, "{request:?}");
        assert!(!response.head.get("allow").unwrap().contains("CONNECT"), "{request:?}");
        client.expect_closed();
    }
    assert_eq!(origin.connections(), 0);
}

/// A route that leads back here is found out by our own mark in `Via`, after a few requests, not when sockets run out.
#[test]
fn a_gateway_that_is_its_own_instance() {
    let setup = Setup::run("");
    let socket = format!("unix:{}", setup.folder().path("g.sock").display());
    let text = config("", "", &[&socket])
        .replace("\"127.0.0.1:0\"", &format!("[\"127.0.0.1:0\", {socket:?}]"));
    setup.folder().write("coregate.toml", &text);
    let gateway = setup.start();
    let mut client = gateway.client();
    for round in 1..=3 {
        let response = client.get("/");
        let reason = response.head.get("x-coregate-reason");
        assert_eq!((response.status, reason), (508, Some("loop_detected")));
        let stats = gateway.stats_when("counted", |s| s.total("rejected.loop_detected") == round);
        assert_eq!(stats.total("requests"), 3 * round, "twice through, and refused");
    }
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(client.send(post).response().status, 508);
    assert_eq!(client.get("/").status, 508, "the connection lives on");
}

/// Marks differ: a chain of gateways is no loop, whatever they call themselves.
#[test]
fn a_chain_of_gateways() {
    let origin = Origin::named("o");
    let inner = Gateway::before(&[origin.address()]);
    let middle = Gateway::before(&[inner.address()]);
    let outer = Gateway::before(&[middle.address()]);
    let mut client = outer.client();
    for _ in 0..3 {
        assert_eq!(client.get("/x").text(), "o GET /x");
        let seen = origin.take_one();
        let marks: std::collections::BTreeSet<_> = seen.head.all("via").collect();
        assert_eq!(marks.len(), 3, "{marks:?}");
        assert!(marks.iter().all(|mark| mark.starts_with("1.1 coregate-")), "{marks:?}");
    }
}

/// What counts as having been here: our own name as the second word of an element, twice; not alike names, not comments.
#[test]
fn what_a_loop_is() {
    let origin = Origin::serving(|request| {
        let own = request.head.all("via").last().unwrap_or_default();
        Reply::ok(own.split(' ').nth(1).unwrap_or_default())
    });
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    let own = client.get("/").text();
    assert!(own.starts_with("coregate-"), "{own}");
    for (via, status) in [
        (format!("Via: 1.1 {own}\r\n"), 200),
        (format!("Via: 1.1 {own}, 1.1 {own}\r\n"), 508),
        (format!("Via: 1.1 {own}\r\nVia: 1.1 x\r\nvia: 1.0\t{own} (twice)\r\n"), 508),
        (format!("Via: HTTP/1.1 {own},,1.1 {own}\r\n"), 508),
        (format!("Via: {own} x, {own} y, {own} z\r\n"), 200),
        (format!("Via: 1.1 x ({own}), 1.1 y ({own}), 1.1 z ({own})\r\n"), 200),
        ("Via: 1.1 coregate, 1.1 coregate, 1.1 coregate-00000000\r\n".into(), 200),
        (format!("Via: 1.1 {own}0, 1.1 {own}1, 1.1 {own}2\r\n"), 200),
        (format!("Connection: Via\r\nVia: 1.1 {own}\r\nVia: 1.1 {own}\r\n"), 508),
    ] {
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{via}\r\n"));
        assert_eq!(client.response().status, status, "{via:?}");
    }
    assert_eq!(client.send(get("/")).response().status, 200);
}
