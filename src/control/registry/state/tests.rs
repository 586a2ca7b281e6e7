//! Commands and what they do to the words of the host, with times that are given.

use coregate_core::base::limits;
use coregate_core::snapshot::compile::ChangeError;
use coregate_core::snapshot::plan::{Address, Admission, ListenerPlan, Plan, ServicePlan, Source};

use super::*;
use crate::registry::log::Change;
use crate::registry::order::{Order, What};

mod said;

const NOW: Duration = Duration::from_secs(10);
const LATER: Duration = Duration::from_secs(40);

fn address(port: u16) -> Address {
    Address::Tcp(([10, 0, 0, 1], port).into())
}

fn plan(ports: &[u16]) -> Plan {
    let service = ServicePlan {
        instances: ports.iter().copied().map(address).collect(),
        ..ServicePlan::named("s")
    };
    let listeners = vec![ListenerPlan { name: "l".into(), ..ListenerPlan::default() }];
    Plan { services: vec![service], listeners, ..Plan::default() }
}

fn state(ports: &[u16]) -> (State, Cells) {
    let cells = Cells::owned(16);
    let mut state = State::new(cells.clone());
    state.apply(Command::Configure(Box::new(plan(ports).into())), NOW).unwrap();
    (state, cells)
}

fn takes(cells: &Cells, slot: u32, generation: u16) -> bool {
    cells.verdict(InstanceSlot(slot)).load().takes_requests(generation)
}

fn drain(port: u16) -> Command {
    let deadline = LATER - NOW;
    operate(port, What::Drain { deadline })
}

fn operate(port: u16, what: What) -> Command {
    Command::Operate(Box::new(Order::of_operator("s".into(), &address(port), what)))
}

#[test]
fn instances_take_requests_from_their_first_snapshot_to_their_last() {
    let (mut state, cells) = state(&[1, 2]);
    assert!(takes(&cells, 0, 1) && takes(&cells, 1, 1) && !takes(&cells, 2, 1));
    assert_eq!(state.snapshot().unwrap().generation(), 1);
    assert!(state.snapshot().is_none(), "nothing has changed");
    state.apply(Command::Configure(Box::new(plan(&[2]).into())), NOW).unwrap();
    assert!(!takes(&cells, 0, 1), "before the snapshot without it");
    assert_eq!(state.snapshot().unwrap().generation(), 2);
}

#[test]
fn changes_are_told_apart() {
    let (mut state, cells) = state(&[1]);
    state.snapshot();
    let (service, none) = (|| "s".to_owned(), "t".to_owned());
    let changes = vec![
        Change::Register { service: service(), address: address(7) },
        Change::Register { service: none.clone(), address: address(7) },
        Change::Deregister { service: service(), address: address(8) },
        Change::Deregister { service: service(), address: address(7) },
    ];
    let Ok(Detail::Changed { results, .. }) = state.apply(Command::Change(changes), NOW) else {
        panic!("a batch is taken")
    };
    assert_eq!(results[1], Err(ChangeError::NoSuchService(none).into()));
    assert!(results[0].is_ok() && results[2].is_err() && results[3].is_ok());
    assert!(state.has_changed() && !takes(&cells, 1, 1));
}

#[test]
fn a_refused_plan_changes_nothing() {
    let (mut state, _) = state(&[1]);
    state.snapshot();
    let mut bad = plan(&[2]);
    bad.services.push(bad.services[0].clone());
    let refused = state.apply(Command::Configure(Box::new(bad.into())), NOW).unwrap_err();
    assert_eq!(refused.to_string(), "service \"s\" stands twice");
    assert!(!state.has_changed());
}

#[test]
fn a_drained_instance_has_its_time_and_is_cut_once() {
    let (mut state, cells) = state(&[1, 2]);
    state.snapshot();
    state.apply(drain(1), NOW).unwrap();
    assert!(!takes(&cells, 0, 1) && takes(&cells, 1, 1));
    assert!(!state.has_changed(), "a verdict publishes nothing");
    assert_eq!(state.next_overdue(), Some(LATER));
    assert_eq!(state.overdue(LATER - Duration::from_millis(1)), []);
    assert_eq!(state.overdue(LATER), [(InstanceSlot(0), 1)]);
    assert_eq!(state.overdue(LATER * 2), []);
    assert!(!takes(&cells, 0, 1), "it stays drained");
    state.apply(operate(1, What::Enable), LATER).unwrap();
    assert!(takes(&cells, 0, 1));
    assert!(state.apply(drain(9), NOW).is_err());
}

#[test]
fn one_that_is_enabled_or_removed_in_time_is_not_cut() {
    let (mut state, _) = state(&[1, 2]);
    state.apply(drain(1), NOW).unwrap();
    state.apply(drain(2), NOW).unwrap();
    state.apply(operate(1, What::Enable), NOW).unwrap();
    state.apply(Command::Configure(Box::new(plan(&[1]).into())), NOW).unwrap();
    assert_eq!(state.overdue(LATER), [], "what is in flight on a removed one ends by itself");
}

#[test]
fn a_successor_goes_on_and_uses_no_slot_again_while_the_other_lives() {
    let (mut before, cells) = state(&[1, 2]);
    before.snapshot();
    before.apply(drain(2), NOW).unwrap();
    let Ok(Detail::HandedOver(checkpoint)) = before.apply(Command::HandOver, NOW) else {
        panic!("it is handed over")
    };
    assert!(matches!(before.apply(drain(1), NOW), Err(Refused::HandedOver)));
    let text = serde_json::to_string(&checkpoint).unwrap();
    let mut after = State::new(cells.clone());
    after.inherit(serde_json::from_str(&text).unwrap(), Duration::ZERO);
    after.apply(Command::Configure(Box::new(plan(&[2, 3]).into())), Duration::ZERO).unwrap();
    let snapshot = after.snapshot().unwrap();
    assert_eq!(snapshot.generation(), 2);
    assert!(takes(&cells, 0, 1) && !takes(&cells, 2, 1), "nothing is written yet");
    after.apply(Command::TakeOver, Duration::ZERO).unwrap();
    assert!(takes(&cells, 2, 1) && !takes(&cells, 0, 1));
    assert!(!takes(&cells, 1, 1), "instance 2 is drained still");
    assert_eq!(after.overdue(LATER - NOW), [(InstanceSlot(1), 1)]);
    let readers = [Reader::new(16)];
    readers[0].acknowledge(2);
    assert!(after.reclaim(&readers, 10), "the slot of instance 1 may be in use there");
    after.predecessor_gone();
    assert!(!after.reclaim(&readers, 10));
}

#[test]
fn a_successor_that_does_not_take_over_leaves_all_as_it_was() {
    let (mut before, cells) = state(&[1, 2]);
    before.snapshot();
    let Ok(Detail::HandedOver(checkpoint)) = before.apply(Command::HandOver, NOW) else {
        panic!("it is handed over")
    };
    let mut after = State::new(cells.clone());
    after.inherit(*checkpoint, Duration::ZERO);
    after.apply(Command::Configure(Box::new(plan(&[2, 3]).into())), Duration::ZERO).unwrap();
    after.snapshot().unwrap();
    drop(after);
    before.apply(Command::TakeBack, NOW).unwrap();
    assert!(takes(&cells, 0, 1) && takes(&cells, 1, 1) && !takes(&cells, 2, 1));
    before.apply(Command::Configure(Box::new(plan(&[1, 4]).into())), NOW).unwrap();
    assert!(takes(&cells, 0, 1) && !takes(&cells, 1, 1) && takes(&cells, 2, 1));
    before.apply(drain(4), NOW).unwrap();
    assert!(!takes(&cells, 2, 1));
}

/// What was removed before a hand-over is somebody's slot still, and its words are not those of a fresh one.
#[test]
fn what_was_removed_before_a_hand_over_is_not_taken_for_unused() {
    let (mut before, cells) = state(&[1, 2]);
    before.snapshot();
    before.apply(drain(2), NOW).unwrap();
    before.apply(Command::Configure(Box::new(plan(&[1]).into())), NOW).unwrap();
    before.snapshot();
    let Ok(Detail::HandedOver(checkpoint)) = before.apply(Command::HandOver, NOW) else {
        panic!("it is handed over")
    };
    let mut after = State::new(cells.clone());
    after.inherit(*checkpoint, Duration::ZERO);
    after.apply(Command::Configure(Box::new(plan(&[1, 3]).into())), Duration::ZERO).unwrap();
    after.apply(Command::TakeOver, Duration::ZERO).unwrap();
    assert_eq!(after.compiler.member("s", &address(3)).unwrap().slot, InstanceSlot(2));
    assert!(takes(&cells, 2, 1) && after.contradictions() == 0);
    let readers = [Reader::new(16)];
    readers[0].acknowledge(after.snapshot().unwrap().generation());
    after.predecessor_gone();
    assert!(!after.reclaim(&readers, 10), "now it can be used again");
    assert_eq!(after.retired_slots(), 0);
}

/// What a source brings takes requests, goes with what it says, and is handed over.
#[test]
fn what_sources_bring_is_membership_like_any_other() {
    let source = || Source::Dns { host: "users".into(), port: 80 };
    let looking = || {
        let mut plan = plan(&[1]);
        plan.services[0].sources = vec![source()];
        Command::Configure(Box::new(plan.into()))
    };
    let says = |ports: &[u16]| {
        let instances = ports.iter().map(|port| (address(*port), 1)).collect();
        Command::Discovered { service: "s".into(), source: source(), instances }
    };
    let (mut state, cells) = state(&[1]);
    assert!(state.apply(says(&[2]), NOW).is_err(), "nobody looks there");
    state.apply(looking(), NOW).unwrap();
    state.snapshot();
    state.apply(says(&[2, 3]), NOW).unwrap();
    assert!(takes(&cells, 1, 1) && takes(&cells, 2, 1) && state.has_changed());
    state.snapshot();
    state.apply(says(&[3, 2]), NOW).unwrap();
    assert!(!state.has_changed(), "the same");
    state.apply(says(&[3]), NOW).unwrap();
    assert!(!takes(&cells, 1, 1) && takes(&cells, 2, 1));
    let Ok(Detail::HandedOver(checkpoint)) = state.apply(Command::HandOver, NOW) else { panic!() };
    let text = serde_json::to_string(&checkpoint).unwrap();
    let mut after = State::new(cells.clone());
    after.inherit(serde_json::from_str(&text).unwrap(), NOW);
    after.apply(looking(), NOW).unwrap();
    after.apply(Command::TakeOver, NOW).unwrap();
    assert_eq!(after.instances(), 2);
    assert!(takes(&cells, 2, 1), "the successor keeps it until it has an answer of its own");
    after.apply(says(&[]), NOW).unwrap();
    assert!(!takes(&cells, 2, 1));
}
