//! Consumers over the admin listener: what is asked of the registry, and that a key is said once and to one alone.

use coregate_core::policy::credential::KeyDigest;
use coregate_core::snapshot::plan::KeyPlan;

use super::*;
use crate::registry::consumers::{
    Asked, ConsumerOrder, ConsumerOrdered, ConsumerSource, ConsumerView, KeyState, KeyView, Which,
};
use crate::registry::order::Look;

fn ordered() -> Answer {
    let key = |digest: &str| KeyView {
        digest: digest.into(),
        state: KeyState::Valid,
        expires: None,
        source: ConsumerSource::Added,
    };
    let consumer = ConsumerView {
        name: "mobile".into(),
        groups: vec!["gold".into()],
        source: ConsumerSource::Added,
        keys: vec![key("00000000"), key("11111111")],
    };
    let notes = vec!["a note".to_owned()];
    Answer::Consumer(Box::new(ConsumerOrdered { consumer: Some(consumer), durable: true, notes }))
}

/// The order that was asked for.
#[track_caller]
fn order(stage: &Stage) -> ConsumerOrder {
    match stage.process.asked().pop() {
        Some(Question::Consumer(order)) => *order,
        other => panic!("{other:?}"),
    }
}

/// The digest of the key that an answer has, which nothing else of it tells.
#[track_caller]
fn digest_of(heard: &Heard) -> KeyDigest {
    assert_eq!(heard.status, 201, "{heard:?}");
    assert!(heard.head.contains("cache-control: no-store"), "{heard:?}");
    let json = heard.json();
    let key = json["key"].as_str().expect("a key");
    assert!(key.starts_with("cg_") && key.len() == 35, "{key}");
    assert_eq!(heard.body.matches(key).count(), 1);
    assert_eq!((&json["digest"], &json["durable"]), (&"11111111".into(), &true.into()));
    KeyDigest::of(key.as_bytes())
}

#[test]
fn a_key_is_made_and_only_its_digest_goes_on() {
    let stage = Stage::new();
    let body = r#"{"name": "mobile", "groups": ["gold"], "expires": "90d"}"#;
    let mut made = Vec::new();
    for (line, body) in [
        ("POST /v1/consumers", body),
        ("POST /v1/consumers/mobile/keys", "{}"),
        ("POST /v1/consumers/mobile/rotate", r#"{"grace": "1h", "digest": "ABCDEF01"}"#),
    ] {
        stage.process.will_answer(ordered());
        let digest = digest_of(&stage.ask_with(line, body));
        let ConsumerOrder { name, at, what } = order(&stage);
        assert!(name == "mobile" && at > 1_700_000_000, "{name} {at}");
        let KeyPlan { digest: asked, expires } = match what {
            Asked::Add { groups, key } => {
                assert_eq!(groups, ["gold"]);
                key
            }
            Asked::Give(key) => key,
            Asked::Rotate { key, old, until } => {
                assert_eq!((old, until), (Which::One("abcdef01".into()), at + 3_600));
                key
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(asked, digest);
        assert_eq!(expires, (line == "POST /v1/consumers").then_some(at + 90 * 86_400));
        made.push(digest);
    }
    made.sort();
    made.dedup();
    assert_eq!(made.len(), 3, "no two alike");
    stage.process.will_answer(ordered());
    digest_of(&stage.ask("POST /v1/consumers/mobile/rotate"));
    let ConsumerOrder { at, what, .. } = order(&stage);
    assert!(matches!(what, Asked::Rotate { old: Which::All, until, .. } if until == at + 86_400));
}

#[test]
fn keys_are_revoked_and_consumers_removed() {
    let stage = Stage::new();
    for (line, expected) in [
        ("DELETE /v1/consumers/mobile", Asked::Remove),
        ("DELETE /v1/consumers/mobile/keys", Asked::Revoke(Which::All)),
        ("DELETE /v1/consumers/mobile/keys/0123abcd", Asked::Revoke(Which::One("0123abcd".into()))),
    ] {
        stage.process.will_answer(ordered());
        let heard = stage.ask(line);
        assert_eq!((heard.status, &heard.json()["notes"][0]), (200, &"a note".into()));
        assert_eq!(order(&stage).what, expected);
    }
    let wrong = stage.ask("DELETE /v1/consumers/mobile/keys/cg_secret").is_problem(400);
    assert!(!wrong.to_string().contains("secret"), "it may be a key: {wrong}");
}

#[test]
fn what_cannot_be_asked_asks_nothing() {
    let stage = Stage::new();
    for (line, body, expected) in [
        ("POST /v1/consumers", r#"{"name": "a", "key": "x"}"#, "unknown field `key`"),
        ("POST /v1/consumers", r#"{"name": "a", "expires": "0"}"#, "expires \"0\": expected"),
        ("POST /v1/consumers/a/rotate", r#"{"grace": "-1h"}"#, "grace \"-1h\": expected"),
        ("POST /v1/consumers/a/rotate", r#"{"digest": "x"}"#, "8 to 64 hexadecimal digits"),
        ("POST /v1/consumers/a/keys", r#"{"expires": "soon"}"#, "expected a time to come"),
    ] {
        let problem = stage.ask_with(line, body).is_problem(400);
        let detail = problem["detail"].as_str().expect("a detail");
        assert!(detail.contains(expected), "{detail}");
    }
    stage.ask("GET /v1/consumers?names=a").is_problem(400);
    assert!(stage.process.asked().is_empty());
}

#[test]
fn all_of_it_needs_the_token_that_opens_everything() {
    let stage = Stage::new();
    let host = format!("Host: {}\r\nContent-Length: 0\r\n", stage.tcp);
    for line in [
        "GET /v1/consumers",
        "POST /v1/consumers",
        "POST /v1/consumers/a/keys",
        "POST /v1/consumers/a/rotate",
        "DELETE /v1/consumers/a",
        "DELETE /v1/consumers/a/keys",
        "DELETE /v1/consumers/a/keys/01234567",
        "GET /v1/limits",
        "GET /v1/limits/a",
        "POST /v1/limits/a/reset",
    ] {
        stage.ask_tcp(line, &host).is_problem(401);
        stage.ask_tcp(line, &format!("{host}Authorization: Bearer none\r\n")).is_problem(401);
    }
    assert!(stage.process.asked().is_empty());
}

#[test]
fn one_can_be_looked_for() {
    let stage = Stage::new();
    let view = crate::registry::consumers::ConsumersView::default();
    let seen = crate::registry::order::Seen::Consumers(view);
    stage.process.will_answer(Answer::Seen(Box::new(seen)));
    let heard = stage.ask("GET /v1/consumers?name=mobile&limit=5");
    assert_eq!((heard.status, &heard.json()["count"]), (200, &0.into()));
    match stage.process.asked().pop() {
        Some(Question::Look(Look::Consumers { name, page, .. })) => {
            assert_eq!((name.as_deref(), page.most), (Some("mobile"), 5));
        }
        other => panic!("{other:?}"),
    }
}
