//! The side of the process that leaves: it starts its successor, and serves on until that one can.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use coregate_core::base::limits;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::channel::{Channel, ChannelError, ended_within};
use super::message::{Entry, Hello, Manifest, Message, PROTOCOL};
use super::{HandoverError, Inheritance, VARIABLE};

/// A process that was started to take our place, and has said who it is.
#[derive(Debug)]
#[must_use = "dropped, the new process is ended"]
pub(crate) struct Successor {
    line: Line,
    hello: Hello,
}

/// A process that can take our place.
#[derive(Debug)]
#[must_use = "dropped, the new process is ended"]
pub(crate) struct Ready {
    line: Line,
    pid: u32,
}

/// Starts a binary and waits until it has said who it is. From here until it is ready it has [`limits::UPGRADE_TIME`].
pub(crate) fn begin(binary: &Path, arguments: &[OsString]) -> Result<Successor, HandoverError> {
    begin_within(binary, arguments, limits::UPGRADE_TIME)
}

pub(super) fn begin_within(
    binary: &Path,
    arguments: &[OsString],
    time: Duration,
) -> Result<Successor, HandoverError> {
    let deadline = Instant::now() + time;
    let (ours, theirs) = UnixStream::pair()?;
    // The command goes with this statement, and our copy of the other end with it.
    let started = Command::new(binary)
        .args(arguments)
        .env(VARIABLE, "0")
        .stdin(OwnedFd::from(theirs))
        .spawn()
        .map_err(|error| HandoverError::Start { binary: binary.to_owned(), error })?;
    let started = Started::new(started);
    let channel = Channel::new(ours.into(), started.end());
    Line { channel, started, deadline }.greet()
}

impl Successor {
    /// Its version.
    pub(crate) fn version(&self) -> &str {
        &self.hello.version
    }

    /// The hash of the layout of its cells: where it is another than ours, it can do nothing with ours.
    pub(crate) fn layout(&self) -> u64 {
        self.hello.layout
    }

    /// Gives it everything, and waits until it can serve. Sockets and cells are shared from then on: it may accept already.
    pub(crate) fn hand_over(self, inheritance: &Inheritance) -> Result<Ready, HandoverError> {
        let line = self.line;
        match hand_over(&line.channel, inheritance, line.deadline) {
            Ok(Message::Ready { pid }) => Ok(Ready { line, pid }),
            Ok(Message::Failed { reason }) => Err(line.refused(&reason)),
            Ok(other) => {
                let got = other.name();
                Err(line.broken(ChannelError::Unexpected { wanted: "ready", got }))
            }
            Err(why) => Err(line.broken(why)),
        }
    }
}

impl Ready {
    /// What it says its process id is.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Tells it to take over, and lets go of it: on `Ok` it is time to stop accepting, and to leave. On an error it is gone, and
    /// we serve on.
    pub(crate) fn go(self) -> Result<(), HandoverError> {
        let deadline = Instant::now() + limits::UPGRADE_EXIT;
        match self.line.channel.send(&Message::Go, &[], deadline) {
            Ok(()) => {
                self.line.started.release();
                Ok(())
            }
            Err(why) => Err(self.line.broken(why)),
        }
    }
}

/// Hands everything over; gives what it answered.
pub(super) fn hand_over(
    channel: &Channel,
    inheritance: &Inheritance,
    deadline: Instant,
) -> Result<Message, ChannelError> {
    let Inheritance { sockets, admin, cells, generation, checkpoint } = inheritance;
    let manifest = Manifest {
        sockets: sockets.iter().map(Entry::of).collect(),
        admin: admin.iter().map(Entry::of).collect(),
        cells: cells.is_some(),
        generation: *generation,
        checkpoint: checkpoint.clone(),
    };
    channel.send(&Message::Manifest(manifest), &[], deadline)?;
    let listening = sockets.iter().chain(admin).flat_map(|handed| &handed.sockets);
    let descriptors: Vec<BorrowedFd<'_>> =
        listening.chain(cells).map(|descriptor| descriptor.as_fd()).collect();
    let mut given = 0;
    for batch in descriptors.chunks(limits::HANDOVER_BATCH) {
        channel.send(&Message::Descriptors(batch.len()), batch, deadline)?;
        given += batch.len();
        match channel.receive("got", limits::HANDOVER_WORD_BYTES, deadline)?.0 {
            Message::Got(got) if got == given => {}
            Message::Failed { reason } => return Ok(Message::Failed { reason }),
            other => {
                return Err(ChannelError::Unexpected { wanted: "got", got: other.name() });
            }
        }
    }
    let (answer, _) = channel.receive("ready", limits::HANDOVER_WORD_BYTES, deadline)?;
    Ok(answer)
}

/// The first thing that the other side says.
pub(super) fn hear_hello(channel: &Channel, deadline: Instant) -> Result<Hello, ChannelError> {
    match channel.receive("hello", limits::HANDOVER_WORD_BYTES, deadline)?.0 {
        Message::Hello(hello) => Ok(hello),
        other => Err(ChannelError::Unexpected { wanted: "hello", got: other.name() }),
    }
}

/// The way to a process that was started.
#[derive(Debug)]
struct Line {
    channel: Channel,
    started: Started,
    deadline: Instant,
}

impl Line {
    fn greet(self) -> Result<Successor, HandoverError> {
        match hear_hello(&self.channel, self.deadline) {
            Ok(hello) if hello.protocol == PROTOCOL => Ok(Successor { line: self, hello }),
            Ok(Hello { protocol, version, layout: _ }) => {
                self.started.end_it(Duration::ZERO);
                Err(HandoverError::Stranger { theirs: protocol, version: in_line(&version) })
            }
            Err(why) => Err(self.broken(why)),
        }
    }

    /// Ends it, and says how it ended.
    fn broken(self, why: ChannelError) -> HandoverError {
        let Self { channel, started, .. } = self;
        let closed = matches!(why, ChannelError::Closed(_));
        drop(channel);
        // Who closes is about to leave by itself; who is late, or talks nonsense, need not.
        let status = started.end_it(if closed { limits::UPGRADE_EXIT } else { Duration::ZERO });
        match status {
            Some(status) if closed => HandoverError::Exited(status),
            status => HandoverError::Broken { why, status },
        }
    }

    fn refused(self, reason: &str) -> HandoverError {
        drop(self.channel);
        self.started.end_it(limits::UPGRADE_EXIT);
        HandoverError::Refused(printable(reason))
    }
}

/// What the other side wrote, fit for a terminal; it may have lines.
fn printable(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

/// The same in one line.
fn in_line(text: &str) -> String {
    printable(text).replace('\n', " ")
}

/// A process that is ended and reaped, unless it is released.
#[derive(Debug)]
struct Started {
    child: Option<Child>,
    /// Readable once it has ended; kernels before 5.3 have none.
    end: Option<OwnedFd>,
}

impl Started {
    fn new(child: Child) -> Self {
        // It is not reaped, so the number is still its.
        let end = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).ok();
        Self { child: Some(child), end }
    }

    fn end(&self) -> Option<OwnedFd> {
        self.end.as_ref().and_then(|end| end.try_clone().ok())
    }

    /// Gives it so much time to leave, then kills it, and reaps it. Gives its status if it left by itself.
    fn end_it(mut self, grace: Duration) -> Option<ExitStatus> {
        self.reap(grace)
    }

    fn reap(&mut self, grace: Duration) -> Option<ExitStatus> {
        let mut child = self.child.take()?;
        let ended = |time| self.end.as_ref().is_some_and(|end| ended_within(end, time));
        ended(grace);
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        // It fails where there is nothing left to kill.
        let _ = child.kill();
        if self.end.is_none() || ended(limits::UPGRADE_EXIT) {
            let _ = child.wait();
        }
        None
    }

    /// Lets it live: it outlives us.
    fn release(mut self) {
        self.child = None;
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.reap(Duration::ZERO);
    }
}
