//! Replays every corpus, and holds the judge itself to account.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::{Path, PathBuf};

use coregate_entries::exchange::{Answers, Meaning, Script, judge, meaning, play};
use coregate_entries::{TARGETS, seeds};

fn corpus(target: &str) -> Vec<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![here.join("../corpus").join(target)];
    if target == "config" {
        // Written for other tests, and not copied: who adds one there adds it here.
        folders
            .extend(["config/broken", "examples"].map(|name| here.join("../../data").join(name)));
    }
    folders.iter().flat_map(|folder| files_under(folder)).collect()
}

/// A configuration of several files is a folder.
fn files_under(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder);
    let entries = entries.unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_under(&path) } else { vec![path] }).collect()
}

#[test]
fn every_input_of_every_corpus_passes() {
    for (target, entry) in TARGETS {
        let files = corpus(target);
        assert!((20..400).contains(&files.len()), "{target}: {} inputs", files.len());
        for file in files {
            let input = std::fs::read(&file).unwrap();
            // What fuzzers keep is small; what was written for other tests is as long as those need it.
            let is_kept = file.components().any(|part| part.as_os_str() == "corpus");
            assert!(input.len() <= 4096 || !is_kept, "{}: {} bytes", file.display(), input.len());
            if std::panic::catch_unwind(|| entry(&input)).is_err() {
                panic!("{target}: {}", file.display());
            }
        }
    }
}

#[test]
fn the_seeds_are_in_the_corpora() {
    for ((target, name), bytes) in seeds::seeds() {
        let file = corpus(target).into_iter().find(|path| path.ends_with(&name));
        let file = file.unwrap_or_else(|| panic!("{target}/{name} is missing: write the seeds"));
        assert_eq!(std::fs::read(file).unwrap(), bytes, "{target}/{name}");
    }
}

/// Whether the judge objects once `spoil` has been at what came of two requests.
#[track_caller]
fn objects(script: &Script<'_>, spoil: impl Fn(&mut Vec<u8>)) -> bool {
    let mut played = play(script);
    judge(script, &played);
    spoil(&mut played.client);
    let judged = std::panic::AssertUnwindSafe(|| judge(script, &played));
    std::panic::catch_unwind(judged).is_err()
}

fn replace(bytes: &mut Vec<u8>, from: &str, to: &str) {
    let at = bytes.windows(from.len()).position(|piece| piece == from.as_bytes()).unwrap();
    bytes.splice(at..at + from.len(), to.bytes());
}

const TWO: &[u8] =
    b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";

/// A judge that never objects proves nothing.
#[test]
fn the_judge_objects() {
    let script = Script::plain(TWO);
    assert!(!objects(&script, |_| {}));
    assert!(objects(&script, |client| replace(client, "fine", "evil")));
    assert!(objects(&script, |client| replace(client, "HTTP/1.1 200", "HTTP/1.1 201")));
    assert!(objects(&script, |client| replace(client, "Content-Length: 4", "Content-Length:4 4")));
    assert!(objects(&script, |client| replace(client, "\r\n\r\nfine", "\r\n\r\nfin")));
    assert!(objects(&script, |client| client.extend_from_slice(&client.clone())));
    assert!(objects(&script, |client| client.truncate(client.len() / 2)));
    let cut = Script {
        answer: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
        answers: Answers::Given,
        ends: true,
        ..Script::plain(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
    };
    assert!(!objects(&cut, |_| {}));
    assert!(objects(&cut, |client| client.extend_from_slice(b"0\r\n\r\n")));
    assert!(!objects(&cut, |client| client.truncate(20)));
}

#[test]
fn the_judge_wants_a_reset_where_an_end_is_the_end() {
    let old = Script {
        answer: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
        answers: Answers::Given,
        ends: true,
        ..Script::plain(b"GET /1 HTTP/1.0\r\n\r\n")
    };
    let mut played = play(&old);
    judge(&old, &played);
    assert!(played.reset);
    played.reset = false;
    assert!(
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| judge(&old, &played))).is_err()
    );
}

#[test]
fn answers_have_one_meaning() {
    let whole = |status, body: &str| Meaning::Whole { status, body: body.into() };
    let five = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(meaning(five, false), whole(200, "hello"));
    assert_eq!(meaning(five, true), whole(200, ""));
    assert_eq!(meaning(&five[..five.len() - 1], false), Meaning::Truncated);
    assert_eq!(meaning(b"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 204 No\r\n\r\n", false), whole(204, ""));
    assert_eq!(meaning(b"HTTP/1.1 100 Go\r\n\r\n", false), Meaning::Truncated);
    assert_eq!(meaning(b"HTTP/1.1 200 OK\nx: y\n\n", false), Meaning::Odd);
}
