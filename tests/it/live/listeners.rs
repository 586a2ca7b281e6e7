//! Listeners that come, change and move while the gateway runs; how they go is in [`super::going`].

use std::net::TcpListener;

use super::{is_the_last, stays, two_workers};
use crate::harness::client::{Peer, get};
use crate::harness::clock::until;
use crate::harness::gateway::{Folder, Gateway, Setup, config};
use crate::harness::origin::Origin;
use crate::harness::process::descriptors;
use crate::harness::socket::Socket;
use crate::harness::told::v1;
use crate::harness::tunnel::{echo, says};

/// One more listener, at the end of a configuration.
fn and(text: &str, name: &str, lines: &str) -> String {
    format!("{text}[listeners.{name}]\n{lines}\n")
}

#[test]
fn several_addresses_come_and_go() {
    let origin = Origin::named("o");
    let text = two_workers(&config("", "", &[origin.address()]));
    let gateway = Setup::run(&text).start();
    let mut client = gateway.client();
    stays(&mut client, "/", "o GET /");
    let before = descriptors(gateway.pid());
    let socket = gateway.folder.path("extra.sock");
    let unix = format!("unix:{}", socket.display());
    for round in 0..5 {
        let bind = format!("bind = [\"127.0.0.1:0\", \"[::1]:0\", \"{unix}\"]");
        let lines = gateway.reload(&and(&text, "extra", &bind));
        assert_eq!(lines, [format!("+ listener extra on 127.0.0.1:0, [::1]:0, {unix}")]);
        let places = gateway.places("extra");
        assert_eq!(places.len(), 3, "{places:?}");
        for _ in 0..4 {
            for place in &places {
                stays(&mut Peer::connect(place), "/", "o GET /");
            }
        }
        // Those of the other listener are where they were.
        assert_eq!(gateway.place("default"), gateway.address());
        assert_eq!(gateway.reload(&text), ["- listener extra"]);
        for place in &places {
            let connected = Socket::connect(place);
            assert!(connected.is_err(), "{place} in round {round}");
        }
        assert!(!socket.exists(), "its file is gone too");
        stays(&mut client, "/", "o GET /");
    }
    // The other worker may have met the instance meanwhile.
    until("no descriptor is left", || (descriptors(gateway.pid()) <= before + 2).then_some(()));
}

/// One of several addresses of a listener.
#[test]
fn an_address_of_a_listener() {
    let origin = Origin::named("o");
    let one = config("", "", &[origin.address()]);
    let gateway = Setup::run(&one).start();
    let first = gateway.address().to_owned();
    let folder = Folder::new();
    let unix = format!("unix:{}", folder.path("a.sock").display());
    let both = one.replace("\"127.0.0.1:0\"", &format!("[\"127.0.0.1:0\", \"{unix}\"]"));
    assert_eq!(gateway.reload(&both), [format!("~ listener default: + {unix}")]);
    assert_eq!(gateway.places("default"), [first.clone(), unix.clone()]);
    let mut client = Peer::connect(&unix);
    stays(&mut client, "/", "o GET /");
    // The listener stays, and with it the connections that came by an address that goes.
    assert_eq!(gateway.reload(&one), [format!("~ listener default: - {unix}")]);
    assert!(Socket::connect(&unix).is_err());
    stays(&mut client, "/", "o GET /");
    stays(&mut Peer::connect(&first), "/", "o GET /");
}

/// The address goes to another listener with other terms: its sockets stay, and whoever connects finds one or the other.
#[test]
fn an_address_changes_hands() {
    let origin = Origin::named("o");
    let port = free_port();
    let named = |name: &str, terms: &str| {
        config("", "", &[origin.address()])
            .replace("listeners.default", &format!("listeners.{name}"))
            .replace("127.0.0.1:0", &port)
            .replace("expose_reasons = true", terms)
    };
    let gateway = Setup::run(&named("one", "expose_reasons = true")).start();
    let mut client = gateway.client();
    stays(&mut client, "/", "o GET /");
    // A connection that waits for nothing yet.
    let mut fresh = gateway.client();
    let lines = gateway.reload(&named("two", "limits = { requests = 1 }"));
    assert_eq!(lines, ["- listener one".to_owned(), format!("+ listener two on {port}")]);
    assert_eq!(gateway.places("one"), [""; 0]);
    assert_eq!(gateway.place("two"), port);
    // Those of the listener that is gone hear that this is their last answer.
    is_the_last(&mut client, "/", "o GET /");
    is_the_last(&mut fresh, "/", "o GET /");
    is_the_last(&mut gateway.client(), "/", "o GET /");
    // And under way, in each direction, nobody is turned away.
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let connecting = scope.spawn(|| {
            let mut served = 0;
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                assert_eq!(gateway.client().get("/").status, 200);
                served += 1;
            }
            served
        });
        for round in 0..20 {
            let name = if round % 2 == 0 { "one" } else { "two" };
            gateway.reload(&named(name, ""));
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(connecting.join().unwrap() > 0);
    });
}

/// A port that was free a moment ago.
fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn an_address_that_is_taken_refuses_the_whole() {
    let (one, other) = (Origin::named("one"), Origin::named("other"));
    let text = config("", "", &[one.address()]);
    let gateway = Setup::run(&text).start();
    let mut client = gateway.client();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let good = free_port();
    // Another service, a route, a listener that could be had: none of it.
    let wanted = text.replace(one.address(), other.address());
    let wanted = format!("{wanted}\"/new\" = \"s\"\n");
    let wanted = and(&wanted, "fine", &format!("bind = \"{good}\""));
    let wanted = and(&wanted, "taken", &format!("bind = \"{taken}\""));
    stays(&mut client, "/", "one GET /");
    gateway.write(&wanted);
    let before = descriptors(gateway.pid());
    for _ in 0..3 {
        let said = gateway.refused(&["reload"]);
        assert!(said.contains(&format!("listener taken: {taken}: address in use")), "{said}");
        assert!(!said.contains("listener fine"), "{said}");
        assert!(Socket::connect(&good).is_err());
        stays(&mut client, "/", "one GET /");
    }
    until("nothing is left of it", || (descriptors(gateway.pid()) <= before).then_some(()));
    assert_eq!(gateway.places("default").len(), 1);
    // All that is taken is named.
    let wanted = and(&wanted, "again", &format!("bind = \"unix:{}\"", file(&gateway)));
    gateway.write(&wanted);
    let said = gateway.refused(&["reload"]);
    assert!(said.contains("listener taken: ") && said.contains("listener again: "), "{said}");
    // Once it is free, the same file is taken.
    gateway
        .write(&wanted.replace(&taken, "127.0.0.1:0").replace(&file(&gateway), &socket(&gateway)));
    gateway.done(&["reload"]);
    stays(&mut Peer::connect(&good), "/new", "other GET /new");
    stays(&mut client, "/new", "other GET /new");
}

/// A file that is no socket.
fn file(gateway: &Gateway) -> String {
    gateway.folder.write("plain", "text").display().to_string()
}

fn socket(gateway: &Gateway) -> String {
    gateway.folder.path("s.sock").display().to_string()
}

/// Connections that are there have begun without a header, or with one: only new ones are asked for it.
#[test]
fn the_proxy_protocol_comes_and_goes() {
    let origin = Origin::serving(|request| {
        let told = request.head.get("x-forwarded-for").unwrap_or_default().to_owned();
        crate::harness::origin::Reply::ok(told)
    });
    let plain = config("", "", &[origin.address()]);
    let asked = config("proxy_protocol = { from = [\"127.0.0.0/8\"] }", "", &[origin.address()]);
    let gateway = Setup::run(&plain).start();
    let mut old = gateway.client();
    stays(&mut old, "/", "127.0.0.1");
    gateway.reload(&asked);
    stays(&mut old, "/", "127.0.0.1");
    let mut new = gateway.client();
    let header = v1("192.0.2.7:1000", "127.0.0.1:80");
    new.send([&header[..], get("/").as_bytes()].concat());
    assert_eq!(new.response().text(), "192.0.2.7");
    gateway.client().send(get("/")).expect_closed();
    gateway.reload(&plain);
    stays(&mut new, "/", "192.0.2.7");
    stays(&mut old, "/", "127.0.0.1");
    stays(&mut gateway.client(), "/", "127.0.0.1");
}

/// A listener that reads requests becomes one that passes connections on, and the other way round.
#[test]
fn a_tcp_route_comes_and_goes() {
    let (origin, raw) = (Origin::named("o"), Origin::scripted(|peer, _| echo(peer)));
    let http = config("", "", &[origin.address()]);
    let http = format!("{http}[services.raw]\ninstances = [{:?}]\n", raw.address());
    let tcp = http.replace("expose_reasons = true", "tcp = \"raw\"");
    let gateway = Setup::run(&http).start();
    let mut client = gateway.client();
    stays(&mut client, "/", "o GET /");
    assert_eq!(
        gateway.reload(&tcp),
        ["~ listener default: tcp none -> raw; expose_reasons true -> false"]
    );
    // Whoever speaks HTTP already goes on to do so.
    stays(&mut client, "/", "o GET /");
    let mut tunnel = gateway.client();
    says(&mut tunnel, "GET / HTTP/1.1\r\n\r\n");
    gateway.reload(&http);
    says(&mut tunnel, "still a tunnel");
    stays(&mut client, "/", "o GET /");
    stays(&mut gateway.client(), "/", "o GET /");
    tunnel.finish().expect_end();
}
