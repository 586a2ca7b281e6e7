//! What is read: heads, requests, responses, and why one could not be read.

use std::io;

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
    /// Whether the deadline passed.
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

pub(crate) fn malformed<T>(why: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Malformed(why.into()))
}

/// A start line and its fields; bytes above 0x7F appear as the characters of Latin-1.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// The first line, without its line end.
    pub start: String,
    /// Names and values in order, values without white space around them.
    pub fields: Vec<(String, String)>,
    /// Everything as it came, the empty line included.
    pub raw: Vec<u8>,
}

impl Head {
    /// The value of the only field of this name. Panics if there are several.
    #[track_caller]
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.all(name);
        let first = all.next();
        assert!(all.next().is_none(), "{name} stands twice in {}", self.text());
        first
    }

    /// The values of all fields of this name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields
            .iter()
            .filter(move |(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Whether there is a field of this name.
    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// The elements of the comma-separated lists in the fields of this name.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        self.all(name).flat_map(|value| value.split(',')).map(|item| item.trim_matches([' ', '\t']))
    }

    /// Whether `Connection` has this option.
    pub fn has_option(&self, option: &str) -> bool {
        self.list("connection").any(|own| own.eq_ignore_ascii_case(option))
    }

    /// Everything as it came, as text.
    pub fn text(&self) -> String {
        latin1(&self.raw)
    }
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// After this many bytes.
    Length(u64),
    /// With the last chunk and its trailers.
    Chunked,
    /// With the connection.
    Close,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// Its target, in origin form or `*`.
    pub target: String,
    /// Whether its version is HTTP/1.0.
    pub http10: bool,
    /// Its head.
    pub head: Head,
    /// How its body ends.
    pub framing: Framing,
    /// Its body, without chunks.
    pub body: Vec<u8>,
    /// The fields behind a chunked body.
    pub trailers: Vec<(String, String)>,
}

/// A response.
#[derive(Debug, Clone)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Whether its version is HTTP/1.0.
    pub http10: bool,
    /// Its head.
    pub head: Head,
    /// How its body ends.
    pub framing: Framing,
    /// Its body, without chunks.
    pub body: Vec<u8>,
    /// The fields behind a chunked body.
    pub trailers: Vec<(String, String)>,
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> String {
        latin1(&self.body)
    }

    /// Whether the sender says that it closes the connection after this.
    pub fn closes(&self) -> bool {
        self.framing == Framing::Close
            || self.head.has_option("close")
            || (self.http10 && !self.head.has_option("keep-alive"))
    }
}

/// Bytes as the characters of Latin-1, so that nothing is lost or invented.
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}
