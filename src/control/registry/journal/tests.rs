//! The journal beside the state that it is written from.

use coregate_core::base::cells::Cells;
use coregate_core::snapshot::plan::{Admission, Plan, ServicePlan};

use super::*;
use crate::registry::directory::admission::Caller;
use crate::registry::directory::{Draft, Registration, Said};
use crate::registry::log::{Command, Configure};
use crate::registry::order::{Expected, Order, What as Asked};

const SERVICES: [&str; 2] = ["a", "b"];

/// A journal beside the state that it is written from.
struct Play {
    state: State,
    journal: Arc<Journal>,
}

impl Play {
    fn new() -> Self {
        let mut state = State::new(Cells::owned(1_024));
        let service =
            |name: &&str| ServicePlan { register: Admission::Socket, ..ServicePlan::named(name) };
        let plan = Plan { services: SERVICES.iter().map(service).collect(), ..Plan::default() };
        state
            .apply(Command::Configure(Box::new(Configure::from(plan))), Duration::ZERO)
            .expect("a configuration");
        Self { state, journal: Journal::new() }
    }

    fn order(&mut self, service: &str, id: &str, what: Asked) {
        let (service, id) = (service.to_owned(), id.to_owned());
        let (by, expected) = (Caller::Socket, Expected::Anything);
        let order = Command::Order(Box::new(Order { service, id, by, expected, what }));
        self.state.apply(order, Duration::ZERO).expect("carried out");
    }

    fn register(&mut self, service: &str, id: u16) {
        let address = format!("10.0.0.1:{}", id + 1).parse().expect("an address");
        // It takes no slot: nobody is there to give them back.
        let draft = Draft { said: Said::Starting, ..Draft::at(address) };
        let registration = Registration::new(&id.to_string(), draft);
        let registration = Box::new(registration.expect("a registration"));
        self.order(service, &id.to_string(), Asked::Register(registration));
    }

    fn deregister(&mut self, service: &str, id: u16) {
        self.order(service, &id.to_string(), Asked::Deregister);
    }

    /// What changed since the last turn is written.
    fn turn(&mut self) {
        let changes = self.state.take_changes();
        self.journal.write(&changes, &self.state, Duration::ZERO);
    }

    /// What a watcher reads until there is nothing: the revision and what it says of each event; a last 0 where it is told to list.
    fn read(&self, service: Option<&str>, cursor: &mut Cursor) -> Vec<(u64, String)> {
        let mut read = Vec::new();
        loop {
            match self.journal.next(service, cursor) {
                Next::Nothing => return read,
                Next::Compacted => {
                    read.push((0, String::new()));
                    return read;
                }
                Next::Event(text) => read.push(event(&text)),
            }
        }
    }
}

fn event(text: &Bytes) -> (u64, String) {
    let text = std::str::from_utf8(text).expect("text");
    let rest = text.strip_prefix("id: ").expect("an id");
    let (id, rest) = rest.split_once("\nevent: instance\ndata: ").expect("an event");
    let data: serde_json::Value = serde_json::from_str(rest.trim_end()).expect("JSON");
    assert_eq!(data["revision"].to_string(), id);
    let word = |name: &str| data[name].as_str().unwrap_or("-").to_owned();
    assert_eq!(data["instance"].is_null(), word("what") == "gone");
    (
        id.parse().expect("a revision"),
        format!("{} {} {} {}", word("service"), word("id"), word("what"), word("why")),
    )
}

#[test]
fn what_has_changed_is_read_in_order() {
    let mut play = Play::new();
    let mut all = play.journal.cursor(None, Some(0)).expect("a cursor");
    play.register("a", 1);
    play.register("b", 1);
    play.turn();
    play.register("a", 2);
    play.deregister("b", 1);
    play.turn();
    let told: Vec<_> = play.read(None, &mut all).into_iter().map(|(_, told)| told).collect();
    assert_eq!(told, ["a 1 said -", "b 1 said -", "a 2 said -", "b 1 gone deregistered"]);
    assert_eq!(play.read(None, &mut all), []);
    let mut one = play.journal.cursor(Some("b"), Some(0)).expect("a cursor");
    let told = play.read(Some("b"), &mut one);
    assert_eq!(told.iter().map(|(revision, _)| *revision).collect::<Vec<_>>(), [2, 4]);
    // From the middle, from now on, and from what is still to come.
    let mut late = play.journal.cursor(None, Some(3)).expect("a cursor");
    assert_eq!(play.read(None, &mut late).len(), 1);
    let mut now = play.journal.cursor(None, None).expect("a cursor");
    assert_eq!(play.read(None, &mut now), []);
    assert_eq!(play.journal.cursor(None, Some(5)), None, "of another process");
    play.deregister("a", 2);
    play.turn();
    assert_eq!(play.read(None, &mut now).len(), 1);
    // Who has come and gone in one turn is told as gone.
    play.register("a", 3);
    play.deregister("a", 3);
    play.turn();
    let told = play.read(None, &mut now);
    assert_eq!(told, [(7, "a 3 gone deregistered".to_owned())]);
}

#[test]
fn who_falls_behind_is_told() {
    let mut play = Play::new();
    play.register("b", 1);
    play.turn();
    let cursor = |service: Option<&str>, from| play.journal.cursor(service, Some(from));
    let (mut all, mut own) = (cursor(None, 1).expect("all"), cursor(Some("a"), 1).expect("own"));
    let mut quiet = cursor(Some("b"), 1).expect("quiet");
    let mut early = cursor(Some("b"), 0).expect("early");
    for _ in 0..limits::JOURNAL_EVENTS / 2 + 1 {
        play.register("a", 1);
        play.turn();
        play.deregister("a", 1);
        play.turn();
    }
    let lost = vec![(0, String::new())];
    assert_eq!(play.read(None, &mut all), lost);
    assert_eq!(play.read(Some("a"), &mut own), lost);
    // Nothing of its service was lost, however long ago it read.
    assert_eq!(play.read(Some("b"), &mut quiet), []);
    assert_eq!(play.read(Some("b"), &mut early), lost);
    let cursor = |service: Option<&str>, from| play.journal.cursor(service, Some(from));
    assert!(cursor(Some("b"), 0).is_none() && cursor(Some("b"), 1).is_some());
    assert!(cursor(Some("a"), 1).is_none() && cursor(None, 1).is_none());
    let latest = play.journal.latest();
    assert!(cursor(Some("a"), latest).is_some() && cursor(None, latest - 1).is_some());
    play.register("b", 2);
    play.turn();
    assert_eq!(play.read(Some("b"), &mut quiet).len(), 1);
    let ring = play.journal.ring();
    assert_eq!(ring.events.len(), limits::JOURNAL_EVENTS);
    assert_eq!(ring.bytes, ring.events.iter().map(|event| event.text.len()).sum::<usize>());
}

#[test]
fn what_was_before_is_not_kept() {
    let journal = Journal::new();
    journal.begin(7);
    assert!(journal.cursor(None, Some(6)).is_none());
    assert!(journal.cursor(Some("a"), Some(6)).is_none());
    assert!(journal.cursor(Some("a"), Some(7)).is_some());
}

#[tokio::test]
async fn each_service_that_changed_is_named_once() {
    let mut play = Play::new();
    for _ in 0..3 {
        play.register("b", 1);
        play.deregister("b", 1);
        play.register("a", 1);
        play.turn();
        play.deregister("a", 1);
        play.turn();
    }
    let changed = play.journal.changed().await;
    assert_eq!(changed.iter().map(|name| &**name).collect::<Vec<_>>(), ["b", "a"]);
    play.register("a", 1);
    play.turn();
    assert_eq!(play.journal.changed().await.len(), 1);
}
