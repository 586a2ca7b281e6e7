//! Outliers by examples; what happens between threads is modelled.

use std::num::NonZeroU16;

use proptest::prelude::*;

use crate::base::cells::{Cells, Mark, Outlier};
use crate::base::ids::{InstanceSlot, ServiceId};

const SERVICE: ServiceId = ServiceId(3);
const SLOTS: u32 = 4;

fn threshold() -> NonZeroU16 {
    NonZeroU16::new(3).unwrap()
}

/// Instances of one service, each under generation 7.
fn service() -> Cells {
    let cells = Cells::owned(SLOTS as usize);
    (0..SLOTS).for_each(|slot| {
        cells.verdict(InstanceSlot(slot)).begin(7).unwrap();
    });
    cells
}

fn instance(cells: &Cells, slot: u32) -> Outlier<'_> {
    cells.outlier(SERVICE, InstanceSlot(slot), 7)
}

fn failures(cells: &Cells, slot: u32) -> u16 {
    cells.verdict(InstanceSlot(slot)).load().failures()
}

fn ejected(cells: &Cells, slot: u32) -> bool {
    cells.verdict(InstanceSlot(slot)).load().has(Mark::Ejected)
}

/// So many requests fail; whether one of them set the instance aside.
fn fails(cells: &Cells, slot: u32, times: u32, limit: u64) -> bool {
    (0..times).filter(|_| instance(cells, slot).failed(threshold(), limit)).count() == 1
}

#[test]
fn as_many_failures_in_a_row_as_the_threshold_set_an_instance_aside() {
    let cells = service();
    assert!(!fails(&cells, 0, 2, 2) && failures(&cells, 0) == 2);
    assert!(cells.verdict(InstanceSlot(0)).load().takes_requests(7));
    assert!(fails(&cells, 0, 1, 2) && ejected(&cells, 0));
    assert!(!cells.verdict(InstanceSlot(0)).load().takes_requests(7));
    assert!(!fails(&cells, 0, 5, 2), "it is no news");
    assert_eq!((cells.ejections(SERVICE).taken(), failures(&cells, 0)), (1, 3));
    assert!(!ejected(&cells, 1) && failures(&cells, 1) == 0);
}

#[test]
fn a_success_begins_the_count_anew_and_lets_nobody_in() {
    let cells = service();
    fails(&cells, 0, 2, 2);
    cells.verdict(InstanceSlot(0)).succeeded(7);
    assert!(!fails(&cells, 0, 2, 2));
    assert!(fails(&cells, 0, 1, 2));
    cells.verdict(InstanceSlot(0)).succeeded(7);
    assert!(ejected(&cells, 0) && failures(&cells, 0) == 0);
    assert_eq!(cells.ejections(SERVICE).taken(), 1);
}

#[test]
fn no_more_than_the_limit_are_set_aside_and_the_next_failure_asks_again() {
    let cells = service();
    assert!(fails(&cells, 0, 3, 1));
    assert!(!fails(&cells, 1, 9, 1) && !ejected(&cells, 1));
    assert_eq!((failures(&cells, 1), cells.ejections(SERVICE).taken()), (3, 1));
    assert!(!fails(&cells, 2, 3, 0), "a limit of none");
    assert!(instance(&cells, 0).readmit());
    assert!(fails(&cells, 1, 1, 1) && ejected(&cells, 1));
    assert!(cells.ejections(ServiceId(4)).taken() == 0, "another service has its own");
}

#[test]
fn who_is_let_in_begins_anew_and_gives_its_permit_back_once() {
    let cells = service();
    fails(&cells, 0, 3, 2);
    assert!(instance(&cells, 0).readmit());
    assert!(!instance(&cells, 0).readmit(), "it is in");
    assert_eq!((cells.ejections(SERVICE).taken(), failures(&cells, 0)), (0, 0));
    assert!(cells.verdict(InstanceSlot(0)).load().takes_requests(7));
    assert!(!fails(&cells, 0, 2, 2) && fails(&cells, 0, 1, 2));
}

#[test]
fn who_is_removed_gives_its_permit_back_once_and_is_not_set_aside_again() {
    let cells = service();
    fails(&cells, 0, 3, 2);
    assert!(instance(&cells, 0).remove().unwrap().has(Mark::Ejected));
    assert_eq!(cells.ejections(SERVICE).taken(), 0);
    assert!(!instance(&cells, 0).remove().unwrap().has(Mark::Ejected));
    assert!(!instance(&cells, 0).readmit() && !fails(&cells, 0, 9, 2));
    assert!(!instance(&cells, 0).eject(2));
    assert_eq!(cells.ejections(SERVICE).taken(), 0);
    cells.verdict(InstanceSlot(0)).begin(8).unwrap();
    assert!(!fails(&cells, 0, 9, 2), "late, of the one before");
    assert!(failures(&cells, 0) == 0 && instance(&cells, 0).remove().is_err());
    assert!(cells.verdict(InstanceSlot(0)).load().takes_requests(8));
}

#[test]
fn an_instance_can_be_set_aside_for_another_reason() {
    let cells = service();
    assert!(!instance(&cells, 0).eject(0) && !ejected(&cells, 0));
    assert!(instance(&cells, 0).eject(1) && ejected(&cells, 0));
    assert!(!instance(&cells, 0).eject(2), "it is");
    assert_eq!(cells.ejections(SERVICE).taken(), 1);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Fail,
    Succeed,
    Eject,
    Readmit,
    Remove,
    BeginAgain,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Fail),
        1 => Just(Step::Succeed),
        1 => Just(Step::Eject),
        1 => Just(Step::Readmit),
        1 => Just(Step::Remove),
        1 => Just(Step::BeginAgain),
    ]
}

proptest! {
    /// Whatever happens, there is one permit for each mark, and they are within the limit.
    #[test]
    fn permits_are_marks(steps in prop::collection::vec((0..SLOTS, step(), 0..4u64), 0..200)) {
        let cells = service();
        let mut generations = [7; SLOTS as usize];
        let marked =
            || (0..SLOTS).filter(|slot| ejected(&cells, *slot)).count() as u64;
        for (slot, step, limit) in steps {
            let before = marked();
            let one = cells.outlier(SERVICE, InstanceSlot(slot), generations[slot as usize]);
            match step {
                Step::Fail => prop_assert!(!one.failed(threshold(), limit) || before < limit),
                Step::Succeed => {
                    cells.verdict(InstanceSlot(slot)).succeeded(generations[slot as usize]);
                }
                Step::Eject => prop_assert!(!one.eject(limit) || before < limit),
                Step::Readmit => { one.readmit(); }
                Step::Remove => { one.remove().unwrap(); }
                Step::BeginAgain => {
                    let next = generations[slot as usize] + 1;
                    if cells.verdict(InstanceSlot(slot)).begin(next).is_ok() {
                        generations[slot as usize] = next;
                    }
                }
            }
            prop_assert_eq!(cells.ejections(SERVICE).taken(), marked());
        }
    }
}
