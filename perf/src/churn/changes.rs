//! The changes: instances that come and go, in turn over all services, at a constant rate.
//!
//! Each request to the admin listener has ten changes: five instances come, and five go that came some time before. The
//! schedule is fixed: a late answer makes the next requests late, and they catch up.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::churn::ask::{Admin, Client};
use crate::churn::gateway::World;

/// Changes a request.
const BATCH: u64 = 10;
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
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Made>>,
}

impl Changes {
    /// Begins, with `rate` changes a second.
    pub fn begin(admin: PathBuf, world: World, rate: u64, At(first): At) -> Changes {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread =
            spawn(move || change(&mut Client::admin(&admin)?, &world, rate, first, &stopped));
        Changes { stop, thread }
    }

    /// Ends them.
    pub fn end(self) -> io::Result<Made> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| io::Error::other("the thread of changes died"))?
    }
}

fn change(
    admin: &mut Admin,
    world: &World,
    rate: u64,
    first: u64,
    stop: &AtomicBool,
) -> io::Result<Made> {
    let (begun, mut made, mut next) = (Instant::now(), Made::default(), 0);
    while !stop.load(Ordering::Relaxed) {
        let due = begun + Duration::from_micros(next * 1_000_000 / rate);
        sleep(due.saturating_duration_since(Instant::now()));
        let changes: Vec<Value> = (next..next + BATCH).map(|at| of(world, first + at)).collect();
        let asked = Instant::now();
        let report = admin.post("/v1/registry/changes", &json!({ "changes": changes }))?;
        made.slowest = made.slowest.max(asked.elapsed());
        made.asked += BATCH;
        made.applied += report["applied"].as_u64().unwrap_or(0);
        next += BATCH;
    }
    made.took = begun.elapsed();
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

    const WORLD: World =
        World { services: 2_000, instances: 50, cpu: 0, listen: 1, origin: 2, other: 3 };

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
