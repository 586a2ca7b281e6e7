//! Who watches, over real sockets.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use coregate_core::base::cells::Cells;
use coregate_core::snapshot::plan::{Admission, Plan, ServicePlan};

use super::{ROOM, SOON, Stage};
use crate::registry::directory::admission::Caller;
use crate::registry::directory::{Draft, Registration};
use crate::registry::log::{Command, Configure};
use crate::registry::order::{Expected, Order, What};
use crate::registry::state::State;

/// A registry that writes the journal of a made-up process.
struct Registry(State);

impl Registry {
    fn new() -> Self {
        let mut state = State::new(Cells::owned(64));
        let service = ServicePlan { register: Admission::Socket, ..ServicePlan::named("s") };
        let other = ServicePlan { register: Admission::Socket, ..ServicePlan::named("t") };
        let plan = Plan { services: vec![service, other], ..Plan::default() };
        state
            .apply(Command::Configure(Box::new(Configure::from(plan))), Duration::ZERO)
            .expect("a configuration");
        Self(state)
    }

    fn register(&mut self, stage: &Stage, service: &str, id: &str, port: u16) {
        let address = format!("10.0.0.1:{port}").parse().expect("an address");
        let registration = Registration::new(id, Draft::at(address)).expect("a registration");
        let order = Order {
            service: service.to_owned(),
            id: id.to_owned(),
            by: Caller::Socket,
            expected: Expected::Anything,
            what: What::Register(Box::new(registration)),
        };
        self.0.apply(Command::Order(Box::new(order)), Duration::ZERO).expect("carried out");
        let changes = self.0.take_changes();
        stage.process.journal.write(&changes, &self.0, Duration::ZERO);
    }
}

/// What a watcher has heard so far.
struct Watcher {
    stream: UnixStream,
    text: String,
}

impl Watcher {
    fn new(stage: &Stage, target: &str, fields: &str) -> Self {
        let mut stream = stage.unix();
        let head = format!("GET {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
        stream.write_all(head.as_bytes()).expect("sent");
        let mut watcher = Self { stream, text: String::new() };
        watcher.until(":\n\n");
        assert!(watcher.text.contains("content-type: text/event-stream\r\n"), "{}", watcher.text);
        watcher
    }

    /// Reads until it has heard this.
    #[track_caller]
    fn until(&mut self, text: &str) {
        while !self.text.contains(text) {
            let mut bytes = [0; 4096];
            let count = self.stream.read(&mut bytes).expect("more");
            assert!(count > 0, "it ended: {:?}", self.text);
            self.text.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    }

    fn into_all(mut self) -> String {
        let _ = self.stream.read_to_string(&mut self.text);
        self.text
    }
}

#[test]
fn changes_are_told_as_they_come() {
    let (stage, mut registry) = (Stage::new(), Registry::new());
    registry.register(&stage, "s", "before", 1);
    let mut now = Watcher::new(&stage, "/v1/registry/watch?service=s", "");
    let mut whole = Watcher::new(&stage, "/v1/registry/watch?from=0", "");
    let mut again = Watcher::new(&stage, "/v1/registry/watch?from=0", "Last-Event-ID: 1\r\n");
    whole.until("\"id\":\"before\"");
    registry.register(&stage, "t", "other", 2);
    registry.register(&stage, "s", "a", 3);
    for watcher in [&mut now, &mut whole, &mut again] {
        watcher.until("\"id\":\"a\"");
    }
    assert!(now.text.contains("id: 3\nevent: instance\ndata: {\"revision\":3,\"service\":\"s\""));
    assert!(!now.text.contains("other") && !now.text.contains("before"));
    assert!(whole.text.contains("\"id\":\"other\""));
    assert!(again.text.contains("\"id\":\"other\"") && !again.text.contains("before"));
}

#[test]
fn what_is_not_kept_is_said_and_the_stream_ends() {
    let stage = Stage::new();
    stage.process.journal.begin(10);
    let text = stage.ask("GET /v1/registry/watch?from=3");
    assert!(text.body.contains("event: compacted\ndata: {\"revision\":10}\n\n"), "{text:?}");
    for wrong in ["?from=x", "?service", "?form=1", "?from=-1"] {
        stage.ask(&format!("GET /v1/registry/watch{wrong}")).is_problem(400);
    }
    let fields = "Last-Event-ID: soon\r\n";
    let text =
        format!("GET /v1/registry/watch HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
    super::Heard::of(stage.unix(), &text).is_problem(400);
}

#[test]
fn watchers_leave_room_for_others() {
    let stage = Stage::new();
    let mut held: Vec<_> =
        (0..ROOM.watchers).map(|_| Watcher::new(&stage, "/v1/registry/watch", "")).collect();
    let refused = stage.ask("GET /v1/registry/watch");
    refused.is_problem(503);
    assert!(refused.head.contains("retry-after: 1"));
    assert_eq!(stage.ask("GET /livez").status, 200);
    held.pop();
    // The end of a connection is noticed soon, but not at once.
    let deadline = std::time::Instant::now() + SOON;
    loop {
        let mut stream = stage.unix();
        stream.write_all(b"GET /v1/registry/watch HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
        let mut first = [0; 12];
        stream.read_exact(&mut first).expect("an answer");
        if &first == b"HTTP/1.1 200" {
            break;
        }
        assert!(std::time::Instant::now() < deadline);
    }
}

#[test]
fn streams_end_with_a_pause() {
    let stage = Stage::new();
    let watcher = Watcher::new(&stage, "/v1/registry/watch", "");
    let admin = stage.admin.as_ref().expect("an admin listener");
    admin.pause();
    assert!(watcher.into_all().ends_with("0\r\n\r\n"), "a whole answer");
    admin.resume();
    Watcher::new(&stage, "/v1/registry/watch", "");
}
