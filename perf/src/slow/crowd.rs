//! Thousands of slow connections on one thread and one epoll.
//!
//! ```text
//!   Waiting -> Connecting -> Open -> Closed (when, and how it was seen)
//!                        \-> Failed
//! ```
//! A few connects are in flight at a time, so that no backlog overflows. Once all have come, every
//! client that trickles has its turn once in an interval, the turns spread evenly over it.
//! A client's time runs from when its opening was sent (a reader's: from when the answer began to
//! arrive) to when the kernel tells of the end: a FIN or a reset. A FIN behind bytes that a reader
//! does not take cannot arrive; [`Crowd::drain`] reads on, and what then ends short of the whole
//! answer had been let go before. Loopback sources only, so that ports suffice.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::net::sockopt::socket_error;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::frame::status_of;
use crate::slow::Manner;

/// Connects in flight.
const CONNECTING_MAX: usize = 128;
/// Clients that share a source address: far fewer than there are ports.
const PER_SOURCE: usize = 1_000;
/// SO_RCVBUF of a slow client.
const RECEIVE_BUFFER: usize = 4 * 1024;
/// What a client beyond Ethernet has. Loopback's 64 KiB would let the kernel take a megabyte for
/// each reader off the proxy's hands.
const SEGMENT_BYTES: u32 = 1460;

/// A crowd of slow clients of one server.
pub struct Crowd {
    epoll: OwnedFd,
    to: SocketAddr,
    clients: Vec<Client>,
    /// The next to be connected.
    next: usize,
    connecting: usize,
    failed: usize,
    /// Whose byte is due when: in the order of time, since the interval is the same for all.
    turns: VecDeque<(Duration, usize)>,
    every: Duration,
    /// Whether the turns have begun.
    spread: bool,
    start: Instant,
    draining: bool,
    events: Vec<Event>,
    bytes: Vec<u8>,
}

struct Client {
    manner: Manner,
    fd: Option<OwnedFd>,
    state: State,
    /// When its deadline began.
    began: Option<Duration>,
    /// The status of an answer that came while it was sending.
    status: Option<u16>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Connecting,
    Open,
    Closed { at: Duration, by_reading: bool },
    Failed,
}

/// How the clients of one manner ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ends {
    /// How many there were.
    pub clients: usize,
    /// Those closed by the server, their times from when their deadline began.
    pub earliest: Option<Duration>,
    /// The latest of them.
    pub latest: Option<Duration>,
    /// Those of which the end was seen only by reading on: let go before, nobody knows when.
    pub by_reading: usize,
    /// Those answered with 408 before.
    pub answered_408: usize,
    /// Those still open.
    pub open: usize,
    /// Those that never came in.
    pub failed: usize,
}

impl Crowd {
    /// A crowd that has not begun. `every` is the time between two bytes of one client.
    pub fn new(to: SocketAddr, manners: &[Manner], every: Duration) -> io::Result<Crowd> {
        let waiting = |manner: &Manner| Client {
            manner: *manner,
            fd: None,
            state: State::Waiting,
            began: None,
            status: None,
        };
        Ok(Crowd {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            to,
            clients: manners.iter().map(waiting).collect(),
            next: 0,
            connecting: 0,
            failed: 0,
            turns: VecDeque::with_capacity(manners.len()),
            every,
            spread: false,
            start: Instant::now(),
            draining: false,
            events: Vec::with_capacity(1024),
            bytes: vec![0; 64 * 1024],
        })
    }

    /// Does what is due, for `limit` at most.
    pub fn turn(&mut self, limit: Duration) -> io::Result<()> {
        let end = self.start.elapsed() + limit;
        loop {
            while self.next < self.clients.len() && self.connecting < CONNECTING_MAX {
                self.connect(self.next)?;
                self.next += 1;
            }
            if !self.spread && self.is_whole() {
                self.spread = true;
                self.spread_turns();
            }
            let now = self.start.elapsed();
            while let Some((_, index)) = self.turns.pop_front_if(|(due, _)| *due <= now) {
                self.trickle(index);
            }
            let now = self.start.elapsed();
            if now >= end {
                return Ok(());
            }
            let until = self.turns.front().map_or(end, |(due, _)| end.min(*due));
            self.wait(until.saturating_sub(now))?;
        }
    }

    /// Whether every client has connected, or failed to.
    pub fn is_whole(&self) -> bool {
        self.next == self.clients.len() && self.connecting == 0
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.clients.iter().filter(|client| client.state == State::Open).count()
    }

    /// How many never came in.
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// How long it is since the last deadline began.
    pub fn since_last_began(&self) -> Duration {
        let last = self.clients.iter().filter_map(|client| client.began).max();
        self.start.elapsed().saturating_sub(last.unwrap_or_default())
    }

    /// From here on readers take all that comes.
    pub fn drain(&mut self) {
        self.draining = true;
        for index in 0..self.clients.len() {
            let client = &self.clients[index];
            if client.manner.reads() && client.state == State::Open {
                self.take_all(index);
            }
        }
    }

    /// How the clients of one manner ended so far.
    pub fn ends(&self, manner: Manner) -> Ends {
        let mut ends = Ends::default();
        for client in self.clients.iter().filter(|client| client.manner == manner) {
            ends.clients += 1;
            ends.answered_408 += usize::from(client.status == Some(408));
            match client.state {
                State::Closed { by_reading: true, .. } => ends.by_reading += 1,
                State::Closed { at, by_reading: false } => {
                    let took = at.saturating_sub(client.began.unwrap_or_default());
                    ends.earliest = Some(ends.earliest.map_or(took, |before| before.min(took)));
                    ends.latest = Some(ends.latest.map_or(took, |before| before.max(took)));
                }
                State::Failed => ends.failed += 1,
                State::Waiting | State::Connecting | State::Open => ends.open += 1,
            }
        }
        ends
    }

    fn connect(&mut self, index: usize) -> io::Result<()> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.set_tcp_mss(SEGMENT_BYTES)?;
        socket.set_tcp_nodelay(true)?;
        // 127.0.0.1 is left to the others.
        let source =
            Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + 1 + (index / PER_SOURCE) as u32);
        socket.bind(&SockAddr::from(SocketAddr::from((source, 0))))?;
        match socket.connect(&SockAddr::from(self.to)) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        let fd = OwnedFd::from(socket);
        let wanted = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, &fd, EventData::new_u64(index as u64), wanted)?;
        self.clients[index].fd = Some(fd);
        self.clients[index].state = State::Connecting;
        self.connecting += 1;
        Ok(())
    }

    fn wait(&mut self, limit: Duration) -> io::Result<()> {
        // A duration of a turn fits any clock.
        let limit =
            Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) };
        let mut events = std::mem::take(&mut self.events);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            self.take(event.data.u64() as usize, event.flags);
        }
        self.events = events;
        Ok(())
    }

    fn take(&mut self, index: usize, flags: EventFlags) {
        let client = &mut self.clients[index];
        if client.state == State::Connecting && flags.contains(EventFlags::OUT) {
            self.connecting -= 1;
            self.open_up(index);
        }
        let client = &mut self.clients[index];
        if client.state != State::Open {
            return;
        }
        if flags.contains(EventFlags::IN) && client.manner.reads() {
            client.began.get_or_insert(self.start.elapsed());
        }
        let ended = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        if flags.contains(EventFlags::IN) && (self.draining || !client.manner.reads()) {
            self.take_all(index);
        }
        if ended {
            self.closed(index, self.draining && self.clients[index].manner.reads());
        }
    }

    /// The connection stands: sends how it begins.
    fn open_up(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let opening = client.manner.opening();
        let sent = client.fd.as_ref().map_or(Ok(0), |fd| match socket_error(fd.as_fd()) {
            Ok(Ok(())) => send(fd, opening, SendFlags::NOSIGNAL),
            Ok(Err(error)) | Err(error) => Err(error),
        });
        // A fresh connection has room for these few bytes; less is as good as none.
        if sent != Ok(opening.len()) {
            client.state = State::Failed;
            client.fd = None;
            self.failed += 1;
            return;
        }
        client.state = State::Open;
        let now = self.start.elapsed();
        if !client.manner.reads() {
            client.began = Some(now);
        }
    }

    /// All have come: gives each that trickles its first turn.
    fn spread_turns(&mut self) {
        let now = self.start.elapsed();
        let total = self.clients.len() as u32;
        for (index, number) in (0..self.clients.len()).zip(1u32..) {
            if self.clients[index].manner.trickles() {
                self.turns.push_back((now + self.every * number / total, index));
            }
        }
    }

    /// Moves one byte.
    fn trickle(&mut self, index: usize) {
        let now = self.start.elapsed();
        let client = &self.clients[index];
        let (State::Open, Some(fd)) = (client.state, &client.fd) else { return };
        if client.manner.reads() && self.draining {
            return;
        }
        let moved = match client.manner.reads() {
            true => recv(fd, &mut self.bytes[..1], RecvFlags::DONTWAIT).map(|(count, _)| count),
            false => send(fd, b"a", SendFlags::NOSIGNAL | SendFlags::DONTWAIT),
        };
        match moved {
            Ok(1..) | Err(rustix::io::Errno::AGAIN) => {
                self.turns.push_back((now + self.every, index))
            }
            Ok(0) | Err(_) => self.closed(index, false),
        }
    }

    /// Reads until nothing is left or the end is seen.
    fn take_all(&mut self, index: usize) {
        while let Some(fd) = &self.clients[index].fd {
            match recv(fd, &mut self.bytes[..], RecvFlags::DONTWAIT) {
                Ok((count @ 1.., _)) => {
                    let status = status_of(&self.bytes[..count]);
                    let client = &mut self.clients[index];
                    client.status = client.status.or(status);
                }
                Err(rustix::io::Errno::AGAIN) => return,
                Ok((0, _)) | Err(_) => {
                    self.closed(index, self.draining && self.clients[index].manner.reads());
                }
            }
        }
    }

    fn closed(&mut self, index: usize, by_reading: bool) {
        let client = &mut self.clients[index];
        if client.state == State::Open {
            client.state = State::Closed { at: self.start.elapsed(), by_reading };
            client.fd = None;
        }
    }
}
