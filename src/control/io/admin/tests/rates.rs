//! Limits over the admin listener: what there are, and how their buckets stand.

use std::num::NonZeroU64;

use coregate_core::http::head::Head;
use coregate_core::policy::rate::{Buckets, Facts};
use coregate_core::snapshot::plan::{ConsumerPlan, Per, RatePlan, RateTerms, RoutePolicies, Scope};

use super::*;

fn rate(name: &str, count: u64, per: &[Per]) -> RatePlan {
    let count = NonZeroU64::new(count).expect("some");
    let terms = RateTerms { count, window: Duration::from_secs(3_600), burst: count };
    RatePlan { per: per.to_vec(), ..RatePlan::named(name, terms) }
}

/// Routes `/a` and `/b`, the first with these limits, the second with the first of them.
fn stage(rates: Vec<RatePlan>) -> Stage {
    let stage = Stage::new();
    let route = |path: &str, names: &[RatePlan]| {
        let mut route = RoutePlan::to(HostPattern::Any, path.parse().expect("a path"), "upstream");
        let auth = Some("key".to_owned());
        let rates = names.iter().map(|rate| rate.name.clone()).collect();
        route.policies = RoutePolicies { auth, rates, ..RoutePolicies::default() };
        route
    };
    let mut policies = stage.process.policies.lock().expect("policies");
    policies.routes = vec![route("/a", &rates), route("/b", &rates[..1])];
    let consumer = |name: &str, groups: &[&str]| ConsumerPlan {
        name: name.into(),
        groups: groups.iter().map(ToString::to_string).collect(),
        keys: Vec::new(),
    };
    policies.consumers = vec![consumer("gold", &["gold"]), consumer("tin", &[])];
    policies.rates = rates;
    drop(policies);
    stage
}

#[test]
fn all_that_routes_have_are_listed() {
    let gold = RateTerms {
        count: NonZeroU64::MIN,
        window: Duration::from_secs(1),
        burst: NonZeroU64::MIN,
    };
    let rates = vec![
        RatePlan {
            groups: vec![("gold".into(), gold)],
            ..rate("api", 5, &[Per::Consumer, Per::Header("x-tenant".into())])
        },
        RatePlan { dry_run: true, scope: Scope::Worker, ..rate("all", 7, &[]) },
    ];
    let stage = stage(rates);
    let json = stage.ask("GET /v1/limits").json();
    assert_eq!((&json["count"], &json["next"]), (&2.into(), &Value::Null));
    let [all, api] = &json["limits"].as_array().expect("limits")[..] else { panic!("{json}") };
    assert_eq!(
        (&all["name"], &all["scope"], &all["dry_run"]),
        (&"all".into(), &"worker".into(), &true.into())
    );
    assert_eq!(
        (&api["limit"], &api["cost"], &api["route_count"]),
        (&"5/h".into(), &"1".into(), &2.into())
    );
    assert_eq!(api["per"], serde_json::json!(["consumer", "header:x-tenant"]));
    assert_eq!(api["groups"], serde_json::json!([{"group": "gold", "limit": "1/s"}]));
    let first = &api["routes"][0];
    assert_eq!((&first["route"], &first["refused"]), (&"/a".into(), &2.into()));
    let page = stage.ask("GET /v1/limits?limit=1").json();
    assert_eq!((&page["next"], page["limits"].as_array().map(Vec::len)), (&"all".into(), Some(1)));
    let rest = stage.ask("GET /v1/limits?limit=1&after=all").json();
    assert_eq!((&rest["next"], &rest["limits"][0]["name"]), (&Value::Null, &"api".into()));
    stage.ask("GET /v1/limits/all").is_problem(409);
    stage.ask("GET /v1/limits/none").is_problem(404);
}

#[test]
fn a_bucket_is_looked_at_and_filled() {
    let stage = stage(vec![rate("api", 5, &[Per::Consumer, Per::Address { v4: 24, v6: 64 }])]);
    let query = "consumer=tin&address=10.0.0.7";
    let look =
        |query: &str| stage.ask(&format!("GET /v1/limits/api?{query}")).json()["bucket"].clone();
    let remaining = |query: &str| look(query)["remaining"].as_u64();
    assert_eq!(remaining(query), Some(5));
    assert_eq!(remaining(query), Some(5), "looking takes nothing");
    let snapshot = stage.process.snapshot();
    let route = snapshot.routes().find(|route| &*route.name == "/a").expect("a route");
    let buckets = Buckets::new(stage.process.cells(), 1);
    let facts = Facts {
        consumer: snapshot.consumers().named("tin").map(|one| &**one),
        address: "10.0.0.9".parse().ok(),
        head: &Head::default(),
        route: "/a",
        service: "upstream",
    };
    let clock = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    };
    for _ in 0..5 {
        assert!(buckets.spend(&route.guard.limits[0], &facts, clock).admitted);
    }
    let bucket = look(query);
    assert_eq!((&bucket["admits"], &bucket["remaining"]), (&false.into(), &0.into()));
    assert!(bucket["wait_ms"].as_u64() > Some(60_000), "{bucket}");
    assert_eq!(bucket["of"], serde_json::json!(["consumer tin", "address 10.0.0.7"]));
    assert_eq!(remaining("consumer=gold&address=10.0.0.7"), Some(5), "another's");
    assert_eq!(remaining("consumer=tin&address=10.0.1.7"), Some(5), "elsewhere");
    let filled = stage.ask(&format!("POST /v1/limits/api/reset?{query}")).json();
    assert_eq!((&filled["bucket"]["remaining"], &filled["name"]), (&5.into(), &"api".into()));
    assert_eq!(remaining(query), Some(5));
}

#[test]
fn a_bucket_that_is_not_named_is_asked_for() {
    let per = [
        Per::Consumer,
        Per::Address { v4: 32, v6: 128 },
        Per::Header("x-a".into()),
        Per::Route,
        Per::Service,
    ];
    let stage = stage(vec![rate("api", 5, &per)]);
    for (query, status, expected) in [
        ("", 400, "is per consumer: say which"),
        ("?consumer=none", 404, "there is no consumer"),
        ("?consumer=tin", 400, "is per address: say which"),
        ("?consumer=tin&address=x", 400, "expected one such as 10.0.0.7"),
        ("?consumer=tin&address=unix", 400, "is per route: say which"),
        ("?consumer=tin&address=unix&route=/c", 400, "is per route: say which"),
        ("?header=x", 400, "expected NAME:VALUE"),
        ("?header=x:%0d%0ay", 400, "as a request may have it"),
        ("?consumer=tin&consumer=gold", 400, "stands twice"),
        ("?name=tin", 400, "there is no parameter \"name\""),
    ] {
        let problem = stage.ask(&format!("GET /v1/limits/api{query}")).is_problem(status);
        let detail = problem["detail"].as_str().expect("a detail");
        assert!(detail.contains(expected), "{query}: {detail}");
    }
    let whole =
        stage.ask("GET /v1/limits/api?consumer=tin&address=::1&route=/b&header=X-A:%20b").json();
    let of = ["consumer tin", "address ::1", "header x-a: b", "route /b", "service upstream"];
    assert_eq!(whole["bucket"]["of"], serde_json::json!(of));
}
