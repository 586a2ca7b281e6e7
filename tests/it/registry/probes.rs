//! Active checks, from the configuration to where requests go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::served_by;
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::{Origin, Reply};

/// An origin that is well or not, as far as `/healthz` says; it answers everything else.
fn patient(name: &'static str) -> (Origin, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(true));
    let says = Arc::clone(&well);
    let origin = Origin::serving(move |request| {
        if request.target != "/healthz" {
            return Reply::ok(name);
        }
        match says.load(Ordering::SeqCst) {
            true => Reply::ok("all is fine"),
            false => Reply::with("500 Internal Server Error", "", "no"),
        }
    });
    (origin, well)
}

fn gateway(health: &str, instances: &[&str]) -> Gateway {
    Setup::run(&config("", &format!("health = {{ {health}, every = \"100ms\" }}"), instances))
        .start()
}

#[test]
fn requests_go_to_those_who_pass() {
    let ((one, one_is_well), (two, two_is_well)) = (patient("one"), patient("two"));
    let health = "get = \"/healthz\", body = \"fine\", rise = 1, fall = 2";
    let gateway = gateway(health, &[one.address(), two.address()]);
    served_by(&gateway, &["one", "two"]);
    one_is_well.store(false, Ordering::SeqCst);
    served_by(&gateway, &["two"]);
    two_is_well.store(false, Ordering::SeqCst);
    one_is_well.store(true, Ordering::SeqCst);
    served_by(&gateway, &["one"]);
    two_is_well.store(true, Ordering::SeqCst);
    served_by(&gateway, &["one", "two"]);
    let metrics = gateway.admin("GET", "/metrics").text();
    for result in ["passed", "failed"] {
        let start = format!("coregate_registry_probes_{result}_total");
        let line = metrics.lines().find(|line| line.starts_with(&start)).unwrap();
        assert!(!line.ends_with(" 0"), "{line}");
    }
}

/// A reload begins probes, and ends them: who was down is believed again.
#[test]
fn a_reload_begins_and_ends_probes() {
    let ((one, is_well), (two, _)) = (patient("one"), patient("two"));
    let gateway = Setup::run(&config("", "", &[one.address(), two.address()])).start();
    is_well.store(false, Ordering::SeqCst);
    served_by(&gateway, &["one", "two"]);
    let file = gateway.folder.path("coregate.toml");
    let plain = std::fs::read_to_string(&file).unwrap();
    let key = "health = { get = \"/healthz\", every = \"100ms\" }\n[routes]";
    std::fs::write(&file, plain.replace("[routes]", key)).unwrap();
    assert_eq!(gateway.command(&["reload"]).code, Some(0));
    served_by(&gateway, &["two"]);
    std::fs::write(&file, plain).unwrap();
    assert_eq!(gateway.command(&["reload"]).code, Some(0));
    served_by(&gateway, &["one", "two"]);
}
