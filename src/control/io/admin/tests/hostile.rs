//! Bytes that no friend sends.

use std::io::{Read, Write};

use coregate_core::base::limits;

use super::{Heard, ROOM, Stage};
use crate::io::admin::report::{Answer, MembershipReport};

const CHANGES: &str = "POST /v1/registry/changes";

#[test]
fn bodies_are_bounded() {
    let stage = Stage::new();
    let most = limits::ADMIN_BODY_BYTES;
    // Announced: nothing of it is waited for.
    let announced = format!(
        "{CHANGES} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        most + 1
    );
    Heard::of(stage.unix(), &announced).is_problem(413);
    // Not announced.
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let chunked = format!(
        "{CHANGES} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        chunk.repeat(most / 0x10000 + 1)
    );
    Heard::of(stage.unix(), &chunked).is_problem(413);
    // The largest that is allowed.
    let change = r#"{"changes":[{"action":"register","service":"a","address":"[::1]:1"}]}"#;
    let padded = format!("{}{change}", " ".repeat(most - change.len()));
    stage.process.will_answer(Answer::Membership(MembershipReport::default()));
    assert_eq!(stage.ask_with(CHANGES, &padded).status, 200);
}

#[test]
fn bodies_are_json_or_nothing() {
    let stage = Stage::new();
    for (kind, status) in [
        ("", 415),
        ("Content-Type: text/plain\r\n", 415),
        ("Content-Type: application/x-www-form-urlencoded\r\n", 415),
        ("Content-Type: application/jsonx\r\n", 415),
        ("Content-Type: text/plain\r\nContent-Type: application/json\r\n", 415),
        ("Content-Type: APPLICATION/JSON; charset=utf-8\r\n", 400),
    ] {
        let text = format!(
            "{CHANGES} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{kind}Content-Length: 2\r\n\r\n{{}}"
        );
        Heard::of(stage.unix(), &text).is_problem(status);
    }
    for line in ["POST /v1/config/reload", "GET /v1/status", "POST /v1/config/confirm"] {
        stage.ask_with(line, "{}").is_problem(400);
    }
    assert!(stage.process.asked().is_empty());
}

#[test]
fn wrong_json_is_told_by_its_place() {
    let stage = Stage::new();
    for (body, line, column) in [
        ("{\n  \"changes\": [\n    x", 3, 5),
        ("", 1, 0),
        ("[]", 1, 2),
        (
            "{\"changes\":[{\"action\":\"register\",\"service\":\"a\",\"address\":\"nowhere\"}]}",
            1,
            67,
        ),
        (
            "{\"changes\":[{\"action\":\"explode\",\"service\":\"a\",\"address\":\"[::1]:1\"}]}",
            1,
            31,
        ),
        ("{\"changes\":[], \"more\": 1}", 1, 21),
        ("{\"changes\":[]} {}", 1, 16),
    ] {
        let problem = stage.ask_with(CHANGES, body).is_problem(400);
        let place = (problem["line"].as_u64(), problem["column"].as_u64());
        assert_eq!(place, (Some(line), Some(column)), "{body}: {problem}");
    }
    let deep = "[".repeat(100_000);
    stage.ask_with(CHANGES, &deep).is_problem(400);
    assert!(stage.process.asked().is_empty());
}

#[test]
fn wrong_queries_and_paths_are_refused() {
    let stage = Stage::new();
    for line in [
        "POST /v1/config/reload?confirm=soon",
        "POST /v1/config/reload?confirm=0s",
        "POST /v1/config/reload?confirm=25h",
        "POST /v1/config/reload?confirm",
        "POST /v1/config/reload?confrim=60s",
        "POST /v1/config/reload?confirm=1s&confirm=2s",
        "POST /v1/config/rollback?to=-1",
        "POST /v1/config/rollback?to=99999999999999999999",
        "GET /v1/config/diff?from=a",
        "POST /v1/services/%ff/instances/10.0.0.1:1/drain",
        "POST /v1/services/a/instances/10.0.0.1:1/drain?deadline=1",
    ] {
        stage.ask(line).is_problem(400);
    }
    assert!(stage.process.asked().is_empty());
}

#[test]
fn garbage_ends_its_own_connection_only() {
    let stage = Stage::new();
    let fields = "X: y\r\n".repeat(limits::ADMIN_FIELDS + 1);
    let long = "a".repeat(limits::ADMIN_HEAD_BYTES + 1);
    let garbage: [Vec<u8>; 9] = [
        b"\0\0\0\0".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"GET /livez\r\n\r\n".to_vec(),
        b"GET /livez HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_vec(),
        b"POST /v1/upgrade HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n".to_vec(),
        format!("GET /livez HTTP/1.1\r\n{fields}\r\n").into_bytes(),
        format!("GET /{long} HTTP/1.1\r\n\r\n").into_bytes(),
        vec![b'a'; 100_000],
    ];
    for bytes in garbage {
        let mut stream = stage.unix();
        let _ = stream.write_all(&bytes);
        let mut heard = Vec::new();
        // A reset is an end too.
        let _ = stream.read_to_end(&mut heard);
        let text = String::from_utf8_lossy(&heard);
        assert!(heard.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
    }
    assert_eq!(stage.ask("GET /livez").status, 200);
    assert!(stage.process.asked().is_empty());
}

#[test]
fn a_client_that_leaves_is_no_loss() {
    let stage = Stage::new();
    for text in [
        "",
        "GET",
        "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /v1/upgrade HTTP/1.1\r\nContent-Length: 9\r\n\r\n",
    ] {
        for _ in 0..50 {
            let _ = stage.unix().write_all(text.as_bytes());
        }
    }
    assert_eq!(stage.ask("GET /livez").status, 200);
}

#[test]
fn those_who_hold_tcp_cannot_lock_out_the_unix_socket() {
    let stage = Stage::new();
    // More than can be served: the kernel keeps the rest.
    let mut held: Vec<_> = (0..ROOM.all + 16).map(|_| stage.tcp()).collect();
    for stream in &mut held {
        stream.write_all(b"GET /livez HTTP/1.1\r\n").expect("sent");
    }
    for _ in 0..10 {
        assert_eq!(stage.ask("GET /livez").status, 200);
    }
    // Exactly so many are served at once; one of the places is held by the wait for the next.
    let rest = format!("Host: localhost:{}\r\n\r\n", stage.tcp.port());
    let mut waiting = held.split_off(ROOM.tcp - 1);
    for stream in &mut held {
        stream.write_all(rest.as_bytes()).expect("sent");
        let mut first = [0; 12];
        stream.read_exact(&mut first).expect("an answer");
        assert_eq!(&first, b"HTTP/1.1 200");
    }
    // As they leave, the others come in.
    drop(held);
    for stream in &mut waiting {
        stream
            .write_all(rest.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes())
            .expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        assert!(text.starts_with("HTTP/1.1 200"));
    }
}
