//! What a worker keeps of a stream that a task owns: to end it, or to look at it, from outside (rule 11).

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::net::{RecvFlags, SendFlags, Shutdown};

#[cfg(feature = "memory")]
use super::memory;
use super::{borrow, faults};

/// What a worker keeps of a stream that a task owns, to shut it down from outside.
///
/// Valid as long as its stream lives: the slot that holds it is closed before the stream is dropped.
#[derive(Debug, Clone)]
pub enum Handle {
    /// A socket.
    Socket(RawFd),
    /// A stream in memory.
    #[cfg(feature = "memory")]
    Memory(memory::End),
}

/// Which ways to shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ways {
    /// Reads see the end of the stream.
    Read,
    /// The peer sees the end of the stream.
    Write,
    /// Both.
    Both,
}

/// What a connection that nobody uses looks like from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulse {
    /// Open, and silent as it should be.
    Alive,
    /// Ended by the peer.
    Ended,
    /// Bytes came that nobody asked for.
    Talking,
}

impl Handle {
    /// Shuts the stream down: reads and writes in flight complete at once, on either driver.
    pub fn shut_down(&self, ways: Ways) {
        faults::shut_down(self);
        self.shut_down_now(ways);
    }

    #[expect(clippy::disallowed_methods, reason = "hooked: shut_down")]
    pub(super) fn shut_down_now(&self, ways: Ways) {
        match self {
            Self::Socket(fd) => {
                let how = match ways {
                    Ways::Read => Shutdown::Read,
                    Ways::Write => Shutdown::Write,
                    Ways::Both => Shutdown::Both,
                };
                // An error means that the connection has ended already, which is what was wanted.
                let _ = rustix::net::shutdown(borrow(fd), how);
            }
            #[cfg(feature = "memory")]
            Self::Memory(end) => end.shut_down(ways),
        }
    }

    /// Resets the connection: what was cut short must not look whole where only the end of the connection marks the end
    /// of a body.
    #[expect(clippy::disallowed_methods, reason = "a reset meets nothing: it is one")]
    pub fn abort(&self) {
        match self {
            // Dissolving a TCP connection (connect to AF_UNSPEC) sends a reset at once; a close would send an end first.
            // A Unix socket cannot be reset: it is ended, so that whoever waits for it waits no longer.
            Self::Socket(fd) => {
                if rustix::net::connect_unspec(borrow(fd)).is_err() {
                    self.shut_down(Ways::Both);
                }
            }
            #[cfg(feature = "memory")]
            Self::Memory(end) => end.abort(),
        }
    }

    /// The handle of a socket that is not a stream yet.
    pub fn of(socket: &OwnedFd) -> Self {
        Self::Socket(socket.as_raw_fd())
    }

    /// Sends what a peer is told last, as far as the socket takes it.
    #[expect(clippy::disallowed_methods, reason = "its result changes nothing")]
    pub fn say_last(&self, bytes: &[u8]) {
        match self {
            Self::Socket(fd) => {
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                let _ = rustix::net::send(borrow(fd), bytes, flags);
            }
            // Nobody in memory is turned away.
            #[cfg(feature = "memory")]
            Self::Memory(_) => {}
        }
    }

    /// The peer's address and our own; `None` where they are no IP addresses.
    pub fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        match self {
            Self::Socket(fd) => {
                let peer = rustix::net::getpeername(borrow(fd)).ok()??;
                let own = rustix::net::getsockname(borrow(fd)).ok()?;
                Some((peer.try_into().ok()?, own.try_into().ok()?))
            }
            #[cfg(feature = "memory")]
            Self::Memory(_) => None,
        }
    }

    /// Looks at an idle connection without reading from it. One system call.
    #[expect(clippy::disallowed_methods, reason = "hooked: seems_dead")]
    pub fn pulse(&self) -> Pulse {
        if faults::seems_dead(self) {
            return Pulse::Ended;
        }
        match self {
            Self::Socket(fd) => {
                let mut byte = [0u8; 1];
                let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
                match rustix::net::recv(borrow(fd), &mut byte, flags) {
                    Ok((_, 0)) => Pulse::Ended,
                    Ok(_) => Pulse::Talking,
                    Err(rustix::io::Errno::AGAIN) => Pulse::Alive,
                    Err(_) => Pulse::Ended,
                }
            }
            #[cfg(feature = "memory")]
            Self::Memory(end) => end.pulse(),
        }
    }
}
