//! When is a change routed by? A service has one instance, which is exchanged for another that answers otherwise: both in one
//! request, whose answer says that they are public. Then requests are sent, one after the other, until the other answers.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::churn::ask::Client;
use crate::churn::gateway::{PROBE, World};

/// Between two exchanges: out of step with the changes beside them, and with publishes.
const EVERY: Duration = Duration::from_micros(43_700);
/// One that is not routed by after this never will be.
const PATIENCE: Duration = Duration::from_secs(5);

/// An exchange of instances.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// From asking for it to the answer: it is public.
    pub public: Duration,
    /// From that answer to the beginning of the first request that went to the new instance.
    pub routed: Duration,
}

/// A probe at work.
pub struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Vec<Seen>>>,
}

impl Probe {
    /// Begins. `lengths`: of the answers of the two origins.
    pub fn begin(admin: PathBuf, world: World, lengths: [usize; 2]) -> Probe {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = spawn(move || probe(admin, &world, lengths, &stopped));
        Probe { stop, thread }
    }

    /// Ends it.
    pub fn end(self) -> io::Result<Vec<Seen>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| io::Error::other("the probe's thread died"))?
    }
}

fn probe(
    admin: PathBuf,
    world: &World,
    lengths: [usize; 2],
    stop: &AtomicBool,
) -> io::Result<Vec<Seen>> {
    let mut admin = Client::admin(&admin)?;
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, world.listen));
    let mut gateway = Client::gateway(at)?;
    let request = format!("GET / HTTP/1.1\r\nhost: {PROBE}.test\r\n\r\n");
    let change = |action: &str, turn| json!({ "action": action, "service": PROBE, "address": world.probed(turn).to_string() });
    // One of them may be there since the last time.
    let empty = [change("deregister", 0), change("deregister", 1), change("register", 0)];
    admin.post("/v1/registry/changes", &json!({ "changes": empty }))?;
    let (begun, mut turn, mut seen) = (Instant::now(), 0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let due = begun + EVERY * turn as u32;
        sleep(due.saturating_duration_since(Instant::now()));
        let exchange = [change("register", turn), change("deregister", turn + 1)];
        let asked = Instant::now();
        let report = admin.post("/v1/registry/changes", &json!({ "changes": exchange }))?;
        let answered = Instant::now();
        if report["applied"].as_u64() != Some(2) {
            return Err(io::Error::other(format!("the probe's exchange: {report}")));
        }
        let routed = loop {
            let began = answered.elapsed();
            let (status, body) = gateway.ask(request.as_bytes())?;
            match lengths.iter().position(|length| *length == body.len()) {
                Some(which) if status == 200 && which as u64 == turn % 2 => break began,
                Some(_) if status == 200 && began < PATIENCE => {}
                _ => {
                    let text = String::from_utf8_lossy(body);
                    return Err(io::Error::other(format!(
                        "the probe is answered {status}: {text}"
                    )));
                }
            }
        };
        seen.push(Seen { public: answered - asked, routed });
    }
    Ok(seen)
}
