//! Bar: from asking for the end of a key to the first request that every worker refuses, while others ask.
//!
//! Each round makes a key, shows it on connections of both workers until all have taken it, revokes it, and asks on all of
//! them at once, again and again, until each has refused it. The time ends where those requests began that were all refused: how
//! long an answer takes is another question.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::registered::Took;
use super::{Amount, Verdict, kept};
use crate::churn::ask::{Admin, Client};
use crate::live::age::{Stage, Steady};
use crate::live::crowd::Crowd;
use crate::live::line::{Line, Setup};
use crate::live::memory::resident_kib;
use crate::live::origins::Origins;
use crate::live::place;

/// How long it may take, of 99 in a hundred.
const BAR: Duration = Duration::from_millis(50);
/// A key that is refused, or taken, no earlier than this never will be.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections that show the key: enough that each worker has some.
const CALLERS: usize = 16;

/// Runs it.
pub fn revoked(setup: &Setup<'_>, amount: Amount) -> io::Result<Verdict> {
    const NAMES: [&str; 1] = ["load"];
    let origins = Origins::listen(&NAMES)?;
    let at = place::free(1)?[0];
    let text = format!(
        "[runtime]\nworkers = 2\n[listeners.l]\nbind = \"{at}\"\nlimits = {{ requests = 1000000 }}\n\
         [routes]\n\"/*\" = \"load\"\n\"/guarded/*\" = {{ to = \"load\", auth = \"key\" }}\n\
         [services.load]\ninstances = [{:?}]\n",
        origins.address("load"),
    );
    let mut line = Line::start(setup, "revoked", &text, Duration::ZERO)?;
    let serving = origins.serve()?;
    let stage = Arc::new(Stage::default());
    let crowd =
        Crowd::start(&[kept(at, &["/load/"])], Arc::new(Steady(&NAMES)), Arc::clone(&stage))?;
    let mut callers = Callers::new(line.admin.path(), at)?;
    let mut took = Took::default();
    for _ in 0..amount.count {
        setup.stop.check()?;
        took.add(callers.revokes()?);
    }
    let resident = resident_kib(line.pid());
    stage.leave();
    let figures = crowd.figures()?;
    line.signal(Signal::TERM)?;
    line.wait(setup.stop)?;
    drop(serving);

    let mut wrong = figures.told().to_vec();
    if took.sorted().at(0.99) >= BAR {
        wrong.push(format!("{took}, bar {} ms", BAR.as_millis()));
    }
    Verdict::of(
        format!("revoke to refused by all: {took}; {figures}; {resident} KiB resident"),
        wrong,
    )
}

/// Who makes and revokes keys, and who shows them.
struct Callers {
    admin: Admin,
    callers: Vec<Client<TcpStream>>,
}

impl Callers {
    fn new(admin: &Path, at: SocketAddr) -> io::Result<Self> {
        let mut admin = Client::admin(admin)?;
        admin.post("/v1/consumers", &json!({ "name": "mobile" }))?;
        let callers = (0..CALLERS).map(|_| Client::gateway(at)).collect::<io::Result<_>>()?;
        Ok(Self { admin, callers })
    }

    /// A key comes, is shown, and goes.
    fn revokes(&mut self) -> io::Result<Duration> {
        let made = self.admin.post("/v1/consumers/mobile/keys", &json!({}))?;
        let text =
            |name: &str| made.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (key, digest) = (text("key"), text("digest"));
        self.all(&key, true, Instant::now())?;
        let begun = Instant::now();
        let revoke = format!(
            "DELETE /v1/consumers/mobile/keys/{digest} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        );
        self.admin.send(revoke.as_bytes())?;
        // Nobody waits for the answer.
        let took = self.all(&key, false, begun)?;
        match self.admin.receive()?.0 {
            200 => Ok(took),
            other => Err(io::Error::other(format!("{other} to a key that is revoked"))),
        }
    }

    /// Asks on all connections at once until all are let in, or none is; how long after `begun` those requests began. Who has
    /// shown wrong keys too often lately is refused with 429 in the place of 401, and that goes over.
    fn all(&mut self, key: &str, is_let_in: bool, begun: Instant) -> io::Result<Duration> {
        let asks = format!("GET /guarded/ HTTP/1.1\r\nHost: live\r\nx-api-key: {key}\r\n\r\n");
        while begun.elapsed() < PATIENCE {
            let sent = begun.elapsed();
            for caller in &mut self.callers {
                caller.send(asks.as_bytes())?;
            }
            let mut right = 0;
            for caller in &mut self.callers {
                right += usize::from((caller.receive()?.0 == 200) == is_let_in);
            }
            if right == CALLERS {
                return Ok(sent);
            }
        }
        Err(io::Error::other(format!(
            "a key is never {} by all",
            if is_let_in { "taken" } else { "refused" }
        )))
    }
}
