//! Bar: the gateway is killed (SIGKILL) and started again, over and over, while instances register and leave through its API and
//! requests flow: nothing that was answered is lost, and the first request is answered within 300 ms of the start.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use serde_json::json;

use super::upgrades::Times;
use super::{Amount, Verdict};
use crate::frame::status_of;
use crate::live::admin::Admin;
use crate::live::line::Setup;
use crate::live::origins::Origins;
use crate::live::place;

/// From the start of the process to its first answer.
const SERVES_WITHIN: Duration = Duration::from_millis(300);
/// How long it serves before it is killed again, at least; a third of this more each time, in turn.
const LIFE: Duration = Duration::from_millis(300);
/// Clients that register, and how many instances each has.
const REGISTRANTS: u64 = 8;
const OWN: usize = 64;
/// Clients that ask for something.
const ASKING: usize = 8;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Lines of a gateway's messages that are shown.
const SHOWN: usize = 8;
/// Faults that are told.
const TOLD: usize = 20;
/// How long somebody waits who found nobody.
const AGAIN: Duration = Duration::from_millis(2);

/// What all threads share.
struct Shared {
    admin: Admin,
    at: SocketAddr,
    stop: AtomicBool,
    acknowledged: AtomicU64,
    served: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

impl Shared {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    fn tell(&self, wrong: String) {
        let mut all = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < TOLD {
            all.push(wrong);
        }
    }
}

/// Runs it.
pub fn restarts(setup: &Setup<'_>, amount: Amount) -> io::Result<Verdict> {
    let origins = Origins::listen(&["a"])?;
    let (at, instance) = (place::free(1)?[0], origins.address("a"));
    let serving = origins.serve()?;
    let path = |what: &str| setup.folder.join(format!("restarts-{}.{what}", setup.io));
    let text = format!(
        "[runtime]\nworkers = 2\n[listeners.l]\nbind = \"{at}\"\n[services.s]\ninstances = []\nregister = true\n[routes]\n\"/*\" = \"s\"\n"
    );
    std::fs::write(path("toml"), text)?;
    let start =
        || Gateway::start(setup, &path("toml"), &path("sock"), &path("state"), &path("log"));
    let shared = Arc::new(Shared {
        admin: Admin::at(&path("sock")),
        at,
        stop: AtomicBool::new(false),
        acknowledged: AtomicU64::new(0),
        served: AtomicU64::new(0),
        wrong: Mutex::default(),
    });
    let mut gateway = start()?;
    let ready = || shared.admin.get("/readyz").is_ok_and(|said| said.status == 200);
    gateway.until(setup, &path("log"), ready)?;
    let body = json!({ "address": instance, "ttl": "24h" });
    shared.admin.put("/v1/services/s/instances/stays", &body)?;
    let threads = clients(&shared);
    let mut times = Times::default();
    for number in 0..amount.count {
        setup.stop.check()?;
        sleep(LIFE + LIFE * (number % 3) as u32 / 3);
        gateway.kill()?;
        let begun = Instant::now();
        gateway = start()?;
        gateway.until(setup, &path("log"), || asked(at).is_ok_and(|status| status == 200))?;
        let took = begun.elapsed();
        times.0.push(took.as_millis() as u64);
        if took > SERVES_WITHIN {
            shared.tell(format!("restart {number}: served after {} ms", took.as_millis()));
        }
    }
    sleep(LIFE);
    shared.stop.store(true, Ordering::SeqCst);
    for thread in threads {
        thread.join().map_err(|_| io::Error::other("a client panicked"))?;
    }
    gateway.kill()?;
    drop(serving);
    let wrong = std::mem::take(&mut *shared.wrong.lock().unwrap_or_else(PoisonError::into_inner));
    let (acknowledged, served) = (&shared.acknowledged, &shared.served);
    let text = format!(
        "{} restarts after SIGKILL, served again after {times}; {} changes acknowledged meanwhile, {} requests of {ASKING} clients served",
        amount.count,
        acknowledged.load(Ordering::SeqCst),
        served.load(Ordering::SeqCst),
    );
    Verdict::of(text, wrong)
}

fn clients(shared: &Arc<Shared>) -> Vec<JoinHandle<()>> {
    let registrants = (0..REGISTRANTS).map(|number| {
        let shared = Arc::clone(shared);
        spawn(move || register(number, &shared))
    });
    let registrants: Vec<_> = registrants.collect();
    let asking = (0..ASKING).map(|_| {
        let shared = Arc::clone(shared);
        spawn(move || {
            while shared.goes_on() {
                // While nobody is there, it is tried again.
                let _ = keep_asking(&shared);
                sleep(AGAIN);
            }
        })
    });
    registrants.into_iter().chain(asking).collect()
}

/// A gateway that is killed. No other program is started by threads that hold locks: only the standard library forks here.
struct Gateway(Child);

impl Gateway {
    fn start(
        setup: &Setup<'_>,
        file: &Path,
        socket: &Path,
        state: &Path,
        log: &Path,
    ) -> io::Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(&setup.binary);
        command.args(["run", "--io", setup.io, "-c"]).arg(file).arg("--state").arg(state);
        command.arg("--admin").arg(format!("unix:{}", socket.display()));
        let command = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Self(command.spawn()?))
    }

    /// Waits for a condition; an error, with what it said, if it ends or takes too long.
    fn until(
        &mut self,
        setup: &Setup<'_>,
        log: &Path,
        condition: impl Fn() -> bool,
    ) -> io::Result<()> {
        let begun = Instant::now();
        while !condition() {
            setup.stop.check()?;
            let ended = self.0.try_wait()?;
            if ended.is_some() || begun.elapsed() > PATIENCE {
                let text = std::fs::read_to_string(log).unwrap_or_default();
                let lines: Vec<_> = text.lines().collect();
                let last = lines[lines.len().saturating_sub(SHOWN)..].join("\n  ");
                let why =
                    format!("the gateway does not serve ({ended:?}); it said last:\n  {last}");
                return Err(io::Error::other(why));
            }
            sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn kill(&mut self) -> io::Result<()> {
        self.0.kill()?;
        self.0.wait().map(drop)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.kill();
    }
}

/// One request on a connection of its own; its status.
fn asked(at: SocketAddr) -> io::Result<u16> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    status_of(&answer).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Asks on one connection until it ends.
fn keep_asking(shared: &Shared) -> io::Result<()> {
    let mut stream = TcpStream::connect(shared.at)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answer = [0; 4096];
    while shared.goes_on() {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")?;
        // Answers are short, and come in one piece.
        let read = stream.read(&mut answer)?;
        match status_of(&answer[..read]) {
            Some(200) => shared.served.fetch_add(1, Ordering::Relaxed),
            Some(other) => {
                shared.tell(format!("a request got {other}"));
                return Ok(());
            }
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        };
    }
    Ok(())
}

/// What may be known of an instance: its weight, where it is there.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Known {
    is: Option<u64>,
    /// The gateway was killed before it answered: then it may be this.
    or: Option<u64>,
}

/// Registers and deregisters instances of its own, and looks before each whether it is as it was answered.
fn register(number: u64, shared: &Shared) {
    let mut known = [Known { is: None, or: None }; OWN];
    let mut turn = 0;
    while shared.goes_on() {
        turn += 1;
        match once(number, turn, &mut known[turn as usize % OWN], shared) {
            Ok(()) => {
                shared.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => sleep(AGAIN),
        }
    }
}

fn once(number: u64, turn: u64, known: &mut Known, shared: &Shared) -> io::Result<()> {
    let own = turn % OWN as u64;
    let target = format!("/v1/services/s/instances/r{number}-{own}");
    let said = shared.admin.get(&target)?;
    let found = match said.status {
        200 => said.body["weight"].as_u64(),
        404 => None,
        other => {
            shared.tell(format!("{target}: {other}: {}", said.body));
            None
        }
    };
    if found != known.is && found != known.or {
        let (is, or) = (known.is, known.or);
        shared.tell(format!("{target}: {is:?} or {or:?} was answered, and {found:?} is so"));
    }
    let wanted = (!turn.is_multiple_of(3)).then_some(1 + turn % 60_000);
    *known = Known { is: found, or: wanted };
    let said = match wanted {
        Some(weight) => {
            // Nobody is there, and nobody is sent there.
            let address = format!("127.0.0.9:{}", 1 + number * OWN as u64 + own);
            let body =
                json!({ "address": address, "ttl": "24h", "weight": weight, "status": "starting" });
            shared.admin.put(&target, &body)?
        }
        None => shared.admin.delete(&target)?,
    };
    match said.status {
        200 | 201 if said.body["durable"] == true => {}
        404 if wanted.is_none() && found.is_none() => {}
        other => shared.tell(format!("{target}: {other}: {}", said.body)),
    }
    *known = Known { is: wanted, or: wanted };
    Ok(())
}
