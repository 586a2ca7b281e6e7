//! Upgrades that fail: the process that was there goes on as if nobody had asked, and says why.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;

use super::stays;
use crate::harness::clock::until;
use crate::harness::gateway::{Gateway, Setup, binary, config};
use crate::harness::origin::Origin;

fn script(path: &Path, text: &str) -> String {
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// An upgrade that fails for a reason that has these words.
#[track_caller]
fn fails(gateway: &Gateway, words: &[&str], why: &[&str]) {
    let pid = gateway.view("/v1/status")["pid"].clone();
    let said = gateway.refused(&[&["upgrade"], words].concat());
    for word in why {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert_eq!(gateway.view("/v1/status")["pid"], pid);
    assert_eq!(gateway.readiness().0, 200);
}

#[test]
fn binaries_that_are_none() {
    let origin = Origin::named("o");
    let mut gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    stays(&mut client, "/", "o GET /");
    let none = gateway.folder.path("none").display().to_string();
    let plain = gateway.folder.write("plain", "text").display().to_string();
    let exits = script(&gateway.folder.path("exits"), "echo something is wrong >&2; exit 7");
    let talks = script(&gateway.folder.path("talks"), "echo nonsense >&0; exec sleep 60");
    fails(&gateway, &["--binary", &none], &[&none, "No such file", "still runs"]);
    fails(&gateway, &["--binary", &plain], &[&plain, "ermission"]);
    fails(&gateway, &["--binary", "/"], &["ermission"]);
    fails(&gateway, &["--binary", "/bin/true"], &["exit status: 0", "before it was ready"]);
    fails(&gateway, &["--binary", &exits], &["exit status: 7"]);
    fails(&gateway, &["--binary", &talks], &["the new process"]);
    gateway.says("something is wrong");
    assert_eq!(gateway.view("/v1/status")["listeners"].as_array().unwrap().len(), 1);
    stays(&mut client, "/", "o GET /");
    let report = gateway.command_json(&["upgrade", "--binary", "/bin/true"], 1);
    assert_eq!((&report["upgraded"], &report["pid"]), (&false.into(), &json!(null)));
    assert!(report["errors"][0].as_str().unwrap().contains("exit status: 0"));
    // Afterwards all is as ever.
    gateway.reload(&format!("{}\"/new\" = \"s\"\n", config("", "", &[origin.address()])));
    stays(&mut client, "/new", "o GET /new");
    gateway.upgrade();
    stays(&mut gateway.client(), "/new", "o GET /new");
}

/// The same binary, and a configuration that it cannot serve; the instances in it are others, too.
#[test]
fn a_configuration_that_cannot_be_had() {
    let (one, other) = (Origin::named("one"), Origin::named("other"));
    let (three, four) = (Origin::named("three"), Origin::named("four"));
    let text = config("", "", &[one.address()]);
    let mut gateway = Setup::run(&text).start();
    let mut client = gateway.client();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    let busy = config("", "", &[other.address(), three.address()]);
    let busy = format!("{busy}[listeners.busy]\nbind = \"{taken}\"\n");
    for _ in 0..2 {
        gateway.write(&busy);
        fails(&gateway, &[], &["could not start", "listener busy", &taken, "address in use"]);
        (0..4).for_each(|_| stays(&mut client, "/", "one GET /"));
        stays(&mut gateway.client(), "/", "one GET /");
        // Instances that come now have slots of their own.
        gateway.reload(&config("", "", &[four.address()]));
        (0..4).for_each(|_| stays(&mut client, "/", "four GET /"));
        gateway.done(&["drain", "s", four.address()]);
        assert_eq!(client.get("/").status, 503);
        gateway.reload(&text);
        (0..4).for_each(|_| stays(&mut client, "/", "one GET /"));
    }
    drop(held);
    gateway.write(&busy);
    gateway.upgrade();
    let mut client = gateway.client();
    let mut seen = [client.get("/").text(), client.get("/").text()];
    seen.sort();
    assert_eq!(seen, ["other GET /", "three GET /"]);
}

#[test]
fn a_configuration_that_is_broken() {
    let origin = Origin::named("o");
    let text = config("", "", &[origin.address()]);
    let mut gateway = Setup::run(&text).start();
    let mut client = gateway.client();
    gateway.write(&text.replace("expose_reasons", "expose_raisins"));
    fails(&gateway, &[], &["expose_raisins"]);
    std::fs::remove_file(gateway.folder.path("coregate.toml")).unwrap();
    fails(&gateway, &[], &["coregate.toml"]);
    stays(&mut client, "/", "o GET /");
    gateway.reload(&text);
    gateway.upgrade();
    stays(&mut gateway.client(), "/", "o GET /");
}

/// What waits to be confirmed would be what the new process starts with, for good.
#[test]
fn what_waits_to_be_confirmed() {
    let origin = Origin::named("o");
    let text = config("", "", &[origin.address()]);
    let gateway = Setup::run(&text).start();
    gateway.write(&format!("{text}\"/new\" = \"s\"\n"));
    gateway.done(&["reload", "--confirm", "1h"]);
    fails(&gateway, &[], &["confirm"]);
    gateway.done(&["confirm"]);
    let mut gateway = gateway;
    gateway.upgrade();
    stays(&mut gateway.client(), "/new", "o GET /new");
}

/// One at a time; and while one is under way nothing else changes.
#[test]
fn two_at_once() {
    let origin = Origin::named("o");
    let text = config("", "", &[origin.address()]);
    let mut gateway = Setup::run(&text).start();
    let door = gateway.folder.path("door");
    mknodat(CWD, &door, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    // It waits until somebody opens the door, and then is what it should be.
    let late = format!("read word < {} ; exec {} \"$@\"", door.display(), binary().display());
    let late = script(&gateway.folder.path("late"), &late);
    let mut client = gateway.client();
    stays(&mut client, "/", "o GET /");
    let report = std::thread::scope(|scope| {
        let first = scope.spawn(|| gateway.command_json(&["upgrade", "--binary", &late], 0));
        gateway.says("upgrading: starting ");
        let said = gateway.refused(&["upgrade"]);
        assert!(said.contains("an upgrade is under way"), "{said}");
        for words in [&["reload"][..], &["rollback"], &["drain", "s", origin.address()]] {
            let said = gateway.refused(words);
            assert!(said.contains("under way"), "{words:?}: {said}");
        }
        let change = json!({ "action": "register", "service": "s", "address": "127.0.0.1:1" });
        let body = json!({ "changes": [change] });
        let response = gateway.admin_with("POST", "/v1/registry/changes", &body);
        assert!((400..600).contains(&response.status), "{}", response.text());
        assert_eq!(gateway.done(&["history"]).lines().count(), 2);
        stays(&mut client, "/", "o GET /");
        std::fs::write(&door, "go\n").unwrap();
        first.join().unwrap()
    });
    gateway.has_successor(&report);
    assert_eq!(gateway.wait_for_predecessor(1), Some(0));
    stays(&mut gateway.client(), "/", "o GET /");
    until("it serves", || (gateway.readiness().0 == 200).then_some(()));
}
