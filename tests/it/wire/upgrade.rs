//! Another protocol after a 101 (RFC 9110 §7.8): only one that was offered, only after the answer, and then bytes as they are.

use std::sync::{Mutex, mpsc};

use rustix::process::Signal;

use crate::harness::client::{Peer, get};
use crate::harness::clock::{PATIENCE, until};
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::{Origin, Reply};
use crate::harness::pattern;
use crate::harness::tunnel::{ASKS, SWITCHES, agreeing, echo, switched};
use coregate_strict::Fault;

#[test]
fn bytes_go_both_ways() {
    let origin = agreeing(echo);
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = switched(gateway.client());
    for at in 0..100 {
        let frame = format!("\0frame {at}\r\n\r\n");
        client.send(&frame).expect(&frame);
    }
    // More than all buffers hold, so it must be taken while it is given.
    let long = pattern::bytes(16 << 20);
    let mut writer = Peer::new(client.reader.stream.try_clone());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            writer.send(&long);
        });
        client.expect(&long);
    });
    let stats = gateway.stats_when("it is counted", |stats| stats.total("tunnels_open") == 1);
    assert_eq!(stats.total("tunnels"), 1);
    client.finish().expect_end();
    let stats = gateway.stats_when("it is over", |stats| stats.total("connections_open") == 0);
    assert_eq!(stats.total("tunnels_open"), 0);
    assert_eq!(stats.total("tunnel_bytes_in"), stats.total("tunnel_bytes_out"));
    assert!(stats.total("tunnel_bytes_in") > 16 << 20);
}

#[test]
fn many_tunnels_at_once() {
    let origin = agreeing(echo);
    let gateway = Gateway::before(&[origin.address()]);
    let mut clients: Vec<_> = (0..50).map(|_| switched(gateway.client())).collect();
    for round in 0..5 {
        for (at, client) in clients.iter_mut().enumerate() {
            client.send(format!("{round} {at};"));
        }
        for (at, client) in clients.iter_mut().enumerate() {
            client.expect(format!("{round} {at};"));
        }
    }
    drop(clients);
    until("the instance's ends are closed", || (origin.closed() == 50).then_some(()));
}

/// CVE-2026-2833: what stands behind the request waits for the answer.
#[test]
fn bytes_behind_the_request_follow_a_101() {
    let origin = agreeing(echo);
    let gateway = Gateway::before(&[origin.address()]);
    for early in ["x", "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n", &"long ".repeat(10_000)] {
        let mut client = gateway.client();
        client.send(format!("{ASKS}{early}"));
        assert_eq!(client.response().status, 101);
        client.expect(early).send("more").expect("more");
        client.finish().expect_end();
    }
    let stats = gateway.stats_when("three tunnels", |stats| stats.total("tunnels") == 3);
    assert_eq!(stats.total("requests"), 3, "what went through a tunnel was no request");
}

/// The same bytes are the next request where the answer is another one, and the connection is as good as before.
#[test]
fn bytes_behind_the_request_are_the_next_one_without_a_101() {
    let origin = Origin::serving(|request| match request.target.as_str() {
        "/ws" => {
            Reply::with("426 Upgrade Required", "Upgrade: other\r\nConnection: Upgrade\r\n", "no")
        }
        target => Reply::ok(target),
    });
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    for at in 0..3 {
        client.send(format!("{ASKS}{}", get(&format!("/{at}"))));
        let refused = client.response();
        assert_eq!((refused.status, refused.text().as_str()), (426, "no"));
        assert_eq!(client.response().text(), format!("/{at}"));
    }
    let seen = origin.take();
    assert_eq!(seen.len(), 6);
    assert!(seen.iter().all(|request| request.head.has("upgrade") == (request.target == "/ws")));
    assert_eq!((origin.connections(), gateway.stats().total("tunnels")), (1, 0));
}

/// RFC 9110 §15.2.2: nothing but what was offered, by both fields; else the answer is none, and its connection is closed.
#[test]
fn a_101_that_does_not_fit_is_a_502() {
    let switch = |fields: &str| format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\nbytes");
    let answers = [
        switch("Connection: Upgrade\r\nUpgrade: other\r\n"),
        switch("Connection: Upgrade\r\nUpgrade: websocket, other\r\n"),
        switch("Connection: Upgrade\r\nUpgrade: h2c\r\n"),
        switch("Connection: Upgrade\r\n"),
        switch("Connection: Upgrade\r\nUpgrade:\r\n"),
        switch("Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: other\r\n"),
        switch("Upgrade: websocket\r\n"),
        switch("Connection: keep-alive\r\nUpgrade: websocket\r\n"),
        switch(""),
        SWITCHES.replace("HTTP/1.1", "HTTP/1.0"),
        // To a plain GET.
        SWITCHES.into(),
    ];
    let plain = answers.len() - 1;
    let expected = answers.len();
    let origin = Origin::scripted(move |peer, _| {
        let request = peer.request();
        peer.send(&answers[request.target[1..].parse::<usize>().unwrap()]);
        match peer.reader.rest() {
            Ok(rest) => assert!(rest.is_empty(), "{rest:?}"),
            Err(fault) => assert!(fault.is_cut(), "{fault:?}"),
        }
    });
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    for at in 0..expected {
        let asks =
            ASKS.replace("/ws", &format!("/{at}")).replace("websocket\r\n", "h2c, websocket\r\n");
        client.send(if at == plain { get(&format!("/{at}")) } else { asks });
        let response = client.response();
        let reason = response.head.get("x-coregate-reason");
        assert_eq!((response.status, reason), (502, Some("upstream_malformed")), "answer {at}");
        assert!(!response.closes(), "answer {at}");
        until("the upstream connection is closed", || (origin.closed() == at + 1).then_some(()));
    }
    assert_eq!(gateway.stats().total("tunnels"), 0);
}

/// What the instance is offered, and on which terms a request asks at all.
#[test]
fn what_is_offered() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&[origin.address()]);
    let to = |protocols: &str| format!("Connection: Upgrade\r\nUpgrade: {protocols}\r\n");
    let with = |start: &str, fields: &str, body: &str| {
        format!("{start} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
    };
    let h2 = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
    let chunked = to("websocket") + "Transfer-Encoding: chunked\r\n";
    for (request, offered) in [
        (with("GET", &to("websocket"), ""), Some("websocket")),
        (with("GET", &to("WebSocket"), ""), Some("WebSocket")),
        (with("GET", &to("h2c, websocket, HTTP/2.0, irc/6.9"), ""), Some("websocket, irc/6.9")),
        (with("GET", h2, ""), None),
        (with("GET", &to("H2C"), ""), None),
        (with("GET", &to("HTTP/2.0"), ""), None),
        (with("GET", &to("TLS/1.3"), ""), None),
        (with("GET", &to(""), ""), None),
        (with("GET", &to("\"websocket\""), ""), None),
        (with("GET", "Upgrade: websocket\r\n", ""), None),
        (with("GET", "Connection: keep-alive\r\nUpgrade: websocket\r\n", ""), None),
        (with("GET", "Connection: upgrade\r\n", ""), None),
        (with("GET", &(to("websocket") + "Upgrade: websocket\r\n"), ""), None),
        (with("GET", &(to("websocket") + "Upgrade: other\r\n"), ""), None),
        (with("POST", &(to("websocket") + "Content-Length: 5\r\n"), "hello"), None),
        (with("POST", &chunked, "5\r\nhello\r\n0\r\n\r\n"), None),
        (with("GET", &to("websocket"), "").replace("HTTP/1.1", "HTTP/1.0"), None),
    ] {
        let mut client = gateway.client();
        let response = client.send(&request).response();
        assert_eq!(response.status, 200, "{request:?}");
        let seen = origin.take_one();
        assert_eq!(seen.head.get("upgrade"), offered, "{request:?}");
        assert_eq!(seen.head.get("connection"), offered.map(|_| "Upgrade"), "{request:?}");
        assert!(!seen.head.has("http2-settings"));
        assert_eq!(response.body, seen.body);
        assert_eq!(seen.body.is_empty(), !request.starts_with("POST"), "{request:?}");
        if !request.contains("HTTP/1.0") {
            assert_eq!(client.get("/").status, 200, "it was a plain request: {request:?}");
            origin.take_one();
        }
    }
}

/// Half a connection is a connection: an end that one side says is passed on, and the other direction goes on.
#[test]
fn an_end_is_passed_on_alone() {
    let origin = agreeing(|peer| {
        // The client's end comes before anything is said to it.
        peer.expect("question").expect_end();
        peer.send("answer").send(pattern::bytes(4 << 20));
    });
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = switched(gateway.client());
    client.send("question").finish();
    client.expect("answer").expect(pattern::bytes(4 << 20)).expect_end();

    let origin = agreeing(|peer| {
        peer.send("answer").finish();
        peer.expect("question").expect(pattern::bytes(4 << 20)).expect_end();
    });
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = switched(gateway.client());
    client.expect("answer").expect_end();
    client.send("question").send(pattern::bytes(4 << 20)).finish();
    until("the instance has it all", || (origin.closed() == 1).then_some(()));
    gateway.stats_when("nothing is left", |stats| stats.total("connections_open") == 0);
}

#[test]
fn a_reset_is_passed_on_as_a_reset() {
    let origin = agreeing(|peer| {
        peer.expect("x").expect_reset();
    });
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = switched(gateway.client());
    client.send("x");
    gateway.stats_when("it is through", |stats| stats.total("tunnel_bytes_in") == 1);
    client.reset_on_close();
    drop(client);
    until("the instance sees it", || (origin.closed() == 1).then_some(()));

    let origin = agreeing(|peer| {
        peer.expect("x");
        peer.reset_on_close();
    });
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = switched(gateway.client());
    client.send("x").expect_reset();
    gateway.stats_when("nothing is left", |stats| stats.total("connections_open") == 0);
}

#[test]
fn an_idle_tunnel_is_ended() {
    let origin = agreeing(|peer| {
        peer.expect("x").send("y").expect_end();
    });
    let text = config("", "timeout = { tunnel = \"200ms\" }", &[origin.address()]);
    let gateway = Setup::run(&text).start();
    let mut client = switched(gateway.client());
    client.send("x").expect("y").expect_end();
    until("the instance sees it", || (origin.closed() == 1).then_some(()));
    gateway.stats_when("nothing is left", |stats| stats.total("connections_open") == 0);
}

/// A tunnel is in flight: it goes on when the process is told to stop, which waits for it.
#[test]
fn a_gentle_stop_waits_for_tunnels() {
    let origin = agreeing(echo);
    let mut gateway = Gateway::before(&[origin.address()]);
    let mut idle = gateway.client();
    let mut tunnel = switched(gateway.client());
    tunnel.send("before").expect("before");
    assert_eq!(origin.connections(), 1);
    gateway.signal(Signal::TERM);
    idle.expect_closed();
    for _ in 0..10 {
        tunnel.send("still here").expect("still here");
    }
    assert!(!gateway.has_ended());
    tunnel.finish().expect_end();
    assert_eq!(gateway.wait().code(), Some(0));
}

/// An instance may speak before it answers: interim answers come through, and the 101 behind them still counts.
#[test]
fn interim_answers_before_the_101() {
    let (go, gone) = mpsc::channel::<()>();
    let gone = Mutex::new(gone);
    let origin = Origin::scripted(move |peer, _| {
        peer.request();
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        gone.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        // The client's bytes are not here before our 101 is there.
        peer.send(format!("{SWITCHES}first")).expect("early");
        match peer.reader.rest() {
            Ok(rest) => assert!(rest.is_empty()),
            Err(fault) => assert!(matches!(fault, Fault::Closed), "{fault:?}"),
        }
    });
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    client.send(ASKS).send("early");
    assert_eq!(client.response().status, 103);
    go.send(()).unwrap();
    assert_eq!(client.response().status, 101);
    client.expect("first").finish().expect_end();
}
