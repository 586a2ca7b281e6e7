//! Starting once, stopping gently, and saying what was counted.

use std::sync::{Mutex, mpsc};

use rustix::process::Signal;

use crate::harness::client::{get, post_chunked};
use crate::harness::clock::{PATIENCE, until};
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::{Origin, Reply};
use crate::harness::process::Stats;
use crate::harness::socket::Socket;

#[test]
fn a_second_start_says_that_the_address_is_in_use() {
    let origin = Origin::named("o");
    let first = Gateway::before(&[origin.address()]);
    let text = config("", "", &[origin.address()]).replace("127.0.0.1:0", first.address());
    let second = Setup::run(&text).output();
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.messages.to_lowercase().contains("address in use"), "{second:?}");
    assert!(second.messages.contains(first.address()), "it names the address: {second:?}");
    for _ in 0..20 {
        assert_eq!(first.client().get("/").status, 200, "the first gets every connection");
    }
}

#[test]
fn an_address_is_free_again_after_the_end() {
    let origin = Origin::named("o");
    let mut first = Gateway::before(&[origin.address()]);
    let mut held = first.client();
    assert_eq!(held.get("/").status, 200);
    let text = config("", "", &[origin.address()]).replace("127.0.0.1:0", first.address());
    first.signal(Signal::TERM);
    assert_eq!(first.wait().code(), Some(0));
    let second = Setup::run(&text).start();
    assert_eq!(second.client().get("/").status, 200);
}

/// A Unix socket whose owner is gone is no obstacle; one whose owner lives is.
#[test]
fn a_left_behind_unix_socket() {
    let origin = Origin::named("o");
    let folder = crate::harness::gateway::Folder::new();
    let path = folder.path("g.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let address = format!("unix:{}", path.display());
    let text = config("", "", &[origin.address()]).replace("127.0.0.1:0", &address);
    let gateway = Setup::run(&text).start();
    assert_eq!(gateway.address(), address);
    assert_eq!(gateway.client().get("/").status, 200);
    let second = Setup::run(&text).output();
    assert_eq!(second.code, Some(1), "{second:?}");
    assert_eq!(gateway.client().get("/").status, 200);
}

fn stops_gently(signal: Signal) {
    let (arrived, arrivals) = mpsc::channel();
    let (answer, answers) = mpsc::channel::<()>();
    let answers = Mutex::new(answers);
    let origin = Origin::serving(move |request| {
        if request.target != "/slow" {
            return Reply::ok("quick");
        }
        arrived.send(()).unwrap();
        answers.lock().unwrap().recv_timeout(2 * PATIENCE).unwrap();
        Reply::ok("slow")
    });
    // More workers than connections: one with nothing to do must not go on listening either.
    let text = config("", "", &[origin.address()]).replace("cores = 1", "cores = 1\nworkers = 4");
    let mut gateway = Setup::run(&text).start();
    let mut idle = gateway.client();
    assert_eq!(idle.get("/").status, 200);
    let mut busy = gateway.client();
    busy.send(get("/slow"));
    let mut sending = gateway.client();
    sending.send(post_chunked("/body")).send("5\r\nhello\r\n");
    arrivals.recv_timeout(PATIENCE).unwrap();
    gateway.stats_when("the body's connection is there", |s| s.total("connections_open") == 3);

    gateway.signal(signal);
    until("it stops accepting", || Socket::connect(gateway.address()).is_err().then_some(()));
    assert!(!gateway.has_ended(), "requests are in flight");
    answer.send(()).unwrap();
    assert_eq!(busy.response().text(), "slow");
    busy.expect_closed();
    assert_eq!(sending.send("0\r\n\r\n").response().text(), "quick");
    idle.expect_closed();
    assert_eq!(gateway.wait().code(), Some(0));
    let stats = Stats::read(&gateway.folder.path("stats.json")).expect("written at the end");
    assert_eq!(stats.total("requests"), 3);
}

#[test]
fn sigterm_finishes_what_is_in_flight() {
    stops_gently(Signal::TERM);
}

#[test]
fn sigint_does_too() {
    stops_gently(Signal::INT);
}

#[test]
fn a_gateway_without_connections_ends_at_once() {
    let mut gateway = Gateway::before(&["127.0.0.1:1"]);
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait().code(), Some(0));
}

#[test]
fn counters_of_each_worker_and_in_total() {
    let origin = Origin::named("o");
    let text = config("", "", &[origin.address()]).replace("cores = 1", "");
    let gateway = Setup::run(&text).with(&["--workers", "2"]).start();
    for at in 0..30 {
        let target = if at % 3 == 0 { "/%00" } else { "/" };
        gateway.client().get(target);
    }
    let stats = gateway.stats_when("30 requests", |stats| {
        stats.total("responses_2xx") == 20 && stats.total("rejected.bad_request") == 10
    });
    assert_eq!(stats.each("connections_accepted").len(), 2);
    for name in ["requests", "connections_accepted", "upstream_connects", "responses_2xx"] {
        assert_eq!(stats.each(name).iter().sum::<u64>(), stats.total(name), "{name}");
    }
    assert_eq!(stats.total("connections_accepted"), 30);
    assert_eq!(stats.total("panics"), 0);
    assert_eq!(stats.total("accept_emfile"), 0);
}

/// Connections cost writes to what workers share (the permit); requests cost none.
#[cfg(feature = "chaos")]
#[test]
fn plain_requests_write_nothing_that_is_shared() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    let mut after = |requests: u64| {
        while origin.take().is_empty() || gateway.stats().total("requests") < requests {
            assert_eq!(client.get("/").status, 200);
        }
        gateway.stats().total("shared_writes")
    };
    let first = after(1);
    let then = after(500);
    println!("{first} shared writes for a connection, {} for 500 requests on it", then - first);
    assert_eq!(then, first);
}
