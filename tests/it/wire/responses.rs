//! Upstreams that misbehave: nothing malformed reaches a client, and no connection is used again after an oddity.

use std::sync::mpsc;
use std::time::Duration;

use coregate_strict::Fault;

use crate::harness::client::{Peer, get, post};
use crate::harness::clock::until;
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::Origin;

/// Answers `/N` with the Nth of these, each once a connection, and waits for the connection to be closed.
fn answering(answers: Vec<Vec<u8>>) -> Origin {
    Origin::scripted(move |peer, _| {
        let Ok(request) = peer.reader.request() else { return };
        let at: usize = request.target[1..].parse().unwrap();
        // The gateway may close before it has read everything.
        let _ = peer.try_send(&answers[at]);
        match peer.reader.request() {
            Err(Fault::Closed | Fault::Io(_)) => {}
            other => panic!("used again after {:?}: {other:?}", answers[at]),
        }
    })
}

/// Heads that are not as RFC 9112 §4 to §6 has them, or break our limits.
fn malformed_heads() -> Vec<Vec<u8>> {
    let with = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\nhello").into_bytes();
    let line = |line: &str| format!("{line}\r\nContent-Length: 5\r\n\r\nhello").into_bytes();
    vec![
        line("HTTP/2.0 200 OK"),
        line("HTTP/1.2 200 OK"),
        line("HTTP/1.1 20 OK"),
        line("HTTP/1.1 2000 OK"),
        line("HTTP/1.1 abc OK"),
        line("HTTP/1.1 099 OK"),
        line("HTTP/1.1 600 OK"),
        line("HTTP/1.1  200 OK"),
        line("http/1.1 200 OK"),
        line("ICY 200 OK"),
        line("220 mail.example.com ESMTP"),
        line("HTTP/1.1 200 O\0K"),
        line("HTTP/1.1 200 O\rK"),
        b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello".to_vec(),
        with("Content-Length: 5\r\nContent-Length: 6\r\n"),
        with("Content-Length: 5\r\nContent-Length: 5\r\n"),
        with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        with("Content-Length: 5, 5\r\n"),
        with("Content-Length: -5\r\n"),
        with("Content-Length: +5\r\n"),
        with("Content-Length: 0x5\r\n"),
        with("Content-Length: \r\n"),
        with("Content-Length: 18446744073709551621\r\n"),
        with("Transfer-Encoding: gzip\r\n"),
        with("Transfer-Encoding: chunked, chunked\r\n"),
        with("Transfer-Encoding: xchunked\r\n"),
        with("Transfer-Encoding : chunked\r\n"),
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
        with("Content-Length: 5\r\nx: a\r\n b\r\n"),
        with(" x: y\r\nContent-Length: 5\r\n"),
        with("Content-Length : 5\r\n"),
        with("Content-Length: 5\r\nxy\r\n"),
        with("Content-Length: 5\r\n: y\r\n"),
        with("Content-Length: 5\r\nx\0: y\r\n"),
        with("Content-Length: 5\r\nx: a\0b\r\n"),
        with("Content-Length: 5\r\nx: a\rb\r\n"),
        with(&format!("Content-Length: 5\r\n{}", "x: y\r\n".repeat(200))),
        with(&format!("Content-Length: 5\r\nx: {}\r\n", "y".repeat(64 * 1024))),
        // RFC 9110 §15.2.2: nobody asked for an upgrade.
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n".to_vec(),
        [b"HTTP/1.1 100 Continue\r\n\r\n".repeat(500), line("HTTP/1.1 200 OK")].concat(),
    ]
}

#[test]
fn a_malformed_head_is_a_502() {
    let answers = malformed_heads();
    let origin = answering(answers.clone());
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    for (at, answer) in answers.iter().enumerate() {
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(200)]).into_owned();
        let mut response = client.get(&format!("/{at}"));
        while response.status == 100 {
            response = client.response();
        }
        let reason = response.head.get("x-coregate-reason");
        assert_eq!((response.status, reason), (502, Some("upstream_malformed")), "{shown:?}");
        assert!(!response.text().contains("hello"), "{shown:?}");
        if response.closes() {
            client = gateway.client();
        }
        until("the upstream connection is closed", || (origin.closed() == at + 1).then_some(()));
    }
}

#[test]
fn a_head_that_ends_early_is_a_502() {
    let origin = Origin::scripted(|peer, number| {
        peer.request();
        let heads = ["", "H", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"];
        peer.send(heads[number % 4]);
        if number >= 4 {
            peer.reset_on_close();
        }
    });
    let gateway = Gateway::before(&[origin.address()]);
    for _ in 0..8 {
        // A POST: not to be tried again.
        let response = gateway.client().send(post("/", "x")).response();
        assert_eq!(response.status, 502);
    }
    assert_eq!(origin.connections(), 8);
}

/// RFC 9112 §8: an incomplete message is never passed on as if it were complete.
#[test]
fn a_truncated_body_is_passed_on_as_truncated() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let bodies = [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n".into(),
        format!("{chunked}5\r\nhello\r\n"),
        format!("{chunked}5\r\nhello"),
        format!("{chunked}a\r\nhello"),
        format!("{chunked}5\r\nhello\r\n0"),
        format!("{chunked}5\r\nhello\r\n0\r\n"),
        format!("{chunked}5\r\nhello\r\n0\r\nx: y\r\n"),
        chunked.to_owned(),
    ];
    for resets in [false, true] {
        let answers = bodies.clone();
        let origin = Origin::scripted(move |peer, _| {
            let request = peer.request();
            peer.send(&answers[request.target[1..].parse::<usize>().unwrap()]);
            if resets {
                peer.reset_on_close();
            }
        });
        let gateway = Gateway::before(&[origin.address()]);
        for (at, body) in bodies.iter().enumerate() {
            let mut client = gateway.client();
            match client.send(get(&format!("/{at}"))).try_response() {
                Err(fault) => assert!(fault.is_cut(), "{body:?}: {fault:?}"),
                // A reset may overtake the head: then nothing was passed on yet.
                Ok(response) => assert_eq!(response.status, 502, "{body:?}"),
            }
        }
    }
}

#[test]
fn a_malformed_chunk_cuts_the_client() {
    let bad = [
        "zz\r\n",
        "5\r\nhelloXX",
        "-1\r\n",
        "5 \r\nhello\r\n",
        "\r\n",
        "5\nhello",
        "0\r\nx\r\n\r\n",
    ];
    let answers: Vec<_> = bad
        .iter()
        .map(|bad| {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            format!("{head}5\r\nhello\r\n{bad}").into_bytes()
        })
        .collect();
    let origin = answering(answers);
    let gateway = Gateway::before(&[origin.address()]);
    for (at, bad) in bad.iter().enumerate() {
        let mut client = gateway.client();
        match client.send(get(&format!("/{at}"))).try_response() {
            Err(fault) => assert!(fault.is_cut(), "{bad:?}: {fault:?}"),
            // Seen before the head went out.
            Ok(response) => assert_eq!(response.status, 502, "{bad:?}"),
        }
    }
}

#[test]
fn a_body_that_stops_cuts_the_client() {
    let origin = Origin::scripted(|peer, _| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        peer.expect_closed();
    });
    let text = config("", "timeout = { body = \"200ms\" }", &[origin.address()]);
    let gateway = Setup::run(&text).start();
    let mut client = gateway.client();
    client.send(get("/")).expect_cut();
    until("the upstream connection is closed", || (origin.closed() == 1).then_some(()));
}

/// What stands behind a message that is over belongs to nobody: the connection that brought it is closed.
#[test]
fn bytes_behind_an_answer_end_the_connection() {
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nevil",
        "HTTP/1.1 204 No Content\r\n\r\nevil",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ];
    let origin = answering(answers.iter().map(|answer| answer.as_bytes().to_vec()).collect());
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    for (at, answer) in answers.iter().enumerate() {
        let response = client.get(&format!("/{at}"));
        let whole = if matches!(at, 2..=4) { "" } else { "hello" };
        assert_eq!(response.text(), whole, "{answer:?}");
        until("the upstream connection is closed", || (origin.closed() == at + 1).then_some(()));
    }
    let mut head = gateway.client();
    head.send("HEAD /0 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(head.response_to("HEAD").status, 200);
    until("a HEAD's body is dropped", || (origin.closed() == answers.len() + 1).then_some(()));
    assert_eq!(origin.connections(), answers.len() + 1);
}

/// Its connection is ended by the deadline of what it does not take: that end is ours, not that of its body.
#[test]
fn an_instance_that_speaks_and_does_not_listen() {
    let origin = Origin::scripted(|peer, _| {
        peer.reader.request_head().unwrap();
        let (_pause, never) = mpsc::channel::<()>();
        let mut open = peer.try_send("HTTP/1.1 200 OK\r\n\r\n").is_ok();
        while open {
            let _ = never.recv_timeout(Duration::from_millis(50));
            open = peer.try_send("x").is_ok();
        }
    });
    let text = config("", "timeout = { body = \"300ms\" }", &[origin.address()]);
    let gateway = Setup::run(&text).start();
    let mut client = gateway.client();
    let mut writer = Peer::new(client.reader.stream.try_clone());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let length = 256 << 20;
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
            let piece = "y".repeat(1 << 20);
            let mut open = writer.try_send(head).is_ok();
            for _ in 0..length >> 20 {
                open = open && writer.try_send(&piece).is_ok();
            }
        });
        client.expect_cut();
        client.reader.stream.shutdown(std::net::Shutdown::Both);
    });
}
