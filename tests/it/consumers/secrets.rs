//! A key is said once, in the answer to whoever asked for it: never in a log, an error, a metric, a report, a file.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::{call, config, made, status};
use crate::harness::gateway::Setup;
use crate::harness::origin::Origin;

const OF_ENVIRONMENT: &str = "secret-of-the-environment-01";
const OF_FILE: &str = "secret-that-lies-in-a-file-02";

/// All files below a folder, and what is in them.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if let Ok(bytes) = fs::read(&path) {
            found.push((path.display().to_string(), bytes));
        }
    }
}

#[test]
fn no_key_is_told_stored_or_served() {
    let origin = Origin::named("o");
    let outside = crate::harness::gateway::Folder::new();
    let place = outside.write("key", OF_FILE);
    let tables = format!(
        "[consumers.web]\nkeys = [{{ env = \"WEB_KEY\" }}, {{ file = \"{}\" }}]\n\
         [auth.anywhere]\nkey = [{{ header = \"x-api-key\" }}, {{ query = \"api_key\" }}, {{ cookie = \"key\" }}]",
        place.display()
    );
    let text =
        config(&tables, ", rate = { limit = \"1000/s\", per = \"consumer\" }", origin.address())
            .replace("auth = \"key\"", "auth = \"anywhere\"");
    let setup = Setup::run(&text).variable("WEB_KEY", OF_ENVIRONMENT);
    let state = setup.folder().path("state").display().to_string();
    let mut gateway = setup.with(&["--state", &state]).start();

    let mut keys = vec![OF_ENVIRONMENT.to_owned(), OF_FILE.to_owned()];
    keys.push(made(&gateway, &["add", "mobile", "--group", "gold"]));
    keys.push(made(&gateway, &["key", "web"]));
    keys.push(made(&gateway, &["rotate", "mobile", "--grace", "1h"]));
    let wrong = "cg_wrong-key-that-nobody-has-0123456";
    let mut told = String::new();
    for key in &keys {
        assert_eq!(call(&gateway, key), 200);
        let mut client = gateway.client();
        assert_eq!(client.get(&format!("/?a=1&api_key={key}&b=2")).status, 200);
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1; key={key}\r\n\r\n"));
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(status(&mut gateway.client(), wrong), 401);
    told += &gateway.client().get(&format!("/?api_key={wrong}")).text();
    keys.push(wrong.to_owned());
    // What an instance sees: the key of nobody.
    for request in origin.take() {
        told += &String::from_utf8_lossy(&request.head.raw);
    }
    // Mistakes that somebody makes with a key in the hand.
    let key = keys[2].clone();
    told += &gateway.refused(&["consumers", "revoke", "mobile", &key]);
    told += &gateway.refused(&["consumers", "rotate", "mobile", "--key", &key]);
    for (method, target) in [
        ("GET", "/metrics"),
        ("GET", "/v1/status"),
        ("GET", "/v1/workers"),
        ("GET", "/v1/config"),
        ("GET", "/v1/config/history"),
        ("GET", "/v1/consumers"),
        ("GET", "/v1/limits"),
        ("GET", "/v1/routes"),
        ("GET", "/v1/openapi.json"),
        ("DELETE", "/v1/consumers/nobody/keys/01234567"),
    ] {
        told += &gateway.admin(method, target).text();
    }
    let asked = json!({ "method": "GET", "url": "http://a/", "headers": [["x-api-key", keys[0]]] });
    told += &gateway.admin_with("POST", "/v1/explain", &asked).text();
    for words in [
        &["status"][..],
        &["history"],
        &["consumers", "list"],
        &["consumers", "list", "-o", "json"],
        &["limits", "list"],
        &["consumers", "revoke", "web", "--all"],
        &["consumers", "revoke", "mobile", "--all", "-o", "json"],
    ] {
        let ended = gateway.command(words);
        assert_eq!(ended.code, Some(0), "{words:?}: {ended:?}");
        told += &format!("{}{}", ended.output, ended.messages);
    }
    gateway.reload(&text.replace("1000/s", "2000/s"));
    told += &gateway.done(&["diff"]);
    told += &gateway.client().get("/").text();
    gateway.stats();
    told += &gateway.messages();
    gateway.kill_and_start_again();
    gateway.upgrade();
    told += &format!("{}{}", gateway.messages(), gateway.output());

    let mut found = Vec::new();
    files(gateway.folder.path("").as_path(), &mut found);
    assert!(found.iter().any(|(path, _)| path.ends_with("registry.redb")), "there is a store");
    found.push(("what it told".to_owned(), told.into_bytes()));
    for key in &keys {
        for (place, bytes) in &found {
            let is_there = bytes.windows(key.len()).any(|window| window == key.as_bytes());
            assert!(!is_there, "{key} stands in {place}:\n{}", String::from_utf8_lossy(bytes));
        }
    }
}
