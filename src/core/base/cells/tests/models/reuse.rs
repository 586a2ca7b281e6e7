//! A slot is used again only when nobody is on it: control, workers, and the words between them, as in the proof of
//! `verdict.rs`, whose names the steps bear here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use super::{EVERY, THREE, model};
use crate::base::cells::Verdict;

const OLD: u16 = 1;
const NEW: u16 = 2;

/// The steps that the proof counts on.
#[derive(Clone, Copy)]
struct Protocol {
    gone_before_publish: bool,
    publish: Ordering,
    load: Ordering,
    acknowledge: Ordering,
    wait_for_acknowledgement: bool,
    read_acknowledgement: Ordering,
    wait_for_in_flight: bool,
    pick_in_one_step: bool,
}

const RIGHT: Protocol = Protocol {
    gone_before_publish: true,
    publish: Ordering::Release,
    load: Ordering::Acquire,
    acknowledge: Ordering::Release,
    wait_for_acknowledgement: true,
    read_acknowledgement: Ordering::Acquire,
    wait_for_in_flight: true,
    pick_in_one_step: true,
};

/// What control and workers share; the last two are the truth, which no thread of the model acts by. Loom stops a thread
/// only before an operation on a word of its own, so the truth changes in one step with the operation before it.
struct Shared {
    verdict: AtomicU64,
    pointer: AtomicU64,
    workers: Vec<Worker>,
    on_the_slot: AtomicI64,
    used_again: AtomicBool,
}

struct Worker {
    acknowledged: AtomicU64,
    in_flight: AtomicU64,
}

impl Shared {
    fn new(workers: usize) -> Arc<Self> {
        let verdict = AtomicU64::new(0);
        Verdict::new(&verdict).begin(OLD).unwrap();
        let worker = || Worker { acknowledged: AtomicU64::new(1), in_flight: AtomicU64::new(0) };
        Arc::new(Self {
            verdict,
            pointer: AtomicU64::new(1),
            workers: (0..workers).map(|_| worker()).collect(),
            on_the_slot: AtomicI64::new(0),
            used_again: AtomicBool::new(false),
        })
    }

    /// Control removes the instance and uses its slot again if it may now; a real one tries again later, which adds no
    /// interleaving that ends otherwise.
    fn control(&self, protocol: Protocol) {
        if protocol.gone_before_publish {
            Verdict::new(&self.verdict).remove(OLD).unwrap(); // c1
        }
        self.pointer.store(2, protocol.publish); // c2
        if !protocol.gone_before_publish {
            Verdict::new(&self.verdict).remove(OLD).unwrap();
        }
        for worker in &self.workers {
            let acknowledged = worker.acknowledged.load(protocol.read_acknowledgement); // c3
            if protocol.wait_for_acknowledgement && acknowledged < 2 {
                return;
            }
        }
        for worker in &self.workers {
            let in_flight = worker.in_flight.load(Ordering::Acquire); // c4
            if protocol.wait_for_in_flight && in_flight > 0 {
                return;
            }
        }
        Verdict::new(&self.verdict).begin(NEW).unwrap(); // c5
        assert_eq!(self.on_the_slot.load(SeqCst), 0, "used again under a request");
        self.used_again.store(true, SeqCst);
        self.pointer.store(3, protocol.publish);
    }

    /// A worker loads the pointer and acknowledges; it gives the generation that it saw.
    fn acknowledge(&self, worker: usize, protocol: Protocol) -> u64 {
        let generation = self.pointer.load(protocol.load); // w1
        self.workers[worker].acknowledged.store(generation, protocol.acknowledge); // w2
        if generation == 3 {
            let word = Verdict::new(&self.verdict).load();
            assert!(word.takes_requests(NEW), "a fresh instance is refused");
        }
        generation
    }

    /// A worker picks the instance from a view that names it; whether it could.
    fn pick(&self, worker: usize, protocol: Protocol) -> bool {
        let takes = Verdict::new(&self.verdict).load().takes_requests(OLD); // k1
        if takes && !protocol.pick_in_one_step {
            self.acknowledge(worker, protocol);
        }
        if takes {
            self.count(worker);
        }
        takes
    }

    fn count(&self, worker: usize) {
        assert!(!self.used_again.load(SeqCst), "picked after it was used again");
        self.on_the_slot.fetch_add(1, SeqCst);
        let in_flight = &self.workers[worker].in_flight;
        in_flight.store(in_flight.load(Ordering::Relaxed) + 1, Ordering::Relaxed); // k2
    }

    /// A first pick: in the step that loads the pointer, without a look for GONE, if the view there names the instance.
    fn pick_first(&self, worker: usize, protocol: Protocol) -> bool {
        let named = self.acknowledge(worker, protocol) == 1;
        if named {
            let word = Verdict::new(&self.verdict).load();
            assert!(word.takes_first_requests(OLD), "none is left before that is public");
            self.count(worker);
        }
        named
    }

    /// What was picked is over, if anything was.
    fn finish(&self, worker: usize, picked: bool) {
        if picked {
            let in_flight = &self.workers[worker].in_flight;
            in_flight.store(in_flight.load(Ordering::Relaxed) - 1, Ordering::Release); // k3
            self.on_the_slot.fetch_sub(1, SeqCst);
        }
    }

    /// An exchange that is in flight while another begins, both of which pick at first sight.
    fn work_at_first_sight(&self, worker: usize, protocol: Protocol) {
        let one = self.pick_first(worker, protocol);
        let other = self.pick_first(worker, protocol);
        self.finish(worker, one);
        self.finish(worker, other);
    }

    /// Exchanges that all have the old view: one is in flight while the worker acknowledges, one picks after that.
    fn work(&self, worker: usize, protocol: Protocol) {
        let picked = self.pick(worker, protocol);
        self.acknowledge(worker, protocol);
        self.finish(worker, picked);
        let picked = self.pick(worker, protocol);
        self.finish(worker, picked);
        self.acknowledge(worker, protocol);
    }
}

fn play(protocol: Protocol, workers: usize) {
    play_with(protocol, workers, Shared::work);
}

fn play_with(protocol: Protocol, workers: usize, work: fn(&Shared, usize, Protocol)) {
    model(if workers == 1 { EVERY } else { THREE }, move || {
        let shared = Shared::new(workers);
        let threads: Vec<_> = (0..workers)
            .map(|worker| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || work(&shared, worker, protocol))
            })
            .collect();
        shared.control(protocol);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(shared.on_the_slot.load(SeqCst), 0);
    });
}

#[test]
fn no_slot_is_used_again_under_a_request() {
    play(RIGHT, 1);
}

#[test]
fn nor_with_two_workers() {
    play(RIGHT, 2);
}

#[test]
fn nor_under_one_that_was_picked_without_a_look() {
    play_with(RIGHT, 1, Shared::work_at_first_sight);
    play_with(RIGHT, 2, Shared::work_at_first_sight);
}

#[test]
#[should_panic(expected = "used again")]
fn without_a_look_control_must_wait_too() {
    let hasty = Protocol { wait_for_acknowledgement: false, ..RIGHT };
    play_with(hasty, 1, Shared::work_at_first_sight);
}

/// The models are not empty: there are interleavings in which a slot is used again, and a worker learns of it.
#[test]
#[should_panic(expected = "this can be reached")]
fn slots_are_used_again() {
    model(EVERY, || {
        let shared = Shared::new(1);
        let worker = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            worker.work(0, RIGHT);
            assert_ne!(worker.acknowledge(0, RIGHT), 3, "this can be reached");
        });
        shared.control(RIGHT);
        let _ = thread.join();
    });
}

#[test]
#[should_panic(expected = "used again")]
fn control_must_wait_for_the_acknowledgement() {
    play(Protocol { wait_for_acknowledgement: false, ..RIGHT }, 1);
}

#[test]
#[should_panic(expected = "used again under a request")]
fn control_must_wait_for_what_is_in_flight() {
    play(Protocol { wait_for_in_flight: false, ..RIGHT }, 1);
}

#[test]
#[should_panic(expected = "used again")]
fn the_instance_must_be_gone_before_the_publish() {
    play(Protocol { gone_before_publish: false, ..RIGHT }, 1);
}

#[test]
#[should_panic(expected = "used again under a request")]
fn a_pick_must_not_acknowledge_between_its_look_and_its_count() {
    play(Protocol { pick_in_one_step: false, ..RIGHT }, 1);
}

#[test]
#[should_panic(expected = "used again")]
fn the_acknowledgement_must_release() {
    play(Protocol { acknowledge: Ordering::Relaxed, ..RIGHT }, 1);
}

#[test]
#[should_panic(expected = "used again")]
fn the_acknowledgement_must_be_acquired() {
    play(Protocol { read_acknowledgement: Ordering::Relaxed, ..RIGHT }, 1);
}

#[test]
#[should_panic(expected = "refused")]
fn the_publish_must_release() {
    play(Protocol { publish: Ordering::Relaxed, ..RIGHT }, 1);
}

#[test]
#[should_panic(expected = "refused")]
fn the_pointer_must_be_acquired() {
    play(Protocol { load: Ordering::Relaxed, ..RIGHT }, 1);
}
