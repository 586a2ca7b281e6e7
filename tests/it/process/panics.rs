//! Panics: one ends its connection and nothing else; a worker that dies is made anew.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::harness::client::{Peer, get};
use crate::harness::clock::{until, within};
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::Origin;

const PANICS: u64 = 1_000;
const CONNECTIONS: usize = 100;
const THREADS: usize = 4;

#[test]
fn a_thousand_panics_fail_no_other_request() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    let (done, served) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let connect = |_| gateway.client();
                let mut clients: Vec<_> = (0..CONNECTIONS / THREADS).map(connect).collect();
                while !done.load(Ordering::SeqCst) {
                    for client in &mut clients {
                        client.allow(Duration::from_secs(20)).send(get("/fine"));
                    }
                    for client in &mut clients {
                        assert_eq!(client.response().text(), "o GET /fine");
                        served.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        let panicking = scope.spawn(|| {
            for _ in 0..PANICS {
                gateway.client().send(get("/__panic")).expect_closed();
            }
        });
        let outcome = panicking.join();
        done.store(true, Ordering::SeqCst);
        outcome.unwrap();
    });
    let stats = gateway.stats_when("every panic is counted", |s| s.total("panics") == PANICS);
    assert_eq!(stats.total("worker_deaths"), 0);
    println!("{PANICS} panics while {} requests were served", served.into_inner());
}

/// The connection that panicked takes its upstream connection along, and no descriptor stays.
#[test]
fn a_panic_leaves_nothing_open() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    assert_eq!(gateway.client().get("/").status, 200);
    for _ in 0..50 {
        gateway.client().send(get("/__panic")).expect_closed();
    }
    gateway.stats_when("all are closed", |stats| stats.total("connections_open") == 0);
    assert_eq!(gateway.client().get("/").status, 200);
}

#[test]
fn a_worker_that_dies_is_made_anew() {
    let origin = Origin::named("o");
    let text = config("", "", &[origin.address()]);
    let gateway = Setup::run(&text).start();
    assert_eq!(gateway.client().get("/").status, 200);
    gateway.client().send(get("/__panic_worker")).expect_closed();
    let died = Instant::now();
    let served = within(Duration::from_secs(2), || {
        let mut client = gateway.client();
        client.allow(Duration::from_millis(500)).try_send(get("/")).ok()?;
        client.try_response().ok()
    });
    let took = died.elapsed();
    println!("served again after {took:?}");
    assert_eq!(served.expect("served again").status, 200);
    // The aim is 100 ms; a busy machine may take longer to schedule us both.
    assert!(took < Duration::from_secs(1), "served again after {took:?}");
    gateway.stats_when("it is counted", |stats| stats.total("worker_deaths") == 1);
}

/// The other worker's connections do not notice.
#[test]
fn a_worker_dies_alone() {
    let origin = Origin::named("o");
    let text = config("", "", &[origin.address()]).replace("cores = 1", "");
    let gateway = Setup::run(&text).with(&["--workers", "2"]).start();
    let mut clients: Vec<Peer> = (0..32).map(|_| gateway.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    let before = gateway.stats().each("connections_open");
    assert_eq!(before.iter().sum::<u64>(), 32);
    gateway.client().send(get("/__panic_worker")).expect_closed();
    let stats = gateway.stats_when("a death", |stats| stats.total("worker_deaths") == 1);
    let dead = stats.each("worker_deaths").iter().position(|deaths| *deaths == 1).unwrap();
    let alive = clients
        .iter_mut()
        .filter_map(|client| {
            client.try_send(get("/")).ok().and_then(|()| client.try_response().ok())
        })
        .filter(|response| response.status == 200)
        .count();
    assert_eq!(alive as u64, before[1 - dead], "before the death of {dead}: {before:?}");
    until("both serve", || {
        let served: Vec<_> = (0..16).map(|_| gateway.client().get("/").status).collect();
        served.iter().all(|status| *status == 200).then_some(())
    });
}
