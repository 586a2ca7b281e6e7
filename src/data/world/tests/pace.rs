//! How long clients may keep us waiting, to the tick: see `Pace`. A test of hours is over at once, because time is played.

use bytes::BytesMut;
use coregate_core::base::time::Tick;
use futures_util::FutureExt;

use super::*;

/// An account's first entry, and the most that it may hold.
const GRACE: Duration = limits::BODY_RATE_GRACE;
const MOST: Duration = limits::BODY_TIMEOUT;
const RATE: usize = limits::BODY_RATE as usize;

/// A body without an end, as far as these tests go.
const LONG: &str = "Content-Length: 100000000\r\n\r\n";

/// A client in the middle of a request's body.
fn uploading(world: &World) -> (End, End) {
    let (client, instance) = (world.client(), world.instance(&address()));
    world.said(&client, &format!("POST /b HTTP/1.1\r\nHost: a\r\n{LONG}"));
    assert!(text(&instance).contains("Content-Length: 100000000\r\n"));
    (client, instance)
}

/// A client that reads an answer's body as it likes. What its socket has room for counts as taken, so an account that
/// began with 256 KiB is full.
struct Downloading {
    client: End,
    instance: End,
    stream: Stream,
}

impl Downloading {
    fn new(world: &World) -> Self {
        let (client, instance) = (world.client(), world.instance(&address()));
        world.said(&client, GET);
        let _ = instance.take();
        instance.push(format!("HTTP/1.1 200 OK\r\n{LONG}").as_bytes());
        instance.push(&vec![b'y'; 30_000_000]);
        world.run();
        Self { stream: Stream::memory(client.clone()), client, instance }
    }

    /// The client takes so many bytes, if they are there.
    fn takes(&mut self, world: &World, bytes: usize) -> usize {
        let buf = BytesMut::with_capacity(bytes);
        let read = self.stream.reader.read_more(buf, bytes).now_or_never();
        world.run();
        read.map_or(0, |(length, _)| length.unwrap())
    }
}

fn is_408(client: &End) {
    let got = text(client);
    assert!(got.starts_with("HTTP/1.1 408 "), "{got:?}");
}

#[test]
fn a_byte_a_second_is_too_slow_in_either_direction() {
    let world = world();
    let (client, instance) = uploading(&world);
    for second in 1..=GRACE.as_secs() {
        world.later(SECOND);
        world.said(&client, "x");
        assert!(!client.is_ended(), "after {second} s");
        assert_eq!(text(&instance), "x");
    }
    world.later(SOON);
    is_408(&client);
    assert!(instance.is_ended(), "it must not take what it has for the whole");

    let world = self::world();
    let mut download = Downloading::new(&world);
    for second in 1..=MOST.as_secs() {
        world.later(SECOND);
        assert_eq!(download.takes(&world, 1), 1);
        assert!(!download.instance.is_ended(), "after {second} s");
    }
    // Sixty bytes have bought 58 ms.
    world.later(SOON + Duration::from_millis(60));
    assert!(download.instance.is_ended() && download.client.is_ended());
    assert_eq!(world.stats().client_aborts.get(), 1);
}

#[test]
fn twice_the_rate_goes_on_for_hours_in_either_direction() {
    const SECONDS: usize = 10_000;
    let world = world();
    let (client, instance) = uploading(&world);
    let piece = "x".repeat(2 * RATE);
    for second in 0..SECONDS {
        world.later(SECOND);
        world.said(&client, &piece);
        assert_eq!(instance.take().len(), piece.len(), "after {second} s");
    }
    assert!(!client.is_ended() && !instance.is_ended());

    let world = self::world();
    let mut download = Downloading::new(&world);
    for second in 0..SECONDS {
        world.later(SECOND);
        assert_eq!(download.takes(&world, 2 * RATE), 2 * RATE, "after {second} s");
    }
    assert!(!download.client.is_ended() && !download.instance.is_ended());
}

/// Whoever was fast for however long may not stop for longer than anyone.
#[test]
fn a_stop_after_a_fast_start_ends_in_time() {
    let world = world();
    let (client, instance) = uploading(&world);
    for _ in 0..900 {
        world.said(&client, &"x".repeat(RATE));
        let _ = instance.take();
    }
    ended_after(&world, &client, MOST);
    is_408(&client);

    let world = self::world();
    let download = Downloading::new(&world);
    ended_after(&world, &download.client, MOST);
    assert!(download.instance.is_ended());
}

/// 10 s to begin with, a second for each KiB, never more than 60 s.
#[test]
fn each_byte_buys_its_time() {
    for (kib, patience) in [(0, 10), (1, 11), (2, 12), (20, 30), (50, 60), (51, 60), (900, 60)] {
        let world = world();
        let (client, instance) = uploading(&world);
        for _ in 0..kib {
            world.said(&client, &"x".repeat(RATE));
            let _ = instance.take();
        }
        ended_after(&world, &client, patience * SECOND);
        is_408(&client);
    }
}

/// An answer that its client has taken next to nothing of: the one before it has filled its socket.
#[test]
fn the_grace_of_an_answer_that_is_not_taken() {
    let world = world();
    let (client, instance) = (world.client(), world.instance(&address()));
    world.said(&client, &GET.repeat(2));
    let _ = instance.take();
    // All but a little of the queue, so that the next head fits and its body does not.
    let filler = "z".repeat(255 * 1_024);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", filler.len());
    world.said(&instance, &format!("{head}{filler}"));
    assert_eq!(request_at(&instance), GET);
    let piece = "y".repeat(4 * 1_024);
    world.said(&instance, &format!("HTTP/1.1 200 OK\r\n{LONG}{piece}"));
    world.later(GRACE);
    assert!(!client.is_ended());
    // What did fit of the second answer, less than a KiB, has bought less than a second.
    world.later(SECOND);
    assert!(client.is_ended() && instance.is_ended());
}

/// `limits.body_rate = 0`: only the time between two pieces counts.
#[test]
fn no_rate_is_the_timeout_alone() {
    let world = world_on(|plan| plan.listeners[0].terms.body_rate = 0);
    let (client, instance) = uploading(&world);
    for _ in 0..100 {
        world.later(MOST - SECOND);
        world.said(&client, "x");
        assert_eq!(text(&instance), "x");
    }
    ended_after(&world, &client, MOST);
    is_408(&client);
}

/// The deadline of a head counts from its first byte, however many follow, and not from the connection's beginning.
#[test]
fn a_head_has_ten_seconds_from_its_first_byte() {
    for first in ["G", GET] {
        let world = world();
        let (client, instance) = (world.client(), world.instance(&address()));
        world.run();
        world.later(30 * SECOND);
        world.said(&client, first);
        if first == GET {
            world.said(&instance, OK);
            let _ = client.take();
            world.later(30 * SECOND);
            world.said(&client, "G");
        }
        let mut rest = "ET / HTTP/1.1\r\nHost: a\r\n".split_inclusive(|_| true);
        for _ in 0..limits::HEAD_TIMEOUT.as_secs() {
            world.later(SECOND);
            world.said(&client, rest.next().unwrap());
            assert_eq!(text(&client), "");
        }
        world.later(SOON);
        is_408(&client);
        assert!(client.is_ended());
    }
}

/// RFC 9110 §10.1.1: a client may wait for a 100, which is not its own doing; what it then sends is measured.
#[test]
fn waiting_for_a_100_is_not_held_against_the_client() {
    let expecting = POST.replace("Content-Length", "Expect: 100-continue\r\nContent-Length");
    let world = world();
    let (client, instance) = (world.client(), world.instance(&address()));
    world.said(&client, &expecting);
    let _ = instance.take();
    ended_after(&world, &client, MOST);
    is_408(&client);

    for trickles in [false, true] {
        let world = self::world();
        let (client, instance) = (world.client(), world.instance(&address()));
        world.said(&client, &expecting);
        let _ = instance.take();
        world.later(50 * SECOND);
        world.said(&instance, "HTTP/1.1 100 Continue\r\n\r\n");
        assert!(text(&client).starts_with("HTTP/1.1 100 Continue\r\n"));
        if trickles {
            // Its account is untouched when its first byte comes.
            world.later(GRACE);
            world.said(&client, "x");
            assert_eq!(text(&instance), "x");
        }
        ended_after(&world, &client, GRACE);
        is_408(&client);
    }
}

/// An instance that does not take a body keeps us waiting, not its client.
#[test]
fn waiting_for_the_instance_is_not_held_against_the_client() {
    let world = world_on(|plan| plan.services[0].timeout.body = 600 * SECOND);
    let (client, instance) = uploading(&world);
    let size = 900_000;
    world.said(&client, &"x".repeat(size));
    world.later(500 * SECOND);
    assert!(!client.is_ended());
    let mut got = 0;
    while got < size {
        got += instance.take().len();
        world.run();
    }
    ended_after(&world, &client, MOST);
    is_408(&client);
}

/// The other way round: an instance that pauses takes nothing from the account of a client that reads.
#[test]
fn an_instance_that_pauses_is_not_held_against_the_client() {
    let world = world();
    let (client, instance) = (world.client(), world.instance(&address()));
    world.said(&client, GET);
    let _ = instance.take();
    world.said(&instance, &format!("HTTP/1.1 200 OK\r\n{LONG}"));
    for _ in 0..100 {
        world.later(MOST - SECOND);
        world.said(&instance, "y");
        assert!(text(&client).ends_with('y'));
    }
    assert!(!client.is_ended());
    ended_after(&world, &instance, MOST);
    assert_eq!(world.stats().upstream_truncated.get(), 1);
}

/// Time is played: it moves by what it is told to, and the `Date` with it.
#[test]
fn time_passes_as_it_is_told_to() {
    let world = world();
    let clock = &world.worker().clock;
    let (start, wall) = (clock.refresh(), clock.wall());
    for hours in 1..=10 {
        world.later(3600 * SECOND);
        assert_eq!(clock.refresh(), Tick(start.0 + hours * 360_000));
        assert_eq!(clock.wall(), wall + hours * 3600 * SECOND);
    }
}
