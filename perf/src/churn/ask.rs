//! A client that asks one thing at a time and waits for the answer: of the admin listener, and of the gateway.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use memchr::memmem;
use serde_json::Value;

use crate::frame::{header_of, status_of};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// An answer longer than this is an error.
const ANSWER_MAX: usize = 16 << 20;

/// A connection that is kept alive.
pub struct Client<S> {
    stream: S,
    bytes: Vec<u8>,
}

/// The admin listener.
pub type Admin = Client<UnixStream>;

impl Client<UnixStream> {
    /// Connects to the admin listener.
    pub fn admin(path: &Path) -> io::Result<Admin> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { stream, bytes: Vec::new() })
    }

    /// What a GET gives.
    pub fn get(&mut self, path: &str) -> io::Result<Value> {
        self.ask_json(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"))
    }

    /// What a POST of this JSON gives: a report, also where it says that not everything could be done (409).
    pub fn post(&mut self, path: &str, body: &Value) -> io::Result<Value> {
        let body = body.to_string();
        self.ask_json(&format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    fn ask_json(&mut self, request: &str) -> io::Result<Value> {
        let (status, body) = self.ask(request.as_bytes())?;
        if status >= 300 && status != 409 {
            let text = String::from_utf8_lossy(body);
            return Err(io::Error::other(format!("the admin listener answers {status}: {text}")));
        }
        serde_json::from_slice(body).map_err(io::Error::other)
    }
}

impl Client<TcpStream> {
    /// Connects to the gateway.
    pub fn gateway(at: SocketAddr) -> io::Result<Client<TcpStream>> {
        let stream = TcpStream::connect(at)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { stream, bytes: Vec::new() })
    }
}

impl<S: Read + Write> Client<S> {
    /// Sends a request, and gives the status and the body of its answer, which must have a length.
    pub fn ask(&mut self, request: &[u8]) -> io::Result<(u16, &[u8])> {
        self.send(request)?;
        self.receive()
    }

    /// Sends a request.
    pub fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request)
    }

    /// The status and the body of its answer, which must have a length, or be 204 and have none.
    pub fn receive(&mut self) -> io::Result<(u16, &[u8])> {
        self.bytes.clear();
        let head = self.read_until(|bytes| memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4))?;
        let status = status_of(&self.bytes[..head]);
        let status = status.ok_or_else(|| io::Error::other("an answer without a status"))?;
        let length = header_of(&self.bytes[..head], b"content-length");
        let length = length.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
        let length = length.or((status == 204).then_some(0));
        let length: usize = length.ok_or_else(|| io::Error::other("an answer without a length"))?;
        let whole =
            self.read_until(|bytes| (bytes.len() >= head + length).then_some(head + length))?;
        Ok((status, &self.bytes[head..whole]))
    }

    fn read_until(&mut self, mut end: impl FnMut(&[u8]) -> Option<usize>) -> io::Result<usize> {
        let mut piece = [0; 16 * 1024];
        loop {
            if let Some(end) = end(&self.bytes) {
                return Ok(end);
            }
            let count = self.stream.read(&mut piece)?;
            if count == 0 || self.bytes.len() > ANSWER_MAX {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.bytes.extend_from_slice(&piece[..count]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a byte a read.
    struct Slow(&'static [u8]);

    impl Read for Slow {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(1);
            into[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn check(answer: &'static [u8], expected: Option<(u16, &[u8])>) {
        let mut client = Client { stream: Slow(answer), bytes: Vec::new() };
        assert_eq!(client.ask(b"").ok(), expected);
    }

    #[test]
    fn answers_are_read_whole() {
        check(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", Some((200, b"abc")));
        check(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", Some((404, b"")));
        check(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab", None);
        check(b"HTTP/1.1 200 OK\r\n\r\n", None);
    }
}
