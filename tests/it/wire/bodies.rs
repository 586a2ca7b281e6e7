//! Bodies: streamed both ways in bounded memory, every byte in its place.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use coregate_strict::Framing;

use crate::harness::client::{Peer, get, post_chunked};
use crate::harness::clock::{PATIENCE, scale};
use crate::harness::gateway::Gateway;
use crate::harness::origin::{Origin, Reply};
use crate::harness::pattern::{self, Checker};
use crate::harness::process;

const LONG: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, Copy, PartialEq)]
enum As {
    Length,
    Chunked,
    Close,
}

/// Writes `length` bytes of the pattern in one of the three framings, behind `start` and its framing field.
fn send_body(peer: &mut Peer, start: &str, length: u64, framing: As, sent: &AtomicU64) {
    let field = match framing {
        As::Length => format!("Content-Length: {length}\r\n"),
        As::Chunked => "Transfer-Encoding: chunked\r\n".to_owned(),
        As::Close => String::new(),
    };
    if peer.try_send(format!("{start}{field}\r\n")).is_err() {
        return;
    }
    let mut at = 0;
    while at < length {
        let piece = pattern::piece(at, length - at);
        let written = match framing {
            As::Length | As::Close => peer.try_send(piece),
            As::Chunked => peer
                .try_send(format!("{:x}\r\n", piece.len()))
                .and_then(|()| peer.try_send(piece))
                .and_then(|()| peer.try_send("\r\n")),
        };
        if written.is_err() {
            return;
        }
        at += piece.len() as u64;
        sent.store(at, Ordering::SeqCst);
    }
    if framing == As::Chunked {
        let _ = peer.try_send("0\r\n\r\n");
    }
}

/// An origin that reads and checks a body of the pattern, and answers with how long it was.
fn checking() -> Origin {
    Origin::scripted(|peer, _| {
        peer.allow(LONG);
        while let Ok(request) = peer.reader.request_head() {
            let mut checker = Checker::default();
            if peer.reader.body(request.framing, |piece| checker.take(piece)).is_err() {
                return;
            }
            let text = checker.seen.to_string();
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()));
        }
    })
}

/// An origin that answers every request with `length` bytes of the pattern.
fn giving(length: u64, framing: As, sent: Arc<AtomicU64>) -> Origin {
    Origin::scripted(move |peer, _| {
        peer.allow(LONG);
        while peer.reader.request().is_ok() {
            send_body(peer, "HTTP/1.1 200 OK\r\n", length, framing, &sent);
            if framing == As::Close {
                return;
            }
        }
    })
}

#[test]
fn long_request_bodies_arrive_whole() {
    let length = scale(64, 256, 1024) << 20;
    let origin = checking();
    let gateway = Gateway::before(&[origin.address()]);
    for framing in [As::Length, As::Chunked] {
        let mut client = gateway.client();
        client.allow(LONG);
        let start = "POST / HTTP/1.1\r\nHost: a\r\n";
        send_body(&mut client, start, length, framing, &AtomicU64::new(0));
        assert_eq!(client.response().text(), length.to_string(), "{framing:?}");
    }
}

#[test]
fn long_response_bodies_arrive_whole() {
    let length = scale(64, 256, 1024) << 20;
    for framing in [As::Length, As::Chunked, As::Close] {
        let origin = giving(length, framing, Arc::default());
        let gateway = Gateway::before(&[origin.address()]);
        let mut client = gateway.client();
        client.allow(LONG);
        for _ in 0..2 {
            let response = client.send(get("/")).reader.response_head(false).unwrap();
            assert_ne!(response.framing, Framing::Close, "an HTTP/1.1 client needs no close");
            let mut checker = Checker::default();
            client.reader.body(response.framing, |piece| checker.take(piece)).unwrap();
            assert_eq!(checker.seen, length, "{framing:?}");
        }
    }
}

#[test]
fn small_bodies_of_every_length() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    let around = |edge: usize| edge.saturating_sub(2)..edge + 3;
    for length in [2, 512, 4096, 16 << 10, 64 << 10, 256 << 10].into_iter().flat_map(around) {
        let body = pattern::bytes(length);
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
        client.send(&body);
        assert!(client.response().body == body, "{length} bytes with a length");
        client.send(post_chunked("/"));
        for piece in body.chunks(1 + length / 3) {
            client.send(format!("{:X}\r\n", piece.len())).send(piece).send("\r\n");
        }
        client.send("0\r\n\r\n");
        assert!(client.response().body == body, "{length} bytes in chunks");
    }
}

#[test]
fn chunks_of_one_byte() {
    let origin = Origin::serving(|request| {
        let body: String =
            request.body.iter().map(|byte| format!("1\r\n{}\r\n", char::from(*byte))).collect();
        Reply::raw(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}0\r\n\r\n"))
    });
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    let text = "0123456789".repeat(100);
    let chunks: String = text.chars().map(|c| format!("1\r\n{c}\r\n")).collect();
    client.send(post_chunked("/")).send(chunks).send("0\r\n\r\n");
    assert_eq!(client.response().text(), text);
}

/// A stream is passed on as it comes, not when it is over.
#[test]
fn pieces_are_passed_on_as_they_come() {
    let origin = Origin::scripted(|peer, _| {
        let request = peer.reader.request_head().unwrap();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let (sender, receiver) = mpsc::channel();
        let mut writer = Peer::new(peer.reader.stream.try_clone());
        let echo = std::thread::spawn(move || {
            for piece in receiver {
                let piece: Vec<u8> = piece;
                writer.send(format!("{:x}\r\n", piece.len())).send(piece).send("\r\n");
            }
            writer.send("0\r\n\r\n");
        });
        peer.reader.body(request.framing, |piece| sender.send(piece.to_vec()).unwrap()).unwrap();
        drop(sender);
        echo.join().unwrap();
    });
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    client.send(post_chunked("/"));
    let response = client.reader.response_head(false).unwrap();
    let mut writer = Peer::new(client.reader.stream.try_clone());
    let mut left = 100;
    writer.send("4\r\nping\r\n");
    // Each piece that comes back sends the next: nothing moves unless each is passed on at once.
    client
        .reader
        .body(response.framing, |piece| {
            assert_eq!(piece, b"ping");
            left -= 1;
            writer.send(if left > 0 { "4\r\nping\r\n" } else { "0\r\n\r\n" });
        })
        .unwrap();
    assert_eq!(left, 0);
}

/// Waits until a sender that nobody reads from has stopped.
fn until_stalled(sent: &AtomicU64) {
    let (mut last, mut since) = (0, Instant::now());
    let end = Instant::now() + PATIENCE;
    while since.elapsed() < Duration::from_millis(500) || last == 0 {
        assert!(Instant::now() < end, "the sender does not stop: {last} bytes");
        let now = sent.load(Ordering::SeqCst);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What resident memory may rise by, in KiB.
const RISE: u64 = 8 * 1024;

#[test]
fn memory_stays_bounded_while_a_client_does_not_read() {
    let length = scale(256 << 20, 2 << 30, 2 << 30);
    let sent = Arc::new(AtomicU64::new(0));
    let origin = giving(length, As::Length, Arc::clone(&sent));
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    let pid = gateway.pid();
    let before = process::memory_kib(pid, "VmRSS");
    process::forget_memory_peak(pid);
    client.allow(LONG).send(get("/"));
    until_stalled(&sent);
    let response = client.reader.response_head(false).unwrap();
    let mut checker = Checker::default();
    client.reader.body(response.framing, |piece| checker.take(piece)).unwrap();
    assert_eq!(checker.seen, length);
    let rise = process::memory_kib(pid, "VmHWM").saturating_sub(before);
    println!("down: {} MiB, resident memory rose by {rise} KiB", length >> 20);
    assert!(rise <= RISE, "resident memory rose by {rise} KiB");
}

#[test]
fn memory_stays_bounded_while_an_upstream_does_not_read() {
    let length = scale(256 << 20, 2 << 30, 2 << 30);
    let (go, gone) = mpsc::channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let origin = Origin::scripted(move |peer, _| {
        peer.allow(LONG);
        let request = peer.reader.request_head().unwrap();
        gone.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        let mut checker = Checker::default();
        peer.reader.body(request.framing, |piece| checker.take(piece)).unwrap();
        assert_eq!(checker.seen, length);
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    client.allow(LONG);
    let mut writer = Peer::new(client.reader.stream.try_clone());
    let pid = gateway.pid();
    let before = process::memory_kib(pid, "VmRSS");
    process::forget_memory_peak(pid);
    let sent = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let start = "POST / HTTP/1.1\r\nHost: a\r\n";
        let sent = &sent;
        scope.spawn(move || send_body(&mut writer, start, length, As::Chunked, sent));
        until_stalled(sent);
        go.send(()).unwrap();
        assert_eq!(client.response().text(), "ok");
    });
    let rise = process::memory_kib(pid, "VmHWM").saturating_sub(before);
    println!("up: {} MiB, resident memory rose by {rise} KiB", length >> 20);
    assert!(rise <= RISE, "resident memory rose by {rise} KiB");
}

/// An instance that dies in the middle of an upload: its client is told, and does not keep the worker to itself while it
/// sends on and on.
#[test]
fn an_upload_to_an_instance_that_died_is_soon_cut() {
    let origin = Origin::scripted(|peer, _| {
        let _ = peer.reader.request_head();
        peer.reset_on_close();
    });
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    client.send(post_chunked("/"));
    let flood = "1\r\nx\r\n".repeat(1 << 20);
    let most = 64;
    let cut = (0..most).position(|_| client.try_send(&flood).is_err());
    assert!(cut.is_some(), "{most} times {} bytes went into nothing", flood.len());
    gateway.stats_when("nothing is left", |stats| stats.total("connections_open") == 0);
}
