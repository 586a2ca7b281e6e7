//! An answer as a client must read it: whole or not, its body, and whether it announces the end of the connection.

use memchr::memmem;

use crate::frame::{header_of, status_of};

/// A whole answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: &'a [u8],
    /// Whether it says `Connection: close`.
    pub closes: bool,
    /// How many bytes it is long.
    pub length: usize,
}

/// The answer that these bytes begin with, once it is there; an error if it can become none that is understood here: all
/// have a `Content-Length`.
pub fn read(bytes: &[u8]) -> Result<Option<Answer<'_>>, &'static str> {
    let Some(end) = memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4) else {
        return if bytes.len() > 16 * 1024 { Err("a head without an end") } else { Ok(None) };
    };
    let head = &bytes[..end];
    let status = status_of(head).ok_or("no status line")?;
    let length = header_of(head, b"content-length").ok_or("no content-length")?;
    let length = std::str::from_utf8(length).ok().and_then(|text| text.parse::<usize>().ok());
    let length = end + length.ok_or("a content-length that is no number")?;
    let Some(body) = bytes.get(end..length) else { return Ok(None) };
    let closes = header_of(head, b"connection").is_some_and(|value| {
        value.split(|byte| *byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(b"close"))
    });
    Ok(Some(Answer { status, body, closes, length }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_or_not() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x, Close\r\n\r\nokH";
        for end in 0..text.len() - 1 {
            assert_eq!(read(&text[..end]), Ok(None), "{end}");
        }
        let answer = Answer { status: 200, body: b"ok", closes: true, length: text.len() - 1 };
        assert_eq!(read(text), Ok(Some(answer)));
    }

    #[test]
    fn what_is_not_understood() {
        assert!(read(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(read(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n").is_err());
        assert!(read(b"200 OK\r\ncontent-length: 0\r\n\r\n").is_err());
        assert!(read(&[b'x'; 20_000]).is_err());
    }
}
