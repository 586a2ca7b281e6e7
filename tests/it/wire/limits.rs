//! The limits of a listener: what just fits is served, one more is refused.

use crate::harness::client::{get, post};
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::Origin;

#[track_caller]
fn check(gateway: &Gateway, bytes_in: impl AsRef<[u8]>, status: u16) {
    let mut client = gateway.client();
    let sent = client.try_send(bytes_in.as_ref());
    assert_eq!(client.response().status, status, "{} bytes, {sent:?}", bytes_in.as_ref().len());
}

/// A GET of exactly `length` bytes.
fn head_of(length: usize) -> String {
    let around = "GET / HTTP/1.1\r\nHost: a\r\nx: \r\n\r\n".len();
    format!("GET / HTTP/1.1\r\nHost: a\r\nx: {}\r\n\r\n", "y".repeat(length - around))
}

fn fields(count: usize) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "x: y\r\n".repeat(count - 1))
}

fn target_of(length: usize) -> String {
    get(&format!("/{}", "t".repeat(length - 1)))
}

fn method_of(length: usize) -> String {
    format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(length))
}

#[test]
fn as_they_are_by_default() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    check(&gateway, head_of(16 * 1024), 200);
    check(&gateway, head_of(16 * 1024 + 1), 431);
    check(&gateway, fields(100), 200);
    check(&gateway, fields(101), 431);
    check(&gateway, target_of(8 * 1024), 200);
    check(&gateway, target_of(8 * 1024 + 1), 414);
    check(&gateway, method_of(32), 200);
    check(&gateway, method_of(33), 501);
    for length in [400, 512, 513, 4 * 1024 - 1, 4 * 1024, 4 * 1024 + 1] {
        check(&gateway, head_of(length), 200);
        let mut client = gateway.client();
        assert_eq!(client.send_pieces(head_of(length), 100).response().status, 200);
    }
}

#[test]
fn as_configured() {
    let origin = Origin::echo();
    let limits = "limits = { head = \"64KiB\", target = \"1KiB\", fields = 10, body = \"10KiB\" }";
    let gateway = Setup::run(&config(limits, "", &[origin.address()])).start();
    check(&gateway, head_of(64 * 1024), 200);
    check(&gateway, head_of(64 * 1024 + 1), 431);
    check(&gateway, fields(10), 200);
    check(&gateway, fields(11), 431);
    check(&gateway, target_of(1_024), 200);
    check(&gateway, target_of(1_025), 414);
    check(&gateway, post("/", &"x".repeat(10 * 1_024)), 200);
    check(&gateway, post("/", &"x".repeat(10 * 1_024 + 1)), 413);
}

/// A limit that a head passes in its last byte is the same however the head arrives.
#[test]
fn in_pieces_too() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    for (bytes, status) in [(head_of(16 * 1024), 200), (head_of(16 * 1024 + 1), 431)] {
        let mut client = gateway.client();
        let sent = bytes.as_bytes().chunks(1_000).try_for_each(|piece| client.try_send(piece));
        assert_eq!(client.response().status, status, "{sent:?}");
    }
}
