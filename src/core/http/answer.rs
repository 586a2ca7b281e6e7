//! Answers of our own: what a client gets when no upstream's answer reaches it.
//!
//! The body is a problem document (RFC 9457) of three members; its `title` is the status's standard phrase. Nothing of the
//! request is repeated in it.

use bytes::BytesMut;

use crate::http::encode::{Persistence, put_number, status_digits};

/// An answer of our own.
#[derive(Debug)]
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// A header line to add, without line end, such as `Retry-After: 1`.
    pub extra: Option<&'static str>,
    /// The request's id, if one is known.
    pub request_id: &'a [u8],
    /// A stable token for the header `x-coregate-reason`, where reasons are exposed.
    pub reason: Option<&'static str>,
    /// Whether the request was a HEAD: then the body is only described.
    pub to_head: bool,
    /// What is said about the connection.
    pub persistence: Persistence,
}

/// Writes the answer, head and body.
pub fn write(out: &mut BytesMut, answer: &Answer<'_>, date: &[u8; 29]) {
    let title = phrase(answer.status);
    let digits = status_digits(answer.status);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(&digits);
    out.extend_from_slice(b" ");
    out.extend_from_slice(title.as_bytes());
    out.extend_from_slice(b"\r\nDate: ");
    out.extend_from_slice(date);
    let body = [
        &br#"{"type":"about:blank","title":""#[..],
        title.as_bytes(),
        br#"","status":"#,
        &digits,
        b"}\n",
    ];
    // RFC 9110 §15.3.5: a 204 has no body, and says no length.
    let bare = answer.status == 204;
    if !bare {
        out.extend_from_slice(b"\r\nContent-Type: application/problem+json\r\nContent-Length: ");
        put_number(out, body.iter().map(|piece| piece.len() as u64).sum());
    }
    if let Some(line) = answer.extra {
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(line.as_bytes());
    }
    if let Some(reason) = answer.reason {
        out.extend_from_slice(b"\r\nX-Coregate-Reason: ");
        out.extend_from_slice(reason.as_bytes());
    }
    if !answer.request_id.is_empty() {
        out.extend_from_slice(b"\r\nX-Request-Id: ");
        out.extend_from_slice(answer.request_id);
    }
    out.extend_from_slice(match answer.persistence {
        Persistence::Default => b"\r\n\r\n",
        Persistence::KeepAlive => b"\r\nConnection: keep-alive\r\n\r\n",
        Persistence::Close => b"\r\nConnection: close\r\n\r\n",
    });
    if !answer.to_head && !bare {
        body.iter().for_each(|piece| out.extend_from_slice(piece));
    }
}

/// The standard phrase of the statuses that the gateway itself answers with (RFC 9110 §15; RFC 6585).
pub fn phrase(status: u16) -> &'static str {
    match status {
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        508 => "Loop Detected",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_states_its_length() {
        let mut out = BytesMut::new();
        let answer = Answer {
            status: 503,
            extra: Some("Retry-After: 1"),
            request_id: b"id-1",
            reason: Some("no_healthy_instance"),
            to_head: false,
            persistence: Persistence::Close,
        };
        write(&mut out, &answer, b"Sun, 06 Nov 1994 08:49:37 GMT");
        let text = String::from_utf8(out.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{text}");
        assert!(head.ends_with("\r\nConnection: close"));
        assert_eq!(
            body,
            "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503}\n"
        );
    }
}
