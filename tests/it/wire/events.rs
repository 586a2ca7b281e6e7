//! Server-sent events: nothing is held back. Each event must be with the client before the instance sends the next.

use std::sync::{Mutex, mpsc};

use crate::harness::clock::PATIENCE;
use crate::harness::gateway::Gateway;
use crate::harness::origin::Origin;
use coregate_strict::Framing;

const EVENTS: usize = 30;

fn event(at: usize) -> String {
    // Some fill a receive cell, a page, or more.
    let filler = "x".repeat([0, 500, 5_000, 70_000][at % 4]);
    format!("id: {at}\ndata: {filler}\n\n")
}

fn events_arrive_as_they_come(chunked: bool, http10: bool) {
    let (seen, sees) = mpsc::channel::<usize>();
    let sees = Mutex::new(sees);
    let origin = Origin::scripted(move |peer, _| {
        let request = peer.request();
        assert_eq!(request.head.get("accept"), Some("text/event-stream"));
        peer.send(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n",
        );
        peer.send(if chunked { "Transfer-Encoding: chunked\r\n\r\n" } else { "\r\n" });
        let mut total = 0;
        for event in (0..EVENTS).map(event) {
            match chunked {
                true => peer.send(format!("{:x}\r\n{event}\r\n", event.len())),
                false => peer.send(&event),
            };
            total += event.len();
            // Not one more before this one is read.
            while sees.lock().unwrap().recv_timeout(PATIENCE).unwrap() < total {}
        }
        if chunked {
            peer.send("0\r\n\r\n");
        }
    });
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    let version = if http10 { "1.0" } else { "1.1" };
    client.send(format!(
        "GET /events HTTP/{version}\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n"
    ));
    let response = client.reader.response_head(false).unwrap();
    assert_eq!(response.head.get("content-type"), Some("text/event-stream"));
    assert!(!response.head.has("content-length"));
    let framing = if http10 { Framing::Close } else { Framing::Chunked };
    assert_eq!(response.framing, framing);
    let mut got = Vec::new();
    client
        .reader
        .body(framing, |piece| {
            got.extend_from_slice(piece);
            // The instance may have said all and be gone.
            let _ = seen.send(got.len());
        })
        .unwrap();
    let expected: String = (0..EVENTS).map(event).collect();
    assert!(got == expected.as_bytes(), "chunked {chunked}, HTTP/{version}");
}

#[test]
fn in_chunks() {
    events_arrive_as_they_come(true, false);
}

#[test]
fn until_the_connection_ends() {
    events_arrive_as_they_come(false, false);
}

#[test]
fn to_old_clients() {
    events_arrive_as_they_come(true, true);
    events_arrive_as_they_come(false, true);
}
