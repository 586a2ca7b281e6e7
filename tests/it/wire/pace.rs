//! The pace of clients: who only trickles is cut, though never silent for long. What the account adds up to over time stands
//! with `core/base/pace.rs`; each of its entries with the tests of the world in memory.

use std::io::Read;
use std::sync::mpsc;
use std::time::Duration;

use crate::harness::client::{Peer, get};
use crate::harness::clock::until;
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::{Origin, Reply};

/// A pause that is far below the timeout of a body here.
const PAUSE: Duration = Duration::from_millis(20);

fn with_rate(rate: &str, origin: &Origin) -> Gateway {
    let listener =
        format!("timeout = {{ body = \"300ms\" }}\nlimits = {{ body_rate = \"{rate}\" }}");
    Setup::run(&config(&listener, "", &[origin.address()])).start()
}

#[test]
fn a_body_that_trickles_is_cut() {
    let origin = Origin::echo();
    let gateway = with_rate("100KiB", &origin);
    for (head, piece) in [
        ("Content-Length: 1000000", "x"),
        ("Transfer-Encoding: chunked", "1\r\nx\r\n"),
        // Framing is no progress.
        ("Transfer-Encoding: chunked", "1;x=y\r\nx\r\n"),
    ] {
        let mut client = gateway.client();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n"));
        let mut slow = Peer::new(client.reader.stream.try_clone());
        let (over, is_over) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                while is_over.recv_timeout(PAUSE).is_err() && slow.try_send(piece).is_ok() {}
            });
            let response = client.response();
            let reason = response.head.get("x-coregate-reason");
            assert_eq!((response.status, reason), (408, Some("body_timeout")), "{head}");
            over.send(()).unwrap_or_default();
        });
    }
    until("the instance is told", || (origin.cut() == 3).then_some(()));
    assert!(origin.take().is_empty());
}

/// It takes something all the time, so only its pace is wrong: half of what is asked for, at most.
#[test]
fn a_reader_that_trickles_is_cut() {
    const LENGTH: usize = 256 << 20;
    let origin = Origin::serving(|_| Reply::ok("x".repeat(LENGTH)));
    let gateway = with_rate("100MiB", &origin);
    let mut client = gateway.client();
    client.send(get("/"));
    let (_pause, never) = mpsc::channel::<()>();
    let mut piece = vec![0; 1 << 20];
    let mut got = 0;
    while let Ok(length @ 1..) = client.reader.stream.read(&mut piece) {
        got += length;
        let _ = never.recv_timeout(PAUSE);
    }
    assert!(got < LENGTH, "{got} bytes");
    let stats = gateway.stats_when("it is counted", |stats| stats.total("client_aborts") == 1);
    assert_eq!(stats.total("rejected.client_gone"), 1);
    until("the upstream connection is closed", || (origin.closed() == 1).then_some(()));
}
