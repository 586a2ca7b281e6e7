//! Listeners that go: nobody is cut off in what he has begun, and nobody stays.

#[cfg(feature = "chaos")]
use std::time::Duration;

#[cfg(feature = "chaos")]
use rustix::process::Signal;

use super::{Slow, is_the_last, stays};
use crate::harness::client::{Peer, get};
use crate::harness::clock::until;
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::Origin;
use crate::harness::socket::Socket;
use crate::harness::tunnel::{agreeing, echo, says, switched};

/// A gateway with a second listener `extra`, what is left without it, and where it is.
fn with_extra(instance: &str, drain: &str, lines: &str) -> (Gateway, String, String) {
    let text = config("", "", &[instance]);
    let text = text.replace("cores = 1", &format!("cores = 1\ndrain = \"{drain}\""));
    let both = format!("{text}[listeners.extra]\nbind = \"127.0.0.1:0\"\n{lines}\n");
    let gateway = Setup::run(&both).start();
    let extra = gateway.addresses_of("extra")[0].to_owned();
    (gateway, text, extra)
}

#[test]
fn the_next_answer_is_the_last() {
    let slow = Slow::named("o");
    let (gateway, text, extra) = with_extra(slow.address(), "30s", "");
    let (mut idle, mut busy, mut fresh) =
        (Peer::connect(&extra), Peer::connect(&extra), Peer::connect(&extra));
    stays(&mut idle, "/", "o /");
    busy.send(get("/slow"));
    slow.arrived();
    // Its first bytes are not there yet.
    gateway.stats_when("all are accepted", |stats| stats.total("connections_open") == 3);
    let mut other = gateway.client();
    stays(&mut other, "/", "o /");
    assert_eq!(gateway.reload(&text), ["- listener extra"]);
    assert!(Socket::connect(&extra).is_err(), "no new connections");
    slow.answer();
    let response = busy.response();
    assert_eq!(response.text(), "o /slow");
    assert!(response.head.has_option("close"), "{}", response.head.text());
    busy.expect_end();
    is_the_last(&mut idle, "/", "o /");
    is_the_last(&mut fresh, "/", "o /");
    stays(&mut other, "/", "o /");
    stays(&mut gateway.client(), "/", "o /");
}

#[test]
fn idle_connections_and_tunnels_end_when_their_time_is_over() {
    let origin = agreeing(echo);
    let (gateway, text, extra) = with_extra(origin.address(), "1s", "");
    let mut silent = Peer::connect(&extra);
    let mut tunnel = switched(Peer::connect(&extra));
    let mut kept = switched(gateway.client());
    says(&mut tunnel, "a");
    gateway.stats_when("all are here", |stats| stats.total("connections_open") == 3);
    gateway.reload(&text);
    says(&mut tunnel, "b");
    tunnel.expect_closed();
    silent.expect_closed();
    says(&mut kept, "c");
    gateway.stats_when("one is left", |stats| stats.total("connections_open") == 1);
    assert_eq!(gateway.stats().total("tunnels_open"), 1);
}

/// A listener that gives its address to another is gone as well.
#[test]
fn one_whose_address_goes_to_another() {
    let origin = agreeing(echo);
    let (gateway, text, extra) = with_extra(origin.address(), "1s", "");
    let mut silent = Peer::connect(&extra);
    let mut tunnel = switched(Peer::connect(&extra));
    gateway.stats_when("all are here", |stats| stats.total("connections_open") == 2);
    gateway.reload(&format!("{text}[listeners.other]\nbind = \"{extra}\"\n"));
    says(&mut tunnel, "b");
    tunnel.expect_closed();
    silent.expect_closed();
    says(&mut switched(Peer::connect(&extra)), "c");
}

/// The same for connections that are passed on as they are.
#[test]
fn a_tcp_listener_goes() {
    let origin = Origin::scripted(|peer, _| echo(peer));
    let (gateway, text, extra) = with_extra(origin.address(), "1s", "tcp = \"s\"");
    let mut tunnel = Peer::connect(&extra);
    says(&mut tunnel, "a");
    gateway.reload(&text);
    says(&mut tunnel, "b");
    tunnel.expect_closed();
    assert!(Socket::connect(&extra).is_err());
    until("its instance's end", || (origin.closed() == 1).then_some(()));
}

/// Terms that changed before it went, and that this connection has not seen.
#[test]
fn new_terms_and_then_gone() {
    let origin = Origin::named("o");
    let (gateway, text, extra) = with_extra(origin.address(), "30s", "");
    let mut client = Peer::connect(&extra);
    stays(&mut client, "/", "o GET /");
    let other = format!("{text}[listeners.extra]\nbind = \"127.0.0.1:0\"\nlimits.requests = 9\n");
    gateway.reload(&other);
    gateway.reload(&text);
    is_the_last(&mut client, "/", "o GET /");
}

/// One that goes and comes again is another one: those who came by the first are told to leave it.
#[test]
fn gone_and_there_again() {
    let origin = Origin::named("o");
    let (gateway, text, extra) = with_extra(origin.address(), "30s", "");
    let again = format!("{text}[listeners.extra]\nbind = \"{extra}\"\n");
    let mut client = Peer::connect(&extra);
    stays(&mut client, "/", "o GET /");
    for _ in 0..5 {
        gateway.reload(&text);
        assert!(Socket::connect(&extra).is_err());
        gateway.reload(&again);
        let mut next = Peer::connect(&extra);
        stays(&mut next, "/", "o GET /");
        is_the_last(&mut client, "/", "o GET /");
        client = next;
    }
}

/// Whoever has connected when it goes is answered, however little the worker had seen of him.
#[test]
fn who_has_come_is_served() {
    let origin = Origin::named("o");
    let text = config("", "", &[origin.address()]);
    let gateway = Setup::run(&text).start();
    let unix = format!("unix:{}", gateway.folder.path("extra.sock").display());
    for extra in ["127.0.0.1:0", &unix] {
        gateway.reload(&format!("{text}[listeners.extra]\nbind = \"{extra}\"\n"));
        let place = gateway.place("extra");
        // The worker sees nothing for a while: they wait in the socket's queue.
        let (mut seen, mut unseen) = (Peer::connect(&place), gateway.client());
        stays(&mut seen, "/", "o GET /");
        let before = gateway.stats().total("requests");
        unseen.send(get("/__hang"));
        gateway.stats_when("it hangs", |stats| stats.total("requests") > before);
        let mut waiting: Vec<_> = (0..8).map(|_| Peer::connect(&place)).collect();
        waiting.iter_mut().take(4).for_each(|client| {
            client.send(get("/"));
        });
        gateway.reload(&text);
        assert_eq!(unseen.response().text(), "o GET /__hang");
        let (spoken, silent) = waiting.split_at_mut(4);
        for client in spoken {
            let response = client.response();
            assert_eq!((response.status, response.closes()), (200, true));
            client.expect_end();
        }
        silent.iter_mut().for_each(|client| is_the_last(client, "/", "o GET /"));
        is_the_last(&mut seen, "/", "o GET /");
        assert!(Socket::connect(&place).is_err());
    }
}

/// A worker that dies while it lets a listener go leaves no socket that listens and that nobody accepts from.
#[cfg(feature = "chaos")]
#[test]
fn a_worker_dies_while_a_listener_goes() {
    let origin = Origin::named("o");
    let text = config("", "", &[origin.address()]);
    let gateway = Setup::run(&text).start();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let both = format!("{text}[listeners.other]\nbind = \"{port}\"\n");
    // As often as a worker may die, and a little less.
    for _ in 0..8 {
        gateway.reload(&both);
        stays(&mut Peer::connect(&port.to_string()), "/", "o GET /");
        let mut client = gateway.client();
        stays(&mut client, "/", "o GET /");
        gateway.reload(&text);
        client.send(get("/__panic_worker")).expect_closed();
        until("nobody listens there", || {
            let connected = std::net::TcpStream::connect_timeout(&port, Duration::from_secs(1));
            let refused = std::io::ErrorKind::ConnectionRefused;
            connected.is_err_and(|error| error.kind() == refused).then_some(())
        });
        stays(&mut gateway.client(), "/", "o GET /");
    }
}

/// A worker that dies when it has been told to stop, whenever that is, has stopped.
#[cfg(feature = "chaos")]
#[test]
fn a_worker_dies_while_it_stops() {
    let origin = Origin::named("o");
    let text = config("", "", &[origin.address()]);
    for _ in 0..4 {
        let mut gateway = Setup::run(&text).start();
        let mut client = gateway.client();
        stays(&mut client, "/", "o GET /");
        gateway.signal(Signal::TERM);
        gateway.says("stopping: ");
        client.send(get("/__panic_worker")).expect_closed();
        assert_eq!(gateway.wait().code(), Some(0));
        assert!(!gateway.messages().contains("did not stop in time"));
    }
}

/// Workers share a Unix socket. One that has died once closes it for itself, and not for the other, who is late.
#[cfg(feature = "chaos")]
#[test]
fn a_unix_socket_goes_while_a_worker_hangs() {
    let origin = Origin::named("o");
    let text = super::two_workers(&config("", "", &[origin.address()]));
    let gateway = Setup::run(&text).start();
    let path = gateway.folder.path("u.sock");
    gateway.reload(&format!("{text}[listeners.u]\nbind = \"unix:{}\"\n", path.display()));
    gateway.client().send(get("/__panic_worker")).expect_closed();
    let stats = gateway.stats_when("a death", |stats| stats.total("worker_deaths") == 1);
    let other = stats.each("worker_deaths").iter().position(|deaths| *deaths == 0).unwrap();
    let mut client = until("a connection to the other", || {
        let before = gateway.stats().each("requests")[other];
        let mut client = gateway.client();
        stays(&mut client, "/", "o GET /");
        let stats = gateway.stats_when("the request is counted", |stats| {
            stats.total("connections_idle") == stats.total("connections_open")
        });
        (stats.each("requests")[other] > before).then_some(client)
    });
    client.send(get("/__hang"));
    gateway.reload(&text);
    assert_eq!(client.response().text(), "o GET /__hang");
    stays(&mut client, "/", "o GET /");
    for _ in 0..8 {
        stays(&mut gateway.client(), "/", "o GET /");
    }
    assert_eq!(gateway.admin("GET", "/livez").text(), "ok\n");
}
