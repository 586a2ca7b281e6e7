//! Connections over reloads: they stay, their next request is served on the terms of now, and what has begun ends as it began.

use super::{Slow, is_the_last, stays, two_services, two_workers};
use crate::harness::client::{Peer, get, post_chunked};
use crate::harness::clock::until;
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::Origin;
use crate::harness::tunnel::{agreeing, echo, says, switched};

#[test]
fn many_clients_over_many_reloads() {
    let origins = [Origin::named("0"), Origin::named("1")];
    let text = |at: usize| two_workers(&config("", "", &[origins[at % 2].address()]));
    let gateway = Setup::run(&text(0)).start();
    let mut clients: Vec<Peer> = (0..16).map(|_| gateway.client()).collect();
    for round in 0..30 {
        // Requests are on their way while the reload is.
        gateway.write(&text(round));
        std::thread::scope(|scope| {
            let reload = scope.spawn(|| gateway.done(&["reload"]));
            for _ in 0..3 {
                clients.iter_mut().for_each(|client| {
                    client.allow(crate::harness::clock::PATIENCE).send(get("/"));
                });
                for client in &mut clients {
                    let response = client.response();
                    assert_eq!(response.status, 200, "{}", response.text());
                    assert!(!response.closes());
                }
            }
            reload.join().unwrap();
        });
        let now = format!("{} GET /", round % 2);
        clients.iter_mut().for_each(|client| stays(client, "/", &now));
    }
    let stats = gateway.stats();
    assert_eq!(stats.total("connections_accepted"), 16);
    assert_eq!(stats.total("responses_5xx"), 0);
}

#[test]
fn new_terms_hold_for_the_next_request() {
    let origin = Origin::named("o");
    let text = |terms: &str| {
        config(terms, "", &[origin.address()]).replace("\"/*\" = \"s\"", "\"/a\" = \"s\"")
    };
    let gateway = Setup::run(&text("")).start();
    let mut client = gateway.client();
    stays(&mut client, "/a", "o GET /a");
    assert_eq!(client.get("/none").head.get("x-coregate-reason"), Some("no_route"));

    // The reason is shown no more; the limits are others.
    let hidden =
        |terms: &str| text(terms).replace("expose_reasons = true", "expose_reasons = false");
    gateway.reload(&hidden("limits = { target = \"100B\", body = \"10B\" }"));
    let response = client.get("/none");
    assert_eq!((response.status, response.head.has("x-coregate-reason")), (404, false));
    let mut other = gateway.client();
    stays(&mut other, "/a", "o GET /a");
    assert_eq!(other.get(&format!("/a?{}", "x".repeat(100))).status, 414);
    other.expect_closed();
    let too_long = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world";
    assert_eq!(client.send(too_long).response().status, 413);

    // This is the sixth request of a connection that may have six now, and had five already.
    let mut client = gateway.client();
    (0..5).for_each(|_| stays(&mut client, "/a", "o GET /a"));
    gateway.reload(&text("limits = { requests = 6 }"));
    is_the_last(&mut client, "/a", "o GET /a");
}

#[test]
fn new_deadlines_hold_once_a_request_has_come() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    stays(&mut client, "/", "o GET /");
    let mut silent = gateway.client();
    stays(&mut silent, "/", "o GET /");
    let short = "timeout = { idle = \"200ms\" }";
    gateway.reload(&config(short, "", &[origin.address()]));
    stays(&mut client, "/", "o GET /");
    client.expect_end();
    // The other still waits on what it came in on.
    stays(&mut silent, "/", "o GET /");
    silent.expect_end();
    // A new one has them from the start.
    gateway.client().expect_end();
}

/// What has begun ends on what it began with: the instance, the service and the route that it has are gone meanwhile.
#[test]
fn a_request_in_flight_ends_as_it_began() {
    let (slow, rest) = (Slow::named("slow"), Origin::named("rest"));
    let all = two_services(rest.address(), slow.address()).replace("/b/*", "/slow");
    let gateway = Setup::run(&all).start();
    let other = Origin::named("other");
    let without_instance = all.replace(slow.address(), other.address());
    let without_route = all.replace("\"/slow\" = \"b\"", "\"/else\" = \"b\"");
    let end = all.find("\"/slow\"").unwrap();
    let without_service = all[..end].to_owned();
    for (text, now) in [
        (&without_instance, "other GET /slow"),
        (&without_route, "rest GET /slow"),
        (&without_service, "rest GET /slow"),
    ] {
        let mut client = gateway.client();
        client.send(get("/slow"));
        slow.arrived();
        gateway.reload(text);
        // Another is served by what holds now, while the first still waits.
        stays(&mut gateway.client(), "/slow", now);
        slow.answer();
        let response = client.response();
        assert_eq!((response.status, response.text().as_str()), (200, "slow /slow"));
        assert!(!response.closes());
        stays(&mut client, "/slow", now);
        gateway.reload(&all);
    }
    // Its connection to the instance that is gone is closed, not kept for the next.
    gateway.reload(&without_service);
    until("no connection to it is left", || {
        (slow.origin.connections() == slow.origin.closed()).then_some(())
    });
}

/// A body that is being sent goes on to where it went, and the next request goes elsewhere.
#[test]
fn a_body_on_its_way() {
    let (one, other) = (Origin::echo(), Origin::named("other"));
    let gateway = Gateway::before(&[one.address()]);
    let mut client = gateway.client();
    client.send(post_chunked("/")).send("5\r\nhello\r\n");
    until("it is there", || (one.connections() == 1).then_some(()));
    gateway.reload(&config("", "", &[other.address()]));
    client.send("6\r\n world\r\n0\r\n\r\n");
    assert_eq!(client.response().text(), "hello world");
    stays(&mut client, "/", "other GET /");
}

#[test]
fn a_route_that_goes_is_404_on_the_same_connection() {
    let origin = Origin::named("o");
    let text = config("", "", &[origin.address()]).replace("/*", "/a");
    let gateway = Setup::run(&format!("{text}\"/b\" = \"s\"\n")).start();
    let mut client = gateway.client();
    stays(&mut client, "/b", "o GET /b");
    assert_eq!(gateway.reload(&text), ["- route /b"]);
    let response = client.get("/b");
    assert_eq!(response.status, 404);
    assert_eq!(response.head.get("x-coregate-reason"), Some("no_route"));
    assert!(!response.closes());
    stays(&mut client, "/a", "o GET /a");
    assert_eq!(gateway.reload(&format!("{text}\"/b\" = \"s\"\n")), ["+ route /b -> s"]);
    stays(&mut client, "/b", "o GET /b");
}

/// A tunnel has nothing to do with what comes after it.
#[test]
fn tunnels_outlive_their_instance() {
    let origin = agreeing(echo);
    let other = Origin::named("other");
    let gateway = Gateway::before(&[origin.address()]);
    let mut tunnel = switched(gateway.client());
    says(&mut tunnel, "before");
    for round in 0..5 {
        gateway.reload(&config("", "", &[other.address()]));
        says(&mut tunnel, &format!("gone {round}"));
        gateway.reload(&config("", "", &[origin.address()]));
        says(&mut tunnel, &format!("there {round}"));
    }
    gateway.reload(&config("", "", &[other.address()]));
    stays(&mut gateway.client(), "/", "other GET /");
    says(&mut tunnel, "after");
    tunnel.finish().expect_end();
}

/// The first attempt is on its way to an instance that takes no connection when its service gets another one.
#[test]
fn a_retry_finds_what_came_meanwhile() {
    let hole = crate::harness::origin::blackhole();
    let text = |at: &str| config("", "timeout = { connect = \"700ms\" }", &[at]);
    let gateway = Setup::run(&text(&hole.address)).start();
    let origin = Origin::named("o");
    let mut client = gateway.client();
    client.send(get("/"));
    gateway.stats_when("it has begun", |stats| stats.total("requests") == 1);
    gateway.reload(&text(origin.address()));
    assert_eq!(client.response().text(), "o GET /");
    let stats = gateway.stats_when("it was tried again", |stats| stats.total("retries") == 1);
    assert_eq!(stats.total("responses_5xx"), 0);
}
