//! What finding a route costs, of ten routes and of ten thousand, and what it costs to compile them.
//!
//! A median and not a mean is wanted of the ten thousand, so that bench prints its own: each look-up is timed by itself, and
//! what reading the clock costs is taken off.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // A bench: it ends where something is wrong, and says what it saw.

use std::hint::black_box;
use std::time::{Duration, Instant};

use coregate_core::http::head::Head;
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::compile::compile;
use coregate_core::snapshot::plan::{
    Admission, ListenerPlan, Plan, PoolTerms, RoutePlan, ServicePlan, ServiceTimeouts,
};
use coregate_core::snapshot::router::Asked;
use criterion::{Criterion, criterion_group, criterion_main};

/// A route of a shop that has grown: a tenth by wildcard host, half with a parameter, a third with a tail, a fifth by method.
fn route(at: usize) -> (RoutePlan, String, String) {
    let host = match at % 10 {
        0 => format!("*.region-{}.example.com", at % 50),
        1..=4 => "api.example.com".to_owned(),
        _ => format!("shop-{}.example.com", at % 100),
    };
    let (path, asked) = match at % 6 {
        0 | 1 => (format!("/v1/service-{at}/items/{{id}}"), format!("/v1/service-{at}/items/4711")),
        2 => (format!("/v2/{{tenant}}/resource-{at}"), format!("/v2/acme/resource-{at}")),
        3 | 4 => (format!("/files/bucket-{at}/*"), format!("/files/bucket-{at}/2026/11/a.png")),
        _ => (format!("/health-{at}"), format!("/health-{at}")),
    };
    let mut plan = RoutePlan::to(host.parse().unwrap(), path.parse().unwrap(), "s");
    if at.is_multiple_of(5) {
        plan.when.methods = vec!["GET".to_owned()];
    }
    (plan, host.replace('*', "eu"), asked)
}

fn plan(count: usize) -> (Plan, Vec<(String, String)>) {
    let (routes, asked) =
        (0..count).map(route).map(|(plan, host, path)| (plan, (host, path))).unzip();
    let service = ServicePlan {
        name: "s".into(),
        instances: Vec::new(),
        timeout: ServiceTimeouts::default(),
        pool: PoolTerms::default(),
        proxy_protocol: None,
        register: Admission::Nobody,
    };
    let listeners = vec![ListenerPlan::default()];
    (Plan { routes, services: vec![service], listeners }, asked)
}

fn find(snapshot: &Snapshot, head: &Head, (host, path): &(String, String)) {
    let (host, path) = (host.as_bytes(), path.as_bytes());
    let asked = Asked { method: b"GET", host, path, query: None, head };
    black_box(snapshot.find(black_box(&asked)).unwrap());
}

fn look_ups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route");
    let head = Head::default();
    for count in [10, 10_000] {
        let (plan, asked) = plan(count);
        let snapshot = compile(&plan, 1).unwrap();
        group.bench_function(format!("the same of {count}"), |bencher| {
            bencher.iter(|| find(&snapshot, &head, &asked[6]));
        });
    }
    group.finish();
    let (plan, asked) = plan(10_000);
    let snapshot = compile(&plan, 1).unwrap();
    println!("uniformly random of 10,000 routes: {}", random(&snapshot, &head, &asked));
}

/// The median and others of a million look-ups, in a random order.
fn random(snapshot: &Snapshot, head: &Head, asked: &[(String, String)]) -> String {
    const LOOK_UPS: usize = 1_000_000;
    let mut clock: Vec<_> = (0..LOOK_UPS).map(|_| Instant::now().elapsed()).collect();
    clock.sort_unstable();
    let clock = clock[LOOK_UPS / 2];
    let (mut state, mut one) = (1_u64, (String::new(), String::new()));
    let mut times: Vec<Duration> = (0..LOOK_UPS)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            // A request lies in the cache: it was just read.
            one.clone_from(&asked[(state >> 33) as usize % asked.len()]);
            let begun = Instant::now();
            find(snapshot, head, &one);
            begun.elapsed().saturating_sub(clock)
        })
        .collect();
    times.sort_unstable();
    let at = |share: usize| times[LOOK_UPS * share / 100].as_nanos();
    format!(
        "median {} ns, p90 {} ns, p99 {} ns (the clock's {} ns taken off)",
        at(50),
        at(90),
        at(99),
        clock.as_nanos()
    )
}

fn compiling(criterion: &mut Criterion) {
    let (plan, _) = plan(10_000);
    let mut group = criterion.benchmark_group("compile");
    group.sample_size(20);
    group.bench_function("10000 routes", |bencher| bencher.iter(|| compile(&plan, 1).unwrap()));
    group.finish();
}

criterion_group!(benches, look_ups, compiling);
criterion_main!(benches);
