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
use coregate_core::snapshot::plan::{ListenerPlan, Plan, RoutePlan, ServicePlan};
use coregate_core::snapshot::router::Asked;
use criterion::{Criterion, criterion_group, criterion_main};

const LOOK_UPS: usize = 1_000_000;

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
    let service = ServicePlan::named("s");
    let listeners = vec![ListenerPlan::default()];
    (Plan { routes, services: vec![service], listeners, ..Plan::default() }, asked)
}

fn find(snapshot: &Snapshot, head: &Head, (host, path): &(String, String)) {
    let (host, path) = (host.as_bytes(), path.as_bytes());
    let asked = Asked { method: b"GET", host, path, query: None, head };
    black_box(snapshot.find(black_box(&asked)).unwrap());
}

fn look_ups(criterion: &mut Criterion) {
    if bars_alone() {
        return;
    }
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
    let times = random(&snapshot, &head, &asked);
    let at = |share: usize| times[LOOK_UPS * share / 100].as_nanos();
    let (median, most) = (at(50), [at(90), at(99)]);
    println!("uniformly random of 10,000 routes: median {median} ns, p90 and p99 {most:?}");
}

/// The times of a million look-ups in a random order, the shortest first.
fn random(snapshot: &Snapshot, head: &Head, asked: &[(String, String)]) -> Vec<Duration> {
    let mut state = 1_u64;
    timed(snapshot, head, asked, || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % asked.len()
    })
}

/// The times of look-ups of whatever `next` says, the shortest first; what reading the clock takes is taken off.
fn timed(
    snapshot: &Snapshot,
    head: &Head,
    asked: &[(String, String)],
    mut next: impl FnMut() -> usize,
) -> Vec<Duration> {
    let mut clock: Vec<_> = (0..LOOK_UPS).map(|_| Instant::now().elapsed()).collect();
    clock.sort_unstable();
    let clock = clock[LOOK_UPS / 2];
    let mut one = (String::new(), String::new());
    let mut times: Vec<Duration> = (0..LOOK_UPS)
        .map(|_| {
            // A request lies in the cache: it was just read.
            one.clone_from(&asked[next()]);
            let begun = Instant::now();
            find(snapshot, head, &one);
            begun.elapsed().saturating_sub(clock)
        })
        .collect();
    times.sort_unstable();
    times
}

/// Whether only the bars are wanted.
fn bars_alone() -> bool {
    std::env::var_os("COREGATE_BARS").is_some()
}

/// Says whether the bars hold: with `COREGATE_BARS` set, instead of the benches. Ends the process with 1 where one does not.
fn bars(_: &mut Criterion) {
    if !bars_alone() {
        return;
    }
    let head = Head::default();
    let [few, many] = [10, 10_000].map(plan);
    let mut compiled: Vec<_> = (0..9)
        .map(|_| {
            let begun = Instant::now();
            black_box(compile(black_box(&many.0), 1).unwrap());
            begun.elapsed()
        })
        .collect();
    compiled.sort_unstable();
    let [few, many] = [few, many].map(|(plan, asked)| (compile(&plan, 1).unwrap(), asked));
    let median = |times: Vec<Duration>| times[LOOK_UPS / 2].as_nanos();
    let same = |(snapshot, asked): &(Snapshot, Vec<_>)| median(timed(snapshot, &head, asked, || 6));
    let (of_ten, of_many) = (same(&few), same(&many));
    let anywhere = median(random(&many.0, &head, &many.1));
    let compiled = compiled[compiled.len() / 2].as_millis();
    println!(
        "10,000 routes: {anywhere} ns anywhere (bar 400), {of_many} ns the same again, {of_ten} ns of ten (bar 2 x), compiled in {compiled} ms (bar 200)"
    );
    if anywhere > 400 || of_many > 2 * of_ten || compiled >= 200 {
        std::process::exit(1);
    }
}

fn compiling(criterion: &mut Criterion) {
    if bars_alone() {
        return;
    }
    let (plan, _) = plan(10_000);
    let mut group = criterion.benchmark_group("compile");
    group.sample_size(20);
    group.bench_function("10000 routes", |bencher| bencher.iter(|| compile(&plan, 1).unwrap()));
    group.finish();
}

criterion_group!(benches, bars, look_ups, compiling);
criterion_main!(benches);
