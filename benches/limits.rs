//! Limits: a decision in the host's table, uniformly over 100,000 keys, one from a slab, and sixteen threads on one key.
//!
//! `cargo bench --bench limits` gives times, and says what the threads were admitted; `-- --count N` makes N decisions over all keys and
//! ends (`--count-checked N`: of a bucket that a check has told), for instructions: the difference of two runs under callgrind, as
//! `perf/instructions` does it with whole exchanges.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use coregate_core::base::cells::Cells;
use coregate_core::http::head::Head;
use coregate_core::policy::rate::{Buckets, Facts};
use coregate_core::snapshot::compile::compile;
use coregate_core::snapshot::consumers::Consumer;
use coregate_core::snapshot::limits::Limit;
use coregate_core::snapshot::plan::{
    AuthPlan, ListenerPlan, Per, Plan, RatePlan, RateTerms, RoutePlan, ServicePlan,
};
use criterion::{BatchSize, Criterion};
use rustix::time::{ClockId, clock_gettime};

const KEYS: u64 = 100_000;
const THREADS: usize = 16;

/// A table as the host's is: it begins at a cache line.
fn cells() -> Cells {
    let words = Cells::words(0);
    let all: &'static [AtomicU64] = Box::leak((0..words + 8).map(|_| AtomicU64::new(0)).collect());
    let start = all.as_ptr().align_offset(64);
    Cells::create(&all[start..start + words], [1, 2]).unwrap()
}

/// So many a second.
fn limit(rate: u64, burst: u64, per: &[Per]) -> Arc<Limit> {
    let [count, burst] = [rate, burst].map(|n| NonZeroU64::new(n).unwrap());
    let terms = RateTerms { count, window: Duration::from_secs(1), burst };
    let rate = RatePlan { per: per.to_vec(), ..RatePlan::named("api", terms) };
    let mut route = RoutePlan::to("*".parse().unwrap(), "/*".parse().unwrap(), "s");
    route.policies.rates = vec!["api".into()];
    route.policies.auth = Some(AuthPlan::KEY.into());
    let plan = Plan {
        routes: vec![route],
        services: vec![ServicePlan::named("s")],
        listeners: vec![ListenerPlan::default()],
        rates: vec![rate],
        auths: vec![AuthPlan::key()],
        ..Plan::default()
    };
    let snapshot = compile(&plan, 1).unwrap();
    let route = snapshot.routes().next().unwrap();
    Arc::clone(&route.guard.limits[0])
}

/// A request, of whom its number says.
struct Requests {
    head: Head,
    consumers: Vec<Consumer>,
    start: Instant,
    turn: u64,
}

impl Requests {
    fn new() -> Self {
        let consumer = |at| Consumer { name: format!("consumer-{at}").into(), groups: [].into() };
        let consumers = (0..KEYS).map(consumer).collect();
        Self { head: Head::default(), consumers, start: Instant::now(), turn: 1 }
    }

    /// The next number, any of those as likely as another.
    fn next(&mut self) -> u64 {
        self.turn = self.turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.turn >> 33) % KEYS
    }

    fn facts(&self, number: u64) -> Facts<'_> {
        Facts {
            consumer: self.consumers.get(number as usize),
            address: Some(IpAddr::V4(Ipv4Addr::from_bits(0x0A00_0000 | number as u32))),
            head: &self.head,
            route: "/*",
            service: "s",
        }
    }

    fn clock(&self) -> u64 {
        let now = clock_gettime(ClockId::Monotonic);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    }
}

fn by_address() -> Vec<Per> {
    vec![Per::Address { v4: 32, v6: 128 }]
}

#[inline(never)]
fn counted_spend(buckets: &Buckets, limit: &Limit, requests: &Requests, number: u64) {
    let ruling = buckets.spend(limit, &requests.facts(number), || requests.clock());
    assert!(black_box(ruling).admitted);
}

fn decisions(criterion: &mut Criterion) {
    let mut requests = Requests::new();
    let mut group = criterion.benchmark_group("limit");
    group.bench_function("the clock alone", |bencher| bencher.iter(|| requests.clock()));
    for (name, per) in [("address", by_address()), ("consumer", vec![Per::Consumer])] {
        let buckets = Buckets::new(cells(), 1);
        let limit = limit(1_000_000, 100, &per);
        for number in 0..KEYS {
            counted_spend(&buckets, &limit, &requests, number);
        }
        group.bench_function(format!("spend, 100,000 keys, by {name}"), |bencher| {
            bencher.iter(|| {
                let number = requests.next();
                counted_spend(&buckets, &limit, &requests, number);
            });
        });
        let known: Vec<_> = (0..KEYS)
            .map(|number| buckets.check(&limit, &requests.facts(number), 0).bucket)
            .collect();
        group.bench_function(
            format!("spend, 100,000 keys, by {name}, checked before"),
            |bencher| {
                bencher.iter(|| {
                    let bucket = known[requests.next() as usize];
                    assert!(
                        black_box(buckets.spend_of(&limit, bucket, || requests.clock())).admitted
                    );
                });
            },
        );
        group.bench_function(format!("check, 100,000 keys, by {name}"), |bencher| {
            bencher.iter(|| {
                let number = requests.next();
                black_box(buckets.check(&limit, &requests.facts(number), requests.clock()))
            });
        });
    }
    let buckets = Buckets::new(cells(), 1);
    for (name, burst, number) in [("from a slab", 100_000, 7), ("one key", 100, 8)] {
        let limit = limit(1_000_000_000, burst, &[Per::Consumer]);
        group.bench_function(format!("spend, {name}"), |bencher| {
            bencher.iter(|| counted_spend(&buckets, &limit, &requests, black_box(number)));
        });
        let facts = requests.facts(number);
        let bucket = buckets.check(&limit, &facts, requests.clock()).bucket;
        group.bench_function(format!("spend, {name}, checked before"), |bencher| {
            bencher.iter(|| black_box(buckets.spend_of(&limit, bucket, || requests.clock())));
        });
    }
    let limit = limit(1, 1, &[Per::Consumer]);
    let _ = buckets.spend(&limit, &requests.facts(9), || requests.clock());
    group.bench_function("spend, refused", |bencher| {
        let facts = requests.facts(black_box(9));
        bencher.iter_batched(
            || (),
            |()| black_box(buckets.spend(&limit, &facts, || requests.clock())),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// What so many threads on one key are admitted in two seconds, of what there is.
fn threads(rate: u64, burst: u64) {
    let (cells, requests) = (cells(), Requests::new());
    let limit = limit(rate, burst, &by_address());
    let seconds = Duration::from_secs(2);
    let counts: Vec<(u64, u64)> = std::thread::scope(|scope| {
        let run = || {
            let buckets = Buckets::new(cells.clone(), THREADS);
            let (mut admitted, mut asked, start) = (0, 0, Instant::now());
            while start.elapsed() < seconds {
                for _ in 0..64 {
                    let facts = requests.facts(7);
                    let ruling = buckets.spend(&limit, &facts, || requests.clock());
                    admitted += u64::from(ruling.admitted);
                }
                asked += 64;
            }
            (admitted, asked)
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let time = requests.start.elapsed();
    let (admitted, asked) = counts.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let most = (time.as_secs_f64() * rate as f64) as u64 + burst;
    println!(
        "{THREADS} threads, {rate}/s, burst {burst}: {admitted} of {asked} admitted, at most {most}"
    );
    assert!(admitted <= most);
}

fn main() {
    let counts = |argument: &String| argument == "--count" || argument == "--count-checked";
    let mut arguments = std::env::args().skip_while(|argument| !counts(argument));
    if let (Some(what), Some(count)) = (arguments.next(), arguments.next()) {
        let (mut requests, buckets) = (Requests::new(), Buckets::new(cells(), 1));
        let limit = limit(1_000_000, 100, &by_address());
        for number in 0..KEYS {
            counted_spend(&buckets, &limit, &requests, number);
        }
        let bucket = buckets.check(&limit, &requests.facts(7), 0).bucket;
        for _ in 0..count.parse::<u32>().unwrap() {
            let number = requests.next();
            if what == "--count" {
                counted_spend(&buckets, &limit, &requests, number);
            } else {
                black_box(buckets.spend_of(&limit, bucket, || requests.clock()));
            }
        }
        println!("{count} decisions");
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    decisions(&mut criterion);
    threads(1_000_000, 100);
    threads(1_000_000, 100_000);
    criterion.final_summary();
}
