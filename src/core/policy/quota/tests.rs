//! Places by examples: what is asked for, taken, refused and given back.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use super::*;
use crate::policy::period::{Calendar, Every};
use crate::snapshot::names::Names;
use crate::snapshot::plan::{QuotaFault, QuotaPlan};

fn quota(change: impl FnOnce(&mut QuotaPlan)) -> (Quota, Names) {
    let calendar = Calendar::new(Every::Day, "UTC").unwrap();
    let mut plan = QuotaPlan::named("q", NonZeroU64::new(1_000).unwrap(), calendar);
    change(&mut plan);
    let mut groups = Names::default();
    (Quota::new(&plan, &mut groups), groups)
}

const ALL: Whose<'_> = Whose { consumer: None, route: "/a", service: "s" };

fn place(cells: &Cells, slot: u32, granted: u32, last: bool) -> Place {
    let slot = QuotaSlot(slot);
    let stamp = cells.allowance(slot).begin();
    assert!(cells.allowance(slot).grant(stamp, granted, last));
    Place { slot, stamp, ends: 100, lease: 10 }
}

#[test]
fn asks_first_spends_then_and_asks_ahead_in_time() {
    let cells = Cells::owned(0);
    let places = Places::new(cells.clone());
    let (quota, _) = quota(|_| ());
    let take = |wall, tick| places.take(&quota, &ALL, (wall, Tick(tick)));
    assert_eq!(take(1, 0), Drawn::Ask);
    places.learn(places.key(&quota, &ALL), place(&cells, 3, 6, false));
    let asks = |drawn| match drawn {
        Drawn::Taken { ask, .. } => ask,
        other => panic!("{other:?}"),
    };
    assert!(!asks(take(1, 0)), "half of the lease is left");
    assert!(asks(take(1, 1)));
    assert!(!asks(take(1, 2)), "it has just been asked");
    assert!(asks(take(1, 9)), "nothing came of it");
    assert_eq!(take(100, 9), Drawn::Ask, "its period is over");
    let Drawn::Taken { held, .. } = take(1, 9) else { panic!() };
    assert_eq!(cells.allowance(QuotaSlot(3)).left(1), Some(1));
    places.give_back(held);
    assert_eq!(cells.allowance(QuotaSlot(3)).left(1), Some(2));
    cells.allowance(QuotaSlot(3)).end(1);
    assert_eq!(take(1, 9), Drawn::Ask);
}

#[test]
fn what_is_used_up_is_refused_without_asking() {
    let cells = Cells::owned(0);
    let places = Places::new(cells.clone());
    let (quota, _) = quota(|plan| plan.cost = NonZeroU32::new(2).unwrap());
    places.learn(places.key(&quota, &ALL), place(&cells, 0, 3, true));
    let take = || places.take(&quota, &ALL, (1, Tick(0)));
    assert!(matches!(take(), Drawn::Taken { ask: false, .. }));
    assert_eq!(take(), Drawn::Spent { ends: 100 });
}

#[test]
fn each_has_a_count_of_its_own_and_groups_limits_of_theirs() {
    let cells = Cells::owned(0);
    let places = Places::new(cells.clone());
    let (quota, groups) = quota(|plan| {
        plan.per = vec![QuotaPer::Consumer, QuotaPer::Route];
        plan.groups = vec![("gold".to_owned(), NonZeroU64::new(9_000).unwrap())];
    });
    let gold = groups.known("gold").unwrap();
    let consumer =
        |name: &str, groups: &[u16]| Consumer { name: name.into(), groups: groups.into() };
    let (a, b) = (consumer("a", &[]), consumer("b", &[gold]));
    let of = |consumer, route| Whose { consumer: Some(consumer), route, service: "s" };
    places.learn(places.key(&quota, &of(&a, "/a")), place(&cells, 0, 5, false));
    let asks = |whose| places.take(&quota, &whose, (1, Tick(0))) == Drawn::Ask;
    assert!(!asks(of(&a, "/a")) && asks(of(&b, "/a")) && asks(of(&a, "/b")));
    assert!(!asks(Whose { service: "t", ..of(&a, "/a") }), "services share it");
    let asked = Question::new(&quota, &of(&b, "/a"));
    let key = QuotaKey { consumer: Some("b".into()), route: Some("/a".into()), service: None };
    assert_eq!(asked, Question { quota: Arc::from("q"), key, limit: 9_000, cost: 1 });
    assert_eq!(asked.key.to_string(), "consumer b, route /a");
    assert_eq!(Question::new(&quota, &of(&a, "/a")).limit, 1_000);
    assert_eq!(QuotaKey::default().to_string(), "all");
}

#[test]
fn what_would_let_nobody_in_or_count_wrong_is_a_fault() {
    let calendar = Calendar::new(Every::Month, "UTC").unwrap();
    let mut plan = QuotaPlan::named("q", NonZeroU64::new(10).unwrap(), calendar);
    assert_eq!(plan.fault(), None);
    plan.groups = vec![("tin".to_owned(), NonZeroU64::new(2).unwrap())];
    assert_eq!(plan.fault(), Some(QuotaFault::GroupsWithoutConsumer));
    plan.per = vec![QuotaPer::Consumer];
    assert_eq!(plan.fault(), None);
    plan.cost = NonZeroU32::new(3).unwrap();
    assert_eq!(plan.fault(), Some(QuotaFault::CostAboveLimit { cost: 3, limit: 2 }));
}
