//! What a process shows of itself at any time, without asking its server's thread.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::openapi::ToSchema;
use crate::io::moment::Moment;

/// Whether new requests should be sent here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// Not yet: workers are being started.
    Starting,
    /// Yes.
    Ready,
    /// No longer: it was told to stop.
    Draining,
}

impl Readiness {
    /// One word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }
}

/// `GET /v1/status`: what this process is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProcessStatus)]
pub struct Status {
    /// Its process id.
    pub pid: u32,
    /// The version of coregate.
    pub version: String,
    /// The version of the compiler that built it.
    pub rustc: String,
    /// The allocator that is linked.
    pub allocator: String,
    /// The driver that its workers run on, such as `io_uring` or `epoll`.
    pub io: String,
    /// When it started.
    pub started: Moment,
    /// How long ago that was, in seconds, by a clock that nobody sets.
    pub uptime_seconds: f64,
    /// Whether new requests should be sent here.
    pub readiness: Readiness,
    /// How many workers it has.
    pub workers: usize,
    /// Where it listens.
    pub listeners: Vec<ListenerView>,
    /// The generation of the configuration and membership that was published last.
    pub generation: u64,
    /// How reloads went.
    pub reloads: Reloads,
    /// Where registrations are kept across restarts; `null`: nowhere.
    #[serde(default)]
    pub state: Option<StateView>,
}

/// A state directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateView {
    /// Where it is.
    pub directory: String,
    /// Why nothing can be kept there at present; `null`: all is.
    pub fault: Option<String>,
}

/// A listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListenerView {
    /// Its name in the configuration.
    pub name: String,
    /// Where it listens: `ADDRESS:PORT` or `unix:/PATH`.
    pub address: String,
}

/// How reloads went since the process started. The start itself is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reloads {
    /// Those that were applied.
    pub applied: u64,
    /// Those that were refused.
    pub refused: u64,
    /// Whether the last one was applied; true if there was none.
    pub last_applied: bool,
}

/// A worker, as it is now.
#[derive(Debug, Clone)]
pub struct WorkerView {
    /// Its number, from 0.
    pub worker: u16,
    /// The CPU that it is pinned to.
    pub cpu: Option<usize>,
    /// The newest generation that it has acknowledged.
    pub generation: u64,
    /// The share of the last second that it did not sleep, 0 to 1.
    pub busy_ratio: f64,
    /// For how long it has made no progress, if that is longer than the watchdog allows.
    pub stuck: Option<Duration>,
    /// Its plain counters. Names are given once each.
    pub counters: Vec<Count>,
    /// Requests that ended without the upstream's answer, by reason.
    pub rejected: Vec<(&'static str, u64)>,
    /// What came of asking who calls, by result.
    pub authentications: Vec<(&'static str, u64)>,
    /// How late its ticks were.
    pub lateness: Lateness,
}

/// What rates have said of the requests of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionsView {
    /// The route.
    pub route: String,
    /// How often each was said.
    pub decisions: Vec<(&'static str, u64)>,
}

/// The bulkhead of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkheadView {
    /// The service.
    pub service: String,
    /// How many of its requests are in flight, on the host.
    pub in_flight: u64,
    /// How many wait for that.
    pub waiting: u64,
}

impl WorkerView {
    /// The value of a counter; 0 if there is none of that name.
    pub fn count(&self, name: &str) -> u64 {
        self.counters.iter().find(|count| count.name == name).map_or(0, |count| count.value)
    }
}

/// A counter or gauge of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Its name in snake case: `body_bytes_in`.
    pub name: &'static str,
    /// What it counts, a short sentence on one line.
    pub help: &'static str,
    /// Its value.
    pub value: u64,
    /// Whether it goes up only.
    pub kind: Kind,
}

/// What a number does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only goes up while the process runs.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// A histogram of how late ticks were, in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lateness {
    /// Each bucket's upper bound and how many ticks fell into it, and into no lower one. Bounds rise; the last may have
    /// none.
    pub buckets: Vec<(Option<u64>, u64)>,
    /// All latenesses added up.
    pub sum_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl Lateness {
    /// How many ticks there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    /// The lateness that `share` (0 to 1) of the ticks did not exceed: the upper bound of the bucket where that falls, and
    /// never more than the longest. None without ticks.
    pub fn quantile_us(&self, share: f64) -> Option<u64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = ((count as f64 * share).ceil() as u64).clamp(1, count);
        let mut seen = 0;
        for (upper, count) in &self.buckets {
            seen += count;
            if seen >= rank {
                return Some(upper.unwrap_or(self.max_us).min(self.max_us));
            }
        }
        Some(self.max_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_upper_bounds() {
        let mut lateness = Lateness {
            buckets: vec![(Some(100), 50), (Some(200), 49), (Some(400), 0), (None, 1)],
            sum_us: 0,
            max_us: 9_000,
        };
        assert_eq!(lateness.quantile_us(0.5), Some(100));
        assert_eq!(lateness.quantile_us(0.51), Some(200));
        assert_eq!(lateness.quantile_us(0.99), Some(200));
        assert_eq!(lateness.quantile_us(0.999), Some(9_000));
        assert_eq!(lateness.quantile_us(0.0), Some(100));
        lateness.max_us = 60;
        assert_eq!(lateness.quantile_us(0.5), Some(60));
        assert_eq!(Lateness::default().quantile_us(0.5), None);
    }
}

/// What the instances of a service have to do, counted since the process began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Those that are given requests.
    pub serving: u64,
    /// Those that finish what they have.
    pub draining: u64,
    /// Those that a probe has found down.
    pub down: u64,
    /// Those that live requests have set aside.
    pub ejected: u64,
    /// Requests and tunnels that they have now.
    pub in_flight: u64,
    /// Requests that they were given so far.
    pub requests: u64,
}
