//! Bar: an instance is killed while clients ask who retry nothing, through a gateway that retries nothing: how long do requests fail?
//!
//! Two services have the same three instances: one is told by probes alone, the other by its requests too.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use super::{Amount, Verdict};
use crate::child::Guarded;
use crate::churn::ask::Client;
use crate::live::line::{Line, Setup};
use crate::live::place;
use crate::{machine, peers};

const EVERY: Duration = Duration::from_millis(500);
const FALL: u32 = 2;
/// The bar: interval x 1.1 x fall + 200 ms.
const BAR: Duration = Duration::from_millis(500 * 11 / 10 * 2 + 200);
/// How long clients ask after it: what fails later than the bar must be seen.
const AFTER: Duration = Duration::from_millis(2_500);
/// Until an instance is asked again.
const PATIENCE: Duration = Duration::from_secs(20);
/// Clients of each service, and the pause of each.
const CLIENTS: usize = 4;
const THINK: Duration = Duration::from_millis(1);
const SERVICES: [&str; 2] = ["probes", "both"];
/// Bodies of the instances, by which they are told apart.
const BODIES: [usize; 3] = [101, 102, 103];

/// Runs it.
pub fn killed(setup: &Setup<'_>, amount: Amount) -> io::Result<Verdict> {
    let ports = place::free(1 + BODIES.len())?;
    let (at, instances) = (ports[0], &ports[1..]);
    let mut origins = Vec::new();
    for (number, at) in instances.iter().enumerate() {
        origins.push(origin(setup, number, *at)?);
    }
    let addresses: Vec<_> = instances.iter().map(ToString::to_string).collect();
    let health = format!(
        "{{ get = \"/\", every = \"{}ms\", timeout = \"250ms\", rise = 1, fall = {FALL} }}",
        EVERY.as_millis()
    );
    let terms = format!(
        "instances = {addresses:?}\nhealth = {health}\nretry = {{ attempts = 1 }}\nslow_start = \"0s\""
    );
    let text = format!(
        "[runtime]\nworkers = 2\n[listeners.l]\nbind = \"{at}\"\n[routes]\n\"/probes/*\" = \"probes\"\n\"/both/*\" = \"both\"\n\
         [services.probes]\n{terms}\noutlier = false\n[services.both]\n{terms}\noutlier = {{ ejected = \"1s..1s\" }}\n"
    );
    let mut line = Line::start(setup, "killed", &text, Duration::ZERO)?;
    let mut seen = [Seen::default(), Seen::default()];
    for round in 0..amount.count {
        setup.stop.check()?;
        let victim = round as usize % BODIES.len();
        all_serve(at)?;
        once(at, &origins[victim], &mut seen)?;
        origins[victim] = origin(setup, victim, instances[victim])?;
    }
    line.signal(Signal::TERM)?;
    line.wait(setup.stop)?;
    let mut wrong = Vec::new();
    for (name, seen) in SERVICES.iter().zip(&seen) {
        if seen.longest > BAR || seen.failed == 0 {
            wrong.push(format!("{name}: {seen}, bar {} ms", BAR.as_millis()));
        }
    }
    let [probes, both] = seen;
    let text = format!(
        "{} instances killed, probed every {} ms, fall {FALL}: by probes alone {probes} (bar {} ms); by requests too {both}",
        amount.count,
        EVERY.as_millis(),
        BAR.as_millis(),
    );
    Verdict::of(text, wrong)
}

/// What clients of a service saw.
#[derive(Default)]
struct Seen {
    asked: u64,
    failed: u64,
    /// From the kill to the last failure, of all rounds.
    longest: Duration,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, failed, longest } = self;
        write!(f, "{failed} of {asked} requests failed, the last {} ms after", longest.as_millis())
    }
}

/// Kills one while clients ask.
fn once(at: SocketAddr, victim: &Guarded, seen: &mut [Seen; 2]) -> io::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<Vec<_>> = SERVICES
        .iter()
        .map(|service| (0..CLIENTS).map(|_| client(at, service, &stop)).collect())
        .collect();
    sleep(Duration::from_millis(200));
    let begun = Instant::now();
    kill_process(victim.pid(), Signal::KILL)?;
    sleep(AFTER);
    stop.store(true, Ordering::Relaxed);
    for (clients, seen) in clients.into_iter().zip(seen) {
        for client in clients {
            let died = |_| io::Error::other("a client died");
            let (asked, failures) = client.join().map_err(died)??;
            seen.asked += asked;
            seen.failed += failures.len() as u64;
            let last = failures.iter().map(|at| at.saturating_duration_since(begun)).max();
            seen.longest = seen.longest.max(last.unwrap_or_default());
        }
    }
    Ok(())
}

type Failures = io::Result<(u64, Vec<Instant>)>;

/// Asks until it is told to stop; how often, and when it was answered with anything but 200.
fn client(at: SocketAddr, service: &str, stop: &Arc<AtomicBool>) -> JoinHandle<Failures> {
    let (request, stop) = (request(service), Arc::clone(stop));
    spawn(move || {
        let (mut asked, mut failures) = (0, Vec::new());
        let mut gateway = Client::gateway(at)?;
        while !stop.load(Ordering::Relaxed) {
            asked += 1;
            match gateway.ask(&request) {
                Ok((200, _)) => {}
                Ok(_) => failures.push(Instant::now()),
                // An answer that was cut: the connection is of no more use.
                Err(_) => {
                    failures.push(Instant::now());
                    gateway = Client::gateway(at)?;
                }
            }
            sleep(THINK);
        }
        Ok((asked, failures))
    })
}

fn request(service: &str) -> Vec<u8> {
    format!("GET /{service}/ HTTP/1.1\r\nHost: live\r\n\r\n").into()
}

/// Waits until every instance has answered a request of each service.
fn all_serve(at: SocketAddr) -> io::Result<()> {
    let (mut gateway, begun) = (Client::gateway(at)?, Instant::now());
    for service in SERVICES {
        let mut left = BODIES.to_vec();
        while !left.is_empty() {
            if let (200, body) = gateway.ask(&request(service))? {
                left.retain(|length| *length != body.len());
            }
            if begun.elapsed() > PATIENCE {
                return Err(io::Error::other(format!(
                    "instances of {service} that nobody asks: {left:?}"
                )));
            }
        }
    }
    Ok(())
}

fn origin(setup: &Setup<'_>, number: usize, at: SocketAddr) -> io::Result<Guarded> {
    let program = peers::sibling("origin");
    let program = program.ok_or_else(|| io::Error::other("origin: not built"))?;
    let mut command = Command::new(program);
    debug_assert_eq!(at.ip(), Ipv4Addr::LOCALHOST);
    command.args(["--body", &BODIES[number].to_string(), "--listen", &at.to_string()]);
    let cpus: Vec<_> = (0..machine::cpus()).collect();
    let child =
        Guarded::spawn_on(command, &cpus, &setup.folder.join(format!("origin-{number}.log")))?;
    let begun = Instant::now();
    while Client::gateway(at).is_err() {
        if begun.elapsed() > PATIENCE {
            return Err(io::Error::other(format!("no origin at {at}")));
        }
        sleep(Duration::from_millis(1));
    }
    Ok(child)
}
