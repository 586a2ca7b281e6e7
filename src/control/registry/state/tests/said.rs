//! What operators, instances and the file say of one instance, and what of it outlives a process.

use coregate_core::base::ids::ServiceId;

use super::*;
use crate::registry::directory::admission::Caller;
use crate::registry::directory::{Draft, Registration, Said, Status, Wish};
use crate::registry::order::{Expected, OrderError};

fn order(id: &str, what: What) -> Command {
    let (service, id) = ("s".to_owned(), id.to_owned());
    let (by, expected) = (Caller::Socket, Expected::Anything);
    Command::Order(Box::new(Order { service, id, by, expected, what }))
}

fn register(id: &str, port: u16, said: Said) -> Command {
    let draft = Draft { said, ..Draft::at(address(port)) };
    order(id, What::Register(Box::new(Registration::new(id, draft).unwrap())))
}

fn registering(ports: &[u16]) -> Command {
    let mut plan = plan(ports);
    plan.services[0].register = Admission::Socket;
    Command::Configure(Box::new(plan.into()))
}

/// A service that takes registrations, with these of the file.
fn open(ports: &[u16]) -> (State, Cells) {
    let (mut state, cells) = state(ports);
    state.apply(registering(ports), NOW).unwrap();
    (state, cells)
}

fn handed_over(state: &mut State, cells: &Cells, configure: Command) -> State {
    let Ok(Detail::HandedOver(checkpoint)) = state.apply(Command::HandOver, NOW) else {
        panic!("it is handed over")
    };
    let mut after = State::new(cells.clone());
    after.inherit(*checkpoint, NOW);
    after.apply(configure, NOW).unwrap();
    after.apply(Command::TakeOver, NOW).unwrap();
    after
}

fn set_aside(cells: &Cells, slot: u32) -> bool {
    cells.outlier(ServiceId(0), InstanceSlot(slot), 1).eject(1)
}

fn taken(cells: &Cells) -> u64 {
    cells.ejections(ServiceId(0)).taken()
}

#[test]
fn who_goes_gives_the_permit_back_that_it_was_set_aside_with() {
    let (mut before, cells) = state(&[1, 2]);
    assert!(set_aside(&cells, 0));
    let after = handed_over(&mut before, &cells, Command::Configure(Box::new(plan(&[2]).into())));
    assert_eq!((taken(&cells), after.instances()), (0, 1), "in the first plan of an upgrade too");
    let (mut state, cells) = state(&[1, 2]);
    assert!(set_aside(&cells, 0));
    state.apply(Command::Configure(Box::new(Plan::default().into())), NOW).unwrap();
    assert_eq!(taken(&cells), 0, "with its service");
}

#[test]
fn who_is_set_aside_comes_back_where_nobody_is_any_more() {
    let (mut state, cells) = state(&[1, 2]);
    assert!(set_aside(&cells, 0));
    state.sample(NOW, |_| (0, 0));
    assert_eq!(state.health_counts().ejected, 1);
    let mut plan = plan(&[1, 2]);
    plan.services[0].outlier.failures = 0;
    state.apply(Command::Configure(Box::new(plan.into())), NOW).unwrap();
    let later = NOW + limits::SAMPLE_EVERY;
    state.sample(later, |_| (0, 0));
    assert!(takes(&cells, 0, 1), "long before its time");
    assert_eq!((taken(&cells), state.health_counts().ejected), (0, 0));
}

#[test]
fn what_only_those_can_be_asked_who_have_registered_is_refused_of_others() {
    let (mut state, _) = open(&[1]);
    let id = address(1).to_string();
    for what in [What::Renew, What::Weight(5), What::Status(Wish::Maintenance)] {
        let refused = state.apply(order(&id, what.clone()), NOW);
        let expected = OrderError::NoSuchInstance { service: "s".into(), id: id.clone() };
        assert!(
            matches!(&refused, Err(Refused::Order(why)) if *why == expected),
            "{what:?}: {refused:?}"
        );
    }
    assert_eq!(state.events().renewed, 0);
}

#[test]
fn who_is_held_back_takes_nothing_though_the_file_names_it() {
    let (mut state, cells) = open(&[1, 2]);
    state.apply(register("a", 1, Said::Up), NOW).unwrap();
    let status = |wish| order("a", What::Status(wish));
    state.apply(status(Wish::Maintenance), NOW).unwrap();
    assert!(!takes(&cells, 0, 1) && takes(&cells, 1, 1));
    assert_eq!(state.instance("s", "a", NOW).unwrap().status, Status::Maintenance);
    assert!(state.instance("s", &address(1).to_string(), NOW).is_none(), "its record speaks");
    let after = &mut handed_over(&mut state, &cells, registering(&[1, 2]));
    assert!(!takes(&cells, 0, 1), "whoever goes on");
    after.apply(status(Wish::Said(Said::Up)), NOW).unwrap();
    assert!(takes(&cells, 0, 1));
    after.apply(register("a", 1, Said::Down), NOW).unwrap();
    assert!(!takes(&cells, 0, 1), "it says so itself");
    assert_eq!(after.health_counts().down, 1);
    after.apply(order("a", What::Deregister), NOW).unwrap();
    assert!(takes(&cells, 0, 1), "the file alone speaks");
    assert_eq!(after.health_counts().down, 0);
    after.apply(register("b", 3, Said::Starting), NOW).unwrap();
    after.apply(registering(&[1, 2, 3]), NOW).unwrap();
    assert!(!takes(&cells, 2, 1), "the file comes later");
}

#[test]
fn what_is_drained_is_so_after_a_restart() {
    let (mut before, _) = open(&[]);
    before.apply(register("a", 1, Said::Up), NOW).unwrap();
    before.apply(register("b", 2, Said::Up), NOW).unwrap();
    let done = before.apply(drain(1), NOW).unwrap();
    assert!(matches!(done, Detail::Operated { durable: true, .. }), "it is to be stored");
    let kept = before.kept();
    let (mut after, cells) = open(&[]);
    after.restore(kept.clone(), NOW);
    assert!(!takes(&cells, 0, 1) && takes(&cells, 1, 1));
    assert_eq!(after.instance("s", "a", NOW).unwrap().status, Status::Draining);
    assert_eq!((after.kept(), after.overdue(LATER)), (kept, vec![]), "and nothing is to be cut");
    after.apply(operate(1, What::Enable), NOW).unwrap();
    assert!(takes(&cells, 0, 1));
    let (mut of_file, _) = open(&[1]);
    let done = of_file.apply(drain(1), NOW).unwrap();
    assert!(matches!(done, Detail::Operated { durable: false, .. }), "nobody stores that");
}
