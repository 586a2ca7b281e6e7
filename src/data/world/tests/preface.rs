//! What stands before the first request, and connections that are passed on as they are, to the tick.

use coregate_core::proxy_protocol::ProxyVersion;
use coregate_core::snapshot::plan::TrustedPeers;

use super::*;
use crate::transport::memory::CAPACITY;

const HEADER: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n";

/// A world whose clients are proxies that must say whom they speak for.
fn trusting(change: impl FnOnce(&mut Plan)) -> World {
    world_on(|plan| {
        let networks = vec!["10.0.0.0/8".parse().unwrap()];
        plan.listeners[0].proxy_protocol = Some(TrustedPeers { networks, unix: false });
        change(plan);
    })
}

/// From the connection's beginning, whatever of the header has come.
#[test]
fn a_header_has_the_time_of_a_head() {
    for trickles in [false, true] {
        let world = trusting(|_| {});
        let client = world.client();
        world.run();
        let mut bytes = HEADER.split_inclusive(|_| true);
        for _ in 0..limits::HEAD_TIMEOUT.as_secs() {
            if trickles {
                world.said(&client, bytes.next().unwrap());
            }
            world.later(SECOND);
            assert!(!client.is_ended());
        }
        world.later(SOON);
        assert!(client.is_ended());
        assert_eq!(text(&client), "");
        assert_eq!(world.stats().proxy_header_errors.get(), 1);
        assert_eq!(world.stats().connections_open.get(), 0);
    }
}

/// A header in time, and a head with a time of its own behind it, though both begin in one piece.
#[test]
fn a_head_behind_a_header_has_its_own_time() {
    let world = trusting(|_| {});
    let client = world.client();
    world.run();
    world.later(9 * SECOND);
    world.said(&client, &format!("{HEADER}GET / HT"));
    ended_after(&world, &client, limits::HEAD_TIMEOUT);
    assert!(text(&client).starts_with("HTTP/1.1 408 "));
    assert_eq!(world.stats().proxy_header_errors.get(), 0);

    let client = world.client();
    world.said(&client, HEADER);
    ended_after(&world, &client, limits::IDLE_TIMEOUT);
    assert_eq!(text(&client), "");
}

/// A connection that has named its client is closed by the first sweep after that client has gone.
#[test]
fn a_connection_that_has_named_its_client_goes_with_it() {
    let world = trusting(|plan| plan.services[0].proxy_protocol = Some(ProxyVersion::V1));
    let (client, instance) = (world.client(), world.instance(&address()));
    world.said(&client, &format!("{HEADER}{GET}"));
    assert!(text(&instance).starts_with(&format!("{HEADER}GET /a HTTP/1.1\r\n")));
    world.said(&instance, OK);
    assert_eq!(text(&client), RELAYED);
    assert_eq!(world.sweep(), 1, "kept for its client");
    world.said(&client, GET);
    assert!(text(&instance).starts_with("GET /a HTTP/1.1\r\n"), "the header stands once");
    world.said(&instance, OK);
    client.end();
    world.run();
    assert!(!instance.is_ended());
    assert_eq!(world.sweep(), 0);
    assert!(instance.is_ended());
    assert_eq!(world.worker().slots.open_count(), 0);
}

/// A tunnel lasts as long as anything moves, either way.
#[test]
fn a_tcp_route_in_which_nothing_moves_is_ended() {
    let world = tcp_world(100 * SECOND);
    let (client, instance) = (world.client(), world.instance(&address()));
    world.run();
    for (from, to) in [(&instance, &client), (&client, &instance)].into_iter().cycle().take(20) {
        world.later(99 * SECOND);
        world.said(from, "GET /a HT");
        assert_eq!(text(to), "GET /a HT");
    }
    ended_after(&world, &client, 100 * SECOND);
    assert!(instance.is_ended() && !client.is_reset());
    assert_eq!(world.stats().connections_open.get(), 0);
}

fn tcp_world(tunnel: Duration) -> World {
    world_on(|plan| {
        plan.listeners[0].tcp = Some(plan.services[0].name.clone());
        plan.services[0].timeout.tunnel = tunnel;
    })
}

/// What a client does not take is not said to be all that there is.
#[test]
fn a_tunnel_that_is_cut_in_the_middle_is_reset() {
    let world = tcp_world(100 * SECOND);
    let (client, instance) = (world.client(), world.instance(&address()));
    world.run();
    instance.push(&vec![b'x'; 2 * CAPACITY]);
    instance.end();
    world.run();
    ended_after(&world, &client, 100 * SECOND);
    assert!(client.is_reset(), "it has not taken everything");
    assert_eq!(world.worker().slots.open_count(), 0);
}

/// A client that says no more and waits for the instance's last words looks like one that left.
#[test]
fn a_tunnel_half_of_which_has_ended_does_not_wait_as_long() {
    let world = tcp_world(10_000 * SECOND);
    let (client, instance) = (world.client(), world.instance(&address()));
    world.run();
    client.end();
    world.run();
    assert!(instance.is_ended());
    world.later(299 * SECOND);
    world.said(&instance, "GET /a HT");
    assert_eq!(text(&client), "GET /a HT");
    ended_after(&world, &client, limits::TUNNEL_HALF_CLOSED);
    assert_eq!(world.worker().slots.open_count(), 0);
}
