//! `coregate drain` and `enable`: an instance gets no new requests, and what it has may finish.

use super::{Slow, stays};
use crate::harness::client::{Peer, get};
use crate::harness::clock::until;
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::{Origin, Reply};
use crate::harness::tunnel::{agreeing, echo, says, switched};

/// Who answers to so many requests, each of them once.
fn answering(client: &mut Peer, requests: usize) -> Vec<String> {
    let first_word = |text: String| text.split(' ').next().unwrap().to_owned();
    let mut all: Vec<_> = (0..requests).map(|_| first_word(client.get("/").text())).collect();
    all.sort();
    all.dedup();
    all
}

#[test]
fn a_drained_instance_finishes_what_it_has() {
    let (slow, other) = (Slow::named("slow"), Origin::named("other"));
    let gateway = Gateway::before(&[slow.address(), other.address()]);
    let mut client = gateway.client();
    assert_eq!(answering(&mut client, 8), ["other", "slow"]);
    // One of the two next goes to it.
    let mut busy: Vec<_> = (0..2).map(|_| gateway.client()).collect();
    busy.iter_mut().for_each(|client| {
        client.send(get("/slow"));
    });
    slow.arrived();
    let said = gateway.done(&["drain", "s", slow.address()]);
    let start =
        format!("s {}: gets no new requests; 1 in flight may finish until ", slow.address());
    assert!(said.starts_with(&start), "{said}");
    assert_eq!(answering(&mut client, 20), ["other"]);
    let report = gateway.command_json(&["drain", "s", slow.address(), "--deadline", "1h"], 0);
    assert_eq!((&report["state"], &report["in_flight"]), (&"draining".into(), &1.into()));
    slow.answer();
    let mut answers: Vec<_> = busy.iter_mut().map(|client| client.response().text()).collect();
    answers.sort();
    assert_eq!(answers, ["other GET /slow", "slow /slow"]);
    until("nothing is in flight", || {
        let report = gateway.command_json(&["drain", "s", slow.address()], 0);
        (report["in_flight"] == 0).then_some(())
    });
    // A reload that leaves it where it is changes nothing of that.
    let service = "timeout = { connect = \"9s\" }";
    gateway.reload(&config("", service, &[slow.address(), other.address()]));
    assert_eq!(answering(&mut client, 20), ["other"]);

    let said = gateway.done(&["enable", "s", slow.address()]);
    assert_eq!(said, format!("s {}: gets requests", slow.address()));
    assert_eq!(answering(&mut client, 8), ["other", "slow"]);
    assert_eq!(gateway.command_json(&["enable", "s", slow.address()], 0)["state"], "enabled");
    assert_eq!(gateway.stats().total("responses_5xx"), 0);
}

#[test]
fn the_deadline_cuts_what_is_left() {
    let (slow, other) = (Slow::named("slow"), agreeing(echo));
    let text = config("", "", &[slow.address()]);
    let both =
        format!("{text}\"/ws\" = \"t\"\n[services.t]\ninstances = [{:?}]\n", other.address());
    let gateway = Setup::run(&both).start();
    let mut busy = gateway.client();
    busy.send(get("/slow"));
    slow.arrived();
    let mut tunnel = switched(gateway.client());
    says(&mut tunnel, "there");
    gateway.done(&["drain", "t", other.address(), "--deadline", "300ms"]);
    gateway.done(&["drain", "s", slow.address(), "--deadline", "300ms"]);
    tunnel.expect_closed();
    let response = busy.response();
    assert_eq!(response.status, 502, "{}", response.head.text());
    until("its end is closed", || (other.closed() == 1).then_some(()));
    slow.answer();
    // It still gets none.
    let response = gateway.client().get("/");
    assert_eq!(response.status, 503);
    assert_eq!(response.head.get("x-coregate-reason"), Some("no_healthy_instance"));
}

/// An answer that has begun is cut: it never looks whole.
#[test]
fn the_deadline_cuts_an_answer_that_has_begun() {
    let origin = Origin::scripted(|peer, _| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun").expect_closed();
    });
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    client.send(get("/"));
    gateway.stats_when("it has begun", |stats| stats.total("body_bytes_out") == 5);
    gateway.done(&["drain", "s", origin.address(), "--deadline", "200ms"]);
    client.expect_cut();
}

#[test]
fn all_drained() {
    let (one, other) = (Origin::named("one"), Origin::named("other"));
    let gateway = Gateway::before(&[one.address(), other.address()]);
    let mut client = gateway.client();
    for origin in [&one, &other] {
        gateway.done(&["drain", "s", origin.address()]);
    }
    for _ in 0..3 {
        let response = client.get("/");
        assert_eq!(response.status, 503);
        assert_eq!(response.head.get("x-coregate-reason"), Some("no_healthy_instance"));
        assert!(!response.closes());
    }
    gateway.done(&["enable", "s", other.address()]);
    assert_eq!(answering(&mut client, 5), ["other"]);
}

/// One that goes and comes again has nothing against it.
#[test]
fn a_drained_instance_that_is_removed_and_added_again() {
    let (one, other) = (Origin::named("one"), Origin::named("other"));
    let both = config("", "", &[one.address(), other.address()]);
    let gateway = Setup::run(&both).start();
    let mut client = gateway.client();
    gateway.done(&["drain", "s", one.address(), "--deadline", "200ms"]);
    assert_eq!(answering(&mut client, 9), ["other"]);
    gateway.reload(&config("", "", &[other.address()]));
    assert_eq!(answering(&mut client, 9), ["other"]);
    let said = gateway.refused(&["enable", "s", one.address()]);
    assert!(said.contains(&format!("has no instance {}", one.address())), "{said}");
    gateway.reload(&both);
    assert_eq!(answering(&mut client, 9), ["one", "other"]);
}

#[test]
fn what_is_not_there() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    for command in ["drain", "enable"] {
        let said = gateway.refused(&[command, "other", origin.address()]);
        assert!(said.contains("there is no service \"other\""), "{said}");
        let said = gateway.refused(&[command, "s", "127.0.0.1:1"]);
        assert!(said.contains("service \"s\" has no instance 127.0.0.1:1"), "{said}");
        let said = gateway.refused(&[command, "s/../x?y#\u{e9}", "unix:/a b/%2F.sock"]);
        assert!(said.contains("there is no service"), "{said}");
        let ended = gateway.command(&[command, "s", "nonsense"]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        let response =
            gateway.admin("POST", &format!("/v1/services/s/instances/nonsense/{command}"));
        assert_eq!(response.status, 404, "{}", response.text());
    }
    let of_it = format!("/v1/services/s/instances/{}/drain", origin.address());
    for query in ["deadline=0s", "deadline=x", "deadlin=1s"] {
        let response = gateway.admin("POST", &format!("{of_it}?{query}"));
        assert_eq!(response.status, 400, "{query}: {}", response.text());
    }
    assert_eq!(gateway.admin("GET", &of_it).status, 405);
    assert_eq!(gateway.client().get("/").status, 200);
}

#[test]
fn an_instance_on_a_unix_socket() {
    let folder = crate::harness::gateway::Folder::new();
    let origin = Origin::serving_unix(&folder.path("o.sock"), |_| Reply::ok("unix"));
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    stays(&mut client, "/", "unix");
    gateway.done(&["drain", "s", origin.address()]);
    assert_eq!(client.get("/").status, 503);
    gateway.done(&["enable", "s", origin.address()]);
    stays(&mut client, "/", "unix");
}

/// A verdict is a word that workers read at each pick: what changes it publishes nothing.
#[test]
fn draining_and_enabling_publish_nothing() {
    let (one, other) = (Origin::named("one"), Origin::named("other"));
    let gateway = Gateway::before(&[one.address(), other.address()]);
    let mut client = gateway.client();
    assert_eq!(answering(&mut client, 8), ["one", "other"]);
    let generation = gateway.generation();
    for _ in 0..10 {
        gateway.done(&["drain", "s", one.address()]);
        assert_eq!(answering(&mut client, 4), ["other"]);
        gateway.done(&["enable", "s", one.address()]);
        assert_eq!(answering(&mut client, 4), ["one", "other"]);
    }
    assert_eq!(gateway.generation(), generation);
    for worker in gateway.view("/v1/workers")["workers"].as_array().unwrap() {
        assert_eq!(worker["generation"], generation);
    }
}
