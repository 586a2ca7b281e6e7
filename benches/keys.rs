//! Who calls: a key found in a request, hashed, looked up among those of 10,000 consumers, and held against the route's lists.
//!
//! Run with `cargo bench --bench keys`. Bar: at most 150 ns on a processor with SHA instructions. That nothing is allocated is a test
//! (`--test bars`).

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench")]

use std::hint::black_box;

use coregate_core::http::head::Head;
use coregate_core::http::parse::{self, RequestLimits};
use coregate_core::policy::authenticate::{Verdict, authenticate};
use coregate_core::policy::credential::KeyDigest;
use coregate_core::snapshot::compile::compile;
use coregate_core::snapshot::plan::{
    Access, AuthMethod, AuthPlan, ConsumerPlan, KeyAuth, KeyPlace, KeyPlan, Plan, Principal,
};
use coregate_core::snapshot::router::Asked;
use criterion::{Criterion, criterion_group, criterion_main};

const CONSUMERS: usize = 10_000;

/// As long as those that we make: 24 random bytes in base64.
fn key(at: usize) -> String {
    format!("cg_{at:029}")
}

fn plan(place: KeyPlace) -> Plan {
    let mut plan = Plan::to_instances(&["127.0.0.1:9000".parse().unwrap()]);
    let consumer = |at| {
        let keys = vec![KeyPlan { digest: KeyDigest::of(key(at).as_bytes()), expires: None }];
        ConsumerPlan { name: format!("consumer-{at}"), groups: vec!["gold".into()], keys }
    };
    plan.consumers = (0..CONSUMERS).map(consumer).collect();
    let method = AuthMethod::Key(KeyAuth { places: vec![place], forward: false });
    plan.auths = vec![AuthPlan { name: "own".into(), realm: "shop".into(), method }];
    let policies = &mut plan.routes[0].policies;
    policies.auth = Some("own".into());
    policies.access = Access { allow: vec![Principal::Group("gold".into())], deny: Vec::new() };
    plan
}

fn keys(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("who calls");
    let places = [
        ("header", KeyPlace::Header("x-api-key".into())),
        ("query", KeyPlace::Query("api_key".into())),
        ("cookie", KeyPlace::Cookie("key".into())),
    ];
    for (name, place) in places {
        let snapshot = compile(&plan(place), 1).unwrap();
        // Keys in turn, far from each other: the table does not stay in the first cache.
        let heads: Vec<_> = (0..512)
            .map(|at| {
                let key = key(at * 7_919 % CONSUMERS);
                let (query, field) = match name {
                    "header" => (String::new(), format!("X-Api-Key: {key}\r\n")),
                    "query" => (format!("?full=yes&api_key={key}"), String::new()),
                    _ => (String::new(), format!("Cookie: theme=dark; key={key}\r\n")),
                };
                let mut head = Head::with_capacity(4_096);
                let text = format!("GET /users/7{query} HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: bench\r\nAccept: */*\r\n{field}\r\n");
                head.page.extend_from_slice(text.as_bytes());
                let request = parse::request(&mut head, &RequestLimits::default());
                (head, request.unwrap().unwrap())
            })
            .collect();
        let guard = &snapshot.routes().next().unwrap().guard;
        let mut turn = heads.iter().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let (head, request) = turn.next().unwrap();
                let asked = Asked::of(black_box(head), request);
                let verdict = authenticate(guard, &asked, snapshot.consumers(), 1);
                assert!(matches!(verdict, Verdict::Known(_)));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, keys);
criterion_main!(benches);
