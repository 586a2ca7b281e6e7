//! Bulkheads by examples, by any play of two processes, and by threads that come, wait, and leave.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use crate::base::cells::{Bulkhead, Cells, Entry};
use crate::base::ids::{InstanceSlot, ServiceId};

#[test]
fn in_then_waiting_then_full() {
    let word = AtomicU64::new(0);
    let bulkhead = Bulkhead::new(&word, false);
    let entries: Vec<_> = (0..5).map(|_| bulkhead.enter(2, 2)).collect();
    use Entry::{Entered, Full, Waits};
    assert_eq!(entries, [Entered, Entered, Waits, Waits, Full]);
    let after = bulkhead.leave();
    assert_eq!((after.taken(), after.waiting()), (1, 2));
    assert_eq!(bulkhead.enter(2, 9), Waits, "who waits goes first");
    assert_eq!(bulkhead.promote(2).map(|after| (after.taken(), after.waiting())), Some((2, 2)));
    assert_eq!(bulkhead.promote(2), None);
    assert_eq!(bulkhead.give_up().waiting(), 1);
    assert_eq!(bulkhead.step_back(9).1.waiting(), 2);
    assert_eq!((bulkhead.load().taken(), bulkhead.step_back(2).0), (1, false));
    assert_eq!((bulkhead.load().taken(), bulkhead.load().waiting()), (0, 2));
}

#[test]
fn what_a_process_had_goes_with_it() {
    let cells = Cells::owned(3).in_epoch(4);
    let successor = cells.clone().in_epoch(5);
    let slot = InstanceSlot(2);
    cells.note_limited(slot);
    for cells in [&cells, &cells, &successor] {
        assert_eq!(cells.bulkhead(ServiceId(7)).enter(9, 9), Entry::Entered);
        assert!(cells.instance_bulkhead(slot).take(9));
        assert!(cells.instance_connections(slot).take(9));
    }
    assert!(successor.bulkhead(ServiceId(7)).has_others());
    for _ in 0..2 {
        successor.forget_bulkheads(4);
        assert_eq!(successor.bulkhead(ServiceId(7)).load().taken(), 1);
        assert_eq!(successor.instance_bulkhead(slot).load().taken(), 1);
        assert_eq!(successor.instance_connections(slot).load().taken(), 1);
    }
    assert!(!successor.bulkhead(ServiceId(7)).has_others());
    assert_eq!(successor.bulkhead(ServiceId(7)).leave().taken(), 0);
}

proptest! {
    /// Any play of two processes: the sums are what each has, and never above what was allowed.
    #[test]
    fn the_word_is_what_they_have(
        steps in prop::collection::vec((any::<bool>(), 0..7_u8), 0..120),
        limit in 0_u64..6,
        places in 0_u64..5,
    ) {
        let word = AtomicU64::new(0);
        let (mut taken, mut waiting) = ([0_u64; 2], [0_u64; 2]);
        for (odd, step) in steps {
            let (bulkhead, who) = (Bulkhead::new(&word, odd), usize::from(odd));
            let room = taken[0] + taken[1] < limit;
            let place = waiting[0] + waiting[1] < places;
            match step {
                0 | 1 => match bulkhead.enter(limit, places) {
                    Entry::Entered => {
                        prop_assert!(room && waiting == [0; 2]);
                        taken[who] += 1;
                    }
                    Entry::Waits => {
                        prop_assert!(place);
                        waiting[who] += 1;
                    }
                    Entry::Full => prop_assert!(!place && (!room || waiting != [0; 2])),
                },
                2 => {
                    let in_now = bulkhead.promote(limit).is_some();
                    prop_assert_eq!(in_now, room && waiting[who] > 0);
                    taken[who] += u64::from(in_now);
                    waiting[who] -= u64::from(in_now);
                }
                3 if taken[who] > 0 => {
                    bulkhead.leave();
                    taken[who] -= 1;
                }
                4 if taken[who] > 0 => {
                    taken[who] -= 1;
                    waiting[who] += u64::from(bulkhead.step_back(places).0);
                }
                5 if waiting[who] > 0 => {
                    bulkhead.give_up();
                    waiting[who] -= 1;
                }
                6 => {
                    bulkhead.forget(!odd);
                    (taken[1 - who], waiting[1 - who]) = (0, 0);
                }
                _ => {}
            }
            let now = bulkhead.load();
            prop_assert_eq!((now.taken(), now.waiting()), (taken[0] + taken[1], waiting[0] + waiting[1]));
            prop_assert_eq!(bulkhead.has_others(), taken[1 - who] + waiting[1 - who] > 0);
        }
    }
}

#[test]
fn threads_are_never_more_than_the_limit() {
    let (word, inside, most) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for odd in [false, false, true, true] {
            let bulkhead = Bulkhead::new(&word, odd);
            let (inside, most) = (&inside, &most);
            scope.spawn(move || {
                for _ in 0..10_000 {
                    let mut entry = bulkhead.enter(3, 2);
                    while entry == Entry::Waits {
                        if bulkhead.promote(3).is_some() {
                            entry = Entry::Entered;
                        }
                    }
                    if entry == Entry::Entered {
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        bulkhead.leave();
                    }
                }
            });
        }
    });
    assert!(most.load(Ordering::SeqCst) <= 3);
    assert_eq!(word.load(Ordering::SeqCst), 0);
}
