//! Bar: reloads in an even pace, every fifth of a broken file, while clients ask.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{fs, io};

use rustix::process::Signal;
use serde_json::Value;

use super::world::{Changing, NAMES, Places, TARGETS};
use super::{Amount, Verdict, kept};
use crate::live::age::Stage;
use crate::live::crowd::{Crowd, Group};
use crate::live::line::{Line, Setup};
use crate::live::memory::{Flat, resident_kib};
use crate::live::origins::Origins;
use crate::live::place;

/// How much longer than asked all reloads together may take.
const LATE_MAX: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);

/// How the reloads went.
#[derive(Default)]
struct Reloads {
    applied: u64,
    refused: u64,
    by_signal: u64,
    /// Those after which some worker had not taken the new configuration within a second.
    awaited: u64,
    took_ms: Vec<u64>,
    wrong: Vec<String>,
}

/// Runs it.
pub fn reloads(setup: &Setup<'_>, amount: Amount) -> io::Result<Verdict> {
    let origins = Origins::listen(&NAMES)?;
    let at = place::free(2)?;
    let places = Places { stays: at[0], comes: at[1], origins: &origins };
    let texts = |number, age| (places.text(age + 1), places.broken(number, age));
    let mut line = Line::start(setup, "reloads", &places.text(0), Duration::ZERO)?;
    // What comes of these addresses is text from here on.
    let texts: Vec<_> =
        (0..amount.count).map(|number| texts(number / 5, good_before(number))).collect();
    let serving = origins.serve()?;
    let stage = Arc::new(Stage::default());
    let goers = Group { to: at[1], count: 8, comes_and_goes: true, ..kept(at[1], TARGETS) };
    let groups = [kept(at[0], TARGETS), goers];
    let crowd = Crowd::start(&groups, Arc::new(Changing), Arc::clone(&stage))?;
    let (mut done, begun, mut tenth) = (Reloads::default(), Instant::now(), 0);
    for (number, (good, broken)) in (0..).zip(&texts) {
        let due = amount.time.mul_f64(number as f64 / amount.count as f64);
        sleep(due.saturating_sub(begun.elapsed()));
        setup.stop.check()?;
        match is_broken(number) {
            true => drop(done.one(&line, number, broken, false)?),
            false => {
                stage.begin();
                // Else what was there before may be seen until the next one holds.
                if done.one(&line, number, good, true)? {
                    stage.settle();
                }
            }
        }
        if begun.elapsed() > 2 * amount.time {
            return Err(line.failed(&format!("only {} reloads in twice the time", number + 1)));
        }
        if number + 1 == amount.count / 10 {
            tenth = resident_kib(line.pid());
        }
    }
    let took = begun.elapsed();
    let memory = Flat { tenth, end: resident_kib(line.pid()) };
    stage.leave();
    let figures = crowd.figures()?;
    line.signal(Signal::TERM)?;
    line.wait(setup.stop)?;
    drop(serving);

    let mut wrong = done.wrong;
    wrong.extend_from_slice(figures.told());
    if !memory.holds() {
        wrong.push(format!("memory is not flat: {memory}"));
    }
    if took > amount.time + LATE_MAX {
        wrong.push(format!("the reloads took {} ms", took.as_millis()));
    }
    done.took_ms.sort_unstable();
    let at = |share: f64| {
        let last = done.took_ms.len().saturating_sub(1) as f64;
        done.took_ms.get((last * share) as usize).copied().unwrap_or_default()
    };
    let text = format!(
        "{} reloads in {:.1} s ({} applied, {} refused, {} by SIGHUP, {} not with every worker in 1 s; p50 {} ms, max {} ms); {figures}; {memory}",
        done.applied + done.refused,
        took.as_secs_f64(),
        done.applied,
        done.refused,
        done.by_signal,
        done.awaited,
        at(0.5),
        at(1.0),
    );
    Verdict::of(text, wrong)
}

/// Every fifth.
fn is_broken(number: u64) -> bool {
    number % 5 == 4
}

/// Every fiftieth, whole ones and broken ones in turn.
fn by_signal(number: u64) -> bool {
    matches!(number % 100, 0 | 49)
}

/// How many there are.
fn count(list: &Value) -> usize {
    list.as_array().map_or(0, Vec::len)
}

/// How many of the files before this one were whole: the age that runs.
fn good_before(number: u64) -> u64 {
    number - number / 5
}

impl Reloads {
    /// One reload; `good`: it must be applied, else refused. What goes otherwise is noted. Whether every worker has it.
    fn one(&mut self, line: &Line, number: u64, text: &str, good: bool) -> io::Result<bool> {
        fs::write(&line.file, text)?;
        let begun = Instant::now();
        let result = match by_signal(number) {
            true => self.by_signal(line, good)?,
            false => Self::by_question(line, good)?,
        };
        self.took_ms.push(begun.elapsed().as_millis() as u64);
        match result {
            Ok(warnings) if good => {
                self.applied += 1;
                self.awaited += u64::from(warnings > 0);
                return Ok(warnings == 0);
            }
            Ok(_) => self.refused += 1,
            Err(why) => self.wrong.push(format!("reload {number} (good: {good}): {why}")),
        }
        Ok(false)
    }

    /// Gives the number of warnings: the only one that there can be is about workers that are late.
    fn by_question(line: &Line, good: bool) -> io::Result<Result<usize, String>> {
        let said = line.admin.post("/v1/config/reload", None)?;
        let as_expected = match good {
            true => said.status == 200 && said.body["applied"] == true,
            false => said.status == 409 && said.body["applied"] == false,
        };
        Ok(match as_expected {
            true => Ok(count(&said.body["warnings"])),
            false => Err(format!("{} {}", said.status, said.body)),
        })
    }

    fn by_signal(&mut self, line: &Line, good: bool) -> io::Result<Result<usize, String>> {
        let counts = || -> io::Result<[u64; 2]> {
            let said = line.admin.get("/v1/status")?;
            let count = |name: &str| said.body["reloads"][name].as_u64().unwrap_or_default();
            Ok([count("applied"), count("refused")])
        };
        let [applied, refused] = counts()?;
        self.by_signal += 1;
        line.signal(Signal::HUP)?;
        let wanted = match good {
            true => [applied + 1, refused],
            false => [applied, refused + 1],
        };
        let begun = Instant::now();
        let mut now = counts()?;
        while now == [applied, refused] && begun.elapsed() < PATIENCE {
            sleep(Duration::from_millis(1));
            now = counts()?;
        }
        let said = line.admin.get("/v1/config")?;
        Ok(match now == wanted {
            true => Ok(count(&said.body["last"]["warnings"])),
            false => Err(format!("reloads {now:?}, not {wanted:?}")),
        })
    }
}
