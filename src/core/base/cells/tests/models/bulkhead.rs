//! Bulkheads: one worker waits while another's request leaves. Whatever the order, somebody sees both the room and who waits.

use std::sync::Arc;

use loom::sync::atomic::AtomicU64;
use loom::thread;

use super::{EVERY, model, word};
use crate::base::cells::pages::Pages;
use crate::base::cells::shared::SharedPermits;
use crate::base::cells::{Bulkhead, Entry};

type Words = (Arc<AtomicU64>, Arc<AtomicU64>);

fn words() -> Words {
    (word(0), word(0))
}

fn pages((word, mark): &Words) -> Pages<'_> {
    let one = std::slice::from_ref::<AtomicU64>;
    Pages::new(one(word), one(mark))
}

fn view(words: &Words) -> Bulkhead<'_> {
    Bulkhead::new(pages(words), 0, false)
}

fn permits(words: &Words) -> SharedPermits<'_> {
    SharedPermits::new(pages(words), 0, false)
}

/// The service has one place, and it is taken. It leaves on one thread while one comes on the other: either is let in, or the one
/// who left is told that somebody waits.
#[test]
fn who_leaves_sees_who_waits() {
    model(EVERY, || {
        let service = words();
        assert_eq!(view(&service).enter(1, 1), Entry::Entered);
        let theirs = service.clone();
        let leaving = thread::spawn(move || view(&theirs).leave().waiting() > 0);
        let entry = view(&service).enter(1, 1);
        let told = leaving.join().unwrap();
        assert_eq!(entry == Entry::Waits, told, "somebody waits and nobody knows");
    });
}

/// The same where the room is that of an instance: one comes, is in, finds the instance full, and waits; then it looks once more.
fn instance(look_again: bool, give_back_first: bool) {
    model(EVERY, move || {
        let (service, instance) = (words(), words());
        assert_eq!(view(&service).enter(9, 9), Entry::Entered);
        assert!(permits(&instance).take(1, 1));
        let theirs = (service.clone(), instance.clone());
        let leaving = thread::spawn(move || {
            if give_back_first {
                permits(&theirs.1).release(1);
            }
            let told = view(&theirs.0).leave().waiting() > 0;
            if !give_back_first {
                permits(&theirs.1).release(1);
            }
            told
        });
        assert_eq!(view(&service).enter(9, 9), Entry::Entered);
        let mut placed = permits(&instance).take(1, 1);
        if !placed {
            assert!(view(&service).step_back(9).0);
            placed = look_again && permits(&instance).take(1, 1);
        }
        assert!(placed || leaving.join().unwrap(), "somebody waits and nobody knows");
    });
}

#[test]
fn who_finds_an_instance_full_is_told_of_room_or_finds_it() {
    instance(true, true);
}

#[test]
#[should_panic(expected = "somebody waits and nobody knows")]
fn one_must_look_again() {
    instance(false, true);
}

#[test]
#[should_panic(expected = "somebody waits and nobody knows")]
fn the_instance_must_be_given_back_first() {
    instance(true, false);
}

/// One process dies with one in flight and one that waits, and is forgotten while the other takes, and leaves.
#[test]
fn forgetting_takes_nothing_of_the_living() {
    model(EVERY, || {
        let service = words();
        let dead = Bulkhead::new(pages(&service), 0, true);
        assert_eq!((dead.enter(1, 1), dead.enter(1, 1)), (Entry::Entered, Entry::Waits));
        let theirs = service.clone();
        let forgets = thread::spawn(move || view(&theirs).forget());
        let entry = view(&service).enter(2, 2);
        assert_eq!(forgets.join().unwrap(), 1);
        let (taken, waiting) = (view(&service).load().taken(), view(&service).load().waiting());
        assert_eq!(taken + waiting, 1);
        assert_eq!(entry == Entry::Entered, taken == 1);
    });
}
