//! Bulkheads by examples, by any play of two processes, and by threads that come, wait, and leave.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use crate::base::cells::{BulkheadWord, Cells, Entry};
use crate::base::ids::ServiceId;

#[test]
fn in_then_waiting_then_full() {
    let cells = Cells::owned(0);
    let bulkhead = cells.bulkhead(ServiceId(7));
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
    let cells = Cells::owned(0).in_epoch(4);
    let successor = cells.clone().in_epoch(5);
    let service = ServiceId(u16::MAX);
    for cells in [&cells, &cells, &successor] {
        assert_eq!(cells.bulkhead(service).enter(3, 9), Entry::Entered);
    }
    for cells in [&cells, &successor] {
        assert_eq!(cells.bulkhead(service).enter(3, 9), Entry::Waits);
    }
    assert!(successor.bulkhead(service).has_others());
    assert_eq!((successor.forget_other(), successor.forget_other()), (2, 0));
    let left = successor.bulkhead(service).load();
    assert_eq!((left.taken(), left.waiting()), (1, 1));
    assert!(!successor.bulkhead(service).has_others());
}

proptest! {
    /// Any play of two processes: the sums are what each has, and never above what was allowed.
    #[test]
    fn the_word_is_what_they_have(
        steps in prop::collection::vec((any::<bool>(), 0..7_u8), 0..120),
        limit in 0_u64..6,
        places in 0_u64..5,
    ) {
        let cells = Cells::owned(0);
        let both = [0, 1].map(|epoch| cells.clone().in_epoch(epoch));
        let (mut taken, mut waiting) = ([0_u64; 2], [0_u64; 2]);
        for (odd, step) in steps {
            let (bulkhead, who) = (both[usize::from(odd)].bulkhead(ServiceId(3)), usize::from(odd));
            let room = taken[0] + taken[1] < limit;
            let place = waiting[0] + waiting[1] < places;
            match step {
                0 | 1 => match bulkhead.enter(limit, places) {
                    Entry::Entered => {
                        prop_assert!(room && (waiting == [0; 2] || !place));
                        taken[who] += 1;
                    }
                    Entry::Waits => {
                        prop_assert!(place);
                        waiting[who] += 1;
                    }
                    Entry::Full => prop_assert!(!place && !room),
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
                    both[who].forget_other();
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
    let (inside, most) = (AtomicU64::new(0), AtomicU64::new(0));
    let cells = Cells::owned(0);
    std::thread::scope(|scope| {
        for epoch in [0, 0, 1, 1] {
            let cells = cells.clone().in_epoch(epoch);
            let (inside, most) = (&inside, &most);
            scope.spawn(move || {
                let bulkhead = cells.bulkhead(ServiceId(1));
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
    assert_eq!(cells.bulkhead(ServiceId(1)).load(), BulkheadWord::default());
}
