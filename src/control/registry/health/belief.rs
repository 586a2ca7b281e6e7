//! Why an instance serves, or does not: as text, and as it goes over the wire.
//!
//! ```text
//! lease=late(12s) probe=ok(3/3) traffic=ok -> serving
//! lease=ok(63s)   probe=down(1/2: connection refused) traffic=none -> not serving
//! ```
//!
//! - `lease`: `ok` with what is left; `late` with how long it is over, `protected` where its service protects itself; `none`.
//! - `probe`: `ok` with how many of `fall` may still fail; `down` with how many of `rise` have passed, and what the latest failed of;
//!   `new` and `first` before any has counted; `none` where nobody asks.
//! - `traffic`: `ok`, `failing`, `ejected` with what is left of that, `none` where none was seen.

use std::fmt::{self, Display, Formatter, Write};
use std::time::Duration;

use coregate_core::base::cells::{Mark, VerdictWord};
use coregate_core::base::ids::InstanceSlot;
use serde::{Deserialize, Serialize};

use crate::io::admin::openapi::ToSchema;

use super::Health;
use super::entry::Entry;
use super::probes::{Probing, Standing};
use super::words::Words;
use crate::registry::directory::Status;
use crate::registry::directory::view::LeaseView;
use crate::registry::probe::Finding;

/// The health of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthView {
    /// Whether it is picked, as the host's word says.
    pub serving: bool,
    /// Of the requests that come to it in turn, so many of 65,536; it gets them all otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<u16>,
    /// What its probes show; none: nobody asks.
    pub probe: Option<ProbeView>,
    /// What live requests show.
    pub traffic: TrafficView,
}

/// What probes show of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProbeView {
    /// `new`, `trusted` (before its first), `up` with failures in a row, `down` with passes in a row.
    pub standing: Standing,
    /// Passes in a row that bring it up.
    pub rise: u32,
    /// Failures in a row that take it down.
    pub fall: u32,
    /// The latest: `passed`, `warned`, or why it failed.
    pub last: Option<String>,
    /// How long ago that was, in milliseconds.
    pub last_ago_ms: Option<u64>,
    /// How long it took, in milliseconds.
    pub last_took_ms: Option<u64>,
    /// When it went up and down: the latest last.
    pub transitions: Vec<UpView>,
}

/// A change of what probes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpView {
    /// Whether it went up.
    pub up: bool,
    /// How long ago, in milliseconds.
    pub ago_ms: u64,
}

/// What live requests show of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrafficView {
    /// How long ago one was seen to have succeeded, in milliseconds.
    pub succeeded_ago_ms: Option<u64>,
    /// Whether one failed after that.
    pub fails: bool,
    /// How often it was set aside in a row.
    pub ejections: u32,
    /// For how long it still is, in milliseconds, if it is set aside.
    pub ejected_ms: Option<u64>,
}

impl Health {
    /// The health of the instance that uses a slot.
    pub fn view(
        &self,
        (slot, generation): (InstanceSlot, u16),
        now: Duration,
        words: &Words<'_>,
    ) -> Option<HealthView> {
        let entry = self.entry(slot, generation)?;
        let word = words.load(entry);
        let share = word.map_or(0, VerdictWord::share);
        Some(HealthView {
            serving: word.is_some_and(|word| word.takes_requests(generation)),
            share: (share > 0).then_some(share),
            probe: entry.probing.as_deref().map(|probing| probe(probing, now)),
            traffic: traffic(entry, now, word),
        })
    }
}

fn probe(probing: &Probing, now: Duration) -> ProbeView {
    let last = probing.last.as_ref();
    let said = last.map(|found| match &found.finding {
        Finding::Passed => "passed".to_owned(),
        Finding::Warned => "warned".to_owned(),
        Finding::Failed(why) => why.to_string(),
    });
    let ago = |at: Duration| millis(now.saturating_sub(at));
    let transitions = probing.transitions.iter();
    ProbeView {
        standing: probing.standing,
        rise: probing.check.rise,
        fall: probing.check.fall,
        last: said,
        last_ago_ms: last.map(|found| ago(found.at)),
        last_took_ms: last.map(|found| millis(found.took)),
        transitions: transitions.map(|(at, up)| UpView { up: *up, ago_ms: ago(*at) }).collect(),
    }
}

fn traffic(entry: &Entry, now: Duration, word: Option<VerdictWord>) -> TrafficView {
    let traffic = &entry.traffic;
    let left = traffic.until.map(|until| millis(until.saturating_sub(now)));
    // A worker may have set it aside since the last sample.
    let marked = word.is_some_and(|word| word.has(Mark::Ejected)).then_some(0);
    TrafficView {
        succeeded_ago_ms: traffic.succeeded.map(|at| millis(now.saturating_sub(at))),
        fails: traffic.fails,
        ejections: traffic.ejections,
        ejected_ms: left.or(marked),
    }
}

fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

/// What is believed of an instance and why, in a line. `health`: none, if it is none of its service's instances.
pub fn belief(status: Status, lease: Option<&LeaseView>, health: Option<&HealthView>) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _ = write!(text, "lease={}", Leased(lease));
    if let Some(health) = health {
        let _ = write!(text, " probe={} traffic={}", Probed(health), Tried(health));
    }
    let _ = write!(text, " -> {}", Ends(status, health));
    text
}

struct Leased<'a>(Option<&'a LeaseView>);

impl Display for Leased<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("none"),
            Some(LeaseView { late_ms: None, left_ms, .. }) => write!(f, "ok({}s)", left_ms / 1_000),
            Some(LeaseView { late_ms: Some(late), protected, .. }) => {
                write!(f, "late({}s{})", late / 1_000, if *protected { ", protected" } else { "" })
            }
        }
    }
}

struct Probed<'a>(&'a HealthView);

impl Display for Probed<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(probe) = &self.0.probe else { return f.write_str("none") };
        match probe.standing {
            Standing::New => f.write_str("new")?,
            Standing::Trusted => return f.write_str("first"),
            Standing::Up(failed) => {
                return write!(f, "ok({}/{})", probe.fall.saturating_sub(failed), probe.fall);
            }
            Standing::Down(passed) => write!(f, "down({passed}/{}", probe.rise)?,
        }
        let fails = probe.last.as_deref().filter(|last| !matches!(*last, "passed" | "warned"));
        match (probe.standing, fails) {
            (Standing::New, Some(why)) => write!(f, "({why})"),
            (Standing::New, None) => Ok(()),
            (_, Some(why)) => write!(f, ": {why})"),
            (_, None) => f.write_str(")"),
        }
    }
}

struct Tried<'a>(&'a HealthView);

impl Display for Tried<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.0.traffic {
            TrafficView { ejected_ms: Some(left), .. } => {
                write!(f, "ejected({}s)", left.div_ceil(1_000))
            }
            TrafficView { fails: true, .. } => f.write_str("failing"),
            TrafficView { succeeded_ago_ms: Some(_), .. } => f.write_str("ok"),
            TrafficView { .. } => f.write_str("none"),
        }
    }
}

struct Ends<'a>(Status, Option<&'a HealthView>);

impl Display for Ends<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.0, self.1) {
            (Status::Starting, _) => "starting",
            (Status::Down, _) => "down by its own word",
            (Status::Maintenance, _) => "held back",
            (Status::Draining, _) => "draining",
            (Status::Up, Some(health)) if health.serving && health.share.is_some() => {
                return write!(f, "serving (share {}%)", share_percent(health));
            }
            (Status::Up, Some(health)) if health.serving => "serving",
            (Status::Up, Some(health)) if health.traffic.ejected_ms.is_some() => "set aside",
            (Status::Up, _) => "not serving",
        })
    }
}

/// Rounded up: some is not none.
fn share_percent(health: &HealthView) -> u32 {
    health.share.map_or(100, |share| (u32::from(share) * 100).div_ceil(1 << 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(late_ms: Option<u64>, protected: bool) -> LeaseView {
        LeaseView { ttl_ms: 90_000, left_ms: 63_400, renew_ms: 30_000, late_ms, protected }
    }

    fn health(standing: Standing, last: &str, serving: bool) -> HealthView {
        let probe = ProbeView {
            standing,
            rise: 2,
            fall: 3,
            last: Some(last.to_owned()),
            last_ago_ms: Some(5),
            last_took_ms: Some(1),
            transitions: Vec::new(),
        };
        let traffic =
            TrafficView { succeeded_ago_ms: None, fails: false, ejections: 0, ejected_ms: None };
        HealthView { serving, share: None, probe: Some(probe), traffic }
    }

    #[test]
    fn why() {
        let up = health(Standing::Up(0), "passed", true);
        let mut tried = up.clone();
        tried.traffic.succeeded_ago_ms = Some(100);
        let late = lease(Some(12_300), false);
        let said = belief(Status::Up, Some(&late), Some(&tried));
        assert_eq!(said, "lease=late(12s) probe=ok(3/3) traffic=ok -> serving");
        let down = health(Standing::Down(1), "connection refused", false);
        let said = belief(Status::Up, Some(&lease(None, false)), Some(&down));
        let expected =
            "lease=ok(63s) probe=down(1/2: connection refused) traffic=none -> not serving";
        assert_eq!(said, expected);
        let mut ejected = health(Standing::Up(1), "status 503", false);
        ejected.traffic.ejected_ms = Some(24_001);
        let said = belief(Status::Up, Some(&lease(Some(300_000), true)), Some(&ejected));
        let expected =
            "lease=late(300s, protected) probe=ok(2/3) traffic=ejected(25s) -> set aside";
        assert_eq!(said, expected);
        let mut share = HealthView { probe: None, share: Some(32_768), ..up };
        let said = belief(Status::Up, None, Some(&share));
        assert_eq!(said, "lease=none probe=none traffic=none -> serving (share 50%)");
        share = health(Standing::New, "connection refused", false);
        let said = belief(Status::Up, None, Some(&share));
        let expected = "lease=none probe=new(connection refused) traffic=none -> not serving";
        assert_eq!(said, expected);
        let said = belief(Status::Maintenance, Some(&lease(None, false)), None);
        assert_eq!(said, "lease=ok(63s) -> held back");
    }
}
