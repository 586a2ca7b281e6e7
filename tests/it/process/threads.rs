//! Where threads run.

use std::collections::BTreeSet;
use std::fs;

use rustix::thread::{CpuSet, sched_getaffinity};

use crate::harness::gateway::Gateway;
use crate::harness::origin::Origin;

/// The names of a process's threads, and the CPUs that each may run on, as the kernel lists them.
fn threads(pid: u32) -> Vec<(String, String)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|task| task.unwrap().path());
    let look = |task: std::path::PathBuf| {
        // A thread may end while we look.
        let name = fs::read_to_string(task.join("comm")).ok()?;
        let status = fs::read_to_string(task.join("status")).ok()?;
        let cpus = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
        Some((name.trim().to_owned(), cpus.trim().to_owned()))
    };
    tasks.filter_map(look).collect()
}

/// One worker has a CPU for itself, where there are others: everything else keeps off it.
#[track_caller]
fn check(gateway: &Gateway, allowed: usize) {
    let threads = threads(gateway.pid());
    let cpu = gateway.view("/v1/workers")["workers"][0]["cpu"].to_string();
    let of = |worker: bool| {
        let own = threads.iter().filter(|(name, _)| name.starts_with("worker-") == worker);
        own.map(|(_, cpus)| cpus.clone()).collect::<BTreeSet<_>>()
    };
    assert_eq!(of(true), BTreeSet::from([cpu.clone()]), "{threads:?}");
    let control = of(false);
    assert_eq!(control.len(), 1, "all on the same: {threads:?}");
    assert_eq!(control.contains(&cpu), allowed == 1, "{threads:?}");
}

#[test]
fn control_keeps_off_the_workers_cpus() {
    let set = sched_getaffinity(None).unwrap();
    let allowed = (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).count();
    let origin = Origin::named("o");
    let mut gateway = Gateway::before(&[origin.address()]);
    check(&gateway, allowed);
    // Who takes over has a choice among all CPUs again.
    gateway.upgrade();
    assert_eq!(gateway.wait().code(), Some(0));
    check(&gateway, allowed);
}
