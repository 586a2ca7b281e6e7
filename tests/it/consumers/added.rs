//! Consumers that are added, rotated, revoked and removed while a gateway runs, and over its restarts and upgrades.

use serde_json::json;

use super::{call, config, consumer, made, status};
use crate::harness::admin::json as body_of;
use crate::harness::clock::until;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::origin::Origin;

const FILE_KEY: &str = "file-key-0123456789";
const OF_FILE: &str = "[consumers.web]\ngroups = [\"tin\"]\nkeys = [{ sha256 = \"9762b47d1cc3f645a7d4aee23746c7f17c77b3f34fdbd9ac6512cfa8ae018853\" }]";

fn kept(config: &str) -> Setup {
    let setup = Setup::run(config);
    let folder = setup.folder().path("state").display().to_string();
    setup.with(&["--state", &folder])
}

fn open(origin: &Origin) -> Gateway {
    kept(&config(OF_FILE, "", origin.address())).start()
}

/// The digests of a consumer's keys.
fn digests(gateway: &Gateway, name: &str) -> Vec<String> {
    let view = consumer(gateway, name);
    let keys = view["keys"].as_array().unwrap().iter();
    keys.map(|key| key["digest"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_key_works_until_it_is_revoked() {
    let origin = Origin::named("o");
    let gateway = open(&origin);
    assert_eq!((call(&gateway, "none"), call(&gateway, FILE_KEY)), (401, 200));
    let key = made(&gateway, &["add", "mobile", "--group", "gold"]);
    let other = made(&gateway, &["key", "mobile"]);
    // Connections on both workers, each of which has seen the key.
    let mut clients: Vec<_> = (0..16).map(|_| gateway.client()).collect();
    for client in &mut clients {
        assert_eq!((status(client, &key), status(client, &other)), (200, 200));
    }
    let seen = origin.take();
    assert_eq!(seen.last().unwrap().head.get("x-coregate-consumer"), Some("mobile"));
    let view = consumer(&gateway, "mobile");
    assert_eq!((&view["source"], &view["groups"]), (&"added".into(), &json!(["gold"])));
    let [first, second] = &digests(&gateway, "mobile")[..] else { panic!("{view}") };
    let said = gateway.done(&["consumers", "revoke", "mobile", first]);
    assert_eq!(said, "consumer mobile has 1 valid key");
    // The answer came once it was public: nobody has to wait for it.
    for client in &mut clients {
        assert_eq!((status(client, &key), status(client, &other)), (401, 200));
    }
    let ended = gateway.command(&["consumers", "revoke", "mobile", "--all"]);
    assert_eq!((ended.code, ended.output.as_str()), (Some(0), "consumer mobile has 0 valid keys"));
    assert_eq!(call(&gateway, &other), 401);
    assert!(gateway.refused(&["consumers", "revoke", "mobile", second]).contains("has no key"));
    gateway.says("consumer \"mobile\" has no keys any more: all are revoked");
    let again = made(&gateway, &["key", "mobile", "--expires", "90d"]);
    assert_eq!(call(&gateway, &again), 200);
    assert_eq!(gateway.done(&["consumers", "remove", "mobile"]), "consumer mobile is gone");
    assert_eq!(call(&gateway, &again), 401);
    let said = gateway.refused(&["consumers", "list", "mobile"]);
    assert!(said.contains("there is no consumer \"mobile\""), "{said}");
    let said = gateway.refused(&["consumers", "remove", "web"]);
    assert!(said.contains("stands in the configuration"), "{said}");
}

#[test]
fn a_restart_keeps_them() {
    let origin = Origin::named("o");
    let mut gateway = open(&origin);
    let key = made(&gateway, &["add", "mobile"]);
    let gone = made(&gateway, &["key", "mobile"]);
    let given = made(&gateway, &["key", "web"]);
    let digest = digests(&gateway, "mobile")[1].clone();
    let target = format!("/v1/consumers/mobile/keys/{digest}");
    assert_eq!(body_of(&gateway.admin("DELETE", &target))["durable"], true);
    let of_file = digests(&gateway, "web")[0].clone();
    let ended = gateway.command(&["consumers", "revoke", "web", &of_file]);
    assert!(ended.messages.contains("stands in the configuration, and is refused"), "{ended:?}");
    for _ in 0..2 {
        let seen = [&key, &gone, &given, FILE_KEY].map(|key| call(&gateway, key));
        assert_eq!(seen, [200, 401, 200, 401]);
        gateway.kill_and_start_again();
    }
    // No configuration brings a key back: not one that is read again, not one of the history.
    gateway.reload(&config(&OF_FILE.replace("tin", "gold"), "", origin.address()));
    gateway.done(&["rollback"]);
    assert_eq!(call(&gateway, FILE_KEY), 401);
    let list = gateway.done(&["consumers", "list"]);
    let row = list.lines().find(|line| line.contains(&of_file)).unwrap().to_owned();
    assert!(row.starts_with("web") && row.contains("revoked"), "{list}");
    // Keys that were given to a consumer of the configuration go with it, and come with it.
    gateway.reload(&config("", "", origin.address()));
    assert_eq!((call(&gateway, &given), call(&gateway, &key)), (401, 200));
    gateway.reload(&config(OF_FILE, "", origin.address()));
    assert_eq!(call(&gateway, &given), 200);
}

#[test]
fn an_upgrade_keeps_them() {
    let origin = Origin::named("o");
    let mut gateway = Setup::run(&config(OF_FILE, "", origin.address())).start();
    let added = gateway.admin_with("POST", "/v1/consumers", &json!({ "name": "mobile" }));
    assert_eq!(added.status, 201, "{}", added.text());
    let body = body_of(&added);
    assert_eq!(body["durable"], false, "in memory alone");
    let key = body["key"].as_str().unwrap();
    let ended = gateway.command(&["consumers", "revoke", "web", "--all"]);
    assert!(ended.messages.contains("forgotten at a restart"), "{ended:?}");
    for _ in 0..2 {
        assert_eq!((call(&gateway, key), call(&gateway, FILE_KEY)), (200, 401));
        gateway.upgrade();
        gateway.wait_for_predecessor(1);
    }
    gateway.done(&["consumers", "remove", "mobile"]);
    assert_eq!(call(&gateway, key), 401);
}

#[test]
fn old_keys_of_a_rotation_go_on_for_a_while() {
    let origin = Origin::named("o");
    let gateway = open(&origin);
    let old = made(&gateway, &["add", "mobile"]);
    let new = made(&gateway, &["rotate", "mobile", "--grace", "1h"]);
    assert_eq!((call(&gateway, &old), call(&gateway, &new)), (200, 200));
    let keys = consumer(&gateway, "mobile")["keys"].clone();
    assert!(keys[0]["expires"]["unix"].is_u64() && keys[1]["expires"].is_null(), "{keys}");
    // Of the configuration too.
    let own = made(&gateway, &["rotate", "web", "--grace", "1s"]);
    until("the time of the old one is over", || (call(&gateway, FILE_KEY) == 401).then_some(()));
    // A worker's clock may be a tick ahead of the one that says so.
    let state = || consumer(&gateway, "web")["keys"][0]["state"].clone();
    until("it is shown so", || (state() == "expired").then_some(()));
    assert_eq!(call(&gateway, &own), 200);
    let newest = made(&gateway, &["rotate", "mobile", "--grace", "0"]);
    let seen = [&old, &new, &newest].map(|key| call(&gateway, key));
    assert_eq!(seen, [401, 401, 200]);
    let said = gateway.refused(&["consumers", "rotate", "nobody"]);
    assert!(said.contains("there is no consumer \"nobody\""), "{said}");
}

/// Who is let in is the same for those that were added.
#[test]
fn groups_of_those_that_were_added_count() {
    let origin = Origin::named("o");
    let gateway = kept(&config("", ", allow = [\"group:gold\"]", origin.address())).start();
    let gold = made(&gateway, &["add", "mobile", "--group", "gold", "--group", "tin"]);
    let tin = made(&gateway, &["add", "web", "--group", "tin"]);
    assert_eq!((call(&gateway, &gold), call(&gateway, &tin)), (200, 403));
}
