//! The state directory: what is in it after a stop, who may have it, and what is done where it cannot be written to.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::admin::json as body_of;
use crate::harness::client::Peer;
use crate::harness::clock::until;
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::Origin;
use crate::harness::process::{need, tool};

const PATH: &str = "/v1/services/s/instances";

/// A gateway whose service `s` takes registrations, and keeps them in this folder of its own.
pub(super) fn kept_in(name: &str, instances: &[&str]) -> Setup {
    let setup = Setup::run(&config("", "register = true", instances));
    let folder = setup.folder().path(name).display().to_string();
    setup.with(&["--state", &folder])
}

#[track_caller]
fn register(gateway: &Gateway, id: &str, address: &str) -> Value {
    let body = json!({ "address": address, "ttl": "1h" });
    let response = gateway.admin_with("PUT", &format!("{PATH}/{id}"), &body);
    assert!(matches!(response.status, 200 | 201), "{}", response.text());
    body_of(&response)
}

/// The ids that are registered.
fn ids(gateway: &Gateway) -> Vec<String> {
    let list = gateway.view(PATH);
    let all = list["instances"].as_array().unwrap().iter();
    all.map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_restart_goes_on_with_who_registered() {
    let origin = Origin::named("o");
    let mut gateway = kept_in("a/state", &[]).start();
    assert_eq!(register(&gateway, "a", origin.address())["durable"], true);
    let last = register(&gateway, "b", "127.0.0.2:1");
    assert_eq!(gateway.admin("DELETE", &format!("{PATH}/b")).status, 200);
    gateway.done(&["registry", "register", "s", origin.address(), "--id", "a", "--zone", "z"]);
    gateway.signal(Signal::TERM);
    gateway.start_again();
    gateway.says("1 registered instance is there again from ");
    assert_eq!(gateway.client().get("/").text(), "o GET /");
    let target = format!("{PATH}/a/drain");
    assert_eq!(body_of(&gateway.admin("POST", &target))["durable"], true);
    gateway.kill_and_start_again();
    assert_eq!(gateway.client().get("/").status, 503, "what was drained is so still");
    gateway.done(&["registry", "enable", "s", "a"]);
    assert_eq!(gateway.client().get("/").text(), "o GET /");
    let view = gateway.view(&format!("{PATH}/a"));
    assert_eq!((&view["zone"], ids(&gateway)), (&"z".into(), vec!["a".to_owned()]));
    assert!(view["revision"].as_u64() > last["revision"].as_u64(), "revisions never fall");
    let status = gateway.view("/v1/status");
    assert!(status["state"]["directory"].as_str().unwrap().ends_with("/a/state"), "{status:#}");
    assert!(gateway.done(&["status"]).contains("registrations are kept in "));
    // Those of a service that is there no more are gone for good.
    gateway.write(
        &config("", "", &[]).replace("services.s]", "services.t]").replace("\"s\"", "\"t\""),
    );
    gateway.signal(Signal::TERM);
    gateway.start_again();
    gateway.says("1 more are of services that are there no more");
    gateway.write(&config("", "register = true", &[]));
    gateway.signal(Signal::TERM);
    gateway.start_again();
    assert!(ids(&gateway).is_empty());
}

#[test]
fn in_memory_it_is_said_that_they_are_lost() {
    let mut gateway =
        Setup::run(&config("", "register = true", &[])).with(&["--state", "memory"]).start();
    gateway.says("registrations are kept in memory, and lost at a restart");
    assert_eq!(register(&gateway, "a", "127.0.0.2:1")["durable"], false);
    gateway.kill_and_start_again();
    assert!(ids(&gateway).is_empty());
    assert!(!gateway.admin("GET", "/metrics").text().contains("store_ok"));
    // systemd's word for it, where no flag says otherwise.
    let setup = Setup::run(&config("", "register = true", &[]));
    let folder = setup.folder().path("state").display().to_string();
    let mut gateway = setup.variable("STATE_DIRECTORY", &format!("{folder}:/nowhere")).start();
    assert_eq!(register(&gateway, "a", "127.0.0.2:1")["durable"], true);
    gateway.kill_and_start_again();
    assert_eq!(ids(&gateway), ["a"]);
}

#[test]
fn a_directory_has_one_gateway() {
    let gateway = kept_in("state", &[]).start();
    let folder = gateway.folder.path("state").display().to_string();
    let other =
        Setup::run(&config("", "register = true", &[])).with(&["--state", &folder]).output();
    assert_eq!(other.code, Some(1), "{other:?}");
    let expected = format!("{folder}: process {} has it", gateway.pid());
    assert!(other.messages.contains(&expected), "{other:?}");
    assert_eq!(register(&gateway, "a", "127.0.0.2:1")["durable"], true);
}

#[test]
fn what_is_no_directory_is_an_error() {
    let setup = Setup::run(&config("", "register = true", &[]));
    let file = setup.folder().write("file", "").display().to_string();
    let ended = setup.with(&["--state", &file]).output();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.messages.contains("not a directory"), "{ended:?}");
}

#[test]
fn a_damaged_file_is_put_aside() {
    let mut gateway = kept_in("state", &[]).start();
    register(&gateway, "a", "127.0.0.2:1");
    gateway.signal(Signal::KILL);
    gateway.wait();
    let file = gateway.folder.path("state").join("registry.redb");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    gateway.start_again();
    gateway.says("is damaged");
    let aside = file.with_file_name("registry.redb.corrupt-1");
    assert_eq!(fs::read(aside).unwrap().len(), bytes.len() / 2);
    assert!(ids(&gateway).is_empty());
    assert_eq!(register(&gateway, "b", "127.0.0.2:2")["durable"], true);
    gateway.kill_and_start_again();
    assert_eq!(ids(&gateway), ["b"]);
}

/// The file may grow no more: everything goes on in memory, and is written once there is room.
#[test]
fn a_full_disk_is_lived_with() {
    need("prlimit", "util-linux");
    // The kernel would end a process that does not ignore its signal.
    let ignoring = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"];
    let mut gateway = kept_in("state", &[]).under(&ignoring).start();
    let pid = gateway.pid().to_string();
    let limit =
        |size: &str| tool(&["prlimit", "--pid", &pid, &format!("--fsize={size}:unlimited")]);
    limit("400000");
    let metadata = json!({ "text": "x".repeat(500) });
    let put = |gateway: &Gateway, id: usize| {
        let address = format!("127.0.0.2:{}", id + 1);
        let body =
            json!({ "address": address, "ttl": "1h", "status": "starting", "metadata": metadata });
        let response = gateway.admin_with("PUT", &format!("{PATH}/i{id:04}"), &body);
        assert!(matches!(response.status, 200 | 201), "{}", response.text());
        body_of(&response)["durable"] == true
    };
    let full = (0..2_000).find(|id| !put(&gateway, *id)).expect("it is full");
    gateway.says("the state directory cannot be written: ");
    assert!(full > 20, "{full}");
    assert!(gateway.done(&["status"]).contains("registrations are lost at a restart"));
    let metrics = gateway.admin("GET", "/metrics").text();
    assert!(metrics.contains("coregate_registry_store_ok{} 0"), "{metrics}");
    // What is known serves, and what is new is known.
    let origin = Origin::named("o");
    assert_eq!(register(&gateway, "serves", origin.address())["durable"], false);
    assert_eq!(gateway.client().get("/").text(), "o GET /");
    limit("unlimited");
    gateway.says("the state directory can be written again");
    until("all is written", || put(&gateway, full).then_some(()));
    let before = gateway.view(PATH)["count"].clone();
    gateway.kill_and_start_again();
    assert_eq!(gateway.view(PATH)["count"], before);
    assert_eq!(gateway.client().get("/").text(), "o GET /");
}

/// The new process has what was registered, and the directory; who asks meanwhile waits.
#[test]
fn an_upgrade_takes_the_directory_over() {
    let origin = Origin::named("o");
    let mut gateway = kept_in("state", &[]).start();
    register(&gateway, "a", origin.address());
    gateway.upgrade();
    assert_eq!(gateway.wait_for_predecessor(1), Some(0));
    assert_eq!(ids(&gateway), ["a"]);
    assert_eq!(register(&gateway, "b", "127.0.0.2:1")["durable"], true);
    assert_eq!(gateway.client().get("/").text(), "o GET /");
    let before = gateway.view(&format!("{PATH}/b"))["revision"].as_u64();
    gateway.upgrade();
    assert_eq!(gateway.wait_for_predecessor(1), Some(0));
    assert!(register(&gateway, "c", "127.0.0.2:3")["revision"].as_u64() > before);
    gateway.signal(Signal::KILL);
    assert_eq!(gateway.wait_for_last(), None);
    gateway.start_again();
    assert_eq!(ids(&gateway), ["a", "b", "c"]);
}

/// An upgrade that comes to nothing: what was asked for meanwhile is done, and kept.
#[test]
fn an_upgrade_that_fails_gives_it_back() {
    let mut gateway = kept_in("state", &[]).start();
    register(&gateway, "a", "127.0.0.2:1");
    // It waits until it is told to go, and then is none of ours.
    let (gate, script) = (gateway.folder.path("gate"), gateway.folder.path("other.sh"));
    let text = format!(
        "#!/bin/sh\ntouch {0}.here\nwhile [ ! -e {0} ]; do sleep 0.01; done\nexit 3\n",
        gate.display()
    );
    gateway.folder.write("other.sh", &text);
    tool(&["chmod", "+x", script.to_str().unwrap()]);
    let admin = gateway.admin_address();
    std::thread::scope(|scope| {
        let words = ["upgrade", "--binary", script.to_str().unwrap()].map(String::from);
        let gateway = &gateway;
        let upgrade = scope.spawn(move || {
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            gateway.refused(&words)
        });
        until("it has begun", || gate.with_extension("here").exists().then_some(()));
        let mut waiting = Peer::connect(&admin);
        let body = json!({ "address": "127.0.0.2:2", "ttl": "1h" }).to_string();
        let length = body.len();
        let about = "Host: localhost\r\nConnection: close\r\nContent-Type: application/json";
        waiting.send(format!(
            "PUT {PATH}/b HTTP/1.1\r\n{about}\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        // Renewals are heard meanwhile; so are those who look, who see that nothing has changed.
        assert_eq!(gateway.admin("POST", &format!("{PATH}/a/renew")).status, 200);
        assert_eq!(ids(gateway), ["a"]);
        fs::write(&gate, "").unwrap();
        assert!(upgrade.join().unwrap().contains("ended"));
        let answer = waiting.response_to("PUT");
        assert_eq!(answer.status, 201, "{}", answer.text());
        assert_eq!(body_of(&answer)["durable"], true);
    });
    gateway.kill_and_start_again();
    assert_eq!(ids(&gateway), ["a", "b"]);
}
