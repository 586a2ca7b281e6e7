//! Accepting, as far as the kernel has a part in it: the poll of a listener, and `accept4`.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{SocketAddrAny, SocketFlags};

use crate::transport::{Waitable, faults};

/// Waits until somebody connects. May be dropped (rule 11).
pub async fn acceptable(socket: &Waitable) -> io::Result<()> {
    faults::ready(socket.readable()).await
}

/// Takes a connection that waits. `blocking`: whether the driver wants blocking sockets (the ring does).
#[expect(clippy::disallowed_methods, reason = "hooked: accept")]
pub fn accept(
    socket: &Waitable,
    blocking: bool,
) -> Result<(OwnedFd, Option<SocketAddrAny>), Errno> {
    faults::call(faults::Call::Accept)?;
    let flags = match blocking {
        true => SocketFlags::CLOEXEC,
        false => SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
    };
    rustix::net::acceptfrom_with(socket.as_fd(), flags)
}
