//! The changes: instances that come and go, in turn over all services, at a constant rate.
//!
//! Each request to the admin listener has ten changes: five instances come, and five go that came some time before. The
//! schedule is fixed. An answer takes up to 10 ms, until the next publish, so that one connection alone could just keep it: some
//! take the requests in turn, and what was late is caught up with.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::churn::ask::{Admin, Client};
use crate::churn::gateway::World;

/// Changes a request.
const BATCH: u64 = 10;
/// Connections that requests are made over.
const CONNECTIONS: usize = 4;
/// How many registered instances there are at a time.
const PRESENT: u64 = 500;

/// What was changed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Made {
    /// Changes that were asked for.
    pub asked: u64,
    /// Those of them that changed something.
    pub applied: u64,
    /// How long that took.
    pub took: Duration,
    /// The longest answer.
    pub slowest: Duration,
}

impl Made {
    /// Changes a second.
    pub fn a_second(self) -> f64 {
        self.asked as f64 / self.took.as_secs_f64().max(1e-9)
    }
}

/// Where changes go on: those before have filled the services.
#[derive(Debug, Clone, Copy)]
pub struct At(u64);

impl At {
    /// Registers the instances that the first changes will take away.
    pub fn begin(admin: &mut Admin, world: &World) -> io::Result<At> {
        let changes: Vec<Value> = (0..PRESENT).map(|at| of(world, 2 * at)).collect();
        let report = admin.post("/v1/registry/changes", &json!({ "changes": changes }))?;
        match report["applied"].as_u64() {
            Some(PRESENT) => Ok(At(2 * PRESENT)),
            _ => Err(io::Error::other(format!("not all instances were registered: {report}"))),
        }
    }

    /// Behind these.
    pub fn after(self, made: Made) -> At {
        At(self.0 + made.asked)
    }
}

/// Changes on their way.
pub struct Changes {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<io::Result<Made>>>,
}

/// What the threads share.
struct Shared {
    world: World,
    rate: u64,
    /// The number of the first change.
    first: u64,
    begun: Instant,
    /// The change that the next request begins with, from the first.
    next: AtomicU64,
    stop: AtomicBool,
}

impl Changes {
    /// Begins, with `rate` changes a second.
    pub fn begin(admin: &Path, world: World, rate: u64, At(first): At) -> Changes {
        let (begun, next) = (Instant::now(), AtomicU64::new(0));
        let stop = AtomicBool::new(false);
        let shared = Arc::new(Shared { world, rate, first, begun, next, stop });
        let start = |_| {
            let (shared, admin) = (Arc::clone(&shared), admin.to_owned());
            spawn(move || change(&mut Client::admin(&admin)?, &shared))
        };
        let threads = (0..CONNECTIONS).map(start).collect();
        Changes { shared, threads }
    }

    /// Ends them.
    pub fn end(self) -> io::Result<Made> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut all = Made::default();
        for thread in self.threads {
            let died = |_| io::Error::other("a thread of changes died");
            let made = thread.join().map_err(died)??;
            all.asked += made.asked;
            all.applied += made.applied;
            all.slowest = all.slowest.max(made.slowest);
        }
        all.took = self.shared.begun.elapsed();
        Ok(all)
    }
}

/// One thread's share of the requests. What was taken is done, so that none is left out in between.
fn change(admin: &mut Admin, shared: &Shared) -> io::Result<Made> {
    let Shared { world, rate, first, begun, next, stop } = shared;
    let mut made = Made::default();
    while !stop.load(Ordering::Relaxed) {
        let at = next.fetch_add(BATCH, Ordering::Relaxed);
        let due = *begun + Duration::from_micros(at * 1_000_000 / rate);
        sleep(due.saturating_duration_since(Instant::now()));
        let changes: Vec<Value> = (at..at + BATCH).map(|at| of(world, first + at)).collect();
        let asked = Instant::now();
        let report = admin.post("/v1/registry/changes", &json!({ "changes": changes }))?;
        made.slowest = made.slowest.max(asked.elapsed());
        made.asked += BATCH;
        made.applied += report["applied"].as_u64().unwrap_or(0);
    }
    Ok(made)
}

/// Change number `at`: the even ones register, the odd ones deregister what was registered [`PRESENT`] registrations ago.
fn of(world: &World, at: u64) -> Value {
    let (action, which) = match at.is_multiple_of(2) {
        true => ("register", at / 2),
        false => ("deregister", (at / 2).wrapping_sub(PRESENT)),
    };
    let (service, address) = instance(world, which);
    json!({ "action": action, "service": format!("s{service}"), "address": address })
}

/// Registration number `which`: services far apart, one after the other, and addresses that no other instance has.
fn instance(world: &World, which: u64) -> (u64, String) {
    let services = u64::from(world.services);
    let service = which.wrapping_mul(STRIDE) % services;
    // By the time that a number comes again its instance has long gone.
    let number = world.instances + (which / services % 4) as u32;
    (service, world.instance(service as u32, number).to_string())
}

/// Odd and no multiple of five, so that every service of 2,000 has its turn; a chunk has 256.
const STRIDE: u64 = 257;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const WORLD: World = World {
        services: 2_000,
        instances: 50,
        cpu: 0,
        listen: 1,
        origin: 2,
        other: 3,
        leased: false,
    };

    #[test]
    fn all_services_have_their_turn_and_what_comes_goes() {
        let mut there = HashSet::new();
        let mut services = HashSet::new();
        for at in (0..PRESENT).map(|at| 2 * at).chain(2 * PRESENT..20_000) {
            let change = of(&WORLD, at);
            let which = (change["service"].to_string(), change["address"].to_string());
            services.insert(which.0.clone());
            match change["action"].as_str() {
                Some("register") => assert!(there.insert(which), "{at}"),
                _ => assert!(there.remove(&which), "{at}"),
            }
            assert!(there.len() as u64 <= PRESENT + 1);
        }
        assert_eq!(services.len(), 2_000);
    }
}
