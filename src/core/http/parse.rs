//! Reading heads: httparse finds the pieces (this is its door), our own pass behind it checks what it lets through.
//!
//! httparse 1.10 takes bare LF line ends, leading bare LFs, `#`, `\`, `"<>` and raw UTF-8 in targets, and does no check of
//! `Host`, `Content-Length` or `Transfer-Encoding`. So after it every byte of the head is accounted for (`fields.rs`), and
//! the target and host are brought into normal form (`target.rs`). A head that passes holds nothing that a strict reader of
//! RFC 9112 would read in another way.

use std::mem::MaybeUninit;

use httparse::Status;

use crate::base::limits;
use crate::http::fields;
use crate::http::framing::{self, BodyIn, FramingFault, LengthField, Message};
use crate::http::head::{Head, Method, Request, Response, Span};
use crate::http::path::FormFault;
use crate::http::target;

/// Why a request is refused before it is routed. Each has a row in the table of rejects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestFault {
    /// Not a request line and fields as RFC 9112 §2 to §5 has them.
    #[error("malformed request: {0}")]
    Malformed(&'static str),
    /// A version other than HTTP/1.0 and HTTP/1.1.
    #[error("neither HTTP/1.0 nor HTTP/1.1")]
    Version,
    /// The target is longer than [`limits::REQUEST_TARGET_BYTES`].
    #[error("the request target is too long")]
    TargetTooLong,
    /// The head is too long, or has too many fields.
    #[error("the request head is too large")]
    HeadTooLarge,
    /// A method longer than [`limits::METHOD_BYTES`].
    #[error("a method nobody knows")]
    UnknownMethod,
    /// CONNECT or TRACE, which a gateway does not do.
    #[error("a method that is not allowed here")]
    MethodNotAllowed,
    /// The end of the body cannot be told.
    #[error("bad framing: {0}")]
    Framing(#[from] FramingFault),
    /// The host or the target has no normal form.
    #[error("bad target or host: {0}")]
    Form(#[from] FormFault),
    /// No `Host`, or several.
    #[error("not exactly one host")]
    Host,
    /// An `Expect` other than `100-continue`.
    #[error("an expectation other than 100-continue")]
    Expectation,
}

/// Why an upstream's response is refused: 502, and its connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResponseFault {
    /// Not a status line and fields.
    #[error("malformed response: {0}")]
    Malformed(&'static str),
    /// The head is too long, or has too many fields.
    #[error("the response head is too large")]
    HeadTooLarge,
    /// The end of the body cannot be told.
    #[error("bad framing: {0}")]
    Framing(#[from] FramingFault),
}

/// The most a request's head may measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// The head with its request line, in bytes.
    pub head_bytes: usize,
    /// The target, in bytes.
    pub target_bytes: usize,
    /// The number of fields, at most [`limits::REQUEST_FIELDS`].
    pub fields: usize,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            head_bytes: limits::REQUEST_HEAD_BYTES,
            target_bytes: limits::REQUEST_TARGET_BYTES,
            fields: limits::REQUEST_FIELDS,
        }
    }
}

/// Reads a request's head from the front of the page. `None`: not all of it is there.
///
/// The host is brought to lower case in place; a target that is not in normal form gets one in the side buffer.
pub fn request(head: &mut Head, most: &RequestLimits) -> Result<Option<Request>, RequestFault> {
    use RequestFault::Malformed;

    let Some(start) = skip_empty_lines(&head.page)? else { return Ok(None) };
    let mut slots = [const { MaybeUninit::uninit() }; limits::REQUEST_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let bytes = &head.page[start..];
    let end = match parsed.parse_with_uninit_headers(bytes, &mut slots[..most.fields]) {
        Ok(Status::Complete(length)) => start + length,
        Ok(Status::Partial) => return partial_request(bytes, most).map(|()| None),
        Err(httparse::Error::TooManyHeaders) => return Err(RequestFault::HeadTooLarge),
        Err(error) => return Err(request_line_fault(error, bytes, most)),
    };
    // Spans are 16 bits: a head behind empty lines must still end within the largest page.
    if end - start > most.head_bytes || end > limits::PAGE_LARGE_BYTES {
        return Err(RequestFault::HeadTooLarge);
    }
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(Malformed("request line"));
    };
    if method.len() > limits::METHOD_BYTES {
        return Err(RequestFault::UnknownMethod);
    }
    if target.len() > most.target_bytes {
        return Err(RequestFault::TargetTooLong);
    }
    let method_at = Span::new(start..start + method.len());
    let target_at = method_at.range().end + 1..method_at.range().end + 1 + target.len();
    let (method, http10) = (Method::of(method.as_bytes()), version == 0);
    let line_end = target_at.end + " HTTP/1.1".len();
    let facts = fields::check(&head.page[..end], line_end, pairs(parsed.headers), &mut head.fields)
        .map_err(Malformed)?;
    if facts.connection_names_fields {
        fields::drop_named(head).map_err(Malformed)?;
    }
    let body = framing::body_of(Message::Request { http10 }, facts.framing)?;
    if facts.bad_expectation {
        return Err(RequestFault::Expectation);
    }
    let form = target::normal_form(head, method, target_at, http10)?;
    Ok(Some(Request {
        method,
        method_at,
        http10,
        target: form.target,
        path_len: form.path_len,
        host: form.host,
        port: form.port,
        head_len: end,
        body,
        keep_alive: facts.keep_alive(http10),
        expects_continue: facts.expects_continue && !http10 && body != BodyIn::None,
        upgrades: facts.upgrades(http10) && body == BodyIn::None,
        wants_trailers: facts.wants_trailers && !http10,
        has_via: facts.has_via,
        max_forwards: facts.max_forwards(method).map_err(Malformed)?,
    }))
}

/// Reads a response's head from the front of the page. `None`: not all of it is there.
pub fn response(head: &mut Head, to_head: bool) -> Result<Option<Response>, ResponseFault> {
    use ResponseFault::Malformed;

    let mut slots = [const { MaybeUninit::uninit() }; limits::RESPONSE_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let bytes = &head.page[..];
    let end = match config.parse_response_with_uninit_headers(&mut parsed, bytes, &mut slots) {
        Ok(Status::Complete(length)) if length > limits::RESPONSE_HEAD_BYTES => {
            return Err(ResponseFault::HeadTooLarge);
        }
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) if bytes.len() >= limits::RESPONSE_HEAD_BYTES => {
            return Err(ResponseFault::HeadTooLarge);
        }
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(ResponseFault::HeadTooLarge),
        Err(_) => return Err(Malformed("status line or field")),
    };
    let (Some(status), Some(version)) = (parsed.code, parsed.version) else {
        return Err(Malformed("status line"));
    };
    if !(100..=599).contains(&status) || !bytes.starts_with(b"HTTP/1.") {
        return Err(Malformed("status line"));
    }
    let http10 = version == 0;
    let code_end = "HTTP/1.1 200".len();
    let line_end = bytes.iter().position(|byte| *byte == b'\r').ok_or(Malformed("line end"))?;
    let reason = Span::new((code_end + 1).min(line_end)..line_end);
    let facts = fields::check(&head.page[..end], line_end, pairs(parsed.headers), &mut head.fields)
        .map_err(Malformed)?;
    if facts.connection_names_fields {
        fields::drop_named(head).map_err(Malformed)?;
    }
    let body = framing::body_of(Message::Response { http10, status, to_head }, facts.framing)?;
    let stated_length = match facts.framing.length {
        // RFC 9110 §8.6: none in 1xx and 204.
        LengthField::Plain(length) if !matches!(status, 100..200 | 204) => Some(length),
        LengthField::Plain(_) | LengthField::Absent | LengthField::Bad => None,
    };
    let keep_alive = facts.keep_alive(http10) && body != BodyIn::Close;
    Ok(Some(Response {
        status,
        reason,
        http10,
        head_len: end,
        body,
        stated_length,
        keep_alive,
        has_date: facts.has_date,
        upgrades: facts.upgrades(http10),
        offers: facts.offers(),
    }))
}

/// What httparse found, without its types.
fn pairs<'p>(headers: &'p [httparse::Header<'p>]) -> impl Iterator<Item = (&'p str, &'p [u8])> {
    headers.iter().map(|header| (header.name, header.value))
}

/// Where the request line begins, behind at most a few empty lines; `None` if that cannot be told yet.
fn skip_empty_lines(page: &[u8]) -> Result<Option<usize>, RequestFault> {
    let mut start = 0;
    loop {
        match &page[start..] {
            [] | [b'\r'] => return Ok(None),
            [b'\r', b'\n', ..] if start < 2 * limits::LEADING_EMPTY_LINES => start += 2,
            [b'\r' | b'\n', ..] => return Err(RequestFault::Malformed("empty lines")),
            _ => return Ok(Some(start)),
        }
    }
}

/// Whether an unfinished request is too long already, or can never become one: httparse takes a bare LF as a line end,
/// and the pass behind it sees whole heads only.
fn partial_request(bytes: &[u8], most: &RequestLimits) -> Result<(), RequestFault> {
    let bare = |(at, byte): (usize, &u8)| *byte == b'\n' && (at == 0 || bytes[at - 1] != b'\r');
    if bytes.iter().enumerate().any(bare) {
        return Err(RequestFault::Malformed("line end"));
    }
    if !bytes.contains(&b'\n') {
        match bytes.iter().position(|byte| *byte == b' ') {
            None if bytes.len() > limits::METHOD_BYTES => return Err(RequestFault::UnknownMethod),
            Some(method) if bytes.len() - method > most.target_bytes + " HTTP/1.1\r\n".len() => {
                return Err(RequestFault::TargetTooLong);
            }
            _ => {}
        }
    }
    if bytes.len() >= most.head_bytes { Err(RequestFault::HeadTooLarge) } else { Ok(()) }
}

/// What httparse's error means to the client.
fn request_line_fault(error: httparse::Error, bytes: &[u8], most: &RequestLimits) -> RequestFault {
    match error {
        httparse::Error::Version if names_a_version(bytes) => RequestFault::Version,
        httparse::Error::Version => RequestFault::Malformed("version"),
        httparse::Error::HeaderName => RequestFault::Malformed("field name"),
        httparse::Error::HeaderValue => RequestFault::Malformed("field value"),
        httparse::Error::NewLine => RequestFault::Malformed("line end"),
        httparse::Error::Token | httparse::Error::Status | httparse::Error::TooManyHeaders => {
            match partial_request(bytes, most) {
                Err(fault @ RequestFault::TargetTooLong) => fault,
                _ => RequestFault::Malformed("request line"),
            }
        }
    }
}

/// Whether the third word of the line is `HTTP/` and something: else it is a target with a space in it.
fn names_a_version(line: &[u8]) -> bool {
    line.splitn(3, |byte| *byte == b' ').nth(2).is_some_and(|word| word.starts_with(b"HTTP/"))
}

#[cfg(test)]
mod tests;
