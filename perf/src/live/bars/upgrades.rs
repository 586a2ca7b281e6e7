//! Bar: binary upgrades one after the other, while clients ask on connections that they keep, and on new ones.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{fmt, io};

use rustix::process::{Pid, Signal};

use super::world::{Changing, NAMES, Places, TARGETS};
use super::{Amount, Verdict, kept};
use crate::live::age::Stage;
use crate::live::crowd::{Crowd, Group};
use crate::live::line::{Line, Setup};
use crate::live::memory::{Flat, resident_kib};
use crate::live::origins::Origins;
use crate::live::place;

/// How long one upgrade may be refused.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long a process serves before its memory is looked at.
const SETTLE: Duration = Duration::from_millis(500);

/// Times, in ms.
#[derive(Default)]
pub(super) struct Times(pub(super) Vec<u64>);

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let middle = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        write!(f, "p50 {middle} ms, max {} ms", sorted.last().copied().unwrap_or_default())
    }
}

/// Runs it.
pub fn upgrades(setup: &Setup<'_>, amount: Amount) -> io::Result<Verdict> {
    let origins = Origins::listen(&NAMES)?;
    let at = place::free(2)?;
    let places = Places { stays: at[0], comes: at[1], origins: &origins };
    let mut line = Line::start(setup, "upgrades", &places.text(0), Duration::ZERO)?;
    let serving = origins.serve()?;
    let stage = Arc::new(Stage::default());
    let think = Duration::from_millis(5);
    let fresh = Group { count: 8, think, fresh: true, ..kept(at[1], TARGETS) };
    let groups = [kept(at[0], TARGETS), fresh, Group { to: at[0], ..fresh }];
    let crowd = Crowd::start(&groups, Arc::new(Changing), Arc::clone(&stage))?;
    let (mut waited, mut took) = (Times::default(), Times::default());
    let (mut refusals, mut wrong, mut tenth) = (0, Vec::new(), 0);
    for number in 0..amount.count {
        let begun = Instant::now();
        let report = loop {
            setup.stop.check()?;
            line.reap();
            let said = line.admin.post("/v1/upgrade", None)?;
            match said.status {
                200 => break said.body,
                409 if said.body["detail"]
                    .as_str()
                    .is_some_and(|why| why.contains("before this one")) =>
                {
                    refusals += 1;
                }
                _ => return Err(line.failed(&format!("upgrade {number}: {}", said.body))),
            }
            if begun.elapsed() > PATIENCE {
                return Err(line.failed(&format!("upgrade {number}: refused: {}", said.body)));
            }
            sleep(Duration::from_millis(5));
        };
        waited.0.push(begun.elapsed().as_millis() as u64);
        took.0.push(report["took_ms"].as_u64().unwrap_or_default());
        let pid = report["pid"].as_i64().and_then(|pid| Pid::from_raw(pid as i32));
        line.goes_on(pid.ok_or_else(|| io::Error::other(format!("no pid: {report}")))?);
        if report["cells_kept"] != true {
            wrong.push(format!("upgrade {number}: cells were not kept"));
        }
        if number + 1 == amount.count / 10 {
            sleep(SETTLE);
            tenth = resident_kib(line.pid());
        }
    }
    sleep(SETTLE);
    let memory = Flat { tenth, end: resident_kib(line.pid()) };
    stage.leave();
    let figures = crowd.figures()?;
    line.signal(Signal::TERM)?;
    line.wait(setup.stop)?;
    drop(serving);

    wrong.extend_from_slice(figures.told());
    if !memory.holds() {
        wrong.push(format!("memory is not flat: {memory}"));
    }
    let text = format!(
        "{} upgrades, accepted after {waited} ({refusals} refusals meanwhile), {took} each; {} processes ended with 0; \
         {figures}; {memory}",
        amount.count,
        line.ended(),
    );
    Verdict::of(text, wrong)
}
