//! The lines and the bars of a run of `churn`.

use std::time::Duration;

use crate::churn::changes::Made;
use crate::churn::probe::Seen;
use crate::churn::run::Outcome;
use crate::report::Verdict;
use crate::stats::spread;

/// How much later the worker's ticks may be with changes: p99.9, µs.
pub const LATER_MAX_US: f64 = 500.0;
/// The most CPU of control's threads, seconds a second.
pub const CONTROL_MAX: f64 = 0.5;
/// The same where leases are renewed beside.
pub const CONTROL_RENEWING_MAX: f64 = 0.9;
/// A request begun so long after a publish is routed by it (p99).
pub const ROUTED_MAX: Duration = Duration::from_millis(20);
/// Exchanges that must have been seen.
pub const SEEN_MIN: usize = 500;
/// The share of the changes asked for that must have been made: else there were fewer than the bar says.
pub const MADE_MIN: f64 = 0.98;
/// More CPUs than this, busy with other things than the run, disturb it.
pub const OTHERS_MAX: f64 = 0.1;

/// The same of the worker's own CPU, while it waited for it.
pub const WAITED_MAX: f64 = 0.005;

/// A run without changes and one with them, one after the other.
#[derive(Debug, Clone, Default)]
pub struct Pair {
    /// Without.
    pub quiet: Outcome,
    /// With.
    pub churn: Outcome,
}

/// The line of one run, as it is said while the others go on.
pub fn line(name: &str, outcome: &Outcome) -> String {
    let Outcome { since, latency, .. } = outcome;
    let [p50, p99, p999, most, own] = latency;
    let mut text = format!(
        "{name:<6} ticks {:>5}, late µs p50 {:>4} p99 {:>5} p99.9 {:>5} max {:>5}  control {:.3} worker {:.3} CPUs (others before it {:.4})  \
         {:>6.0} requests/s, µs p50 {p50:.0} p99 {p99:.0} p99.9 {p999:.0} max {most:.0} (own p99 {own:.0}), {} errors, {} connects  \
         {} generations  others {:.2} CPUs",
        since.ticks(),
        since.late(0.5),
        since.late(0.99),
        since.late(0.999),
        since.late(1.0),
        outcome.control(),
        worker(outcome),
        waited(outcome),
        outcome.rate,
        outcome.errors,
        since.connects,
        since.generations,
        outcome.others,
    );
    if outcome.made.asked > 0 {
        let Made { asked, applied, slowest, .. } = outcome.made;
        text += &format!("  {applied} of {asked} changes, slowest {:.1} ms", ms(slowest));
    }
    if outcome.renewed.answered > 0 {
        text += &format!("  {:.0} renewals/s", outcome.renewed.a_second());
    }
    text
}

/// The medians of all pairs, and what the probe saw.
pub fn summary(pairs: &[Pair]) -> String {
    let of = |value: &dyn Fn(&Pair) -> f64| {
        spread(pairs.iter().map(value)).map_or(f64::NAN, |spread| spread.median)
    };
    let late = |outcome: &Outcome, share| outcome.since.late(share) as f64;
    let seen = seen(pairs);
    format!(
        "medians of {} pairs, without and with changes: tick lateness µs p50 {:.0} {:.0}, p99 {:.0} {:.0}, p99.9 {:.0} {:.0}; \
         requests µs p50 {:.0} {:.0}, p99 {:.0} {:.0}, p99.9 {:.0} {:.0}; control {:.3} {:.3} CPUs; worker {:.3} {:.3} CPUs\n\
         {} exchanges: public after p50 {:.2} p99 {:.2} max {:.2} ms, then routed by from p50 {:.3} p99 {:.3} max {:.3} ms on\n",
        pairs.len(),
        of(&|pair| late(&pair.quiet, 0.5)),
        of(&|pair| late(&pair.churn, 0.5)),
        of(&|pair| late(&pair.quiet, 0.99)),
        of(&|pair| late(&pair.churn, 0.99)),
        of(&|pair| late(&pair.quiet, 0.999)),
        of(&|pair| late(&pair.churn, 0.999)),
        of(&|pair| pair.quiet.latency[0]),
        of(&|pair| pair.churn.latency[0]),
        of(&|pair| pair.quiet.latency[1]),
        of(&|pair| pair.churn.latency[1]),
        of(&|pair| pair.quiet.latency[2]),
        of(&|pair| pair.churn.latency[2]),
        of(&|pair| pair.quiet.control()),
        of(&|pair| pair.churn.control()),
        of(&|pair| worker(&pair.quiet)),
        of(&|pair| worker(&pair.churn)),
        seen.len(),
        ms(share(&seen, 0.5, |seen| seen.public)),
        ms(share(&seen, 0.99, |seen| seen.public)),
        ms(share(&seen, 1.0, |seen| seen.public)),
        ms(share(&seen, 0.5, |seen| seen.routed)),
        ms(share(&seen, 0.99, |seen| seen.routed)),
        ms(share(&seen, 1.0, |seen| seen.routed)),
    )
}

/// Whether the bars hold.
pub fn verdicts(pairs: &[Pair], rate: u64, renewals: Option<u64>) -> Vec<Verdict> {
    let control_max = if renewals.is_some() { CONTROL_RENEWING_MAX } else { CONTROL_MAX };
    let mut all = vec![
        lateness(pairs),
        control(pairs, control_max),
        changes(pairs, rate),
        routed(pairs),
        errors(pairs),
    ];
    all.extend(renewals.map(|rate| renewed(pairs, rate)));
    all
}

/// What else the machine was busy with, if that was much.
pub fn disturbance(pairs: &[Pair]) -> Option<String> {
    let runs = pairs.iter().flat_map(|pair| [&pair.quiet, &pair.churn]);
    let most = runs.clone().map(|run| run.others).fold(0.0, f64::max);
    let before = runs.map(waited).fold(0.0, f64::max);
    (most > OTHERS_MAX || before > WAITED_MAX).then(|| {
        format!(
            "NOTE: others had up to {most:.2} CPUs busy meanwhile, up to {before:.4} of the worker's while it was ready: lateness says little"
        )
    })
}

fn lateness(pairs: &[Pair]) -> Verdict {
    let late = |outcome: &Outcome| outcome.since.late(0.999) as f64;
    let more = spread(pairs.iter().map(|pair| late(&pair.churn) - late(&pair.quiet)));
    let ticks =
        pairs.iter().flat_map(|pair| [&pair.quiet, &pair.churn]).all(|run| run.since.ticks() > 0);
    let Some(more) = more.filter(|_| ticks) else { return missing("tick lateness") };
    Verdict {
        passed: more.median <= LATER_MAX_US,
        text: format!(
            "tick lateness p99.9 is {:.0} µs more with changes (bar {LATER_MAX_US:.0}), {:.0} to {:.0} of {} pairs",
            more.median,
            more.min,
            more.max,
            pairs.len()
        ),
    }
}

fn control(pairs: &[Pair], bar: f64) -> Verdict {
    let Some(each) = spread(pairs.iter().map(|pair| pair.churn.control())) else {
        return missing("control");
    };
    Verdict {
        passed: each.median > 0.0 && each.median <= bar,
        text: format!(
            "control's threads took {:.3} s of CPU a second (bar {bar}), {:.3} to {:.3}",
            each.median, each.min, each.max
        ),
    }
}

fn changes(pairs: &[Pair], rate: u64) -> Verdict {
    let made = |pair: &Pair| {
        let made = pair.churn.made;
        // What was asked for was so at the rate, unless it stayed behind.
        made.applied as f64 / made.asked.max(1) as f64
    };
    let Some(share) = spread(pairs.iter().map(made)) else { return missing("changes") };
    let a_second = |pair: &Pair| pair.churn.made.a_second();
    let Some(each) = spread(pairs.iter().map(a_second)) else { return missing("changes") };
    Verdict {
        passed: share.min >= MADE_MIN && each.min >= MADE_MIN * rate as f64,
        text: format!(
            "{:.0} changes a second at least, {:.4} of them made (bar {rate})",
            each.min, share.min
        ),
    }
}

fn renewed(pairs: &[Pair], rate: u64) -> Verdict {
    let a_second = spread(pairs.iter().map(|pair| pair.churn.renewed.a_second()));
    let Some(each) = a_second else { return missing("renewals") };
    let refused: u64 = pairs.iter().map(|pair| pair.churn.renewed.refused).sum();
    Verdict {
        passed: refused == 0 && each.min >= MADE_MIN * rate as f64,
        text: format!("{:.0} renewals a second at least, {refused} refused (bar {rate})", each.min),
    }
}

fn routed(pairs: &[Pair]) -> Verdict {
    let seen = seen(pairs);
    if seen.len() < SEEN_MIN {
        return missing(&format!("routed by: {} of {SEEN_MIN} exchanges", seen.len()));
    }
    let p99 = share(&seen, 0.99, |seen| seen.routed);
    Verdict {
        passed: p99 <= ROUTED_MAX,
        text: format!(
            "requests begun {:.3} ms after a publish are routed by it (p99, bar {:.0}), of {} exchanges",
            ms(p99),
            ms(ROUTED_MAX),
            seen.len()
        ),
    }
}

fn errors(pairs: &[Pair]) -> Verdict {
    let errors: u64 = pairs.iter().map(|pair| pair.quiet.errors + pair.churn.errors).sum();
    Verdict {
        passed: errors == 0 && !pairs.is_empty(),
        text: format!("{errors} failed requests (bar 0)"),
    }
}

fn missing(what: &str) -> Verdict {
    Verdict { passed: false, text: format!("{what}: not measured") }
}

fn seen(pairs: &[Pair]) -> Vec<Seen> {
    pairs.iter().flat_map(|pair| pair.churn.seen.iter().copied()).collect()
}

fn share(seen: &[Seen], share: f64, of: impl Fn(&Seen) -> Duration) -> Duration {
    let mut all: Vec<_> = seen.iter().map(of).collect();
    all.sort_unstable();
    let at = (share * all.len() as f64).ceil() as usize;
    all.get(at.saturating_sub(1)).copied().unwrap_or_default()
}

fn worker(outcome: &Outcome) -> f64 {
    outcome.since.worker.as_secs_f64() / outcome.took.as_secs_f64().max(1e-9)
}

fn waited(outcome: &Outcome) -> f64 {
    outcome.since.waited.as_secs_f64() / outcome.took.as_secs_f64().max(1e-9)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use crate::churn::gateway::Since;

    use super::*;

    fn outcome(late: u64, control_ms: u64) -> Outcome {
        let made = Made {
            asked: 1_000,
            applied: 1_000,
            took: Duration::from_secs(1),
            slowest: Duration::ZERO,
        };
        Outcome {
            since: Since {
                lateness: vec![(late, 1_000)],
                control: Duration::from_millis(control_ms),
                ..Since::default()
            },
            took: Duration::from_secs(1),
            made,
            seen: vec![
                Seen { public: Duration::ZERO, routed: Duration::from_millis(late / 100) };
                250
            ],
            ..Outcome::default()
        }
    }

    fn check(churn: [u64; 3], control_ms: u64, expected: [bool; 5]) {
        let pair = |late| Pair { quiet: outcome(100, 1), churn: outcome(late, control_ms) };
        let pairs: Vec<_> = churn.into_iter().map(pair).collect();
        let passed: Vec<_> =
            verdicts(&pairs, 1_000, None).iter().map(|verdict| verdict.passed).collect();
        assert_eq!(passed, expected, "{churn:?}");
        assert!(summary(&pairs).contains("750 exchanges"));
    }

    #[test]
    fn bars_are_about_medians() {
        check([100, 600, 5_000], 500, [true, true, true, false, true]);
        check([100, 601, 601], 501, [false, false, true, true, true]);
    }

    #[test]
    fn what_was_not_measured_does_not_pass() {
        assert!(verdicts(&[], 1_000, Some(10)).iter().all(|verdict| !verdict.passed));
        let mut pair = Pair { quiet: outcome(100, 1), churn: outcome(100, 1) };
        pair.churn.made.took = Duration::from_millis(1_100);
        pair.churn.errors = 1;
        let passed: Vec<_> =
            verdicts(&[pair], 1_000, None).iter().map(|verdict| verdict.passed).collect();
        assert_eq!(passed, [true, true, false, false, false]);
    }
}
