//! TCP routes: connections that are passed to a service as they are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rustix::process::Signal;

use crate::harness::client::Peer;
use crate::harness::clock::until;
use crate::harness::gateway::{Folder, Gateway, Setup};
use crate::harness::origin::{Origin, blackhole, refusing};
use crate::harness::pattern::{self, Checker};
use crate::harness::told::{Told, block, v1, v2};
use coregate_strict::Framing;

/// One worker and one listener, whose connections go to a service with these instances.
fn route(listener: &str, service: &str, instances: &[&str]) -> String {
    format!(
        "[runtime]\ncores = 1\n\
         [listeners.db]\nbind = \"127.0.0.1:0\"\ntcp = \"mysql\"\n{listener}\n\
         [services.mysql]\ninstances = {instances:?}\n{service}\n"
    )
}

fn before(instances: &[&str]) -> Gateway {
    Setup::run(&route("", "", instances)).start()
}

/// Says back what comes, until it ends.
fn echo(peer: &mut Peer) {
    let mut writer = Peer::new(peer.reader.stream.try_clone());
    let _ = peer.reader.body(Framing::Close, |piece| {
        let _ = writer.try_send(piece);
    });
}

fn echoing() -> Origin {
    Origin::scripted(|peer, _| echo(peer))
}

#[track_caller]
fn nothing_is_left(gateway: &Gateway) {
    let stats = gateway.stats_when("nothing is left", |stats| stats.total("connections_open") == 0);
    assert_eq!(stats.total("tunnels_open"), 0);
}

/// Nothing is waited for: an instance may speak before its client does, and the client before its instance.
#[test]
fn whoever_likes_speaks_first() {
    let origin = Origin::scripted(|peer, _| {
        peer.send("\x4a\0\0\0\x0a8.0.36\0")
            .expect("login")
            .send("ok")
            .expect("\0\r\n\r\nquit")
            .expect_end();
    });
    let gateway = before(&[origin.address()]);
    let mut client = gateway.client();
    client.expect("\x4a\0\0\0\x0a8.0.36\0").send("login").expect("ok");
    client.send("\0\r\n\r\nquit").finish().expect_end();
    let mut eager = gateway.client();
    eager.send("login\0\r\n\r\nquit").finish();
    eager.expect("\x4a\0\0\0\x0a8.0.36\0ok").expect_end();
    nothing_is_left(&gateway);
    let stats = gateway.stats();
    assert_eq!((stats.total("tunnels"), stats.total("requests")), (2, 0));
    let bytes = ["tunnel_bytes_in", "tunnel_bytes_out"].map(|name| stats.total(name));
    assert_eq!(bytes, [2 * 14, 2 * 14]);
}

/// What looks like a request is none.
#[test]
fn bytes_are_not_looked_at() {
    let origin = echoing();
    let gateway = before(&[origin.address()]);
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c",
        b"\0",
        b"\n",
        &pattern::bytes(100_000),
    ] {
        let mut client = gateway.client();
        client.send(bytes).expect(bytes).finish().expect_end();
    }
    nothing_is_left(&gateway);
}

#[test]
fn an_end_is_passed_on_alone() {
    const LONG: usize = 4 << 20;
    let origin = Origin::scripted(|peer, number| match number {
        0 => {
            peer.expect("question").expect_end();
            peer.send("answer").send(pattern::bytes(LONG));
        }
        _ => {
            peer.send("answer").finish();
            peer.expect("question").expect(pattern::bytes(LONG)).expect_end();
        }
    });
    let gateway = before(&[origin.address()]);
    let mut client = gateway.client();
    client.send("question").finish();
    client.expect("answer").expect(pattern::bytes(LONG)).expect_end();
    let mut client = gateway.client();
    client.expect("answer").expect_end();
    client.send("question").send(pattern::bytes(LONG)).finish();
    until("the instance has it all", || (origin.closed() == 2).then_some(()));
    nothing_is_left(&gateway);
}

#[test]
fn a_reset_is_passed_on_as_a_reset() {
    let origin = Origin::scripted(|peer, number| match number {
        0 => {
            peer.expect("x").expect_reset();
        }
        _ => {
            peer.expect("x");
            peer.reset_on_close();
        }
    });
    let gateway = before(&[origin.address()]);
    let mut client = gateway.client();
    client.send("x");
    gateway.stats_when("it is through", |stats| stats.total("tunnel_bytes_in") == 1);
    client.reset_on_close();
    drop(client);
    until("the instance sees it", || (origin.closed() == 1).then_some(()));
    gateway.client().send("x").expect_reset();
    nothing_is_left(&gateway);
}

/// Both at once, each more than all buffers hold, every byte in its place.
#[test]
fn long_streams_both_ways() {
    const LENGTH: u64 = 8 << 20;
    fn both_ways(peer: &mut Peer) {
        let mut writer = Peer::new(peer.reader.stream.try_clone());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut sent = 0;
                while sent < LENGTH {
                    let piece = pattern::piece(sent, LENGTH - sent);
                    writer.send(piece);
                    sent += piece.len() as u64;
                }
                writer.finish();
            });
            let mut checker = Checker::default();
            peer.reader.body(Framing::Close, |piece| checker.take(piece)).unwrap();
            assert_eq!(checker.seen, LENGTH);
        });
    }
    let origin = Origin::scripted(|peer, _| both_ways(peer));
    let gateway = before(&[origin.address()]);
    for _ in 0..3 {
        both_ways(&mut gateway.client());
    }
    nothing_is_left(&gateway);
    let stats = gateway.stats();
    for name in ["tunnel_bytes_in", "tunnel_bytes_out"] {
        assert_eq!(stats.total(name), 3 * LENGTH, "{name}");
    }
}

#[test]
fn instances_take_turns() {
    let named = |name: &'static str| {
        Origin::scripted(move |peer, _| {
            peer.send(name).expect_end();
        })
    };
    let origins = ["a", "b", "c"].map(named);
    let gateway = before(&origins.each_ref().map(Origin::address));
    let mut turns = BTreeMap::<String, u32>::new();
    for _ in 0..30 {
        let mut client = gateway.client();
        let name = client.finish().reader.rest().unwrap();
        *turns.entry(String::from_utf8(name).unwrap()).or_default() += 1;
    }
    assert_eq!(
        turns.into_iter().collect::<Vec<_>>(),
        ["a", "b", "c"].map(|name| (name.into(), 10))
    );
}

#[test]
fn an_instance_that_takes_no_connection_is_left_out() {
    let origin = echoing();
    let refusing = refusing();
    let hole = blackhole();
    for (first, service) in [(&refusing, ""), (&hole.address, "timeout = { connect = \"100ms\" }")]
    {
        let text = route("", service, &[first, origin.address()]);
        let gateway = Setup::run(&text).start();
        for at in 0..4 {
            let text = format!("client {at}");
            gateway.client().send(&text).expect(&text).finish().expect_end();
        }
        let stats = gateway.stats_when("it is counted", |stats| stats.total("tunnels") == 4);
        assert!(stats.total("retries") >= 1, "{stats:?}");
        assert_eq!(stats.total("upstream_connect_errors"), stats.total("retries"));
        nothing_is_left(&gateway);
    }
}

/// There is nothing that can be said to such a client.
#[test]
fn without_an_instance_a_client_is_closed() {
    let refusing = [refusing(), refusing(), refusing()];
    let hole = blackhole();
    let two: Vec<&str> = refusing[..2].iter().map(String::as_str).collect();
    for (instances, reason, connects) in [
        (vec![], "no_healthy_instance", 0),
        (vec![&*refusing[2]], "connect_failed", 2),
        (two, "connect_failed", 2),
        (vec![&*hole.address], "connect_timeout", 2),
    ] {
        let text = route("", "timeout = { connect = \"100ms\" }", &instances);
        let gateway = Setup::run(&text).start();
        let mut client = gateway.client();
        let _ = client.try_send("hello?");
        client.expect_closed();
        let counter = format!("rejected.{reason}");
        let stats = gateway.stats_when("it is counted", |stats| stats.total(&counter) == 1);
        assert_eq!(stats.total("upstream_connect_errors"), connects, "{reason}");
        assert_eq!(stats.total("tunnels"), 0);
        nothing_is_left(&gateway);
    }
}

#[test]
fn two_hundred_at_once() {
    let origin = echoing();
    let gateway = before(&[origin.address()]);
    let mut clients: Vec<_> = (0..200).map(|_| gateway.client()).collect();
    for round in 0..3 {
        for (at, client) in clients.iter_mut().enumerate() {
            client.send(format!("{round} {at};"));
        }
        for (at, client) in clients.iter_mut().enumerate() {
            client.expect(format!("{round} {at};"));
        }
    }
    let stats = gateway.stats();
    assert_eq!((stats.total("tunnels_open"), stats.total("connections_open")), (200, 200));
    for client in &mut clients {
        client.finish().expect_end();
    }
    nothing_is_left(&gateway);
    until("the instance's ends are closed", || (origin.closed() == 200).then_some(()));
}

#[test]
fn a_silent_connection_is_ended() {
    let origin = Origin::scripted(|peer, _| {
        peer.expect("x").send("y").expect_end();
    });
    let text = route("", "timeout = { tunnel = \"200ms\" }", &[origin.address()]);
    let gateway = Setup::run(&text).start();
    gateway.client().send("x").expect("y").expect_end();
    until("the instance sees it", || (origin.closed() == 1).then_some(()));
    nothing_is_left(&gateway);
}

#[test]
fn a_gentle_stop_waits_for_connections() {
    let origin = echoing();
    let mut gateway = before(&[origin.address()]);
    let mut client = gateway.client();
    client.send("before").expect("before");
    let address = gateway.address().to_owned();
    gateway.signal(Signal::TERM);
    let connects = || std::net::TcpStream::connect(&address);
    until("it stops accepting", || connects().is_err().then_some(()));
    for _ in 0..10 {
        client.send("still here").expect("still here");
    }
    assert!(!gateway.has_ended());
    client.finish().expect_end();
    assert_eq!(gateway.wait().code(), Some(0));
}

const CLIENT: &str = "192.0.2.7:51234";
const SERVER: &str = "198.51.100.1:3306";

/// The header in, the header out, and the bytes behind it, however they are cut.
#[test]
fn with_the_proxy_protocol() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&log);
    let origin = Origin::scripted(move |peer, _| {
        shared.lock().unwrap().push(peer.told().unwrap());
        echo(peer);
    });
    let trusted = "proxy_protocol = { from = [\"127.0.0.1\"] }";
    let address = |text: &str| text.parse().unwrap();
    for version in [1, 2] {
        let service = format!("proxy_protocol = \"v{version}\"");
        let gateway = Setup::run(&route(trusted, &service, &[origin.address()])).start();
        let named = Told::Client(address(CLIENT), address(SERVER));
        for (header, expected) in [
            (v1(CLIENT, SERVER), Some(named)),
            (v2(0x21, 0x11, &block(CLIENT, SERVER)), Some(named)),
            (b"PROXY UNKNOWN\r\n".into(), None),
            (v2(0x20, 0, b""), None),
        ] {
            // What follows looks like a header, and is none.
            let all = [&header[..], &header, b"\0select 1"].concat();
            for cut in [1, header.len(), all.len()] {
                let mut client = gateway.client();
                let (own, ours) = client.reader.stream.addresses();
                if cut == 1 {
                    client.send_pieces(&all, 1);
                } else {
                    client.send(&all[..cut]).send(&all[cut..]);
                }
                client.expect(&all[header.len()..]).finish().expect_end();
                let told = std::mem::take(&mut *log.lock().unwrap());
                assert_eq!(told, [(version, expected.unwrap_or(Told::Client(own, ours)))]);
            }
        }
        let connections = origin.connections();
        for bytes in ["GET / HTTP/1.1\r\n\r\n", "PROXY TCP4\r\n"] {
            gateway.client().send(bytes).expect_closed();
        }
        gateway.stats_when("they are counted", |s| s.total("proxy_header_errors") == 2);
        assert_eq!(origin.connections(), connections);
        nothing_is_left(&gateway);
    }
}

/// Into a service with a header of ours alone, over Unix sockets too; and without one from a proxy's.
#[test]
fn a_header_on_one_side_only() {
    let origin = Origin::scripted(|peer, number| {
        let expected = match number {
            0 => "server first",
            _ => "as it came",
        };
        if number == 0 {
            assert_eq!(peer.told(), Some((2, Told::Nothing)));
        }
        peer.send(expected).expect(expected).expect_end();
    });
    let folder = Folder::new();
    let socket = format!("unix:{}", folder.path("g.sock").display());
    let text = route("", "proxy_protocol = \"v2\"", &[origin.address()]);
    let gateway = Setup::run(&text.replace("127.0.0.1:0", &socket)).start();
    gateway.client().expect("server first").send("server first").finish().expect_end();

    let trusted = "proxy_protocol = { from = [\"127.0.0.0/8\"] }";
    let gateway = Setup::run(&route(trusted, "", &[origin.address()])).start();
    let mut client = gateway.client();
    client.send(v1(CLIENT, SERVER)).expect("as it came").send("as it came").finish().expect_end();
}

/// `timeout.head` is the time for the header, and for nothing behind it.
#[test]
fn a_header_has_its_time() {
    let origin = echoing();
    let listener = "proxy_protocol = { from = [\"127.0.0.1\"] }\ntimeout = { head = \"200ms\" }";
    let gateway = Setup::run(&route(listener, "", &[origin.address()])).start();
    let mut late = gateway.client();
    let mut open = gateway.client();
    open.send(v1(CLIENT, SERVER)).send("x").expect("x");
    late.send("PROXY TCP4 ").expect_closed();
    open.send("y").expect("y").finish().expect_end();
    gateway.stats_when("it is counted", |stats| stats.total("proxy_header_errors") == 1);
    assert_eq!(origin.connections(), 1);
}
