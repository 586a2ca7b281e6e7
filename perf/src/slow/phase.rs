//! One phase of one proxy: it is started anew and alone, warmed up by polite requests, then held by
//! a crowd of slow clients while polite requests go on.
//!
//! Memory is looked at with the polite connections open, before the crowd comes and while all of
//! it hangs; their difference is what the crowd costs. The polite requests are those of `load`, a
//! process of its own on the load's CPU.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, getpid};
use serde_json::Value;

use crate::child::Guarded;
use crate::machine;
use crate::peers::{Peer, Place};
use crate::point::{Launch, Stop, failed, start};
use crate::slow::crowd::{Crowd, Ends};
use crate::slow::servers::{self, Purpose, Terms};
use crate::slow::{Counts, Manner};

/// The crowd must stand within this time.
const CROWD_LIMIT: Duration = Duration::from_secs(60);
/// How long after the last of the crowd has come the counting begins.
const SETTLE: Duration = Duration::from_secs(1);
/// How much later than its deadline a connection may be shed.
pub const GRACE: Duration = Duration::from_secs(1);
/// How long readers read on after that, to see which were let go.
const DRAIN: Duration = Duration::from_secs(1);
/// How long a turn of the crowd takes, and how often memory is looked at.
const TURN: Duration = Duration::from_millis(20);
const MEMORY_EVERY: Duration = Duration::from_millis(200);
/// Seconds of polite requests before the crowd.
const WARMUP: u64 = 2;
/// Room for connections beside the crowd and the polite ones.
const SPARE: usize = 100;
/// How much longer than asked `load` may take.
const LOAD_GRACE: Duration = Duration::from_secs(20);

/// What is the same for all phases of a run.
pub struct Setting<'a> {
    /// The program `load`.
    pub load: &'a Path,
    /// The origin's process.
    pub origin: Pid,
    /// The CPU of the load, the crowd and the origin.
    pub load_cpu: usize,
    /// Polite requests a second.
    pub rate: u32,
    /// Polite connections.
    pub polite: u32,
    /// Bytes of the body of a polite answer.
    pub body: usize,
    /// Between two bytes of a slow client.
    pub every: Duration,
    /// Whether to stop.
    pub stop: &'a Stop,
}

/// What to do.
#[derive(Debug, Clone, Copy)]
pub struct Phase {
    /// Its name in the table.
    pub name: &'static str,
    /// The crowd.
    pub counts: Counts,
    /// The deadline that the proxy is given.
    pub deadline: Duration,
    /// What for.
    pub purpose: Purpose,
    /// Seconds of polite requests beside the crowd.
    pub seconds: u64,
}

/// What a phase gave.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How many of the crowd were open when the counting ended; 0 once they were to be shed.
    pub held: usize,
    /// How many never came in.
    pub failed: usize,
    /// Resident memory before, KiB.
    pub resident_before: u64,
    /// The most while they hung, KiB.
    pub resident: u64,
    /// Proportional memory before, KiB.
    pub proportional_before: u64,
    /// The same while they hung, KiB.
    pub proportional: u64,
    /// The polite requests beside the crowd.
    pub polite: Polite,
    /// How many CPUs were busy with what is no part of the run, meanwhile.
    pub others: f64,
    /// How the crowd ended, by manner; empty unless it was to be shed.
    pub ends: Vec<(Manner, Ends)>,
}

impl Outcome {
    /// Bytes of resident memory a slow connection.
    pub fn resident_each(&self) -> f64 {
        each(self.resident_before, self.resident, self.held)
    }

    /// Bytes of proportional memory a slow connection.
    pub fn proportional_each(&self) -> f64 {
        each(self.proportional_before, self.proportional, self.held)
    }
}

/// The latencies of the polite requests, ms, from when each was due.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Polite {
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The 99.9th.
    pub p999: f64,
    /// The longest.
    pub max: f64,
    /// The part of the 99th percentile of which `load` itself is the cause.
    pub own_p99: f64,
    /// Requests that were due.
    pub scheduled: u64,
    /// Errors, time-outs, and those that never left.
    pub errors: u64,
}

/// Measures one phase.
pub fn measure(
    setting: &Setting<'_>,
    peer: &Peer,
    place: &Place,
    phase: &Phase,
) -> io::Result<Outcome> {
    let log = place.folder.join(format!("{}.log", peer.name));
    let terms = Terms {
        deadline: phase.deadline,
        purpose: phase.purpose,
        connections: phase.counts.total() + setting.polite as usize + SPARE,
    };
    let command = servers::command(peer, place, &terms)?;
    let launch = Launch { command, at: place.listen, cpus: &[place.cpu], log: &log };
    let proxy = start(launch, setting.body, setting.stop)?;
    let family = machine::family_of(proxy.pid());
    let to = place.listen;

    let (mut resident_before, mut proportional_before) = (0, 0);
    let load = Load::begin(setting, place, to, WARMUP)?;
    let mut looks = Looks::default();
    while !load.has_ended()? {
        setting.stop.check()?;
        std::thread::sleep(TURN);
        if looks.is_due() && load.is_running() {
            resident_before = resident_before.max(machine::resident_kib(&family));
            proportional_before = machine::proportional_kib(&family);
        }
    }
    load.figures()?;

    let manners = phase.counts.manners(phase.purpose == Purpose::Shed);
    let mut crowd = Crowd::new(to, &manners, setting.every)?;
    gather(setting, &mut crowd)?;
    let load = Load::begin(setting, place, to, phase.seconds)?;
    let mut parts = family.clone();
    parts.extend([setting.origin, getpid()]);
    let (begun, busy, own) = (Instant::now(), machine::busy()?, machine::cpu_of_all(&parts));
    let (mut held, mut resident, mut proportional) = (0, 0, 0);
    let shed = phase.purpose == Purpose::Shed;
    while !load.has_ended()? {
        setting.stop.check()?;
        crowd.turn(TURN)?;
        if shed && crowd.since_last_began() > phase.deadline + GRACE {
            crowd.drain();
        }
        if !shed && looks.is_due() && load.is_running() {
            resident = resident.max(machine::resident_kib(&family));
            held = crowd.open();
        }
    }
    parts.push(load.child.pid());
    let own = machine::cpu_of_all(&parts).saturating_sub(own);
    let foreign = machine::busy()?.saturating_sub(busy).saturating_sub(own);
    let others = foreign.as_secs_f64() / begun.elapsed().as_secs_f64();
    let polite = load.figures()?;
    if proxy.has_ended() {
        return Err(failed(&peer.name, "ended under slow clients", &log));
    }
    if !shed {
        proportional = machine::proportional_kib(&family);
    }
    let ends = if shed { see_off(setting, &mut crowd, phase.deadline)? } else { Vec::new() };
    Ok(Outcome {
        held,
        failed: crowd.failed(),
        resident_before,
        resident,
        proportional_before,
        proportional,
        polite,
        others,
        ends,
    })
}

/// Brings the crowd in.
fn gather(setting: &Setting<'_>, crowd: &mut Crowd) -> io::Result<()> {
    let begun = Instant::now();
    while !crowd.is_whole() {
        setting.stop.check()?;
        if begun.elapsed() > CROWD_LIMIT {
            return Err(io::Error::other("not all slow connections stood within 60 s"));
        }
        crowd.turn(TURN)?;
    }
    let whole = Instant::now();
    while whole.elapsed() < SETTLE {
        crowd.turn(TURN)?;
    }
    Ok(())
}

/// Waits until the last deadline has come, then says how each manner ended.
fn see_off(
    setting: &Setting<'_>,
    crowd: &mut Crowd,
    deadline: Duration,
) -> io::Result<Vec<(Manner, Ends)>> {
    let due = deadline + GRACE;
    while crowd.open() > 0 && crowd.since_last_began() < due + DRAIN {
        setting.stop.check()?;
        crowd.turn(TURN)?;
        if crowd.since_last_began() > due {
            crowd.drain();
        }
    }
    let ends = Manner::ALL.into_iter().map(|manner| (manner, crowd.ends(manner)));
    Ok(ends.filter(|(_, ends)| ends.clients > 0).collect())
}

/// `load`, running.
struct Load {
    child: Guarded,
    log: std::path::PathBuf,
    begun: Instant,
    limit: Duration,
}

impl Load {
    fn begin(
        setting: &Setting<'_>,
        place: &Place,
        to: SocketAddr,
        seconds: u64,
    ) -> io::Result<Load> {
        let log = place.folder.join("load.log");
        let mut command = Command::new(setting.load);
        command.args(["--json", "--warmup", "1", "--timeout", "10000"]);
        command.args(["--url", &format!("http://{to}/")]);
        command.args(["--connections", &setting.polite.to_string()]);
        command.args(["--rate", &setting.rate.to_string()]);
        command.args(["--seconds", &seconds.to_string()]);
        let child = Guarded::spawn(command, setting.load_cpu, &log)?;
        let limit = Duration::from_secs(seconds + 1);
        Ok(Load { child, log, begun: Instant::now(), limit })
    }

    fn has_ended(&self) -> io::Result<bool> {
        if self.begun.elapsed() > self.limit + LOAD_GRACE {
            return Err(failed("load", "did not end in time", &self.log));
        }
        Ok(self.child.has_ended())
    }

    /// Whether its connections are open: not at its very beginning, nor close to its end.
    fn is_running(&self) -> bool {
        let so_far = self.begun.elapsed();
        so_far > Duration::from_secs(1) && so_far < self.limit
    }

    fn figures(self) -> io::Result<Polite> {
        let status = self.child.reap()?;
        let text = fs::read_to_string(&self.log)?;
        let figures = serde_json::from_str(&text).ok().filter(|_| status.success());
        let figures: Value =
            figures.ok_or_else(|| failed("load", "printed no figures", &self.log))?;
        Ok(polite(&figures))
    }
}

fn polite(figures: &Value) -> Polite {
    let ms = |at: &str| figures.pointer(at).and_then(Value::as_f64).unwrap_or(f64::NAN) / 1e3;
    let count = |key: &str| figures[key].as_u64().unwrap_or(0);
    Polite {
        p50: ms("/latency_us/p50"),
        p99: ms("/latency_us/p99"),
        p999: ms("/latency_us/p99.9"),
        max: ms("/latency_us/max"),
        own_p99: ms("/own_lag_us/p99"),
        scheduled: count("scheduled"),
        errors: count("errors") + count("timeouts") + count("unsent"),
    }
}

/// When memory is to be looked at.
#[derive(Default)]
struct Looks(Option<Instant>);

impl Looks {
    fn is_due(&mut self) -> bool {
        let due = self.0.is_none_or(|last| last.elapsed() >= MEMORY_EVERY);
        if due {
            self.0 = Some(Instant::now());
        }
        due
    }
}

fn each(before_kib: u64, after_kib: u64, held: usize) -> f64 {
    (after_kib as f64 - before_kib as f64) * 1024.0 / held.max(1) as f64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_of_the_load() {
        let figures = json!({
            "scheduled": 500, "errors": 1, "timeouts": 2, "unsent": 3,
            "latency_us": { "p50": 100.0, "p99": 2000.0, "p99.9": 3500.0, "max": 9000.0 },
            "own_lag_us": { "p99": 50.0 },
        });
        let expected = Polite {
            p50: 0.1,
            p99: 2.0,
            p999: 3.5,
            max: 9.0,
            own_p99: 0.05,
            scheduled: 500,
            errors: 6,
        };
        assert_eq!(polite(&figures), expected);
        assert!(polite(&json!({})).p999.is_nan(), "what is missing passes no bar");
    }

    #[test]
    fn memory_of_a_connection() {
        assert_eq!(each(1000, 1000 + 45_000, 9_000), 5120.0);
        assert!(each(1000, 900, 0) < 0.0);
    }
}
