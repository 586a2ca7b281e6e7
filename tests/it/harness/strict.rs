//! A strict reader of HTTP/1.1 messages (RFC 9112), for both sides of the gateway.
//!
//! It accepts only what a careful sender writes: every deviation is a [`Fault::Malformed`], so whatever the gateway emits is
//! held to the letter. It is not a general parser: chunk extensions, absolute-form targets and lists in `Content-Length`
//! are faults here because the gateway must never write them.

use std::io::{self, Read};

/// Why no message could be read.
#[derive(Debug)]
pub enum Fault {
    /// The stream ended before the first byte of a message.
    Closed,
    /// The stream ended within a message.
    Truncated,
    /// Not a message as RFC 9112 has it.
    Malformed(String),
    /// The transport failed: reset, or the deadline passed.
    Io(io::Error),
}

impl Fault {
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::TimedOut)
    }

    /// Whether the peer ended the message early: by a plain end or by a reset.
    pub fn is_cut(&self) -> bool {
        match self {
            Self::Closed | Self::Truncated => true,
            Self::Io(error) => matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::ConnectionAborted
            ),
            Self::Malformed(_) => false,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed => to.write_str("closed before a message"),
            Self::Truncated => to.write_str("ended within a message"),
            Self::Malformed(why) => write!(to, "malformed: {why}"),
            Self::Io(error) => write!(to, "{error}"),
        }
    }
}

fn malformed<T>(why: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Malformed(why.into()))
}

/// A start line and its fields; bytes above 0x7F appear as the characters of Latin-1.
#[derive(Debug, Clone, Default)]
pub struct Head {
    pub start: String,
    pub fields: Vec<(String, String)>,
    /// Everything as it came, the empty line included.
    pub raw: Vec<u8>,
}

impl Head {
    /// The value of the only field of this name.
    #[track_caller]
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.all(name);
        let first = all.next();
        assert!(all.next().is_none(), "{name} stands twice in {}", self.text());
        first
    }

    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields
            .iter()
            .filter(move |(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    pub fn text(&self) -> String {
        latin1(&self.raw)
    }
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u64),
    Chunked,
    Close,
}

#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub http10: bool,
    pub head: Head,
    pub framing: Framing,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub http10: bool,
    pub head: Head,
    pub framing: Framing,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

impl Response {
    pub fn text(&self) -> String {
        latin1(&self.body)
    }

    /// Whether the sender says that it closes the connection after this.
    pub fn closes(&self) -> bool {
        self.framing == Framing::Close
            || match self.head.get("connection") {
                Some(value) => value.eq_ignore_ascii_case("close"),
                None => self.http10,
            }
    }
}

const HEAD_MAX: usize = 1 << 20;

/// Reads messages from a stream, one behind the other.
#[derive(Debug)]
pub struct Reader<S> {
    pub stream: S,
    buffer: Vec<u8>,
    at: usize,
}

impl<S: Read> Reader<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new(), at: 0 }
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
        if !is_token(method) {
            return malformed(format!("method {method:?}"));
        }
        check_target(method, target)?;
        check_host(&head, http10)?;
        let framing = match framing_fields(&head, http10)? {
            None => Framing::None,
            Some(framing) => framing,
        };
        Ok(Request {
            method: method.into(),
            target: target.into(),
            http10,
            framing,
            head: head.clone(),
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
        let Some((digits, _reason)) = rest.split_once(' ') else {
            return malformed(format!("status line {:?}", head.start));
        };
        let status = match digits.parse() {
            Ok(status @ 100..=599) if digits.len() == 3 => status,
            _ => return malformed(format!("status {digits:?}")),
        };
        let bodiless = to_head || matches!(status, 100..200 | 204 | 304);
        let stated = framing_fields(&head, http10)?;
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
                    let Some(size) = plain.then(|| u64::from_str_radix(&line, 16).unwrap()) else {
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
                return self.fields(&mut Vec::new());
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
            let legal = |c: char| matches!(c, '\t' | ' '..='~' | '\u{80}'..);
            if !is_token(name) || !value.chars().all(legal) {
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
            self.buffer.resize(64 * 1024, 0);
            let received = self.stream.read(&mut self.buffer);
            self.buffer.truncate(*received.as_ref().unwrap_or(&0));
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

/// RFC 9112 §6, the part that fields decide; a message that two readers could frame differently is a fault.
fn framing_fields(head: &Head, http10: bool) -> Result<Option<Framing>, Fault> {
    let lengths: Vec<_> = head.all("content-length").collect();
    let codings: Vec<_> = head.all("transfer-encoding").collect();
    match (&lengths[..], &codings[..]) {
        ([], []) => Ok(None),
        ([length], []) if !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit()) => {
            match length.parse() {
                Ok(length) => Ok(Some(Framing::Length(length))),
                Err(_) => malformed(format!("content-length {length:?}")),
            }
        }
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") && !http10 => {
            Ok(Some(Framing::Chunked))
        }
        _ => malformed(format!("content-length {lengths:?} and transfer-encoding {codings:?}")),
    }
}

/// RFC 9112 §3.2.1 and RFC 3986 §3.3: what a gateway may ask an origin for.
fn check_target(method: &str, target: &str) -> Result<(), Fault> {
    if target == "*" && method == "OPTIONS" {
        return Ok(());
    }
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(byte);
    let bytes = target.as_bytes();
    let escapes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(|(at, _)| {
        bytes.get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    });
    let path = target.split('?').next().unwrap_or(target);
    let dots = path.split('/').any(|segment| segment == "." || segment == "..");
    if !target.starts_with('/') || !bytes.iter().all(legal) || !escapes || dots {
        return malformed(format!("target {target:?}"));
    }
    Ok(())
}

fn check_host(head: &Head, http10: bool) -> Result<(), Fault> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    match head.all("host").collect::<Vec<_>>()[..] {
        // An empty one is what a sender without an authority must write.
        [host] if host.bytes().all(legal) => Ok(()),
        [] if http10 => Ok(()),
        ref hosts => malformed(format!("hosts {hosts:?}")),
    }
}

fn is_token(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(legal)
}

/// Bytes as the characters of Latin-1, so that nothing is lost or invented.
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests;
