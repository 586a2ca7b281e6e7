//! Heads: whatever parses is written anew, and the strict parser must find the same message in it.

use bytes::BytesMut;
use coregate_core::base::limits;
use coregate_core::http::encode::{self, BodyOut, Persistence, RequestExtras, ResponseExtras};
use coregate_core::http::framing::{BodyIn, FramingFault};
use coregate_core::http::head::{Head, Request, Response};
use coregate_core::http::hop::Role;
use coregate_core::http::parse::{self, RequestFault, RequestLimits};
use coregate_strict::{Fault, Framing, Reader};

use crate::shown;

const EXTRAS: RequestExtras<'static> = RequestExtras {
    client: b"10.0.0.9",
    instance: b"10.1.1.1:9000",
    scheme: b"http",
    request_id: b"id-1",
    via: b"coregate",
    consumer: b"",
};
const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

fn page(data: &[u8]) -> Head {
    let mut head = Head::with_capacity(limits::PAGE_SMALL_BYTES);
    head.page.extend_from_slice(data);
    head
}

/// A request's head, and whatever stands behind it.
pub fn request_head(data: &[u8]) {
    let most = RequestLimits::default();
    let mut head = page(data);
    match parse::request(&mut head, &most) {
        Ok(Some(request)) => {
            same_request(data, &head, &request);
            // A head that comes in pieces is not refused before its end.
            let cut = data.len() * 7 % request.head_len;
            let early = parse::request(&mut page(&data[..cut]), &most);
            assert!(matches!(early, Ok(None)), "{early:?} at {cut} of {}", shown(data));
        }
        Ok(None) => {
            let start = data.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(data.len());
            let whole = data[start..].windows(4).any(|four| four == b"\r\n\r\n");
            assert!(!whole && data.len() < limits::PAGE_LARGE_BYTES, "waits: {}", shown(data));
        }
        Err(fault) => refused_rightly(data, fault),
    }
}

fn same_request(data: &[u8], head: &Head, request: &Request) {
    let mut out = BytesMut::new();
    encode::request(&mut out, head, request, &EXTRAS);
    let mut reader = Reader::new(&out[..]);
    let seen = reader.request_head().unwrap_or_else(|fault| {
        panic!("{fault}: {} from {}", shown(&out), shown(data));
    });
    assert!(reader.buffered().is_empty(), "behind the head: {}", shown(&out));
    assert_eq!(seen.method.as_bytes(), head.bytes(request.method_at));
    assert_eq!(seen.target.as_bytes(), request.target(head));
    let framing = match seen.framing {
        Framing::None | Framing::Length(0) => BodyIn::None,
        Framing::Length(length) => BodyIn::Length(length),
        Framing::Chunked => BodyIn::Chunked,
        Framing::Close => BodyIn::Close,
    };
    assert_eq!(framing, request.body, "{}", shown(data));
    let host = String::from_utf8(request.host(head).to_vec()).unwrap();
    let expected = match (host.is_empty(), request.port) {
        (true, _) => "10.1.1.1:9000".to_owned(),
        (false, None) => host,
        (false, Some(port)) => format!("{host}:{port}"),
    };
    assert_eq!(seen.head.get("host"), Some(&expected[..]), "{}", shown(data));
    for name in ["x-forwarded-for", "x-forwarded-proto", "x-request-id"] {
        assert_eq!(seen.head.all(name).count(), 1, "{name}: {}", shown(&out));
    }
    same_fields(head, &seen.head.fields, &out);
}

/// Every field that is meant for the other end is there, in order, as it was.
fn same_fields(head: &Head, seen: &[(String, String)], out: &[u8]) {
    let mut seen = seen.iter();
    for field in head.fields.iter().filter(|field| field.role == Role::EndToEnd) {
        let name = coregate_strict::latin1(head.bytes(field.name));
        let value = coregate_strict::latin1(head.bytes(field.value));
        let found = seen.any(|(own, its)| *own == name && *its == value);
        assert!(found, "{name}: {value} is missing in {}", shown(out));
    }
}

/// What a careful sender writes is not refused, unless it is too much or something that we do not do.
fn refused_rightly(data: &[u8], fault: RequestFault) {
    let refusal = match fault {
        // Well-formed, but nothing that could be counted down.
        RequestFault::Malformed("max-forwards") => false,
        RequestFault::Malformed(_) | RequestFault::Version | RequestFault::Host => true,
        // Ours are numbers of at most eighteen digits.
        RequestFault::Framing(FramingFault::BadLength) => false,
        RequestFault::Framing(_) => true,
        RequestFault::TargetTooLong
        | RequestFault::HeadTooLarge
        | RequestFault::UnknownMethod
        | RequestFault::MethodNotAllowed
        | RequestFault::Form(_)
        | RequestFault::Expectation => false,
    };
    if refusal {
        let seen = Reader::new(data).request_head();
        assert!(seen.is_err(), "{fault}: {}", shown(data));
    }
}

/// The first byte says what was asked and by whom; then a response's head, and whatever stands behind it.
pub fn response_head(data: &[u8]) {
    let Some((&flags, data)) = data.split_first() else { return };
    let (to_head, http10) = (flags & 1 != 0, flags & 2 != 0);
    let mut head = page(data);
    match parse::response(&mut head, to_head) {
        Ok(Some(response)) => {
            same_response(data, &head, &response, to_head, http10);
            let cut = data.len() * 7 % response.head_len;
            let early = parse::response(&mut page(&data[..cut]), to_head);
            assert!(matches!(early, Ok(None)), "{early:?} at {cut} of {}", shown(data));
        }
        Ok(None) => {
            let start = data.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(data.len());
            let whole = data[start..].windows(4).any(|four| four == b"\r\n\r\n");
            assert!(!whole && data.len() < limits::PAGE_LARGE_BYTES, "waits: {}", shown(data));
        }
        Err(_) => {
            let seen = Reader::new(data).response_head(to_head);
            let too_much = |head: &coregate_strict::Head| {
                head.fields.len() > limits::RESPONSE_FIELDS
                    || head.raw.len() > limits::RESPONSE_HEAD_BYTES
                    || head.get("content-length").is_some_and(|length| length.len() > 18)
            };
            let refused = seen.as_ref().map_or(true, |seen| too_much(&seen.head));
            assert!(refused, "{}", shown(data));
        }
    }
}

fn same_response(data: &[u8], head: &Head, response: &Response, to_head: bool, http10: bool) {
    // Nobody asked for a switch of protocols: it goes no further.
    if response.status == 101 {
        return;
    }
    let mut out = BytesMut::new();
    let body = BodyOut::towards(response.body, http10);
    let persistence = match (body, http10) {
        (BodyOut::Close, _) => Persistence::Close,
        (_, true) => Persistence::KeepAlive,
        (_, false) => Persistence::Default,
    };
    match response.status {
        100..200 => encode::interim(&mut out, head, response, b"coregate"),
        _ => {
            let ours = ResponseExtras { date: DATE, via: b"coregate", rate: None };
            encode::response(&mut out, head, response, body, persistence, &ours);
        }
    }
    let mut reader = Reader::new(&out[..]);
    let seen = reader.response_head(to_head).unwrap_or_else(|fault: Fault| {
        panic!("{fault}: {} from {}", shown(&out), shown(data));
    });
    assert!(reader.buffered().is_empty(), "behind the head: {}", shown(&out));
    assert_eq!(seen.status, response.status);
    let reason = coregate_strict::latin1(head.bytes(response.reason));
    assert_eq!(seen.head.start.splitn(3, ' ').nth(2), Some(&reason[..]), "{}", shown(data));
    let framing = match body {
        _ if to_head || matches!(response.status, 100..200 | 204 | 304) => Framing::None,
        BodyOut::None => Framing::Length(0),
        BodyOut::Length(length) => Framing::Length(length),
        BodyOut::Chunked => Framing::Chunked,
        BodyOut::Close => Framing::Close,
    };
    assert_eq!(seen.framing, framing, "{} from {}", shown(&out), shown(data));
    if response.status >= 200 {
        assert_eq!(seen.closes(), persistence == Persistence::Close, "{}", shown(&out));
        assert!(seen.head.has("date"), "{}", shown(&out));
    }
    same_fields(head, &seen.head.fields, &out);
}
