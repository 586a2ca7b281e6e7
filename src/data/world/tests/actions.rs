//! What routes do with a request: forward it under another path and on other terms, or answer it themselves.

use std::collections::BTreeMap;

use coregate_core::snapshot::plan::{
    Action, Forward, HostPattern, PathPattern, Redirect, Respond, Rewrite, RoutePlan, Share,
    Template, When,
};

use super::*;

const POST_CHUNKED: &str =
    "POST /go/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";

fn route(path: &str, action: Action) -> RoutePlan {
    RoutePlan { action, ..RoutePlan::to(HostPattern::Any, path.parse().unwrap(), "") }
}

fn redirect(path: &str, status: u16, to: &str) -> RoutePlan {
    let to = Template::location(to, &path.parse::<PathPattern>().unwrap()).unwrap();
    route(path, Action::Redirect(Redirect { status, to }))
}

fn respond(path: &str, status: u16, body: impl Into<Vec<u8>>) -> RoutePlan {
    let headers = vec![("Content-Type".to_owned(), "text/plain".to_owned())];
    route(path, Action::Respond(Respond { status, headers, body: body.into() }))
}

fn forward(path: &str, rewrite: Rewrite) -> RoutePlan {
    route(path, Action::Forward(Forward { rewrite, ..Forward::to("upstream") }))
}

fn rewritten(path: &str, to: &str) -> RoutePlan {
    let to = Template::path(to, &path.parse().unwrap()).unwrap();
    forward(path, Rewrite::To(to))
}

fn with_methods(route: RoutePlan, methods: &[&str]) -> RoutePlan {
    let methods = methods.iter().map(ToString::to_string).collect();
    RoutePlan { when: When { methods, ..When::default() }, ..route }
}

/// A world with these routes beside the one that takes everything.
fn world_with(routes: Vec<RoutePlan>) -> World {
    world_on(|plan| plan.routes.extend(routes))
}

/// A world with these routes alone.
fn world_of(routes: Vec<RoutePlan>) -> World {
    world_on(|plan| plan.routes = routes)
}

/// An answer of ours without its `Date`, and its body.
fn answer(end: &End) -> (String, String) {
    let text = text(end);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
    let lines = head.split("\r\n").filter(|line| !line.starts_with("Date: "));
    (lines.collect::<Vec<_>>().join("\n"), body.to_owned())
}

fn problem(title: &str, status: u16) -> String {
    format!("{{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{status}}}\n")
}

#[test]
fn redirects() {
    for (status, title) in [
        (301, "Moved Permanently"),
        (302, "Found"),
        (303, "See Other"),
        (307, "Temporary Redirect"),
        (308, "Permanent Redirect"),
    ] {
        let world = world_of(vec![redirect("/go/{rest*}", status, "/new/{rest}")]);
        let client = world.client();
        let body = problem(title, status);
        let length = body.len();
        let expected = format!(
            "HTTP/1.1 {status} {title}\nContent-Type: application/problem+json\nContent-Length: {length}\nLocation: /new/x?q=%2f"
        );
        for method in ["GET", "HEAD", "DELETE", "OPTIONS", "PURGE"] {
            world.said(&client, &format!("{method} /go/./x?q=%2f HTTP/1.1\r\nHost: a\r\n\r\n"));
            let body = if method == "HEAD" { "" } else { &body };
            assert_eq!(answer(&client), (expected.clone(), body.to_owned()), "{method}");
        }
        let stats = world.stats();
        assert_eq!((stats.requests.get(), stats.responses_3xx.get()), (5, 5));
        assert_eq!((stats.answered_by_route.get(), stats.upstream_connects.get()), (5, 0));
        assert!(stats.rejects().all(|(_, count)| count == 0));
    }
}

#[test]
fn fixed_responses() {
    let long = "x".repeat(limits::RESPOND_BYTES);
    for (status, body, head, shown) in [
        (200, "hello", "HTTP/1.1 200 OK\nContent-Length: 5\nContent-Type: text/plain", "hello"),
        (418, "tea", "HTTP/1.1 418 Unassigned\nContent-Length: 3\nContent-Type: text/plain", "tea"),
        (200, "", "HTTP/1.1 200 OK\nContent-Length: 0\nContent-Type: text/plain", ""),
        (204, "x", "HTTP/1.1 204 No Content\nContent-Type: text/plain", ""),
        (304, "x", "HTTP/1.1 304 Not Modified\nContent-Type: text/plain", ""),
        (
            503,
            &long,
            "HTTP/1.1 503 Service Unavailable\nContent-Length: 16384\nContent-Type: text/plain",
            &long,
        ),
    ] {
        let world = world_of(vec![respond("/go/*", status, body)]);
        let client = world.client();
        for method in ["GET", "HEAD", "PUT"] {
            world.said(&client, &format!("{method} /go HTTP/1.1\r\nHost: a\r\n\r\n"));
            let shown = if method == "HEAD" { "" } else { shown };
            let (got_head, got_body) = answer(&client);
            assert_eq!(got_head, head, "{method}");
            assert!(got_body == shown, "{method} {status}");
        }
        assert_eq!(world.worker().buffers.large_in_use(), 0);
        assert!(!client.is_ended());
    }
}

/// CVE-2025-4366: what is left of a request that was answered here must not be taken for the next one.
#[test]
fn the_body_of_a_request_that_is_answered_here_is_drained() {
    let length = format!("POST /go/x HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", GET.len());
    for (head, body) in
        [(POST_CHUNKED.split_once("3\r\n").unwrap().0, "3\r\nabc\r\n0\r\n\r\n"), (&length, GET)]
    {
        for own in [respond("/go/*", 200, "own"), redirect("/go/*", 308, "/new")] {
            // The body comes at once, in two parts, and byte by byte.
            for pieces in
                [vec![body], vec![&body[..3], &body[3..]], body.split_inclusive(|_| true).collect()]
            {
                let world = world_with(vec![own.clone()]);
                let (client, instance) = (world.client(), world.instance(&address()));
                world.said(&client, head);
                pieces.iter().for_each(|piece| world.said(&client, piece));
                let (said, _) = answer(&client);
                assert!(!said.contains("Connection"), "{said}");
                assert_eq!(text(&instance), "", "nothing of it is a request");
                world.said(&client, GET);
                assert_eq!(request_at(&instance), GET);
                world.said(&instance, OK);
                assert_eq!(text(&client), RELAYED);
            }
        }
    }
}

#[test]
fn a_body_that_is_too_long_to_drain_ends_the_connection() {
    let world = world_with(vec![redirect("/go/*", 307, "/new")]);
    let client = world.client();
    world.said(&client, "POST /go HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    let (head, _) = answer(&client);
    assert!(head.starts_with("HTTP/1.1 307 "), "{head}");
    for _ in 0..10 {
        world.said(&client, &"x".repeat(10_000));
    }
    world.said(&client, GET);
    assert_eq!(text(&client), "");
    assert!(client.is_ended());
    assert_eq!(world.stats().requests.get(), 1);
}

#[test]
fn who_waits_for_a_100_is_answered_and_closed() {
    for own in [respond("/go", 200, "own"), redirect("/go", 308, "/new")] {
        let world = world_with(vec![own]);
        let client = world.client();
        world.said(
            &client,
            "POST /go HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 30\r\n\r\n",
        );
        let (head, _) = answer(&client);
        assert!(head.ends_with("\nConnection: close"), "{head}");
        world.said(&client, GET);
        client.end();
        world.run();
        assert_eq!(text(&client), "", "these may be bytes of the body");
        assert!(client.is_ended());
    }
}

#[test]
fn pipelined_behind_an_answer_of_ours() {
    let world = world_with(vec![redirect("/go/*", 302, "/new"), respond("/own", 200, "own")]);
    let (client, instance) = (world.client(), world.instance(&address()));
    let own = "GET /own HTTP/1.1\r\nHost: a\r\n\r\n";
    world.said(&client, &format!("{POST_CHUNKED}{own}{GET}{own}{POST_CHUNKED}"));
    assert_eq!(request_at(&instance), GET);
    world.said(&instance, OK);
    let got = text(&client);
    let statuses = got.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]);
    assert_eq!(statuses.collect::<Vec<_>>(), ["302", "200", "200", "200", "302"]);
    assert!(got.contains(RELAYED) && !client.is_ended());
    // Many in one turn.
    world.said(&client, &own.repeat(500));
    assert_eq!(text(&client).matches("\r\n\r\nown").count(), 500);
    assert_eq!(world.stats().answered_by_route.get(), 504);
}

#[test]
fn what_an_answer_of_ours_says_about_the_connection() {
    let own = || vec![respond("/*", 200, "own")];
    for (lines, says, ends) in [
        ("1.1\r\nHost: a\r\n", "", false),
        ("1.1\r\nHost: a\r\nConnection: close\r\n", "\nConnection: close", true),
        ("1.0\r\nHost: a\r\n", "\nConnection: close", true),
        ("1.0\r\nHost: a\r\nConnection: keep-alive\r\n", "\nConnection: keep-alive", false),
    ] {
        let world = world_of(own());
        let client = world.client();
        world.said(&client, &format!("GET / HTTP/{lines}\r\n"));
        let (head, _) = answer(&client);
        assert!(head.ends_with(&format!("text/plain{says}")), "{head}");
        client.push(b"");
        world.later(2 * SECOND);
        assert_eq!(client.is_ended(), ends, "{lines}");
    }
    let world = world_on(|plan| {
        plan.routes = own();
        plan.listeners[0].terms.requests = 2;
    });
    let client = world.client();
    world.said(&client, &GET.repeat(2));
    assert!(text(&client).contains("\r\nConnection: close\r\n"));
    let world = world_of(own());
    world.worker().stopping.set();
    let client = world.client();
    world.said(&client, GET);
    assert!(answer(&client).0.ends_with("\nConnection: close"));
}

#[test]
fn a_request_id_comes_back() {
    let world = world_of(vec![respond("/*", 200, "own")]);
    let client = world.client();
    world.said(&client, "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: id-7\r\n\r\n");
    assert!(answer(&client).0.ends_with("\nX-Request-Id: id-7"));
    let mut own = respond("/*", 200, "own");
    let Action::Respond(Respond { headers, .. }) = &mut own.action else { unreachable!() };
    *headers = vec![("x-request-id".into(), "ours".into())];
    let world = world_of(vec![own]);
    let client = world.client();
    world.said(&client, "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: id-7\r\n\r\n");
    assert!(answer(&client).0.ends_with("Content-Length: 3\nx-request-id: ours"));
}

/// Nobody is led to another host than the template's, nor is a line added to the head.
#[test]
fn redirects_lead_nowhere_else() {
    let routes = || {
        vec![
            redirect("/{rest*}", 302, "/{rest}"),
            redirect("/p/*", 302, "{path}"),
            redirect("/s/*", 302, "https://{host}{path}"),
        ]
    };
    for (target, expected) in [
        ("//evil.com", "/evil.com"),
        ("////evil.com/x", "/evil.com/x"),
        ("/%2Fevil.com", "/%2Fevil.com"),
        ("/%5Cevil.com", "/%5Cevil.com"),
        ("/.//evil.com", "/evil.com"),
        ("/a/..//evil.com", "/evil.com"),
        ("/p//evil.com", "/p//evil.com"),
        ("/s//evil.com", "https://good.com/s//evil.com"),
        ("/s/@evil.com?a@b", "https://good.com/s/@evil.com?a@b"),
        ("/x?%0d%0aSet-Cookie:%20a", "/x?%0d%0aSet-Cookie:%20a"),
    ] {
        let world = world_of(routes());
        let client = world.client();
        world.said(&client, &format!("GET {target} HTTP/1.1\r\nHost: GOOD.com\r\n\r\n"));
        let (head, _) = answer(&client);
        let location = head.lines().find_map(|line| line.strip_prefix("Location: "));
        assert_eq!(location, Some(expected), "{target}");
        assert_eq!(head.lines().count(), 4, "{head}");
    }
    for target in ["/\\evil.com", "/a%0d%0aSet-Cookie:a", "/x?a\r\nb", "/%00", "/x?\x01"] {
        let world = world_of(routes());
        let client = world.client();
        world.said(&client, &format!("GET {target} HTTP/1.1\r\nHost: good.com\r\n\r\n"));
        let (head, _) = answer(&client);
        assert!(
            head.starts_with("HTTP/1.1 400 ") && !head.contains("Location"),
            "{target}: {head}"
        );
    }
}

/// HTTP/1.0 may name no host: then there is none to be led to, and `https:///x` would be another.
#[test]
fn a_redirect_to_a_host_that_was_not_named() {
    let world = world_of(vec![
        redirect("/*", 302, "https://{host}{path}"),
        redirect("/fine", 302, "https://b.com{path}"),
    ]);
    for (path, starts) in [("//evil.com", "HTTP/1.1 400 "), ("/fine", "HTTP/1.1 302 ")] {
        let client = world.client();
        world.said(&client, &format!("GET {path} HTTP/1.0\r\n\r\n"));
        assert!(text(&client).starts_with(starts), "{path}");
    }
}

#[test]
fn another_method_is_told_which_are_allowed() {
    let world = world_of(vec![
        with_methods(respond("/a", 200, "own"), &["GET"]),
        with_methods(forward("/a", Rewrite::Same), &["PUT", "DELETE"]),
    ]);
    let client = world.client();
    let says = |method: &str, path: &str, fields: &str| {
        world.said(&client, &format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        answer(&client)
    };
    let length = problem("Method Not Allowed", 405).len();
    let expected = format!(
        "HTTP/1.1 405 Method Not Allowed\nContent-Type: application/problem+json\nContent-Length: {length}\nAllow: DELETE, GET, HEAD, PUT"
    );
    assert_eq!(says("POST", "/a", ""), (expected.clone(), problem("Method Not Allowed", 405)));
    assert_eq!(says("OPTIONS", "/a", "").0, expected);
    assert_eq!(says("PURGE", "/a", "").0, expected);
    assert_eq!(says("HEAD", "/a", "").0.lines().next(), Some("HTTP/1.1 200 OK"));
    assert_eq!(says("POST", "/b", "").0.lines().next(), Some("HTTP/1.1 404 Not Found"));
    world.said(&client, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(answer(&client).0, expected);
    assert!(!client.is_ended(), "its connection is kept");
    assert_eq!(world.stats().rejected[Reject::MethodNotAllowed as usize].get(), 4);
    world.said(&client, "TRACE /a HTTP/1.1\r\nHost: a\r\n\r\n");
    let (head, _) = answer(&client);
    assert!(head.starts_with("HTTP/1.1 405 ") && head.ends_with("\nConnection: close"), "{head}");
    assert!(head.contains("\nAllow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\n"), "{head}");
}

#[test]
fn paths_that_go_on_as_others() {
    let world = world_of(vec![
        forward("/api/*", Rewrite::Strip("/api".into())),
        rewritten("/users/{id}/{rest*}", "/v2/{rest}/of/{id}"),
        rewritten("/one/{id}", "/{id}"),
        rewritten("/same/*", "/other"),
    ]);
    let (client, instance) = (world.client(), world.instance(&address()));
    for (target, expected) in [
        ("/api/x", "/x"),
        ("/api", "/"),
        ("/api?q", "/?q"),
        ("/api/", "/"),
        ("/api//x?a=/b", "/x?a=/b"),
        ("/api/%2Fx?%2f&a|b", "/%2Fx?%2f&a%7Cb"),
        ("/x/../api/./y|z?%zz".trim_end_matches("?%zz"), "/y%7Cz"),
        ("/users/7/a/b?x=1?y", "/v2/a/b/of/7?x=1?y"),
        ("/users/a%2Fb/%5C..?", "/v2/%5C../of/a%2Fb?"),
        ("/users/7", "/v2//of/7"),
        ("/one/%2e%2E%2F", "/..%2F"),
        ("/same/thing?x", "/other?x"),
    ] {
        let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        world.said(&client, &get(target));
        assert_eq!(request_at(&instance), get(expected), "{target}");
        world.said(&instance, OK);
        assert_eq!(text(&client), RELAYED);
    }
    world.said(&client, "POST /api/b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    let sent = request_at(&instance);
    assert!(sent.starts_with("POST /b HTTP/1.1\r\n") && sent.ends_with("\r\n\r\nhi"), "{sent}");
}

#[test]
fn a_second_attempt_has_the_same_path() {
    for target in ["/api/x?q", "/api/./x?q"] {
        let world = world_of(vec![forward("/api/*", Rewrite::Strip("/api".into()))]);
        let (client, first, second) =
            (world.client(), world.instance(&address()), world.instance(&address()));
        let get = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        world.said(&client, &get);
        assert!(text(&first).starts_with("GET /x?q HTTP/1.1\r\n"));
        world.said(&first, OK);
        world.said(&client, &get);
        first.end();
        world.run();
        assert!(text(&second).starts_with("GET /x?q HTTP/1.1\r\n"));
        assert_eq!(world.stats().retries.get(), 1);
    }
}

#[test]
fn the_server_as_a_whole_has_no_other_path() {
    let world = world_of(vec![rewritten("/*", "/v2/{*}")]);
    let (client, instance) = (world.client(), world.instance(&address()));
    let options = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
    world.said(&client, options);
    assert_eq!(request_at(&instance), options);
}

#[test]
fn a_route_has_a_limit_of_its_own_for_bodies() {
    let limited = || {
        world_on(|plan| {
            plan.listeners[0].terms.body_bytes = Some(3);
            let mut large = forward("/large", Rewrite::Same);
            large.terms.body_bytes = Some(5);
            let mut own = respond("/own", 200, "own");
            own.terms.body_bytes = Some(0);
            plan.routes.extend([large, own]);
        })
    };
    let post = |path: &str, body: &str| {
        let length = body.len();
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let chunked = |path: &str, body: &str| {
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
    };
    for (request, takes) in [
        (post("/", "abc"), true),
        (post("/", "abcd"), false),
        (post("/large", "abcde"), true),
        (post("/large", "abcdef"), false),
        (post("/own", "x"), false),
        (chunked("/", "abcd"), false),
        (chunked("/large", "abcde"), true),
        (chunked("/large", "abcdef"), false),
    ] {
        let world = limited();
        let (client, instance) = (world.client(), world.instance(&address()));
        world.said(&client, &request);
        assert_eq!(!text(&instance).is_empty(), takes, "{request}");
        if !takes {
            let (head, _) = answer(&client);
            assert!(head.starts_with("HTTP/1.1 413 "), "{request}: {head}");
            assert!(head.ends_with("\nConnection: close"), "{head}");
        }
    }
}

#[test]
fn a_route_has_times_of_its_own() {
    let world = world_on(|plan| {
        let mut slow = forward("/slow", Rewrite::Same);
        slow.terms.first_byte = Some(100 * SECOND);
        slow.terms.body = Some(200 * SECOND);
        slow.terms.tunnel = Some(7 * SECOND);
        plan.routes.push(slow);
        plan.services[0].timeout.first_byte = 2 * SECOND;
        plan.services[0].timeout.body = 3 * SECOND;
    });
    for (path, first_byte, body) in [("/slow", 100, 200), ("/", 2, 3)] {
        let (client, instance) = (world.client(), world.instance(&address()));
        world.said(&client, &format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let _ = instance.take();
        ended_after(&world, &instance, first_byte * SECOND);
        assert!(text(&client).starts_with("HTTP/1.1 504 "));

        let (client, instance) = (world.client(), world.instance(&address()));
        world.said(&client, &format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let _ = instance.take();
        world.said(&instance, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhi");
        ended_after(&world, &instance, body * SECOND);
    }
    let (client, instance) = (world.client(), world.instance(&address()));
    world.said(&client, &ASKS.replace("/a", "/slow"));
    let _ = instance.take();
    world.said(&instance, SWITCHES);
    assert_eq!(world.stats().tunnels_open.get(), 1);
    ended_after(&world, &client, 7 * SECOND);
}

#[test]
fn a_split_is_as_it_says() {
    const REQUESTS: u32 = 10_000;
    let world = world_on(|plan| {
        let mut canary = plan.services[0].clone();
        (canary.name, canary.instances) = ("canary".into(), vec![numbered(1)]);
        plan.services.push(canary);
        plan.listeners[0].terms.requests = REQUESTS + 1;
        let Action::Forward(Forward { to, .. }) = &mut plan.routes[0].action else { panic!() };
        to[0].weight = 9_500;
        to.push(Share { service: "canary".into(), weight: 500 });
    });
    let client = world.client();
    let instances = [world.instance(&address()), world.instance(&numbered(1))];
    let mut counts = BTreeMap::<usize, u32>::new();
    for _ in 0..REQUESTS {
        world.said(&client, GET);
        let at = instances.iter().position(|instance| !instance.take().is_empty()).unwrap();
        *counts.entry(at).or_default() += 1;
        world.said(&instances[at], OK);
        assert_eq!(text(&client), RELAYED);
    }
    // 500 are expected; five standard deviations of 22 to either side.
    assert!((390..=610).contains(&counts[&1]), "{counts:?}");
}

/// A second attempt goes to the service that was chosen first.
#[test]
fn a_split_is_chosen_once() {
    for _ in 0..20 {
        let world = world_on(|plan| {
            let mut canary = plan.services[0].clone();
            (canary.name, canary.instances) = ("canary".into(), vec![numbered(1)]);
            plan.services.push(canary);
            let Action::Forward(Forward { to, .. }) = &mut plan.routes[0].action else { panic!() };
            to[0].weight = 5_000;
            to.push(Share { service: "canary".into(), weight: 5_000 });
        });
        let client = world.client();
        let stable = [world.instance(&address()), world.instance(&address())];
        let canary = [world.instance(&numbered(1)), world.instance(&numbered(1))];
        let both = [stable, canary];
        let mut used = [false; 2];
        let find = |at: usize| both.iter().position(|of| !of[at].take().is_empty());
        // Until the same service has been asked twice, on one connection, which then dies.
        let (again, other) = loop {
            world.said(&client, GET);
            let to = find(0).unwrap();
            if used[to] {
                both[to][0].end();
                world.run();
                break (to, 1 - to);
            }
            used[to] = true;
            world.said(&both[to][0], OK);
            assert_eq!(text(&client), RELAYED);
        };
        assert!(!both[again][1].take().is_empty());
        assert!(both[other][1].take().is_empty());
    }
}
