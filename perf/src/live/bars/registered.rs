//! Bar: from asking for a registration to the first request that the instance answers, while others ask.
//!
//! Two services: one takes instances on their word, one probes them first. Each instance goes again at once; from that answer on its
//! service has none, and says so.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Amount, Verdict, kept};
use crate::churn::ask::{Admin, Client};
use crate::live::age::{Stage, Steady};
use crate::live::crowd::Crowd;
use crate::live::line::{Line, Setup};
use crate::live::memory::resident_kib;
use crate::live::origins::Origins;
use crate::live::place;

/// How long it may take, of 99 in a hundred.
const BAR: Duration = Duration::from_millis(100);
/// One that is not asked after this never will be.
const PATIENCE: Duration = Duration::from_secs(10);
const NAMES: [&str; 3] = ["load", "fresh", "probed"];

/// Runs it.
pub fn registered(setup: &Setup<'_>, amount: Amount) -> io::Result<Verdict> {
    let origins = Origins::listen(&NAMES)?;
    let at = place::free(1)?[0];
    let text = format!(
        "[runtime]\nworkers = 2\n[listeners.l]\nbind = \"{at}\"\nlimits = {{ requests = 1000000 }}\n[routes]\n\"/*\" = \"load\"\n\"/fresh/*\" = \"fresh\"\n\"/probed/*\" = \"probed\"\n\
         [services.load]\ninstances = [{:?}]\n[services.fresh]\nregister = true\n\
         [services.probed]\nregister = true\nhealth = \"/healthz\"\n",
        origins.address("load"),
    );
    let mut line = Line::start(setup, "registered", &text, Duration::ZERO)?;
    let addresses = ["fresh", "probed"].map(|name| (name, origins.address(name)));
    let serving = origins.serve()?;
    let stage = Arc::new(Stage::default());
    let crowd =
        Crowd::start(&[kept(at, &["/load/"])], Arc::new(Steady(&NAMES)), Arc::clone(&stage))?;
    let mut took = [Took::default(), Took::default()];
    let mut client = Asks::new(line.admin.path(), at)?;
    for _ in 0..amount.count {
        setup.stop.check()?;
        for ((service, address), took) in addresses.iter().zip(&mut took) {
            took.add(client.registers(service, address)?);
        }
    }
    let resident = resident_kib(line.pid());
    stage.leave();
    let figures = crowd.figures()?;
    line.signal(Signal::TERM)?;
    line.wait(setup.stop)?;
    drop(serving);

    let mut wrong = figures.told().to_vec();
    for ((service, _), took) in addresses.iter().zip(&mut took) {
        if took.sorted().at(0.99) >= BAR {
            wrong.push(format!("{service}: {took}, bar {} ms", BAR.as_millis()));
        }
    }
    let [fresh, probed] = took;
    let text = format!(
        "register to first answer: {fresh}; probed first: {probed}; {figures}; {resident} KiB resident"
    );
    Verdict::of(text, wrong)
}

/// How long each took, in order.
#[derive(Default)]
pub(super) struct Took(Vec<Duration>);

impl Took {
    /// One more.
    pub(super) fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// In order.
    pub(super) fn sorted(&mut self) -> &Self {
        self.0.sort_unstable();
        self
    }

    /// What this share of them took at most; they are in order.
    pub(super) fn at(&self, share: f64) -> Duration {
        let last = self.0.len().saturating_sub(1) as f64;
        self.0.get((last * share).ceil() as usize).copied().unwrap_or(Duration::MAX)
    }
}

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |share| self.at(share).as_secs_f64() * 1e3;
        let count = self.0.len();
        write!(f, "{count}, p50 {:.1} p99 {:.1} max {:.1} ms", ms(0.5), ms(0.99), ms(1.0))
    }
}

/// Who registers, and asks.
struct Asks {
    admin: Admin,
    gateway: Client<TcpStream>,
}

impl Asks {
    fn new(admin: &Path, at: SocketAddr) -> io::Result<Self> {
        Ok(Self { admin: Client::admin(admin)?, gateway: Client::gateway(at)? })
    }

    /// One instance comes, is asked, and goes.
    fn registers(&mut self, service: &str, address: &str) -> io::Result<Duration> {
        let path = format!("/v1/services/{service}/instances/{address}");
        let asks = format!("GET /{service}/ HTTP/1.1\r\nHost: live\r\n\r\n");
        let begun = Instant::now();
        self.expect(
            &format!(
                "PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
            ),
            201,
        )?;
        while self.gateway.ask(asks.as_bytes())?.0 != 200 {
            if begun.elapsed() > PATIENCE {
                return Err(io::Error::other(format!("{address} of {service} is never asked")));
            }
        }
        let took = begun.elapsed();
        self.expect(&format!("DELETE {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"), 200)?;
        match self.gateway.ask(asks.as_bytes())?.0 {
            503 => Ok(took),
            other => Err(io::Error::other(format!("{other} of {service}, which has no instance"))),
        }
    }

    fn expect(&mut self, request: &str, expected: u16) -> io::Result<()> {
        let (status, body) = self.admin.ask(request.as_bytes())?;
        match status == expected {
            true => Ok(()),
            false => {
                let body = String::from_utf8_lossy(body);
                Err(io::Error::other(format!("{status}, not {expected}, to {request:?}: {body}")))
            }
        }
    }
}
