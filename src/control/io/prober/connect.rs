//! Connections of probes: made fresh, and closed so that the peer sees an end and not a reset.

use std::io;
use std::net::SocketAddr;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// A connection.
#[derive(Debug)]
pub(super) enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// To a Unix socket.
    Unix(UnixStream),
}

/// Connects to an instance, or to another port of its address.
pub(super) async fn connect(address: &Address, port: Option<u16>) -> io::Result<Stream> {
    match address {
        Address::Tcp(address) => {
            let to = SocketAddr::new(address.ip(), port.unwrap_or(address.port()));
            TcpStream::connect(to).await.map(Stream::Tcp)
        }
        Address::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
    }
}

/// Closes a connection.
pub(super) async fn close(stream: Stream) {
    match stream {
        Stream::Tcp(stream) => end(stream).await,
        Stream::Unix(stream) => end(stream).await,
    }
}

/// Says that nothing more comes, and takes what the peer still says, as long as that is little and soon: the kernel resets a
/// connection that is closed with unread bytes, which fills the logs of servers that begin with a greeting.
async fn end(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut left = limits::PROBE_BODY_BYTES;
    let mut buffer = [0; 512];
    let rest = async {
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            left = left.saturating_sub(count);
            if left == 0 {
                return;
            }
        }
    };
    // Whatever it is still doing then is cut.
    let _ = tokio::time::timeout(limits::PROBE_CLOSE, rest).await;
}
