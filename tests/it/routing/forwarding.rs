//! Requests that go on under another path, to one of several services, and on terms of their route.

use std::time::{Duration, Instant};

use super::gateway;
use crate::harness::client::{get, post, post_chunked};
use crate::harness::gateway::Setup;
use crate::harness::origin::{Origin, Reply, blackhole};

#[test]
fn other_paths() {
    let origin = Origin::named("s");
    let gateway = gateway(
        &[("s", &origin)],
        "\"/api/*\" = { to = \"s\", strip_prefix = \"/api\" }\n\
         \"/users/{id}/{rest*}\" = { to = \"s\", rewrite = \"/v2/{rest}/of/{id}\" }\n\
         \"/all/*\" = { to = \"s\", rewrite = \"/{*}\" }",
    );
    let mut client = gateway.client();
    for (target, expected) in [
        ("/api/x", "/x"),
        ("/api", "/"),
        ("/api?q=/api", "/?q=/api"),
        ("/api/", "/"),
        ("/api//x", "/x"),
        ("/api/a%2Fb%5C?x=%2f&y", "/a%2Fb%5C?x=%2f&y"),
        ("/x/../api/%61|b", "/a%7Cb"),
        ("/users/7/a/b?x=1?y", "/v2/a/b/of/7?x=1?y"),
        ("/users/a%2Fb", "/v2//of/a%2Fb"),
        ("/users/%7e/..%2F", "/v2/..%2F/of/~"),
        ("/all", "/"),
        ("/all/x?", "/x?"),
    ] {
        let answer = client.get(target);
        assert_eq!(answer.text(), format!("s GET {expected}"), "{target}");
    }
    assert_eq!(client.send(post("/api/b", "hi")).response().text(), "s POST /b");
    let chunked = post_chunked("/api/b") + "2\r\nhi\r\n0\r\n\r\n";
    assert_eq!(client.send(chunked).response().text(), "s POST /b");
    for request in origin.take() {
        assert_eq!(request.head.get("host"), Some("a"));
        assert_eq!(request.head.get("x-forwarded-host"), Some("a"));
        assert!(request.body.is_empty() || request.body == b"hi");
    }
}

/// Two instances, of which the first ends its connection instead of answering the second request on it.
#[test]
fn a_second_attempt_goes_under_the_same_path() {
    let origin = Origin::scripted(|peer, number| {
        let first = peer.request();
        assert_eq!(first.target, "/x?q");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        if number == 0 {
            peer.request();
        }
    });
    let gateway =
        gateway(&[("s", &origin)], "\"/api/*\" = { to = \"s\", strip_prefix = \"/api\" }");
    let mut client = gateway.client();
    for target in ["/api/x?q", "/api/./x?q"] {
        assert_eq!(client.get(target).status, 200);
    }
    gateway.stats_when("it was tried again", |stats| stats.total("retries") == 1);
}

#[test]
fn a_split_over_many_requests() {
    const REQUESTS: usize = 10_000;
    let [stable, canary] = ["stable", "canary"].map(Origin::named);
    let gateway = gateway(
        &[("stable", &stable), ("canary", &canary)],
        "\"/*\" = { split = { stable = \"95%\", canary = \"5%\" } }",
    );
    let mut client = gateway.client();
    let of_canary = (0..REQUESTS)
        .filter(|at| {
            if at % 5_000 == 4_999 {
                client = gateway.client();
            }
            client.get("/").text().starts_with("canary ")
        })
        .count();
    // 500 are expected; five standard deviations of 22 to either side.
    assert!((390..=610).contains(&of_canary), "{of_canary} of {REQUESTS}");
    assert_eq!(canary.take().len(), of_canary);
}

#[test]
fn a_route_has_limits_and_times_of_its_own() {
    let echo = Origin::echo();
    let silent = Origin::scripted(|peer, _| drop(peer.reader.rest()));
    let hole = blackhole();
    let stalls = Origin::serving(|_| Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"));
    let gateway = Setup::run(&format!(
        "[runtime]\ncores = 1\n\
         [listeners.default]\nbind = \"127.0.0.1:0\"\nlimits = {{ body = \"1KiB\" }}\n\
         [services.echo]\ninstances = [{:?}]\n\
         [services.silent]\ninstances = [{:?}]\n\
         [services.stalls]\ninstances = [{:?}]\n\
         [services.hole]\ninstances = [{:?}]\ntimeout = {{ connect = \"20s\" }}\n\
         [routes]\n\"/*\" = \"echo\"\n\
         \"/large\" = {{ to = \"echo\", limits = {{ body = \"2KiB\" }} }}\n\
         \"/small\" = {{ to = \"echo\", limits = {{ body = \"1B\" }} }}\n\
         \"/silent\" = {{ to = \"silent\", timeout = {{ first_byte = \"200ms\" }} }}\n\
         \"/stalls\" = {{ to = \"stalls\", timeout = {{ body = \"200ms\" }} }}\n\
         \"/hole\" = {{ to = \"hole\", timeout = {{ connect = \"100ms\" }} }}\n",
        echo.address(),
        silent.address(),
        stalls.address(),
        hole.address,
    ))
    .start();
    for (path, length, status) in [
        ("/", 1_024, 200),
        ("/", 1_025, 413),
        ("/large", 2_048, 200),
        ("/large", 2_049, 413),
        ("/small", 1, 200),
        ("/small", 2, 413),
    ] {
        let body = "x".repeat(length);
        let chunked = post_chunked(path) + &format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
        for request in [post(path, &body), chunked] {
            let answer = gateway.client().send(request).response();
            assert_eq!(answer.status, status, "{length} bytes to {path}");
        }
    }
    let begun = Instant::now();
    assert_eq!(gateway.client().send(get("/silent")).response().status, 504);
    assert_eq!(gateway.client().send(get("/hole")).response().status, 504);
    gateway.client().send(get("/stalls")).expect_cut();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
