//! The reader: messages from a stream, one behind the other.

use std::io::Read;

use crate::message::{Fault, Framing, Head, Request, Response, latin1, malformed};
use crate::rules;

/// A head, in bytes; also a line.
const HEAD_MAX: usize = 1 << 20;
/// What is asked of the stream at first, in bytes: messages in memory are small, and there are millions of them.
const ROOM_FIRST: usize = 4 * 1024;
/// The same once a read has filled the room.
const ROOM: usize = 64 * 1024;

/// Reads messages from a stream, one behind the other.
#[derive(Debug)]
pub struct Reader<S> {
    /// The stream.
    pub stream: S,
    buffer: Vec<u8>,
    at: usize,
    room: usize,
}

impl<S: Read> Reader<S> {
    /// A reader at the beginning of a stream. Bytes in memory are a stream too.
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new(), at: 0, room: ROOM_FIRST }
    }

    /// Reads a whole request with its body.
    pub fn request(&mut self) -> Result<Request, Fault> {
        let mut request = self.request_head()?;
        let mut body = Vec::new();
        request.trailers = self.body(request.framing, |piece| body.extend_from_slice(piece))?;
        request.body = body;
        Ok(request)
    }

    /// Reads a request's head only; the body is still to be read.
    pub fn request_head(&mut self) -> Result<Request, Fault> {
        let head = self.head()?;
        let [method, target, version] = head.start.split(' ').collect::<Vec<_>>()[..] else {
            return malformed(format!("request line {:?}", head.start));
        };
        let http10 = match version {
            "HTTP/1.1" => false,
            "HTTP/1.0" => true,
            _ => return malformed(format!("version {version:?}")),
        };
        if !rules::is_token(method) {
            return malformed(format!("method {method:?}"));
        }
        rules::target(method, target)?;
        rules::host(&head, http10)?;
        rules::hop(&head, true, http10)?;
        let framing = match rules::framing_fields(&head, http10)? {
            None => Framing::None,
            Some(framing) => framing,
        };
        Ok(Request {
            method: method.into(),
            target: target.into(),
            http10,
            framing,
            head,
            body: Vec::new(),
            trailers: Vec::new(),
        })
    }

    /// Reads a whole response with its body; `to_head` if it answers a HEAD.
    pub fn response(&mut self, to_head: bool) -> Result<Response, Fault> {
        let mut response = self.response_head(to_head)?;
        let mut body = Vec::new();
        response.trailers = self.body(response.framing, |piece| body.extend_from_slice(piece))?;
        response.body = body;
        Ok(response)
    }

    /// Reads a response's head only; the body is still to be read.
    pub fn response_head(&mut self, to_head: bool) -> Result<Response, Fault> {
        let head = self.head()?;
        let (version, rest) = head.start.split_once(' ').unwrap_or((&head.start, ""));
        let http10 = match version {
            "HTTP/1.1" => false,
            "HTTP/1.0" => true,
            _ => return malformed(format!("status line {:?}", head.start)),
        };
        // RFC 9112 §4: the space behind the status stands even without a reason.
        let Some((digits, reason)) = rest.split_once(' ') else {
            return malformed(format!("status line {:?}", head.start));
        };
        if !reason.chars().all(rules::is_text) {
            return malformed(format!("reason {reason:?}"));
        }
        let status = match digits.parse() {
            Ok(status @ 100..=599) if digits.len() == 3 => status,
            _ => return malformed(format!("status {digits:?}")),
        };
        rules::hop(&head, false, http10)?;
        if status == 101 && !head.has("upgrade") {
            return malformed("a 101 without an upgrade");
        }
        let bodiless = to_head || matches!(status, 100..200 | 204 | 304);
        let stated = rules::framing_fields(&head, http10)?;
        if matches!(status, 100..200 | 204) && stated.is_some() {
            return malformed(format!("framing fields in a {status}"));
        }
        let framing = if bodiless { Framing::None } else { stated.unwrap_or(Framing::Close) };
        let (body, trailers) = (Vec::new(), Vec::new());
        Ok(Response { status, http10, framing, head, body, trailers })
    }

    /// Reads a body piece by piece; gives the trailers.
    pub fn body(
        &mut self,
        framing: Framing,
        mut sink: impl FnMut(&[u8]),
    ) -> Result<Vec<(String, String)>, Fault> {
        match framing {
            Framing::None => {}
            Framing::Length(length) => self.exactly(length, &mut sink)?,
            Framing::Close => loop {
                match self.available() {
                    Ok(piece) => sink(piece),
                    Err(Fault::Closed) => break,
                    Err(fault) => return Err(fault),
                }
                self.at = self.buffer.len();
            },
            Framing::Chunked => {
                loop {
                    let line = self.line_within()?;
                    let plain = (1..=16).contains(&line.len())
                        && line.bytes().all(|byte| byte.is_ascii_hexdigit());
                    let Some(size) = u64::from_str_radix(&line, 16).ok().filter(|_| plain) else {
                        return malformed(format!("chunk size {line:?}"));
                    };
                    if size == 0 {
                        break;
                    }
                    self.exactly(size, &mut sink)?;
                    if !self.line_within()?.is_empty() {
                        return malformed("chunk data without a line end");
                    }
                }
                let trailers = self.fields(&mut Vec::new())?;
                rules::trailers(&trailers)?;
                return Ok(trailers);
            }
        }
        Ok(Vec::new())
    }

    /// Everything up to the end of the stream.
    pub fn rest(&mut self) -> Result<Vec<u8>, Fault> {
        let mut all = Vec::new();
        self.body(Framing::Close, |piece| all.extend_from_slice(piece))?;
        Ok(all)
    }

    /// What was received and not read yet.
    pub fn buffered(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    fn head(&mut self) -> Result<Head, Fault> {
        self.available()?;
        let start = self.line_within()?;
        let mut raw = start.chars().map(|c| c as u8).collect::<Vec<_>>();
        raw.extend_from_slice(b"\r\n");
        let fields = self.fields(&mut raw)?;
        Ok(Head { start, fields, raw })
    }

    fn fields(&mut self, raw: &mut Vec<u8>) -> Result<Vec<(String, String)>, Fault> {
        let mut fields = Vec::new();
        loop {
            let line = self.line_within()?;
            raw.extend(line.chars().map(|c| c as u8));
            raw.extend_from_slice(b"\r\n");
            if line.is_empty() {
                return Ok(fields);
            }
            if raw.len() > HEAD_MAX {
                return malformed("head without an end");
            }
            let Some((name, value)) = line.split_once(':') else {
                return malformed(format!("field line {line:?}"));
            };
            if !rules::is_token(name) || !value.chars().all(rules::is_text) {
                return malformed(format!("field line {line:?}"));
            }
            fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
        }
    }

    /// A line within a message, without its CRLF: the end of the stream is a truncation here.
    fn line_within(&mut self) -> Result<String, Fault> {
        let mut line = Vec::new();
        loop {
            let piece = self.available().map_err(within)?;
            let end = piece.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let taken = end.unwrap_or(piece.len());
            line.extend_from_slice(&piece[..taken]);
            self.at += taken;
            if end.is_some() {
                break;
            }
            if line.len() > HEAD_MAX {
                return malformed("line without an end");
            }
        }
        match line.strip_suffix(b"\r\n") {
            Some(line) if !line.contains(&b'\r') => Ok(latin1(line)),
            _ => malformed(format!("line end in {:?}", latin1(&line))),
        }
    }

    fn exactly(&mut self, length: u64, sink: &mut impl FnMut(&[u8])) -> Result<(), Fault> {
        let mut left = length;
        while left > 0 {
            let piece = self.available().map_err(within)?;
            let taken = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            sink(&piece[..taken]);
            self.at += taken;
            left -= taken as u64;
        }
        Ok(())
    }

    /// At least one byte that was not read yet.
    fn available(&mut self) -> Result<&[u8], Fault> {
        if self.at == self.buffer.len() {
            self.buffer.resize(self.room, 0);
            let received = self.stream.read(&mut self.buffer);
            self.buffer.truncate(*received.as_ref().unwrap_or(&0));
            if self.buffer.len() == self.room {
                self.room = ROOM;
            }
            self.at = 0;
            if received.map_err(Fault::Io)? == 0 {
                return Err(Fault::Closed);
            }
        }
        Ok(&self.buffer[self.at..])
    }
}

fn within(fault: Fault) -> Fault {
    if matches!(fault, Fault::Closed) { Fault::Truncated } else { fault }
}
