//! The admin listener over real sockets, with a process that is made up; what depends on time, over pipes in memory with a
//! clock that jumps.

mod consumers;
mod endpoints;
mod events;
mod hostile;
mod life;
mod quotas;
mod rates;
mod security;
mod time;
mod tokens;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use coregate_core::base::cells::Cells;
use coregate_core::base::ids::RouteId;
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::compile::compile;
use coregate_core::snapshot::plan::{HostPattern, Plan, RoutePlan};
use serde_json::Value;

use super::guard::Guard;
use super::question::{Asker, Busy, Decided, Ping, Process, Question};
use super::report::Answer;
use super::room::Room;
use super::view::{
    Count, Kind, Lateness, ListenerView, Load, Readiness, Reloads, Status, WorkerView,
};
use super::{Admin, AdminSocket, start};
use crate::io::moment::Moment;
use crate::registry::directory::admission::TokenCheck;
use crate::registry::journal::Journal;

/// How long a test waits for what must come at once.
pub(super) const SOON: Duration = Duration::from_secs(20);

/// Little, so that a test can fill it.
pub(super) const ROOM: Room = Room { all: 64, tcp: 48, watchers: 32 };

/// A process that is made up.
pub(crate) struct Fake {
    pub(super) readiness: Mutex<Readiness>,
    pub(super) ailing: Mutex<Option<&'static str>>,
    /// Workers that answer no ping.
    pub(super) silent: Mutex<Vec<u16>>,
    pub(super) pings: AtomicU64,
    pub(super) busy: Mutex<bool>,
    /// What is answered next; with none left, askers are kept waiting.
    pub(super) answers: Mutex<VecDeque<Answer>>,
    pub(super) asked: Mutex<Vec<Question>>,
    pub(super) waiting: Mutex<Vec<Asker>>,
    pub(super) journal: Arc<Journal>,
    pub(super) load: Mutex<Option<Load>>,
    pub(super) cells: Cells,
    /// What is published beside the plan that is always there.
    pub(super) policies: Mutex<Plan>,
}

impl Fake {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            readiness: Mutex::new(Readiness::Ready),
            ailing: Mutex::default(),
            silent: Mutex::default(),
            pings: AtomicU64::new(0),
            busy: Mutex::new(false),
            answers: Mutex::default(),
            asked: Mutex::default(),
            waiting: Mutex::default(),
            journal: Journal::new(),
            load: Mutex::default(),
            cells: Cells::owned(4),
            policies: Mutex::default(),
        })
    }

    pub(crate) fn will_answer(&self, answer: Answer) {
        self.answers.lock().expect("answers").push_back(answer);
    }

    pub(super) fn asked(&self) -> Vec<Question> {
        std::mem::take(&mut *self.asked.lock().expect("asked"))
    }
}

impl Process for Fake {
    fn ping(&self) -> Ping {
        Ping(self.pings.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn unanswered(&self, ping: Ping) -> Vec<u16> {
        assert!(ping.0 > 0 && ping.0 <= self.pings.load(Ordering::Relaxed));
        self.silent.lock().expect("silent").clone()
    }

    fn ailing(&self) -> Option<&'static str> {
        *self.ailing.lock().expect("ailing")
    }

    fn readiness(&self) -> Readiness {
        *self.readiness.lock().expect("readiness")
    }

    fn status(&self) -> Status {
        status()
    }

    fn workers(&self) -> Vec<WorkerView> {
        vec![worker(0), worker(1)]
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        let mut plan = Plan::to_instances(&["10.0.0.1:80".parse().expect("an address")]);
        let path = "/health".parse().expect("a path");
        plan.routes.push(RoutePlan::to(HostPattern::Any, path, "upstream"));
        let policies = self.policies.lock().expect("policies").clone();
        plan.routes.extend(policies.routes);
        (plan.consumers, plan.rates) = (policies.consumers, policies.rates);
        plan.quotas = policies.quotas;
        Arc::new(compile(&plan, 9).expect("a snapshot"))
    }

    fn journal(&self) -> Arc<Journal> {
        Arc::clone(&self.journal)
    }

    fn cells(&self) -> Cells {
        self.cells.clone()
    }

    fn decided(&self, route: RouteId) -> Decided {
        let admitted = 10 + route.index() as u64;
        Decided { admitted, refused: 2, dry_run: 1 }
    }

    fn load(&self, _: &str) -> Option<Load> {
        *self.load.lock().expect("load")
    }

    fn registry(&self) -> Vec<Count> {
        Vec::new()
    }

    fn ask(&self, question: Question, asker: Asker) -> Result<(), Busy> {
        if *self.busy.lock().expect("busy") {
            return Err(Busy);
        }
        self.asked.lock().expect("asked").push(question);
        match self.answers.lock().expect("answers").pop_front() {
            Some(answer) => asker.answer(answer),
            None => self.waiting.lock().expect("waiting").push(asker),
        }
        Ok(())
    }
}

pub(crate) fn status() -> Status {
    Status {
        pid: 7,
        version: "0.1.0".into(),
        rustc: "1.95.0".into(),
        allocator: "mimalloc".into(),
        io: "io_uring".into(),
        started: Moment::from(UNIX_EPOCH + Duration::from_secs(1_800_000_000)),
        uptime_seconds: 12.5,
        readiness: Readiness::Ready,
        workers: 2,
        listeners: vec![ListenerView { name: "public".into(), address: "0.0.0.0:8080".into() }],
        generation: 9,
        state: None,
        reloads: Reloads { applied: 5, refused: 2, last_applied: false },
    }
}

pub(crate) fn worker(worker: u16) -> WorkerView {
    let add = u64::from(worker);
    let count = |name, value, kind| Count { name, help: "What it counts", value, kind };
    WorkerView {
        worker,
        cpu: Some(worker.into()),
        generation: 9 - add,
        busy_ratio: 0.25,
        stuck: (worker == 1).then_some(Duration::from_millis(1_500)),
        counters: vec![
            count("requests", 100 + add, Kind::Counter),
            count("connections_open", 3 + add, Kind::Gauge),
            count("connections_idle", 1, Kind::Gauge),
            count("tunnels_open", 2, Kind::Gauge),
        ],
        rejected: vec![("no_route", 4), ("bad_request", add)],
        authentications: vec![("known", 5), ("missing", add)],
        lateness: Lateness {
            buckets: vec![(Some(100), 90), (Some(300), 9), (None, 1)],
            sum_us: 12_000,
            max_us: 2_000_000,
        },
    }
}

/// A listener on a Unix socket and a TCP socket, ended and cleaned up when dropped.
pub(crate) struct Stage {
    pub(crate) process: Arc<Fake>,
    pub(crate) path: PathBuf,
    pub(crate) tcp: SocketAddr,
    pub(crate) admin: Option<Admin>,
    /// Copies of the listening sockets, as another process would hold them.
    pub(crate) copies: (UnixListener, TcpListener),
}

impl Stage {
    /// One whose token is `secret`.
    pub(crate) fn new() -> Self {
        let token = Some(TokenCheck::new(|token| token == b"secret"));
        Self::guarded(Guard { token, ..Guard::default() })
    }

    pub(crate) fn guarded(guard: Guard) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("coregate-admin-{}-{number}.sock", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&path);
        let unix = UnixListener::bind(&path).expect("a Unix socket");
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a TCP socket");
        let address = tcp.local_addr().expect("its address");
        let copies = (unix.try_clone().expect("a copy"), tcp.try_clone().expect("a copy"));
        let process = Fake::new();
        let sockets = vec![AdminSocket::Unix(unix), AdminSocket::Tcp(tcp)];
        let admin = start(sockets, guard, Arc::<Fake>::clone(&process), ROOM);
        let admin = admin.expect("an admin listener");
        Self { process, path, tcp: address, admin: Some(admin), copies }
    }

    pub(crate) fn unix(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.path).expect("a connection");
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        stream
    }

    pub(crate) fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.tcp).expect("a connection");
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        stream
    }

    /// A request over the Unix socket.
    pub(super) fn ask(&self, line: &str) -> Heard {
        Heard::of(self.unix(), &format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
    }

    /// A request with a JSON body over the Unix socket.
    pub(super) fn ask_with(&self, line: &str, body: &str) -> Heard {
        let length = body.len();
        let text = format!(
            "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        Heard::of(self.unix(), &text)
    }

    /// A request over TCP with these header lines, each ended by CRLF.
    pub(super) fn ask_tcp(&self, line: &str, headers: &str) -> Heard {
        Heard::of(self.tcp(), &format!("{line} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n"))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// An answer, as bytes that were read to their end.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) status: u16,
    /// In lower case.
    pub(super) head: String,
    pub(super) body: String,
}

impl Heard {
    /// Sends and reads to the end.
    pub(super) fn of(mut stream: impl Read + Write, request: &str) -> Self {
        // The answer may come, and the connection end, before all was sent.
        let _ = stream.write_all(request.as_bytes());
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        Self::parse(&String::from_utf8_lossy(&bytes))
    }

    pub(super) fn parse(text: &str) -> Self {
        let (head, body) =
            text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
        Self { status, head: head.to_lowercase(), body: body.into() }
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// It is an error with this status, said as it must be.
    #[track_caller]
    pub(super) fn is_problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.head.contains("content-type: application/problem+json"), "{self:?}");
        let json = self.json();
        assert_eq!(json["status"], status);
        assert!(json["title"].is_string() && json["detail"].is_string(), "{self:?}");
        json
    }
}
