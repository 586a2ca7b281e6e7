//! TCP and Unix sockets behind one type; every read and write on them has a deadline.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::clock::PATIENCE;

#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connected socket.
#[derive(Debug)]
pub struct Socket {
    kind: Kind,
    deadline: Instant,
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { kind: Kind::Tcp(stream), deadline: Instant::now() + PATIENCE }
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        Self { kind: Kind::Unix(stream), deadline: Instant::now() + PATIENCE }
    }
}

impl Socket {
    /// Connects to `127.0.0.1:80` or `unix:/path`.
    pub fn connect(address: &str) -> io::Result<Self> {
        match address.strip_prefix("unix:") {
            Some(path) => UnixStream::connect(path).map(Self::from),
            None => {
                let address = address.parse().map_err(io::Error::other)?;
                TcpStream::connect_timeout(&address, PATIENCE).map(Self::from)
            }
        }
    }

    /// Its own address and its peer's; TCP only.
    pub fn addresses(&self) -> (SocketAddr, SocketAddr) {
        match &self.kind {
            Kind::Tcp(stream) => (stream.local_addr().unwrap(), stream.peer_addr().unwrap()),
            Kind::Unix(_) => panic!("a Unix socket has no address"),
        }
    }

    /// Everything on this socket must be over this long from now.
    pub fn allow(&mut self, time: Duration) {
        self.deadline = Instant::now() + time;
    }

    pub fn try_clone(&self) -> Self {
        let kind = match &self.kind {
            Kind::Tcp(stream) => Kind::Tcp(stream.try_clone().unwrap()),
            Kind::Unix(stream) => Kind::Unix(stream.try_clone().unwrap()),
        };
        Self { kind, deadline: self.deadline }
    }

    /// Ends one direction or both; a peer that is gone already is no fault.
    pub fn shutdown(&self, how: Shutdown) {
        let _ = match &self.kind {
            Kind::Tcp(stream) => stream.shutdown(how),
            Kind::Unix(stream) => stream.shutdown(how),
        };
    }

    /// Makes the close, whenever it comes, a reset: what the peer has not read yet is lost.
    pub fn reset_on_close(&self) {
        if let Kind::Tcp(stream) = &self.kind {
            socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

fn as_timeout(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.left()?;
        match &mut self.kind {
            Kind::Tcp(stream) => stream.set_read_timeout(left).and_then(|()| stream.read(into)),
            Kind::Unix(stream) => stream.set_read_timeout(left).and_then(|()| stream.read(into)),
        }
        .map_err(as_timeout)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left()?;
        match &mut self.kind {
            Kind::Tcp(stream) => stream.set_write_timeout(left).and_then(|()| stream.write(bytes)),
            Kind::Unix(stream) => stream.set_write_timeout(left).and_then(|()| stream.write(bytes)),
        }
        .map_err(as_timeout)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
