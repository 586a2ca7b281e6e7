//! `coregate history`, `diff`, `rollback`, `reload --confirm` and `confirm`.

use serde_json::Value;

use super::stays;
use crate::harness::clock::until;
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::Origin;

/// The history as numbers and what became of each, the newest first.
fn states(gateway: &Gateway) -> Vec<(u64, String)> {
    let history = gateway.view("/v1/config/history");
    let all = history["history"].as_array().unwrap().iter();
    all.map(|one| {
        (one["number"].as_u64().unwrap(), one["state"]["is"].as_str().unwrap().to_owned())
    })
    .collect()
}

#[track_caller]
fn check_states(gateway: &Gateway, expected: &[(u64, &str)]) {
    let states = states(gateway);
    let states: Vec<_> = states.iter().map(|(number, is)| (*number, is.as_str())).collect();
    assert_eq!(states, expected);
}

/// A configuration whose only route is this one.
fn routed(origin: &Origin, path: &str) -> String {
    config("", "", &[origin.address()]).replace("/*", path)
}

/// Which of these paths have a route.
#[track_caller]
fn check_routes(gateway: &Gateway, has: &[&str], has_not: &[&str]) {
    let mut client = gateway.client();
    has.iter().for_each(|path| stays(&mut client, path, &format!("o GET {path}")));
    has_not.iter().for_each(|path| assert_eq!(client.get(path).status, 404, "{path}"));
}

#[test]
fn what_was_applied_can_be_listed_compared_and_gone_back_to() {
    let origin = Origin::named("o");
    let gateway = Setup::run(&routed(&origin, "/one")).start();
    let nothing = gateway.refused(&["rollback"]);
    assert!(nothing.contains("no configuration before"), "{nothing}");
    assert!(gateway.refused(&["diff"]).contains("no configuration before"));
    gateway.reload(&routed(&origin, "/two"));
    gateway.reload(&routed(&origin, "/three"));
    check_states(&gateway, &[(3, "current"), (2, "superseded"), (1, "superseded")]);

    let list = gateway.done(&["history"]);
    let lines: Vec<_> = list.lines().collect();
    assert_eq!(lines.len(), 4, "{list}");
    assert!(lines[1].trim_start().starts_with("3 ") && lines[1].ends_with("current"), "{list}");
    assert!(lines[3].contains("start"), "{list}");
    let diff = gateway.done(&["diff"]);
    assert!(diff.contains("-\"/two\" = \"s\"") && diff.contains("+\"/three\" = \"s\""), "{diff}");
    let diff = gateway.done(&["diff", "1", "3"]);
    assert!(diff.contains("-\"/one\" = \"s\"") && diff.contains("+\"/three\" = \"s\""), "{diff}");
    let diff = gateway.done(&["diff", "3", "1"]);
    assert!(diff.contains("+\"/one\" = \"s\""), "{diff}");
    let diff = gateway.command_json(&["diff", "1"], 0);
    assert_eq!((&diff["from"], &diff["to"]), (&1.into(), &3.into()));
    assert_eq!(diff["changes"]["routes"]["removed"][0]["name"], "/one");

    let back = gateway.done(&["rollback"]);
    assert!(back.contains("+ route /two -> s") && back.contains("- route /three"), "{back}");
    check_routes(&gateway, &["/two"], &["/one", "/three"]);
    check_states(
        &gateway,
        &[(4, "current"), (3, "taken_back"), (2, "superseded"), (1, "superseded")],
    );
    // Once more goes one further back, and then there is no more.
    let back = gateway.done(&["rollback"]);
    assert!(back.contains("+ route /one -> s") && back.contains("- route /two"), "{back}");
    check_routes(&gateway, &["/one"], &["/two", "/three"]);
    assert!(gateway.refused(&["rollback"]).contains("no configuration before"));
    // To a number, and forth again.
    gateway.done(&["rollback", "3"]);
    check_routes(&gateway, &["/three"], &["/one", "/two"]);
    for unknown in ["0", "99"] {
        let said = gateway.refused(&["rollback", unknown]);
        assert!(said.contains(&format!("number {unknown} is not in the history")), "{said}");
        assert!(gateway.refused(&["diff", unknown]).contains("is not in the history"));
    }
    // To the one that runs: nothing to do, and no new entry.
    let entries = states(&gateway).len();
    let current = states(&gateway)[0].0.to_string();
    assert!(gateway.done(&["rollback", &current]).starts_with("nothing changed"));
    assert_eq!(states(&gateway).len(), entries);
    // The file is as it was, and a reload takes it again.
    assert_eq!(gateway.reload(&routed(&origin, "/three")), [""; 0]);
}

#[test]
fn what_is_not_confirmed_is_taken_back() {
    let origin = Origin::named("o");
    let gateway = Setup::run(&routed(&origin, "/one")).start();
    let mut client = gateway.client();
    stays(&mut client, "/one", "o GET /one");
    gateway.write(&routed(&origin, "/two"));
    let output = gateway.done(&["reload", "--confirm", "1s"]);
    assert!(output.contains("taken back at ") && output.contains("coregate confirm"), "{output}");
    gateway.says("not confirmed in time: going back to number 1");
    until("it is back", || (client.get("/one").status == 200).then_some(()));
    assert_eq!(client.get("/two").status, 404);
    check_states(&gateway, &[(3, "current"), (2, "taken_back"), (1, "superseded")]);
    let history = gateway.view("/v1/config/history");
    assert_eq!(history["history"][0]["origin"], "unconfirmed");
    assert!(gateway.refused(&["confirm"]).contains("nothing to confirm"));
    assert_eq!(gateway.view("/v1/config")["pending"], Value::Null);
    // What was never confirmed is not what a rollback goes back to.
    assert!(gateway.refused(&["rollback"]).contains("no configuration before"));
}

#[test]
fn what_is_confirmed_stays() {
    let origin = Origin::named("o");
    let gateway = Setup::run(&routed(&origin, "/one")).start();
    gateway.write(&routed(&origin, "/two"));
    let report = gateway.command_json(&["reload", "--confirm", "1h"], 0);
    assert!(report["confirm_until"]["unix"].as_u64().is_some(), "{report:#}");
    check_routes(&gateway, &["/two"], &["/one"]);
    check_states(&gateway, &[(2, "pending"), (1, "superseded")]);
    assert_eq!(gateway.view("/v1/config")["pending"]["back_to"], 1);
    assert!(gateway.done(&["status"]).contains("number 2 is taken back at "));
    // The same file again: it still waits.
    gateway.done(&["reload"]);
    assert_eq!(gateway.view("/v1/config")["pending"]["number"], 2);
    gateway.done(&["confirm"]);
    check_states(&gateway, &[(2, "current"), (1, "superseded")]);
    check_routes(&gateway, &["/two"], &["/one"]);
    assert!(gateway.refused(&["confirm"]).contains("nothing to confirm"));
}

#[test]
fn another_reload_while_one_waits_to_be_confirmed() {
    let origin = Origin::named("o");
    let gateway = Setup::run(&routed(&origin, "/one")).start();
    gateway.write(&routed(&origin, "/two"));
    gateway.done(&["reload", "--confirm", "1h"]);
    // A broken one changes nothing of that.
    gateway.write("nonsense = 1\n");
    gateway.refused(&["reload"]);
    assert_eq!(gateway.view("/v1/config")["pending"]["number"], 2);
    // Another one that must be confirmed goes back to what was confirmed last.
    gateway.write(&routed(&origin, "/three"));
    gateway.done(&["reload", "--confirm", "1s"]);
    gateway.says("going back to number 1");
    until("it is back", || (gateway.client().get("/one").status == 200).then_some(()));
    // And one that need not be confirmed stays.
    gateway.write(&routed(&origin, "/two"));
    gateway.done(&["reload", "--confirm", "1h"]);
    gateway.reload(&routed(&origin, "/three"));
    assert_eq!(gateway.view("/v1/config")["pending"], Value::Null);
    check_routes(&gateway, &["/three"], &["/one", "/two"]);
    // A rollback is an end to waiting too.
    gateway.write(&routed(&origin, "/two"));
    gateway.done(&["reload", "--confirm", "1h"]);
    gateway.done(&["rollback"]);
    assert_eq!(gateway.view("/v1/config")["pending"], Value::Null);
    check_routes(&gateway, &["/three"], &["/one", "/two"]);
}

#[test]
fn times_that_are_none() {
    let gateway = Gateway::before(&["127.0.0.1:1"]);
    for time in ["0s", "60", "-1s", "99999h", "soon"] {
        let ended = gateway.command(&["reload", "--confirm", time]);
        assert_eq!(ended.code, Some(2), "{time}: {ended:?}");
        let response = gateway.admin("POST", &format!("/v1/config/reload?confirm={time}"));
        assert_eq!(response.status, 400, "{time}: {}", response.text());
    }
}

/// Where what must come back cannot be had any more, that is said, and what runs goes on.
#[test]
fn what_cannot_be_taken_back() {
    let origin = Origin::named("o");
    let text = routed(&origin, "/one");
    let place = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = place.local_addr().unwrap().to_string();
    drop(place);
    let gateway = Setup::run(&format!("{text}[listeners.extra]\nbind = \"{address}\"\n")).start();
    gateway.reload(&text);
    // Handshakes that had begun are waited for.
    let _taken = until("the address is free", || std::net::TcpListener::bind(&address).ok());
    let said = gateway.refused(&["rollback"]);
    assert!(said.contains("address in use"), "{said}");
    check_states(&gateway, &[(2, "current"), (1, "superseded")]);
    check_routes(&gateway, &["/one"], &[]);
}

#[test]
fn twenty_are_remembered() {
    let origin = Origin::named("o");
    let gateway = Setup::run(&routed(&origin, "/r0")).start();
    for round in 1..=25 {
        gateway.reload(&routed(&origin, &format!("/r{round}")));
    }
    let states = states(&gateway);
    assert_eq!(states.len(), 20);
    assert_eq!((states[0].0, states[19].0), (26, 7));
    assert!(gateway.refused(&["rollback", "6"]).contains("not in the history"));
    gateway.done(&["rollback", "7"]);
    check_routes(&gateway, &["/r6"], &["/r25"]);
}

/// What must be confirmed comes back however many were tried meanwhile.
#[test]
fn twenty_tries_without_a_confirmation() {
    let origin = Origin::named("o");
    let gateway = Setup::run(&routed(&origin, "/first")).start();
    for round in 1..=25 {
        gateway.write(&routed(&origin, &format!("/r{round}")));
        gateway.done(&["reload", "--confirm", if round < 25 { "1h" } else { "1s" }]);
    }
    gateway.says("going back to number 1");
    until("it is back", || (gateway.client().get("/first").status == 200).then_some(()));
}
