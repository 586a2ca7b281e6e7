//! Heads, good and bad, as data.

use proptest::prelude::*;

use super::*;
use crate::http::framing::FramingFault;
use crate::http::hop::Role;

#[path = "../../../../tests/data/paths/table.rs"]
mod table;

fn head_of(bytes: &[u8]) -> Head {
    let mut head = Head::with_capacity(limits::PAGE_LARGE_BYTES);
    head.page.extend_from_slice(bytes);
    head
}

/// `METHOD host[:port] path|query body keep` of a request, or why it is refused.
fn summary(text: &str) -> Result<Option<String>, RequestFault> {
    let mut head = head_of(text.as_bytes());
    let Some(request) = request(&mut head, &RequestLimits::default())? else {
        return Ok(None);
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let target = text(request.target(&head));
    let (path, query) = target.split_at(request.path_len);
    let port = request.port.map(|port| format!(":{port}")).unwrap_or_default();
    Ok(Some(format!(
        "{:?} {}{port} {path}|{query} {:?} {}",
        request.method,
        text(request.host(&head)),
        request.body,
        if request.keep_alive { "keep" } else { "close" },
    )))
}

#[track_caller]
fn good(text: &str, expected: &str) {
    assert_eq!(summary(text).unwrap().as_deref(), Some(expected), "{text:?}");
}

#[track_caller]
fn bad(text: &str, expected: RequestFault) {
    assert_eq!(summary(text), Err(expected), "{text:?}");
}

#[test]
fn requests() {
    good("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "Get a /| None keep");
    good("GET /x?y HTTP/1.0\r\n\r\n", "Get  /x|?y None close");
    good("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", "Get a /| None keep");
    good(
        "GET / HTTP/1.1\r\nHost: A.B:8080\r\nConnection: Close\r\n\r\n",
        "Get a.b:8080 /| None close",
    );
    good("POST / HTTP/1.1\r\nHost:a\r\nContent-Length: 5\r\n\r\nhello", "Post a /| Length(5) keep");
    good(
        "POST / HTTP/1.1\r\nHost:a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "Post a /| Chunked keep",
    );
    good("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "Get a /| None keep");
    good("GET http://B.c/x?y HTTP/1.1\r\nHost: a\r\n\r\n", "Get b.c /x|?y None keep");
    good("GET http://b.c HTTP/1.1\r\nHost: a\r\n\r\n", "Get b.c /| None keep");
    good("GET http://b.c?q HTTP/1.1\r\nHost: a\r\n\r\n", "Get b.c /|?q None keep");
    good("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "Options a *| None keep");
    good("GET /a/../b%7e HTTP/1.1\r\nHost: a\r\n\r\n", "Get a /b~| None keep");
    good("FROB / HTTP/1.1\r\nHost: a\r\nX: \r\nY:\r\nZ:\t v \t\r\n\r\n", "Other a /| None keep");
}

#[test]
fn faults() {
    use RequestFault::*;
    for end in [" HTTP/2.0", " HTTP/1.10", " HTTP/01.1", " http/1.1"] {
        let text = format!("GET /{end}\r\nHost: a\r\n\r\n");
        assert!(matches!(summary(&text), Err(Version | Malformed(_))), "{text:?}");
    }
    let malformed = [
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX[]: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nnocolon\r\n\r\n",
        "GET /\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01",
        "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    for text in malformed {
        assert!(matches!(summary(text), Err(Malformed(_))), "{text:?}: {:?}", summary(text));
    }
    bad("GET / HTTP/1.1\r\n\r\n", Host);
    bad("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Host);
    bad("GET / HTTP/1.1\r\nHost: \r\n\r\n", Form(FormFault::BadHost));
    bad("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Form(FormFault::BadHost));
    bad("GET http://u@b/ HTTP/1.1\r\nHost: b\r\n\r\n", Form(FormFault::BadHost));
    bad("GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", Form(FormFault::NotAbsolute));
    bad("GET * HTTP/1.1\r\nHost: a\r\n\r\n", Form(FormFault::NotAbsolute));
    bad("GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", Form(FormFault::BadCharacter));
    bad("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", MethodNotAllowed);
    bad("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", MethodNotAllowed);
    bad("GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", Expectation);
    bad(
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        Framing(FramingFault::Both),
    );
    bad(&format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9000)), TargetTooLong);
    bad(&format!("GET /{}", "a".repeat(9000)), TargetTooLong);
    bad(&"A".repeat(100), UnknownMethod);
    bad(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "a".repeat(17_000)), HeadTooLarge);
    bad(&format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(100)), HeadTooLarge);
}

/// Each line of the table in `tests/data/paths`.
#[test]
fn confusing_targets() {
    let mut failed = Vec::new();
    for case in table::cases() {
        let mut head = head_of(&case.request());
        let found = match request(&mut head, &RequestLimits::default()) {
            Ok(Some(request)) => {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let port = request.port.map(|port| format!(":{port}")).unwrap_or_default();
                let host = text(request.host(&head)) + &port;
                Ok((host, text(request.target(&head))))
            }
            Ok(None) => panic!("unfinished: {case:?}"),
            Err(RequestFault::TargetTooLong) => Err(414),
            Err(RequestFault::Malformed(_) | RequestFault::Form(_) | RequestFault::Host) => {
                Err(400)
            }
            Err(other) => panic!("{other}: {case:?}"),
        };
        if found != case.expected {
            failed.push(format!("{}\n    found {found:?}", case.line));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn every_prefix_of_a_head_is_unfinished() {
    let text = "\r\nPOST /a?b HTTP/1.1\r\nHost: a\r\nX: y z \r\nContent-Length: 3\r\n\r\n";
    for length in 0..text.len() {
        assert_eq!(summary(&text[..length]), Ok(None), "{:?}", &text[..length]);
    }
}

/// No head that begins so can become one: it is not waited for.
#[test]
fn a_bare_line_feed_is_refused_before_the_head_is_whole() {
    for begun in [
        "GET / HTTP/1.1\n",
        "GET / HTTP/1.1\r\nHost: a\n",
        "GET / HTTP/1.1\nHost: a\r\n",
        "\r\nGET / HTTP/1.1\n",
    ] {
        bad(begun, RequestFault::Malformed("line end"));
    }
}

#[test]
fn connection_names_fields_but_not_ours() {
    let mut head = head_of(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Secret, host, x-request-id\r\nX-SECRET: 1\r\nX-Request-Id: 2\r\n\r\n",
    );
    request(&mut head, &RequestLimits::default()).unwrap().unwrap();
    let roles: Vec<_> = head.fields.iter().map(|field| field.role).collect();
    assert_eq!(roles, [Role::Host, Role::Connection, Role::HopByHop, Role::RequestId]);
}

#[test]
fn responses() {
    let parse = |text: &str, to_head| response(&mut head_of(text.as_bytes()), to_head);
    let ok = parse("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", false).unwrap().unwrap();
    assert_eq!((ok.status, ok.body, ok.keep_alive), (200, BodyIn::Length(2), true));
    let bare = parse("HTTP/1.1 404\r\nDate: x\r\n\r\n", false).unwrap().unwrap();
    assert_eq!((bare.body, bare.keep_alive, bare.has_date), (BodyIn::Close, false, true));
    assert!(bare.reason.is_empty());
    let head = parse("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true).unwrap().unwrap();
    assert_eq!((head.body, head.stated_length, head.keep_alive), (BodyIn::None, Some(9), true));
    assert!(parse("HTTP/1.1 200 OK\r\nContent-Le", false).unwrap().is_none());
    for bad in [
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 99 x\r\n\r\n",
        "HTTP/1.1 600 x\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: y\r\n folded\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        assert!(parse(bad, false).is_err(), "{bad:?}");
    }
    let huge = format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(limits::RESPONSE_HEAD_BYTES));
    let mut head = Head::with_capacity(limits::RESPONSE_HEAD_BYTES);
    head.page.extend_from_slice(&huge.as_bytes()[..limits::RESPONSE_HEAD_BYTES]);
    assert_eq!(response(&mut head, false).unwrap_err(), ResponseFault::HeadTooLarge);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = request(&mut head_of(&bytes), &RequestLimits::default());
        let _ = response(&mut head_of(&bytes), false);
    }

    /// Whatever a mutated head is, a request that is accepted has only lines that end in CRLF and one host.
    #[test]
    fn mutations_are_refused_or_strict(at in 0usize..70, byte in any::<u8>()) {
        let mut text = b"POST /a/b?c HTTP/1.1\r\nHost: example.com\r\nContent-Length: 3\r\nX: y\r\n\r\nabc".to_vec();
        let at = at % text.len();
        text[at] = byte;
        let mut head = head_of(&text);
        if let Ok(Some(request)) = request(&mut head, &RequestLimits::default()) {
            let bytes = &head.page[..request.head_len];
            for (at, byte) in bytes.iter().enumerate() {
                if *byte == b'\n' { prop_assert_eq!(bytes[at - 1], b'\r'); }
                if *byte == b'\r' { prop_assert_eq!(bytes[at + 1], b'\n'); }
                prop_assert!(*byte != 0);
            }
        }
    }
}
