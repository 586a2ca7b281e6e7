//! `floor`: forwards bytes over one raw io_uring, as little as a proxy can do.
//!
//! It shows the limit beside the gateway: multishot receive, provided buffers sent on from where
//! they lie, no parsing beyond the ends of messages. Each downstream connection has an upstream
//! one of its own, which goes to a pool when its downstream closes between two exchanges.
//!
//! It is no proxy: no time-outs, no limits, no retries, and a peer that stops reading can hold
//! every buffer. A client's half-close ends its connection.
#![allow(clippy::print_stderr)] // A program: its user reads the terminal.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use clap::Parser;
use coregate_perf::frame::Framer;
use coregate_perf::ring::{Chunk, Event, Op, Ring};
use coregate_perf::sock;
use slab::Slab;
use socket2::SockAddr;

/// Forwards HTTP/1.1 between one listener and one origin: the limit of what a proxy can reach.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// Where to forward to.
    #[arg(long)]
    to: SocketAddr,
    /// The CPU to run on.
    #[arg(long)]
    cpu: Option<usize>,
    /// Bytes of one of the 4,096 receive buffers.
    #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u32).range(512..=1 << 20))]
    buffer: u32,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> io::Result<()> {
    if let Some(cpu) = args.cpu {
        sock::pin(cpu)?;
    }
    sock::raise_open_files()?;
    let listener = sock::listen(args.listen)
        .map_err(|error| io::Error::other(format!("listen {}: {error}", args.listen)))?;
    let mut ring = Ring::new(args.buffer as usize)?;
    ring.accept(listener.as_fd(), 0);
    let mut floor = Floor {
        ring,
        listener,
        to: args.to,
        to_raw: Box::leak(Box::new(SockAddr::from(args.to))),
        connections: Slab::new(),
        idle: Vec::new(),
        starved: Vec::new(),
    };
    let mut events = Vec::with_capacity(4096);
    loop {
        floor.ring.wait(None, &mut events)?;
        for event in events.drain(..) {
            floor.take(event);
        }
        floor.feed_starved();
    }
}

struct Floor {
    ring: Ring,
    listener: OwnedFd,
    to: SocketAddr,
    to_raw: &'static SockAddr,
    connections: Slab<Connection>,
    /// Upstream connections without a downstream.
    idle: Vec<usize>,
    /// Connections whose receive ended for want of a buffer.
    starved: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Down,
    Up,
}

/// One socket. It is freed once it is closing and no operation on it is in flight.
struct Connection {
    fd: OwnedFd,
    side: Side,
    /// The other socket of the pair.
    peer: Option<usize>,
    framer: Framer,
    /// The framer gave up: forwarded all the same, never pooled.
    blind: bool,
    /// Messages that came from here since the pair was made.
    messages: u64,
    receiving: bool,
    connecting: bool,
    sending: Option<Chunk>,
    queue: VecDeque<Chunk>,
    /// To be closed when the queue is empty.
    finishing: bool,
    closing: bool,
}

impl Connection {
    fn new(fd: OwnedFd, side: Side, peer: Option<usize>) -> Connection {
        Connection {
            fd,
            side,
            peer,
            framer: Framer::default(),
            blind: false,
            messages: 0,
            receiving: side == Side::Down,
            connecting: side == Side::Up,
            sending: None,
            queue: VecDeque::new(),
            finishing: false,
            closing: false,
        }
    }

    /// Nothing half received and nothing left to send.
    fn is_quiet(&self) -> bool {
        !self.blind
            && !self.connecting
            && !self.closing
            && self.framer.is_between()
            && self.sending.is_none()
            && self.queue.is_empty()
    }
}

impl Floor {
    fn take(&mut self, event: Event) {
        match event.op {
            Op::Accept => self.accepted(event),
            Op::Recv => self.received(event),
            Op::Send => self.sent(event),
            Op::Connect => self.connected(event),
            Op::Pause => self.ring.accept(self.listener.as_fd(), 0),
        }
    }

    fn accepted(&mut self, event: Event) {
        match (event.result, event.accepted) {
            (Ok(_), Some(fd)) => {
                let slot = self.connections.insert(Connection::new(fd, Side::Down, None));
                self.ring.recv(self.connections[slot].fd.as_fd(), slot as u32);
                if !event.more {
                    self.ring.accept(self.listener.as_fd(), 0);
                }
            }
            // Out of descriptors, most likely: try again in a while.
            _ if !event.more => self.ring.pause(0),
            _ => {}
        }
    }

    fn received(&mut self, event: Event) {
        let slot = event.slot as usize;
        let Some(connection) = self.connections.get_mut(slot) else { return };
        connection.receiving = event.more;
        let ends = !matches!(event.result, Ok(1..));
        let no_buffer = matches!(&event.result, Err(e) if e.raw_os_error() == Some(libc::ENOBUFS));
        if let Some(chunk) = event.chunk {
            if ends || connection.closing {
                self.ring.recycle(chunk);
            } else {
                self.forward(slot, chunk);
            }
        }
        if no_buffer {
            self.starved.push(slot);
        } else if ends {
            self.close(slot);
        } else {
            self.receive_again(slot);
        }
        self.free(slot);
    }

    fn forward(&mut self, slot: usize, chunk: Chunk) {
        let connection = &mut self.connections[slot];
        if !connection.blind {
            match connection.framer.feed(self.ring.bytes(&chunk), |_| {}) {
                Ok(messages) => connection.messages += u64::from(messages),
                Err(_) => connection.blind = true,
            }
        }
        match self.peer_of(slot) {
            Some(peer) => {
                self.connections[peer].queue.push_back(chunk);
                self.pump(peer);
            }
            None => {
                self.ring.recycle(chunk);
                self.close(slot);
            }
        }
    }

    /// The other socket; for a downstream without one, an idle upstream or a new one.
    fn peer_of(&mut self, slot: usize) -> Option<usize> {
        let connection = &self.connections[slot];
        if connection.peer.is_some() || connection.side == Side::Up {
            return connection.peer;
        }
        let peer = match self.idle.pop() {
            Some(idle) => idle,
            None => {
                let fd = sock::dialer(self.to).ok()?;
                let peer = self.connections.insert(Connection::new(fd, Side::Up, None));
                self.ring.connect(self.connections[peer].fd.as_fd(), peer as u32, self.to_raw);
                peer
            }
        };
        self.connections[peer].peer = Some(slot);
        self.connections[peer].messages = 0;
        self.connections[slot].peer = Some(peer);
        Some(peer)
    }

    fn connected(&mut self, event: Event) {
        let slot = event.slot as usize;
        let Some(connection) = self.connections.get_mut(slot) else { return };
        connection.connecting = false;
        match event.result {
            Ok(_) => {
                self.receive_again(slot);
                self.pump(slot);
            }
            Err(_) => self.close(slot),
        }
        self.free(slot);
    }

    fn sent(&mut self, event: Event) {
        let slot = event.slot as usize;
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let Some(mut chunk) = connection.sending.take() else { return };
        match event.result {
            Ok(count) if count > 0 => chunk.advance(count),
            _ => chunk.advance(usize::MAX),
        }
        if chunk.is_empty() || connection.closing {
            self.ring.recycle(chunk);
        } else {
            connection.queue.push_front(chunk);
        }
        if matches!(event.result, Ok(1..)) {
            self.pump(slot);
        } else {
            self.close(slot);
        }
        self.free(slot);
    }

    /// Sends the next chunk if nothing is being sent.
    fn pump(&mut self, slot: usize) {
        let connection = &mut self.connections[slot];
        if connection.sending.is_some() || connection.connecting || connection.closing {
            return;
        }
        match connection.queue.pop_front() {
            Some(chunk) => {
                self.ring.send_chunk(connection.fd.as_fd(), slot as u32, &chunk);
                connection.sending = Some(chunk);
            }
            None if connection.finishing => self.close(slot),
            None => {}
        }
    }

    fn receive_again(&mut self, slot: usize) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        if !connection.receiving && !connection.connecting && !connection.closing {
            connection.receiving = true;
            self.ring.recv(connection.fd.as_fd(), slot as u32);
        }
    }

    /// Ends a socket: a downstream's upstream goes to the pool or ends too, an upstream's
    /// downstream ends once it has been sent everything.
    fn close(&mut self, slot: usize) {
        let connection = &mut self.connections[slot];
        if connection.closing {
            return;
        }
        let quiet = connection.is_quiet();
        let (side, messages, peer) = (connection.side, connection.messages, connection.peer.take());
        connection.closing = true;
        sock::shut(&connection.fd);
        for chunk in std::mem::take(&mut connection.queue) {
            self.ring.recycle(chunk);
        }
        let Some(peer) = peer else {
            if side == Side::Up {
                self.idle.retain(|idle| *idle != slot);
            }
            return;
        };
        let other = &mut self.connections[peer];
        other.peer = None;
        match side {
            Side::Down if quiet && other.is_quiet() && other.messages == messages => {
                self.idle.push(peer);
            }
            Side::Down => {
                self.close(peer);
                self.free(peer);
            }
            Side::Up => {
                other.finishing = true;
                self.pump(peer);
                self.free(peer);
            }
        }
    }

    fn free(&mut self, slot: usize) {
        let Some(connection) = self.connections.get(slot) else { return };
        let busy = connection.receiving || connection.connecting || connection.sending.is_some();
        if connection.closing && !busy {
            self.connections.remove(slot);
        }
    }

    fn feed_starved(&mut self) {
        if !self.starved.is_empty() && self.ring.has_buffers() {
            for slot in std::mem::take(&mut self.starved) {
                self.receive_again(slot);
            }
        }
    }
}
