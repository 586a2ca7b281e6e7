//! Listening sockets, all bound before anything starts (door of socket2).
//!
//! TCP: a probe binds without SO_REUSEPORT first, so that a second start fails with *address in use* instead of sharing the
//! port; then one SO_REUSEPORT socket a worker, and the kernel spreads connections. A Unix socket has no such spread: its
//! workers share one. A socket file that nobody listens on any more is removed.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use coregate_config::Listener;
use coregate_core::base::ids::ListenerId;
use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;
use coregate_data::worker::serve::Listening;
use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};

/// Why a listener cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("listener {name}: {address}: address in use; see what listens there with: ss -ltnxp")]
    InUse { name: String, address: Address },
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
        for address in &listener.bind {
            match bind_one(address, workers) {
                Ok((address, sockets)) => {
                    if let Address::Unix(path) = &address {
                        bound.files.push(path.clone());
                    }
                    bound.places.push((listener.name.clone(), address));
                    for (worker, socket) in sockets.into_iter().enumerate() {
                        bound.per_worker[worker].push(Listening { listener: id, socket });
                    }
                }
                Err(error) => errors.push(ListenError::new(&listener.name, address, error)),
            }
        }
    }
    if errors.is_empty() { Ok(bound) } else { Err(errors) }
}

impl ListenError {
    fn new(name: &str, address: &Address, error: io::Error) -> Self {
        let (name, address) = (name.to_owned(), address.clone());
        match (error.kind(), &address) {
            (io::ErrorKind::AddrInUse, Address::Unix(path)) if !is_socket(path) => {
                Self::NoSocket { name, address }
            }
            (io::ErrorKind::AddrInUse, _) => Self::InUse { name, address },
            _ => Self::Io { name, address, error },
        }
    }
}

fn bind_one(address: &Address, workers: usize) -> io::Result<(Address, Vec<OwnedFd>)> {
    match address {
        Address::Tcp(address) => {
            tcp(*address, workers).map(|(address, sockets)| (Address::Tcp(address), sockets))
        }
        Address::Unix(path) => Ok((address.clone(), unix(path, workers)?)),
    }
}

fn tcp(address: SocketAddr, workers: usize) -> io::Result<(SocketAddr, Vec<OwnedFd>)> {
    let probe = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    probe.set_reuse_address(true)?;
    bind_soon(&probe, &address.into())?;
    let bound = probe.local_addr()?.as_socket().unwrap_or(address);
    drop(probe);
    let sockets = (0..workers).map(|_| tcp_socket(bound)).collect::<io::Result<_>>()?;
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

fn tcp_socket(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    // Accepted connections inherit all of these.
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(limits::KEEPALIVE_IDLE)
        .with_interval(limits::KEEPALIVE_INTERVAL)
        .with_retries(limits::KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(limits::USER_TIMEOUT))?;
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

/// Whether a socket file is left over: it is a socket, and nobody listens on it.
fn is_stale(path: &Path) -> bool {
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket(path) && UnixStream::connect(path).is_err_and(refused)
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

#[cfg(test)]
mod tests;
