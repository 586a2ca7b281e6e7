//! A pick: the next instance of a service, alone and while another thread changes the verdicts of its instances.
//!
//! What a flap costs a pick is the cache line of the word that it wrote. A thread that flaps at this rate costs something by
//! itself where CPUs are few, whatever it writes to: so the same is measured with flaps in a table that nobody reads. Both
//! threads are pinned, apart where there are two CPUs. Then with shares: every second instance half, and all of them a tenth;
//! and with every second instance set aside. Run with `cargo bench --bench pick`.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use coregate_core::base::cells::{Cells, Mark};
use coregate_core::base::ids::{InstanceSlot, ServiceId};
use coregate_core::snapshot::compile::compile;
use coregate_core::snapshot::plan::{Address, Plan};
use coregate_data::worker::turn::Sought;
use coregate_data::world::World;
use criterion::{Criterion, criterion_group, criterion_main};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The pick of a first attempt.
const FIRST: Sought = Sought { current: true, failed: None };
/// Flaps a second, each of another instance in its turn.
const FLAPS: u32 = 10_000;

fn pick(criterion: &mut Criterion) {
    pin(|cpus| cpus.first());
    let mut group = criterion.benchmark_group("pick");
    for count in [50, 1_000] {
        let at = |number: u16| Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, number)));
        let plan = Plan::to_instances(&(1..=count).map(at).collect::<Vec<_>>());
        let snapshot = compile(&plan, 1).unwrap();
        let service = snapshot.service(ServiceId(0)).unwrap();
        let slots: Vec<_> =
            service.instances.iter().map(|one| (one.slot, one.generation)).collect();
        let world = World::new(snapshot).unwrap();
        let worker = world.worker();
        let service =
            worker.with_snapshot(|snapshot| worker.locals.service(snapshot, ServiceId(0))).unwrap();
        let next = || {
            service.next_instance(&worker.cells, FIRST, || worker.random()).unwrap().instance.slot
        };
        group.bench_function(format!("{count} instances"), |bencher| bencher.iter(next));
        let unread = Cells::owned(slots.len());
        slots.iter().for_each(|(slot, generation)| {
            unread.verdict(*slot).begin(*generation).unwrap();
        });
        for (cells, whose) in [(&unread, "elsewhere"), (&worker.cells.clone(), "of its own")] {
            let stop = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let flaps = scope.spawn(|| flap(cells, &slots, &stop));
                let name = format!("{count} instances, 10,000 flaps/s {whose}");
                group.bench_function(name, |bencher| bencher.iter(next));
                stop.store(true, Ordering::Relaxed);
                println!("{:.0} flaps a second", flaps.join().unwrap());
            });
        }
        let share = |every: usize, share| {
            let each = slots.iter().step_by(every);
            each.for_each(|(slot, generation)| {
                worker.cells.verdict(*slot).set_share(*generation, share).unwrap();
            });
        };
        share(2, 32_768);
        group.bench_function(format!("{count} instances, every second half"), |bencher| {
            bencher.iter(next);
        });
        share(1, 6_554);
        group.bench_function(format!("{count} instances, a tenth each"), |bencher| {
            bencher.iter(next);
        });
        share(1, 0);
        slots.iter().step_by(2).for_each(|(slot, generation)| {
            assert!(worker.cells.outlier(ServiceId(0), *slot, *generation).eject(u64::MAX));
        });
        group.bench_function(format!("{count} instances, every second set aside"), |bencher| {
            bencher.iter(next);
        });
    }
    group.finish();
}

/// Marks one instance after the other as down, and clears the one before; how many such changes a second it could make.
fn flap(cells: &Cells, slots: &[(InstanceSlot, u16)], stop: &AtomicBool) -> f64 {
    pin(|cpus| cpus.last());
    let (start, mut flaps) = (Instant::now(), 0);
    while !stop.load(Ordering::Relaxed) {
        let due = start + Duration::from_secs(1) / FLAPS * flaps;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let (slot, generation) = slots[(flaps / 2) as usize % slots.len()];
        let verdict = cells.verdict(slot);
        if flaps.is_multiple_of(2) {
            verdict.mark(generation, Mark::Down).unwrap();
        } else {
            verdict.clear(generation, Mark::Down).unwrap();
        }
        flaps += 1;
    }
    f64::from(flaps) / start.elapsed().as_secs_f64()
}

/// Pins the calling thread to one of the CPUs that the process began with.
fn pin(choose: impl Fn(&[usize]) -> Option<&usize>) {
    static ALLOWED: OnceLock<CpuSet> = OnceLock::new();
    let allowed = ALLOWED.get_or_init(|| sched_getaffinity(None).unwrap());
    let cpus: Vec<_> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
    let mut one = CpuSet::new();
    one.set(*choose(&cpus).unwrap());
    sched_setaffinity(None, &one).unwrap();
}

criterion_group!(benches, pick);
criterion_main!(benches);
