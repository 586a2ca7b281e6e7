//! Quotas over the wire: how much of a day, over workers, restarts, crashes and upgrades.

use coregate_strict::Response;
use rustix::process::Signal;

use super::{ANN, BOB, ask, get, reason, setup, with_key};
use crate::harness::gateway::Gateway;
use crate::harness::origin::Origin;

/// So many workers that keep their counts, and a service `s`.
fn kept(workers: usize, origin: &Origin, lines: &str) -> Gateway {
    let setup = setup(workers, origin, lines);
    let folder = setup.folder().path("state").display().to_string();
    setup.with(&["--state", &folder]).start()
}

/// An answer that says whether the quota is used up. Where the disk was too slow for that, nothing was counted, and the client is told to come
/// again.
#[track_caller]
fn answered(gateway: &Gateway, path: &str) -> Response {
    let answers = (0..20).map(|_| ask(&mut gateway.client(), get(path, "")));
    let mut told = answers.filter(|answer| reason(answer) != (503, Some("quota_unavailable")));
    told.next().expect("a disk that is ten seconds late")
}

/// How many of so many requests are let in, each on a connection of its own, so that all workers have some; the others are refused
/// because the quota is used up.
#[track_caller]
fn admitted(gateway: &Gateway, path: &str, requests: usize) -> usize {
    let statuses = (0..requests).map(|_| {
        let answer = answered(gateway, path);
        if answer.status != 200 {
            assert_eq!(reason(&answer), (429, Some("quota_exceeded")));
        }
        answer.status
    });
    statuses.filter(|status| *status == 200).count()
}

const ALL: &str = "[routes]\n\"/*\" = { to = \"s\", quota = \"q\" }";

#[test]
fn each_consumer_has_a_count_and_is_told_when_it_begins_anew() {
    let origin = Origin::named("o");
    let gateway = kept(
        1,
        &origin,
        "[quotas.q]\nlimit = 2\nevery = \"day\"\nper = \"consumer\"\ngroups = { gold = 3 }\n\
         [quotas.dry]\nlimit = 1\nevery = \"month\"\nzone = \"Europe/Berlin\"\ndry_run = true\n\
         [routes]\n\"/*\" = { to = \"s\", auth = \"key\", quota = [\"dry\", \"q\"] }",
    );
    let mut client = gateway.client();
    let mut status = |key| ask(&mut client, with_key("/", key)).status;
    assert_eq!([ANN, BOB, ANN, BOB, ANN].map(&mut status), [200; 5]);
    assert_eq!([ANN, BOB].map(&mut status), [429; 2]);
    let refused = ask(&mut client, with_key("/", ANN));
    assert_eq!(reason(&refused), (429, Some("quota_exceeded")));
    let wait: u64 = refused.head.get("retry-after").and_then(|text| text.parse().ok()).unwrap();
    assert!((1..=86_400).contains(&wait), "{wait} s");
}

#[test]
fn two_workers_share_a_count_to_the_token() {
    let origin = Origin::named("o");
    let gateway = kept(2, &origin, &format!("[quotas.q]\nlimit = 40\nevery = \"day\"\n{ALL}"));
    assert_eq!(admitted(&gateway, "/", 60), 40);
}

#[test]
fn a_restart_goes_on_where_the_count_stood() {
    let origin = Origin::named("o");
    let text = format!("[quotas.q]\nlimit = 1000\nevery = \"month\"\n{ALL}");
    let mut gateway = kept(1, &origin, &text);
    assert_eq!(admitted(&gateway, "/", 333), 333);
    gateway.signal(Signal::TERM);
    gateway.start_again();
    assert_eq!(admitted(&gateway, "/", 700), 667, "nothing was lost, and nothing forgotten");
}

#[test]
fn a_crash_loses_at_most_a_lease_and_forgets_nothing() {
    let origin = Origin::named("o");
    let text = format!("[quotas.q]\nlimit = 500\nevery = \"month\"\n{ALL}");
    let mut gateway = kept(2, &origin, &text);
    let mut sum = 0;
    for _ in 0..3 {
        sum += admitted(&gateway, "/", 101);
        gateway.kill_and_start_again();
    }
    assert_eq!(sum, 303);
    sum += admitted(&gateway, "/", 220);
    // A lease is five, and another may have been asked for ahead.
    assert!((500 - 3 * 10..=500).contains(&sum), "{sum} of 500");
}

#[test]
fn what_a_rate_refuses_costs_nothing() {
    let origin = Origin::named("o");
    let gateway = kept(
        1,
        &origin,
        "[quotas.q]\nlimit = 5\nevery = \"day\"\n[routes]\n\
         \"/rate\" = { to = \"s\", quota = \"q\", rate = \"2/h\" }\n\"/*\" = { to = \"s\", quota = \"q\" }",
    );
    let mut client = gateway.client();
    let mut status = |path| ask(&mut client, get(path, "")).status;
    assert_eq!(["/rate"; 5].map(&mut status), [200, 200, 429, 429, 429]);
    assert_eq!(["/"; 4].map(&mut status), [200, 200, 200, 429]);
}

#[test]
fn an_upgrade_goes_on_with_what_is_left() {
    let origin = Origin::named("o");
    let text = format!("[quotas.q]\nlimit = 200\nevery = \"day\"\n{ALL}");
    let mut gateway = kept(1, &origin, &text);
    assert_eq!(admitted(&gateway, "/", 50), 50);
    gateway.upgrade();
    assert_eq!(admitted(&gateway, "/", 160), 150);
}

/// What a command says, with the line that begins with this word.
#[track_caller]
fn line(gateway: &Gateway, words: &[&str], begins: &str) -> String {
    let ended = gateway.command(words);
    let found = ended.output.lines().find(|line| line.starts_with(begins));
    found.unwrap_or_else(|| panic!("no {begins:?}: {ended:?}")).to_owned()
}

#[test]
fn quotas_are_shown_explained_and_begin_anew_for_good() {
    let origin = Origin::named("o");
    let mut gateway = kept(
        1,
        &origin,
        "[quotas.month]\nlimit = 3\nevery = \"month\"\nper = \"consumer\"\n\
         [routes]\n\"/*\" = { to = \"s\", auth = \"key\", quota = \"month\", rate = { limit = \"1000/s\", per = \"consumer\" } }",
    );
    let show = ["limits", "show", "month", "--consumer", "ann"];
    let field = format!("X-Api-Key: {ANN}");
    let explain = ["explain", "GET", "/", "-H", &field];
    assert!(line(&gateway, &["limits", "list"], "month").ends_with("per consumer, 0 in use"));
    for _ in 0..2 {
        assert!(line(&gateway, &show, "consumer ann").contains(": 3 of 3 left until "));
        let said = line(&gateway, &explain, "quota ");
        assert!(said.contains("per consumer ann: 3 of 3 left, anew "), "{said}");
    }
    let spend = |gateway: &Gateway, key| {
        let answers = (0..20).map(|_| ask(&mut gateway.client(), with_key("/", key)));
        let mut told = answers.filter(|answer| answer.status != 503);
        told.next().expect("a disk that is ten seconds late").status
    };
    assert_eq!([ANN, ANN, ANN, ANN].map(|key| spend(&gateway, key)), [200, 200, 200, 429]);
    assert_eq!(spend(&gateway, BOB), 200);
    assert!(line(&gateway, &["limits", "list"], "month").ends_with("per consumer, 2 in use"));
    assert!(line(&gateway, &show, "consumer ann").contains(": 0 of 3 left until "));
    let said = line(&gateway, &explain, "answer ");
    assert!(said.contains("429 quota_exceeded: quota month is used up until "), "{said}");
    assert!(line(&gateway, &explain, "limit ").ends_with("since the request is refused before"));
    let reset = ["limits", "reset", "month", "--consumer", "ann"];
    assert!(line(&gateway, &reset, "consumer ann").contains(": 3 of 3 left until "));
    // What was answered is in the store: not even a crash brings the count back.
    gateway.kill_and_start_again();
    assert_eq!([ANN, ANN, ANN, ANN].map(|key| spend(&gateway, key)), [200, 200, 200, 429]);
    let said = line(&gateway, &["limits", "show", "month", "--consumer", "bob"], "consumer bob");
    assert!(said.contains(": 2 of 3 left until "), "{said}");
}
