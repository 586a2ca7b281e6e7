//! One address, bound: the system calls.
//!
//! TCP: a probe binds without SO_REUSEPORT first, so that a second start fails with *address in use* instead of sharing the
//! port; then one SO_REUSEPORT socket a worker, and the kernel spreads connections. A Unix socket has no such spread: its
//! workers share one. A socket file that nobody listens on any more is removed.

use std::fs::{self, Metadata};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use coregate_core::base::limits;
use socket2::{Domain, Protocol, SockAddr, SockFilter, SockRef, Socket, TcpKeepalive, Type};

use super::overlap::Taken;

/// Binds a TCP address for so many workers; gives it with the port that was really bound.
///
/// Until `give_up` an address that is taken is tried for again. The ring of a process that was killed is taken down after it,
/// and its listening sockets with it, so a restart can find the address taken by nobody; and the workers of this one may be
/// about to close what a reload took from them.
pub(super) fn tcp(
    wanted: Taken,
    workers: usize,
    give_up: Instant,
) -> io::Result<(SocketAddr, Vec<OwnedFd>)> {
    let probe = tcp_socket(wanted)?;
    bind_soon(&probe, &wanted.address.into(), give_up)?;
    let address = probe.local_addr()?.as_socket().unwrap_or(wanted.address);
    drop(probe);
    let listening = |_| {
        let socket = tcp_beside(Taken { address, ..wanted })?;
        listen(&socket)?;
        Ok(socket)
    };
    Ok((address, (0..workers).map(listening).collect::<io::Result<_>>()?))
}

/// One more SO_REUSEPORT socket, beside those of this user; it does not listen yet.
pub(super) fn tcp_beside(bound: Taken) -> io::Result<OwnedFd> {
    let socket = tcp_socket(bound)?;
    socket.set_reuse_port(true)?;
    set_options(SockRef::from(&socket))?;
    socket.bind(&bound.address.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Begins to listen, or goes on, with our backlog.
pub(super) fn listen(socket: &OwnedFd) -> io::Result<()> {
    SockRef::from(socket).listen(limits::BACKLOG)
}

/// Lets no connection begin in a listening TCP socket any more; those whose handshake has begun still come. The kernel drops
/// every segment with SYN, so whoever connects tries again a second later, when the socket is closed, and is refused then. Without
/// this he might be accepted by the kernel and reset with the socket, and his request with him.
///
/// For all that hold the socket, so never one that another process goes on with. Accepted connections inherit the filter, which
/// means nothing to them.
pub(super) fn deafen(socket: SockRef<'_>) -> io::Result<()> {
    const SYN: u32 = 0x02;
    const FLAGS_AT: u32 = 13;
    // Classic BPF (linux/bpf_common.h), on the segment from its TCP header on (RFC 9293 §3.1).
    socket.attach_filter(&[
        SockFilter::new(0x30, 0, 0, FLAGS_AT), // A = the byte there
        SockFilter::new(0x45, 0, 1, SYN),      // A & SYN: go on, else over one
        SockFilter::new(0x06, 0, 0, 0),        // drop it
        SockFilter::new(0x06, 0, 0, u32::MAX), // take all of it
    ])
}

/// What a TCP socket is set to; accepted connections inherit all of it.
pub(super) fn set_options(socket: SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(limits::KEEPALIVE_IDLE)
        .with_interval(limits::KEEPALIVE_INTERVAL)
        .with_retries(limits::KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(limits::USER_TIMEOUT))?;
    socket.set_tcp_notsent_lowat(limits::NOT_SENT_BYTES)
}

fn tcp_socket(wanted: Taken) -> io::Result<Socket> {
    let domain = Domain::for_address(wanted.address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if wanted.address.is_ipv6() {
        socket.set_only_v6(wanted.ipv6_alone)?;
    }
    Ok(socket)
}

fn bind_soon(socket: &Socket, address: &SockAddr, give_up: Instant) -> io::Result<()> {
    loop {
        match socket.bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < give_up => {
                thread::sleep(limits::BIND_AGAIN);
            }
            other => return other,
        }
    }
}

/// Binds a Unix socket; its workers share it. Until `give_up` a path that is taken is tried for again, as TCP addresses are: the
/// ring of a process that was killed still listens for a moment.
pub(super) fn unix(path: &Path, give_up: Instant) -> io::Result<(SocketFile, OwnedFd)> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    loop {
        match socket.bind(&address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_socket(path) => {
                if is_stale(path) {
                    fs::remove_file(path)?;
                } else if Instant::now() < give_up {
                    thread::sleep(limits::BIND_AGAIN);
                } else {
                    return Err(error);
                }
            }
            other => break other?,
        }
    }
    let file = SocketFile::made(path)?;
    let socket = socket.into();
    listen(&socket)?;
    SockRef::from(&socket).set_nonblocking(true)?;
    Ok((file, socket))
}

/// Which file a socket file is: paths can come to mean another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct FileMark {
    /// Its device.
    pub(crate) device: u64,
    /// Its number there; the file system gives it to no other file while the socket is open.
    pub(crate) inode: u64,
}

impl FileMark {
    fn of(file: &Metadata) -> Self {
        Self { device: file.dev(), inode: file.ino() }
    }
}

/// The file of a bound Unix socket. Removed when this is dropped, if it is ours and still the one we made; drop it before the
/// socket, which keeps the number of its file from being given anew.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    pub(super) mark: FileMark,
    /// Whether it is ours to remove: another process may hold the same socket, and serve on.
    pub(super) ours: bool,
}

impl SocketFile {
    fn made(path: &Path) -> io::Result<Self> {
        let mark = FileMark::of(&fs::symlink_metadata(path)?);
        Ok(Self { path: path.to_owned(), mark, ours: true })
    }

    /// The file of a socket that another process bound.
    pub(super) fn inherited(path: &Path, mark: FileMark) -> Self {
        Self { path: path.to_owned(), mark, ours: false }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let same = |file: Metadata| FileMark::of(&file) == self.mark;
        if self.ours && fs::symlink_metadata(&self.path).is_ok_and(same) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether a socket file is left over: it is a socket, and nobody listens on it. Asked without waiting: where somebody does,
/// but takes no connections for now, a connect would wait for that.
fn is_stale(path: &Path) -> bool {
    let connect = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        socket.connect(&SockAddr::unix(path)?)
    };
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket(path) && connect().is_err_and(refused)
}

pub(super) fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
}
