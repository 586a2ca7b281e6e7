//! Which service a request reaches: host, then path; and which of its instances.

use std::collections::BTreeMap;

use crate::harness::gateway::{Gateway, Setup};
use crate::harness::origin::Origin;

#[test]
fn by_host_and_path() {
    let names = ["users", "exact", "shop", "below", "cart"];
    let origins = names.map(Origin::named);
    let services: String = names
        .iter()
        .zip(&origins)
        .map(|(name, origin)| format!("[services.{name}]\ninstances = [{:?}]\n", origin.address()))
        .collect();
    let gateway = Setup::run(&format!(
        "listen = \"127.0.0.1:0\"\n{services}\
         [routes]\n\"/users/*\" = \"users\"\n\"/exact\" = \"exact\"\n\
         [routes.\"shop.example.com\"]\n\"/*\" = \"shop\"\n\"/cart/*\" = \"cart\"\n\
         [routes.\"*.example.com\"]\n\"/*\" = \"below\"\n"
    ))
    .start();
    let mut client = gateway.client();
    for (host, target, expected) in [
        ("a", "/users", "users"),
        ("a", "/users/", "users"),
        ("a", "/users/7?x", "users"),
        ("a", "/usersx", ""),
        ("a", "/USERS/7", ""),
        ("a", "/x/../users/7", "users"),
        ("a", "/users/../exact", "exact"),
        ("a", "/%75sers/7", "users"),
        ("a", "/users%2F7", ""),
        ("a", "/exact", "exact"),
        ("a", "/exact?q", "exact"),
        ("a", "/exact/", ""),
        ("a", "/", ""),
        ("shop.example.com", "/", "shop"),
        ("SHOP.Example.Com", "/cartx", "shop"),
        ("shop.example.com:8080", "/cart", "cart"),
        ("shop.example.com.", "/cart/1", "cart"),
        ("other.example.com", "/x", "below"),
        ("a.b.example.com", "/x", "below"),
        ("example.com", "/x", ""),
        ("xexample.com", "/users/1", "users"),
    ] {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let response = client.response();
        match expected {
            "" => assert_eq!(response.status, 404, "{host}{target}"),
            name => {
                let text = response.text();
                assert_eq!(text.split(' ').next(), Some(name), "{host}{target}: {text}");
            }
        }
    }
}

#[test]
fn instances_take_turns() {
    let origins = ["0", "1", "2"].map(Origin::named);
    let addresses = origins.each_ref().map(Origin::address);
    let gateway = Gateway::before(&addresses);
    let mut client = gateway.client();
    let mut turns = BTreeMap::<String, u32>::new();
    for _ in 0..30 {
        *turns.entry(client.get("/").text()).or_default() += 1;
    }
    assert_eq!(turns.into_values().collect::<Vec<_>>(), [10, 10, 10]);
}
