//! Hostile inputs and their mutations through whole exchanges in memory; what came out is judged, and kept for other parsers.
//!
//! The streams go into one file (`tests/compat/run` reads it): a line `Q|R NAME METHODS LENGTHS BYTES`, the bytes, a line
//! end. `Q`: whole requests at an instance; `R`: whole responses at the client.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use coregate_entries::TARGETS;
use coregate_entries::exchange::{Answers, GOOD, Heard, Played, Script, judge, play};
use coregate_strict::{answers, hostile};

const MUTATIONS: u64 = 10_000;
/// Larger inputs are played as they are, not mutated: a mutation of a megabyte is the same megabyte.
const MUTATED_BYTES: usize = 4 * 1024;

/// A small generator, so that a failure can be repeated: splitmix64 (Steele et al. 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Less than `most`; 0 if that is 0.
    fn below(&mut self, most: usize) -> usize {
        (self.next() % most.max(1) as u64) as usize
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// One to four changes; `other` is what a splice takes its second half from.
fn mutate(random: &mut Random, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        let end = (at + 1 + random.below(16)).min(bytes.len());
        match random.below(6) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 | 2 => bytes.insert(at, *random.of(b"\r\n\0 \t")),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => {
                bytes.truncate(at);
                bytes.extend_from_slice(&other[random.below(other.len())..]);
            }
        }
    }
    bytes
}

/// The streams, as other parsers read them.
#[derive(Default)]
struct Streams {
    file: Vec<u8>,
    requests: usize,
    responses: usize,
}

impl Streams {
    /// Plays a script, judges it, keeps the streams. Panics with the name.
    fn add(&mut self, name: &str, script: &Script<'_>) {
        let judged = catch_unwind(AssertUnwindSafe(|| {
            let played = play(script);
            let heard = judge(script, &played);
            (played, heard)
        }));
        match judged {
            Ok((played, heard)) => self.keep(name, &played, &heard),
            Err(_) => panic!("{name}: {}", script.bytes().escape_ascii()),
        }
    }

    fn keep(&mut self, name: &str, played: &Played, heard: &Heard) {
        for upstream in &played.upstreams {
            let requests: Vec<_> =
                upstream.whole.iter().map(|at| &played.given[*at].request).collect();
            let methods: Vec<_> = requests.iter().map(|request| request.method.clone()).collect();
            let lengths: Vec<_> = requests.iter().map(|request| request.body.len()).collect();
            self.requests += requests.len();
            self.write('Q', name, &methods, &lengths, &upstream.bytes[..upstream.whole_bytes]);
        }
        self.responses += heard.methods.len();
        self.write('R', name, &heard.methods, &heard.lengths, &played.client[..heard.bytes]);
    }

    fn write(
        &mut self,
        kind: char,
        name: &str,
        methods: &[String],
        lengths: &[usize],
        data: &[u8],
    ) {
        if methods.is_empty() {
            return;
        }
        let name = name.replace([' ', '\n'], "_");
        let name: String = name.chars().filter(char::is_ascii).collect();
        let lengths: Vec<_> = lengths.iter().map(usize::to_string).collect();
        let size = data.len();
        let line = format!("{kind} {name} {} {} {size}\n", methods.join(","), lengths.join(","));
        self.file.extend_from_slice(line.as_bytes());
        self.file.extend_from_slice(data);
        self.file.push(b'\n');
    }
}

#[test]
fn nothing_malformed_comes_out() {
    let mut streams = Streams::default();
    let rows = hostile::rows();
    let answers = answers::answers();
    assert_eq!(rows.len(), 117);
    for row in &rows {
        let script = Script::plain(&row.bytes);
        streams.add(row.name, &script);
        streams.add(row.name, &Script { client_cuts: 0xFF, ..script });
        streams.add(row.name, &Script { time: true, ..script });
    }
    for answer in &answers {
        let client = format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", answer.method).repeat(2);
        let script = Script::plain(client.as_bytes());
        let script = Script { answer: &answer.bytes, answers: Answers::FirstGiven, ..script };
        streams.add(&answer.name, &script);
        streams.add(&answer.name, &Script { ends: true, answer_cuts: 0xFF, ..script });
    }
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    for (target, _) in TARGETS {
        for file in std::fs::read_dir(corpora.join(target)).unwrap() {
            let path = file.unwrap().path();
            let name = format!("{target}/{}", path.file_name().unwrap().display());
            replay(&mut streams, target, &name, &std::fs::read(&path).unwrap());
        }
    }
    mutations(&mut streams, &rows, &answers);
    assert!(streams.requests > 4_000, "only {} requests came through", streams.requests);
    assert!(streams.responses > 10_000, "only {} responses came back", streams.responses);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("streams");
    std::fs::write(path, streams.file).unwrap();
}

/// An input of another target as a part of an exchange.
fn replay(streams: &mut Streams, target: &str, name: &str, bytes: &[u8]) {
    let get = Script::plain(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    match target {
        "exchange" => {
            if let Some(script) = Script::of(bytes) {
                streams.add(name, &script);
            }
        }
        "request_head" => streams.add(name, &Script::plain(bytes)),
        "response_head" => {
            let script = Script { answer: &bytes[1..], answers: Answers::Given, ends: true, ..get };
            streams.add(name, &script);
        }
        "chunked" => {
            let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
            streams.add(name, &Script::plain(&[&head[..], &bytes[1..]].concat()));
        }
        "path" => {
            let line = [b"GET ", bytes, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
            streams.add(name, &Script::plain(&line));
            let host = [b"GET / HTTP/1.1\r\nHost: ", bytes, b"\r\n\r\n"].concat();
            streams.add(name, &Script::plain(&host));
        }
        _ => {}
    }
}

fn mutations(streams: &mut Streams, rows: &[hostile::Row], answers: &[answers::Answer]) {
    let small = |bytes: &&[u8]| bytes.len() <= MUTATED_BYTES && !bytes.is_empty();
    let requests: Vec<&[u8]> = rows.iter().map(|row| &row.bytes[..]).filter(small).collect();
    let answers: Vec<&[u8]> = answers.iter().map(|row| &row.bytes[..]).filter(small).collect();
    for seed in 0..MUTATIONS {
        let mut random = Random(seed);
        let input = *random.of(&requests);
        let mut client = mutate(&mut random, input, random_of(seed, &requests));
        let answer = match random.below(3) {
            0 => GOOD.to_vec(),
            1 => random.of(&answers).to_vec(),
            _ => {
                // A request that comes through, so that the answer is asked for.
                client.splice(..0, *b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n");
                let input = *random.of(&answers);
                mutate(&mut random, input, random_of(seed, &answers))
            }
        };
        let bits = random.next();
        let script = Script {
            answer: &answer,
            client_cuts: (bits >> 8) as u8,
            answer_cuts: (bits >> 16) as u8,
            answers: if answer == GOOD { Answers::Good } else { Answers::FirstGiven },
            ends: bits & 1 != 0,
            early: bits & 6 == 6,
            client_first: bits & 8 != 0,
            time: bits & 0xF0 == 0,
            ..Script::plain(&client)
        };
        streams.add(&format!("seed-{seed}"), &script);
    }
}

/// Another input, for a splice.
fn random_of<'a>(seed: u64, inputs: &[&'a [u8]]) -> &'a [u8] {
    inputs[Random(!seed).below(inputs.len())]
}
