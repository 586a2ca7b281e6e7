//! Cells: the check of a verdict at a pick, alone and while another thread changes that word; a rate that is spent.
//!
//! Run with `cargo bench --bench cells`.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use std::hint::black_box;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use coregate_core::base::cells::{Cells, ConnectionPermits, Mark, Permits, Rate, Terms};
use coregate_core::base::ids::InstanceSlot;
use criterion::{Criterion, criterion_group, criterion_main};

const SLOTS: usize = 1_024;
const SLOT: InstanceSlot = InstanceSlot(7);
/// Flaps a second.
const FLAPS: u32 = 10_000;

fn verdict(criterion: &mut Criterion) {
    let cells = Cells::owned(SLOTS);
    cells.verdict(SLOT).begin(1).unwrap();
    let mut group = criterion.benchmark_group("verdict");
    group.bench_function("check", |bencher| {
        bencher.iter(|| cells.verdict(black_box(SLOT)).load().takes_requests(black_box(1)));
    });
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flaps = scope.spawn(|| flap(&cells, &stop));
        group.bench_function("check, 10,000 flaps/s", |bencher| {
            bencher.iter(|| cells.verdict(black_box(SLOT)).load().takes_requests(black_box(1)));
        });
        stop.store(true, Ordering::Relaxed);
        println!("{:.0} flaps a second", flaps.join().unwrap());
    });
    group.finish();
}

/// Marks an instance and clears it; how many times a second it could.
fn flap(cells: &Cells, stop: &AtomicBool) -> f64 {
    let (start, mut flaps) = (Instant::now(), 0);
    while !stop.load(Ordering::Relaxed) {
        let due = start + Duration::from_secs(1) / FLAPS * flaps;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let verdict = cells.verdict(SLOT);
        if flaps % 2 == 0 {
            verdict.mark(1, Mark::Down).unwrap();
        } else {
            verdict.clear(1, Mark::Down).unwrap();
        }
        flaps += 1;
    }
    f64::from(flaps) / start.elapsed().as_secs_f64()
}

fn rate(criterion: &mut Criterion) {
    let word = AtomicU64::new(0);
    let rate = Rate::new(&word);
    let terms = Terms::new(NonZeroU64::new(1_000).unwrap(), 100);
    let mut group = criterion.benchmark_group("rate");
    let mut now = 1;
    group.bench_function("spend, admitted", |bencher| {
        bencher.iter(|| {
            now += 1_000;
            rate.spend(black_box(now), 1, black_box(terms))
        });
    });
    group.bench_function("spend, refused", |bencher| {
        while rate.spend(now, 1, terms).is_admitted() {}
        bencher.iter(|| rate.spend(black_box(now), 1, black_box(terms)));
    });
    group.bench_function("check", |bencher| {
        bencher.iter(|| rate.check(black_box(now), 1, black_box(terms)));
    });
    group.finish();
}

fn permits(criterion: &mut Criterion) {
    let word = AtomicU64::new(0);
    let mut group = criterion.benchmark_group("permits");
    group.bench_function("take and release", |bencher| {
        bencher.iter(|| {
            assert!(Permits::new(black_box(&word)).take(1, 10));
            Permits::new(black_box(&word)).release(1);
        });
    });
    let connections = ConnectionPermits::new(Cells::owned(0), 0, 10);
    group.bench_function("a connection", |bencher| {
        bencher.iter(|| {
            assert!(connections.acquire());
            connections.release(1);
        });
    });
    group.finish();
}

criterion_group!(benches, verdict, rate, permits);
criterion_main!(benches);
