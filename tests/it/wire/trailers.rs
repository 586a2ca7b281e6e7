//! Trailers: passed both ways, but nothing that would change how a message was framed, routed or authenticated.

use crate::harness::client::{get, post_chunked};
use crate::harness::clock::until;
use crate::harness::gateway::Gateway;
use crate::harness::origin::{Origin, Reply};
use coregate_strict::Framing;

/// What a sender's trailer section becomes; each line with its end.
const ROWS: [(&str, &str); 8] = [
    ("", ""),
    ("grpc-status: 0\r\n", "grpc-status: 0\r\n"),
    ("X-A:1\r\nx-a:  2 \t\r\nX-Empty:\r\n", "X-A: 1\r\nx-a: 2\r\nX-Empty: \r\n"),
    (
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: evil\r\nTrailer: x\r\nA: 1\r\n",
        "A: 1\r\n",
    ),
    (
        "Authorization: x\r\nSet-Cookie: a=b\r\nCookie: a\r\nContent-Type: x\r\nB: 2\r\nTE: trailers\r\n",
        "B: 2\r\n",
    ),
    ("Connection: close\r\nUpgrade: websocket\r\nKeep-Alive: 5\r\nProxy-Authorization: x\r\n", ""),
    (
        "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6\r\nX-Request-Id: 1\r\nVia: 1.1 x\r\nDate: x\r\n",
        "",
    ),
    (
        "X-Coregate-Consumer: root\r\nMax-Forwards: 1\r\nExpect: 100-continue\r\nC: 3\r\n",
        "C: 3\r\n",
    ),
];

fn lines(trailers: &[(String, String)]) -> String {
    trailers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}

#[test]
fn from_clients() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    for (sent, expected) in ROWS {
        for size in [1, 100_000] {
            let request = format!("{}5\r\nhello\r\n0\r\n{sent}\r\n", post_chunked("/"));
            client.send_pieces(request, size);
            assert_eq!(client.response().text(), "hello", "{sent:?}");
            let seen = origin.take_one();
            assert_eq!(lines(&seen.trailers), expected, "{sent:?} in pieces of {size}");
        }
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn from_instances() {
    let origin = Origin::scripted(|peer, _| {
        while let Ok(request) = peer.reader.request() {
            let (sent, _) = ROWS[request.target[1..].parse::<usize>().unwrap()];
            let head = "HTTP/1.1 200 OK\r\nTrailer: A, X-A\r\nTransfer-Encoding: chunked\r\n\r\n";
            let size = if request.head.has("x-slow") { 1 } else { 100_000 };
            peer.send_pieces(format!("{head}5\r\nhello\r\n0\r\n{sent}\r\n"), size);
        }
    });
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    for (at, (sent, expected)) in ROWS.into_iter().enumerate() {
        for slow in ["", "X-Slow: 1\r\n"] {
            client.send(format!("GET /{at} HTTP/1.1\r\nHost: a\r\n{slow}\r\n"));
            let response = client.response();
            assert_eq!(response.head.get("trailer"), Some("A, X-A"));
            assert_eq!(response.text(), "hello");
            assert_eq!(lines(&response.trailers), expected, "{sent:?} {slow:?}");
        }
        // An HTTP/1.0 client gets the body until the end of its connection, and nothing behind it.
        let mut old = gateway.client();
        let response = old.send(format!("GET /{at} HTTP/1.0\r\nHost: a\r\n\r\n")).response();
        assert_eq!((response.framing, response.text().as_str()), (Framing::Close, "hello"));
    }
    assert_eq!(origin.connections(), 1);
}

/// RFC 9110 §10.1.4: `TE: trailers` is said anew for this hop, and nothing else that TE may say.
#[test]
fn whether_they_are_wanted_is_said_anew() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    for (fields, expected) in [
        ("TE: trailers\r\nConnection: TE\r\n", Some("trailers")),
        ("TE: gzip, Trailers;q=1\r\nTE: trailers\r\nConnection: TE\r\n", Some("trailers")),
        ("TE: gzip\r\nConnection: TE\r\n", None),
        ("TE:\r\n", None),
        ("", None),
    ] {
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nTrailer: X-A\r\n{fields}\r\n"));
        assert_eq!(client.response().status, 200);
        let head = origin.take_one().head;
        assert_eq!((head.get("te"), head.get("trailer")), (expected, Some("X-A")), "{fields:?}");
        assert_eq!(head.get("connection"), expected.map(|_| "TE"), "{fields:?}");
    }
}

/// 4 KiB and 100 fields; each line counts with its end.
fn too_many() -> [String; 3] {
    let large = format!("x: {}\r\n", "y".repeat(4 * 1024));
    [large, "x: y\r\n".repeat(101), "x y: z\r\n".into()]
}

#[test]
fn too_many_from_a_client() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&[origin.address()]);
    for trailers in too_many() {
        // With the rest of the request, and long after its head.
        for apart in [false, true] {
            let mut client = gateway.client();
            client.send(post_chunked("/"));
            if apart {
                let before = origin.connections() - origin.closed();
                until("the head is at the origin", || {
                    (origin.connections() - origin.closed() >= before.max(1)).then_some(())
                });
            }
            let _ = client.try_send(format!("5\r\nhello\r\n0\r\n{trailers}\r\n"));
            let response = client.response();
            let reason = response.head.get("x-coregate-reason");
            assert_eq!((response.status, reason), (400, Some("bad_request")), "{apart}");
            client.expect_closed();
        }
    }
    let just = format!("x: {}\r\n", "y".repeat(4 * 1024 - "x: \r\n".len()));
    let mut client = gateway.client();
    client.send(format!("{}0\r\n{just}\r\n", post_chunked("/")));
    assert_eq!(client.response().status, 200);
    assert_eq!(lines(&origin.take_one().trailers), just, "nothing else was ever whole");
}

#[test]
fn too_many_from_an_instance() {
    let rows = too_many();
    let origin = Origin::serving(move |request| {
        let trailers = &rows[request.target[1..].parse::<usize>().unwrap()];
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        Reply::raw(format!("{head}5\r\nhello\r\n0\r\n{trailers}\r\n"))
    });
    let gateway = Gateway::before(&[origin.address()]);
    for at in 0..3 {
        let mut client = gateway.client();
        match client.send(get(&format!("/{at}"))).try_response() {
            Err(fault) => assert!(fault.is_cut(), "{fault:?}"),
            // Seen before the head went out.
            Ok(response) => assert_eq!(response.status, 502),
        }
        until("the upstream connection is closed", || (origin.closed() == at + 1).then_some(()));
    }
}
