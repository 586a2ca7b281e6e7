//! Rates: whether a request is within a limit, and what it takes of it.
//!
//! Looks down on the snapshot, whose [`Limit`]s say how much.

use std::net::IpAddr;
use std::time::Duration;

use crate::base::cells::{BucketHasher, BucketTable, Cells, Decision, Rate, Terms};
use crate::http::head::Head;
use crate::snapshot::consumers::Consumer;
use crate::snapshot::limits::Limit;
use crate::snapshot::plan::Per;

/// What tells whose bucket a request draws on.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'r> {
    /// Who calls, once that is known.
    pub consumer: Option<&'r Consumer>,
    /// Where from; `None`: a Unix socket.
    pub address: Option<IpAddr>,
    /// What was asked.
    pub head: &'r Head,
    /// The name of the route.
    pub route: &'r str,
    /// The name of the service; empty: it has none.
    pub service: &'r str,
}

/// A bucket, and how much it has: told by [`Ruling`], for what is owed afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    table: BucketTable,
    key: u64,
    terms: Terms,
}

/// What a limit says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ruling {
    /// Whose it is.
    pub bucket: Bucket,
    /// Whether there are as many tokens as the request costs.
    pub admitted: bool,
    /// The most tokens that there are at once.
    pub limit: u64,
    /// Whole tokens that are left.
    pub remaining: u64,
    /// How long until the bucket is full.
    pub reset: Duration,
    /// Refused: how long until it would be admitted, if nobody else spends; `None`: never, the cost is above the burst.
    pub wait: Option<Duration>,
    /// Whether the bucket is one that several share because their set of the table is full.
    pub shared: bool,
}

/// A worker's way to the buckets of the host, and to its own.
#[derive(Debug)]
pub struct Buckets {
    cells: Cells,
}

impl Buckets {
    /// Those of this table, for one of so many workers.
    pub fn new(cells: Cells, workers: usize) -> Self {
        let _ = workers;
        Self { cells }
    }

    /// Whether a request would be admitted at `now`, in ns of the monotonic clock. Writes nothing.
    pub fn check(&self, limit: &Limit, facts: &Facts<'_>, now: u64) -> Ruling {
        look(&self.cells, limit, facts, now)
    }

    /// Takes what a request costs, all or none. The clock, in ns of the monotonic one, is read for it.
    #[must_use = "a refusal must be carried out"]
    pub fn spend(&self, limit: &Limit, facts: &Facts<'_>, clock: impl Fn() -> u64) -> Ruling {
        let bucket = Bucket::of(&self.cells, limit, facts);
        let now = clock();
        let rate = bucket.rate(&self.cells);
        bucket.ruling(rate.spend(now, limit.cost(), bucket.terms), rate.full_at(), now)
    }

    /// Takes tokens that a request turned out to cost, at `now` in ns of the monotonic clock: into debt, at most by a burst.
    pub fn owe(&self, limit: &Limit, bucket: Bucket, tokens: u64, now: u64) {
        let _ = limit;
        let deep = Terms::new(bucket.terms.period(), bucket.terms.burst().saturating_mul(2));
        let _ = bucket.rate(&self.cells).spend(now, tokens, deep);
    }
}

/// What a limit says of a request at `now`, in ns of the monotonic clock, as the host's table has it: takes and writes nothing.
pub fn look(cells: &Cells, limit: &Limit, facts: &Facts<'_>, now: u64) -> Ruling {
    let bucket = Bucket::of(cells, limit, facts);
    let rate = bucket.rate(cells);
    bucket.ruling(rate.check(now, limit.cost(), bucket.terms), rate.full_at(), now)
}

/// Fills a bucket of the host's table; whether it was not full at `now`, in ns of the monotonic clock.
pub fn reset(cells: &Cells, bucket: Bucket, now: u64) -> bool {
    bucket.rate(cells).settle(now, Terms::new(bucket.terms.period(), 0))
}

impl Bucket {
    /// The bucket of a request.
    pub fn of(cells: &Cells, limit: &Limit, facts: &Facts<'_>) -> Self {
        let table = if limit.of_strangers { BucketTable::Strangers } else { BucketTable::Known };
        let mut parts = cells.hasher();
        parts.number(limit.tag);
        for per in &limit.per {
            part(&mut parts, per, facts);
        }
        Self { table, key: parts.key(), terms: limit.terms_for(facts.consumer) }
    }

    fn rate(self, cells: &Cells) -> Rate<'_> {
        cells.bucket(self.table, self.key)
    }

    fn ruling(self, decision: Decision, full_at: u64, now: u64) -> Ruling {
        let (admitted, remaining, wait) = match decision {
            Decision::Admitted { remaining } => (true, remaining, None),
            Decision::Refused { wait, remaining } => (false, remaining, wait),
        };
        Ruling {
            bucket: self,
            admitted,
            limit: self.terms.burst(),
            remaining,
            reset: Duration::from_nanos(full_at.saturating_sub(now)),
            wait,
            shared: false,
        }
    }
}

/// Adds what tells a bucket from others. Each part begins with what it is: a consumer is no route of the same name.
fn part(parts: &mut BucketHasher, per: &Per, facts: &Facts<'_>) {
    match per {
        Per::Consumer => match facts.consumer {
            Some(consumer) => {
                parts.number(1);
                parts.bytes(consumer.name.as_bytes());
            }
            None => parts.number(0),
        },
        Per::Address { v4, v6 } => match facts.address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => {
                parts.number(3);
                parts.number(u64::from(first_bits(address.to_bits().into(), 32, *v4) as u32));
            }
            Some(IpAddr::V6(address)) => {
                let network = first_bits(address.to_bits(), 128, *v6);
                parts.number(4);
                parts.number((network >> 64) as u64);
                parts.number(network as u64);
            }
            None => parts.number(2),
        },
        Per::Header(name) => match facts.head.value_named(name) {
            Some(value) => {
                parts.number(6);
                parts.bytes(value);
            }
            None => parts.number(5),
        },
        Per::Route => {
            parts.number(7);
            parts.bytes(facts.route.as_bytes());
        }
        Per::Service => {
            parts.number(8);
            parts.bytes(facts.service.as_bytes());
        }
    }
}

/// The first `prefix` of so many bits, the others being zero.
fn first_bits(address: u128, bits: u8, prefix: u8) -> u128 {
    let rest = bits.saturating_sub(prefix);
    if rest >= 128 { 0 } else { address >> rest << rest }
}
