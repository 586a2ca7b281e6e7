//! The strict reader against itself: what it must take, and what it must not.

use std::io::{self, Read};

use super::*;

/// Gives one byte a read, so that every state is entered in the middle.
struct Drip<'a>(&'a [u8]);

impl Read for Drip<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let taken = self.0.len().min(1);
        into[..taken].copy_from_slice(&self.0[..taken]);
        self.0 = &self.0[taken..];
        Ok(taken)
    }
}

#[track_caller]
fn check_request(bytes: &str, expected: Result<(&str, &str, &str), &str>) {
    let outcome = |result: Result<Request, Fault>| match result {
        Ok(request) => Ok((request.method, request.target, latin1(&request.body))),
        Err(Fault::Closed) => Err("closed"),
        Err(Fault::Truncated) => Err("truncated"),
        Err(Fault::Malformed(_)) => Err("malformed"),
        Err(Fault::Io(error)) => panic!("{error}"),
    };
    let expected = expected.map(|(a, b, c)| (a.into(), b.into(), c.into()));
    let whole = outcome(Reader::new(bytes.as_bytes()).request());
    assert_eq!(whole, expected, "{bytes:?}");
    assert_eq!(outcome(Reader::new(Drip(bytes.as_bytes())).request()), expected, "{bytes:?}");
}

#[test]
fn requests_that_are_taken() {
    check_request("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok(("GET", "/", "")));
    check_request("GET / HTTP/1.0\r\n\r\n", Ok(("GET", "/", "")));
    check_request("GET / HTTP/1.1\r\nHost: \r\n\r\n", Ok(("GET", "/", "")));
    check_request("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Ok(("OPTIONS", "*", "")));
    check_request(
        "POST /a%2Fb?c=d HTTP/1.1\r\nHost: a:80\r\nContent-Length: 3\r\n\r\nabcd",
        Ok(("POST", "/a%2Fb?c=d", "abc")),
    );
    check_request(
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\nx: y\r\n\r\n",
        Ok(("PUT", "/", "abc0123456789")),
    );
}

#[test]
fn requests_that_are_not_whole() {
    check_request("", Err("closed"));
    check_request("GET / HTTP/1.1\r\nHost: a\r\n", Err("truncated"));
    check_request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab", Err("truncated"));
    for body in ["3\r\nab", "3\r\nabc\r\n", "3\r\nabc\r\n0\r\n", "0\r\nx: y\r\n"] {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        check_request(&format!("{head}{body}"), Err("truncated"));
    }
}

#[test]
fn requests_that_are_refused() {
    for line in [
        "GET /",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET\t/ HTTP/1.1",
        "G(T / HTTP/1.1",
        " / HTTP/1.1",
        "GET / HTTP/2.0",
        "GET / http/1.1",
        "GET * HTTP/1.1",
        "GET a HTTP/1.1",
        "GET http://a/ HTTP/1.1",
        "GET /a\\b HTTP/1.1",
        "GET /a#b HTTP/1.1",
        "GET /%zz HTTP/1.1",
        "GET /%2 HTTP/1.1",
        "GET /a/../b HTTP/1.1",
        "GET /. HTTP/1.1",
        "GET /\u{e4} HTTP/1.1",
        "GET /{a} HTTP/1.1",
    ] {
        check_request(&format!("{line}\r\nHost: a\r\n\r\n"), Err("malformed"));
    }
    for fields in [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host: a b\r\n",
        "Host: a/b\r\n",
        "Host: a\n",
        "Host: a\r\nx : y\r\n",
        "Host: a\r\nx\r\n",
        "Host: a\r\n: y\r\n",
        "Host: a\r\n y: z\r\n",
        "Host: a\r\nx: a\rb\r\n",
        "Host: a\r\nx: a\0b\r\n",
        "Host: a\r\nx: a\u{7f}b\r\n",
        "Host: a\r\nContent-Length: \r\n",
        "Host: a\r\nContent-Length: +1\r\n",
        "Host: a\r\nContent-Length: 1, 1\r\n",
        "Host: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
        "Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Host: a\r\nContent-Length: 18446744073709551621\r\n",
        "Host: a\r\nTransfer-Encoding: gzip, chunked\r\n",
        "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ] {
        check_request(&format!("GET / HTTP/1.1\r\n{fields}\r\n"), Err("malformed"));
    }
    check_request("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Err("malformed"));
    for body in
        ["\r\n", "x\r\n", "3;a=b\r\nabc\r\n", "3 \r\nabc\r\n", "3\r\nabcd\r\n", "3\n", "-1\r\n"]
    {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        check_request(&format!("{head}{body}"), Err("malformed"));
    }
}

#[track_caller]
fn check_response(bytes: &str, to_head: bool, expected: Option<(u16, Framing, &str)>) {
    match (Reader::new(bytes.as_bytes()).response(to_head), expected) {
        (Ok(response), Some((status, framing, body))) => {
            assert_eq!((response.status, response.framing), (status, framing), "{bytes:?}");
            assert_eq!(response.text(), body, "{bytes:?}");
        }
        (Err(Fault::Malformed(_) | Fault::Truncated), None) => {}
        (other, _) => panic!("{bytes:?}: {other:?}"),
    }
}

#[test]
fn responses() {
    use Framing::*;
    check_response(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        false,
        Some((200, Length(2), "hi")),
    );
    check_response("HTTP/1.1 200 \r\n\r\nall", false, Some((200, Close, "all")));
    check_response("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", true, Some((200, None, "")));
    check_response("HTTP/1.1 304 No\r\nContent-Length: 2\r\n\r\n", false, Some((304, None, "")));
    check_response("HTTP/1.1 204 No\r\n\r\n", false, Some((204, None, "")));
    check_response("HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", false, Option::None);
    check_response("HTTP/1.1 200\r\n\r\n", false, Option::None);
    check_response("HTTP/1.1 200 O\0K\r\n\r\n", false, Option::None);
    check_response("HTTP/1.1 2x0 OK\r\n\r\n", false, Option::None);
    check_response("HTTP/1.1 999 OK\r\n\r\n", false, Option::None);
    check_response("HTTP/2 200 OK\r\n\r\n", false, Option::None);
    check_response("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", false, Option::None);
}

#[test]
fn one_message_ends_where_the_next_begins() {
    let two = "GET /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nxGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut reader = Reader::new(two.as_bytes());
    assert_eq!(reader.request().unwrap().target, "/1");
    assert_eq!(reader.request().unwrap().target, "/2");
    assert!(matches!(reader.request(), Err(Fault::Closed)));
}

#[test]
fn heads_are_kept_as_they_came() {
    let bytes = b"HTTP/1.1 200 OK\r\nX:  \xe4 \r\n\r\n";
    let response = Reader::new(&bytes[..]).response(true).unwrap();
    assert_eq!(response.head.raw, bytes);
    assert_eq!(response.head.get("x"), Some("\u{e4}"));
}

#[test]
fn what_is_said_about_the_hop() {
    let request = |fields: &str, good: bool| {
        let expected = if good { Ok(("GET", "/", "")) } else { Err("malformed") };
        check_request(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"), expected);
    };
    request("Connection: close\r\n", true);
    request("Connection: Keep-Alive\r\n", true);
    request("TE: trailers\r\nConnection: TE\r\n", true);
    request("Connection: upgrade\r\nUpgrade: websocket\r\n", true);
    request("Upgrade: a/1, b\r\nConnection: close, Upgrade\r\n", true);
    for fields in [
        "Connection: \r\n",
        "Connection: close,\r\n",
        "Connection: close, close\r\n",
        "Connection: close\r\nConnection: close\r\n",
        "Connection: close, keep-alive\r\n",
        "Connection: host\r\n",
        "Connection: x-secret\r\n",
        "Connection: te\r\n",
        "Connection: upgrade\r\n",
        "TE: trailers\r\n",
        "TE: gzip\r\nConnection: te\r\n",
        "TE: trailers, gzip\r\nConnection: te\r\n",
        "Upgrade: websocket\r\n",
        "Upgrade: web socket\r\nConnection: upgrade\r\n",
        "Upgrade: \r\nConnection: upgrade\r\n",
        "Proxy-Connection: keep-alive\r\n",
        "Keep-Alive: 5\r\nConnection: keep-alive\r\n",
    ] {
        request(fields, false);
    }
    let old = "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    check_request(old, Err("malformed"));
    let switch = "HTTP/1.1 101 Switching Protocols\r\n";
    let named = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    check_response(&format!("{switch}{named}\r\n"), false, Some((101, Framing::None, "")));
    check_response(&format!("{switch}\r\n"), false, None);
    let te = "HTTP/1.1 200 OK\r\nTE: trailers\r\nConnection: te\r\n\r\n";
    check_response(te, false, None);
}

#[test]
fn trailers_are_told() {
    let with = |trailers: &str| {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        Reader::new(format!("{head}1\r\nx\r\n0\r\n{trailers}\r\n").as_bytes()).request()
    };
    let told = with("Checksum: 5 \r\nx:\r\n").unwrap().trailers;
    assert_eq!(told, [("Checksum".into(), "5".into()), ("x".into(), String::new())]);
    for bad in ["x\r\n", "x : y\r\n", " x: y\r\n", "x: \0\r\n", "x: y\n", ": y\r\n"] {
        assert!(matches!(with(bad), Err(Fault::Malformed(_))), "{bad:?}");
    }
    for name in ["Content-Length", "transfer-encoding", "Host", "Connection", "Trailer", "TE"] {
        assert!(matches!(with(&format!("{name}: 5\r\n")), Err(Fault::Malformed(_))), "{name}");
    }
}
