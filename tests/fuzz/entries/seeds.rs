//! Seeds: small inputs for every target, from the tables of hostile requests and broken answers and from well-formed messages.
//!
//! `cargo run -p coregate-entries --example seeds` writes them into `tests/fuzz/corpus`, where they are committed.

use std::collections::BTreeMap;

use coregate_strict::answers::answers;
use coregate_strict::hostile::rows;

use crate::exchange::{Answers, Script};

/// What a seed may measure, in bytes: large ones make every run slow.
const SEED_BYTES: usize = 600;

/// Inputs by target and name.
pub type Seeds = BTreeMap<(&'static str, String), Vec<u8>>;

/// Well-formed requests.
const REQUESTS: [&str; 12] = [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /a HTTP/1.1\r\nHost: a:80\r\nAccept: */*\r\n\r\n",
    "GET /a/./b/../c%2F%7e?q={x}&y=%20 HTTP/1.1\r\nHost: Shop.Example.com.\r\n\r\n",
    "GET http://b:8080?x HTTP/1.1\r\nHost: a\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "PUT /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nConnection: TE, x\r\nX: 1\r\n\r\n1;a=\"b\"\r\nx\r\n0\r\nSum: 1\r\n\r\n",
    "PUT /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
];

/// Well-formed answers.
const ANSWERS: [&str; 8] = [
    "HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 9\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Sum\r\n\r\n0\r\nSum: 1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: close\r\n\r\nhello",
    "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nraw",
];

/// Configuration files in few words; longer ones lie in `tests/data`.
const CONFIGS: [&str; 11] = [
    "'/a' = 'a'",
    "'GET,POST /a/{b}/{c*}' = { to = 'a', rewrite = '/{c}/{b}', name = 'n', priority = -1 }",
    "'/a' = { split = { a = '99.9%', b = '0.1%' }, timeout.connect = '1s', limits.body = '1KiB' }",
    "'/a' = [{ respond = 204, when.header.x = '1' }, { respond = { status = 404, body = 'x', headers.y = 'z' } }]",
    "'/a' = { redirect = { to = 'https://{host}{path}?a', status = 301 }, when.query.v.regex = '^2' }",
    "'/*' = { path_regex = '^/[a-z]+$', priority = 1, to = 'a' }\n[routes.'*.b']\n'/c/*' = { to = 'a', strip_prefix = '/c' }",
    "'/a' = { redirect = '/b' }\n'/b' = { redirect = '/a' }\n[[tests]]\nrequest = 'GET https://c/a'\nexpect = { route = '/a', status = 307, location = '/b' }",
    "'/a' = { to = 'a', auth = 'key', allow = ['group:g', 'c'], deny = 'd', rate = ['5/s', 'r'] }\n[consumers.c]\ngroups = ['g']\nkeys = [{ env = 'K', expires = '2099-01-31T00:00:00Z' }]\n[rates]\nr = '20/15min'",
    "'/a' = { to = 'a', auth = 'p', rate = 'r' }\n[auth.p]\nkey = [{ header = 'x-k' }, { query = 'k' }, { cookie = 'k' }]\nrealm = 'p'\nforward = true\n[rates.r]\nlimit = '5/min'\nburst = 9\ncost = 2\nper = ['consumer', 'route']\ngroups = { g = '9/s' }",
    "'/a' = { to = 'a', rate = { limit = '1/day', per = ['address/24/64', 'header:x-t'], cost = { answer = 'x-c' }, scope = 'worker', dry_run = true } }",
    "'/a' = { to = 'a', auth = false, rate = [] }\n[defaults.route]\nauth = 'key'\nallow = ['c']\nrate = '9/h'",
];

/// All seeds.
pub fn seeds() -> Seeds {
    let mut all = Seeds::new();
    heads(&mut all);
    chunks(&mut all);
    framings(&mut all);
    paths(&mut all);
    proxy_headers(&mut all);
    exchanges(&mut all);
    configs(&mut all);
    all.retain(|_, bytes| bytes.len() <= SEED_BYTES);
    all
}

fn put(all: &mut Seeds, target: &'static str, name: &str, bytes: impl AsRef<[u8]>) {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let mut slug: String = name.chars().map(plain).collect();
    while all.contains_key(&(target, slug.clone())) {
        slug.push('x');
    }
    all.insert((target, slug), bytes.as_ref().to_vec());
}

/// Everything up to the empty line.
fn head_of(bytes: &[u8]) -> &[u8] {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    end.map_or(bytes, |end| &bytes[..end + 4])
}

fn heads(all: &mut Seeds) {
    for (at, request) in REQUESTS.iter().enumerate() {
        put(all, "request_head", &format!("good {at}"), head_of(request.as_bytes()));
    }
    for row in rows().iter().filter(|row| !row.name.starts_with("chunk")) {
        put(all, "request_head", row.name, head_of(&row.bytes));
    }
    let flagged = |at: usize, bytes: &[u8]| [&[at as u8 & 3][..], bytes].concat();
    for (at, answer) in ANSWERS.iter().enumerate() {
        let head = head_of(answer.as_bytes());
        put(all, "response_head", &format!("good {at}"), flagged(at, head));
    }
    for (at, answer) in answers().iter().enumerate() {
        let told = ["chunk", "ended", "reset"].iter().any(|word| answer.name.starts_with(word));
        if !told {
            put(all, "response_head", &answer.name, flagged(at, head_of(&answer.bytes)));
        }
    }
}

fn chunks(all: &mut Seeds) {
    let bodies = rows().into_iter().map(|row| (row.name.to_owned(), row.bytes));
    let answers = answers().into_iter().map(|answer| (answer.name, answer.bytes));
    for (at, (name, bytes)) in bodies.chain(answers).enumerate() {
        if name.contains("chunk") || name.contains("trailer") {
            let body = &bytes[head_of(&bytes).len()..];
            put(all, "chunked", &name, [&[at as u8][..], body].concat());
        }
    }
}

fn framings(all: &mut Seeds) {
    let lines = [
        "",
        "L5",
        "L0",
        "L5\nL5",
        "L+5",
        "L5, 5",
        "L007",
        "L999999999999999999",
        "L1000000000000000000",
        "Tchunked",
        "TChunked",
        "Tgzip, chunked",
        "Tchunked\nTchunked",
        "L5\nTchunked",
        "T",
        "L",
    ];
    for (at, line) in lines.iter().enumerate() {
        for kind in [0u8, 4 + (at as u8 & 3)] {
            let status: u16 = [100, 4, 104, 204][at & 3];
            let head = [&[kind][..], &status.to_be_bytes()].concat();
            put(all, "framing", &format!("{kind} {line}"), [&head, line.as_bytes()].concat());
        }
    }
}

fn paths(all: &mut Seeds) {
    let texts = [
        "/",
        "/a/b",
        "/a/./b/../c",
        "/..",
        "/a/../..",
        "/%2e%2E/a",
        "/a/%2e",
        "/a//../b",
        "/%2F%5c",
        "/%00",
        "/%7f",
        "/%zz",
        "/%",
        "/a\\b",
        "/?a\\b",
        "/{a}|b?<c>",
        "/a?b/../c",
        "/a#b",
        "/...",
        "/.a./..b",
        "*",
        "a",
        "A.Example:80",
        "a.",
        "a..",
        "[::1]:443",
        "[::FFFF:1.2.3.4]",
        "[::1",
        "a:99999",
        "a:",
        "u@a",
        "my_app:08",
        "%41",
    ];
    for (at, text) in texts.iter().enumerate() {
        put(all, "path", &format!("{at} {text}"), text);
    }
}

fn proxy_headers(all: &mut Seeds) {
    let lines = [
        "PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n",
        "PROXY TCP6 2001:db8::7 ::1 1 65535\r\nGET",
        "PROXY TCP6 ::ffff:192.0.2.7 ::1 0 0\r\n",
        "PROXY UNKNOWN\r\n",
        "PROXY UNKNOWN ff \u{e4} x\r\n",
        "PROXY UNKNOWNx\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 051234 443\r\n",
        "PROXY TCP4 192.0.2.07 198.51.100.1 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r",
        "PROX",
    ];
    for (at, line) in lines.iter().enumerate() {
        put(all, "proxy_header", &format!("{at} {}", &line[..line.len().min(14)]), line);
    }
    let signature = b"\r\n\r\n\0\r\nQUIT\n";
    let header = |command: u8, family: u8, block: &[u8]| {
        let length = (block.len() as u16).to_be_bytes();
        [&signature[..], &[command, family], &length, block].concat()
    };
    let v4 = [192, 0, 2, 7, 198, 51, 100, 1, 0xC8, 0x22, 1, 0xBB];
    let tlv = [&v4[..], &[4, 0, 2, 1, 2]].concat();
    let unchecked = [&v4[..], &[3, 0, 4, 0, 0, 0, 0]].concat();
    let mut checked = header(0x21, 0x11, &unchecked);
    let place = checked.len() - 4;
    let checksum = crate::proxy_header::crc32c(&checked);
    checked[place..].copy_from_slice(&checksum.to_be_bytes());
    for (name, bytes) in [
        ("v4", header(0x21, 0x11, &v4)),
        ("v4 and a tlv", header(0x21, 0x11, &tlv)),
        ("v4 and a checksum", checked),
        ("v4 and a wrong checksum", header(0x21, 0x11, &unchecked)),
        ("v4 too short", header(0x21, 0x11, &v4[..11])),
        ("v4 tlv cut", header(0x21, 0x11, &tlv[..16])),
        ("v6", header(0x21, 0x21, &[1; 36])),
        ("unix", header(0x21, 0x31, &[2; 216])),
        ("local", header(0x20, 0, &[])),
        ("local and more", header(0x20, 0x11, &v4)),
        ("unspec", header(0x21, 0, &v4)),
        ("datagrams", header(0x21, 0x12, &v4)),
        ("family", header(0x21, 0x41, &v4)),
        ("version 1", header(0x11, 0x11, &v4)),
        ("command 2", header(0x22, 0x11, &v4)),
        ("long", header(0x21, 0x11, &[0; 537])),
        ("half", signature[..7].to_vec()),
    ] {
        put(all, "proxy_header", &format!("v2 {name}"), bytes);
    }
}

fn exchanges(all: &mut Seeds) {
    let good =
        |client: &[u8], cuts: u8| Script { client_cuts: cuts, ..Script::plain(client) }.bytes();
    for (at, two) in REQUESTS.windows(2).enumerate() {
        put(all, "exchange", &format!("good {at}"), good(two.concat().as_bytes(), at as u8 * 17));
    }
    tunnels(all);
    for (at, row) in rows().iter().enumerate().filter(|(at, _)| at % 4 == 0) {
        put(all, "exchange", row.name, good(&row.bytes, at as u8));
    }
    let given = ANSWERS.iter().map(|answer| ("good answer".to_owned(), answer.as_bytes().to_vec()));
    let broken = answers().into_iter().map(|answer| (answer.name, answer.bytes));
    for (at, (name, answer)) in given.chain(broken.step_by(4)).enumerate() {
        let at = at as u8;
        let client = [REQUESTS[usize::from(at) % 12], REQUESTS[0]].concat();
        let script = Script {
            answer: &answer,
            answer_cuts: at.wrapping_mul(7),
            answers: [Answers::Given, Answers::FirstGiven, Answers::FirstGood][usize::from(at) % 3],
            ends: at & 1 == 0,
            early: at & 2 == 0,
            client_first: at & 4 == 0,
            time: at & 15 == 7,
            ..Script::plain(client.as_bytes())
        };
        put(all, "exchange", &name, script.bytes());
    }
}

fn tunnels(all: &mut Seeds) {
    let asks = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    let gives =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nfrom here";
    for flags in 0..8u8 {
        let client = format!("{asks}{}", ["", "to there"][usize::from(flags & 1)]);
        let script = Script {
            answer: gives,
            answers: Answers::Given,
            client_cuts: flags * 3,
            answer_cuts: flags * 5,
            ends: flags & 2 != 0,
            client_first: flags & 4 != 0,
            time: flags == 1,
            ..Script::plain(client.as_bytes())
        };
        put(all, "exchange", &format!("tunnel {flags}"), script.bytes());
    }
    let options = "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n";
    put(all, "exchange", "max forwards", Script::plain(options.as_bytes()).bytes());
    put(all, "request_head", "max forwards", options);
}

fn configs(all: &mut Seeds) {
    let start =
        "listen = '127.0.0.1:0'\nservices = { a.instances = [], b.instances = ['127.0.0.1:1'] }";
    for (at, routes) in CONFIGS.iter().enumerate() {
        put(all, "config", &format!("routes {at}"), format!("{start}\n[routes]\n{routes}\n"));
    }
}
