//! Clients that are sent elsewhere.

use super::gateway;
use crate::harness::client::{get, post, post_chunked};
use crate::harness::origin::Origin;

const STATUSES: [(u16, &str); 5] = [
    (301, "Moved Permanently"),
    (302, "Found"),
    (303, "See Other"),
    (307, "Temporary Redirect"),
    (308, "Permanent Redirect"),
];

#[test]
fn every_status_to_every_method() {
    let origin = Origin::named("s");
    let routes = STATUSES.map(|(status, _)| {
        format!("\"/{status}/*\" = {{ redirect = {{ to = \"/new/{{*}}\", status = {status} }} }}\n")
    });
    let gateway = gateway(&[("s", &origin)], &format!("{}\"/new/*\" = \"s\"", routes.concat()));
    let mut client = gateway.client();
    for (status, phrase) in STATUSES {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PURGE"] {
            client.send(format!("{method} /{status}/x?q=%2f HTTP/1.1\r\nHost: a\r\n\r\n"));
            let answer = client.response_to(method);
            assert_eq!(
                (answer.status, answer.head.get("location")),
                (status, Some("/new/x?q=%2f"))
            );
            assert!(answer.head.text().starts_with(&format!("HTTP/1.1 {status} {phrase}\r\n")));
            assert_eq!(answer.head.get("content-type"), Some("application/problem+json"));
            assert!(!answer.closes() && !answer.head.has("x-coregate-reason"));
            let length = answer.head.get("content-length").unwrap().parse::<usize>().unwrap();
            assert_eq!(answer.body.len(), if method == "HEAD" { 0 } else { length });
        }
    }
    assert_eq!(client.get("/new/x").text(), "s GET /new/x");
    assert!(origin.take().iter().all(|request| request.target == "/new/x"));
    let stats = gateway.stats_when("all are counted", |stats| stats.total("responses_3xx") == 40);
    assert_eq!((stats.total("requests"), stats.total("answered_by_route")), (41, 40));
}

#[test]
fn to_where_the_template_leads_and_nowhere_else() {
    let origin = Origin::named("s");
    let gateway = gateway(
        &[("s", &origin)],
        "\"/{rest*}\" = { redirect = \"/{rest}\" }\n\
         \"/p/*\" = { redirect = \"{path}\" }\n\
         \"/host/*\" = { redirect = \"https://{host}:8443{path}\" }\n\
         \"/to/{id}\" = { redirect = \"https://new.example.com/{id}?from=old\" }",
    );
    let mut client = gateway.client();
    for (target, expected) in [
        ("/a/b?x=1", "/a/b?x=1"),
        ("//evil.com", "/evil.com"),
        ("////evil.com//x", "/evil.com//x"),
        ("/.//evil.com", "/evil.com"),
        ("/a/..//evil.com", "/evil.com"),
        ("/%2F%2Fevil.com", "/%2F%2Fevil.com"),
        ("/%5Cevil.com", "/%5Cevil.com"),
        ("/p//evil.com", "/p//evil.com"),
        ("/host//evil.com", "https://a:8443/host//evil.com"),
        ("/host/@evil.com", "https://a:8443/host/@evil.com"),
        ("/to/evil.com?y", "https://new.example.com/evil.com?from=old"),
        ("/x?%0d%0aSet-Cookie:%20a=b", "/x?%0d%0aSet-Cookie:%20a=b"),
    ] {
        let answer = client.send(get(target)).response();
        assert_eq!((answer.status, answer.head.get("location")), (307, Some(expected)), "{target}");
        assert!(!answer.head.has("set-cookie"));
    }
    for target in ["/\\evil.com", "/%0d%0aSet-Cookie:a", "/a%0aX", "/%00", "/x?\u{1}"] {
        let answer = gateway.client().send(get(target)).response();
        assert_eq!((answer.status, answer.head.get("location")), (400, None), "{target}");
    }
    // HTTP/1.0 may name no host, and then there is none to lead to.
    for (target, status) in [("/host//evil.com", 400), ("/to/7", 307)] {
        let mut client = gateway.client();
        let answer = client.send(format!("GET {target} HTTP/1.0\r\n\r\n")).response();
        assert_eq!(answer.status, status, "{target}");
        client.expect_closed();
    }
}

/// CVE-2025-4366: a body that nobody reads is not taken for requests.
#[test]
fn a_body_is_drained_or_the_connection_closed() {
    let origin = Origin::named("s");
    let gateway = gateway(&[("s", &origin)], "\"/*\" = \"s\"\n\"/go\" = { redirect = \"/new\" }");
    let smuggled = get("/smuggled");
    let chunked = format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len());
    for request in [post("/go", &smuggled), post_chunked("/go") + &chunked] {
        for size in [1, 60, usize::MAX] {
            let mut client = gateway.client();
            client.send_pieces(&request, size);
            assert!(!client.response().closes());
            assert_eq!(client.get("/next").text(), "s GET /next");
        }
    }
    // Too much to be drained, and a client who may send its body or not.
    let large = format!("POST /go HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 10 << 20);
    let waits =
        "POST /go HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 30\r\n\r\n";
    for request in [large + &"x".repeat(1 << 20), waits.to_owned()] {
        let mut client = gateway.client();
        let _ = client.try_send(&request);
        assert_eq!(client.response().status, 307);
        let _ = client.try_send(&smuggled);
        client.expect_closed();
    }
    assert!(origin.take().iter().all(|request| request.target == "/next"));
}

#[test]
fn requests_may_be_pipelined_behind_one() {
    let origin = Origin::named("s");
    let gateway = gateway(&[("s", &origin)], "\"/*\" = \"s\"\n\"/go\" = { redirect = \"/new\" }");
    let mut client = gateway.client();
    let chunked = post_chunked("/go") + "3\r\nabc\r\n0\r\n\r\n";
    let turn = [get("/go"), get("/a"), chunked, post("/b", "body"), post("/go", "body")].concat();
    client.send(turn.repeat(20));
    for _ in 0..20 {
        assert_eq!(client.response().status, 307);
        assert_eq!(client.response().text(), "s GET /a");
        assert_eq!(client.response().status, 307);
        assert_eq!(client.response().text(), "s POST /b");
        assert_eq!(client.response().status, 307);
    }
}
