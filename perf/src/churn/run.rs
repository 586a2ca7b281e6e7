//! One run: requests at a constant rate, with changes beside them or without, and what the worker and control did meanwhile.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, getpid};
use serde_json::Value;

use crate::child::Guarded;
use crate::churn::ask::Admin;
use crate::churn::changes::{At, Changes, Made};
use crate::churn::gateway::{Look, Since, World};
use crate::churn::probe::{Probe, Seen};
use crate::churn::renewals::{Pace, Renewals, Renewed};
use crate::machine;
use crate::point::{Stop, failed};

/// Seconds of requests before the counting, and after it.
const WARMUP: u64 = 2;
/// How much longer than asked `load` may take.
const GRACE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
/// More requests a second than any worker answers: every connection always has one due.
const ANY_RATE: u64 = 200_000;

/// What is the same for all runs.
pub struct Setting<'a> {
    /// The program `load`.
    pub load: &'a Path,
    /// The gateway's process.
    pub gateway: Pid,
    /// The processes of the origins.
    pub origins: [Pid; 2],
    /// How long the bodies of their answers are.
    pub lengths: [usize; 2],
    /// What the gateway has.
    pub world: World,
    /// The CPU of everything but the worker.
    pub load_cpu: usize,
    /// Services that requests go to.
    pub loaded: u32,
    /// Connections of the load.
    pub connections: u32,
    /// Changes a second.
    pub changes: u64,
    /// Renewals of leases, where instances have them.
    pub renewals: Option<Pace>,
    /// Seconds that count.
    pub seconds: u64,
    /// Where the admin listener and logs are.
    pub folder: &'a Path,
    /// Whether to stop.
    pub stop: &'a Stop,
}

impl Setting<'_> {
    /// The admin listener.
    pub fn admin(&self) -> std::path::PathBuf {
        self.folder.join("admin.sock")
    }
}

/// What a run gave.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// What the gateway did.
    pub since: Since,
    /// How long that was.
    pub took: Duration,
    /// Latencies of the requests, µs: p50, p99, p99.9, max; the part of the p99 of which `load` itself is the cause.
    pub latency: [f64; 5],
    /// Requests answered a second.
    pub rate: f64,
    /// Errors, time-outs, and requests that never left.
    pub errors: u64,
    /// The changes.
    pub made: Made,
    /// The renewals.
    pub renewed: Renewed,
    /// Exchanges seen by the probe.
    pub seen: Vec<Seen>,
    /// How many CPUs were busy with what is no part of the run.
    pub others: f64,
}

impl Outcome {
    /// Seconds of CPU of control's threads a second.
    pub fn control(&self) -> f64 {
        self.since.control.as_secs_f64() / self.took.as_secs_f64().max(1e-9)
    }
}

/// How many requests a second one worker answers, each connection asking again as soon as it has its answer.
pub fn capacity(setting: &Setting<'_>, seconds: u64) -> io::Result<f64> {
    let load = Load::begin(setting, ANY_RATE, seconds)?;
    while !load.child.has_ended() {
        setting.stop.check()?;
        load.check()?;
        sleep(POLL);
    }
    load.figures()?["achieved_rate"]
        .as_f64()
        .filter(|rate| *rate > 0.0)
        .ok_or_else(|| io::Error::other("the closed loop had no answers"))
}

/// Measures one run; with changes where it is given a place to go on from.
pub fn measure(
    setting: &Setting<'_>,
    admin: &mut Admin,
    rate: u64,
    changes: Option<At>,
) -> io::Result<Outcome> {
    let at_work = changes.map(|at| {
        let changes = Changes::begin(&setting.admin(), setting.world, setting.changes, at);
        let renew = |pace| Renewals::begin(&setting.admin(), setting.world, pace);
        let renewals = setting.renewals.map(renew);
        (changes, renewals, Probe::begin(setting.admin(), setting.world, setting.lengths))
    });
    let load = Load::begin(setting, rate, setting.seconds + WARMUP)?;
    let mut parts = vec![setting.gateway, setting.origins[0], setting.origins[1], getpid()];
    parts.push(load.child.pid());
    let wait_until = |time: Duration| {
        while load.begun.elapsed() < time {
            setting.stop.check()?;
            sleep(POLL.min(time.saturating_sub(load.begun.elapsed())));
        }
        Ok::<_, io::Error>(())
    };
    wait_until(Duration::from_secs(WARMUP))?;
    let before = Look::at(admin, setting.gateway)?;
    let (begun, busy, own) = (Instant::now(), machine::busy()?, machine::cpu_of_all(&parts));
    wait_until(Duration::from_secs(WARMUP + setting.seconds))?;
    let after = Look::at(admin, setting.gateway)?;
    let took = begun.elapsed();
    let own = machine::cpu_of_all(&parts).saturating_sub(own);
    let foreign = machine::busy()?.saturating_sub(busy).saturating_sub(own);
    while !load.child.has_ended() {
        load.check()?;
        sleep(POLL);
    }
    let figures = load.figures()?;
    let mut outcome = Outcome {
        since: after.since(&before),
        took,
        others: foreign.as_secs_f64() / took.as_secs_f64(),
        ..Outcome::default()
    };
    outcome.take(&figures);
    if let Some((changes, renewals, probe)) = at_work {
        outcome.made = changes.end()?;
        outcome.renewed = renewals.map(Renewals::end).transpose()?.unwrap_or_default();
        outcome.seen = probe.end()?;
    }
    Ok(outcome)
}

impl Outcome {
    fn take(&mut self, figures: &Value) {
        let number = |at: &str| figures.pointer(at).and_then(Value::as_f64).unwrap_or(f64::NAN);
        let count = |key: &str| figures[key].as_u64().unwrap_or(0);
        self.latency = [
            "/latency_us/p50",
            "/latency_us/p99",
            "/latency_us/p99.9",
            "/latency_us/max",
            "/own_lag_us/p99",
        ]
        .map(number);
        self.rate = number("/achieved_rate");
        self.errors = count("errors") + count("timeouts") + count("unsent");
    }
}

/// `load`, running.
struct Load {
    child: Guarded,
    log: std::path::PathBuf,
    begun: Instant,
    limit: Duration,
}

impl Load {
    fn begin(setting: &Setting<'_>, rate: u64, seconds: u64) -> io::Result<Load> {
        let log = setting.folder.join("load.log");
        let mut command = Command::new(setting.load);
        // Requests that are due in the warm-up do not count: in a closed loop all of them would be.
        let warmup = if rate == ANY_RATE { "0" } else { "1" };
        command.args(["--json", "--warmup", warmup, "--host", "s{}.test"]);
        command.args(["--hosts", &setting.loaded.to_string()]);
        command.args(["--url", &format!("http://127.0.0.1:{}/", setting.world.listen)]);
        command.args(["--connections", &setting.connections.to_string()]);
        command.args(["--rate", &rate.to_string(), "--seconds", &seconds.to_string()]);
        let child = Guarded::spawn(command, setting.load_cpu, &log)?;
        Ok(Load { child, log, begun: Instant::now(), limit: Duration::from_secs(seconds + 1) })
    }

    fn check(&self) -> io::Result<()> {
        match self.begun.elapsed() > self.limit + GRACE {
            true => Err(failed("load", "did not end in time", &self.log)),
            false => Ok(()),
        }
    }

    fn figures(self) -> io::Result<Value> {
        let status = self.child.reap()?;
        let text = fs::read_to_string(&self.log)?;
        let figures = serde_json::from_str(&text).ok().filter(|_| status.success());
        figures.ok_or_else(|| failed("load", "printed no figures", &self.log))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_of_the_load() {
        let mut outcome = Outcome::default();
        outcome.take(&json!({
            "achieved_rate": 99.5, "errors": 1, "timeouts": 2, "unsent": 3,
            "latency_us": { "p50": 100.0, "p99": 2000.0, "p99.9": 3500.0, "max": 9000.0 },
            "own_lag_us": { "p99": 50.0 },
        }));
        assert_eq!(outcome.latency, [100.0, 2000.0, 3500.0, 9000.0, 50.0]);
        assert_eq!((outcome.rate, outcome.errors), (99.5, 6));
        assert!(outcome.control().abs() < 1e-9);
    }
}
