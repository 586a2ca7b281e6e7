//! A raw HTTP/1.1 peer: bytes out as given, messages in by the strict reader. Clients and scripted origins both are one.

use std::io::{self, Write};
use std::net::Shutdown;
use std::time::Duration;

use coregate_strict::{Fault, Framing, Reader, Request, Response, latin1};

use super::socket::Socket;

#[derive(Debug)]
pub struct Peer {
    pub reader: Reader<Socket>,
}

impl Peer {
    pub fn new(socket: impl Into<Socket>) -> Self {
        Self { reader: Reader::new(socket.into()) }
    }

    /// Connects as a client to `127.0.0.1:80` or `unix:/path`.
    #[track_caller]
    pub fn connect(address: &str) -> Self {
        match Socket::connect(address) {
            Ok(socket) => Self::new(socket),
            Err(error) => panic!("connect {address}: {error}"),
        }
    }

    /// Everything on this connection must be over this long from now.
    pub fn allow(&mut self, time: Duration) -> &mut Self {
        self.reader.stream.allow(time);
        self
    }

    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.reader.stream.write_all(bytes.as_ref())
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        if let Err(error) = self.try_send(bytes) {
            panic!("send: {error}");
        }
        self
    }

    /// Sends `bytes` in writes of `size` bytes.
    #[track_caller]
    pub fn send_pieces(&mut self, bytes: impl AsRef<[u8]>, size: usize) -> &mut Self {
        bytes.as_ref().chunks(size).for_each(|piece| {
            self.send(piece);
        });
        self
    }

    /// Ends the sending direction.
    pub fn finish(&mut self) -> &mut Self {
        self.reader.stream.shutdown(Shutdown::Write);
        self
    }

    /// Makes the close, whenever it comes, a reset.
    pub fn reset_on_close(&mut self) {
        self.reader.stream.reset_on_close();
    }

    pub fn try_response(&mut self) -> Result<Response, Fault> {
        self.reader.response(false)
    }

    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.response_to("GET")
    }

    #[track_caller]
    pub fn response_to(&mut self, method: &str) -> Response {
        match self.reader.response(method == "HEAD") {
            Ok(response) => response,
            Err(fault) => panic!("no response: {fault:?}, {:?}", latin1(self.reader.buffered())),
        }
    }

    #[track_caller]
    pub fn request(&mut self) -> Request {
        match self.reader.request() {
            Ok(request) => request,
            Err(fault) => panic!("no request: {fault:?}, {:?}", latin1(self.reader.buffered())),
        }
    }

    /// One GET and its answer.
    #[track_caller]
    pub fn get(&mut self, target: &str) -> Response {
        self.send(get(target)).response()
    }

    /// The next bytes, whatever they are, must be these.
    #[track_caller]
    pub fn expect(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        let mut got = Vec::new();
        let read = self.reader.body(Framing::Length(bytes.len() as u64), |piece| {
            got.extend_from_slice(piece);
        });
        let shown = |bytes: &[u8]| latin1(&bytes[..bytes.len().min(200)]);
        assert!(read.is_ok(), "{read:?} after {:?}", shown(&got));
        assert!(got == bytes, "{:?}, not {:?}", shown(&got), shown(bytes));
        self
    }

    /// The peer ends its direction without another byte, and without a reset.
    #[track_caller]
    pub fn expect_end(&mut self) {
        match self.reader.rest() {
            Ok(rest) => assert!(rest.is_empty(), "before the end: {:?}", latin1(&rest)),
            Err(fault) => panic!("no end: {fault:?}"),
        }
    }

    /// The peer resets the connection.
    #[track_caller]
    pub fn expect_reset(&mut self) {
        match self.reader.rest() {
            Err(Fault::Io(error)) if error.kind() == io::ErrorKind::ConnectionReset => {}
            other => panic!("no reset: {:?}", other.map(|rest| latin1(&rest))),
        }
    }

    /// The peer closes (or resets) without another byte.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        match self.reader.rest() {
            Ok(rest) if rest.is_empty() => {}
            Ok(rest) => panic!("more bytes before the end: {:?}", latin1(&rest)),
            Err(fault) if fault.is_cut() => {}
            Err(fault) => panic!("not closed: {fault:?}"),
        }
    }

    /// The peer cuts the message that is being read: it never ends as if it were whole.
    #[track_caller]
    pub fn expect_cut(&mut self) {
        match self.try_response() {
            Err(fault) if fault.is_cut() => {}
            other => panic!("not cut: {other:?}"),
        }
    }
}

/// A plain GET.
pub fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// A POST with a body of known length.
pub fn post(target: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// The head of a chunked POST; the chunks follow.
pub fn post_chunked(target: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
}
