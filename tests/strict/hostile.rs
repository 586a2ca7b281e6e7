//! Hostile requests, and the right answer to each: RFC 9112 and 9110, and our stricter choice where they leave one.
//!
//! A row's right answer is written as `400/413 + close`: any of these statuses, then the connection must be closed. `close`
//! among the statuses means that no answer at all is right too. What is not answered with 200 must not reach an origin.

use crate::{Request, Response};

/// What else must hold where the answer is 200.
pub type Holds = fn(&[Response], &[Request]) -> bool;

/// One input.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Statuses and `close`, with slashes between, and ` + close` behind.
    pub right: &'static str,
    /// What the client sends.
    pub bytes: Vec<u8>,
    /// How it is sent, and answered.
    pub how: How,
    /// What else must hold where the answer is 200.
    pub holds: Option<Holds>,
}

/// How an input is sent, and answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// In one write; one answer.
    Plain,
    /// In one write; this many answers if the first is 200.
    Answers(usize),
    /// A byte a write.
    Drip,
    /// The answer is one to a HEAD.
    Head,
}

fn row(name: &'static str, right: &'static str, bytes: impl AsRef<[u8]>) -> Row {
    let bytes = bytes.as_ref().to_vec();
    Row { name, right, bytes, how: How::Plain, holds: None }
}

impl Row {
    fn how(mut self, how: How) -> Self {
        self.how = how;
        self
    }

    fn holds(mut self, holds: Holds) -> Self {
        self.holds = Some(holds);
        self
    }
}

/// A GET with these fields behind `Host`.
fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

/// A POST with these fields, and a body of five bytes.
fn post(fields: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\nhello")
}

/// A POST with these fields, and a chunked body of five bytes.
fn coded(fields: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n5\r\nhello\r\n0\r\n\r\n")
}

/// A chunked POST with this body.
fn chunked(body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

/// A GET with this whole request line.
fn line(line: &str) -> String {
    format!("{line}\r\nHost: a\r\n\r\n")
}

/// A GET with these lines in place of `Host`.
fn hosts(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\n{fields}\r\n")
}

/// Every row.
pub fn rows() -> Vec<Row> {
    [
        lengths(),
        codings(),
        chunks(),
        bodies(),
        fields(),
        hosts_and_forms(),
        lines(),
        targets(),
        hops(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn lengths() -> Vec<Row> {
    vec![
        row("CL+TE", "400 + close", coded("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")),
        row("TE+CL", "400 + close", coded("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")),
        row("CL dup differ", "400 + close", post("Content-Length: 5\r\nContent-Length: 6\r\n")),
        row("CL dup same", "400 + close", post("Content-Length: 5\r\nContent-Length: 5\r\n")),
        row("CL list 5, 5", "400 + close", post("Content-Length: 5, 5\r\n")),
        row("CL list 5, 6", "400 + close", post("Content-Length: 5, 6\r\n")),
        row("CL +5", "400 + close", post("Content-Length: +5\r\n")),
        row("CL -1", "400 + close", post("Content-Length: -1\r\n")),
        row("CL 0x5", "400 + close", post("Content-Length: 0x5\r\n")),
        row("CL empty", "400 + close", post("Content-Length: \r\n")),
        row("CL 5abc", "400 + close", post("Content-Length: 5abc\r\n")),
        row("CL 2^64+5", "400/413 + close", post("Content-Length: 18446744073709551621\r\n")),
        row(
            "CL 1e30",
            "400/413 + close",
            post(&format!("Content-Length: 1{}\r\n", "0".repeat(30))),
        ),
        row("CL underscore 1_0", "400 + close", post("Content-Length: 1_0\r\n")),
    ]
}

fn codings() -> Vec<Row> {
    let te = |value: &str| coded(&format!("Transfer-Encoding: {value}\r\n"));
    vec![
        row(
            "TE xchunked+CL",
            "400/501 + close",
            post("Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n"),
        ),
        row("TE chunked,identity", "400/501 + close", te("chunked, identity")),
        row("TE identity", "400/501 + close", te("identity")),
        row("TE chunked twice", "400/501 + close", te("chunked, chunked")),
        row("TE gzip,chunked", "400/501 + close", te("gzip, chunked")),
        row("TE VT chunked", "400/501 + close", te("\x0bchunked")),
        row("TE ;param", "400/501 + close", te("chunked;a=b")),
        row("TE ,chunked", "400/422/501 + close", te(",chunked")),
        row("TE sp before colon", "400 + close", coded("Transfer-Encoding : chunked\r\n")),
        row("TE in HTTP/1.0", "400/501/505 + close", te("chunked").replace("HTTP/1.1", "HTTP/1.0")),
        row("TE quoted", "400/422/501 + close", te("\"chunked\"")),
    ]
}

fn chunks() -> Vec<Row> {
    let long_extension = format!("5;a={}\r\nhello\r\n0\r\n\r\n", "b".repeat(64 * 1024));
    let long_trailer = format!("0\r\nx: {}\r\n\r\n", "y".repeat(128 * 1024));
    vec![
        row("chunk 0x5", "400 + close", chunked("0x5\r\nhello\r\n0\r\n\r\n")),
        row("chunk +5", "400 + close", chunked("+5\r\nhello\r\n0\r\n\r\n")),
        row("chunk -5", "400 + close", chunked("-5\r\nhello\r\n0\r\n\r\n")),
        row("chunk 5_0", "400 + close", chunked("5_0\r\nhello\r\n0\r\n\r\n")),
        row("chunk empty size", "400 + close", chunked("\r\nhello\r\n0\r\n\r\n")),
        row(
            "chunk 17 hex digits",
            "400/413 + close",
            chunked("10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ),
        row("chunk size SP CRLF", "400 + close", chunked("5 \r\nhello\r\n0\r\n\r\n")),
        row("chunk bare LF", "400 + close", chunked("5\nhello\n0\n\n")),
        row("chunk ext bare LF", "400 + close", chunked("5;a\nhello\r\n0\r\n\r\n")),
        row("chunk ext CR X", "400 + close", chunked("5;a\rXhello\r\n0\r\n\r\n")),
        row("chunk ext NUL", "400 + close", chunked("5;a\0\r\nhello\r\n0\r\n\r\n")),
        row("chunk ext bare ;", "400 + close", chunked("5;\r\nhello\r\n0\r\n\r\n")),
        row("chunk ext 64 KiB", "400/413/431 + close", chunked(&long_extension)),
        row("chunk data spills", "400 + close", chunked("3\r\nhello\r\n0\r\n\r\n")),
        row("chunk missing CRLF", "400 + close", chunked("5\r\nhello0\r\n\r\n")),
        row("trailer CL", "200/400", chunked("5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n"))
            .holds(|_, seen| !seen[0].head.has("content-length") && seen[0].body == b"hello"),
        row("trailer bare LF", "200/400", chunked("5\r\nhello\r\n0\r\nx: y\n\r\n")),
        row("trailer 128 KiB", "400/413/431 + close", chunked(&long_trailer)),
    ]
}

fn bodies() -> Vec<Row> {
    let second = get("");
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let hiding =
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{hidden}", hidden.len());
    vec![
        row("GET body then 2nd", "200/400", get("Content-Length: 5\r\n") + "hello" + &second)
            .how(How::Answers(2))
            .holds(|_, seen| seen[0].body == b"hello" && seen[1].body.is_empty()),
        row("hidden 2nd in body", "200", hiding)
            .holds(|_, seen| seen.len() == 1 && seen[0].body.starts_with(b"GET /hidden")),
    ]
}

fn fields() -> Vec<Row> {
    let non_ascii = b"GET / HTTP/1.1\r\nHost: a\r\nn\xe4me: v\r\n\r\n";
    let text = b"GET / HTTP/1.1\r\nHost: a\r\nx: caf\xe9\r\n\r\n";
    let huge = get(&format!("x: {}\r\n", "y".repeat(1 << 20)));
    vec![
        row("bare LF lines", "400 + close", "GET / HTTP/1.1\nHost: a\n\n"),
        row("bare CR in value", "400 + close", get("x: a\rb\r\n")),
        row("NUL in value", "400 + close", get("x: a\0b\r\n")),
        row("CTL in value", "400 + close", get("x: a\x01b\r\n")),
        row("DEL in value", "400 + close", get("x: a\x7fb\r\n")),
        row("obs-fold", "400 + close", get("x: a\r\n b\r\n")),
        row("fold on first line", "400 + close", "GET / HTTP/1.1\r\n x: y\r\nHost: a\r\n\r\n"),
        row("SP before colon", "400 + close", get("x : y\r\n")),
        row("no colon", "400 + close", get("xy\r\n")),
        row("empty name", "400 + close", get(": y\r\n")),
        row("name with [", "400 + close", get("x[0]: y\r\n")),
        row("name non-ASCII", "400 + close", non_ascii),
        row("name NUL", "400 + close", get("x\0: y\r\n")),
        row("name underscore CL", "200/400/411", get("Content_Length: 5\r\n")),
        row("100k headers", "400/413/431/close + close", get(&"x: y\r\n".repeat(100_000))),
        row("1 MiB header", "400/413/431/close + close", huge),
        row("1000 headers", "400/431 + close", get(&"x: y\r\n".repeat(1_000))),
        row("obs-text value", "200", text)
            .holds(|_, seen| seen[0].head.get("x") == Some("caf\u{e9}")),
    ]
}

fn hosts_and_forms() -> Vec<Row> {
    vec![
        row("no Host", "400 + close", hosts("")),
        row("two Host", "400 + close", hosts("Host: a\r\nHost: b\r\n")),
        row("two Host same", "400 + close", hosts("Host: a\r\nHost: a\r\n")),
        row("Host a b", "400 + close", hosts("Host: a b\r\n")),
        row("Host a/b", "400 + close", hosts("Host: a/b\r\n")),
        row("Host u@a", "400 + close", hosts("Host: u@a\r\n")),
        row("Host a,b", "400 + close", hosts("Host: a,b\r\n")),
        row("Host empty", "400 + close", hosts("Host: \r\n")),
        row("Host port 99999", "400 + close", hosts("Host: a:99999\r\n")),
        row("absolute vs Host", "200/400/404/421", line("GET http://b/ HTTP/1.1"))
            .holds(|_, seen| seen[0].head.get("host") == Some("b") && seen[0].target == "/"),
        row("absolute userinfo", "400 + close", line("GET http://u@a/ HTTP/1.1")),
        row("authority GET", "400 + close", line("GET a:80 HTTP/1.1")),
        row("asterisk GET", "400 + close", line("GET * HTTP/1.1")),
        row("OPTIONS *", "200/204/404/405", line("OPTIONS * HTTP/1.1")),
        row("CONNECT", "400/403/405/501", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"),
        row("TRACE", "400/403/405/501", line("TRACE / HTTP/1.1")),
    ]
}

fn lines() -> Vec<Row> {
    let long_method = line(&format!("{} / HTTP/1.1", "M".repeat(100 * 1024)));
    let long_target = line(&format!("GET /{} HTTP/1.1", "t".repeat(100 * 1024)));
    vec![
        row("HTTP/0.9", "400/505/close + close", "GET /\r\n\r\n"),
        row("HTTP/2.0", "400/505 + close", line("GET / HTTP/2.0")),
        row("HTTP/1.10", "400/505 + close", line("GET / HTTP/1.10")),
        row("HTTP/01.1", "400/505 + close", line("GET / HTTP/01.1")),
        row("http/1.1 lower", "400/505 + close", line("GET / http/1.1")),
        row("HTTP/1.0 no ka", "200 + close", line("GET / HTTP/1.0")),
        row("leading CRLF", "200", format!("\r\n{}", get(""))),
        row("2000 leading CRLF", "200/400", format!("{}{}", "\r\n".repeat(2_000), get(""))),
        row("two spaces", "400 + close", line("GET  / HTTP/1.1")),
        row("tab in line", "400 + close", line("GET\t/\tHTTP/1.1")),
        row("SP in target", "400 + close", line("GET /a b HTTP/1.1")),
        row("method {}", "400/405/501", line("G{}T / HTTP/1.1")),
        row("100 KiB method", "400/414/501/close + close", long_method),
        row("100 KiB target", "400/414 + close", long_target),
    ]
}

fn targets() -> Vec<Row> {
    let target = |target: &str| line(&format!("GET {target} HTTP/1.1"));
    let hello = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03".repeat(19);
    vec![
        row("fragment", "400 + close", target("/a#b")),
        row("NUL in target", "400 + close", target("/a\0b")),
        row("%00 in path", "400", target("/a%00b")),
        row("bad percent %zz", "400", target("/%zz")),
        row("raw UTF-8 target", "400", target("/\u{e4}")),
        row("overlong %c0%af", "200/400/404", target("/%c0%af")),
        row("/../ above root", "400/404", target("/../a")),
        row("/%2e%2e/ above root", "400/404", target("/%2e%2e/a")),
        row("backslash", "400/404", target("/a\\b")),
        row("TLS hello on plain", "400/close + close", hello),
        row("h2 preface on h1", "400/505/close + close", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ]
}

fn hops() -> Vec<Row> {
    let upgrade = |to: &str| get(&format!("Connection: Upgrade\r\nUpgrade: {to}\r\n"));
    let h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
    vec![
        row("Connection: X-Secret", "200", get("Connection: X-Secret\r\nX-Secret: 1\r\n"))
            .holds(|_, seen| !seen[0].head.has("x-secret") && !seen[0].head.has("connection")),
        row("Connection: Host", "200/400", get("Connection: Host\r\n"))
            .holds(|_, seen| seen[0].head.get("host") == Some("a")),
        row("Proxy-Connection", "200", get("Proxy-Connection: keep-alive\r\n"))
            .holds(|_, seen| !seen[0].head.has("proxy-connection")),
        row("TE: gzip", "200", get("TE: gzip\r\nConnection: TE\r\n"))
            .holds(|_, seen| !seen[0].head.has("te")),
        row("Upgrade + 2nd req", "200/400", upgrade("websocket") + &get("x: second\r\n"))
            .how(How::Answers(2))
            .holds(|_, seen| seen[1].head.has("x")),
        row("Upgrade h2c", "200", get(h2c))
            .holds(|_, seen| !seen[0].head.has("upgrade") && !seen[0].head.has("http2-settings")),
        row("Upgrade on HTTP/1.0", "200/400", upgrade("websocket").replace("HTTP/1.1", "HTTP/1.0"))
            .holds(|_, seen| !seen[0].head.has("upgrade")),
        row("Expect odd", "200/400/417", get("Expect: fish\r\n")),
        row(
            "Expect obfuscated",
            "400/417",
            post("Content-Length: 5\r\nExpect: y 100-continue\r\n"),
        ),
        row("Expect 100, CL 0", "200", get("Content-Length: 0\r\nExpect: 100-continue\r\n")),
        row("pipeline 3", "200", get("").repeat(3)).how(How::Answers(3)),
        row("HEAD", "200", line("HEAD / HTTP/1.1"))
            .how(How::Head)
            .holds(|answers, _| answers[0].head.get("content-length") == Some("4")),
        row("1 B at a time", "200", get("x: y\r\n")).how(How::Drip),
    ]
}
