//! Bulkheads: one worker waits while another's request leaves. Whatever the order, somebody sees both the room and who waits.

use std::sync::Arc;

use loom::sync::atomic::AtomicU64;
use loom::thread;

use super::{EVERY, model, word};
use crate::base::cells::{Bulkhead, Entry};

fn view(word: &AtomicU64) -> Bulkhead<'_> {
    Bulkhead::new(word, false)
}

/// The service has one place, and it is taken. It leaves on one thread while one comes on the other: either is let in, or the one
/// who left is told that somebody waits.
#[test]
fn who_leaves_sees_who_waits() {
    model(EVERY, || {
        let service = word(0);
        assert_eq!(view(&service).enter(1, 1), Entry::Entered);
        let theirs = Arc::clone(&service);
        let leaving = thread::spawn(move || view(&theirs).leave().waiting() > 0);
        let entry = view(&service).enter(1, 1);
        let told = leaving.join().unwrap();
        assert_eq!(entry == Entry::Waits, told, "somebody waits and nobody knows");
    });
}

/// The same where the room is that of an instance: one comes, is in, finds the instance full, and waits; then it looks once more.
fn instance(look_again: bool, give_back_first: bool) {
    model(EVERY, move || {
        let (service, instance) = (word(0), word(0));
        assert_eq!(view(&service).enter(9, 9), Entry::Entered);
        assert!(view(&instance).take(1));
        let theirs = (Arc::clone(&service), Arc::clone(&instance));
        let leaving = thread::spawn(move || {
            if give_back_first {
                view(&theirs.1).leave();
            }
            let told = view(&theirs.0).leave().waiting() > 0;
            if !give_back_first {
                view(&theirs.1).leave();
            }
            told
        });
        assert_eq!(view(&service).enter(9, 9), Entry::Entered);
        let mut placed = view(&instance).take(1);
        if !placed {
            assert!(view(&service).step_back(9).0);
            placed = look_again && view(&instance).take(1);
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

/// Two processes take of one limit, and a third party forgets a fourth's share meanwhile.
#[test]
fn forgetting_takes_nothing_of_the_living() {
    model(EVERY, || {
        let service = word(0);
        assert!(Bulkhead::new(&service, true).take(2));
        let theirs = Arc::clone(&service);
        let forgets = thread::spawn(move || view(&theirs).forget(true));
        let entered = view(&service).enter(2, 0) == Entry::Entered;
        forgets.join().unwrap();
        assert!(entered);
        assert_eq!(view(&service).load().taken(), 1);
    });
}
