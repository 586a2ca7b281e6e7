//! Outliers: one permit for each mark, whoever comes in between.

use std::num::NonZeroU16;
use std::sync::Arc;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use super::{EVERY, model, word};
use crate::base::cells::{Mark, Outlier, Permits, Verdict};

const EJECTED_BIT: u64 = 1 << 3;

/// The words of an instance and of its service.
#[derive(Clone)]
struct Words {
    verdict: Arc<AtomicU64>,
    ejections: Arc<AtomicU64>,
}

impl Words {
    /// An instance of generation 1 for which so many have failed in a row, and a service of which none is set aside.
    fn begun(failures: u32) -> Self {
        let words = Self { verdict: word(0), ejections: word(0) };
        words.verdict().begin(1).unwrap();
        (0..failures).for_each(|_| assert!(!words.fail()));
        words
    }

    fn verdict(&self) -> Verdict<'_> {
        Verdict::new(&self.verdict)
    }

    fn ejections(&self) -> Permits<'_> {
        Permits::new(&self.ejections)
    }

    fn outlier(&self) -> Outlier<'_> {
        Outlier::new(self.verdict(), self.ejections(), 1)
    }

    /// One failure of two, within a limit of two: of whether a permit is left over, not of whether there is one.
    fn fail(&self) -> bool {
        self.outlier().failed(NonZeroU16::new(2).unwrap(), 2)
    }

    fn check(&self) {
        let marks = u64::from(self.verdict().load().has(Mark::Ejected));
        assert_eq!(self.ejections().taken(), marks, "permits for marks");
    }
}

/// Two threads do these; then permits and marks agree.
fn at_once<T: Send + 'static>(
    begin: fn() -> Words,
    (one, other): (fn(&Words) -> T, fn(&Words) -> T),
    after: fn(&Words, [T; 2]),
) {
    model(EVERY, move || {
        let words = begin();
        let its = words.clone();
        let one = thread::spawn(move || one(&its));
        let other = other(&words);
        let one = one.join().unwrap();
        words.check();
        after(&words, [one, other]);
    });
}

#[test]
fn of_two_that_reach_the_threshold_one_sets_aside_with_one_permit() {
    at_once(
        || Words::begun(1),
        (Words::fail, Words::fail),
        |words, set_aside| {
            assert!(set_aside[0] != set_aside[1]);
            assert!(words.verdict().load().has(Mark::Ejected));
        },
    );
}

#[test]
fn no_failure_is_lost() {
    at_once(
        || Words::begun(0),
        (Words::fail, Words::fail),
        |words, set_aside| {
            assert!(set_aside[0] != set_aside[1]);
            assert_eq!(words.verdict().load().failures(), 2);
        },
    );
}

#[test]
fn a_success_in_between_leaves_no_permit_without_a_mark() {
    let succeeds: fn(&Words) -> bool = |words| {
        words.verdict().succeeded(1);
        false
    };
    at_once(
        || Words::begun(1),
        (Words::fail, succeeds),
        |words, [set_aside, _]| {
            let word = words.verdict().load();
            assert_eq!(word.has(Mark::Ejected), set_aside);
            assert!(set_aside || word.failures() < 2);
        },
    );
}

#[test]
fn control_lets_in_while_another_fails() {
    at_once(
        || {
            let words = Words::begun(1);
            assert!(words.fail());
            words
        },
        (Words::fail, |words| words.outlier().readmit()),
        |_, [set_aside, let_in]| assert!(let_in && !set_aside, "one failure is not two"),
    );
}

#[test]
fn a_removal_gives_the_permit_back_once_and_nothing_is_marked_after_it() {
    at_once(
        || Words::begun(1),
        (Words::fail, |words| words.outlier().remove().unwrap().has(Mark::Ejected)),
        |words, [set_aside, gave_back]| {
            assert!(gave_back <= set_aside);
            assert_eq!(words.ejections().taken(), 0);
            assert!(words.outlier().remove().is_ok() && !words.outlier().readmit());
            words.check();
        },
    );
}

#[test]
fn of_a_removal_and_a_readmission_one_gives_back() {
    at_once(
        || {
            let words = Words::begun(1);
            assert!(words.fail());
            words
        },
        (
            |words| words.outlier().readmit(),
            |words| words.outlier().remove().unwrap().has(Mark::Ejected),
        ),
        |words, gave_back| {
            assert!(gave_back[0] != gave_back[1]);
            assert_eq!(words.ejections().taken(), 0);
        },
    );
}

/// Who takes a permit and marks without looking at what is there.
fn marks_blindly(words: &Words) -> bool {
    let taken = words.ejections().take(1, 2);
    words.verdict.fetch_or(EJECTED_BIT, Ordering::Relaxed);
    taken
}

#[test]
#[should_panic(expected = "permits for marks")]
fn whoever_finds_the_mark_there_must_give_its_permit_back() {
    at_once(|| Words::begun(2 - 1), (marks_blindly, marks_blindly), |_, _| ());
}

#[test]
#[should_panic(expected = "permits for marks")]
fn what_is_gone_must_not_be_marked() {
    let removes: fn(&Words) -> bool = |words| {
        let before = words.verdict().remove(1).unwrap();
        if before.has(Mark::Ejected) {
            words.ejections().release(1);
        }
        // As the next use of the slot would, which nobody gives back for.
        words.verdict().begin(2).is_ok()
    };
    at_once(
        || Words::begun(1),
        (marks_blindly, removes),
        |words, _| {
            let gone = words.verdict().load().has(Mark::Ejected);
            assert!(!gone, "permits for marks");
            words.check();
        },
    );
}
