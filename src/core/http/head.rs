//! Heads: one page of bytes as they came, and a table of spans into it.
//!
//! ```text
//!  page   GET /users/7?x=1 HTTP/1.1\r\nHost: Shop\r\nAccept: */*\r\n\r\nbody or the next request ...
//!             ^path^  ^query^            name  value                 ^ head_len       ^ page.len()
//! ```
//!
//! The page, the table and the side buffer are recycled by their owner: a request of ordinary size allocates nothing.
//! Spans are 16 bits, because no page is longer than [`limits::PAGE_LARGE_BYTES`](crate::base::limits::PAGE_LARGE_BYTES).

use std::mem;
use std::ops::Range;

use bytes::BytesMut;

use crate::http::framing::BodyIn;
use crate::http::hop::Role;
use crate::http::path::FormFault;
use crate::http::query;

/// A piece of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    start: u16,
    len: u16,
}

impl Span {
    /// The span of these positions, which lie in one page: at most 65,536 bytes.
    pub fn new(range: Range<usize>) -> Self {
        debug_assert!(range.end <= usize::from(u16::MAX) + 1 && range.start <= range.end);
        Self { start: range.start as u16, len: (range.end - range.start) as u16 }
    }

    /// The positions.
    pub fn range(self) -> Range<usize> {
        usize::from(self.start)..usize::from(self.start) + usize::from(self.len)
    }

    /// Whether it is empty.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// A header field: where its name and value stand, and what it is to us.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Where the name stands.
    pub name: Span,
    /// Where the value stands, without white space around it.
    pub value: Span,
    /// What it is to us.
    pub role: Role,
}

/// The bytes of a head and of whatever came behind it, and the fields found in it.
///
/// The same for requests and responses, and for every version of the protocol.
#[derive(Debug, Default)]
pub struct Head {
    /// What was read, from the head's first byte.
    pub page: BytesMut,
    /// The header fields, in order.
    pub fields: Vec<Field>,
    /// The target's normal form, if it differs from what stands in the page.
    pub side: Vec<u8>,
}

impl Head {
    /// An empty head whose page can take `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { page: BytesMut::with_capacity(capacity), ..Self::default() }
    }

    /// The bytes of a span of this page.
    pub fn bytes(&self, span: Span) -> &[u8] {
        &self.page[span.range()]
    }

    /// The value of the first field with this role.
    pub fn value_of(&self, role: Role) -> Option<&[u8]> {
        self.fields.iter().find(|field| field.role == role).map(|field| self.bytes(field.value))
    }

    /// The value of the first field of this name, whatever its case.
    pub fn value_named(&self, name: &str) -> Option<&[u8]> {
        let is = |field: &&Field| self.bytes(field.name).eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().find(is).map(|field| self.bytes(field.value))
    }

    /// Drops the first `consumed` bytes and moves what came behind them to the front of the page.
    pub fn consume(&mut self, consumed: usize) {
        let rest = self.page.len() - consumed;
        self.page.copy_within(consumed.., 0);
        self.page.truncate(rest);
        self.fields.clear();
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.page.clear();
        self.fields.clear();
    }
}

/// A request method (RFC 9110 §9; PATCH: RFC 5789).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named as the RFC names it")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Options,
    Patch,
    Trace,
    Connect,
    /// Another token: forwarded, and treated as neither safe nor idempotent.
    Other,
}

impl Method {
    /// The method of this name; names are case-sensitive.
    pub fn of(name: &[u8]) -> Self {
        match name {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"PATCH" => Self::Patch,
            b"TRACE" => Self::Trace,
            b"CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }

    /// Whether doing it twice does no more than doing it once (RFC 9110 §9.2.2).
    pub fn is_idempotent(self) -> bool {
        match self {
            Self::Get | Self::Head | Self::Put | Self::Delete | Self::Options | Self::Trace => true,
            Self::Post | Self::Patch | Self::Connect | Self::Other => false,
        }
    }
}

/// Where a request's target stands in its normal form.
#[derive(Debug, Clone, Copy)]
pub enum TargetAt {
    /// In the page.
    Page(Span),
    /// In the side buffer, all of it.
    Side,
    /// `*`: OPTIONS about the server as a whole (RFC 9112 §3.2.4).
    Asterisk,
}

/// What a request's head says, checked and in normal form. Only `parse::request` makes one; its path may become another.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// What it asks for.
    pub method: Method,
    /// Where the method's name stands.
    pub method_at: Span,
    /// Whether its version is HTTP/1.0.
    pub http10: bool,
    /// Where the target stands.
    pub target: TargetAt,
    /// The length of the path in the target; `?` and the query follow.
    pub path_len: usize,
    /// Where the host stands, in lower case, without port; empty if an HTTP/1.0 request names none.
    pub host: Span,
    /// The port in the host, if it names one.
    pub port: Option<u16>,
    /// The length of the head, in bytes of the page.
    pub head_len: usize,
    /// How its body ends.
    pub body: BodyIn,
    /// Whether the client lets the connection live on.
    pub keep_alive: bool,
    /// Whether the client waits for a 100 before it sends its body.
    pub expects_continue: bool,
    /// Whether it asks for another protocol, which is offered to the instance. Only without a body.
    pub upgrades: bool,
    /// Whether the client takes trailers (`TE: trailers`).
    pub wants_trailers: bool,
    /// Whether it has come through another gateway, which may be this one.
    pub has_via: bool,
    /// How many more times it may be forwarded; OPTIONS only.
    pub max_forwards: Option<u32>,
}

impl Request {
    /// The target in normal form: path and query.
    pub fn target<'h>(&self, head: &'h Head) -> &'h [u8] {
        match self.target {
            TargetAt::Page(span) => head.bytes(span),
            TargetAt::Side => &head.side,
            TargetAt::Asterisk => b"*",
        }
    }

    /// The path in normal form.
    pub fn path<'h>(&self, head: &'h Head) -> &'h [u8] {
        &self.target(head)[..self.path_len]
    }

    /// Gives it another path, which `write` makes of the one that it has; the query stays byte by byte, and so does `*`.
    ///
    /// The new target takes the place of the head's side buffer, which is left in `spare`. What does not begin with a slash is
    /// no path: then nothing changes.
    pub fn set_path(
        &mut self,
        head: &mut Head,
        spare: &mut Vec<u8>,
        write: impl FnOnce(&[u8], &mut Vec<u8>),
    ) -> Result<(), FormFault> {
        if matches!(self.target, TargetAt::Asterisk) {
            return Ok(());
        }
        spare.clear();
        let (path, query) = self.target(head).split_at(self.path_len);
        write(path, spare);
        if spare.first() != Some(&b'/') {
            return Err(FormFault::NotAbsolute);
        }
        let path_len = spare.len();
        spare.extend_from_slice(query);
        mem::swap(&mut head.side, spare);
        (self.target, self.path_len) = (TargetAt::Side, path_len);
        Ok(())
    }

    /// Takes every parameter of this name out of its query; the rest stays byte by byte.
    pub fn take_off_query(&mut self, head: &mut Head, name: &str) {
        match &mut self.target {
            TargetAt::Page(span) => {
                let all = span.range();
                let left = query::take_off(&mut head.page[all.clone()], self.path_len, name);
                *span = Span::new(all.start..all.start + left);
            }
            TargetAt::Side => {
                let left = query::take_off(&mut head.side, self.path_len, name);
                head.side.truncate(left);
            }
            TargetAt::Asterisk => {}
        }
    }

    /// The host in normal form.
    pub fn host<'h>(&self, head: &'h Head) -> &'h [u8] {
        head.bytes(self.host)
    }
}

/// What a response's head says, checked. Only `parse::response` makes one.
#[derive(Debug, Clone, Copy)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Where the reason phrase stands.
    pub reason: Span,
    /// Whether its version is HTTP/1.0.
    pub http10: bool,
    /// The length of the head, in bytes of the page.
    pub head_len: usize,
    /// How its body ends.
    pub body: BodyIn,
    /// The length that it states, which goes on to the client even where no body follows (to a HEAD, in a 304).
    pub stated_length: Option<u64>,
    /// Whether the upstream lets the connection live on.
    pub keep_alive: bool,
    /// Whether it has a `Date`.
    pub has_date: bool,
    /// Whether it names another protocol to go on with, as a 101 must.
    pub upgrades: bool,
    /// Whether one `Upgrade` field names a protocol that may be offered.
    pub offers: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::parse::{self, RequestLimits};

    #[test]
    fn a_path_that_becomes_another() {
        for (target, new, expected) in [
            ("/a/b?x=%2f&y", "/n", "/n?x=%2f&y"),
            ("/a/b", "/n", "/n"),
            ("/a/./b|?q", "/a/b%7C/n", "/a/b%7C/n?q"),
            ("/a", "n", "/a"),
            ("/a", "", "/a"),
        ] {
            let mut head = Head::with_capacity(4_096);
            head.page
                .extend_from_slice(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
            let mut request =
                parse::request(&mut head, &RequestLimits::default()).unwrap().unwrap();
            let mut spare = b"left over".to_vec();
            let changed = request
                .set_path(&mut head, &mut spare, |_, out| out.extend_from_slice(new.as_bytes()));
            assert_eq!(changed.is_ok(), new.starts_with('/'));
            assert_eq!(request.target(&head), expected.as_bytes());
            let path = expected.split('?').next().unwrap();
            assert_eq!(request.path(&head), path.as_bytes());
        }
    }
}
