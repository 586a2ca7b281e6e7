//! Bars that are numbers: allocations and shared writes per request, sizes of futures.
//!
//! A worker runs in this process on a thread of its own, over real sockets, on both drivers; a counting allocator counts
//! what that thread allocates once everything is warm.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on says so by panicking"
)]
#![allow(clippy::print_stdout, reason = "the bars are read by people")]

mod allocator;
mod gateway;
mod origin;

use std::io::{Read, Write};
use std::net::TcpStream;

use coregate_data::proxy::{connection, exchange};
use coregate_data::worker::runtime::Wanted;
use coregate_data::world::World;

use crate::gateway::Gateway;

#[global_allocator]
static ALLOCATOR: allocator::Counting = allocator::Counting;

/// Requests before counting begins, and counted ones.
const WARM_UP: usize = 300;
const COUNTED: usize = 1_000;
/// Connections with a request in flight each, and how often.
const CLIENTS: usize = 64;
const ROUNDS: usize = 50;
const MOST_ROUNDS: usize = 1_000;

/// Sends `request` and reads as many bytes as the answer must have.
fn round_trip(client: &mut TcpStream, request: &[u8], answer: &mut [u8]) {
    client.write_all(request).unwrap();
    client.read_exact(answer).unwrap();
    let right = [b"HTTP/1.1 200 ", b"HTTP/1.1 307 "].iter().any(|start| answer.starts_with(*start));
    assert!(right, "{}", String::from_utf8_lossy(answer));
}

/// Reads one answer of unknown length, to learn it.
fn first_answer(client: &mut TcpStream, request: &[u8], ends_with: &[u8]) -> usize {
    client.write_all(request).unwrap();
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(ends_with) {
        client.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    answer.len()
}

fn steady_state(io: Wanted) {
    let gateway = Gateway::start(io, origin::start());
    let long = "x".repeat(100);
    let kinds: [(&str, String, &[u8]); 10] = [
        ("GET", "GET /length/128 HTTP/1.1\r\nHost: a\r\n\r\n".into(), b"endoflength"),
        (
            "GET of 20,000 bytes",
            "GET /length/20000 HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            b"endoflength",
        ),
        ("GET in chunks", "GET /chunked HTTP/1.1\r\nHost: a\r\n\r\n".into(), b"\r\n0\r\n\r\n"),
        (
            "POST",
            format!("POST /length/64 HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{long}"),
            b"endoflength",
        ),
        ("redirect", "GET /go/./x?q HTTP/1.1\r\nHost: a\r\n\r\n".into(), b"307}\n"),
        (
            "fixed response to a POST",
            format!("POST /own HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{long}"),
            b"endoflength",
        ),
        (
            "GET without a prefix, split",
            "GET /api/length/128 HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            b"endoflength",
        ),
        (
            "the same, not in normal form",
            "GET /api/./length/128?a|b HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            b"endoflength",
        ),
        (
            "GET with a key, limited twice",
            "GET /keyed/length/128 HTTP/1.1\r\nHost: a\r\nX-Api-Key: key-of-ann\r\n\r\n".into(),
            b"endoflength",
        ),
        (
            "GET under another path",
            "GET /as/length/128 HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            b"endoflength",
        ),
    ];
    for (name, request, ends_with) in &kinds {
        // A connection takes so many requests and no more.
        let mut client = gateway.connect();
        let length = first_answer(&mut client, request.as_bytes(), ends_with);
        let mut answer = vec![0; length];
        for _ in 0..WARM_UP {
            round_trip(&mut client, request.as_bytes(), &mut answer);
        }
        let (allocations, shared) = (allocator::counted(), gateway.stats().shared_writes.get());
        for _ in 0..COUNTED {
            round_trip(&mut client, request.as_bytes(), &mut answer);
        }
        let allocations = allocator::counted() - allocations;
        let shared = gateway.stats().shared_writes.get() - shared;
        println!(
            "bar: {name}, {io:?}: {allocations} allocations and {shared} shared writes in {COUNTED} requests"
        );
        assert_eq!((allocations, shared), (0, 0), "{name}, {io:?}");
    }
    many_at_once(&gateway, io, kinds[0].1.as_bytes());
    gateway.stop();
}

/// The same with requests in flight on many connections at once.
fn many_at_once(gateway: &Gateway, io: Wanted, request: &[u8]) {
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| gateway.connect()).collect();
    let length = first_answer(&mut clients[0], request, b"endoflength");
    let mut answer = vec![0; length];
    let mut round = |clients: &mut Vec<TcpStream>| {
        for client in clients.iter_mut() {
            client.write_all(request).unwrap();
        }
        for client in clients {
            client.read_exact(&mut answer).unwrap();
        }
    };
    // How many exchanges overlap is chance, so the free lists fill for a while; then nothing is allocated any more. Were it
    // one allocation in a thousand requests, there would be no such run of rounds.
    let shared = gateway.stats().shared_writes.get();
    let mut quiet = 0;
    let mut rounds = 0;
    while quiet < ROUNDS && rounds < MOST_ROUNDS {
        let before = allocator::counted();
        round(&mut clients);
        quiet = if allocator::counted() == before { quiet + 1 } else { 0 };
        rounds += 1;
    }
    let shared = gateway.stats().shared_writes.get() - shared;
    println!(
        "bar: {CLIENTS} at once, {io:?}: after {} rounds, 0 allocations and {shared} shared writes in {} requests",
        rounds - quiet,
        quiet * CLIENTS
    );
    assert_eq!((quiet, shared), (ROUNDS, 0), "{CLIENTS} at once, {io:?}");
}

/// One test, because the allocator counts for the whole process.
#[test]
fn a_request_allocates_nothing_and_shares_nothing() {
    steady_state(Wanted::Uring);
    steady_state(Wanted::Epoll);
}

#[test]
fn futures_are_small() {
    let (outer, inner) = (connection::future_size(), {
        let world = World::new(gateway::snapshot(&[])).unwrap();
        exchange::future_size(world.worker())
    });
    println!(
        "bar: outer connection future {outer} bytes (at most 256), exchange {inner} bytes (at most 2,048)"
    );
    assert!(outer <= 256, "the outer connection future has {outer} bytes");
    assert!(inner <= 2_048, "the exchange has {inner} bytes");
}
