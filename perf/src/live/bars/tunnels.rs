//! Bar: generations pass under open tunnels, which hold on to what they began with.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Amount, Verdict, kept};
use crate::live::admin::Admin;
use crate::live::age::{Stage, Steady};
use crate::live::crowd::{Crowd, Group};
use crate::live::line::{Line, Setup};
use crate::live::memory::{Flat, resident_kib};
use crate::live::origins::Origins;
use crate::live::place;
use crate::sock;

/// Tunnels.
const TUNNELS: usize = 1_000;
/// Between two changes, at least: publishes are no closer.
const EVERY: Duration = Duration::from_millis(10);
/// Instances that nobody asks, so that there is something to copy.
const CREW: u16 = 300;
const PATIENCE: Duration = Duration::from_secs(10);
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const ASKS: &[u8] =
    b"GET /tunnel HTTP/1.1\r\nHost: live\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                      Sec-WebSocket-Key: bGl2ZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Runs it.
pub fn tunnels(setup: &Setup<'_>, amount: Amount) -> io::Result<Verdict> {
    sock::raise_open_files_to(6 * TUNNELS as u64)?;
    let origins = Origins::listen(&NAMES)?;
    let at = place::free(1)?[0];
    let crew: Vec<_> =
        (0..CREW).map(|one| format!("127.0.1.{}:{}", one % 250, 9000 + one)).collect();
    let text = format!(
        "[runtime]\nworkers = 2\n[listeners.stays]\nbind = \"{at}\"\n[services.crew]\ninstances = {crew:?}\n\
         [services.s]\ninstances = [{:?}]\n[routes]\n\"/*\" = \"s\"\n\"/crew/*\" = \"crew\"\n",
        origins.address("a"),
    );
    let mut line = Line::start(setup, "tunnels", &text, Duration::ZERO)?;
    let others: Vec<_> = NAMES[1..].iter().map(|name| origins.address(name)).collect();
    let serving = origins.serve()?;
    // Half of the tunnels are to an instance that goes and comes again all the time.
    change(&line.admin, &[("register", "s", &others[0])])?;
    let mut open = (0..TUNNELS).map(|_| tunnel(at)).collect::<io::Result<Vec<_>>>()?;
    let before = echoing(&mut open);
    let stage = Arc::new(Stage::default());
    let pausing = Group { count: 4, think: Duration::from_millis(20), ..kept(at, &["/s/"]) };
    let crowd = Crowd::start(&[pausing], Arc::new(Steady(&NAMES)), Arc::clone(&stage))?;
    let (begun, first) = (Instant::now(), generation(&line.admin)?);
    let (mut now, mut changes, mut tenth) = (first, 0_u64, 0);
    while now < first + amount.count {
        setup.stop.check()?;
        let due = Instant::now() + EVERY;
        now = now.max(membership(&line.admin, changes, &others)?);
        changes += 1;
        if tenth == 0 && now >= first + amount.count / 10 {
            tenth = resident_kib(line.pid());
        }
        sleep(due.saturating_duration_since(Instant::now()));
    }
    let (took, now) = (begun.elapsed(), generation(&line.admin)?);
    let memory = Flat { tenth, end: resident_kib(line.pid()) };
    let after = echoing(&mut open);
    let shown = shown(&line.admin)?;
    stage.leave();
    let figures = crowd.figures()?;
    drop(open);
    line.signal(Signal::TERM)?;
    line.wait(setup.stop)?;
    drop(serving);

    let mut wrong = figures.told().to_vec();
    if (before, after) != (TUNNELS, TUNNELS) {
        wrong.push(format!("of {TUNNELS} tunnels {before} echoed before, {after} after"));
    }
    if !memory.holds() {
        wrong.push(format!("memory is not flat: {memory}"));
    }
    let text = format!(
        "{} generations by {changes} changes in {:.1} s; {after} of {TUNNELS} tunnels echo after; {figures}; {memory}; {shown}",
        now - first,
        took.as_secs_f64(),
    );
    Verdict::of(text, wrong)
}

/// The next change of membership: an instance that is asked goes or comes, and one that is not does too. Gives the generation that
/// has it.
fn membership(admin: &Admin, number: u64, others: &[String]) -> io::Result<u64> {
    // The first was registered before; each goes and comes in turn.
    let (turn, which) = (number / others.len() as u64, number % others.len() as u64);
    let there = (turn % 2 == 0) == (which == 0);
    let action = if there { "deregister" } else { "register" };
    let idle = format!("127.0.2.{}:9000", number / 2 % 200);
    let of_idle = if number.is_multiple_of(2) { "register" } else { "deregister" };
    change(admin, &[(action, "s", &others[which as usize]), (of_idle, "crew", &idle)])
}

/// Asks for changes, each of which must change something. Gives the generation that has them.
fn change(admin: &Admin, changes: &[(&str, &str, &str)]) -> io::Result<u64> {
    let one = |(action, service, address): &(&str, &str, &str)| -> Value {
        json!({ "action": action, "service": service, "address": address })
    };
    let body = json!({ "changes": changes.iter().map(one).collect::<Vec<_>>() });
    let said = admin.post("/v1/registry/changes", Some(&body))?;
    match (said.status, said.body["applied"].as_u64(), said.body["generation"].as_u64()) {
        (200, Some(applied), Some(generation)) if applied == changes.len() as u64 => Ok(generation),
        _ => Err(io::Error::other(format!("{body}: {} {}", said.status, said.body))),
    }
}

fn generation(admin: &Admin) -> io::Result<u64> {
    let said = admin.get("/v1/config")?;
    let generation = said.body["generation"].as_u64();
    generation.ok_or_else(|| io::Error::other(format!("no generation: {}", said.body)))
}

/// What the process says of what it keeps of former generations.
fn shown(admin: &Admin) -> io::Result<String> {
    let said = admin.get("/metrics")?;
    let text = said.body.as_str().unwrap_or_default();
    let about = |line: &&str| {
        !line.starts_with('#')
            && ["retired", "slots", "snapshots"].iter().any(|word| line.contains(word))
    };
    let lines: Vec<_> = text.lines().filter(about).collect();
    Ok(match lines.is_empty() {
        true => "the metrics do not show retired slots and snapshots".into(),
        false => lines.join(", "),
    })
}

fn tunnel(to: std::net::SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(ASKS)?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    match head.starts_with(b"HTTP/1.1 101 ") {
        true => Ok(stream),
        false => Err(io::Error::other(format!("no tunnel: {}", String::from_utf8_lossy(&head)))),
    }
}

/// How many of them send back what they are sent.
fn echoing(tunnels: &mut [TcpStream]) -> usize {
    let echoes = |(number, stream): (usize, &mut TcpStream)| -> io::Result<bool> {
        let sent = format!("tunnel {number:05}");
        stream.write_all(sent.as_bytes())?;
        let mut got = vec![0; sent.len()];
        stream.read_exact(&mut got)?;
        Ok(got == sent.as_bytes())
    };
    tunnels.iter_mut().enumerate().filter_map(|one| echoes(one).ok()).filter(|same| *same).count()
}
