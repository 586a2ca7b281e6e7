//! The harness against itself: what it reports about the gateway must not be its own doing.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use coregate_strict::Fault;

use super::client::{Peer, get, post, post_chunked};
use super::origin::{Origin, Reply, blackhole, refusing};
use super::pattern::{self, Checker};
use super::socket::Socket;

#[test]
fn a_serving_origin_keeps_connections_and_records() {
    let origin = Origin::echo();
    let mut client = Peer::connect(origin.address());
    assert_eq!(client.send(post("/1", "one")).response().text(), "one");
    client.send_pieces(format!("{}3\r\ntwo\r\n0\r\n\r\n", post_chunked("/2")), 1);
    assert_eq!(client.response().text(), "two");
    client.send(get("/3").repeat(2));
    assert_eq!((client.response().status, client.response().status), (200, 200));
    let seen: Vec<_> = origin.take().into_iter().map(|request| request.target).collect();
    assert_eq!(seen, ["/1", "/2", "/3", "/3"]);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn unix_sockets_are_the_same() {
    let folder = super::gateway::Folder::new();
    let origin = Origin::serving_unix(&folder.path("o"), |_| Reply::ok("unix"));
    assert_eq!(Peer::connect(origin.address()).get("/").text(), "unix");
}

#[test]
fn a_malformed_request_fails_the_test_of_its_origin() {
    let outcome = std::panic::catch_unwind(|| {
        let origin = Origin::named("o");
        let mut client = Peer::connect(origin.address());
        client.send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n");
        client.expect_closed();
    });
    let message = *outcome.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("content-length"), "{message}");
}

#[test]
fn an_end_a_cut_and_a_reset_are_told_apart() {
    let origin = Origin::scripted(|peer, number| {
        peer.request();
        match number {
            0 => drop(peer.try_send("HTTP/1.1 200 OK\r\n\r\nwhole")),
            1 => drop(peer.try_send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart")),
            2 => peer.reset_on_close(),
            _ => drop(peer.reader.rest()),
        }
    });
    let connect = || Peer::connect(origin.address());
    assert_eq!(connect().get("/").text(), "whole");
    connect().send(get("/")).expect_cut();
    connect().send(get("/")).expect_closed();
    let mut stalled = connect();
    stalled.send(get("/")).allow(Duration::from_millis(50));
    assert!(stalled.try_response().unwrap_err().is_timeout());
}

#[test]
fn refused_and_unanswered_addresses() {
    assert!(Socket::connect(&refusing()).is_err());
    let hole = blackhole();
    let address = hole.address.parse().unwrap();
    let time = Duration::from_millis(50);
    let error = std::net::TcpStream::connect_timeout(&address, time).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}

#[test]
fn the_pattern_shows_a_lost_byte() {
    let bytes = pattern::bytes(200_000);
    let mut checker = Checker::default();
    bytes.chunks(777).for_each(|piece| checker.take(piece));
    assert_eq!(checker.seen, 200_000);
    let moved = std::panic::catch_unwind(|| Checker::default().take(&bytes[1..]));
    assert!(moved.is_err());
}

#[test]
fn a_long_chunked_body_arrives_whole() {
    let body = pattern::bytes(3 << 20);
    let origin = Origin::echo();
    let mut client = Peer::connect(origin.address());
    client.send(post_chunked("/"));
    for piece in body.chunks(100_000) {
        client.send(format!("{:x}\r\n", piece.len())).send(piece).send("\r\n");
    }
    assert!(client.send("0\r\n\r\n").response().body == body);
}

#[test]
fn a_dropped_origin_ends_its_connections() {
    let served = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&served);
    let origin = Origin::serving(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Reply::ok("")
    });
    let mut client = Peer::connect(origin.address());
    client.get("/");
    drop(origin);
    client.expect_closed();
    assert_eq!(served.load(Ordering::SeqCst), 1);
}

#[test]
fn a_wait_has_an_end() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = Peer::connect(&listener.local_addr().unwrap().to_string());
    client.allow(Duration::from_millis(20));
    assert!(matches!(client.try_response(), Err(fault @ Fault::Io(_)) if fault.is_timeout()));
    let full = pattern::bytes(1 << 20);
    while client.reader.stream.write(&full).is_ok() {}
}
