//! Bulkheads: how many requests are in flight, counted at the origin; who waits, in which order; that no permit is ever lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use coregate_strict::Request;

use super::{ANN, BOB, ask, gateway, get, metric, reason, with_key};
use crate::harness::client::Peer;
use crate::harness::clock::until;
use crate::harness::gateway::Gateway;
use crate::harness::origin::{Origin, Reply};

const IN_FLIGHT: &str = "coregate_requests_in_flight{service=\"s\"}";
const WAITING: &str = "coregate_requests_waiting{service=\"s\"}";

/// How many requests an origin has at once, and the most that these ever were.
#[derive(Default)]
struct Crowd {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Crowd {
    fn serve(&self, time: Duration) -> Reply {
        self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        sleep(time);
        self.now.fetch_sub(1, Ordering::SeqCst);
        Reply::ok("")
    }

    fn origin(self: &Arc<Self>) -> Origin {
        let crowd = Arc::clone(self);
        Origin::serving(move |_| crowd.serve(Duration::from_millis(3)))
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

/// So many clients that ask so often, one request after another; how many were answered with 200.
fn load(gateway: &Gateway, clients: usize, requests: usize) -> usize {
    let served = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut client = gateway.client();
                for _ in 0..requests {
                    let response = ask(&mut client, get("/", ""));
                    match reason(&response) {
                        (200, _) => drop(served.fetch_add(1, Ordering::SeqCst)),
                        (503, Some("bulkhead_full")) => {}
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
    });
    served.into_inner()
}

#[track_caller]
fn is_empty(gateway: &Gateway) {
    until("nothing is in flight", || {
        (metric(gateway, IN_FLIGHT) == 0 && metric(gateway, WAITING) == 0).then_some(())
    });
}

#[test]
fn no_more_than_the_limit_whoever_serves_them() {
    for workers in [1, 2] {
        let crowd = Arc::<Crowd>::default();
        let origin = crowd.origin();
        let lines =
            "bulkhead = { service = 5, queue = 50, wait = \"10s\" }\n[routes]\n\"/*\" = \"s\"";
        let gateway = gateway(workers, &origin, lines);
        assert_eq!(load(&gateway, 24, 50), 24 * 50, "{workers} workers: all wait, none is late");
        assert_eq!(crowd.most(), 5, "{workers} workers");
        is_empty(&gateway);
    }
}

#[test]
fn no_more_than_the_limit_at_any_instance() {
    let crowds = [(); 2].map(|()| Arc::<Crowd>::default());
    let origins = crowds.each_ref().map(Crowd::origin);
    let gateway = gateway(
        2,
        &origins[0],
        &format!(
            "bulkhead = {{ instance = 3, queue = 2 }}\n\
             [services.t]\nextends = \"s\"\ninstances = [{:?}, {:?}]\n[routes]\n\"/*\" = \"t\"",
            origins[0].address(),
            origins[1].address()
        ),
    );
    let served = load(&gateway, 24, 50);
    assert_eq!(crowds.each_ref().map(|crowd| crowd.most()), [3, 3], "{served} served");
    until("nothing is in flight", || {
        (metric(&gateway, "coregate_requests_in_flight{service=\"t\"}") == 0).then_some(())
    });
}

/// An origin that answers once it is told to, and what came to it.
fn held() -> (Origin, Arc<AtomicBool>) {
    let open = Arc::<AtomicBool>::default();
    let gate = Arc::clone(&open);
    let origin = Origin::serving(move |request: &Request| {
        while !gate.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(1));
        }
        Reply::ok(&request.target)
    });
    (origin, open)
}

#[test]
fn who_matters_more_is_served_first_and_the_rest_is_refused() {
    let (origin, open) = held();
    let lines = "bulkhead = { service = 1, queue = 3, wait = \"20s\", priority = { gold = \"high\", tin = \"low\" } }\n\
                 [consumers.cat]\nkeys = [{ env = \"CAT_KEY\" }]\ngroups = [\"tin\"]\n\
                 [routes]\n\"/*\" = { to = \"s\", auth = \"key\" }";
    const CAT: &str = "key-of-cat-0123456789";
    let gateway = super::gateway_with(1, &origin, lines, &[("CAT_KEY", CAT)]);
    let asking = |path: &str, key: &str, waiting: u64| {
        let mut client = gateway.client();
        client.send(with_key(path, key));
        until("it waits", || (metric(&gateway, WAITING) == waiting).then_some(()));
        client
    };
    let first = asking("/first", BOB, 0);
    until("it is there", || (metric(&gateway, IN_FLIGHT) == 1).then_some(()));
    let mut low = asking("/low", CAT, 1);
    let lower = asking("/lower", CAT, 2);
    let normal = asking("/normal", BOB, 3);
    // The queue is full: the oldest of the lowest makes room.
    let high = asking("/high", ANN, 3);
    assert_eq!(reason(&low.response()), (503, Some("bulkhead_full")));
    let mut lowest = gateway.client();
    assert_eq!(reason(&ask(&mut lowest, with_key("/lowest", CAT))), (503, Some("bulkhead_full")));
    open.store(true, Ordering::SeqCst);
    for mut client in [first, normal, high, lower] {
        assert_eq!(client.response().status, 200);
    }
    let order: Vec<_> = origin.take().into_iter().map(|request| request.target).collect();
    assert_eq!(order, ["/first", "/high", "/normal", "/lower"]);
    let refused = metric(&gateway, "coregate_rejected_total{reason=\"bulkhead_full\"}");
    assert_eq!(refused, 2);
    is_empty(&gateway);
}

#[test]
fn one_worker_lets_those_in_that_wait_on_another() {
    let (origin, open) = held();
    let lines = "bulkhead = { service = 1, queue = 100, wait = \"20s\" }\n[routes]\n\"/*\" = \"s\"";
    let gateway = gateway(2, &origin, lines);
    // Enough that both workers have some.
    let mut clients: Vec<_> = (0..24)
        .map(|_| {
            let mut client = gateway.client();
            client.send(get("/", ""));
            client
        })
        .collect();
    until("all have come", || {
        (metric(&gateway, IN_FLIGHT) == 1 && metric(&gateway, WAITING) == 23).then_some(())
    });
    open.store(true, Ordering::SeqCst);
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
    is_empty(&gateway);
}

#[test]
#[cfg(feature = "chaos")]
fn panics_cuts_and_dying_workers_lose_no_permit() {
    let crowd = Arc::<Crowd>::default();
    let origin = crowd.origin();
    // Of the connections half may lie idle, out of reach of the other worker.
    let lines = "bulkhead = { service = 4, instance = 4, connections = 8, queue = 4, wait = \"10s\" }\n\
                 [routes]\n\"/*\" = \"s\"";
    let gateway = gateway(2, &origin, lines);
    for round in 0..100 {
        let mut clients: Vec<Peer> = (0..6).map(|_| gateway.client()).collect();
        for (at, client) in clients.iter_mut().enumerate() {
            let path = if (at + round) % 3 == 0 { "/__panic_at_instance" } else { "/a" };
            client.send(get(path, ""));
        }
        // One is answered, or closed by a panic; the others leave before that, some by a reset.
        let _ = clients[3].try_response();
        clients.iter_mut().step_by(2).for_each(Peer::reset_on_close);
    }
    let stats = gateway.stats_when("some have panicked", |stats| stats.total("panics") > 20);
    assert_eq!(stats.total("worker_deaths"), 0);
    is_empty(&gateway);
    gateway.client().send(get("/__panic_worker", "")).expect_closed();
    gateway.stats_when("a worker has died", |stats| stats.total("worker_deaths") == 1);
    is_empty(&gateway);
    let before = crowd.most();
    assert_eq!(load(&gateway, 8, 50), 8 * 50);
    assert_eq!((before, crowd.most()), (4, 4));
}

#[test]
fn two_processes_share_a_bulkhead() {
    let (origin, open) = held();
    let lines = "bulkhead = { service = 1, queue = 1, wait = \"20s\" }\n[routes]\n\"/*\" = \"s\"";
    let mut gateway = gateway(1, &origin, lines);
    let mut old = gateway.client();
    old.send(get("/old", ""));
    until("it is there", || (metric(&gateway, IN_FLIGHT) == 1).then_some(()));
    gateway.upgrade();
    assert_eq!(metric(&gateway, IN_FLIGHT), 1, "of the process before");
    let mut new = gateway.client();
    new.send(get("/new", ""));
    until("it waits", || (metric(&gateway, WAITING) == 1).then_some(()));
    assert_eq!(reason(&ask(&mut gateway.client(), get("/", ""))), (503, Some("bulkhead_full")));
    open.store(true, Ordering::SeqCst);
    assert_eq!((old.response().status, new.response().text().as_str()), (200, "/new"));
    assert_eq!(gateway.wait_for_predecessor(1), Some(0));
    is_empty(&gateway);
}
