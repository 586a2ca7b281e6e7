//! Clients that retry nothing and check every byte, on one thread and one epoll.
//!
//! ```text
//!   Away ──▶ Connecting ──▶ Asked ⇄ Idle (thinks)            each fault: counted, told, and Away
//!     ▲                       └──▶ Ending (announced) ──┐
//!     └─────────────────────────────────────────────────┘        Done: told to leave, or refused where that is the end
//! ```
//! A client knows of each connection whether its last answer announced the end. One that did is read to its end, which must come;
//! any other end is a fault, whether a request was out or not.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::sockopt::socket_error;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::live::age::{Stage, World, is_right};
use crate::live::answer;
use crate::live::figures::{Fault, Figures};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long after a connect that was refused the next one comes.
const AGAIN: Duration = Duration::from_millis(5);
/// The pause after a fault.
const AFTER_FAULT: Duration = Duration::from_millis(50);
/// How often clients that wait for a moment are looked over.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };

/// Clients of one kind.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// Where they connect to.
    pub to: SocketAddr,
    /// How many they are.
    pub count: usize,
    /// What their targets begin with, in turn.
    pub targets: &'static [&'static str],
    /// How long each waits before the next request.
    pub think: Duration,
    /// Whether each request has a connection of its own.
    pub fresh: bool,
    /// Whether the listener they connect to comes and goes.
    pub comes_and_goes: bool,
}

/// A crowd that runs.
pub struct Crowd(JoinHandle<io::Result<Figures>>);

impl Crowd {
    /// Begins.
    pub fn start(groups: &[Group], world: Arc<dyn World>, stage: Arc<Stage>) -> io::Result<Self> {
        let mut engine = Engine::new(groups, world, stage)?;
        let run = move || {
            engine.run()?;
            Ok(engine.figures)
        };
        Ok(Self(std::thread::Builder::new().name("crowd".into()).spawn(run)?))
    }

    /// Whether every client has ended.
    pub fn has_ended(&self) -> bool {
        self.0.is_finished()
    }

    /// What it saw, once every client has ended.
    pub fn figures(self) -> io::Result<Figures> {
        self.0.join().unwrap_or_else(|_| Err(io::Error::other("the crowd panicked")))
    }
}

struct Engine {
    epoll: OwnedFd,
    clients: Vec<Client>,
    world: Arc<dyn World>,
    stage: Arc<Stage>,
    figures: Figures,
    bytes: Vec<u8>,
}

struct Client {
    group: Group,
    number: usize,
    state: State,
    fd: Option<OwnedFd>,
    /// When the state began.
    since: Instant,
    /// When its request began, with the connect if that was for it.
    began: Instant,
    /// The oldest configuration that may be seen.
    oldest: u64,
    /// Requests so far, and those that were answered on this connection.
    asked: u64,
    served: u64,
    target: String,
    got: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Without a connection, until then.
    Away(Instant),
    Connecting,
    Asked,
    /// Thinking, until then.
    Idle(Instant),
    Ending,
    Done,
}

impl Engine {
    fn new(groups: &[Group], world: Arc<dyn World>, stage: Arc<Stage>) -> io::Result<Self> {
        let now = Instant::now();
        let each = groups.iter().flat_map(|group| std::iter::repeat_n(*group, group.count));
        let clients: Vec<_> = each
            .enumerate()
            .map(|(number, group)| Client {
                group,
                number,
                state: State::Away(now),
                fd: None,
                since: now,
                began: now,
                oldest: 0,
                asked: 0,
                served: 0,
                target: String::new(),
                got: Vec::new(),
            })
            .collect();
        let figures = Figures::of(clients.len());
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, clients, world, stage, figures, bytes: Vec::with_capacity(16 * 1024) })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events: Vec<Event> = Vec::with_capacity(256);
        let mut looked = Instant::now();
        while self.clients.iter().any(|client| client.state != State::Done) {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&LOOK)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                self.take(event.data.u64() as usize)?;
            }
            if looked.elapsed() >= Duration::from_millis(1) {
                looked = Instant::now();
                for at in 0..self.clients.len() {
                    self.look(at, looked)?;
                }
            }
        }
        Ok(())
    }

    /// Something has happened on a connection.
    fn take(&mut self, at: usize) -> io::Result<()> {
        let client = &mut self.clients[at];
        let Some(fd) = &client.fd else { return Ok(()) };
        if client.state == State::Connecting {
            let connected = socket_error(fd)?;
            return match connected {
                Ok(()) => self.connected(at),
                Err(error) => self.refused(at, error.into()),
            };
        }
        self.bytes.clear();
        let got = recv(fd, spare_capacity(&mut self.bytes), RecvFlags::DONTWAIT);
        match got {
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Ok(_) if !self.bytes.is_empty() => {
                client.got.extend_from_slice(&self.bytes);
                self.heard(at)
            }
            end => {
                self.ended(at, end.err());
                Ok(())
            }
        }
    }

    /// What is due by the clock.
    fn look(&mut self, at: usize, now: Instant) -> io::Result<()> {
        let client = &self.clients[at];
        let leaves = self.stage.is_left();
        match client.state {
            State::Away(_) | State::Idle(_) if leaves => self.done(at),
            State::Away(until) if now >= until => return self.connect(at),
            State::Idle(until) if now >= until => self.ask(at),
            State::Connecting | State::Asked | State::Ending if now > client.since + PATIENCE => {
                self.fault(at, Fault::Late, "nothing for 10 s");
            }
            _ => {}
        }
        Ok(())
    }

    fn connect(&mut self, at: usize) -> io::Result<()> {
        let client = &mut self.clients[at];
        let domain = Domain::for_address(client.group.to);
        let kind = Type::STREAM.nonblocking().cloexec();
        let socket = Socket::new(domain, kind, Some(Protocol::TCP))?;
        socket.set_tcp_nodelay(true)?;
        client.set(State::Connecting);
        client.began = client.since;
        client.oldest = self.stage.oldest();
        let begun = socket.connect(&SockAddr::from(client.group.to));
        let fd = client.fd.insert(socket.into());
        match begun {
            Ok(()) => {
                epoll::add(&self.epoll, &*fd, EventData::new_u64(at as u64), EventFlags::IN)?;
                self.begin(at);
                Ok(())
            }
            Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {
                let flags = EventFlags::IN | EventFlags::OUT;
                epoll::add(&self.epoll, &*fd, EventData::new_u64(at as u64), flags)?;
                Ok(())
            }
            Err(error) => self.refused(at, error),
        }
    }

    fn connected(&mut self, at: usize) -> io::Result<()> {
        if let Some(fd) = &self.clients[at].fd {
            epoll::modify(&self.epoll, fd, EventData::new_u64(at as u64), EventFlags::IN)?;
        }
        self.begin(at);
        Ok(())
    }

    /// A connection stands.
    fn begin(&mut self, at: usize) {
        self.figures.connections += 1;
        self.clients[at].served = 0;
        self.send(at);
    }

    fn refused(&mut self, at: usize, error: io::Error) -> io::Result<()> {
        let client = &mut self.clients[at];
        if error.kind() != io::ErrorKind::ConnectionRefused {
            self.fault(at, Fault::NotConnected, &error.to_string());
            return Ok(());
        }
        if self.stage.is_over() {
            self.done(at);
            return Ok(());
        }
        let mut ages = self.stage.since(client.oldest);
        if client.group.comes_and_goes && ages.any(|age| !self.world.listens(age)) {
            self.figures.refused_rightly += 1;
            client.leave_for(AGAIN);
        } else {
            self.fault(at, Fault::Refused, "while somebody should listen");
        }
        Ok(())
    }

    /// The next request, on a connection that stands.
    fn ask(&mut self, at: usize) {
        let client = &mut self.clients[at];
        client.began = Instant::now();
        client.oldest = self.stage.oldest();
        self.send(at);
    }

    fn send(&mut self, at: usize) {
        let client = &mut self.clients[at];
        let Some(fd) = &client.fd else { return };
        let targets = client.group.targets;
        let target = targets[client.asked as usize % targets.len()];
        client.target = format!("{target}{}-{}", client.number, client.asked);
        let close = if client.group.fresh { "Connection: close\r\n" } else { "" };
        let request = format!("GET {} HTTP/1.1\r\nHost: live\r\n{close}\r\n", client.target);
        client.asked += 1;
        client.got.clear();
        let sent = send(fd, request.as_bytes(), SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
        client.set(State::Asked);
        match sent {
            Ok(sent) if sent == request.len() => {}
            Ok(_) => self.fault(at, Fault::Late, "no room for a request"),
            Err(error) => self.ended(at, Some(error)),
        }
    }

    /// Bytes have come.
    fn heard(&mut self, at: usize) -> io::Result<()> {
        let client = &mut self.clients[at];
        if client.state != State::Asked {
            let words = format!("{} bytes that nobody asked for", client.got.len());
            self.fault(at, Fault::WrongAnswer, &words);
            return Ok(());
        }
        let answer = match answer::read(&client.got) {
            Ok(None) => return Ok(()),
            Ok(Some(answer)) => answer,
            Err(why) => {
                self.fault(at, Fault::WrongAnswer, why);
                return Ok(());
            }
        };
        let ages = self.stage.since(client.oldest);
        let right = answer.status == 200
            && answer.length == client.got.len()
            && is_right(self.world.as_ref(), ages.clone(), &client.target, answer.body);
        if !right {
            let shown = String::from_utf8_lossy(&client.got).into_owned();
            self.fault(at, Fault::WrongAnswer, &format!("at {ages:?}: {shown:?}"));
            return Ok(());
        }
        self.figures.answered += 1;
        self.figures.longest = self.figures.longest.max(client.began.elapsed());
        client.served += 1;
        let think = client.group.think;
        match answer.closes {
            true => client.set(State::Ending),
            false if self.stage.is_left() => self.done(at),
            false if think.is_zero() => self.ask(at),
            false => client.set(State::Idle(Instant::now() + think)),
        }
        Ok(())
    }

    /// The connection has ended: with an end, or with an error.
    fn ended(&mut self, at: usize, error: Option<Errno>) {
        let client = &mut self.clients[at];
        let how = error.map_or("an end".to_owned(), |error| error.to_string());
        match client.state {
            State::Ending => {
                self.figures.announced += 1;
                let think = if client.group.fresh { client.group.think } else { Duration::ZERO };
                client.leave_for(think);
                if think.is_zero() && !self.stage.is_left() {
                    // At once, as a client that has more to ask does; an error would be the machine's.
                    let _ = self.connect(at);
                }
            }
            State::Asked if client.served == 0 => self.fault(at, Fault::ClosedUnderFirst, &how),
            State::Asked => self.fault(at, Fault::ClosedUnderLater, &how),
            _ => self.fault(at, Fault::ClosedIdle, &how),
        }
    }

    fn fault(&mut self, at: usize, fault: Fault, words: &str) {
        let client = &mut self.clients[at];
        let (number, served, state) = (client.number, client.served, client.state);
        let ages = self.stage.since(client.oldest);
        let after = client.began.elapsed();
        self.figures.fault(fault, || {
            format!(
                "{words} (client {number} to {}, {state:?}, {} bytes of an answer, {served} answered before, {after:?} after it \
                 began, ages {ages:?})",
                client.group.to,
                client.got.len(),
            )
        });
        client.leave_for(AFTER_FAULT);
    }

    fn done(&mut self, at: usize) {
        self.clients[at].fd = None;
        self.clients[at].set(State::Done);
    }
}

impl Client {
    fn set(&mut self, state: State) {
        self.since = Instant::now();
        self.state = state;
    }

    /// Closes the connection, and comes back after `pause`.
    fn leave_for(&mut self, pause: Duration) {
        self.fd = None;
        self.got.clear();
        self.set(State::Away(Instant::now() + pause));
    }
}
