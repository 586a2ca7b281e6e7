//! How many connections a listener, and an address, may have: exactly that many, whoever serves them; and none is ever lost.

use super::reason;
use crate::harness::client::{Peer, get};
use crate::harness::clock::until;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::origin::Origin;

/// So many workers, a listener with these lines, and another without limits.
#[track_caller]
fn gateway(workers: usize, lines: &str, origin: &Origin) -> Gateway {
    Setup::run(&config(workers, lines, origin)).start()
}

fn config(workers: usize, lines: &str, origin: &Origin) -> String {
    format!(
        "[runtime]\ncores = {workers}\n\
         [listeners.default]\nbind = \"127.0.0.1:0\"\nexpose_reasons = true\n{lines}\n\
         [listeners.other]\nbind = \"127.0.0.1:0\"\n\
         [services.s]\ninstances = [{:?}]\n\
         [routes]\n\"/*\" = \"s\"\n",
        origin.address()
    )
}

#[track_caller]
fn is_served(client: &mut Peer) {
    assert_eq!(client.get("/").status, 200);
}

/// It is told why, before it has said anything, and closed.
#[track_caller]
fn is_turned_away(mut client: Peer, why: &str) {
    assert_eq!(reason(&client.response()), (503, Some(why)));
    client.expect_closed();
}

/// There is room for one more, sooner or later.
#[track_caller]
fn one_more(gateway: &Gateway) -> Peer {
    until("there is room for one more", || {
        let mut client = gateway.client();
        client.try_send(get("/")).ok()?;
        let response = client.try_response().ok()?;
        (response.status == 200).then_some(client)
    })
}

/// So many come at once, and stay until all know what became of them; how many were served.
fn crowd(gateway: &Gateway, count: usize) -> Vec<Peer> {
    let mut all: Vec<Peer> = (0..count).map(|_| gateway.client()).collect();
    all.retain_mut(|client| {
        client.try_send(get("/")).is_ok()
            && client.try_response().is_ok_and(|response| response.status == 200)
    });
    all
}

#[test]
fn an_address_has_no_more_than_its_limit_whoever_serves_it() {
    let origin = Origin::named("o");
    for workers in [1, 2] {
        let gateway = gateway(workers, "limits.connections_per_address = 5", &origin);
        let mut served = crowd(&gateway, 40);
        assert_eq!(served.len(), 5, "{workers} workers");
        is_turned_away(gateway.client(), "too_many_of_address");
        // The other listener counts for itself, and not at all.
        let other = gateway.addresses_of("other")[0].to_owned();
        let mut others: Vec<_> = (0..10).map(|_| Peer::connect(&other)).collect();
        others.iter_mut().for_each(is_served);
        served.iter_mut().for_each(is_served);
        served.pop();
        served.push(one_more(&gateway));
        is_turned_away(gateway.client(), "too_many_of_address");
        served.iter_mut().for_each(is_served);
        let stats = gateway.stats();
        assert!(stats.total("connections_limited") >= 37);
        assert_eq!(
            (stats.total("connections_refused"), stats.total("address_counts_shared")),
            (0, 0)
        );
    }
}

#[test]
fn a_listener_has_no_more_than_its_limit() {
    let origin = Origin::named("o");
    for workers in [1, 2] {
        let lines = "limits = { connections = 7, connections_per_address = 9 }";
        let gateway = gateway(workers, lines, &origin);
        let mut served = crowd(&gateway, 30);
        assert_eq!(served.len(), 7, "{workers} workers");
        is_turned_away(gateway.client(), "listener_full");
        is_served(&mut Peer::connect(gateway.addresses_of("other")[0]));
        served.truncate(5);
        served.extend([one_more(&gateway), one_more(&gateway)]);
        is_turned_away(gateway.client(), "listener_full");
    }
}

/// Where nobody speaks HTTP nobody is answered.
#[test]
fn a_tcp_route_closes_what_is_too_much() {
    let origin = Origin::named("o");
    let gateway = gateway(1, "", &origin);
    let lines = "tcp = \"s\"\nlimits = { connections = 3, connections_per_address = 2 }";
    let text = config(1, lines, &origin).replace("expose_reasons = true\n", "");
    gateway.reload(&text);
    let mut served = crowd(&gateway, 2);
    assert_eq!(served.len(), 2);
    gateway.client().expect_closed();
    served.iter_mut().for_each(is_served);
    drop(served);
    drop(one_more(&gateway));
}

/// The client is who the PROXY protocol says; IPv6 clients are told apart by their /64. The peer itself is nobody.
#[test]
fn the_address_is_the_one_that_the_proxy_protocol_says() {
    let origin = Origin::named("o");
    let lines = "limits.connections_per_address = 2\nproxy_protocol.from = [\"127.0.0.1\"]";
    for workers in [1, 2] {
        let gateway = gateway(workers, lines, &origin);
        let come = |header: &str| {
            let mut client = gateway.client();
            client.send(format!("PROXY {header}\r\n"));
            client
        };
        let served = |header: &str| {
            let mut client = come(header);
            is_served(&mut client);
            client
        };
        let (one, other) = ("TCP4 192.0.2.7 127.0.0.1 1 80", "TCP4 192.0.2.8 127.0.0.1 1 80");
        let near = ["TCP6 2001:db8::1 ::1 1 80", "TCP6 2001:db8::ffff:2 ::1 1 80"];
        let mut all: Vec<_> = [one, one, other, near[0], near[1]].map(served).into();
        is_turned_away(come(one), "too_many_of_address");
        is_turned_away(come("TCP6 2001:db8::3 ::1 1 80"), "too_many_of_address");
        all.extend([other, "TCP6 2001:db8:0:1::1 ::1 1 80"].map(served));
        all.extend((0..4).map(|_| served("UNKNOWN")));
        all.iter_mut().for_each(is_served);
    }
}

/// A limit that is set counts those that come from then on; one that is lowered closes none.
#[test]
fn limits_change_while_connections_are_open() {
    let origin = Origin::named("o");
    let text = |lines| config(1, lines, &origin);
    let gateway = Setup::run(&text("")).start();
    let mut uncounted = crowd(&gateway, 3);
    gateway.reload(&text("limits.connections_per_address = 4"));
    let mut counted = crowd(&gateway, 6);
    assert_eq!(counted.len(), 4);
    gateway.reload(&text("limits.connections_per_address = 2"));
    uncounted.iter_mut().chain(&mut counted).for_each(is_served);
    counted.truncate(2);
    uncounted.clear();
    until("those have gone", || (gateway.stats().total("connections_open") == 2).then_some(()));
    is_turned_away(gateway.client(), "too_many_of_address");
    gateway.reload(&text(""));
    assert_eq!(crowd(&gateway, 5).len(), 5);
    drop(counted);
    gateway.reload(&text("limits.connections_per_address = 2"));
    let again = [one_more(&gateway), one_more(&gateway)];
    is_turned_away(gateway.client(), "too_many_of_address");
    drop(again);
}

#[test]
fn panics_resets_and_dying_workers_lose_none() {
    let origin = Origin::named("o");
    let lines = "limits = { connections = 8, connections_per_address = 6 }";
    let gateway = gateway(2, lines, &origin);
    for round in 0..50 {
        let mut clients: Vec<Peer> = (0..5).map(|_| gateway.client()).collect();
        for (at, client) in clients.iter_mut().enumerate() {
            let path = if (at + round) % 3 == 0 { "/__panic" } else { "/a" };
            let _ = client.try_send(get(path));
        }
        let _ = clients[3].try_response();
        clients.iter_mut().step_by(2).for_each(Peer::reset_on_close);
    }
    let stats = gateway.stats_when("some have panicked", |stats| stats.total("panics") > 20);
    assert_eq!(stats.total("worker_deaths"), 0);
    let all_are_free = |gateway: &Gateway| {
        until("all are gone", || (gateway.stats().total("connections_open") == 0).then_some(()));
        let served: Vec<Peer> = (0..6).map(|_| one_more(gateway)).collect();
        is_turned_away(gateway.client(), "too_many_of_address");
        served
    };
    let mut held = all_are_free(&gateway);
    // All of those of one worker go with it.
    held[0].send(get("/__panic_worker")).expect_closed();
    gateway.stats_when("a worker has died", |stats| stats.total("worker_deaths") == 1);
    drop(held);
    all_are_free(&gateway);
}

/// Connections of a process that is on its way out count until they end.
#[test]
fn two_processes_share_a_limit() {
    let origin = Origin::named("o");
    let mut gateway = gateway(1, "limits.connections_per_address = 3", &origin);
    let mut old = gateway.client();
    old.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na");
    until("it is there", || (gateway.stats().total("requests") == 1).then_some(()));
    gateway.upgrade();
    let new = [one_more(&gateway), one_more(&gateway)];
    is_turned_away(gateway.client(), "too_many_of_address");
    old.send("b");
    assert_eq!(old.response().status, 200);
    old.expect_end();
    let _third = one_more(&gateway);
    is_turned_away(gateway.client(), "too_many_of_address");
    drop(new);
}

/// What a process held that was killed is given back.
#[test]
fn a_process_that_was_killed_holds_nothing() {
    let origin = Origin::named("o");
    let mut gateway =
        gateway(1, "limits = { connections = 2, connections_per_address = 2 }", &origin);
    let mut old = gateway.client();
    old.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na");
    until("it is there", || (gateway.stats().total("requests") == 1).then_some(()));
    let first = gateway.pid();
    gateway.upgrade();
    let one = one_more(&gateway);
    is_turned_away(gateway.client(), "listener_full");
    let pid = rustix::process::Pid::from_raw(first as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let two = one_more(&gateway);
    is_turned_away(gateway.client(), "listener_full");
    drop((one, two));
}
