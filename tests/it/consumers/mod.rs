//! Who may call, and how much: consumers and their keys, limits and their buckets.

mod added;
mod places;
mod secrets;
mod shown;

use serde_json::Value;

use crate::harness::client::Peer;
use crate::harness::gateway::Gateway;

/// A configuration of two workers, with these tables; every path goes to `s`, to consumers alone, under `more` of the route's keys.
fn config(tables: &str, more: &str, instance: &str) -> String {
    format!(
        "[runtime]\ncores = 1\nworkers = 2\n\
         [listeners.default]\nbind = \"127.0.0.1:0\"\nexpose_reasons = true\n\
         [services.s]\ninstances = [\"{instance}\"]\n{tables}\n\
         [routes]\n\"/*\" = {{ to = \"s\", auth = \"key\"{more} }}\n"
    )
}

/// The status of a request with this key.
#[track_caller]
fn status(client: &mut Peer, key: &str) -> u16 {
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nx-api-key: {key}\r\n\r\n")).response().status
}

/// The same over a fresh connection.
#[track_caller]
fn call(gateway: &Gateway, key: &str) -> u16 {
    status(&mut gateway.client(), key)
}

/// The consumers, as the admin listener shows them.
#[track_caller]
fn consumer(gateway: &Gateway, name: &str) -> Value {
    gateway.view(&format!("/v1/consumers?name={name}"))["consumers"][0].clone()
}

/// A key that `coregate consumers WORDS` made.
#[track_caller]
fn made(gateway: &Gateway, words: &[&str]) -> String {
    let output = gateway.done(&[&["consumers"], words].concat());
    let key = output.trim().to_owned();
    assert!(
        key.starts_with("cg_") && key.len() == 35 && !key.contains(char::is_whitespace),
        "{output}"
    );
    key
}
