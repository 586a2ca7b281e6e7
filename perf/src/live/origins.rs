//! Origins with names, all on one thread and one epoll: each answers with its name and what it was asked (`a /path`), or, asked
//! to switch protocols, agrees and sends back what comes.
//!
//! Answers are short, so that a send never waits for long.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};

use crate::frame::{Framer, header_of};
use crate::sock;

/// How often it is looked whether to end.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
const SWITCHES: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// Origins that listen; nobody answers yet.
pub struct Origins {
    listening: Vec<(&'static str, SocketAddr, OwnedFd)>,
}

/// Origins that answer, until this is dropped.
pub struct Serving {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Origins {
    /// One for each name.
    pub fn listen(names: &[&'static str]) -> io::Result<Self> {
        let one = |name: &&'static str| {
            let socket = sock::listen((Ipv4Addr::LOCALHOST, 0).into())?;
            rustix::io::ioctl_fionbio(&socket, true)?;
            let address = SocketAddr::try_from(rustix::net::getsockname(&socket)?)?;
            Ok((*name, address, socket))
        };
        Ok(Self { listening: names.iter().map(one).collect::<io::Result<_>>()? })
    }

    /// Where the one of this name listens, as a configuration has it; empty if there is none.
    pub fn address(&self, name: &str) -> String {
        let found = self.listening.iter().find(|(known, ..)| *known == name);
        found.map(|(_, address, _)| address.to_string()).unwrap_or_default()
    }

    /// Answers from now on.
    pub fn serve(self) -> io::Result<Serving> {
        let end = Arc::new(AtomicBool::new(false));
        let mut server = Server::new(self, Arc::clone(&end))?;
        let run = move || server.run();
        let thread = std::thread::Builder::new().name("origins".into()).spawn(run)?;
        Ok(Serving { end, thread: Some(thread) })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
        // Without origins every answer is wrong: a panic in there does not pass unseen.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Server {
    epoll: OwnedFd,
    listening: Vec<(&'static str, OwnedFd)>,
    open: BTreeMap<u64, Open>,
    end: Arc<AtomicBool>,
    bytes: Vec<u8>,
}

struct Open {
    fd: OwnedFd,
    name: &'static str,
    framer: Framer,
    tunnel: bool,
}

impl Server {
    fn new(origins: Origins, end: Arc<AtomicBool>) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut listening = Vec::new();
        for (name, _, socket) in origins.listening {
            let token = EventData::new_u64(socket.as_raw_fd() as u64);
            epoll::add(&epoll, &socket, token, EventFlags::IN)?;
            listening.push((name, socket));
        }
        let bytes = Vec::with_capacity(16 * 1024);
        Ok(Self { epoll, listening, open: BTreeMap::new(), end, bytes })
    }

    fn run(&mut self) {
        let mut events: Vec<Event> = Vec::with_capacity(256);
        while !self.end.load(Ordering::SeqCst) {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&LOOK)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
            for event in &events {
                let token = event.data.u64();
                let of_it = |(_, socket): &&(&str, OwnedFd)| socket.as_raw_fd() as u64 == token;
                match self.listening.iter().position(|one| of_it(&one)) {
                    Some(at) => self.accept(at),
                    None => self.take(token),
                }
            }
        }
    }

    fn accept(&mut self, at: usize) {
        let (name, socket) = &self.listening[at];
        while let Ok(fd) = accept_with(socket, SocketFlags::CLOEXEC) {
            let token = fd.as_raw_fd() as u64;
            if epoll::add(&self.epoll, &fd, EventData::new_u64(token), EventFlags::IN).is_ok() {
                let open = Open { fd, name, framer: Framer::default(), tunnel: false };
                self.open.insert(token, open);
            }
        }
    }

    fn take(&mut self, token: u64) {
        let Some(open) = self.open.get_mut(&token) else { return };
        self.bytes.clear();
        let got = recv(&open.fd, spare_capacity(&mut self.bytes), RecvFlags::DONTWAIT);
        let goes_on = match got {
            Ok(_) if self.bytes.is_empty() => false,
            Ok(_) => open.answer(&self.bytes),
            Err(Errno::AGAIN | Errno::INTR) => true,
            Err(_) => false,
        };
        if !goes_on {
            self.open.remove(&token);
        }
    }
}

impl Open {
    /// Whether the connection goes on.
    fn answer(&mut self, bytes: &[u8]) -> bool {
        if self.tunnel {
            return self.send(bytes);
        }
        let (name, mut out, mut tunnel) = (self.name, Vec::new(), false);
        let read = self.framer.feed(bytes, |head| {
            if header_of(head, b"upgrade").is_some() {
                tunnel = true;
                out.extend_from_slice(SWITCHES);
                return;
            }
            let target = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
            let length = name.len() + 1 + target.len();
            out.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Length: ");
            out.extend_from_slice(format!("{length}\r\n\r\n{name} ").as_bytes());
            out.extend_from_slice(target);
        });
        self.tunnel = tunnel;
        read.is_ok() && self.send(&out)
    }

    fn send(&self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            match send(self.fd.as_fd(), bytes, SendFlags::NOSIGNAL) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
        true
    }
}
