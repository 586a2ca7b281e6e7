//! Finds where HTTP/1.1 messages end: `CRLF CRLF`, then `content-length` bytes.
//!
//! It parses nothing else. A message with a transfer coding is an error here, answers to HEAD are
//! not understood: the programs of this package neither send nor need them.

use memchr::{memchr_iter, memmem};
use thiserror::Error;

/// A head longer than this is an error.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Why the end of a message cannot be found.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FrameError {
    /// No `CRLF CRLF` within [`HEAD_BYTES_MAX`].
    #[error("a head longer than {HEAD_BYTES_MAX} bytes")]
    HeadTooLong,
    /// `content-length` is no number, or stands there twice.
    #[error("a content-length that is no number or not alone")]
    Length,
    /// A transfer coding, which this finder does not read.
    #[error("a transfer coding, which is not supported")]
    Coding,
}

/// Follows the bytes of one direction of one connection.
///
/// ```text
///   Head --CRLF CRLF, length 0--> Head (a message ended)
///   Head --CRLF CRLF, length n--> Body(n) --n bytes--> Head (a message ended)
/// ```
/// A head that arrives whole is read where it lies; only a split one is copied.
#[derive(Debug, Default)]
pub struct Framer {
    body_left: u64,
    carry: Vec<u8>,
}

impl Framer {
    /// Takes the next bytes and returns how many messages they end. `on_head` sees every whole
    /// head. After an error the framer is of no further use.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        mut on_head: impl FnMut(&[u8]),
    ) -> Result<u32, FrameError> {
        let mut ended = 0;
        while !bytes.is_empty() {
            if self.body_left > 0 {
                let taken = bytes.len().min(usize::try_from(self.body_left).unwrap_or(usize::MAX));
                self.body_left -= taken as u64;
                bytes = &bytes[taken..];
                ended += u32::from(self.body_left == 0);
                continue;
            }
            let (taken, head) = self.next_head(bytes)?;
            bytes = &bytes[taken..];
            let Some(head) = head else { break };
            let head = match head {
                Found::InPlace(head) => head,
                Found::Carried => &self.carry[..],
            };
            let body = body_of(head)?;
            on_head(head);
            self.carry.clear();
            match body {
                Body::Interim => {}
                Body::Length(0) => ended += 1,
                Body::Length(left) => self.body_left = left,
            }
        }
        Ok(ended)
    }

    /// Whether the bytes so far end exactly where a message does.
    pub fn is_between(&self) -> bool {
        self.body_left == 0 && self.carry.is_empty()
    }

    /// Forgets a message begun, for a connection that starts anew.
    pub fn reset(&mut self) {
        self.body_left = 0;
        self.carry.clear();
    }

    fn next_head<'a>(&mut self, bytes: &'a [u8]) -> Result<(usize, Option<Found<'a>>), FrameError> {
        if self.carry.is_empty()
            && let Some(at) = memmem::find(bytes, b"\r\n\r\n")
        {
            return Ok((at + 4, Some(Found::InPlace(&bytes[..at + 4]))));
        }
        let before = self.carry.len();
        self.carry.extend_from_slice(bytes);
        let from = before.saturating_sub(3);
        match memmem::find(&self.carry[from..], b"\r\n\r\n") {
            Some(at) => {
                let end = from + at + 4;
                self.carry.truncate(end);
                Ok((end - before, Some(Found::Carried)))
            }
            None if self.carry.len() > HEAD_BYTES_MAX => Err(FrameError::HeadTooLong),
            None => Ok((bytes.len(), None)),
        }
    }
}

/// The status of a response head, or `None` where there is none.
pub fn status_of(head: &[u8]) -> Option<u16> {
    let digits = head.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The value of the first header of this name (lower case), without the spaces around it.
pub fn header_of<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    lines_of(head).find_map(|line| value_of(line, name))
}

enum Found<'a> {
    InPlace(&'a [u8]),
    Carried,
}

enum Body {
    /// A 1xx: the message goes on with another head.
    Interim,
    Length(u64),
}

fn body_of(head: &[u8]) -> Result<Body, FrameError> {
    let mut length = None;
    for line in lines_of(head) {
        // Most lines are dismissed by their first byte.
        match line.first() {
            Some(b'c' | b'C') => {
                let Some(value) = value_of(line, b"content-length") else { continue };
                if length.replace(number(value)?).is_some() {
                    return Err(FrameError::Length);
                }
            }
            Some(b't' | b'T') if value_of(line, b"transfer-encoding").is_some() => {
                return Err(FrameError::Coding);
            }
            _ => {}
        }
    }
    Ok(match status_of(head) {
        Some(100..=199) => Body::Interim,
        Some(204 | 304) => Body::Length(0),
        _ => Body::Length(length.unwrap_or(0)),
    })
}

/// The header lines, without the first line, each without its CRLF.
fn lines_of(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut from = 0;
    memchr_iter(b'\n', head)
        .map(move |at| {
            let line = &head[from..at];
            from = at + 1;
            line.strip_suffix(b"\r").unwrap_or(line)
        })
        .skip(1)
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    if !start.eq_ignore_ascii_case(name) {
        return None;
    }
    Some(rest.strip_prefix(b":")?.trim_ascii())
}

fn number(value: &[u8]) -> Result<u64, FrameError> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(FrameError::Length);
    }
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or(FrameError::Length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the input whole, then in pieces of every size: the count must not depend on it.
    fn check(input: &str, expected: Result<(u32, bool), FrameError>) {
        for size in 1..=input.len() {
            let mut framer = Framer::default();
            let mut ended = 0;
            let mut heads = 0;
            let fed = input.as_bytes().chunks(size).try_for_each(|piece| {
                ended += framer.feed(piece, |_| heads += 1)?;
                Ok(())
            });
            let got = fed.map(|()| (ended, framer.is_between()));
            assert_eq!(got, expected, "in pieces of {size} bytes: {input:?}");
            if got.is_ok() {
                assert!(heads >= ended, "every message has a head");
            }
        }
    }

    #[test]
    fn message_ends() {
        check("GET / HTTP/1.1\r\nhost: a\r\n\r\n", Ok((1, true)));
        check("GET / HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n", Ok((2, true)));
        check("GET / HTTP/1.1\r\nhost: a\r\n\r", Ok((0, false)));
        check("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", Ok((1, true)));
        check("POST / HTTP/1.1\r\ncontent-length:5 \r\n\r\nhell", Ok((0, false)));
        check("POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\n\r\n\r\nGET / H\r\n\r\n", Ok((2, true)));
        check("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", Ok((1, true)));
        check("HTTP/1.1 204 No\r\n\r\nHTTP/1.1 304 N\r\ncontent-length: 9\r\n\r\n", Ok((2, true)));
        check("HTTP/1.1 100 Continue\r\n\r\n", Ok((0, true)));
        check("GET / HTTP/1.1\r\nx-content-length: 5\r\n\r\n", Ok((1, true)));
    }

    #[test]
    fn what_cannot_be_framed() {
        check("A\r\ntransfer-encoding: chunked\r\n\r\n", Err(FrameError::Coding));
        check("A\r\ncontent-length: -1\r\n\r\n", Err(FrameError::Length));
        check("A\r\ncontent-length: \r\n\r\n", Err(FrameError::Length));
        check("A\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nx", Err(FrameError::Length));
        let long = "x".repeat(HEAD_BYTES_MAX + 1);
        assert_eq!(Framer::default().feed(long.as_bytes(), |_| {}), Err(FrameError::HeadTooLong));
    }

    #[test]
    fn parts_of_a_head() {
        let head = b"HTTP/1.1 404 Not Found\r\nServer: a\r\nContent-Length:  12\r\n\r\n";
        assert_eq!(status_of(head), Some(404));
        assert_eq!(header_of(head, b"content-length"), Some(&b"12"[..]));
        assert_eq!(header_of(head, b"date"), None);
        assert_eq!(status_of(b"GET / HTTP/1.1\r\n\r\n"), None);
    }
}
