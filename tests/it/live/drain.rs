//! The end of a process: not ready, still accepting, then last answers, then nothing.

use rustix::process::Signal;

use super::{Slow, is_the_last, stays, two_workers};
use crate::harness::client::{Peer, get};
use crate::harness::clock::{PATIENCE, until};
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::Origin;
use crate::harness::socket::Socket;
use crate::harness::tunnel::{agreeing, echo, says, switched};

#[track_caller]
fn accepts_no_more(gateway: &Gateway) {
    until("it accepts no more", || Socket::connect(gateway.address()).is_err().then_some(()));
}

#[test]
fn not_ready_and_still_accepting_then_last_answers() {
    let slow = Slow::named("o");
    let text = two_workers(&config("", "", &[slow.address()]));
    let mut gateway = Setup::run(&text).instead("--drain-delay", "2s").start();
    let (mut idle, mut busy) = (gateway.client(), gateway.client());
    stays(&mut idle, "/", "o /");
    busy.send(get("/slow"));
    slow.arrived();
    gateway.signal(Signal::TERM);
    let draining = (503, "draining".to_owned());
    until("it is not ready", || (gateway.readiness() == draining).then_some(()));
    assert_eq!(gateway.admin("GET", "/livez").status, 200);
    gateway.says("not ready any more, accepting for another 2 s");
    // New ones and old ones are served as before.
    stays(&mut gateway.client(), "/", "o /");
    stays(&mut idle, "/", "o /");
    // Nothing is changed any more, and what can be seen can be seen.
    let said = gateway.refused(&["reload"]);
    assert!(said.contains("told to stop"), "{said}");
    assert_eq!(gateway.command(&["upgrade"]).code, Some(1));
    assert_eq!(gateway.view("/v1/status")["readiness"], "draining");
    gateway.signal(Signal::HUP);
    accepts_no_more(&gateway);
    assert_eq!(gateway.readiness(), draining);
    is_the_last(&mut idle, "/", "o /");
    assert!(!gateway.has_ended(), "a request is in flight");
    slow.answer();
    let response = busy.response();
    assert!(response.head.has_option("close"), "{}", response.head.text());
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(!gateway.messages().contains("reloaded"), "{}", gateway.messages());
    assert_eq!(gateway.command(&["status"]).code, Some(69));
}

#[test]
fn a_second_signal_leaves_at_once() {
    for (delay, second) in [("1h", Signal::TERM), ("0s", Signal::INT), ("1h", Signal::INT)] {
        let slow = Slow::named("o");
        let text = config("", "", &[slow.address()]);
        let mut gateway = Setup::run(&text).instead("--drain-delay", delay).start();
        let mut busy = gateway.client();
        busy.send(get("/slow"));
        slow.arrived();
        gateway.signal(Signal::TERM);
        gateway.says(if delay == "0s" { "stopping: 1 connections" } else { "told to stop" });
        assert!(!gateway.has_ended());
        gateway.signal(second);
        assert_eq!(gateway.wait().code(), Some(1));
        gateway.says("told to stop twice");
        busy.expect_closed();
        slow.answer();
    }
}

/// By hand: nobody waits for load balancers, nor for requests that may be on their way.
#[test]
fn sigint_does_not_wait() {
    let slow = Slow::named("o");
    let text = config("", "", &[slow.address()]);
    let mut gateway = Setup::run(&text).instead("--drain-delay", "1h").start();
    let (mut idle, mut busy) = (gateway.client(), gateway.client());
    stays(&mut idle, "/", "o /");
    busy.send(get("/slow"));
    slow.arrived();
    gateway.signal(Signal::INT);
    accepts_no_more(&gateway);
    slow.answer();
    let response = busy.response();
    assert_eq!((response.status, response.closes()), (200, true));
    idle.expect_end();
    assert_eq!(gateway.wait().code(), Some(0));
}

/// Clients that go on and on, and retry nothing: each ends by an answer that says so.
#[test]
fn under_load() {
    let origin = Origin::named("o");
    let text = two_workers(&config("", "", &[origin.address()]));
    let mut gateway = Setup::run(&text).start();
    let clients: Vec<Peer> = (0..32).map(|_| gateway.client()).collect();
    let served = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for mut client in clients {
            let served = &served;
            scope.spawn(move || {
                loop {
                    let response = client.allow(PATIENCE).get("/");
                    assert_eq!(response.status, 200);
                    served.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    if response.closes() {
                        return client.expect_end();
                    }
                }
            });
        }
        until("all are at it", || {
            (served.load(std::sync::atomic::Ordering::SeqCst) > 320).then_some(())
        });
        gateway.signal(Signal::TERM);
    });
    assert_eq!(gateway.wait().code(), Some(0));
}

/// Tunnels have as long as there is, and then they are cut, which is said.
#[test]
fn tunnels_hold_it_until_the_time_is_over() {
    let origin = agreeing(echo);
    let text =
        config("", "", &[origin.address()]).replace("cores = 1", "cores = 1\ndrain = \"1s\"");
    let mut gateway = Setup::run(&text).start();
    let mut tunnel = switched(gateway.client());
    says(&mut tunnel, "before");
    gateway.signal(Signal::TERM);
    accepts_no_more(&gateway);
    says(&mut tunnel, "while");
    tunnel.expect_closed();
    assert_eq!(gateway.wait().code(), Some(0));
    gateway.says("worker 0: 1 connections did not end in time and are cut");
}

/// How long a stop may take is what the configuration says when it begins.
#[test]
fn a_reload_changes_how_long_it_may_take() {
    let origin = agreeing(echo);
    let text = config("", "", &[origin.address()]);
    let mut gateway = Setup::run(&text).start();
    let mut tunnel = switched(gateway.client());
    gateway.reload(&text.replace("cores = 1", "cores = 1\ndrain = \"400ms\""));
    gateway.signal(Signal::TERM);
    gateway.says("0.4 s at most");
    tunnel.expect_closed();
    assert_eq!(gateway.wait().code(), Some(0));
}

/// A client in the middle of its request is in flight too.
#[test]
fn half_a_request() {
    let origin = Origin::named("o");
    let mut gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHo");
    gateway.stats_when("it is here", |stats| {
        stats.total("connections_open") == 1 && stats.total("connections_idle") == 0
    });
    gateway.signal(Signal::TERM);
    accepts_no_more(&gateway);
    assert!(!gateway.has_ended());
    client.send("st: a\r\n\r\n");
    let response = client.response();
    assert_eq!((response.status, response.closes()), (200, true));
    assert_eq!(gateway.wait().code(), Some(0));
}
