//! The gateway under test: the real binary as a child process, ended by its pid.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};

use super::client::Peer;
use super::clock::{self, until};

pub use super::process::Stats;
pub use super::run::Ended;
use super::run::{collect, spawn, to_its_end};

/// A folder of its own under the system's temporary one, removed in the end. Short, for names of Unix sockets.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let path =
            std::env::temp_dir().join(format!("coregate-it-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        // Some tests run the gateway as nobody, which writes its counters here too.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The binary that Cargo built beside the tests, unless `COREGATE_TEST_BINARY` names another.
pub fn binary() -> PathBuf {
    let other = std::env::var_os("COREGATE_TEST_BINARY");
    other.map_or_else(|| env!("CARGO_BIN_EXE_coregate").into(), PathBuf::from)
}

/// How a gateway is started.
#[derive(Debug)]
pub struct Setup {
    folder: Folder,
    /// Commands that end in `exec` of what follows them, such as `prlimit`: the pid stays that of the gateway.
    under: Vec<String>,
    binary: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    io: Option<String>,
}

impl Setup {
    /// `coregate run` with this configuration.
    pub fn run(config: &str) -> Self {
        let folder = Folder::new();
        let file = folder.write("coregate.toml", config);
        let stats = folder.path("stats.json");
        let mut setup = Self::command(folder, &["run", "-c"]);
        setup.arguments.push(file.display().to_string());
        setup.arguments.extend(["--stats".into(), stats.display().to_string()]);
        // A place of its own for each; and nobody looks at readiness, unless a test says so.
        let admin = format!("unix:{}", setup.folder.path("admin.sock").display());
        setup.arguments.extend(["--admin".into(), admin, "--drain-delay".into(), "0s".into()]);
        setup.io = std::env::var("COREGATE_TEST_IO").ok();
        setup
    }

    /// Any other command.
    pub fn command(folder: Folder, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let (under, variables) = (Vec::new(), Vec::new());
        Self { folder, under, binary: binary(), arguments, variables, io: None }
    }

    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(ToString::to_string));
        self
    }

    /// Another value for a flag that is there.
    #[track_caller]
    pub fn instead(mut self, flag: &str, value: &str) -> Self {
        let at = self.arguments.iter().position(|argument| argument == flag).unwrap();
        self.arguments[at + 1] = value.into();
        self
    }

    /// This driver, whatever the suite runs on.
    pub fn io(mut self, driver: &str) -> Self {
        self.io = Some(driver.into());
        self
    }

    pub fn under(mut self, command: &[&str]) -> Self {
        self.under.extend(command.iter().map(ToString::to_string));
        self
    }

    /// Runs a copy of the binary that any user may read.
    pub fn readable_copy(mut self) -> Self {
        self.binary = self.folder.path("coregate");
        std::fs::copy(binary(), &self.binary).unwrap();
        self
    }

    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// An environment variable of the process.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    fn words(&self) -> Vec<String> {
        let binary = self.binary.display().to_string();
        let mut words = [self.under.clone(), vec![binary], self.arguments.clone()].concat();
        if let Some(driver) = &self.io {
            words.extend(["--io".into(), driver.clone()]);
        }
        words
    }

    fn spawn(&self) -> Child {
        spawn(&self.words().iter().map(String::as_str).collect::<Vec<_>>(), &self.variables)
    }

    /// Starts the gateway and waits until it is ready.
    #[track_caller]
    pub fn start(self) -> Gateway {
        super::upgraded::adopt_orphans();
        let (messages, output) = (Arc::default(), Arc::default());
        let mut gateway = Gateway {
            child: caught(self.spawn(), &messages, &output),
            words: self.words(),
            variables: self.variables.clone(),
            successors: Vec::new(),
            asked_to_upgrade: AtomicBool::new(false),
            folder: self.folder,
            messages,
            output,
            addresses: Vec::new(),
        };
        gateway.becomes_ready();
        gateway
    }

    /// Runs the command to its end.
    #[track_caller]
    pub fn output(&self) -> Ended {
        to_its_end(self.spawn())
    }
}

/// What a child says goes to these.
fn caught(
    mut child: Child,
    messages: &Arc<Mutex<Vec<String>>>,
    output: &Arc<Mutex<Vec<String>>>,
) -> Child {
    collect(child.stderr.take().unwrap(), messages);
    collect(child.stdout.take().unwrap(), output);
    child
}

/// `coregate: listening on ADDRESS (listener)`.
fn listening(line: &str) -> Option<(String, String)> {
    let rest = line.strip_prefix("coregate: listening on ")?;
    let (address, listener) = rest.split_once(" (")?;
    Some((address.into(), listener.strip_suffix(')')?.into()))
}

/// A gateway that runs. Dropped, it is killed; if the test has failed, its messages are shown.
#[derive(Debug)]
pub struct Gateway {
    pub(super) child: Child,
    /// How it was started.
    words: Vec<String>,
    variables: Vec<(String, String)>,
    /// Those that took its place, the last of which serves.
    pub(super) successors: Vec<u32>,
    /// Whether there may be others.
    pub(super) asked_to_upgrade: AtomicBool,
    pub folder: Folder,
    messages: Arc<Mutex<Vec<String>>>,
    output: Arc<Mutex<Vec<String>>>,
    addresses: Vec<(String, String)>,
}

impl Gateway {
    /// One worker, one listener, every path to one service with these instances, reasons shown.
    #[track_caller]
    pub fn before(instances: &[&str]) -> Self {
        Setup::run(&config("", "", instances)).start()
    }

    #[track_caller]
    fn becomes_ready(&mut self) {
        until("the gateway is ready", || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the gateway ended: {ended:?}\n{}", self.messages());
            self.line("coregate: ready: ")
        });
        let lines = self.messages.lock().unwrap().clone();
        self.addresses = lines.iter().filter_map(|line| listening(line)).collect();
        assert!(!self.addresses.is_empty(), "no listening line:\n{}", self.messages());
    }

    /// Waits until it has ended, and starts it again as it was started. What it said before is forgotten.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.wait();
        (self.messages, self.output) = (Arc::default(), Arc::default());
        let words: Vec<_> = self.words.iter().map(String::as_str).collect();
        self.child = caught(spawn(&words, &self.variables), &self.messages, &self.output);
        self.becomes_ready();
    }

    /// Kills it at once, as SIGKILL does, and starts it again.
    #[track_caller]
    pub fn kill_and_start_again(&mut self) {
        self.signal(Signal::KILL);
        self.start_again();
    }

    /// The first address it listens on.
    pub fn address(&self) -> &str {
        &self.addresses[0].0
    }

    /// The addresses of the listener of this name.
    pub fn addresses_of(&self, listener: &str) -> Vec<&str> {
        let own = self.addresses.iter().filter(|(_, name)| name == listener);
        own.map(|(address, _)| address.as_str()).collect()
    }

    #[track_caller]
    pub fn client(&self) -> Peer {
        Peer::connect(self.address())
    }

    /// Of the process that serves: of the last that took over, if there was an upgrade.
    pub fn pid(&self) -> u32 {
        self.successors.last().copied().unwrap_or_else(|| self.child.id())
    }

    pub fn messages(&self) -> String {
        self.messages.lock().unwrap().join("\n")
    }

    /// What it printed to standard output.
    pub fn output(&self) -> String {
        self.output.lock().unwrap().join("\n")
    }

    /// How many messages there are so far.
    pub fn told(&self) -> usize {
        self.messages.lock().unwrap().len()
    }

    /// Waits for a message behind the first `from` that has `text` in it.
    #[track_caller]
    pub fn says_after(&self, from: usize, text: &str) -> String {
        let find = || {
            let lines = self.messages.lock().unwrap();
            lines.iter().skip(from).find(|line| line.contains(text)).cloned()
        };
        clock::within(clock::PATIENCE, find)
            .unwrap_or_else(|| panic!("it does not say {text:?}:\n{}", self.messages()))
    }

    /// Waits for a message that has `text` in it.
    #[track_caller]
    pub fn says(&self, text: &str) -> String {
        self.says_after(0, text)
    }

    /// The rest of the first message that begins with `start`.
    pub fn line(&self, start: &str) -> Option<String> {
        let lines = self.messages.lock().unwrap();
        lines.iter().find_map(|line| line.strip_prefix(start)).map(String::from)
    }

    /// What the ready line says of the driver: `uring (defer-taskrun, single-issuer)`, `epoll`.
    #[track_caller]
    pub fn driver(&self) -> String {
        let ready = self.line("coregate: ready: ").unwrap();
        ready.split_once("io ").unwrap_or_else(|| panic!("no driver in {ready:?}")).1.into()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid() as i32).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// The counters now, by SIGUSR2.
    #[track_caller]
    pub fn stats(&self) -> Stats {
        let path = self.folder.path("stats.json");
        let _ = std::fs::remove_file(&path);
        self.signal(Signal::USR2);
        until("the counters are written", || Stats::read(&path))
    }

    /// The counters as soon as `condition` holds of them; workers publish them a little after an answer.
    #[track_caller]
    pub fn stats_when(&self, what: &str, condition: impl Fn(&Stats) -> bool) -> Stats {
        let mut last = None;
        let found = clock::within(clock::PATIENCE, || {
            let stats = self.stats();
            let holds = condition(&stats);
            last = Some(stats.clone());
            holds.then_some(stats)
        });
        found.unwrap_or_else(|| panic!("{what}: {last:#?}"))
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        until("the gateway ends", || self.child.try_wait().unwrap())
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        self.end_successors();
        if std::thread::panicking() {
            eprintln!("--- the gateway's messages\n{}\n---", self.messages());
        }
    }
}

/// One worker and one service `s` that takes every path. `listener` and `service` are lines for those tables.
pub fn config(listener: &str, service: &str, instances: &[&str]) -> String {
    format!(
        "[runtime]\ncores = 1\n\
         [listeners.default]\nbind = \"127.0.0.1:0\"\nexpose_reasons = true\n{listener}\n\
         [services.s]\ninstances = {instances:?}\n{service}\n\
         [routes]\n\"/*\" = \"s\"\n"
    )
}
