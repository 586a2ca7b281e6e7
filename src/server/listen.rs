//! Listening sockets, all bound before anything starts (door of socket2).
//!
//! TCP: a probe binds without SO_REUSEPORT first, so that a second start fails with *address in use* instead of sharing the
//! port; then one SO_REUSEPORT socket a worker, and the kernel spreads connections. A Unix socket has no such spread: its
//! workers share one. A socket file that nobody listens on any more is removed.
//!
//! `[::]:PORT` takes IPv4 too, whatever `net.ipv6.bindv6only` says, unless `0.0.0.0:PORT` is asked for as well: then each takes
//! its own. Other addresses that overlap are refused.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use coregate_config::Listener;
use coregate_core::base::ids::ListenerId;
use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;
use coregate_data::worker::post::{Listening, SocketId};
use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};

/// Why a listener cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("listener {name}: {address}: address in use; see what listens there with: ss -ltnxp")]
    InUse { name: String, address: Address },
    #[error(
        "listener {name}: {address}: overlaps with {other} of listener {others_name}, which takes its connections too; keep one of them"
    )]
    Overlaps { name: String, address: Address, other: Address, others_name: String },
    #[error(
        "listener {name}: {address}: there is a file that is not a socket; remove it, or choose another path"
    )]
    NoSocket { name: String, address: Address },
    #[error("listener {name}: {address}: {error}{}", hint(.error))]
    Io { name: String, address: Address, error: io::Error },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need CAP_NET_BIND_SERVICE, socket paths a writable folder"
        }
        io::ErrorKind::AddrNotAvailable => "; this host has no such address: see ip addr",
        _ => "",
    }
}

/// Everything that was bound.
#[derive(Debug, Default)]
pub(crate) struct Bound {
    /// The sockets of each worker.
    pub(crate) per_worker: Vec<Vec<Listening>>,
    /// What to say: where each listener listens, with the port that was really bound.
    pub(crate) places: Vec<(String, Address)>,
    /// Socket files to remove at the end.
    files: Vec<PathBuf>,
}

impl Drop for Bound {
    fn drop(&mut self) {
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
    }
}

/// Binds all listeners for all workers, or none; says of every address why it cannot be had.
pub(crate) fn bind(listeners: &[Listener], workers: usize) -> Result<Bound, Vec<ListenError>> {
    let mut bound = Bound::default();
    let mut errors = Vec::new();
    bound.per_worker.resize_with(workers, Vec::new);
    for (index, listener) in listeners.iter().enumerate() {
        let id = ListenerId(index as u16);
        for (at, address) in listener.bind.iter().enumerate() {
            let ours = Ours { all: listeners, address };
            match bind_one(&ours, workers) {
                Ok((address, sockets)) => {
                    if let Address::Unix(path) = &address {
                        bound.files.push(path.clone());
                    }
                    bound.places.push((listener.name.clone(), address));
                    for (worker, socket) in sockets.into_iter().enumerate() {
                        bound.per_worker[worker].push(Listening {
                            id: SocketId(at as u32),
                            listener: id,
                            socket,
                        });
                    }
                }
                Err(error) => errors.push(ListenError::new(&listener.name, &ours, error)),
            }
        }
    }
    if errors.is_empty() { Ok(bound) } else { Err(errors) }
}

impl ListenError {
    fn new(name: &str, ours: &Ours<'_>, error: io::Error) -> Self {
        let (name, address) = (name.to_owned(), ours.address.clone());
        match (error.kind(), &address) {
            (io::ErrorKind::AddrInUse, Address::Unix(path)) if !is_socket(path) => {
                Self::NoSocket { name, address }
            }
            (io::ErrorKind::AddrInUse, _) => match ours.overlap() {
                Some((others_name, other)) => Self::Overlaps {
                    name,
                    address,
                    other: Address::Tcp(other),
                    others_name: others_name.to_owned(),
                },
                None => Self::InUse { name, address },
            },
            _ => Self::Io { name, address, error },
        }
    }
}

/// An address among all that are asked for.
struct Ours<'a> {
    all: &'a [Listener],
    address: &'a Address,
}

impl<'a> Ours<'a> {
    /// The other TCP addresses of this one's port, with the names of their listeners.
    fn on_its_port(&self) -> impl Iterator<Item = (&'a str, SocketAddr)> {
        let Self { all, address } = *self;
        let each = |listener: &'a Listener| {
            listener.bind.iter().map(|bind| (listener.name.as_str(), bind))
        };
        all.iter().flat_map(each).filter_map(move |(name, bind)| match (bind, address) {
            (Address::Tcp(other), Address::Tcp(own)) if other.port() == own.port() => {
                (other != own && own.port() != 0).then_some((name, *other))
            }
            _ => None,
        })
    }

    /// Whether IPv4 has a socket of its own on this port, for all addresses: then IPv6 leaves it alone.
    fn ipv4_is_apart(&self) -> bool {
        let own = matches!(self.address, Address::Tcp(own) if own.ip() == Ipv4Addr::UNSPECIFIED);
        own || self.on_its_port().any(|(_, other)| other.ip() == Ipv4Addr::UNSPECIFIED)
    }

    /// One of the others that takes connections to this address, or whose connections this one takes.
    fn overlap(&self) -> Option<(&'a str, SocketAddr)> {
        let Address::Tcp(own) = *self.address else { return None };
        let both_families = !self.ipv4_is_apart();
        let takes = |one: SocketAddr, other: SocketAddr| {
            let reaches = one.is_ipv4() == other.is_ipv4() || (one.is_ipv6() && both_families);
            one.ip().is_unspecified() && reaches
        };
        self.on_its_port().find(|(_, other)| takes(own, *other) || takes(*other, own))
    }
}

fn bind_one(ours: &Ours<'_>, workers: usize) -> io::Result<(Address, Vec<OwnedFd>)> {
    match ours.address {
        Address::Tcp(address) => tcp(*address, ours.ipv4_is_apart(), workers)
            .map(|(address, sockets)| (Address::Tcp(address), sockets)),
        Address::Unix(path) => Ok((ours.address.clone(), unix(path, workers)?)),
    }
}

fn tcp(
    address: SocketAddr,
    ipv6_alone: bool,
    workers: usize,
) -> io::Result<(SocketAddr, Vec<OwnedFd>)> {
    let probe = tcp_socket(address, ipv6_alone)?;
    bind_soon(&probe, &address.into())?;
    let bound = probe.local_addr()?.as_socket().unwrap_or(address);
    drop(probe);
    let sockets = (0..workers).map(|_| tcp_listening(bound, ipv6_alone));
    let sockets = sockets.collect::<io::Result<_>>()?;
    Ok((bound, sockets))
}

/// Binds, trying for a moment: the ring of a process that was killed is taken down after it, and its listening sockets with
/// it, so a restart can find the address taken by nobody.
fn bind_soon(socket: &Socket, address: &SockAddr) -> io::Result<()> {
    let give_up = Instant::now() + limits::BIND_TIME;
    loop {
        match socket.bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < give_up => {
                thread::sleep(Duration::from_millis(20));
            }
            other => return other,
        }
    }
}

fn tcp_socket(address: SocketAddr, ipv6_alone: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(ipv6_alone)?;
    }
    Ok(socket)
}

fn tcp_listening(address: SocketAddr, ipv6_alone: bool) -> io::Result<OwnedFd> {
    let socket = tcp_socket(address, ipv6_alone)?;
    socket.set_reuse_port(true)?;
    // Accepted connections inherit all of these.
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(limits::KEEPALIVE_IDLE)
        .with_interval(limits::KEEPALIVE_INTERVAL)
        .with_retries(limits::KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(limits::USER_TIMEOUT))?;
    socket.set_tcp_notsent_lowat(limits::NOT_SENT_BYTES)?;
    socket.bind(&address.into())?;
    socket.listen(limits::BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn unix(path: &Path, workers: usize) -> io::Result<Vec<OwnedFd>> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
            fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        other => other?,
    }
    socket.listen(limits::BACKLOG)?;
    socket.set_nonblocking(true)?;
    (0..workers).map(|_| socket.try_clone().map(OwnedFd::from)).collect()
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

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

#[cfg(test)]
mod tests;
