//! What clients are told of a rate, as header fields.
//!
//! | form | fields |
//! |---|---|
//! | plain | `RateLimit-Limit`, `RateLimit-Remaining`, `RateLimit-Reset`: tokens, tokens, seconds |
//! | draft | `RateLimit-Policy: "name";q=200;w=20` and `RateLimit: "name";r=199;t=1` (draft-ietf-httpapi-ratelimit-headers-08 and later) |

use bytes::BytesMut;

use crate::base::limits;
use crate::http::encode::put_number;

/// What is left of a rate. Times are in whole seconds.
#[derive(Debug, Clone, Copy)]
pub struct RateFields<'a> {
    /// The form: `None` for the plain one, else the draft's, with the name of the limit.
    pub name: Option<&'a str>,
    /// The most tokens that there are at once.
    pub limit: u64,
    /// How many are left.
    pub remaining: u64,
    /// The time after which none is missing any more.
    pub reset: u64,
    /// The time in which that many tokens come.
    pub window: u64,
}

impl RateFields<'_> {
    /// Writes the fields.
    #[cold]
    pub fn write(&self, out: &mut BytesMut) {
        let number = |out: &mut BytesMut, before: &[u8], number| {
            out.extend_from_slice(before);
            put_number(out, number);
        };
        match self.name {
            None => {
                number(out, b"RateLimit-Limit: ", self.limit);
                number(out, b"\r\nRateLimit-Remaining: ", self.remaining);
                number(out, b"\r\nRateLimit-Reset: ", self.reset);
            }
            Some(name) => {
                put_name(out, b"RateLimit-Policy: \"", name);
                number(out, b"\";q=", self.limit);
                number(out, b";w=", self.window);
                put_name(out, b"\r\nRateLimit: \"", name);
                number(out, b"\";r=", self.remaining);
                number(out, b";t=", self.reset);
            }
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// The inside of a string (RFC 9651 §3.3.3), which has visible ASCII and spaces alone. The start of a long name is enough.
fn put_name(out: &mut BytesMut, before: &[u8], name: &str) {
    out.extend_from_slice(before);
    for byte in name.bytes().take(limits::RATE_NAME_SHOWN_BYTES) {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => out.extend_from_slice(&[byte]),
            _ => out.extend_from_slice(b"?"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        let written = |name| {
            let mut out = BytesMut::new();
            RateFields { name, limit: 200, remaining: 199, reset: 1, window: 20 }.write(&mut out);
            String::from_utf8(out.to_vec()).unwrap()
        };
        assert_eq!(
            written(None),
            "RateLimit-Limit: 200\r\nRateLimit-Remaining: 199\r\nRateLimit-Reset: 1\r\n"
        );
        assert_eq!(
            written(Some("GET /a\"\\é#1")),
            "RateLimit-Policy: \"GET /a\\\"\\\\??#1\";q=200;w=20\r\nRateLimit: \"GET /a\\\"\\\\??#1\";r=199;t=1\r\n"
        );
        assert!(written(Some(&"\"".repeat(500))).len() < 4 * limits::RATE_NAME_SHOWN_BYTES + 100);
    }
}
