//! What is kept for workers, and for how long.

use std::cell::RefCell;

use coregate_core::snapshot::compile::compile;
use coregate_core::snapshot::plan::Plan;
use coregate_core::snapshot::reader::Returned;

use super::*;

#[derive(Default)]
struct Woken(RefCell<Vec<usize>>);

impl Workers for Woken {
    fn wake(&self, at: usize) {
        self.0.borrow_mut().push(at);
    }

    fn cut(&self, _: InstanceSlot, _: u16) -> bool {
        true
    }

    fn answer(&self, _: WorkerId, _: Ticket, _: Answer) {}
}

fn snapshot(generation: u64) -> Snapshot {
    compile(&Plan::to_instances(&[]), generation).unwrap()
}

fn publisher(workers: usize) -> Publisher {
    let readers = (0..workers).map(|_| Reader::new(4)).collect();
    Publisher::new(snapshot(1), readers)
}

#[test]
fn an_old_snapshot_is_freed_when_all_have_acknowledged_a_newer_one() {
    let mut publisher = publisher(2);
    let first = Arc::downgrade(&publisher.pointer.load_full());
    let all = |publisher: &Publisher, generation| {
        publisher.readers.iter().for_each(|reader| reader.acknowledge(generation));
    };
    all(&publisher, 1);
    publisher.publish(snapshot(2), Instant::now());
    publisher.readers[0].acknowledge(2);
    assert!(publisher.free() && first.upgrade().is_some(), "the other may read it");
    publisher.readers[1].acknowledge(2);
    assert!(!publisher.free() && first.upgrade().is_none());
}

#[test]
fn what_workers_give_back_is_freed_here() {
    let mut publisher = publisher(1);
    let old = publisher.pointer.load_full();
    let service = Arc::clone(old.services().next().unwrap());
    let freed = Arc::downgrade(&service);
    publisher.readers[0].acknowledge(1);
    publisher.publish(snapshot(2), Instant::now());
    drop(old);
    publisher.readers[0].acknowledge(2);
    publisher.free();
    assert!(freed.upgrade().is_some(), "a worker keeps it");
    publisher.readers[0].give_back(Returned::Service(service)).unwrap();
    publisher.free();
    assert!(freed.upgrade().is_none());
}

#[test]
fn workers_that_sleep_on_an_old_one_are_woken() {
    let mut publisher = publisher(2);
    let (woken, begun) = (Woken::default(), Instant::now());
    publisher.publish(snapshot(2), begun);
    publisher.readers[1].acknowledge(2);
    publisher.wake(begun, &woken);
    assert!(woken.0.borrow().is_empty(), "not yet");
    let due = begun + limits::ACKNOWLEDGE_TIME;
    publisher.publish(snapshot(3), due);
    publisher.readers[1].acknowledge(3);
    publisher.wake(due, &woken);
    assert_eq!(*woken.0.borrow(), [0], "since the first that it has not");
    publisher.wake(due, &woken);
    assert_eq!(woken.0.borrow().len(), 1, "once");
    publisher.wake(due + limits::ACKNOWLEDGE_TIME, &woken);
    assert_eq!(woken.0.borrow().len(), 2, "again, while it sleeps");
}

#[test]
fn a_worker_that_never_wakes_holds_up_so_much_and_no_more() {
    let mut publisher = publisher(1);
    for generation in 2..limits::RETIRED_SNAPSHOTS as u64 + 100 {
        publisher.publish(snapshot(generation), Instant::now());
        publisher.free();
    }
    assert_eq!(publisher.retired(), limits::RETIRED_SNAPSHOTS);
}
