//! `origin`: answers every HTTP/1.1 request with the same small body, at little cost.
//!
//! One thread, one raw io_uring, no parsing beyond the ends of messages. It keeps every connection
//! alive and ignores `connection: close`. Requests may be split and pipelined; one with a body is
//! answered once its body is whole. `GET /large` has a large answer, and must not be pipelined.
#![allow(clippy::print_stderr)] // A program: its user reads the terminal.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use clap::Parser;
use coregate_perf::frame::Framer;
use coregate_perf::ring::{Event, Op, Ring};
use coregate_perf::sock;
use slab::Slab;

/// Pipelined requests are answered by as many answers in one send, up to this many bytes.
const BATCH_BYTES: usize = 16 * 1024;
/// How a request for the large answer begins.
const LARGE: &[u8] = b"GET /large ";

/// A lean HTTP/1.1 origin for benchmarks.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where to listen; may be repeated or a list.
    #[arg(long, value_delimiter = ',', default_value = "127.0.0.1:9001")]
    listen: Vec<SocketAddr>,
    /// Bytes of the body of an answer.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(..=64 << 20))]
    body: u32,
    /// Bytes of the body of the answer to `GET /large`.
    #[arg(long, default_value_t = 1 << 20, value_parser = clap::value_parser!(u32).range(..=64 << 20))]
    large: u32,
    /// SO_SNDBUF of every connection, in bytes; without it, the kernel's choice. A small one keeps
    /// answers that nobody takes out of the kernel's memory.
    #[arg(long)]
    send_buffer: Option<usize>,
    /// The CPU to run on.
    #[arg(long)]
    cpu: Option<usize>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("origin: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> io::Result<()> {
    if let Some(cpu) = args.cpu {
        sock::pin(cpu)?;
    }
    sock::raise_open_files()?;
    let listeners = args
        .listen
        .iter()
        .map(|at| sock::listen(*at).map_err(|e| io::Error::other(format!("listen {at}: {e}"))))
        .collect::<io::Result<Vec<_>>>()?;
    if let Some(bytes) = args.send_buffer {
        listeners.iter().try_for_each(|listener| sock::set_send_buffer(listener, bytes))?;
    }
    let mut origin = Origin::new(listeners, args.body as usize, args.large as usize)?;
    let mut events = Vec::with_capacity(4096);
    loop {
        origin.ring.wait(None, &mut events)?;
        for event in events.drain(..) {
            origin.take(event);
        }
        origin.feed_starved();
    }
}

struct Origin {
    ring: Ring,
    listeners: Vec<OwnedFd>,
    connections: Slab<Connection>,
    /// Connections whose receive ended for want of a buffer.
    starved: Vec<u32>,
    /// The same answer again and again.
    answers: &'static [u8],
    answer_bytes: usize,
    large: &'static [u8],
}

/// A connection is freed once it is closing and neither receives nor sends.
struct Connection {
    fd: OwnedFd,
    framer: Framer,
    receiving: bool,
    /// What is being sent and has not left yet.
    sending: &'static [u8],
    /// Answers not yet begun.
    owed: u32,
    /// The one owed is the large one.
    owes_large: bool,
    closing: bool,
}

impl Origin {
    fn new(listeners: Vec<OwnedFd>, body_bytes: usize, large: usize) -> io::Result<Origin> {
        let answer = answer_of(body_bytes);
        let times = (BATCH_BYTES / answer.len()).max(1);
        let mut ring = Ring::new(2048)?;
        for (slot, listener) in (0..).zip(&listeners) {
            ring.accept(listener.as_fd(), slot);
        }
        Ok(Origin {
            ring,
            listeners,
            connections: Slab::new(),
            starved: Vec::new(),
            answers: answer.repeat(times).leak(),
            answer_bytes: answer.len(),
            large: answer_of(large).leak(),
        })
    }

    fn take(&mut self, event: Event) {
        match event.op {
            Op::Accept => self.accepted(event),
            Op::Recv => self.received(event),
            Op::Send => self.sent(event),
            Op::Pause => self.accept(event.slot),
            Op::Connect => {}
        }
    }

    fn accept(&mut self, slot: u32) {
        self.ring.accept(self.listeners[slot as usize].as_fd(), slot);
    }

    fn accepted(&mut self, event: Event) {
        match (event.result, event.accepted) {
            (Ok(_), Some(fd)) => {
                let entry = self.connections.vacant_entry();
                self.ring.recv(fd.as_fd(), entry.key() as u32);
                entry.insert(Connection {
                    fd,
                    framer: Framer::default(),
                    receiving: true,
                    sending: &[],
                    owed: 0,
                    owes_large: false,
                    closing: false,
                });
                if !event.more {
                    self.accept(event.slot);
                }
            }
            // Out of descriptors, most likely: try again in a while.
            _ if !event.more => self.ring.pause(event.slot),
            _ => {}
        }
    }

    fn received(&mut self, event: Event) {
        let Some(connection) = self.connections.get_mut(event.slot as usize) else { return };
        connection.receiving = event.more;
        let mut ends = !matches!(event.result, Ok(1..));
        if let Some(chunk) = event.chunk {
            let mut large = false;
            let on_head = |head: &[u8]| large |= head.starts_with(LARGE);
            match connection.framer.feed(self.ring.bytes(&chunk), on_head) {
                Ok(requests) => {
                    connection.owed += requests;
                    connection.owes_large |= large;
                    ends |= connection.owes_large && connection.owed != 1;
                }
                Err(_) => ends = true,
            }
            self.ring.recycle(chunk);
        }
        let no_buffer = matches!(&event.result, Err(e) if e.raw_os_error() == Some(libc::ENOBUFS));
        if no_buffer {
            self.starved.push(event.slot);
        } else if ends {
            self.close(event.slot);
        } else if !event.more && !connection.closing {
            connection.receiving = true;
            self.ring.recv(connection.fd.as_fd(), event.slot);
        }
        self.answer(event.slot);
    }

    fn sent(&mut self, event: Event) {
        let Some(connection) = self.connections.get_mut(event.slot as usize) else { return };
        match event.result {
            Ok(count) if count > 0 => {
                connection.sending = connection.sending.get(count..).unwrap_or_default();
                if !connection.sending.is_empty() && !connection.closing {
                    self.ring.send(connection.fd.as_fd(), event.slot, connection.sending);
                    return;
                }
            }
            _ => self.close(event.slot),
        }
        if let Some(connection) = self.connections.get_mut(event.slot as usize) {
            connection.sending = &[];
        }
        self.answer(event.slot);
    }

    /// Sends what is owed if nothing is being sent; frees the connection if that was the last.
    fn answer(&mut self, slot: u32) {
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        if !connection.sending.is_empty() {
            return;
        }
        if connection.closing {
            if !connection.receiving {
                self.connections.remove(slot as usize);
            }
        } else if connection.owes_large {
            (connection.owed, connection.owes_large) = (0, false);
            connection.sending = self.large;
            self.ring.send(connection.fd.as_fd(), slot, connection.sending);
        } else if connection.owed > 0 {
            let count = (connection.owed as usize).min(self.answers.len() / self.answer_bytes);
            connection.owed -= count as u32;
            connection.sending = &self.answers[..count * self.answer_bytes];
            self.ring.send(connection.fd.as_fd(), slot, connection.sending);
        }
    }

    fn close(&mut self, slot: u32) {
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        if !connection.closing {
            connection.closing = true;
            sock::shut(&connection.fd);
        }
    }

    fn feed_starved(&mut self) {
        if self.starved.is_empty() || !self.ring.has_buffers() {
            return;
        }
        for slot in self.starved.drain(..) {
            let Some(connection) = self.connections.get_mut(slot as usize) else { continue };
            if !connection.receiving && !connection.closing {
                connection.receiving = true;
                self.ring.recv(connection.fd.as_fd(), slot);
            }
        }
    }
}

fn answer_of(body_bytes: usize) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {body_bytes}\r\n\r\n"
    )
    .into_bytes();
    answer.resize(answer.len() + body_bytes, b'x');
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_message() {
        for size in [0, 1, 128, 100_000] {
            let answer = answer_of(size);
            let mut framer = Framer::default();
            assert_eq!(framer.feed(&answer, |_| {}), Ok(1));
            assert!(framer.is_between());
        }
    }
}
