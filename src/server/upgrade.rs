//! A binary upgrade: a new process takes over sockets, cells and the registry, and this one drains; or all is as before.
//!
//! ```text
//!  asked ─▶ registry hands over (nothing changes any more) ─▶ own thread: start, hand over, wait ─▶ ready? ─┬▶ go, stop
//!                                                                                                          └▶ take back, say why
//! ```

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::Builder;
use std::time::Instant;
use std::{env, fs, io, process};

use coregate_control::io::admin::question::Asker;
use coregate_control::io::admin::report::{Answer, UpgradeReport, Why};
use coregate_control::registry::checkpoint::Checkpoint;
use coregate_control::registry::log::{Command, Detail};
use coregate_core::base::cells::LAYOUT;
use coregate_core::base::limits;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, getppid, pidfd_open};
use serde::{Deserialize, Serialize};

use crate::server::answers::refusal;
use crate::server::configuration::history::History;
use crate::server::events::Event;
use crate::server::handover::{self, HandoverError, Inheritance, Ready};
use crate::server::process::Process;
use crate::server::{say, supervisor, topology};

/// What the registry leaves, and which process of the line it was.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Legacy {
    /// From 0 on.
    pub(crate) epoch: u64,
    /// What the registry knows.
    pub(crate) registry: Checkpoint,
    /// What was applied.
    #[serde(default)]
    pub(crate) history: History,
}

/// An upgrade that has come as far as it can by itself.
#[derive(Debug)]
pub(crate) struct Attempt {
    asker: Asker,
    report: UpgradeReport,
    begun: Instant,
    ready: Result<Ready, HandoverError>,
}

/// The process before this one, as long as it lives.
#[derive(Debug)]
pub(crate) struct Before(Option<OwnedFd>);

impl Before {
    /// Whoever is at the other end of a handover.
    pub(crate) fn of(predecessor: &handover::Predecessor) -> Self {
        // It may have ended already.
        Self(predecessor.pid().and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()))
    }

    /// Another look at the same process.
    pub(crate) fn again(&self) -> io::Result<Self> {
        self.0.as_ref().map(OwnedFd::try_clone).transpose().map(Self)
    }

    /// Whether it has ended.
    pub(crate) fn has_gone(&self) -> bool {
        let Some(process) = &self.0 else { return true };
        let mut look = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        matches!(poll(&mut look, Some(&now)), Ok(1..))
    }
}

impl Process {
    /// Begins an upgrade; `asker` is answered when it has come to its end.
    pub(crate) fn upgrade(&mut self, binary: Option<PathBuf>, asker: Asker) {
        let begun = Instant::now();
        self.predecessor.take_if(|before| before.has_gone());
        if let Some(why) = objection(self.epoch) {
            return asker.answer(Answer::Refused(refusal(Why::Conflict, why)));
        }
        if self.configuration.history.is_back() && self.file_differs() {
            let why = "what runs was gone back to, and the file, which the new process would read, says something else: put it right and reload first";
            return asker.answer(Answer::Refused(refusal(Why::Conflict, why)));
        }
        if self.predecessor.is_some() {
            let why = "the process before this one still finishes what it has in flight: again in a moment";
            return asker.answer(Answer::Refused(refusal(Why::Conflict, why)));
        }
        match self.inheritance(binary) {
            Ok((binary, inheritance)) => {
                self.upgrading = true;
                let report = UpgradeReport {
                    binary: binary.display().to_string(),
                    ..UpgradeReport::default()
                };
                say::message(format_args!("upgrading: starting {}", binary.display()));
                self.start_successor(binary, inheritance, Attempted { asker, report, begun });
            }
            Err(why) => {
                self.take_back();
                asker.answer(Answer::Refused(refusal(Why::Unavailable, why)));
            }
        }
    }

    /// Everything that a successor is to have. Nothing changes any more once it is made.
    fn inheritance(&self, binary: Option<PathBuf>) -> Result<(PathBuf, Inheritance), String> {
        let binary = match binary {
            Some(binary) => binary,
            None => handover::own_binary().map_err(|error| error.to_string())?.to_owned(),
        };
        let outcome = self.propose(Command::HandOver).map_err(|fault| fault.to_string())?;
        let Detail::HandedOver(registry) = outcome.detail else {
            return Err("the registry does not hand over".to_owned());
        };
        let history = self.configuration.history.clone();
        let legacy = Legacy { epoch: self.epoch, registry: *registry, history };
        let checkpoint =
            serde_json::value::to_raw_value(&legacy).map_err(|error| error.to_string())?;
        let cells = self.shared.descriptor().try_clone_to_owned();
        let inheritance = Inheritance {
            sockets: self.live.hand_over(),
            admin: self.office.as_ref().map(|office| office.live.hand_over()).unwrap_or_default(),
            cells: Some(Arc::new(cells.map_err(|error| error.to_string())?)),
            generation: outcome.generation,
            checkpoint,
        };
        Ok((binary, inheritance))
    }

    fn start_successor(&mut self, binary: PathBuf, inheritance: Inheritance, attempted: Attempted) {
        let tell = self.tell.clone();
        let run = move || {
            let Attempted { asker, mut report, begun } = attempted;
            let ready = hand_over(&binary, inheritance, &mut report);
            // Without the thread that hears it there is nobody to answer either.
            let attempt = Attempt { asker, report, begun, ready };
            let _ = tell.send(Event::Upgraded(Box::new(attempt)));
        };
        if let Err(error) = Builder::new().name("upgrade".into()).spawn(run) {
            // Whoever asked is told by the end of the connection.
            say::message(format_args!("upgrade: no thread: {error}"));
            self.upgrading = false;
            self.take_back();
        }
    }

    /// An upgrade has come to its end: whether this process is to leave.
    /// `serving`: it was not told to stop meanwhile.
    pub(crate) fn upgraded(&mut self, attempt: Attempt, serving: bool) -> bool {
        let Attempt { asker, mut report, begun, ready } = attempt;
        if !serving {
            // Whoever stops the service does not want another process to go on. Dropped, it is ended.
            drop(ready);
            self.upgrading = false;
            let why = "this process was told to stop, and the new one with it";
            asker.answer(Answer::Refused(refusal(Why::Unavailable, why)));
            return false;
        }
        let gone = ready.and_then(|ready| {
            let pid = ready.pid();
            ready.go().map(|()| pid)
        });
        report.took_ms = begun.elapsed().as_millis() as u64;
        self.upgrading = false;
        match gone {
            Ok(pid) => {
                (report.upgraded, report.pid) = (true, Some(pid));
                supervisor::succeeded_by(pid);
                // Whoever waits for the end of this asks the new process now.
                self.proposer.propose_then(Command::Leave, drop);
                say::message(format_args!("process {pid} goes on after {} ms", report.took_ms));
                self.discovery.end();
                self.live.disown_files();
                if let Some(office) = &mut self.office {
                    office.live.disown_files();
                    office.admin.pause();
                    office.live.close();
                }
            }
            Err(error) => {
                say::message(format_args!("the upgrade failed, this process goes on: {error}"));
                report.errors = vec![error.to_string()];
                self.take_back();
            }
        }
        let upgraded = report.upgraded;
        asker.answer(Answer::Upgrade(report));
        upgraded
    }

    /// Whether the file says something else than what runs.
    fn file_differs(&self) -> bool {
        let text = self.configuration.load().ok().map(|candidate| candidate.text);
        let current = self.configuration.history.current();
        text.is_some_and(|text| current.is_none_or(|entry| entry.text != text))
    }

    fn take_back(&self) {
        if let Err(why) = self.propose(Command::TakeBack) {
            say::message(format_args!("the registry: {why}"));
        }
    }
}

/// Why this process must not leave its place to another, if it must not: somebody would take its end for the end of the service,
/// and end the other one too.
fn objection(epoch: u64) -> Option<&'static str> {
    if env::var_os("NOTIFY_SOCKET").is_some() {
        // systemd is told which process is the main one.
        return None;
    }
    if env::var_os("INVOCATION_ID").is_some() {
        return Some(
            "systemd would end the service with this process: set Type=notify-reload, or restart it",
        );
    }
    if process::id() == 1 {
        return Some(
            "this process is the first of its container, which would end with it: replace the container",
        );
    }
    // What an init of a whole machine leaves alone, that of a container (tini, docker-init) takes for its reason to be; which of
    // them it is can only be guessed. A successor is a child of nobody in particular.
    let first = fs::read_to_string("/proc/1/comm").unwrap_or_default();
    let of_a_machine = matches!(first.trim(), "systemd" | "init");
    (epoch == 0 && getppid().is_some_and(Pid::is_init) && !of_a_machine).then_some(
        "process 1, which started or adopted this one, is no init of a whole machine that is known here: in a container it would end with this one; restart instead, or run under systemd",
    )
}

/// What is told at the end.
struct Attempted {
    asker: Asker,
    report: UpgradeReport,
    begun: Instant,
}

fn hand_over(
    binary: &std::path::Path,
    mut inheritance: Inheritance,
    report: &mut UpgradeReport,
) -> Result<Ready, HandoverError> {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    // A process takes its CPUs over from the thread that starts it; this one ends soon.
    topology::on_all();
    let successor = handover::begin(binary, &arguments)?;
    report.version = Some(successor.version().to_owned());
    report.cells_kept = successor.layout() == LAYOUT;
    if !report.cells_kept {
        inheritance.cells = None;
    }
    successor.hand_over(&inheritance)
}

/// How long an answer about an upgrade may take: both sides' deadlines, and starting.
pub(crate) const ANSWER_TIME: std::time::Duration =
    limits::UPGRADE_TIME.saturating_add(limits::UPGRADE_TIME);
