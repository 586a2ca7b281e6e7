//! Judging what came of a script.
//!
//! What the gateway wrote is read by the strict parser. What it should have written is known from two sides: the requests as
//! the gateway's own parser sees them in the client's bytes (that one is judged by `heads.rs` and `chunked.rs`), and the
//! answers as the strict parser sees them.

use bytes::BytesMut;
use coregate_core::base::limits;
use coregate_core::http::body::BodyReader;
use coregate_core::http::framing::BodyIn;
use coregate_core::http::head::Head;
use coregate_core::http::parse::{self, RequestLimits};
use coregate_strict::{Fault, Framing, Reader, Response};

use super::{Answers, GOOD, Given, Played, Script};
use crate::shown;

/// A request in the client's bytes.
#[derive(Debug)]
struct Asked {
    method: Vec<u8>,
    target: Vec<u8>,
    body: Vec<u8>,
    whole: bool,
    http10: bool,
    keep_alive: bool,
    length: Option<u64>,
}

/// What an answer is, read strictly.
#[derive(Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A whole response, perhaps with more behind it.
    Whole {
        /// Its status.
        status: u16,
        /// Its body.
        body: Vec<u8>,
    },
    /// It stops in the middle.
    Truncated,
    /// Not what a careful sender writes; a gateway may take it or not.
    Odd,
}

/// The whole final responses that the client got.
#[derive(Debug, Default)]
pub struct Heard {
    /// How many bytes they are, interim responses between them included.
    pub bytes: usize,
    /// The method that each answers; `GET` where the request was not understood.
    pub methods: Vec<String>,
    /// The length of each body.
    pub lengths: Vec<usize>,
}

/// Panics if anything is wrong with it.
pub fn judge(script: &Script<'_>, played: &Played) -> Heard {
    let asked = asked(script.client);
    requests(script, &asked, played);
    responses(script, &asked, played)
}

/// The requests in the client's bytes, up to the first that is not whole.
fn asked(client: &[u8]) -> Vec<Asked> {
    let mut head = Head::with_capacity(limits::PAGE_SMALL_BYTES);
    head.page = BytesMut::from(client);
    let mut all = Vec::new();
    while let Ok(Some(request)) = parse::request(&mut head, &RequestLimits::default()) {
        let mut reader = BodyReader::new(request.body);
        let mut rest = head.page[request.head_len..].to_vec();
        let taken = reader.take(&mut rest).ok();
        let whole = taken.is_some() && reader.is_done();
        let (data, consumed) = taken.map_or((0, 0), |taken| (taken.data, taken.consumed));
        all.push(Asked {
            method: head.bytes(request.method_at).to_vec(),
            target: request.target(&head).to_vec(),
            body: rest[..data].to_vec(),
            whole,
            http10: request.http10,
            keep_alive: request.keep_alive,
            length: match request.body {
                BodyIn::Length(length) => Some(length),
                BodyIn::None | BodyIn::Chunked | BodyIn::Close => None,
            },
        });
        if !whole {
            break;
        }
        head.consume(request.head_len + consumed);
    }
    all
}

/// What reached the instance is what was asked, in order; a request may come again, but none that was not whole is whole here.
fn requests(script: &Script<'_>, asked: &[Asked], played: &Played) {
    let mut last = 0;
    for given in &played.given {
        were_sent(script.client, &given.request.trailers);
        let same = |asked: &Asked| is_same(asked, given);
        let found = asked[last.min(asked.len())..].iter().position(same);
        let Some(further) = found else {
            panic!(
                "nobody asked for {}, from {}",
                shown(&given.request.head.raw),
                shown(script.client)
            );
        };
        last += further;
    }
    for upstream in played.upstreams.iter().filter(|upstream| upstream.raw) {
        let rest = &upstream.bytes[upstream.whole_bytes..];
        assert!(stands_in(script.client, rest), "in a tunnel: {}", shown(rest));
    }
}

/// Whether a piece is what was sent, and not made up.
fn stands_in(sent: &[u8], piece: &[u8]) -> bool {
    piece.is_empty() || sent.windows(piece.len()).any(|window| window == piece)
}

/// Trailers are not made up either.
fn were_sent(sent: &[u8], trailers: &[(String, String)]) {
    let bytes = |text: &str| text.chars().map(|c| c as u8).collect::<Vec<_>>();
    for (name, value) in trailers {
        let both = stands_in(sent, &bytes(name)) && stands_in(sent, &bytes(value));
        assert!(both, "trailer {name}: {value} from {}", shown(sent));
    }
}

fn is_same(asked: &Asked, given: &Given) -> bool {
    let request = &given.request;
    let framed = match (request.framing, asked.length) {
        (Framing::Length(0) | Framing::None | Framing::Chunked, None) => true,
        (Framing::Length(sent), Some(length)) => sent == length,
        _ => false,
    };
    asked.method == request.method.as_bytes()
        && asked.target == request.target.as_bytes()
        && framed
        && !request.http10
        && (!given.whole || (asked.whole && asked.body == request.body))
}

/// What reached the client is whole responses, one a request and in order; the last may be cut, but visibly.
fn responses(script: &Script<'_>, asked: &[Asked], played: &Played) -> Heard {
    let mut heard = Heard::default();
    let mut reader = Reader::new(&played.client[..]);
    let mut finals = 0;
    let mut own = 0;
    let mut last = None;
    loop {
        let to_head = asked.get(finals).is_some_and(|asked| asked.method == b"HEAD");
        let response = match reader.response(to_head) {
            Ok(response) => response,
            Err(Fault::Closed) => break,
            // Everything has ended: whoever reads on sees that this did not come to its end.
            Err(Fault::Truncated) => return heard,
            Err(fault) => panic!("at the client: {fault}: {}", shown(&played.client)),
        };
        if response.status == 101 {
            switched(script, played, &reader);
            return heard;
        }
        if response.status < 200 {
            continue;
        }
        assert!(finals <= asked.len(), "answers nobody asked for: {}", shown(&played.client));
        match response.head.has("via") {
            true => relayed(script, asked, finals, played, &response),
            false => {
                own += 1;
                is_own(&response, played);
            }
        }
        if response.framing != Framing::Close || !played.reset {
            let method = asked.get(finals).map_or(&b"GET"[..], |asked| &asked.method);
            heard.bytes = played.client.len() - reader.stream.len() - reader.buffered().len();
            heard.methods.push(coregate_strict::latin1(method));
            heard.lengths.push(response.body.len());
        }
        finals += 1;
        last = Some(response);
    }
    // Only a reset tells an end by the connection from a cut.
    if let Some(last) = last.filter(|last| last.framing == Framing::Close) {
        let cut = played.rejects > own;
        assert!(!cut || played.reset, "a cut that looks whole: {}", shown(&last.head.raw));
    }
    all_answered(script, asked, finals, played);
    heard
}

/// A tunnel: only where one was asked for and given, and what comes through it is the instance's.
fn switched(script: &Script<'_>, played: &Played, reader: &Reader<&[u8]>) {
    assert!(played.upstreams.iter().any(|upstream| upstream.raw), "{}", shown(&played.client));
    let rest =
        &played.client[played.client.len() - reader.stream.len() - reader.buffered().len()..];
    assert!(stands_in(script.answer, rest), "in a tunnel: {}", shown(&played.client));
}

/// An answer of the gateway's own is an error and says what it is, or tells what may be asked (RFC 9110 §7.6.2).
fn is_own(response: &Response, played: &Played) {
    if response.status == 204 && response.head.has("allow") {
        return;
    }
    assert!(response.status >= 400, "{}", shown(&played.client));
    assert_eq!(response.head.get("content-type"), Some("application/problem+json"));
}

/// A whole answer of the instance's is one that it gave whole, to this request.
fn relayed(
    script: &Script<'_>,
    asked: &[Asked],
    number: usize,
    played: &Played,
    response: &Response,
) {
    let Some(asked) = asked.get(number) else {
        panic!("an instance's answer to no request: {}", shown(&played.client));
    };
    let to_head = asked.method == b"HEAD";
    assert!(asked.http10 || response.framing != Framing::Close, "{}", shown(&played.client));
    were_sent(script.answer, &response.trailers);
    let mut given = played.given.iter().filter(|given| is_same(asked, given));
    let fits = given.any(|given| match given.good {
        None => false,
        Some(true) => {
            response.status == 200 && response.body == if to_head { &b""[..] } else { b"fine" }
        }
        Some(false) => match meaning(script.answer, to_head) {
            Meaning::Whole { status, body } => (response.status, &response.body) == (status, &body),
            // Cut where an end by the connection would have looked alike: see `played.reset`.
            Meaning::Truncated => response.framing == Framing::Close && played.reset,
            Meaning::Odd => true,
        },
    });
    assert!(fits, "{} from {}", shown(&played.client), shown(script.answer));
}

/// What an answer is: interim responses and a final one.
pub fn meaning(answer: &[u8], to_head: bool) -> Meaning {
    let mut reader = Reader::new(answer);
    loop {
        return match reader.response(to_head) {
            Ok(Response { status: 101, .. }) => Meaning::Odd,
            Ok(Response { status: 100..200, .. }) => continue,
            Ok(Response { status, body, .. }) => Meaning::Whole { status, body },
            Err(Fault::Closed | Fault::Truncated) => Meaning::Truncated,
            Err(_) => Meaning::Odd,
        };
    }
}

/// Where everybody behaves, nobody goes without an answer.
fn all_answered(script: &Script<'_>, asked: &[Asked], finals: usize, played: &Played) {
    let behaves = script.answers == Answers::Good || script.answer == GOOD;
    if !behaves || script.ends || script.early {
        return;
    }
    let mut due = 0;
    for asked in asked.iter().take_while(|asked| asked.whole) {
        due += 1;
        // No route takes `*`; one that waits for a 100 then ends the connection, rightly.
        if !asked.keep_alive || asked.target == b"*" {
            break;
        }
    }
    assert!(finals >= due, "{finals} answers to {due} requests: {}", shown(&played.client));
}
