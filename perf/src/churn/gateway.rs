//! The gateway under changes: its configuration, and what is known of its process.
//!
//! Every instance has an address of its own in 127.0.0.0/8, all of which reach one origin that listens on every address.
//! Services are found by host, `s0.test` onwards.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::time::Duration;

use rustix::process::Pid;
use serde_json::Value;

use crate::churn::ask::Admin;

/// The service whose one instance is exchanged, and its host.
pub const PROBE: &str = "probe";
/// How the threads of workers are called.
const WORKER: &str = "worker-";
/// Addresses of instances begin here: 127.1.0.0.
const FIRST: u32 = u32::from_be_bytes([127, 1, 0, 0]);

/// How large it is, and where.
#[derive(Debug, Clone, Copy)]
pub struct World {
    /// Services.
    pub services: u32,
    /// Instances of each.
    pub instances: u32,
    /// The CPU of the worker.
    pub cpu: usize,
    /// The port that the gateway listens on.
    pub listen: u16,
    /// The port of the origin.
    pub origin: u16,
    /// The port of the origin that answers otherwise.
    pub other: u16,
    /// Whether the instances register, with leases; else the file names them.
    pub leased: bool,
}

impl World {
    /// Instance `number` of a service; beyond those of the file are addresses for instances that come and go.
    pub fn instance(&self, service: u32, number: u32) -> SocketAddrV4 {
        let at = FIRST + number * self.services + service;
        SocketAddrV4::new(Ipv4Addr::from_bits(at), self.origin)
    }

    /// The two addresses that the probed service has in turn; they answer differently.
    pub fn probed(&self, turn: u64) -> SocketAddrV4 {
        let port = if turn.is_multiple_of(2) { self.origin } else { self.other };
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
    }

    /// The configuration.
    pub fn configuration(&self) -> String {
        let World { listen, cpu, .. } = self;
        let mut text = format!(
            "listen = \"127.0.0.1:{listen}\"\n\n[runtime]\ncores = \"{cpu}-{cpu}\"\n\n[services.start]\ninstances = [\"{}\"]\n\n[routes]\n\"/*\" = \"start\"\n",
            // It answers before anybody has registered.
            self.probed(0),
        );
        let services: Vec<u32> = (0..self.services).collect();
        // Writing to a string does not fail.
        let _ = writeln!(text, "\"{PROBE}.test\" = {{ \"/*\" = \"{PROBE}\" }}");
        for service in &services {
            let _ = writeln!(text, "\"s{service}.test\" = {{ \"/*\" = \"s{service}\" }}");
        }
        let _ = writeln!(text, "\n[services.{PROBE}]\ninstances = []");
        for service in &services {
            if self.leased {
                let _ = writeln!(text, "\n[services.s{service}]\nregister = true");
                continue;
            }
            let instances = (0..self.instances).map(|number| self.instance(*service, number));
            let instances: Vec<_> = instances.map(|address| format!("\"{address}\"")).collect();
            let _ =
                writeln!(text, "\n[services.s{service}]\ninstances = [{}]", instances.join(", "));
        }
        text
    }
}

/// What is known of the gateway at one moment.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// How late its worker's ticks were: upper bounds in µs, and how many were.
    pub lateness: BTreeMap<u64, u64>,
    /// The worker's counters.
    pub counters: BTreeMap<String, u64>,
    /// The generation that the worker has acknowledged.
    pub generation: u64,
    /// Its threads, by id.
    pub threads: BTreeMap<u64, Thread>,
}

impl Look {
    /// Looks.
    pub fn at(admin: &mut Admin, pid: Pid) -> io::Result<Look> {
        let mut look = parse(&admin.get("/v1/workers")?)
            .ok_or_else(|| io::Error::other("/v1/workers is not as expected"))?;
        look.threads = threads(pid)?;
        Ok(look)
    }

    /// The ids of its workers' threads.
    pub fn workers(&self) -> impl Iterator<Item = u64> {
        self.threads.iter().filter(|(_, thread)| thread.worker).map(|(id, _)| *id)
    }

    /// What has come since then.
    pub fn since(&self, before: &Look) -> Since {
        let counted = |counts: &BTreeMap<u64, u64>, upper: &u64| counts.get(upper).copied();
        let lateness = self
            .lateness
            .iter()
            .map(|(upper, count)| (*upper, count - counted(&before.lateness, upper).unwrap_or(0)));
        let sum = |worker: bool, of: fn(&Thread) -> u64| {
            let each = self.threads.iter().filter(|(_, thread)| thread.worker == worker);
            let each = each.map(|(id, thread)| {
                of(thread).saturating_sub(before.threads.get(id).map_or(0, of))
            });
            Duration::from_nanos(each.sum())
        };
        let count = |name: &str| {
            let of = |look: &Look| look.counters.get(name).copied().unwrap_or(0);
            of(self).saturating_sub(of(before))
        };
        Since {
            lateness: lateness.filter(|(_, count)| *count > 0).collect(),
            control: sum(false, |thread| thread.ran),
            worker: sum(true, |thread| thread.ran),
            waited: sum(true, |thread| thread.waited),
            generations: self.generation.saturating_sub(before.generation),
            connects: count("upstream_connects"),
        }
    }
}

/// What the kernel says of a thread.
#[derive(Debug, Clone, Copy, Default)]
pub struct Thread {
    /// Whether it is a worker.
    pub worker: bool,
    /// How long it ran, ns.
    pub ran: u64,
    /// How long it was ready to run and something else ran on its CPU, ns.
    pub waited: u64,
}

/// What came between two looks.
#[derive(Debug, Clone, Default)]
pub struct Since {
    /// Upper bounds in µs, and how many ticks were so late.
    pub lateness: Vec<(u64, u64)>,
    /// CPU time of control's threads.
    pub control: Duration,
    /// CPU time of the worker.
    pub worker: Duration,
    /// How long the worker was ready to run, and others ran on its CPU: no fault of its own.
    pub waited: Duration,
    /// Snapshots.
    pub generations: u64,
    /// Connections made to instances.
    pub connects: u64,
}

impl Since {
    /// Ticks.
    pub fn ticks(&self) -> u64 {
        self.lateness.iter().map(|(_, count)| count).sum()
    }

    /// The lateness that `share` of all ticks are not above, µs; to an eighth, which is how they are counted.
    pub fn late(&self, share: f64) -> u64 {
        let wanted = (share * self.ticks() as f64).ceil() as u64;
        let mut seen = 0;
        let reaches = |(_, count): &&(u64, u64)| {
            seen += count;
            seen >= wanted
        };
        self.lateness.iter().find(reaches).map_or(0, |(upper, _)| *upper)
    }
}

/// What one worker says of itself: there is one.
fn parse(report: &Value) -> Option<Look> {
    let worker = report["workers"].as_array()?.first()?;
    let buckets = worker["lateness"]["buckets"].as_array()?;
    let bucket =
        |bucket: &Value| Some((bucket[0].as_u64().unwrap_or(u64::MAX), bucket[1].as_u64()?));
    let counters = worker["counters"].as_object()?;
    let counter = |(name, value): (&String, &Value)| Some((name.clone(), value.as_u64()?));
    Some(Look {
        lateness: buckets.iter().map(bucket).collect::<Option<_>>()?,
        counters: counters.iter().map(counter).collect::<Option<_>>()?,
        generation: worker["generation"].as_u64()?,
        threads: BTreeMap::new(),
    })
}

/// The first two numbers of each thread's `schedstat` (proc(5)).
fn threads(pid: Pid) -> io::Result<BTreeMap<u64, Thread>> {
    let entries = fs::read_dir(format!("/proc/{pid}/task"))?.flatten();
    let thread = |path: &Path| {
        let id = path.file_name()?.to_str()?.parse().ok()?;
        let name = fs::read_to_string(path.join("comm")).ok()?;
        let stat = fs::read_to_string(path.join("schedstat")).ok()?;
        let mut numbers = stat.split_whitespace().map_while(|number| number.parse().ok());
        let (ran, waited) = (numbers.next()?, numbers.next()?);
        Some((id, Thread { worker: name.starts_with(WORKER), ran, waited }))
    };
    Ok(entries.filter_map(|entry| thread(&entry.path())).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const WORLD: World = World {
        services: 3,
        instances: 2,
        cpu: 1,
        listen: 18000,
        origin: 19000,
        other: 19001,
        leased: false,
    };

    #[test]
    fn every_instance_has_an_address_of_its_own() {
        let mut all: Vec<_> =
            (0..3).flat_map(|service| (0..4).map(move |n| WORLD.instance(service, n))).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 12);
        assert!(all.iter().all(|address| address.ip().is_loopback()));
        let text = WORLD.configuration();
        assert_eq!(text.matches("127.1.").count(), 6);
        assert!(
            text.contains("cores = \"1-1\"") && text.contains("\"s2.test\" = { \"/*\" = \"s2\" }")
        );
        let leased = World { leased: true, ..WORLD }.configuration();
        assert_eq!((leased.matches("127.1.").count(), leased.matches("register").count()), (0, 3));
        assert_ne!(WORLD.probed(0), WORLD.probed(1));
    }

    #[test]
    fn what_came_between_two_looks() {
        let report = |late: u64, connects: u64, generation: u64| {
            json!({ "workers": [{
                "generation": generation,
                "counters": { "upstream_connects": connects },
                "lateness": { "buckets": [[10, 5], [20, late], [null, 1]] },
            }]})
        };
        let mut before = parse(&report(0, 7, 1)).unwrap();
        let mut after = parse(&report(999, 9, 3)).unwrap();
        let thread = |worker, ran| Thread { worker, ran, waited: ran / 10 };
        before.threads.extend([(1, thread(true, 100)), (2, thread(false, 50))]);
        after.threads.extend([
            (1, thread(true, 300)),
            (2, thread(false, 80)),
            (3, thread(false, 5)),
        ]);
        let since = after.since(&before);
        assert_eq!((since.ticks(), since.late(0.999)), (999, 20));
        assert_eq!((since.connects, since.generations), (2, 2));
        assert_eq!((since.worker.as_nanos(), since.control.as_nanos()), (200, 35));
        assert_eq!(since.waited.as_nanos(), 20);
        assert!(parse(&json!({})).is_none());
        assert_eq!(Since::default().late(0.999), 0);
    }
}
