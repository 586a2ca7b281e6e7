//! The whole gateway in one test: without a key 401, over the limit 429, without an instance 503, else forwarded.

use serde_json::Value;

use super::{ANN, BOB, ask, gateway, get, metric, reason, with_key};
use crate::harness::gateway::Gateway;
use crate::harness::origin::Origin;

/// The same requests, explained: nothing is taken by that, however often it is asked.
#[track_caller]
fn explained(gateway: &Gateway) {
    let explain = |path: &str, key: &str| -> Value {
        let field = format!("X-Api-Key: {key}");
        let words: &[&str] = match key {
            "" => &["explain", "GET", path, "-o", "json"],
            _ => &["explain", "GET", path, "-H", &field, "-o", "json"],
        };
        let ended = gateway.command(words);
        assert!(!ended.output.contains("-0123456789"), "a key is shown: {ended:?}");
        serde_json::from_str(&ended.output).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
    };
    let refused = |of: &Value| (of["refused"]["status"].as_u64(), of["refused"]["reason"].clone());
    for _ in 0..3 {
        assert_eq!(refused(&explain("/a", "")), (Some(401), "unauthenticated".into()));
        assert_eq!(refused(&explain("/a", ANN)), (Some(429), "rate_limited".into()));
        let bob = explain("/a", BOB);
        assert_eq!(bob["refused"], Value::Null, "{bob}");
        assert_eq!((&bob["outcome"], &bob["auth"]["consumer"]), (&"forward".into(), &"bob".into()));
        assert_eq!(bob["rates"][0]["left"]["remaining"], 1, "{bob}");
    }
    let none = explain("/none/a", ANN);
    assert_eq!(none["services"][0]["instance_count"], 0, "{none}");
}

#[test]
fn the_whole_gateway() {
    let origin = Origin::named("s");
    let gateway = gateway(
        1,
        &origin,
        "[services.empty]\ninstances = []\n[routes]\n\
         \"/*\" = { to = \"s\", auth = \"key\", rate = { limit = \"2/min\", per = \"consumer\" } }\n\
         \"/none/*\" = { to = \"empty\", auth = \"key\" }",
    );
    let mut client = gateway.client();
    let refused = ask(&mut client, get("/a", ""));
    assert_eq!(reason(&refused), (401, Some("unauthenticated")));
    assert_eq!(refused.head.get("www-authenticate"), Some("Key realm=\"coregate\""));
    for left in ["1", "0"] {
        let answer = ask(&mut client, with_key("/a", ANN));
        assert_eq!((answer.status, answer.text().as_str()), (200, "s GET /a"));
        assert_eq!(answer.head.get("ratelimit-remaining"), Some(left));
    }
    let limited = ask(&mut client, with_key("/a", ANN));
    assert_eq!(reason(&limited), (429, Some("rate_limited")));
    assert_eq!(limited.head.get("content-type"), Some("application/problem+json"));
    let wait: u64 = limited.head.get("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    let none = ask(&mut client, with_key("/none/a", ANN));
    assert_eq!(reason(&none), (503, Some("no_healthy_instance")));
    let sent = origin.take();
    assert_eq!(sent.len(), 2);
    for request in sent {
        assert_eq!(request.head.get("x-coregate-consumer"), Some("ann"));
        assert!(!request.head.has("x-api-key"));
    }

    explained(&gateway);
    let rejected =
        |reason: &str| metric(&gateway, &format!("coregate_rejected_total{{reason=\"{reason}\"}}"));
    assert_eq!(["unauthenticated", "rate_limited", "no_healthy_instance"].map(rejected), [1, 1, 1]);
    let decided = |decision: &str| {
        let labels = format!("route=\"/*\",decision=\"{decision}\"");
        metric(&gateway, &format!("coregate_rate_limit_decisions_total{{{labels}}}"))
    };
    assert_eq!(["admitted", "refused", "dry_run"].map(decided), [2, 1, 0]);
    let asked = |result: &str| {
        metric(&gateway, &format!("coregate_authentications_total{{result=\"{result}\"}}"))
    };
    assert_eq!(["known", "missing", "unknown"].map(asked), [4, 1, 0]);
    let stats = gateway.stats();
    assert_eq!(stats.total("authentications.known"), 4);
    assert_eq!((stats.total("rates_admitted"), stats.total("rates_refused")), (2, 1));
    let said = gateway.messages() + &gateway.output() + &gateway.admin("GET", "/metrics").text();
    assert!(!said.contains(ANN), "a key is shown");
}
