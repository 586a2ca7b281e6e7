//! How a message's body ends: exactly one function for all roles.
//!
//! RFC 9112 §6.3, with our stricter choices (a message that could be read in two ways is refused, never repaired):
//!
//! | message | rule | body |
//! |---|---|---|
//! | response to HEAD, 1xx, 204, 304 | no body, whatever the fields say | none |
//! | any, `Transfer-Encoding` and `Content-Length` | could be smuggling | fault |
//! | any, `Transfer-Encoding` other than exactly `chunked` once | we could not tell where it ends | fault |
//! | HTTP/1.0 with `Transfer-Encoding` | the sender cannot know it | fault |
//! | any, `Transfer-Encoding: chunked` | | chunked |
//! | any, more than one `Content-Length` field or element, or one that is no plain number | | fault |
//! | any, one `Content-Length` | | that many bytes |
//! | request, neither | never ended by close | none |
//! | response, neither | | ends when the connection does |

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyIn {
    /// There is none.
    None,
    /// After this many bytes; more than zero.
    Length(u64),
    /// With the last chunk and its trailers.
    Chunked,
    /// With its connection; responses only.
    Close,
}

/// What a head says about its body, gathered while it is parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FramingFields {
    /// What the `Content-Length` fields say.
    pub length: LengthField,
    /// What the `Transfer-Encoding` fields say.
    pub coding: CodingField,
}

/// What the `Content-Length` fields of a head say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LengthField {
    /// There is none.
    #[default]
    Absent,
    /// There is one, a plain number.
    Plain(u64),
    /// There are several, or it is no plain number below 2^63.
    Bad,
}

/// What the `Transfer-Encoding` fields of a head say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CodingField {
    /// There is none.
    #[default]
    Absent,
    /// There is one, and it is `chunked`.
    Chunked,
    /// Anything else.
    Other,
}

impl FramingFields {
    /// Notes a `Content-Length` field.
    pub fn add_length(&mut self, value: &[u8]) {
        self.length = match (self.length, plain_number(value)) {
            (LengthField::Absent, Some(length)) => LengthField::Plain(length),
            _ => LengthField::Bad,
        };
    }

    /// Notes a `Transfer-Encoding` field.
    pub fn add_coding(&mut self, value: &[u8]) {
        let chunked = value.eq_ignore_ascii_case(b"chunked");
        self.coding = match (self.coding, chunked) {
            (CodingField::Absent, true) => CodingField::Chunked,
            _ => CodingField::Other,
        };
    }
}

/// Only digits, at least one, at most eighteen: `1*DIGIT` (RFC 9110 §8.6) without what cannot be a body.
pub fn plain_number(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(value.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// Whose message it is, and what of its start line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request {
        /// Whether its version is HTTP/1.0.
        http10: bool,
    },
    /// A response.
    Response {
        /// Whether its version is HTTP/1.0.
        http10: bool,
        /// Its status.
        status: u16,
        /// Whether the request it answers was a HEAD.
        to_head: bool,
    },
}

/// Why a message's end cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingFault {
    /// Both `Content-Length` and `Transfer-Encoding`.
    #[error("both content-length and transfer-encoding")]
    Both,
    /// A `Content-Length` that is not one plain number.
    #[error("content-length is not one plain number")]
    BadLength,
    /// A `Transfer-Encoding` other than `chunked`.
    #[error("transfer-encoding is not exactly chunked")]
    UnknownCoding,
    /// A `Transfer-Encoding` in an HTTP/1.0 message.
    #[error("transfer-encoding in HTTP/1.0")]
    CodingIn10,
}

/// How the body of `message` ends, by the table above.
pub fn body_of(message: Message, fields: FramingFields) -> Result<BodyIn, FramingFault> {
    let (http10, response) = match message {
        Message::Request { http10 } => (http10, false),
        Message::Response { status: 100..200 | 204 | 304, .. }
        | Message::Response { to_head: true, .. } => return Ok(BodyIn::None),
        Message::Response { http10, .. } => (http10, true),
    };
    match (fields.coding, fields.length) {
        (CodingField::Absent, LengthField::Absent) if response => Ok(BodyIn::Close),
        (CodingField::Absent, LengthField::Absent | LengthField::Plain(0)) => Ok(BodyIn::None),
        (CodingField::Absent, LengthField::Plain(length)) => Ok(BodyIn::Length(length)),
        (CodingField::Absent, LengthField::Bad) => Err(FramingFault::BadLength),
        (_, LengthField::Plain(_) | LengthField::Bad) => Err(FramingFault::Both),
        (CodingField::Other, LengthField::Absent) => Err(FramingFault::UnknownCoding),
        (CodingField::Chunked, LengthField::Absent) if http10 => Err(FramingFault::CodingIn10),
        (CodingField::Chunked, LengthField::Absent) => Ok(BodyIn::Chunked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: Message = Message::Request { http10: false };
    const OLD_REQUEST: Message = Message::Request { http10: true };
    const RESPONSE: Message = Message::Response { http10: false, status: 200, to_head: false };
    const OLD_RESPONSE: Message = Message::Response { http10: true, status: 200, to_head: false };

    #[track_caller]
    fn check(
        message: Message,
        lengths: &[&str],
        codings: &[&str],
        expected: Result<BodyIn, FramingFault>,
    ) {
        let mut fields = FramingFields::default();
        lengths.iter().for_each(|value| fields.add_length(value.as_bytes()));
        codings.iter().for_each(|value| fields.add_coding(value.as_bytes()));
        assert_eq!(body_of(message, fields), expected, "{message:?} {lengths:?} {codings:?}");
    }

    #[test]
    fn rfc_9112_6_3() {
        use BodyIn::*;
        use FramingFault::*;
        check(REQUEST, &[], &[], Ok(None));
        check(OLD_REQUEST, &[], &[], Ok(None));
        check(RESPONSE, &[], &[], Ok(Close));
        check(REQUEST, &["5"], &[], Ok(Length(5)));
        check(REQUEST, &["0"], &[], Ok(None));
        check(RESPONSE, &["0"], &[], Ok(None));
        check(REQUEST, &[], &["Chunked"], Ok(Chunked));
        check(REQUEST, &["5"], &["chunked"], Err(Both));
        check(RESPONSE, &["x"], &["chunked"], Err(Both));
        check(OLD_REQUEST, &[], &["chunked"], Err(CodingIn10));
        check(OLD_RESPONSE, &[], &["chunked"], Err(CodingIn10));
        for bad in ["", "+5", "-1", "0x5", "5, 5", "5abc", "1_0", " 5", "18446744073709551621"] {
            check(REQUEST, &[bad], &[], Err(BadLength));
            check(RESPONSE, &[bad], &[], Err(BadLength));
        }
        check(REQUEST, &["5", "5"], &[], Err(BadLength));
        for bad in
            ["identity", "gzip, chunked", "chunked, chunked", "xchunked", ",chunked", "\"chunked\""]
        {
            check(REQUEST, &[], &[bad], Err(UnknownCoding));
        }
        check(REQUEST, &[], &["chunked", "chunked"], Err(UnknownCoding));
        for status in [100, 101, 204, 304] {
            let message = Message::Response { http10: false, status, to_head: false };
            check(message, &["5"], &["chunked"], Ok(None));
        }
        check(
            Message::Response { http10: false, status: 200, to_head: true },
            &["5"],
            &[],
            Ok(None),
        );
    }
}
