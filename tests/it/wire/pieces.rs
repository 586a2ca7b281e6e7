//! Heads that arrive in pieces, wherever they are split.

use crate::harness::client::get;
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::Origin;

/// A GET of exactly `length` bytes, in several fields.
fn head_of(length: usize) -> String {
    let mut head = get("/x").trim_end().to_owned() + "\r\n";
    for at in 0.. {
        let left = length - head.len() - 2;
        if left < 2_000 {
            head.push_str(&format!(
                "f{at}: {}\r\n\r\n",
                "y".repeat(left - format!("f{at}: \r\n").len())
            ));
            break;
        }
        head.push_str(&format!("f{at}: {}\r\n", "y".repeat(900)));
    }
    assert_eq!(head.len(), length);
    head
}

#[test]
fn heads_of_every_size_in_pieces_of_every_size() {
    let origin = Origin::named("o");
    let gateway =
        Setup::run(&config("limits = { head = \"64KiB\" }", "", &[origin.address()])).start();
    let mut client = gateway.client();
    for length in [100, 511, 512, 513, 1_023, 1_024, 1_025, 4_095, 4_096, 4_097, 16_385, 65_536] {
        let head = head_of(length);
        for size in [1, 511, 512, 513, 1_024, 4_096, 5_000, 16_384] {
            // A byte a write is slow, and one long head of those is enough.
            if size == 1 && length > 4_097 || size >= length {
                continue;
            }
            client.send_pieces(&head, size);
            assert_eq!(client.response().text(), "o GET /x", "{length} bytes by {size}");
            let fields = |text: &str| text.lines().filter(|line| line.starts_with('f')).count();
            assert_eq!(fields(&origin.take_one().head.text()), fields(&head));
        }
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_pipelined_head_that_is_not_whole_yet() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    let second = head_of(6_000).replace("/x", "/y");
    for split in [1, 3, 5, 30, 500, 1_000, 5_000, second.len() - 1] {
        let mut client = gateway.client();
        client.send(get("/x") + &second[..split]);
        assert_eq!(client.response().text(), "o GET /x");
        client.send(&second[split..]);
        assert_eq!(client.response().text(), "o GET /y", "split at {split}");
    }
}

/// What can never become a request is refused when its line has ended, not when the head's deadline has come.
#[test]
fn what_is_wrong_already_is_refused_at_once() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    for begun in [
        "GET / HTTP/1.1\n",
        "GET / HTTP/1.1\r\nHost: a\n",
        "GET / HTTP/1.1\nHost: a\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nx: y\nz",
        "\nGET /",
        "\r\nGET / HTTP/1.1\n",
        "GET  / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n",
        "GET / HTTP/1.1\r\nx: a\0b\r\n",
    ] {
        for size in [1, 1_000] {
            let mut client = gateway.client();
            for piece in begun.as_bytes().chunks(size) {
                if client.try_send(piece).is_err() {
                    break;
                }
            }
            let response = client.response();
            assert_eq!(response.status, 400, "{begun:?} in pieces of {size}");
            client.expect_closed();
        }
    }
    assert_eq!(origin.connections(), 0);
}
