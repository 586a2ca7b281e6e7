//! Which CPUs, how many workers; pinning (door of core_affinity).
//!
//! The allowed set is read from the kernel before anything is pinned: `core_affinity::get_core_ids` gives the calling
//! thread's mask, which misses isolated CPUs and lies after pinning. So we parse and choose ourselves, and only set with it.
//!
//! Threads of control keep off the workers' CPUs where the process may use others: one that compiles ten thousand changes
//! would else be scheduled before a worker now and then, which then is late by as much.

use std::fs;
use std::sync::OnceLock;

use coregate_config::Cores;
use rustix::thread::CpuSet;

/// From this many CPUs up, `auto` leaves one to the control plane.
const SPARE_ONE_FROM: usize = 8;

/// The CPUs of the process before any thread was kept off some: a successor is to begin with them too.
static ALLOWED: OnceLock<CpuSet> = OnceLock::new();

/// Why the cores that were asked for cannot be had. Exit 78.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TopologyError {
    #[error(
        "cores {asked:?}: CPU {cpu} is not among those this process may use ({allowed}); see taskset -p and cpuset.cpus"
    )]
    NotAllowed { asked: String, cpu: usize, allowed: String },
    #[error(
        "cores \"{asked}\": this process may use {allowed} CPUs; pass --workers {asked} to run more workers than CPUs"
    )]
    TooMany { asked: usize, allowed: usize },
    #[error(
        "cores \"isolated\": this host has no isolated CPUs; see /sys/devices/system/cpu/isolated and the kernel parameter isolcpus"
    )]
    NoneIsolated,
    #[error("the CPUs this process may use cannot be read: {0}")]
    Unknown(#[from] rustix::io::Errno),
}

/// The CPU of each worker.
pub(crate) fn cpus(cores: &Cores, workers: Option<usize>) -> Result<Vec<usize>, TopologyError> {
    let allowed = allowed()?;
    let isolated =
        || parse_list(&fs::read_to_string("/sys/devices/system/cpu/isolated").unwrap_or_default());
    let chosen = choose(cores, &allowed, isolated)?;
    let count = workers.unwrap_or(chosen.len());
    Ok(chosen.iter().copied().cycle().take(count).collect())
}

fn choose(
    cores: &Cores,
    allowed: &[usize],
    isolated: impl Fn() -> Vec<usize>,
) -> Result<Vec<usize>, TopologyError> {
    match cores {
        Cores::Auto => {
            let spare = usize::from(allowed.len() >= SPARE_ONE_FROM);
            Ok(allowed[spare..].to_vec())
        }
        Cores::Count(count) if *count <= allowed.len() => Ok(allowed[..*count].to_vec()),
        Cores::Count(count) => {
            Err(TopologyError::TooMany { asked: *count, allowed: allowed.len() })
        }
        Cores::List(list) => match list.iter().find(|cpu| !allowed.contains(cpu)) {
            None => Ok(list.clone()),
            Some(cpu) if isolated().contains(cpu) => Ok(list.clone()),
            Some(cpu) => Err(TopologyError::NotAllowed {
                asked: cores.to_string(),
                cpu: *cpu,
                allowed: Cores::List(allowed.to_vec()).to_string(),
            }),
        },
        Cores::Isolated => match isolated() {
            none if none.is_empty() => Err(TopologyError::NoneIsolated),
            isolated => Ok(isolated),
        },
    }
}

/// The CPUs of this process's mask.
fn allowed() -> Result<Vec<usize>, TopologyError> {
    let set = match ALLOWED.get() {
        Some(set) => set,
        None => {
            let set = rustix::thread::sched_getaffinity(None)?;
            ALLOWED.get_or_init(|| set)
        }
    };
    Ok(listed(set))
}

fn listed(set: &CpuSet) -> Vec<usize> {
    (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
}

/// Keeps the calling thread, and those that it starts from here on, off these CPUs, unless there are no others. A worker's
/// thread then goes to its own by [`pin`].
pub(crate) fn keep_off(workers: &[usize]) {
    let Some(set) = ALLOWED.get().and_then(|allowed| others(allowed, workers)) else { return };
    // Where it is refused all run as before: they may, and do so a little later.
    let _ = rustix::thread::sched_setaffinity(None, &set);
}

/// Lets the calling thread run wherever the process could at its start, and those that it starts: a successor chooses among
/// the same CPUs.
pub(crate) fn on_all() {
    if let Some(set) = ALLOWED.get() {
        let _ = rustix::thread::sched_setaffinity(None, set);
    }
}

/// What is left of a set, if anything is.
fn others(allowed: &CpuSet, workers: &[usize]) -> Option<CpuSet> {
    let mut left = *allowed;
    workers.iter().filter(|cpu| **cpu < CpuSet::MAX_CPU).for_each(|cpu| left.unset(*cpu));
    (left.count() > 0).then_some(left)
}

/// A list as the kernel writes it: `2-3,7`.
fn parse_list(text: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    text.trim().split(',').filter_map(range).flatten().collect()
}

/// Pins the calling thread.
pub(crate) fn pin(cpu: usize) -> bool {
    core_affinity::set_for_current(core_affinity::CoreId { id: cpu })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_has_what_workers_leave() {
        let set = |cpus: &[usize]| {
            let mut set = CpuSet::new();
            cpus.iter().for_each(|cpu| set.set(*cpu));
            set
        };
        let left = |allowed: &[usize], workers: &[usize]| {
            others(&set(allowed), workers).map(|left| listed(&left))
        };
        assert_eq!(left(&[0, 1, 2], &[1, 2]), Some(vec![0]));
        assert_eq!(left(&[0, 1], &[0, 0, 0]), Some(vec![1]), "three workers on one CPU");
        assert_eq!(left(&[0, 1], &[6, 7]), Some(vec![0, 1]), "isolated CPUs are not among them");
        assert_eq!(left(&[0, 1], &[0, 1]), None, "all, then");
    }

    #[test]
    fn cores_are_chosen_among_the_allowed() {
        let none = Vec::new;
        let pick =
            |cores: &str, allowed: &[usize]| choose(&cores.parse().expect("cores"), allowed, none);
        assert_eq!(pick("auto", &[0, 1]).ok(), Some(vec![0, 1]));
        assert_eq!(pick("auto", &[0, 1, 2, 3, 4, 5, 6, 7]).ok(), Some(vec![1, 2, 3, 4, 5, 6, 7]));
        assert_eq!(pick("1", &[4, 5]).ok(), Some(vec![4]));
        assert_eq!(pick("5-5", &[4, 5]).ok(), Some(vec![5]));
        assert!(matches!(pick("3", &[4, 5]), Err(TopologyError::TooMany { .. })));
        assert!(matches!(pick("0-1", &[1, 2]), Err(TopologyError::NotAllowed { cpu: 0, .. })));
        assert!(matches!(pick("isolated", &[1]), Err(TopologyError::NoneIsolated)));
        assert_eq!(choose(&Cores::Isolated, &[0], || vec![6, 7]).ok(), Some(vec![6, 7]));
        assert_eq!(parse_list("2-3,7\n"), [2, 3, 7]);
        assert!(parse_list("\n").is_empty());
    }
}
