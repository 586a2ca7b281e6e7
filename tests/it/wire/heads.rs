//! Heads are written anew: what an upstream and a client get, byte for byte.

use crate::harness::client::get;
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::{Origin, Reply};

/// What follows a request's own fields, for a client that names its request and asks `a`.
const OURS: &str = "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\
                    Via: 1.1 coregate\r\nX-Request-Id: id-1\r\n\r\n";

#[test]
fn requests_byte_for_byte() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    let mut check = |sent: &str, expected: &str| {
        let (line, fields) = sent.split_once("\r\n").unwrap();
        client.send(format!("{line}\r\nX-Request-Id: id-1\r\n{fields}"));
        assert_eq!(client.response().status, 200, "{sent:?}");
        let seen = origin.take_one().head.text();
        assert_eq!(seen, format!("{expected}{OURS}"), "{sent:?}");
    };
    check(
        "GET /a/./b/../c?d=%7e HTTP/1.1\r\nHOST: A\r\nAccept:  */*\t \r\nX-Empty:\r\n\r\n",
        "GET /a/c?d=%7e HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nX-Empty: \r\n",
    );
    check(
        "GET /%61%2fb//c HTTP/1.1\r\nHost: a.\r\nB: 1\r\na: 2\r\nB: 3\r\n\r\n",
        "GET /a%2Fb//c HTTP/1.1\r\nHost: a\r\nB: 1\r\na: 2\r\nB: 3\r\n",
    );
    check(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n\
         Upgrade: h2c\r\nProxy-Connection: x\r\nProxy-Authorization: y\r\nTrailer: z\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n",
    );
    check(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: evil\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n",
    );
    check(
        "GET / HTTP/1.1\r\nVia: 1.0 fred\r\nHost: a\r\nConnection: Via, Host, X-Request-Id\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 fred\r\n",
    );
    check(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n",
    );
    check(
        "POST / HTTP/1.1\r\ncontent-LENGTH: 2\r\nHost: a\r\n\r\nhi",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n",
    );
    check(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n2;x=y\r\nhi\r\n0\r\nT: u\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n",
    );
    check("FROB /x HTTP/1.1\r\nHost: a\r\n\r\n", "FROB /x HTTP/1.1\r\nHost: a\r\n");
    check("GET http://A/x?y HTTP/1.1\r\nHost: b\r\n\r\n", "GET /x?y HTTP/1.1\r\nHost: a\r\n");
    check("GET http://a?y HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?y HTTP/1.1\r\nHost: a\r\n");
}

#[test]
fn a_port_stays_in_host_and_the_version_in_via() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.0\r\nHost: Shop:8080\r\n\r\n").response();
    let seen = origin.take_one();
    assert_eq!(seen.head.get("host"), Some("shop:8080"));
    assert_eq!(seen.head.get("x-forwarded-host"), Some("shop:8080"));
    assert_eq!(seen.head.get("via"), Some("1.0 coregate"));
}

#[test]
fn a_request_id_is_made_unless_the_clients_is_usable() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    let long = "x".repeat(129);
    let longest = "y".repeat(128);
    for (sent, kept) in [
        (None, false),
        (Some("abc-123"), true),
        (Some(longest.as_str()), true),
        (Some(long.as_str()), false),
        (Some(""), false),
        (Some("two words"), false),
        (Some("caf\u{e9}"), false),
    ] {
        let field = sent.map(|id| format!("X-Request-Id: {id}\r\n")).unwrap_or_default();
        let mut client = gateway.client();
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n")).response();
        let seen = origin.take_one();
        let id = seen.head.get("x-request-id").unwrap();
        assert!(if kept { Some(id) == sent } else { is_uuid_v7(id) }, "{sent:?} became {id:?}");
    }
    let mut client = gateway.client();
    let ids: std::collections::BTreeSet<_> = (0..100)
        .map(|_| {
            client.get("/");
            origin.take_one().head.get("x-request-id").unwrap().to_owned()
        })
        .collect();
    assert_eq!(ids.len(), 100);
}

/// RFC 9562 §5.7: version 7, variant 10.
fn is_uuid_v7(text: &str) -> bool {
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12]
        && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
        && text.as_bytes()[14] == b'7'
        && b"89abAB".contains(&text.as_bytes()[19])
}

#[test]
fn responses_byte_for_byte() {
    let dated = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let rows = [
        (
            format!(
                "HTTP/1.1 200 Fine\r\nx-a:  1 \r\n{dated}Content-Length: 2\r\nX-A: 2\r\n\r\nhi"
            ),
            format!(
                "HTTP/1.1 200 Fine\r\nx-a: 1\r\n{dated}X-A: 2\r\nContent-Length: 2\r\nVia: 1.1 coregate\r\n\r\n"
            ),
        ),
        (
            format!(
                "HTTP/1.1 404 \r\n{dated}Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nContent-Length: 0\r\n\r\n"
            ),
            format!("HTTP/1.1 404 \r\n{dated}Content-Length: 0\r\nVia: 1.1 coregate\r\n\r\n"),
        ),
        (
            format!(
                "HTTP/1.1 200 OK\r\n{dated}Via: 1.1 inner\r\nTransfer-Encoding: chunked\r\n\r\n2;a\r\nhi\r\n0\r\n\r\n"
            ),
            format!(
                "HTTP/1.1 200 OK\r\n{dated}Via: 1.1 inner\r\nTransfer-Encoding: chunked\r\nVia: 1.1 coregate\r\n\r\n"
            ),
        ),
        (
            format!("HTTP/1.0 200 OK\r\n{dated}Content-Length: 2\r\n\r\nhi"),
            format!("HTTP/1.1 200 OK\r\n{dated}Content-Length: 2\r\nVia: 1.0 coregate\r\n\r\n"),
        ),
    ];
    let answers: Vec<String> = rows.iter().map(|(answer, _)| answer.clone()).collect();
    let origin = Origin::serving(move |request| {
        Reply::raw(&answers[request.target[1..].parse::<usize>().unwrap()])
    });
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    for (at, (sent, expected)) in rows.iter().enumerate() {
        assert_eq!(client.get(&format!("/{at}")).head.text(), *expected, "{sent:?}");
    }
}

/// RFC 9110 §6.6.1: a gateway that forwards a response without `Date` adds one.
#[test]
fn a_missing_date_is_added() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    let response = gateway.client().get("/");
    let date = response.head.get("date").unwrap();
    // `Sun, 06 Nov 1994 08:49:37 GMT`
    let shape: String = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert!(date.len() == 29 && shape.ends_with(" 00:00:00 GMT"), "{date}");
    assert_eq!(&shape[3..8], ", 00 ", "{date}");
}

#[test]
fn reasons_are_shown_only_where_asked_for() {
    let text = config("", "", &["127.0.0.1:1"]).replace("\"/*\"", "\"/known\"");
    let shown = Setup::run(&text).start();
    let hidden = Setup::run(&text.replace("expose_reasons = true", "")).start();
    let response = shown.client().get("/unknown");
    assert_eq!(response.head.get("x-coregate-reason"), Some("no_route"));
    let mut client = hidden.client();
    let response = client.get("/unknown");
    assert_eq!((response.status, response.head.get("x-coregate-reason")), (404, None));
    assert_eq!(response.head.get("content-type"), Some("application/problem+json"));
    assert!(response.text().contains("\"status\":404"), "{}", response.text());
    assert!(response.head.has("date"));
    assert_eq!(client.send(get("/again")).response().status, 404, "the connection lives on");
}
