//! `POST /v1/registry/changes`: instances that come and go without a file.

use serde_json::{Value, json};

use super::{Slow, stays};
use crate::harness::admin::json as body_of;
use crate::harness::client::get;
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::Origin;

const CHANGES: &str = "/v1/registry/changes";

fn change(action: &str, service: &str, address: &str) -> Value {
    json!({ "action": action, "service": service, "address": address })
}

/// Asks for changes; gives the status and the report.
#[track_caller]
fn ask(gateway: &Gateway, changes: &[Value]) -> (u16, Value) {
    let response = gateway.admin_with("POST", CHANGES, &json!({ "changes": changes }));
    (response.status, body_of(&response))
}

/// Asks for one change of service `s` that must be taken; whether it changed anything.
#[track_caller]
fn changes(gateway: &Gateway, action: &str, address: &str) -> bool {
    let (status, report) = ask(gateway, &[change(action, "s", address)]);
    assert_eq!(status, 200, "{report:#}");
    assert_eq!(report["applied"].as_u64().unwrap() + report["unchanged"].as_u64().unwrap(), 1);
    report["applied"] == 1
}

#[test]
fn instances_come_and_go() {
    let (file, one) = (Origin::named("file"), Origin::named("one"));
    let text = |instances: &[&str]| config("", "", instances);
    let gateway = Setup::run(&text(&[])).start();
    let mut client = gateway.client();
    assert_eq!(client.get("/").status, 503);
    assert!(changes(&gateway, "register", one.address()));
    // Whoever comes after the answer is served by it.
    stays(&mut client, "/", "one GET /");
    assert!(!changes(&gateway, "register", one.address()));
    assert!(changes(&gateway, "deregister", one.address()));
    assert_eq!(client.get("/").status, 503);
    let (status, report) = ask(&gateway, &[change("deregister", "s", one.address())]);
    assert_eq!(status, 409);
    assert!(report["refused"][0]["reason"].as_str().unwrap().contains("has no instance"));

    // What is registered survives reloads; what the file names comes and goes with the file.
    changes(&gateway, "register", one.address());
    gateway.reload(&text(&[file.address()]));
    let mut seen = [client.get("/").text(), client.get("/").text()];
    seen.sort();
    assert_eq!(seen, ["file GET /", "one GET /"]);
    gateway.reload(&text(&[]));
    stays(&mut client, "/", "one GET /");
    stays(&mut client, "/", "one GET /");
    // Both: it goes when both have let go of it.
    gateway.reload(&text(&[one.address()]));
    assert!(!changes(&gateway, "deregister", one.address()), "the file names it still");
    stays(&mut client, "/", "one GET /");
    gateway.reload(&text(&[file.address()]));
    for _ in 0..4 {
        stays(&mut client, "/", "file GET /");
    }
}

#[test]
fn what_the_file_names_is_the_files() {
    let file = Origin::named("file");
    let gateway = Gateway::before(&[file.address()]);
    let (status, report) = ask(&gateway, &[change("deregister", "s", file.address())]);
    assert_eq!(status, 409);
    let reason = report["refused"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("stands in the configuration"), "{reason}");
    stays(&mut gateway.client(), "/", "file GET /");
}

/// Some are refused, the others hold, and each is told by its place.
#[test]
fn a_batch_is_no_transaction() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[]);
    let batch = [
        change("register", "nobody", origin.address()),
        change("register", "s", origin.address()),
        change("deregister", "nobody", "127.0.0.1:1"),
        change("register", "s", origin.address()),
    ];
    let (status, report) = ask(&gateway, &batch);
    assert_eq!(status, 409, "{report:#}");
    assert_eq!((&report["applied"], &report["unchanged"]), (&1.into(), &1.into()));
    let refused: Vec<_> = report["refused"].as_array().unwrap().iter().collect();
    assert_eq!((&refused[0]["index"], &refused[1]["index"]), (&0.into(), &2.into()));
    assert!(refused[0]["reason"].as_str().unwrap().contains("no service \"nobody\""));
    stays(&mut gateway.client(), "/", "o GET /");
}

#[test]
fn a_thousand_at_once_and_not_one_more() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    let many = |action: &str, count: usize| -> Vec<_> {
        let address = |at: usize| format!("127.0.{}.{}:9", 1 + at / 250, 1 + at % 250);
        (0..count).map(|at| change(action, "s", &address(at))).collect()
    };
    let (status, report) = ask(&gateway, &many("register", 1_000));
    assert_eq!((status, &report["applied"]), (200, &1_000.into()), "{report:#}");
    let (status, report) = ask(&gateway, &many("deregister", 1_000));
    assert_eq!((status, &report["applied"]), (200, &1_000.into()), "{report:#}");
    let (status, report) = ask(&gateway, &many("register", 1_001));
    assert_eq!(status, 400);
    assert!(report["detail"].as_str().unwrap().contains("1 to 1000"), "{report:#}");
    assert_eq!(ask(&gateway, &[]).0, 400);
    let mut client = gateway.client();
    for _ in 0..4 {
        stays(&mut client, "/", "o GET /");
    }
    for body in [
        json!({}),
        json!([]),
        json!({ "changes": [{ "action": "drop", "service": "s", "address": "127.0.0.1:1" }] }),
        json!({ "changes": [{ "action": "register", "service": "s", "address": "nonsense" }] }),
        json!({ "changes": [{ "action": "register", "service": "s" }] }),
        json!({ "changes": [], "more": 1 }),
    ] {
        let response = gateway.admin_with("POST", CHANGES, &body);
        assert!((400..500).contains(&response.status), "{body}: {}", response.text());
    }
    assert_eq!(gateway.admin("GET", CHANGES).status, 405);
}

/// Registrations and reloads at once: both are in force in the end, and nobody is refused meanwhile.
#[test]
fn mixed_with_reloads() {
    let (file, one) = (Origin::named("file"), Origin::named("one"));
    let text = |path: &str| format!("{}\"{path}\" = \"s\"\n", config("", "", &[file.address()]));
    let gateway = Setup::run(&text("/a")).start();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let serving = scope.spawn(|| {
            let mut client = gateway.client();
            for count in 1.. {
                if stop.load(std::sync::atomic::Ordering::SeqCst) {
                    break;
                }
                // A connection serves no more than `limits.requests`, which a slow machine may reach.
                if count % 1_000 == 0 {
                    client = gateway.client();
                }
                client.allow(crate::harness::clock::PATIENCE);
                assert_eq!(client.get("/").status, 200);
            }
        });
        let registering = scope.spawn(|| {
            for _ in 0..40 {
                assert!(changes(&gateway, "register", one.address()));
                assert!(changes(&gateway, "deregister", one.address()));
            }
            changes(&gateway, "register", one.address());
        });
        for round in 0..20 {
            gateway.reload(&text(if round % 2 == 0 { "/b" } else { "/a" }));
        }
        registering.join().unwrap();
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        serving.join().unwrap();
    });
    let mut client = gateway.client();
    let mut seen = [client.get("/a").text(), client.get("/a").text()];
    seen.sort();
    assert_eq!(seen, ["file GET /a", "one GET /a"]);
}

/// A slot means another instance only once nothing is on the way to the one before: what is in flight is neither cut by what
/// happens to later ones nor answered by them.
#[test]
fn slots_are_used_again_when_nobody_is_on_them() {
    let slow = Slow::named("slow");
    let others = [Origin::named("0"), Origin::named("1"), Origin::named("2")];
    let gateway = Gateway::before(&[]);
    changes(&gateway, "register", slow.address());
    let mut busy = gateway.client();
    busy.send(get("/slow"));
    slow.arrived();
    changes(&gateway, "deregister", slow.address());
    let mut client = gateway.client();
    for round in 0..60 {
        let at = round % 3;
        let (other, name) = (&others[at], format!("{at} GET /"));
        changes(&gateway, "register", other.address());
        client.allow(crate::harness::clock::PATIENCE);
        stays(&mut client, "/", &name);
        if round % 5 == 0 {
            // Whatever is in flight on its slot is cut.
            gateway.done(&["drain", "s", other.address(), "--deadline", "1ms"]);
        }
        changes(&gateway, "deregister", other.address());
        assert_eq!(client.get("/").status, 503);
    }
    slow.answer();
    assert_eq!(busy.response().text(), "slow /slow");
    // Now it may be used again too.
    for round in 0..20 {
        changes(&gateway, "register", others[round % 3].address());
        stays(&mut client, "/", &format!("{} GET /", round % 3));
        changes(&gateway, "deregister", others[round % 3].address());
    }
}
