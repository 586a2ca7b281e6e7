//! Broken answers of an upstream, and what a gateway must make of each: RFC 9112 and 9110, and our stricter choice where
//! they leave one.
//!
//! Nothing malformed reaches the client, what was cut never looks whole, and the connection that brought an oddity is not
//! used again.

/// What the client must get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// A 502: nothing of the answer had gone out.
    Bad,
    /// A message that ends before its end, with the connection; or a 502 where that was seen in time.
    Cut,
    /// This status and this body. What came beside it is dropped, and so is the connection.
    Whole(u16, &'static str),
    /// This status and this body: odd, but well-formed. The connection may be used again.
    Fine(u16, &'static str),
}

/// What the upstream does behind its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It waits for the connection to be closed.
    Stays,
    /// It ends the connection.
    Closes,
    /// It resets the connection.
    Resets,
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its name.
    pub name: String,
    /// What was asked: `GET`, or `HEAD`.
    pub method: &'static str,
    /// What the upstream sends.
    pub bytes: Vec<u8>,
    /// What it does then.
    pub then: Then,
    /// What the client must get.
    pub right: Right,
}

fn answer(name: impl Into<String>, bytes: impl AsRef<[u8]>, then: Then, right: Right) -> Answer {
    Answer { name: name.into(), method: "GET", bytes: bytes.as_ref().to_vec(), then, right }
}

fn bad(name: &str, bytes: impl AsRef<[u8]>) -> Answer {
    answer(name, bytes, Then::Stays, Right::Bad)
}

/// An answer of five bytes with this status line.
fn line(line: &str) -> String {
    format!("{line}\r\nContent-Length: 5\r\n\r\nhello")
}

/// An answer with these fields, and five bytes behind them.
fn with(fields: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\nhello")
}

/// A chunked answer: a good chunk, then this.
fn chunks(then: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n{then}")
}

/// Every answer.
pub fn answers() -> Vec<Answer> {
    [lines(), framing(), fields(), interim(), chunk_faults(), truncated(), excess(), odd_but_fine()]
        .into_iter()
        .flatten()
        .collect()
}

/// RFC 9112 §4; and what is no HTTP at all.
fn lines() -> Vec<Answer> {
    let hello = b"\x15\x03\x01\x00\x02\x02\x28";
    let settings = b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80\r\n\r\n";
    vec![
        bad("HTTP/2.0", line("HTTP/2.0 200 OK")),
        bad("HTTP/1.2", line("HTTP/1.2 200 OK")),
        bad("HTTP/1.10", line("HTTP/1.10 200 OK")),
        bad("HTTP/01.1", line("HTTP/01.1 200 OK")),
        bad("http/1.1", line("http/1.1 200 OK")),
        bad("no version", line("200 OK")),
        bad("version alone", "HTTP/1.1\r\n\r\n"),
        bad("status 20", line("HTTP/1.1 20 OK")),
        bad("status 2000", line("HTTP/1.1 2000 OK")),
        bad("status abc", line("HTTP/1.1 abc OK")),
        bad("status -20", line("HTTP/1.1 -20 OK")),
        bad("status 000", line("HTTP/1.1 000 OK")),
        bad("status 099", line("HTTP/1.1 099 OK")),
        bad("status 600", line("HTTP/1.1 600 OK")),
        bad("status 999", line("HTTP/1.1 999 OK")),
        bad("two spaces", line("HTTP/1.1  200 OK")),
        bad("tab", line("HTTP/1.1\t200 OK")),
        bad("leading space", line(" HTTP/1.1 200 OK")),
        bad("leading CRLF", line("\r\nHTTP/1.1 200 OK")),
        bad("NUL in reason", line("HTTP/1.1 200 O\0K")),
        bad("CTL in reason", line("HTTP/1.1 200 O\x01K")),
        bad("DEL in reason", line("HTTP/1.1 200 O\x7fK")),
        bad("CR in reason", line("HTTP/1.1 200 O\rK")),
        bad("bare LF lines", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"),
        bad("bare LF behind the status", "HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello"),
        bad("ICY", line("ICY 200 OK")),
        bad("mail", "220 mail.example.com ESMTP\r\n\r\n"),
        bad("SSH", "SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        bad("a request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        bad("h2 settings", settings),
        bad("NULs", [&[0; 4096][..], b"\n"].concat()),
        answer("TLS alert", hello, Then::Closes, Right::Bad),
        answer("HTTP/0.9", "<html>hello</html>\n", Then::Closes, Right::Bad),
        answer("nothing", "", Then::Closes, Right::Bad),
        answer("nothing, reset", "", Then::Resets, Right::Bad),
    ]
}

/// RFC 9112 §6.1, §6.3; RFC 9110 §8.6.
fn framing() -> Vec<Answer> {
    let te = |value: &str| {
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {value}\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    };
    vec![
        bad("CL+TE", with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")),
        bad("TE+CL", with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")),
        bad("CL dup differ", with("Content-Length: 5\r\nContent-Length: 6\r\n")),
        bad("CL dup same", with("Content-Length: 5\r\nContent-Length: 5\r\n")),
        bad("CL list 5, 5", with("Content-Length: 5, 5\r\n")),
        bad("CL list 5, 6", with("Content-Length: 5, 6\r\n")),
        bad("CL -5", with("Content-Length: -5\r\n")),
        bad("CL +5", with("Content-Length: +5\r\n")),
        bad("CL 0x5", with("Content-Length: 0x5\r\n")),
        bad("CL 5.0", with("Content-Length: 5.0\r\n")),
        bad("CL 5 5", with("Content-Length: 5 5\r\n")),
        bad("CL empty", with("Content-Length: \r\n")),
        bad("CL 2^64+5", with("Content-Length: 18446744073709551621\r\n")),
        bad("CL sp before colon", with("Content-Length : 5\r\n")),
        bad("TE gzip", te("gzip")),
        bad("TE gzip, chunked", te("gzip, chunked")),
        bad("TE chunked, gzip", te("chunked, gzip")),
        bad("TE chunked twice", te("chunked, chunked")),
        bad("TE two fields", te("chunked\r\nTransfer-Encoding: chunked")),
        bad("TE xchunked", te("xchunked")),
        bad("TE identity", te("identity")),
        bad("TE quoted", te("\"chunked\"")),
        bad("TE ;param", te("chunked;a=b")),
        bad("TE VT chunked", te("\x0bchunked")),
        bad("TE empty", te("")),
        bad("TE sp before colon", with("Transfer-Encoding : chunked\r\n")),
        bad("TE in HTTP/1.0", te("chunked").replace("HTTP/1.1", "HTTP/1.0")),
    ]
}

/// RFC 9112 §5, RFC 9110 §5.5.
fn fields() -> Vec<Answer> {
    let field = |line: &str| with(&format!("Content-Length: 5\r\n{line}\r\n"));
    vec![
        bad("obs-fold", field("x: a\r\n b")),
        bad("fold on first line", with(" x: y\r\nContent-Length: 5\r\n")),
        bad("SP before colon", field("x : y")),
        bad("tab before colon", field("x\t: y")),
        bad("no colon", field("xy")),
        bad("empty name", field(": y")),
        bad("name with [", field("x[0]: y")),
        bad("name NUL", field("x\0: y")),
        bad("name non-ASCII", field("n\u{e4}me: y")),
        bad("NUL in value", field("x: a\0b")),
        bad("CTL in value", field("x: a\x01b")),
        bad("DEL in value", field("x: a\x7fb")),
        bad("bare CR in value", field("x: a\rb")),
        bad("bare LF behind a field", field("x: y\ny: z")),
        bad("201 fields", field(&["x: y"; 200].join("\r\n"))),
        bad("64 KiB field", field(&format!("x: {}", "y".repeat(64 * 1024)))),
        bad("a field without an end", format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(70 * 1024))),
    ]
}

/// RFC 9110 §15.2.
fn interim() -> Vec<Answer> {
    let hints = "HTTP/1.1 103 Early Hints\r\n\r\n";
    vec![
        bad(
            "101 unasked",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        ),
        bad("101 without an upgrade", "HTTP/1.1 101 Switching Protocols\r\n\r\nhello"),
        bad(
            "500 times 100",
            "HTTP/1.1 100 Continue\r\n\r\n".repeat(500) + &line("HTTP/1.1 200 OK"),
        ),
        bad("100, then garbage", "HTTP/1.1 100 Continue\r\n\r\nhello\r\n\r\n"),
        bad("103 malformed", "HTTP/1.1 103 Early Hints\r\nx\r\n\r\n"),
        answer("103, then nothing", hints, Then::Closes, Right::Bad),
        answer("103, then a reset", hints, Then::Resets, Right::Bad),
    ]
}

/// RFC 9112 §7.1. The head has gone out, or was about to.
fn chunk_faults() -> Vec<Answer> {
    [
        ("size zz", "zz\r\nhello\r\n0\r\n\r\n"),
        ("size 0x5", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("size +5", "+5\r\nhello\r\n0\r\n\r\n"),
        ("size -5", "-5\r\nhello\r\n0\r\n\r\n"),
        ("size 5_0", "5_0\r\nhello\r\n0\r\n\r\n"),
        ("size empty", "\r\nhello\r\n0\r\n\r\n"),
        ("size SP CRLF", "5 \r\nhello\r\n0\r\n\r\n"),
        ("size bare LF", "5\nhello\r\n0\r\n\r\n"),
        ("size of 16 digits", "ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
        ("size of 17 digits", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("leading zeros", "00000000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("data spills", "3\r\nhello\r\n0\r\n\r\n"),
        ("data without CRLF", "5\r\nhello0\r\n\r\n"),
        ("data with bare LF", "5\r\nhello\n0\r\n\r\n"),
        ("extension bare ;", "5;\r\nhello\r\n0\r\n\r\n"),
        ("extension bare LF", "5;a\nhello\r\n0\r\n\r\n"),
        ("extension NUL", "5;a=\0\r\nhello\r\n0\r\n\r\n"),
        ("extension CR X", "5;a\rXhello\r\n0\r\n\r\n"),
        ("trailer without colon", "0\r\nxy\r\n\r\n"),
        ("trailer NUL", "0\r\nx: \0\r\n\r\n"),
        ("trailer bare LF", "0\r\nx: y\n\r\n"),
        ("trailer fold", "0\r\nx: y\r\n z\r\n\r\n"),
    ]
    .into_iter()
    .map(|(name, then)| answer(format!("chunk {name}"), chunks(then), Then::Stays, Right::Cut))
    .chain([
        answer(
            "chunk extension 64 KiB",
            chunks(&format!("5;a={}\r\nhello\r\n0\r\n\r\n", "b".repeat(64 * 1024))),
            Then::Stays,
            Right::Cut,
        ),
        answer(
            "chunk trailer 128 KiB",
            chunks(&format!("0\r\nx: {}\r\n\r\n", "y".repeat(128 * 1024))),
            Then::Stays,
            Right::Cut,
        ),
    ])
    .collect()
}

/// RFC 9112 §8: cut at every stage, by an end and by a reset.
fn truncated() -> Vec<Answer> {
    let heads =
        ["H", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r"];
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
    let bodies = [
        ("before a length's body", length.to_owned()),
        ("within a length's body", format!("{length}hello")),
        (
            "before a huge body",
            "HTTP/1.1 200 OK\r\nContent-Length: 999999999999999999\r\n\r\nx".into(),
        ),
        ("before the first chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".into()),
        ("between chunks", chunks("")),
        ("within a size", chunks("1")),
        ("behind a size", chunks("5\r\n")),
        ("within a chunk", chunks("5\r\nhel")),
        ("behind a chunk's data", chunks("5\r\nhello\r")),
        ("before the last line", chunks("0\r\n")),
        ("within the last line", chunks("0\r\n\r")),
        ("within a trailer", chunks("0\r\nx: y")),
        ("behind a trailer", chunks("0\r\nx: y\r\n")),
        ("within a huge chunk", chunks("fffffffffffffff\r\nhello")),
    ];
    let mut all = Vec::new();
    for (how, then) in [("ended", Then::Closes), ("reset", Then::Resets)] {
        for head in heads {
            all.push(answer(format!("{how} in the head: {head:?}"), head, then, Right::Bad));
        }
        for (where_, body) in &bodies {
            all.push(answer(format!("{how} {where_}"), body, then, Right::Cut));
        }
    }
    let close = "HTTP/1.1 200 OK\r\n\r\nhello";
    all.push(answer("reset where an end is the end", close, Then::Resets, Right::Cut));
    all
}

/// RFC 9112 §6.3: what stands behind a message belongs to nobody.
fn excess() -> Vec<Answer> {
    let stays = |name: &str, bytes: &str, right| answer(name, bytes, Then::Stays, right);
    let second = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let five = line("HTTP/1.1 200 OK");
    let to_head = |name: &str, bytes: String| Answer {
        method: "HEAD",
        ..stays(name, &bytes, Right::Whole(200, ""))
    };
    vec![
        stays("more than its length", &format!("{five}evil"), Right::Whole(200, "hello")),
        stays("a second answer", &format!("{five}{second}"), Right::Whole(200, "hello")),
        stays("more than its chunks", &chunks("0\r\n\r\nevil"), Right::Whole(200, "hello")),
        stays("CRLF behind it", &format!("{five}\r\n"), Right::Whole(200, "hello")),
        stays(
            "a length of 0, and a body",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nevil",
            Right::Whole(200, ""),
        ),
        stays("204 with a body", "HTTP/1.1 204 No Content\r\n\r\nevil", Right::Whole(204, "")),
        stays(
            "204 with a length",
            "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil",
            Right::Whole(204, ""),
        ),
        stays(
            "304 with a body",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil",
            Right::Whole(304, ""),
        ),
        to_head("HEAD with a body", five.clone()),
        to_head("HEAD with chunks", chunks("0\r\n\r\n")),
    ]
}

/// What must not be refused.
fn odd_but_fine() -> Vec<Answer> {
    let fine =
        |name: &str, bytes: &str| answer(name, bytes, Then::Stays, Right::Fine(200, "hello"));
    let obs_text = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx: caf\xe9\r\n\r\nhello";
    vec![
        fine("no reason", &line("HTTP/1.1 200 ")),
        fine("no reason, no space", &line("HTTP/1.1 200")),
        fine("a long reason", &line(&format!("HTTP/1.1 200 {}", "OK ".repeat(300)))),
        fine("no space behind a colon", &with("content-length:5\r\n")),
        fine("spaces around a value", &with("Content-Length: \t 5 \t\r\n")),
        fine("leading zeros", &with("Content-Length: 0005\r\n")),
        fine("200 fields", &with(&format!("Content-Length: 5\r\n{}", "x: y\r\n".repeat(199)))),
        fine("an empty value", &with("Content-Length: 5\r\nx:\r\n")),
        fine("Chunked", &chunks("0\r\n\r\n").replace("chunked", "CHUNKED")),
        fine("chunk extensions", &chunks("0;a;b=c;d=\"e;\\\"\"\r\n\r\n")),
        fine("trailers", &chunks("0\r\nx: y\r\nz:\r\n\r\n")),
        fine(
            "a size in capitals, with zeros",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n005\r\nhello\r\n000\r\n\r\n",
        ),
        fine(
            "hints first",
            &format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{}", line("HTTP/1.1 200 OK")),
        ),
        fine(
            "100 with a length",
            &format!(
                "HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\n{}",
                line("HTTP/1.1 200 OK")
            ),
        ),
        answer("obs-text", obs_text, Then::Stays, Right::Fine(200, "hello")),
        answer(
            "until the end",
            "HTTP/1.1 200 OK\r\n\r\nhello",
            Then::Closes,
            Right::Whole(200, "hello"),
        ),
        answer(
            "HTTP/1.0 until the end",
            "HTTP/1.0 200 OK\r\n\r\nhello",
            Then::Closes,
            Right::Whole(200, "hello"),
        ),
        answer(
            "Connection: close",
            with("Connection: close\r\nContent-Length: 5\r\n"),
            Then::Stays,
            Right::Whole(200, "hello"),
        ),
        answer("HTTP/1.0", line("HTTP/1.0 200 OK"), Then::Stays, Right::Whole(200, "hello")),
    ]
}
