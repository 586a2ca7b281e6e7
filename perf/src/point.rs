//! One point: one peer, one number of connections, one run of wrk.
//!
//! The peer is started anew and alone, checked, warmed up, measured and ended. CPU time is read
//! from the processes' own clocks around the measured run, its connects included; beside it stands
//! what the whole machine was busy, which kernel threads and other people's work count into.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::child::Guarded;
use crate::frame::{Framer, header_of, status_of};
use crate::machine;
use crate::peers::{Peer, Place};
use crate::wrk::{self, Report};

/// How long a program may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);
/// How often resident memory is looked at.
const MEMORY_EVERY: Duration = Duration::from_millis(200);
/// How much longer than asked wrk may take.
const WRK_GRACE: Duration = Duration::from_secs(20);

/// What is the same for all points of a run.
pub struct Bench<'a> {
    /// Where wrk is.
    pub wrk: &'a Path,
    /// The origin's process.
    pub origin: Pid,
    /// The CPU of the load and the origin.
    pub load_cpu: usize,
    /// Seconds that count.
    pub seconds: u64,
    /// Seconds before, that do not.
    pub warmup: u64,
    /// Bytes of a body.
    pub body: usize,
    /// Whether to stop.
    pub stop: &'a Stop,
}

/// What one point gave. CPU times are µs a request.
#[derive(Debug, Clone)]
pub struct Point {
    /// What wrk said.
    pub wrk: Report,
    /// CPU of the proxy.
    pub proxy_us: f64,
    /// CPU of the proxy, wrk and the origin.
    pub both_us: f64,
    /// CPU of the origin alone.
    pub origin_us: f64,
    /// What all CPUs of the machine were busy with, whoever it was for.
    pub machine_us: f64,
    /// Resident memory of the proxy, KiB, while the connections were still open.
    pub resident_kib: u64,
}

impl Point {
    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.wrk.requests as f64 / self.wrk.seconds.max(1e-9)
    }
}

/// Set by SIGINT, SIGTERM and SIGHUP; whoever waits looks at it.
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Takes the signals.
    pub fn on_signals() -> io::Result<Stop> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
        }
        Ok(Stop(flag))
    }

    /// An error once a signal has come.
    pub fn check(&self) -> io::Result<()> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(io::Error::new(io::ErrorKind::Interrupted, "stopped by a signal")),
            false => Ok(()),
        }
    }
}

/// Measures one point.
pub fn measure(
    bench: &Bench<'_>,
    peer: &Peer,
    place: &Place,
    connections: u32,
) -> io::Result<Point> {
    let log = place.folder.join(format!("{}.log", peer.name));
    let command = peer.command(place)?;
    let launch = Launch { command, at: place.listen, cpus: &[place.cpu], log: &log };
    let proxy = start(launch, bench.body, bench.stop)?;
    if bench.warmup > 0 {
        run_wrk(bench, place, connections, bench.warmup, |_| {})?;
    }
    let family = machine::family_of(proxy.pid());
    let mut resident_kib = 0;
    let proxy_before = machine::cpu_of_all(&family);
    let origin_before = machine::cpu_of(bench.origin)?;
    let busy_before = machine::busy()?;
    let (report, wrk_cpu) = run_wrk(bench, place, connections, bench.seconds, |running| {
        if running {
            resident_kib = machine::resident_kib(&family);
        }
    })?;
    let busy = machine::busy()?.saturating_sub(busy_before);
    let origin_cpu = machine::cpu_of(bench.origin)?.saturating_sub(origin_before);
    let proxy_cpu = machine::cpu_of_all(&family).saturating_sub(proxy_before);
    if proxy.has_ended() {
        return Err(failed(&peer.name, "ended under load", &log));
    }
    if report.requests == 0 {
        return Err(failed(&peer.name, "answered nothing under load", &log));
    }
    let each = |time: Duration| time.as_secs_f64() * 1e6 / report.requests as f64;
    Ok(Point {
        proxy_us: each(proxy_cpu),
        both_us: each(proxy_cpu + origin_cpu + wrk_cpu),
        origin_us: each(origin_cpu),
        machine_us: each(busy),
        resident_kib,
        wrk: report,
    })
}

/// A program to start, and where it will answer.
pub struct Launch<'a> {
    /// How to start it.
    pub command: Command,
    /// Where it will listen.
    pub at: SocketAddr,
    /// The CPU it runs on, or those.
    pub cpus: &'a [usize],
    /// Where its output goes; errors name the program after this file.
    pub log: &'a Path,
}

/// Starts a program and waits until it answers 200 with a body of so many bytes.
pub fn start(launch: Launch<'_>, body: usize, stop: &Stop) -> io::Result<Guarded> {
    let Launch { command, at, cpus, log } = launch;
    let name = log.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    // The ring of a process that was killed is taken down after it, and its listening sockets with it.
    let free_by = Instant::now() + START_LIMIT;
    while TcpStream::connect(at).is_ok() {
        if Instant::now() < free_by {
            sleep(POLL);
            continue;
        }
        return Err(io::Error::other(format!("{name}: something else listens on {at}")));
    }
    let child = Guarded::spawn_on(command, cpus, log)?;
    let begun = Instant::now();
    loop {
        stop.check()?;
        let answer = answer_of(at);
        match &answer {
            Ok((200, length)) if *length == body => return Ok(child),
            _ if child.has_ended() => return Err(failed(&name, "ended before it answered", log)),
            _ if begun.elapsed() < START_LIMIT => sleep(POLL),
            Ok((status, length)) => {
                let what = format!("answers {status} with {length} bytes");
                return Err(failed(&name, &what, log));
            }
            Err(error) => return Err(failed(&name, &format!("does not answer: {error}"), log)),
        }
    }
}

/// Runs wrk to its end; `look` is called now and then, with whether it still runs.
fn run_wrk(
    bench: &Bench<'_>,
    place: &Place,
    connections: u32,
    seconds: u64,
    mut look: impl FnMut(bool),
) -> io::Result<(Report, Duration)> {
    let log = place.folder.join("wrk.log");
    let mut command = Command::new(bench.wrk);
    command.args(wrk_args(connections, seconds)).arg(format!("http://{}/", place.listen));
    let wrk = Guarded::spawn(command, bench.load_cpu, &log)?;
    let begun = Instant::now();
    let mut looked = begun;
    while !wrk.has_ended() {
        bench.stop.check()?;
        if begun.elapsed() > Duration::from_secs(seconds) + WRK_GRACE {
            return Err(failed("wrk", "did not end in time", &log));
        }
        if looked.elapsed() >= MEMORY_EVERY {
            looked = Instant::now();
            look(begun.elapsed() < Duration::from_secs(seconds));
        }
        sleep(POLL);
    }
    let cpu = machine::cpu_of(wrk.pid())?;
    let status = wrk.reap()?;
    let report = wrk::parse(&fs::read_to_string(&log)?).filter(|_| status.success());
    Ok((report.ok_or_else(|| failed("wrk", "printed no figures", &log))?, cpu))
}

/// wrk's arguments but the target.
pub fn wrk_args(connections: u32, seconds: u64) -> [String; 4] {
    ["-t1".into(), format!("-c{connections}"), format!("-d{seconds}"), "--latency".into()]
}

/// Status and body length of one GET.
fn answer_of(at: SocketAddr) -> io::Result<(u16, usize)> {
    let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: {at}\r\n\r\n").as_bytes())?;
    let (mut framer, mut answer, mut bytes) = (Framer::default(), None, [0; 4096]);
    loop {
        let count = stream.read(&mut bytes)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let ended = framer.feed(&bytes[..count], |head| {
            let length = header_of(head, b"content-length").and_then(|v| v.utf8_chunks().next());
            let length = length.and_then(|v| v.valid().parse().ok()).unwrap_or(0);
            answer = status_of(head).map(|status| (status, length));
        });
        if ended.map_err(io::Error::other)? > 0 {
            return answer.ok_or_else(|| io::Error::other("an answer without a status"));
        }
    }
}

/// An error with the last lines of a program's output.
pub(crate) fn failed(name: &str, what: &str, log: &Path) -> io::Error {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(5)..].join("\n    ");
    io::Error::other(format!("{name} {what}\n    {last}"))
}
