//! Answers of our own: what a client gets when no upstream's answer reaches it.
//!
//! Where nobody has said what the body is, it is a problem document (RFC 9457): `type`, `title`, which is the status's standard
//! phrase, `status`, and where there is more to say, `detail`. Nothing of the request is repeated in it.

use bytes::BytesMut;

use crate::http::encode::{Persistence, put_number, status_digits};

/// An answer of our own.
#[derive(Debug)]
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// Its body; `None`: a problem document about the status.
    pub body: Option<&'a [u8]>,
    /// What a problem document says in words, if anything: nothing that JSON would escape.
    pub detail: &'static str,
    /// The request's id, if one is known.
    pub request_id: &'a [u8],
    /// Whether the request was a HEAD: then the body is only described.
    pub to_head: bool,
    /// What is said about the connection.
    pub persistence: Persistence,
}

/// Writes the answer, head and body. `lines` writes the header lines that it has beside ours, each by [`line`].
pub fn write(
    out: &mut BytesMut,
    answer: &Answer<'_>,
    date: &[u8; 29],
    lines: impl FnOnce(&mut BytesMut),
) {
    let title = phrase(answer.status).as_bytes();
    let digits = status_digits(answer.status);
    [b"HTTP/1.1 ", &digits[..], b" ", title, b"\r\n"]
        .into_iter()
        .for_each(|piece| out.extend_from_slice(piece));
    line(out, b"Date", date);
    let problem = [
        &br#"{"type":"about:blank","title":""#[..],
        title,
        br#"","status":"#,
        &digits,
        if answer.detail.is_empty() { b"" } else { br#","detail":""# },
        answer.detail.as_bytes(),
        if answer.detail.is_empty() { b"}\n" } else { b"\"}\n" },
    ];
    let own = [answer.body.unwrap_or_default()];
    let body = match (content_of(answer.status), answer.body) {
        (Content::Some, None) => {
            line(out, b"Content-Type", b"application/problem+json");
            &problem[..]
        }
        (Content::Some, Some(_)) => &own,
        (Content::Empty | Content::None, _) => &[],
    };
    if content_of(answer.status) != Content::None {
        out.extend_from_slice(b"Content-Length: ");
        put_number(out, body.iter().map(|piece| piece.len() as u64).sum());
        out.extend_from_slice(b"\r\n");
    }
    lines(out);
    if !answer.request_id.is_empty() {
        line(out, b"X-Request-Id", answer.request_id);
    }
    match answer.persistence {
        Persistence::Default => {}
        Persistence::KeepAlive => line(out, b"Connection", b"keep-alive"),
        Persistence::Close => line(out, b"Connection", b"close"),
    }
    out.extend_from_slice(b"\r\n");
    if !answer.to_head {
        body.iter().for_each(|piece| out.extend_from_slice(piece));
    }
}

/// Writes a header line.
pub fn line(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    [name, b": ", value, b"\r\n"].into_iter().for_each(|piece| out.extend_from_slice(piece));
}

/// What a status lets stand behind the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// A body.
    Some,
    /// A body of no bytes, which says so (RFC 9110 §15.3.6).
    Empty,
    /// No body, and no word about its length (RFC 9110 §15.3.5, §15.4.5).
    None,
}

fn content_of(status: u16) -> Content {
    match status {
        204 | 304 => Content::None,
        205 => Content::Empty,
        _ => Content::Some,
    }
}

/// The standard phrase of a status (IANA's registry of HTTP status codes).
pub fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        208 => "Already Reported",
        226 => "IM Used",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        _ => "Unassigned",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

    fn written(answer: &Answer<'_>) -> (String, String) {
        let mut out = BytesMut::new();
        write(&mut out, answer, DATE, |out| line(out, b"Retry-After", b"1"));
        let text = String::from_utf8(out.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    const PLAIN: Answer<'static> = Answer {
        status: 503,
        body: None,
        detail: "",
        request_id: b"id-1",
        to_head: false,
        persistence: Persistence::Close,
    };

    #[test]
    fn an_answer_states_its_length() {
        let (head, body) = written(&PLAIN);
        let length = body.len();
        assert_eq!(
            head,
            format!(
                "HTTP/1.1 503 Service Unavailable\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
                 Content-Type: application/problem+json\r\nContent-Length: {length}\r\n\
                 Retry-After: 1\r\nX-Request-Id: id-1\r\nConnection: close"
            )
        );
        assert_eq!(
            body,
            "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503}\n"
        );
    }

    /// RFC 9457 §3.1.4.
    #[test]
    fn a_detail_is_a_member() {
        let (_, body) = written(&Answer { detail: "no key", ..PLAIN });
        let expected = r#"{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"no key"}"#;
        assert_eq!(body.trim_end(), expected);
    }

    /// RFC 9110 §9.3.2, §15.3.5, §15.3.6, §15.4.5.
    #[test]
    fn what_stands_behind_a_head() {
        for (status, to_head, length, expected) in [
            (200, false, Some(5), "hello"),
            (200, true, Some(5), ""),
            (299, false, Some(5), "hello"),
            (204, false, None, ""),
            (304, false, None, ""),
            (205, false, Some(0), ""),
        ] {
            let (head, body) = written(&Answer { status, to_head, body: Some(b"hello"), ..PLAIN });
            let said = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            assert_eq!(said.map(str::to_owned), length.map(|length: u32| length.to_string()));
            assert_eq!(body, expected, "{status}");
            assert!(!head.contains("Content-Type"), "{head}");
        }
    }
}
