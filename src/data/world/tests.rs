//! Whole exchanges in memory: what goes in on one side, and what comes out on the other, byte by byte.

use std::net::{Ipv4Addr, SocketAddr};

use coregate_core::base::limits;
use coregate_core::snapshot::compile::compile;
use coregate_core::snapshot::plan::Plan;

use super::*;
use crate::proxy::reject::Reject;

mod actions;
mod bulkheads;
mod ending;
mod mend;
mod outlier;
mod pace;
mod policies;
mod preface;
mod sweep;

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 2\r\n\r\nhi";
const RELAYED: &str =
    "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 2\r\nVia: 1.1 coregate\r\n\r\nhi";

fn address() -> Address {
    Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 9000)))
}

fn numbered(at: u16) -> Address {
    Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 9000 + at)))
}

fn world() -> World {
    world_on(|_| {})
}

/// A world on other terms.
fn world_on(change: impl FnOnce(&mut Plan)) -> World {
    let mut plan = Plan::to_instances(&[address()]);
    change(&mut plan);
    World::new(compile(&plan, 1).unwrap()).unwrap()
}

impl World {
    fn said(&self, end: &End, bytes: &str) {
        end.push(bytes.as_bytes());
        self.run();
    }
}

fn text(end: &End) -> String {
    String::from_utf8(end.take()).unwrap()
}

/// What the instance gets, without the lines that we add.
fn request_at(instance: &End) -> String {
    let text = text(instance);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let ours = ["X-Forwarded", "Via", "X-Request-Id"];
    let lines = head.split("\r\n").filter(|line| !ours.iter().any(|name| line.starts_with(name)));
    format!("{}\r\n\r\n{body}", lines.collect::<Vec<_>>().join("\r\n"))
}

#[test]
fn a_connection_serves_request_after_request() {
    let world = world();
    let (client, instance) = (world.client(), world.instance(&address()));
    for _ in 0..3 {
        world.said(&client, GET);
        assert_eq!(request_at(&instance), GET);
        world.said(&instance, OK);
        assert_eq!(text(&client), RELAYED);
    }
    assert_eq!((world.stats().requests.get(), world.stats().upstream_connects.get()), (3, 1));
    client.end();
    world.run();
    assert_eq!(world.stats().connections_open.get(), 0);
    assert_eq!(world.worker().slots.open_count(), 1, "the pooled connection's");
}

#[test]
fn a_request_may_come_byte_by_byte_and_so_may_its_answer() {
    let world = world();
    let (client, instance) = (world.client(), world.instance(&address()));
    for byte in GET.split_inclusive(|_| true) {
        assert_eq!(text(&instance), "");
        world.said(&client, byte);
    }
    assert_eq!(request_at(&instance), GET);
    for byte in OK.split_inclusive(|_| true) {
        world.said(&instance, byte);
    }
    assert_eq!(text(&client), RELAYED);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let world = world();
    let (client, instance) = (world.client(), world.instance(&address()));
    let post =
        "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    world.said(&client, &format!("{GET}{post}{GET}"));
    assert_eq!(request_at(&instance), GET);
    world.said(&instance, OK);
    assert_eq!(request_at(&instance), post);
    world.said(&instance, OK);
    assert_eq!(request_at(&instance), GET);
    world.said(&instance, OK);
    assert_eq!(text(&client), RELAYED.repeat(3));
}

#[test]
fn a_dead_pooled_connection_costs_one_retry_where_that_is_allowed() {
    let world = world();
    let (client, first, second) =
        (world.client(), world.instance(&address()), world.instance(&address()));
    world.said(&client, GET);
    world.said(&first, OK);
    assert_eq!(text(&client), RELAYED);
    world.said(&client, GET);
    first.end();
    world.run();
    assert_eq!(request_at(&second), GET);
    world.said(&second, OK);
    assert_eq!(text(&client), RELAYED);
    assert_eq!(world.stats().retries.get(), 1);

    world.said(&client, "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    second.end();
    world.run();
    assert!(text(&client).starts_with("HTTP/1.1 502 "));
    assert_eq!(world.stats().retries.get(), 1);
}

#[test]
fn an_answer_that_breaks_off_is_cut_not_ended() {
    let world = world();
    let (client, instance) = (world.client(), world.instance(&address()));
    world.said(&client, GET);
    world.said(
        &instance,
        "HTTP/1.1 200 OK\r\nDate: now\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
    );
    instance.end();
    world.run();
    let got = text(&client);
    assert!(got.ends_with("\r\n\r\n2\r\nhi\r\n"), "{got:?}");
    assert!(client.is_ended());
    assert_eq!(world.stats().rejected[Reject::UpstreamTruncated as usize].get(), 1);
}

#[test]
fn an_early_answer_ends_the_exchange_and_the_body_is_drained() {
    let world = world();
    let (client, instance) = (world.client(), world.instance(&address()));
    world.said(&client, "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    assert!(request_at(&instance).ends_with("\r\n\r\n12345"));
    world.said(&instance, OK);
    assert_eq!(text(&client), RELAYED);
    assert!(instance.is_ended(), "an instance that was not read out is not used again");
    let second = world.instance(&address());
    world.said(&client, &format!("67890{GET}"));
    assert_eq!(request_at(&second), GET);
}

#[test]
fn a_refused_request_never_reaches_an_instance() {
    let world = world();
    let (client, instance) = (world.client(), world.instance(&address()));
    world.said(
        &client,
        "GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    let answer = text(&client);
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    assert_eq!(text(&instance), "");
    assert_eq!(world.stats().upstream_connects.get(), 0);
}

#[test]
fn large_bodies_pass_in_bounded_memory() {
    let world = world();
    let (client, instance) = (world.client(), world.instance(&address()));
    let size = 8 << 20;
    world.said(&client, GET);
    let _ = instance.take();
    world.said(&instance, &format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n"));
    let piece = vec![b'x'; 100_000];
    let (mut sent, mut got) = (0, 0);
    while sent < size {
        let next = piece.len().min(size - sent);
        instance.push(&piece[..next]);
        sent += next;
        world.run();
        got += client.take().iter().filter(|byte| **byte == b'x').count();
    }
    world.run();
    got += client.take().len();
    assert_eq!(got, size);
    assert_eq!(world.stats().body_bytes_out.get(), size as u64);
}

#[test]
fn what_was_pipelined_behind_a_failed_exchange_is_answered() {
    let world = world();
    let (client, first, second) =
        (world.client(), world.instance(&address()), world.instance(&address()));
    world.said(&client, &format!("{GET}{GET}"));
    assert_eq!(request_at(&first), GET);
    world.said(&first, "not http\r\n\r\n");
    assert_eq!(request_at(&second), GET);
    world.said(&second, OK);
    let got = text(&client);
    assert!(got.starts_with("HTTP/1.1 502 ") && got.ends_with(RELAYED), "{got}");
}

#[test]
fn an_early_answer_to_a_client_that_waits_for_a_100_ends_the_connection() {
    let world = world();
    let (client, instance) = (world.client(), world.instance(&address()));
    world.said(
        &client,
        "POST /b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 30\r\n\r\n",
    );
    let _ = instance.take();
    world.said(&instance, OK);
    let got = text(&client);
    assert!(got.contains("\r\nConnection: close\r\n"), "{got}");
    world.said(&client, GET);
    client.end();
    world.run();
    assert_eq!(text(&client), "", "these may be bytes of the body");
    assert!(client.is_ended());
}

#[test]
fn bytes_behind_an_answer_end_its_connection_however_they_come() {
    let chunked = "HTTP/1.1 200 OK\r\nDate: now\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n";
    for (now, later) in [("", "0\r\n\r\nevil"), ("0\r\n\r\nevil", "")] {
        let world = world();
        let (client, instance) = (world.client(), world.instance(&address()));
        world.said(&client, GET);
        let _ = instance.take();
        world.said(&instance, &format!("{chunked}{now}"));
        world.said(&instance, later);
        let got = text(&client);
        assert!(got.ends_with("2\r\nhi\r\n0\r\n\r\n"), "{got:?}");
        assert!(instance.is_ended() && !client.is_ended());
        assert_eq!(world.stats().upstream_excess.get(), 1);
    }
}

#[test]
fn a_malformed_chunk_that_is_here_already_never_reaches_an_instance() {
    let world = world();
    let (client, instance) = (world.client(), world.instance(&address()));
    world.said(
        &client,
        "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n",
    );
    assert_eq!(text(&instance), "");
    assert!(text(&client).starts_with("HTTP/1.1 400 "));
}

#[test]
fn an_old_client_cannot_take_a_part_for_the_whole() {
    let world = world();
    let (client, instance) = (world.client(), world.instance(&address()));
    world.said(&client, "GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    let _ = instance.take();
    world.said(&instance, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
    instance.end();
    world.run();
    assert!(client.is_reset());
}

const SECOND: Duration = Duration::from_secs(1);
/// What a deadline may come late: it never comes early, so it is rounded up, and a tick more.
const SOON: Duration = Duration::from_millis(20);

/// The other side of `end` ends after this time, and not before.
#[track_caller]
fn ended_after(world: &World, end: &End, time: Duration) {
    world.later(time);
    assert!(!end.is_ended(), "ended within {time:?}");
    world.later(SOON);
    assert!(end.is_ended(), "not ended after {time:?}");
}

#[test]
fn a_slow_answer_to_a_body_is_no_slow_body() {
    let world = world_on(|plan| {
        plan.listeners[0].terms.body_timeout = SECOND;
        plan.services[0].timeout.body = SECOND;
    });
    let (client, instance) = (world.client(), world.instance(&address()));
    let post = "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
    for _ in 0..2 {
        world.said(&client, &format!("{post}ab"));
        world.said(&client, "cd");
        assert_eq!(request_at(&instance), format!("{post}abcd"));
        world.later(20 * SECOND);
        world.said(&instance, OK);
        assert_eq!(text(&client), RELAYED);
    }
}

#[test]
fn a_slow_client_is_not_the_instances_fault_nor_the_other_way_round() {
    let slow = |client_time: Duration, instance_time: Duration| {
        let world = world_on(|plan| {
            plan.listeners[0].terms.body_timeout = client_time;
            plan.services[0].timeout.body = instance_time;
            plan.services[0].timeout.first_byte = instance_time;
        });
        let (client, instance) = (world.client(), world.instance(&address()));
        world.said(&client, "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
        let _ = instance.take();
        world.later(5 * SECOND);
        text(&client)
    };
    assert_eq!(slow(60 * SECOND, SECOND), "", "the instance waits for nobody but the client");
    assert!(slow(SECOND, 60 * SECOND).starts_with("HTTP/1.1 408 "));
}

#[test]
fn a_drained_connection_keeps_no_deadline_of_its_drain() {
    let world = world();
    let (client, instance) = (world.client(), world.instance(&address()));
    world.said(&client, "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
    let _ = instance.take();
    world.said(&instance, OK);
    assert_eq!(text(&client), RELAYED);
    let second = world.instance(&address());
    world.said(&client, &format!("cd{GET}"));
    assert_eq!(request_at(&second), GET);
    world.later(30 * SECOND);
    world.said(&second, OK);
    assert_eq!(text(&client), RELAYED);
    world.said(&client, GET);
    assert_eq!(request_at(&second), GET);
}

#[test]
fn deadlines_come() {
    let world = world();
    let (idle, instance) = (world.client(), world.instance(&address()));
    world.run();
    ended_after(&world, &idle, 60 * SECOND);
    assert_eq!(text(&idle), "");
    let client = world.client();
    world.said(&client, GET);
    assert_eq!(request_at(&instance), GET);
    ended_after(&world, &instance, 60 * SECOND);
    assert!(text(&client).starts_with("HTTP/1.1 504 "));
    assert!(!client.is_ended());
}

#[test]
fn an_answer_that_we_cut_does_not_look_whole() {
    let world = world();
    let (client, instance) = (world.client(), world.instance(&address()));
    world.said(
        &client,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    );
    let _ = instance.take();
    world.said(&instance, "HTTP/1.1 200 OK\r\n\r\nAAAA");
    world.said(&client, "zz\r\n");
    let got = text(&client);
    assert!(got.ends_with("\r\n4\r\nAAAA\r\n"), "{got:?}");
    assert!(client.is_ended());
}

const POST: &str = "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";

/// The second head of a pipeline has a deadline of its own, which does not run while the first is answered.
#[test]
fn a_head_behind_an_answer_has_its_own_deadline() {
    for slow in [false, true] {
        let world = world();
        let (client, instance) = (world.client(), world.instance(&address()));
        world.said(&client, &format!("{GET}GET /a HT"));
        assert_eq!(request_at(&instance), GET);
        if slow {
            world.later(50 * SECOND);
        }
        world.said(&instance, OK);
        assert_eq!(text(&client), RELAYED);
        if slow {
            world.said(&client, "TP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(request_at(&instance), GET);
        } else {
            ended_after(&world, &client, 10 * SECOND);
            assert!(text(&client).starts_with("HTTP/1.1 408 "));
        }
    }
}

/// Wherever two reads split it, and whatever page it has reached by then.
#[test]
fn a_head_may_be_split_anywhere() {
    let around = |edge: usize| edge.saturating_sub(2).max(1)..edge + 3;
    for length in [600, 1_100, 4_200, 16_384] {
        let world = world();
        let (client, instance) = (world.client(), world.instance(&address()));
        let frame = "GET /a HTTP/1.1\r\nHost: a\r\nx: \r\n\r\n".len();
        let filler = "y".repeat(length - frame);
        let head = format!("GET /a HTTP/1.1\r\nHost: a\r\nx: {filler}\r\n\r\n");
        let edges = [1, 15, 17, 512, 1_024, 4_096, length - 2];
        for split in edges.into_iter().flat_map(around).filter(|split| *split < length) {
            world.said(&client, &head[..split]);
            assert_eq!(text(&instance), "", "{length} split at {split}");
            world.said(&client, &head[split..]);
            assert!(request_at(&instance) == head, "{length} split at {split}");
            world.said(&instance, OK);
            assert_eq!(text(&client), RELAYED);
        }
    }
}

#[test]
fn a_bare_line_feed_in_a_head_that_is_not_whole_is_refused_at_once() {
    for begun in ["GET / HTTP/1.1\n", "GET / HTTP/1.1\r\nHost: a\n", "\r\nGET / HTTP/1.1\nHost"] {
        let world = world();
        let client = world.client();
        for byte in begun.split_inclusive(|_| true) {
            world.said(&client, byte);
        }
        assert!(text(&client).starts_with("HTTP/1.1 400 "), "{begun:?}");
    }
}

const ASKS: &str =
    "GET /a HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
const SWITCHES: &str =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

/// A world with a tunnel in it: its client, its instance.
fn tunnel(idle: Duration) -> (World, End, End) {
    let world = world_on(|plan| plan.services[0].timeout.tunnel = idle);
    let (client, instance) = (world.client(), world.instance(&address()));
    world.said(&client, ASKS);
    let _ = instance.take();
    world.said(&instance, SWITCHES);
    assert!(text(&client).starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
    assert_eq!(world.stats().tunnels_open.get(), 1);
    (world, client, instance)
}

/// CVE-2026-2833.
#[test]
fn bytes_behind_an_upgrade_are_held_until_the_101() {
    for (early, more) in [("early ", ""), ("early ", "more"), ("", "more")] {
        let world = world();
        let (client, instance) = (world.client(), world.instance(&address()));
        world.said(&client, &format!("{ASKS}{early}"));
        assert_eq!(request_at(&instance), ASKS);
        world.said(&client, more);
        world.said(&instance, "HTTP/1.1 103 Early Hints\r\n\r\n");
        assert_eq!(text(&instance), "", "nothing goes before the 101");
        let _ = client.take();
        world.said(&instance, &format!("{SWITCHES}first"));
        let got = text(&client);
        assert!(got.starts_with("HTTP/1.1 101 ") && got.ends_with("\r\n\r\nfirst"), "{got:?}");
        assert_eq!(text(&instance), format!("{early}{more}"));
    }
}

#[test]
fn bytes_behind_an_upgrade_are_the_next_request_without_a_101() {
    let world = world();
    let (client, instance) = (world.client(), world.instance(&address()));
    world.said(&client, &format!("{ASKS}{GET}"));
    assert_eq!(request_at(&instance), ASKS);
    world.said(&instance, OK);
    assert_eq!(request_at(&instance), GET);
    world.said(&instance, OK);
    assert_eq!(text(&client), RELAYED.repeat(2));
}

#[test]
fn a_tunnel_in_which_nothing_moves_is_ended() {
    let (world, client, instance) = tunnel(100 * SECOND);
    for moving in [&client, &instance, &client] {
        world.later(99 * SECOND);
        world.said(moving, "x");
    }
    ended_after(&world, &client, 100 * SECOND);
    assert!(instance.is_ended());
    assert!(!client.is_reset() && !instance.is_reset());
    assert_eq!(world.stats().tunnels_open.get(), 0);
    assert_eq!(world.stats().connections_open.get(), 0);
}

/// Bytes that nobody takes are nothing that moves.
#[test]
fn a_tunnel_whose_peer_takes_nothing_is_ended() {
    let (world, client, instance) = tunnel(100 * SECOND);
    for _ in 0..40 {
        world.said(&client, &"x".repeat(64 * 1024));
    }
    ended_after(&world, &client, 100 * SECOND);
    assert!(instance.is_ended());
    assert_eq!(world.stats().tunnels_open.get(), 0);
}

#[test]
fn half_a_tunnel_is_a_tunnel() {
    for swapped in [false, true] {
        let (world, client, instance) = tunnel(100 * SECOND);
        let (first, second) = if swapped { (&instance, &client) } else { (&client, &instance) };
        world.said(first, "last words");
        first.end();
        world.run();
        assert_eq!(text(second), "last words");
        assert!(second.is_ended() && !first.is_ended());
        for _ in 0..3 {
            world.said(second, "still here");
            assert_eq!(text(first), "still here");
        }
        world.later(90 * SECOND);
        assert!(!first.is_ended(), "the half that is over is not waited for");
        second.end();
        world.run();
        assert!(first.is_ended() && !first.is_reset());
        assert_eq!(world.stats().tunnels_open.get(), 0);
        assert_eq!(world.stats().connections_open.get(), 0);
    }
}

/// A deadline shuts the stream down, but what came until then can still be read: it is late, and what follows it is our end,
/// not the peer's.
#[test]
fn what_comes_with_the_deadline_is_late() {
    let world = world();
    let (client, instance) = (world.client(), world.instance(&address()));
    world.said(&client, POST);
    world.later(10 * SECOND);
    client.push(b"x");
    world.later(SOON);
    assert!(text(&client).starts_with("HTTP/1.1 408 "));
    assert!(instance.is_ended());

    for version in ["1.1", "1.0"] {
        let world = self::world();
        let (client, instance) = (world.client(), world.instance(&address()));
        world.said(&client, &GET.replace("1.1", version));
        let _ = instance.take();
        world.said(&instance, "HTTP/1.1 200 OK\r\n\r\nAAAA");
        world.later(60 * SECOND);
        instance.push(b"BBBB");
        world.later(SOON);
        let got = text(&client);
        assert!(!got.ends_with("0\r\n\r\n"), "{got:?}");
        assert_eq!(client.is_reset(), version == "1.0", "it must not look whole: {got:?}");
        assert_eq!(world.stats().upstream_truncated.get(), 1);
    }
}
