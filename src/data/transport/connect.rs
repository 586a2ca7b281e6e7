//! Connecting: a non-blocking connect and a poll, which may be dropped when its deadline comes (rule 11).

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use coregate_core::snapshot::plan::Address;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};

use crate::transport::{Stream, Waitable};

/// Connects to `address`. `blocking`: whether the driver wants blocking sockets afterwards (the ring does).
///
/// Cancel safety: may be dropped at any point; the socket is closed.
#[expect(clippy::disallowed_methods, reason = "hooked as a whole: the worker's `connect`")]
pub async fn connect(address: &Address, blocking: bool) -> io::Result<Stream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (socket, pending) = match address {
        Address::Tcp(address) => {
            let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
            let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
            sockopt::set_tcp_nodelay(&socket, true)?;
            let started = rustix::net::connect(&socket, address);
            (socket, started)
        }
        Address::Unix(path) => {
            let socket =
                rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            let started = rustix::net::connect(&socket, &SocketAddrUnix::new(path.as_path())?);
            (socket, started)
        }
    };
    match pending {
        Ok(()) => {}
        Err(rustix::io::Errno::INPROGRESS) => {
            // A second descriptor to wait on, because what monoio holds cannot be had back on every driver.
            let waitable = Waitable::new(socket.try_clone()?)?;
            waitable.writable().await?;
            sockopt::socket_error(socket.as_fd())??;
        }
        Err(error) => return Err(error.into()),
    }
    finish(socket, blocking)
}

fn finish(socket: OwnedFd, blocking: bool) -> io::Result<Stream> {
    if blocking {
        rustix::io::ioctl_fionbio(&socket, false)?;
    }
    Stream::socket(socket)
}
