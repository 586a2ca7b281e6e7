//! Explanations, held against the lines that they make; and against the router over random routes and requests.

mod guard;

use std::time::Duration;

use super::expect::Expected;
use super::*;
use crate::snapshot::compile::compile;
use crate::snapshot::plan::{
    Action, Forward, ListenerPlan, ListenerTerms, PathPattern, Plan, Predicate, Redirect, Respond,
    Rewrite, RoutePlan, ServicePlan, Share, Template, Test,
};

fn service(name: &str, instances: &[&str]) -> ServicePlan {
    let mut plan = Plan::to_instances(&[]).services.remove(0);
    plan.name = name.into();
    plan.instances = instances.iter().map(|address| address.parse().unwrap()).collect();
    plan
}

fn route(key: &str, action: Action) -> RoutePlan {
    let (methods, rest) = key.split_once(' ').unwrap_or(("", key));
    let (host, path) = rest.split_at(rest.find('/').unwrap());
    let host = if host.is_empty() { "*" } else { host };
    let mut plan = RoutePlan::to(host.parse().unwrap(), path.parse().unwrap(), "");
    plan.when.methods = methods.split(',').filter(|one| !one.is_empty()).map(Into::into).collect();
    plan.action = action;
    plan
}

fn to(service: &str) -> Action {
    Action::Forward(Forward::to(service))
}

/// Of a file: nobody has spent anything.
const NOBODY: Surroundings<'_> = Surroundings::unspent(0);

/// A shop: a split with a rewrite, a redirect, an answer, methods, a header, another host.
fn shop() -> Plan {
    let path: PathPattern = "/api/{id}/*".parse().unwrap();
    let mut split = Forward::to("users");
    split.to[0].weight = 9_500;
    split.to.push(Share { service: "users-next".into(), weight: 500 });
    split.rewrite = Rewrite::To(Template::path("/v2/{id}/{*}", &path).unwrap());
    let old: PathPattern = "/old/*".parse().unwrap();
    let redirect =
        Redirect { status: 308, to: Template::location("https://{host}/new/{*}", &old).unwrap() };
    let headers = vec![("x-a".to_owned(), "1".to_owned())];
    let respond = Respond { status: 204, headers, body: Vec::new() };
    let mut beta = route("/*", to("users-next"));
    beta.when.headers = vec![Predicate { name: "x-beta".into(), test: Test::Is("1".into()) }];
    let mut api = route("a.com/api/{id}/*", Action::Forward(split));
    api.terms.body_bytes = Some(10);
    api.terms.connect = Some(Duration::from_millis(7));
    Plan {
        routes: vec![
            api,
            route("GET,PUT a.com/m", to("users")),
            route("/old/*", Action::Redirect(redirect)),
            route("/health", Action::Respond(respond)),
            route("b.com/*", to("users")),
            beta,
        ],
        services: vec![
            service("users", &["10.0.0.1:80", "10.0.0.2:80"]),
            service("users-next", &[]),
        ],
        listeners: vec![
            ListenerPlan { name: "raw".into(), tcp: Some("users".into()), ..Default::default() },
            ListenerPlan { name: "public".into(), ..Default::default() },
            ListenerPlan {
                name: "small".into(),
                terms: ListenerTerms {
                    request: parse::RequestLimits { target_bytes: 8, ..Default::default() },
                    ..Default::default()
                },
                ..Default::default()
            },
        ],
        ..Plan::default()
    }
}

fn explained(inquiry: &Inquiry) -> Explanation {
    explain(&compile(&shop(), 7).unwrap(), inquiry, &NOBODY).unwrap()
}

#[track_caller]
fn check(inquiry: &Inquiry, expected: &[&str]) {
    assert_eq!(explained(inquiry).lines(), expected, "{inquiry:?}");
}

#[test]
fn a_split_with_a_rewrite() {
    let mut inquiry = Inquiry::new("GET", "https://A.com:443/api/./7//x?q=%2f");
    inquiry.random = Some(u64::MAX);
    check(
        &inquiry,
        &[
            "request   GET a.com/api/7//x?q=%2f (listener public)",
            "route     a.com/api/{id}/*",
            "action    users 95%, users-next 5%, as /v2/{id}/{*}",
            "service   users 95%: 10.0.0.1:80, 10.0.0.2:80",
            "service   users-next 5%, without an instance: 503",
            "chosen    users-next",
            "path      /v2/7//x?q=%2f",
            "timeout   connect 7ms, first_byte 60s, body 60s, tunnel 3600s",
            "limits    body 10 bytes",
            "candidates, of 6 routes, in order of precedence:",
            "  > a.com/api/{id}/*  takes it",
            "  - GET,PUT a.com/m   segment 1: expected `m`, found `api`",
            "  - /health           segment 1: expected `health`, found `api`",
            "  - /old/*            segment 1: expected `old`, found `api`",
            "  - /* [x-beta=1]     header: expected x-beta=1",
            "  1 for other hosts",
        ],
    );
    inquiry.headers = vec![("content-length".into(), "11".into())];
    let Outcome::Refused(refused) = explained(&inquiry).outcome else { panic!("taken") };
    assert_eq!((refused.status, refused.reason), (413, "body_too_large"));
}

#[test]
fn what_the_gateway_answers() {
    let lines = |method, url| explained(&Inquiry::new(method, url)).lines()[1..4].join("\n");
    assert_eq!(
        lines("GET", "http://a.com/old/x?y"),
        "route     /old/*\naction    redirect 308 https://{host}/new/{*}\nlocation  https://a.com/new/x?y"
    );
    assert_eq!(
        lines("GET", "/health"),
        "route     /health\naction    respond 204\n          x-a: 1"
    );
    assert_eq!(
        lines("POST", "a.com/m"),
        "route     none\nanswer    405 method_not_allowed: routes would take it, had it another method: GET, HEAD, \
         PUT\nallow     GET, HEAD, PUT"
    );
    let status = |method, url| match explained(&Inquiry::new(method, url)).outcome {
        Outcome::Refused(refused) => refused.status,
        Outcome::Routed(_) => 0,
    };
    for (method, url, expected) in [
        ("GET", "a.com/x", 404),
        ("GET", "a.com/%zz", 400),
        ("GET", "a.com/a b", 400),
        ("GET", "u@a.com/", 400),
        ("", "/", 400),
        ("CONNECT", "a.com/", 405),
        ("A-METHOD-THAT-IS-LONGER-THAN-ANY-IS", "a.com/", 501),
        ("GET", "b.com/x", 0),
        ("GET", "/old/x", 400),
    ] {
        assert_eq!(status(method, url), expected, "{method} {url}");
    }
    assert_eq!(status("GET", &format!("a.com/{}", "x".repeat(9_000))), 414);
    let mut long = Inquiry::new("GET", "b.com/");
    long.headers = vec![("a".into(), "x".repeat(70_000))];
    let Outcome::Refused(refused) = explained(&long).outcome else { panic!("taken") };
    assert_eq!(refused.status, 431);
    assert_eq!(explained(&long).lines().len(), 3);
}

#[test]
fn listeners() {
    let mut inquiry = Inquiry::new("GET", "b.com/123456789");
    assert_eq!(explained(&inquiry).listener.as_deref(), Some("public"));
    inquiry.listener = Some("small".into());
    let Outcome::Refused(refused) = explained(&inquiry).outcome else { panic!("taken") };
    assert_eq!(refused.status, 414);
    for name in ["raw", "x"] {
        inquiry.listener = Some(name.into());
        let error = explain(&compile(&shop(), 7).unwrap(), &inquiry, &NOBODY).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("listener {name:?}: expected one that reads requests: public, small")
        );
    }
}

#[test]
fn of_many_those_that_came_closest_are_shown() {
    let mut plan = shop();
    plan.routes = (0..100).map(|n| route(&format!("/a/{n}/{{x}}"), to("users"))).collect();
    plan.routes.push(route("POST /a/7/b", to("users")));
    plan.routes.push(route("/*", to("users")));
    let snapshot = compile(&plan, 1).unwrap();
    let mut inquiry = Inquiry::new("GET", "c.com/a/7/b");
    inquiry.shown = 3;
    let explanation = explain(&snapshot, &inquiry, &NOBODY).unwrap();
    let shown: Vec<_> =
        explanation.candidates.iter().map(|one| (one.route.as_str(), one.standing)).collect();
    assert_eq!(
        shown,
        [("POST /a/7/b", Standing::Lost), ("/a/7/{x}", Standing::Won), ("/*", Standing::Behind)]
    );
    assert_eq!((explanation.left_out, explanation.routes), (99, 102));
    // Those that more are shown of are the same and in the same order.
    inquiry.shown = 102;
    let all = explain(&snapshot, &inquiry, &NOBODY).unwrap();
    assert_eq!((all.candidates.len(), all.left_out), (102, 0));
    for shown in 1..102 {
        inquiry.shown = shown;
        let some = explain(&snapshot, &inquiry, &NOBODY).unwrap();
        assert_eq!((some.candidates.len(), some.left_out), (shown, 102 - shown));
        assert!(some.candidates.iter().any(|one| one.standing == Standing::Won));
        let mut rest = all.candidates.iter();
        assert!(some.candidates.iter().all(|one| rest.any(|it| it == one)), "{shown}");
    }
}

#[test]
fn expectations() {
    let missed = |url: &str, expected: Expected| -> String {
        let missed = expected.missed(&explained(&Inquiry::new("GET", url)));
        let each = missed.iter().map(|it| format!("{} {} {}", it.what, it.expected, it.seen));
        each.collect::<Vec<_>>().join("; ")
    };
    let none = Expected::default;
    let split = "a.com/api/7/x?y";
    let route = |name: &str| Expected { route: Some(name.into()), ..none() };
    assert_eq!(missed(split, route("a.com/api/{id}/*")), "");
    assert_eq!(missed("a.com/m", route("a.com/m")), "route a.com/m GET,PUT a.com/m");
    let service = |names: &[&str]| Expected {
        services: names.iter().map(|&name| name.to_owned()).collect(),
        ..none()
    };
    assert_eq!(missed(split, service(&["users", "users-next", "other"])), "");
    assert_eq!(missed(split, service(&["users"])), "service users users, users-next");
    assert_eq!(missed("/health", service(&["users"])), "service users none");
    let path = |path: &str| Expected { path: Some(path.into()), ..none() };
    assert_eq!(missed(split, path("/v2/7/x")), "");
    assert_eq!(missed(split, path("/v2/7")), "path /v2/7 /v2/7/x");
    assert_eq!(missed("/health", path("/")), "path / none");
    let answer = Expected {
        status: Some(308),
        location: Some("https://a.com/new/".into()),
        route: Some("/*".into()),
        ..none()
    };
    assert_eq!(missed("a.com/old", answer.clone()), "route /* /old/*");
    assert_eq!(
        missed("a.com/none", answer),
        "route /* none; status 308 404; location https://a.com/new/ none"
    );
}

#[test]
fn without_candidates_the_outcome_is_the_same() {
    let snapshot = compile(&shop(), 1).unwrap();
    for (method, url) in [
        ("GET", "http://a.com/api/1/x"),
        ("POST", "http://a.com/m"),
        ("GET", "http://c.com/none"),
        ("GET", "http://c.com/old/x"),
    ] {
        let inquiry = Inquiry::new(method, url);
        let whole = explain(&snapshot, &inquiry, &NOBODY).unwrap();
        let alone = explain(&snapshot, &Inquiry { shown: 0, ..inquiry }, &NOBODY).unwrap();
        assert_eq!((alone.outcome, alone.request), (whole.outcome, whole.request));
        assert!(alone.candidates.is_empty() && !whole.candidates.is_empty());
    }
}
