//! What the probes of one instance have shown: counters of rise and fall, and the changes that came of them.
//!
//! ```text
//!             registers ──▶ New ──────────── passed ────────────┐
//!                            ▲ └─ failed ─┘                      ▼
//!  of the file, discovered,                     ┌──────────▶    Up(failed) ◀─ passed: failed = 0
//!  or known before ──▶ Trusted ── passed ───────┘                │ ▲
//!                            └──── failed ────┐   `fall` failed  ▼ │ `rise` passed
//!                                             └──────────▶    Down(passed) ◀─ failed: passed = 0
//! ```
//!
//! - Who is *New* serves when a probe passes, and not before: the first that does is enough.
//! - Who is *Trusted* serves, and the first probe decides: one failure takes it down, as in HAProxy.
//! - *Warned* counts neither way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::HealthCheck;
use serde::{Deserialize, Serialize};

use crate::io::admin::openapi::ToSchema;

use crate::registry::probe::Finding;

/// How an instance stands by its probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// No probe has passed yet, and until one does it does not serve.
    New,
    /// It serves, and its first probe decides.
    Trusted,
    /// It serves; so many have failed, one after another.
    Up(u32),
    /// It does not; so many have passed, one after another.
    Down(u32),
}

impl Standing {
    /// Whether it serves.
    pub fn serves(self) -> bool {
        matches!(self, Self::Trusted | Self::Up(_))
    }

    /// How it stands after one more finding.
    #[must_use = "what it was stays what it was"]
    pub fn after(self, finding: &Finding, rise: u32, fall: u32) -> Self {
        match (finding, self) {
            (Finding::Warned, standing) => standing,
            (Finding::Passed, Self::Down(passed)) if passed + 1 < rise => Self::Down(passed + 1),
            (Finding::Passed, _) => Self::Up(0),
            (Finding::Failed(_), Self::New) => Self::New,
            (Finding::Failed(_), Self::Up(failed)) if failed + 1 < fall => Self::Up(failed + 1),
            (Finding::Failed(_), _) => Self::Down(0),
        }
    }
}

/// Where an instance is on its way through the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It waits for its next probe.
    Waiting,
    /// One was ordered then, and nothing has come of it.
    OnWay(Duration),
}

/// A finding, as it is kept.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) at: Duration,
    pub(super) took: Duration,
    pub(super) finding: Finding,
}

/// An instance that is probed.
#[derive(Debug)]
pub(super) struct Probing {
    pub(super) check: Arc<HealthCheck>,
    pub(super) standing: Standing,
    pub(super) turn: Turn,
    /// Whether the one on its way was sent to somebody else, who was at the address before.
    pub(super) stale: bool,
    /// Its place in the schedule: its next probe, or when the one on its way is lost.
    pub(super) place: Duration,
    pub(super) last: Option<Found>,
    /// When it began to serve by its probes, or ceased to; the latest last.
    pub(super) transitions: VecDeque<(Duration, bool)>,
}

impl Probing {
    /// One that stands so, and has its place in the schedule.
    pub(super) fn new(check: Arc<HealthCheck>, standing: Standing, place: Duration) -> Self {
        let (turn, transitions) = (Turn::Waiting, VecDeque::new());
        Self { check, standing, turn, stale: false, place, last: None, transitions }
    }

    /// Takes a finding in; whether it serves now otherwise than before.
    pub(super) fn found(&mut self, found: Found) -> bool {
        let (before, at) = (self.standing, found.at);
        self.standing = before.after(&found.finding, self.check.rise, self.check.fall);
        self.last = Some(found);
        if before.serves() == self.standing.serves() {
            return false;
        }
        if self.transitions.len() == limits::TRANSITIONS {
            self.transitions.pop_front();
        }
        self.transitions.push_back((at, self.standing.serves()));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(begins: Standing, findings: &str, expected: Standing) {
        let finding = |letter| match letter {
            '+' => Finding::Passed,
            '-' => Finding::Failed("refused".into()),
            _ => Finding::Warned,
        };
        let ends =
            findings.chars().map(finding).fold(begins, |standing, one| standing.after(&one, 2, 3));
        assert_eq!(ends, expected, "{begins:?} {findings}");
    }

    #[test]
    fn rise_and_fall() {
        use Standing::{Down, New, Trusted, Up};
        check(Trusted, "-", Down(0));
        check(Trusted, "?", Trusted);
        check(Trusted, "+--", Up(2));
        check(Trusted, "+---", Down(0));
        check(Trusted, "+--?-", Down(0));
        check(Trusted, "+--+--", Up(2));
        check(New, "----", New);
        check(New, "--+", Up(0));
        check(Down(0), "+", Down(1));
        check(Down(0), "+-+", Down(1));
        check(Down(0), "+?+", Up(0));
    }
}
