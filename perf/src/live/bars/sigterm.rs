//! Bar: SIGTERM while clients ask, in a closed loop and with pauses.

use std::io;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::world::{Changing, NAMES, Places, TARGETS};
use super::{Amount, Verdict, kept};
use crate::live::age::Stage;
use crate::live::crowd::{Crowd, Group};
use crate::live::figures::Figures;
use crate::live::line::{Line, Setup};
use crate::live::origins::Origins;
use crate::live::place;

/// How long there is load before the signal.
const BEFORE: Duration = Duration::from_millis(300);
/// How long a gateway accepts after it.
const DELAY: Duration = Duration::from_secs(1);
/// The pauses of those that pause.
const THINK: Duration = Duration::from_millis(50);

/// Runs it.
pub fn sigterm(setup: &Setup<'_>, amount: Amount) -> io::Result<Verdict> {
    let (mut figures, mut longest) = (Figures::default(), Duration::ZERO);
    for _ in 0..amount.count {
        let (seen, took) = once(setup)?;
        figures.add(seen);
        longest = longest.max(took);
    }
    let wrong = figures.told().to_vec();
    let text = format!(
        "{} stops, each with exit 0, {} ms at most after SIGTERM ({} ms of them accepting); {figures}",
        amount.count,
        longest.as_millis(),
        DELAY.as_millis(),
    );
    Verdict::of(text, wrong)
}

/// One stop: what the clients saw, and how long it took.
fn once(setup: &Setup<'_>) -> io::Result<(Figures, Duration)> {
    let origins = Origins::listen(&NAMES)?;
    let at = place::free(2)?;
    let places = Places { stays: at[0], comes: at[1], origins: &origins };
    let mut line = Line::start(setup, "sigterm", &places.text(0), DELAY)?;
    let serving = origins.serve()?;
    let stage = Arc::new(Stage::default());
    let pausing = Group { think: THINK, ..kept(at[1], TARGETS) };
    let groups = [kept(at[0], TARGETS), pausing];
    let crowd = Crowd::start(&groups, Arc::new(Changing), Arc::clone(&stage))?;
    sleep(BEFORE);
    let begun = Instant::now();
    stage.over_after(DELAY);
    line.signal(Signal::TERM)?;
    line.wait(setup.stop)?;
    let took = begun.elapsed();
    let figures = crowd.figures()?;
    drop(serving);
    Ok((figures, took))
}
