//! Trailer sections: collected while a chunked body is decoded, and written behind the last chunk of the next hop.
//!
//! A trailer is not a header that comes late: whoever framed, routed or authenticated a message did so before it was
//! there. So fields that would change any of that end here (RFC 9110 §6.5.1), and so do those that the gateway itself says;
//! all others pass, both ways.

use bytes::BytesMut;

use crate::base::limits;
use crate::http::hop::{self, Role};

/// The field lines of a trailer section, as they came; syntax is the chunk decoder's to check.
#[derive(Debug, Default)]
pub struct Trailers {
    lines: Vec<u8>,
    fields: usize,
}

impl Trailers {
    /// Adds a byte of a field line. `false`: the section is larger than [`limits::TRAILER_BYTES`], or has more fields than
    /// [`limits::REQUEST_FIELDS`].
    #[must_use]
    pub(super) fn push(&mut self, byte: u8) -> bool {
        self.lines.push(byte);
        self.fields += usize::from(byte == b'\n');
        self.lines.len() <= limits::TRAILER_BYTES && self.fields <= limits::REQUEST_FIELDS
    }

    /// Writes the lines that may pass, each with its line end, and without the empty line behind them.
    pub fn write(&self, out: &mut BytesMut) {
        for line in self.lines.split_inclusive(|byte| *byte == b'\n') {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if may_pass(name) {
                for piece in [name, b": ", value, b"\r\n"] {
                    out.extend_from_slice(piece);
                }
            }
        }
    }
}

/// RFC 9110 §6.5.1: nothing that frames, routes, authenticates, or controls how a message is processed.
fn may_pass(name: &[u8]) -> bool {
    const NEVER: [&[u8]; 32] = [
        b"accept-ranges",
        b"age",
        b"authentication-info",
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-location",
        b"content-range",
        b"content-type",
        b"cookie",
        b"expires",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"location",
        b"max-forwards",
        b"origin",
        b"pragma",
        b"proxy-authentication-info",
        b"range",
        b"retry-after",
        b"set-cookie",
        b"strict-transport-security",
        b"te",
        b"trailer",
        b"vary",
        b"warning",
        b"www-authenticate",
        b"x-api-key",
        b"x-forwarded-user",
    ];
    hop::role(name) == Role::EndToEnd
        && !name.to_ascii_lowercase().starts_with(b"x-coregate-")
        && !NEVER.iter().any(|never| name.eq_ignore_ascii_case(never))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &str, expected: &str) {
        let mut trailers = Trailers::default();
        assert!(lines.bytes().all(|byte| trailers.push(byte)));
        let mut out = BytesMut::new();
        trailers.write(&mut out);
        assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
    }

    #[test]
    fn rfc_9110_6_5_1() {
        check(
            "grpc-status: 0\r\nServer-Timing:db;dur=1 \r\nX-Empty:\r\n",
            "grpc-status: 0\r\nServer-Timing: db;dur=1\r\nX-Empty: \r\n",
        );
        for never in [
            "Content-Length: 5",
            "transfer-encoding: chunked",
            "HOST: b",
            "Authorization: x",
            "Set-Cookie: a=b",
            "Connection: close",
            "Upgrade: h2c",
            "X-Forwarded-For: 6.6.6.6",
            "Forwarded: for=6",
            "X-Request-Id: 1",
            "X-Coregate-Consumer: root",
            "Expect: 100-continue",
            "Date: x",
            "Via: 1.1 a",
        ] {
            check(&format!("{never}\r\nX-A: 1\r\n"), "X-A: 1\r\n");
        }
    }

    #[test]
    fn bounded() {
        let mut trailers = Trailers::default();
        assert!((0..limits::TRAILER_BYTES).all(|_| trailers.push(b'x')));
        assert!(!trailers.push(b'x'));
        let mut trailers = Trailers::default();
        let mut lines = std::iter::repeat_n(*b"a:\n", limits::REQUEST_FIELDS).flatten();
        assert!(lines.all(|byte| trailers.push(byte)));
        assert!(!b"a:\n".iter().all(|byte| trailers.push(*byte)));
    }
}
