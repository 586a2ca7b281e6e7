//! Counts by examples: grants, the store between them, periods, and processes that follow each other.

use coregate_core::base::cells::Taken;
use coregate_core::base::ids::QuotaSlot;
use coregate_core::policy::period::Every;
use std::num::NonZeroU64;

use super::*;

const DAY: u64 = 24 * 3_600;

pub(super) fn plan(name: &str, every: Every, limit: u64) -> QuotaPlan {
    let calendar = Calendar::new(every, "UTC").unwrap();
    QuotaPlan::named(name, NonZeroU64::new(limit).unwrap(), calendar)
}

fn quotas(cells: &Cells) -> Quotas {
    let mut quotas = Quotas::new(cells.clone());
    quotas.configure(&[plan("q", Every::Day, 1_000)]);
    quotas
}

fn of(consumer: &str) -> QuotaKey {
    QuotaKey { consumer: Some(consumer.into()), ..QuotaKey::default() }
}

fn asked(consumer: &str, ticket: u64, limit: u64, cost: u32) -> Asked<Question> {
    let question = Question { quota: "q".into(), key: of(consumer), limit, cost };
    let ticket = (ticket > 0).then_some(Ticket(ticket));
    Asked { by: WorkerId(0), ticket, question }
}

/// The answers, by tickets.
fn answers(quotas: &mut Quotas) -> Vec<(u64, Answer)> {
    quotas.take_answers().into_iter().map(|one| (one.ticket.0, one.answer)).collect()
}

fn granted(quotas: &Quotas, consumer: &str) -> Option<u64> {
    let id = Id { quota: "q".into(), key: of(consumer) };
    quotas.kept_of(&id).map(|kept| kept.granted)
}

#[test]
fn nothing_is_spent_before_the_store_has_it() {
    let cells = Cells::owned(0);
    let mut quotas = quotas(&cells);
    quotas.ask(asked("a", 1, 1_000, 1), 5);
    quotas.handed(Some(7));
    assert_eq!((granted(&quotas, "a"), quotas.take_touched().len()), (Some(10), 1));
    let word = cells.allowance(QuotaSlot(0));
    quotas.settle(|number| number < 7);
    assert_eq!((answers(&mut quotas), word.left(1)), (vec![], Some(0)));
    quotas.settle(|number| number <= 7);
    let [(1, Answer::Place(place))] = answers(&mut quotas)[..] else { panic!("an answer") };
    assert_eq!((place.ends, place.lease, place.stamp, word.left(1)), (DAY, 10, 1, Some(10)));
    // Enough is left for who asks now; half of it is not enough for who asks ahead.
    quotas.ask(asked("a", 2, 1_000, 3), 6);
    assert_eq!(answers(&mut quotas), [(2, Answer::Place(place))]);
    assert!(!quotas.is_granting());
    assert!(matches!(word.take(1, 6), Taken::Yes { .. }));
    quotas.ask(asked("a", 0, 1_000, 1), 6);
    quotas.handed(None);
    assert_eq!((granted(&quotas, "a"), word.left(1)), (Some(16), Some(10)));
}

#[test]
fn who_asks_meanwhile_gets_the_next_grant_together() {
    let cells = Cells::owned(0);
    let mut quotas = quotas(&cells);
    for ticket in 1..=30 {
        quotas.ask(asked("a", ticket, 50, 2), 5);
    }
    quotas.handed(Some(1));
    assert_eq!(granted(&quotas, "a"), Some(2), "a lease is one token, and two are wanted");
    quotas.settle(|number| number <= 1);
    assert_eq!(answers(&mut quotas).len(), 1);
    assert_eq!(
        granted(&quotas, "a"),
        Some(50),
        "29 want 56 tokens more than the two that lie there"
    );
    quotas.handed(Some(2));
    quotas.settle(|_| true);
    assert_eq!(answers(&mut quotas).len(), 29);
    let word = cells.allowance(QuotaSlot(0));
    assert_eq!(word.take(1, 51), Taken::Spent { left: 50 }, "and that is known to be all");
}

#[test]
fn a_limit_that_is_reached_is_told_by_the_word_until_it_is_raised() {
    let cells = Cells::owned(0);
    let mut quotas = quotas(&cells);
    quotas.ask(asked("a", 1, 2, 2), 5);
    quotas.handed(None);
    let word = cells.allowance(QuotaSlot(0));
    assert!(matches!(word.take(1, 2), Taken::Yes { more: false, .. }));
    quotas.configure(&[plan("q", Every::Day, 4)]);
    assert_eq!(word.take(1, 1), Taken::Empty);
    quotas.ask(asked("a", 2, 2, 1), 5);
    assert_eq!(word.take(1, 1), Taken::Spent { left: 0 }, "as whoever asks says");
    quotas.look_anew();
    quotas.ask(asked("a", 3, 4, 1), 5);
    quotas.handed(None);
    assert_eq!((granted(&quotas, "a"), word.left(1)), (Some(3), Some(1)));
    assert_eq!(answers(&mut quotas).len(), 3);
}

#[test]
fn a_period_ends_with_what_was_left_of_it() {
    let cells = Cells::owned(0);
    let mut quotas = quotas(&cells);
    quotas.ask(asked("a", 1, 1_000, 1), DAY - 1);
    quotas.handed(None);
    quotas.tick(DAY - 1);
    assert_eq!(quotas.len(), 1);
    quotas.take_touched();
    quotas.tick(DAY);
    assert!(quotas.is_empty() && quotas.take_touched().len() == 1);
    let word = cells.allowance(QuotaSlot(0));
    assert_eq!(word.take(1, 1), Taken::Stale);
    // Who asks before the tick ends it too.
    quotas.ask(asked("a", 2, 1_000, 1), DAY);
    quotas.ask(asked("a", 3, 1_000, 1), 2 * DAY);
    quotas.handed(None);
    let answers = answers(&mut quotas);
    let ends = |answer: &Answer| match answer {
        Answer::Place(place) => place.ends / DAY,
        other => panic!("{other:?}"),
    };
    let ends: Vec<_> = answers.iter().map(|(ticket, answer)| (*ticket, ends(answer))).collect();
    assert_eq!(ends, [(1, 1), (2, 2), (3, 3)], "the second finds its place over, and asks again");
    assert_eq!(granted(&quotas, "a"), Some(10));
    // A clock that is set back begins no period anew.
    quotas.ask(asked("a", 4, 1_000, 1), DAY);
    assert_eq!((granted(&quotas, "a"), quotas.len()), (Some(10), 1));
}

#[test]
fn other_periods_begin_anew_and_what_is_not_there_is_refused() {
    let cells = Cells::owned(0);
    let mut quotas = quotas(&cells);
    quotas.ask(asked("a", 1, 1_000, 1), 5);
    quotas.configure(&[plan("q", Every::Month, 1_000)]);
    quotas.ask(asked("a", 2, 1_000, 1), 5);
    quotas.handed(None);
    assert_eq!(granted(&quotas, "a"), Some(10));
    quotas.configure(&[]);
    quotas.ask(asked("a", 3, 1_000, 1), 5);
    assert_eq!(answers(&mut quotas).pop(), Some((3, Answer::Unavailable)));
    assert_eq!(granted(&quotas, "a"), Some(10), "it may come again");
}

#[test]
fn a_table_that_is_full_refuses() {
    let cells = Cells::owned(0);
    let mut quotas = quotas(&cells);
    for at in 0..limits::QUOTA_KEYS {
        quotas.ask(asked(&at.to_string(), 0, 1_000, 1), 5);
    }
    quotas.handed(None);
    quotas.ask(asked("one more", 1, 1_000, 1), 5);
    assert_eq!(answers(&mut quotas), [(1, Answer::Full)]);
    assert_eq!(quotas.counts(), QuotaCounts { grants: limits::QUOTA_KEYS as u64, full: 1 });
    assert_eq!(quotas.reset_named("q", Some(&of("7"))), 1);
    quotas.ask(asked("one more", 2, 1_000, 1), 5);
    quotas.handed(None);
    assert!(matches!(answers(&mut quotas)[..], [(2, Answer::Place(_))]));
}

#[test]
fn an_orderly_end_gives_back_what_is_left() {
    let cells = Cells::owned(0);
    let mut quotas = quotas(&cells);
    quotas.ask(asked("a", 1, 1_000, 1), 5);
    quotas.handed(None);
    let word = cells.allowance(QuotaSlot(0));
    assert!(matches!(word.take(1, 4), Taken::Yes { .. }));
    quotas.ask(asked("b", 2, 1_000, 1), 5);
    quotas.take_touched();
    quotas.take_back();
    assert_eq!(word.take(1, 1), Taken::Stale);
    assert_eq!((granted(&quotas, "a"), granted(&quotas, "b")), (Some(4), Some(0)));
    assert_eq!(quotas.take_touched().len(), 2);
    quotas.handed(None);
    quotas.ask(asked("a", 3, 1_000, 1), 5);
    assert_eq!(answers(&mut quotas)[1..], [(2, Answer::Unavailable), (3, Answer::Unavailable)]);
    // The next process, in words of its own.
    let cells = Cells::owned(0);
    let mut next = self::quotas(&cells);
    next.restore(quotas.kept());
    next.ask(asked("a", 4, 1_000, 1), 6);
    next.handed(None);
    assert_eq!(granted(&next, "a"), Some(14));
}

#[test]
fn a_successor_goes_on_with_the_words_or_without_them() {
    let cells = Cells::owned(0);
    let mut quotas = quotas(&cells);
    quotas.ask(asked("a", 1, 1_000, 1), 5);
    quotas.ask(asked("b", 2, 1_000, 1), 5);
    quotas.handed(None);
    let id = |name| Id { quota: "q".into(), key: of(name) };
    assert!(quotas.reset(&id("a")));
    let kept = quotas.kept();
    let mut next = self::quotas(&cells);
    next.inherit(kept.clone());
    assert!(matches!(cells.allowance(QuotaSlot(1)).take(1, 10), Taken::Yes { .. }));
    next.ask(asked("b", 3, 1_000, 1), 5);
    next.ask(asked("c", 4, 1_000, 1), 5);
    next.handed(None);
    assert_eq!((granted(&next, "b"), granted(&next, "c")), (Some(20), Some(10)));
    let view = next.view(&["b", "c", "a"].map(|name| asked(name, 0, 1_000, 1).question), 5);
    assert_eq!(view.keys, [("q".to_owned(), 2)].into());
    let shown = view.counts.iter().flatten().map(|count| (count.granted, count.left));
    assert_eq!(shown.collect::<Vec<_>>(), [(20, 990), (10, 1_000), (0, 1_000)]);
    assert_eq!(granted(&next, "a"), None, "looking grants nothing");
    // Other words: nothing is left of what was granted.
    let cells = Cells::owned(0);
    let mut other = self::quotas(&cells);
    other.inherit(kept);
    other.ask(asked("b", 5, 1_000, 1), 5);
    other.handed(None);
    assert_eq!(granted(&other, "b"), Some(20));
}
