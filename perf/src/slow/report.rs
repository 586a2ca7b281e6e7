//! The tables and the bars of a run of `slow`.

use std::fmt::Write;

use crate::peers::Kind;
use crate::report::Verdict;
use crate::slow::Counts;
use crate::slow::crowd::Ends;
use crate::slow::phase::{GRACE, Outcome, Phase};
use crate::slow::servers::Purpose;
use crate::stats::spread;

/// The most resident memory that a slow connection may cost, bytes.
pub const BYTES_EACH_MAX: f64 = 5.0 * 1024.0;
/// The most that the 99.9th percentile of polite requests may be, ms.
pub const POLITE_MAX_MS: f64 = 10.0;
/// The same beside HAProxy's.
pub const POLITE_RATIO_MAX: f64 = 2.0;

/// More CPUs than this, busy with other things than the run, disturb it.
pub const OTHERS_MAX: f64 = 0.2;

/// An outcome with where it belongs.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The peer's name.
    pub peer: String,
    /// Which program it is.
    pub kind: Kind,
    /// The phase.
    pub phase: Phase,
    /// What it gave.
    pub outcome: Outcome,
}

/// The line of one sample, as it is said while the run goes on.
pub fn line(sample: &Sample) -> String {
    let Sample { peer, phase, outcome, .. } = sample;
    let polite = &outcome.polite;
    let mut text = format!("{:<5} {peer:<10} ", phase.name);
    // Writing to a string does not fail.
    let _ = match phase.purpose {
        Purpose::Hang => write!(
            text,
            "held {:>5} of {:>5}  RSS {:>6.1} -> {:>6.1} MiB, {:>7.0} bytes each  Pss {:>6.1} -> {:>6.1} MiB, {:>7.0} bytes each",
            outcome.held,
            phase.counts.total(),
            outcome.resident_before as f64 / 1024.0,
            outcome.resident as f64 / 1024.0,
            outcome.resident_each(),
            outcome.proportional_before as f64 / 1024.0,
            outcome.proportional as f64 / 1024.0,
            outcome.proportional_each(),
        ),
        Purpose::Shed => write!(text, "{:>5} to be shed", phase.counts.total()),
    };
    let _ = write!(
        text,
        "  polite ms p50 {:.2} p99 {:.2} p99.9 {:.2} max {:.2} (own p99 {:.2}) errors {} of {}  others {:.2} CPUs",
        polite.p50,
        polite.p99,
        polite.p999,
        polite.max,
        polite.own_p99,
        polite.errors,
        polite.scheduled,
        outcome.others,
    );
    if outcome.failed > 0 {
        let _ = write!(text, "  {} did not come in", outcome.failed);
    }
    for (manner, ends) in &outcome.ends {
        let _ = write!(text, "\n        {:<16} {}", manner.name(), ends_line(ends));
    }
    text
}

/// What the bars say of every build of coregate among the samples. What was not measured fails.
pub fn verdicts(samples: &[Sample], counts: Counts, deadline_secs: u64) -> Vec<Verdict> {
    let mut ours: Vec<&str> = Vec::new();
    for sample in samples.iter().filter(|sample| sample.kind == Kind::Coregate) {
        if !ours.contains(&sample.peer.as_str()) {
            ours.push(&sample.peer);
        }
    }
    if ours.is_empty() {
        return vec![Verdict { passed: false, text: "coregate: not measured".into() }];
    }
    let split = counts.split();
    let mut verdicts = Vec::new();
    for name in ours {
        let own: Vec<&Sample> = samples.iter().filter(|sample| sample.peer == name).collect();
        verdicts.extend(split.iter().map(|(phase, counts)| memory(name, &own, phase, *counts)));
        let last = split.last().map_or("all", |(phase, _)| phase);
        verdicts.push(polite_limit(name, &own, last));
        verdicts.push(polite_ratio(name, &own, samples, last));
        verdicts.push(polite_limit(name, &own, "shed"));
        verdicts.push(shed(name, &own, deadline_secs));
    }
    verdicts
}

/// A warning, where others took part in a way that makes latencies say little.
pub fn disturbance(samples: &[Sample]) -> Option<String> {
    let most = samples.iter().map(|sample| sample.outcome.others).fold(0.0, f64::max);
    (most > OTHERS_MAX).then(|| {
        format!(
            "NOTE: others had up to {most:.2} CPUs busy meanwhile: latencies and times say little"
        )
    })
}

fn memory(name: &str, own: &[&Sample], phase: &str, counts: Counts) -> Verdict {
    let what = format!("{name}, {} slow ({phase}): resident memory", counts.total());
    let held = |sample: &Sample| sample.outcome.held == counts.total();
    let all_held = of(own, phase).all(held);
    let Some(each) = spread(of(own, phase).map(|sample| sample.outcome.resident_each())) else {
        return Verdict { passed: false, text: format!("{what}: not measured") };
    };
    Verdict {
        passed: all_held && each.median <= BYTES_EACH_MAX,
        text: format!(
            "{what} {:.0} bytes each, {:.2} KiB (bar {:.2}){}",
            each.median,
            each.median / 1024.0,
            BYTES_EACH_MAX / 1024.0,
            if all_held { "" } else { ", and not all were held" },
        ),
    }
}

fn polite_limit(name: &str, own: &[&Sample], phase: &str) -> Verdict {
    let what = format!("{name}: polite p99.9 ({phase})");
    let errors: u64 = of(own, phase).map(|sample| sample.outcome.polite.errors).sum();
    let Some(p999) = polite_p999(of(own, phase)) else {
        return Verdict { passed: false, text: format!("{what}: not measured") };
    };
    Verdict {
        passed: p999 < POLITE_MAX_MS && errors == 0,
        text: format!("{what} {p999:.2} ms (bar {POLITE_MAX_MS}), {errors} errors (bar 0)"),
    }
}

fn polite_ratio(name: &str, own: &[&Sample], all: &[Sample], phase: &str) -> Verdict {
    let what = format!("{name}: polite p99.9 ({phase}) beside haproxy's");
    let theirs: Vec<&Sample> = all.iter().filter(|sample| sample.kind == Kind::Haproxy).collect();
    let (Some(p999), Some(other)) = (polite_p999(of(own, phase)), polite_p999(of(&theirs, phase)))
    else {
        return Verdict { passed: false, text: format!("{what}: not measured") };
    };
    Verdict {
        passed: p999 <= other * POLITE_RATIO_MAX,
        text: format!(
            "{what} {p999:.2} of {other:.2} ms, {:.2} (bar {POLITE_RATIO_MAX})",
            p999 / other
        ),
    }
}

fn shed(name: &str, own: &[&Sample], deadline_secs: u64) -> Verdict {
    let latest_allowed = deadline_secs as f64 + GRACE.as_secs_f64();
    let ends = || of(own, "shed").flat_map(|sample| &sample.outcome.ends).map(|(_, ends)| ends);
    let clients: usize = ends().map(|ends| ends.clients).sum();
    let kept: usize = ends().map(|ends| ends.open + ends.failed).sum();
    let latest = ends().filter_map(|ends| ends.latest).max().unwrap_or_default().as_secs_f64();
    let earliest = ends().filter_map(|ends| ends.earliest).min().unwrap_or_default().as_secs_f64();
    Verdict {
        // A connection that is closed before its deadline was not shed for being slow.
        passed: clients > 0
            && kept == 0
            && latest <= latest_allowed
            && earliest >= deadline_secs as f64 - 0.1,
        text: format!(
            "{name}: slow connections shed from {earliest:.2} to {latest:.2} s (bar {latest_allowed:.1}), {kept} of {clients} never (bar 0)"
        ),
    }
}

fn ends_line(ends: &Ends) -> String {
    let seconds = |time: Option<std::time::Duration>| {
        time.map_or("-".into(), |time| format!("{:.2}", time.as_secs_f64()))
    };
    let seen = ends.clients - ends.by_reading - ends.open - ends.failed;
    format!(
        "{:>5} clients: {seen} shed after {} to {} s, {} answered 408, {} let go unseen, {} never shed",
        ends.clients,
        seconds(ends.earliest),
        seconds(ends.latest),
        ends.answered_408,
        ends.by_reading,
        ends.open,
    )
}

fn of<'a>(samples: &'a [&'a Sample], phase: &'a str) -> impl Iterator<Item = &'a Sample> {
    samples.iter().copied().filter(move |sample| sample.phase.name == phase)
}

fn polite_p999<'a>(samples: impl Iterator<Item = &'a Sample>) -> Option<f64> {
    // NaN, of a figure that is missing, is sorted last and passes no comparison.
    spread(samples.map(|sample| sample.outcome.polite.p999)).map(|spread| spread.median)
}

#[cfg(test)]
mod tests;
