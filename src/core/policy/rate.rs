//! Rates: whether a request is within a limit, and what it takes of it.
//!
//! A request draws on one bucket of each limit. Which one is told by [`Facts`]: a key that is a keyed hash of the limit's tag and of
//! what the limit tells requests apart by. The bucket lies in the tables of the host ([`Cells::keys`]), which all workers and
//! processes share, or, for limits of `scope = "worker"`, in one that is the worker's own; where bursts are large, a worker takes tokens of the
//! host's in advance ([leases](super::leases)).
//!
//! Limits stand in the snapshot, a floor below: this module looks down on them, as nothing else in this floor does.
//!
//! # In which order
//!
//! Before it is known who calls, limits that do not need to know are [checked](Buckets::check), which writes nothing. After it all are
//! checked, and if all say yes, all are [spent](Buckets::spend), each with a clock read for it; the first that refuses then refuses the request. What the
//! others have spent is not given back: limits admit at most what they say, never more.

use std::cell::{Cell, OnceCell};
use std::time::Duration;

use super::leases::{Lease, Leases, Slab};
use crate::base::cells::{BucketTable, Cells, Decision, Drawn, KeyTable, OwnKeys, Terms};
use crate::base::limits;
use crate::snapshot::limits::Limit;
use crate::snapshot::plan::{Per, Scope};

mod facts;

pub use facts::Facts;

#[cfg(test)]
mod tests;

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

impl Ruling {
    /// Of [failed authentications](Limit::of_failures): how long whoever failed too often must wait before anybody looks at what it shows;
    /// `None`: it is looked at. So is what comes from an address without a bucket of its own, because the table is full: strangers who
    /// fill that, perhaps for a day, are not to lock out those who have failed at nothing, and a look is all that it costs.
    pub fn throttles(&self) -> Option<Duration> {
        (!self.admitted && !self.shared).then(|| self.wait.unwrap_or(self.reset))
    }
}

/// A worker's way to the buckets of the host, and to its own.
#[derive(Debug)]
pub struct Buckets {
    cells: Cells,
    workers: u64,
    /// Bursts below this are not leased.
    least: u64,
    leases: Leases,
    /// Made when the first limit of `scope = "worker"` is asked.
    own: OnceCell<OwnKeys>,
    /// What the clock last showed: for what is told of a slab, which reads none.
    seen: Cell<u64>,
}

impl Buckets {
    /// Those of this table, for one of so many workers.
    pub fn new(cells: Cells, workers: usize) -> Self {
        let workers = workers.max(1) as u64;
        Self {
            cells,
            workers,
            least: 2 * limits::LEASE_SHARE * workers,
            leases: Leases::default(),
            own: OnceCell::new(),
            seen: Cell::new(0),
        }
    }

    /// Whether a request would be admitted at `now`, in ns of the monotonic clock. Writes nothing that others see.
    pub fn check(&self, limit: &Limit, facts: &Facts<'_>, now: u64) -> Ruling {
        let bucket = Bucket::of(&self.cells, limit, facts);
        self.seen.set(now);
        let Bucket { table, key, terms } = bucket;
        let cost = limit.cost();
        if !self.may_lease(limit, terms) {
            let drawn = self.keys(limit, table).check(key, now, cost, terms);
            return bucket.ruling(drawn, now);
        }
        if let Some(lease) = self.leases.of(key, terms, cost) {
            return bucket.leased(lease, now);
        }
        let kept = Slab::of(terms, cost, self.workers).map_or(terms, |slab| slab.terms);
        bucket.ruling(self.cells.keys(table).check(key, now, cost, kept), now)
    }

    /// Takes what a request costs, all or none. The clock, in ns of the monotonic one, is read for it where the host's bucket, or the worker's
    /// own, is touched.
    #[must_use = "a refusal must be carried out"]
    pub fn spend(&self, limit: &Limit, facts: &Facts<'_>, clock: impl Fn() -> u64) -> Ruling {
        self.spend_of(limit, Bucket::of(&self.cells, limit, facts), clock)
    }

    /// The same of a bucket that is known from a [check](Self::check) of this request: its key is not made again.
    #[must_use = "a refusal must be carried out"]
    pub fn spend_of(&self, limit: &Limit, bucket: Bucket, clock: impl Fn() -> u64) -> Ruling {
        let Bucket { table, key, terms } = bucket;
        let cost = limit.cost();
        let clock = || {
            self.seen.set(clock());
            self.seen.get()
        };
        if !self.may_lease(limit, terms) {
            let drawn = self.keys(limit, table).spend(key, cost, terms, clock);
            return bucket.ruling(drawn, self.seen.get());
        }
        if let Some(lease) = self.leases.take(key, terms, cost) {
            return bucket.leased(lease, self.seen.get());
        }
        let drawn = match Slab::of(terms, cost, self.workers) {
            Some(slab) => self.lease(bucket, slab, cost, clock),
            None => self.cells.keys(table).spend(key, cost, terms, clock),
        };
        bucket.ruling(drawn, self.seen.get())
    }

    /// Takes tokens that a request turned out to cost, at `now` in ns of the monotonic clock: into debt, at most by a burst.
    pub fn owe(&self, limit: &Limit, bucket: Bucket, tokens: u64, now: u64) {
        let Bucket { table, key, terms } = bucket;
        self.keys(limit, table).owe(key, tokens, terms, now);
    }

    /// Takes a slab of the host's bucket, or what the request costs alone where there is no room for a lease or not so much left.
    fn lease(&self, bucket: Bucket, slab: Slab, cost: u64, clock: impl Fn() -> u64) -> Drawn {
        let Bucket { table, key, terms } = bucket;
        let keys = self.cells.keys(table);
        let Some(mut lease) = self.leases.room(key, terms, self.seen.get()) else {
            return keys.spend(key, cost, slab.terms, clock);
        };
        let (mut drawn, taken) = keys.lease(key, (slab.tokens, cost), slab.terms, clock);
        if taken > 0 {
            lease.tokens += taken - cost;
            lease.full_at = drawn.full_at;
            lease.remaining = drawn.decision.remaining();
            self.leases.set(lease);
            drawn.decision = Decision::Admitted { remaining: lease.remaining + lease.tokens };
        }
        drawn
    }

    /// Whether the buckets of a limit may be leased, under these terms.
    #[inline]
    fn may_lease(&self, limit: &Limit, terms: Terms) -> bool {
        terms.burst() >= self.least
            && limit.scope == Scope::Host
            && (!limit.needs_identity || limit.per.contains(&Per::Consumer))
    }

    #[inline]
    fn keys(&self, limit: &Limit, table: BucketTable) -> KeyTable<'_> {
        match limit.scope {
            Scope::Host => self.cells.keys(table),
            Scope::Worker => self.own.get_or_init(OwnKeys::new).keys(table),
        }
    }
}

/// What a limit says of a request at `now`, in ns of the monotonic clock, as the host's table has it: takes and writes nothing. What workers have
/// leased counts as spent. Of limits of `scope = "worker"` only workers know how much is left: they are shown full.
pub fn look(cells: &Cells, limit: &Limit, facts: &Facts<'_>, now: u64) -> Ruling {
    let bucket = Bucket::of(cells, limit, facts);
    let Bucket { table, key, terms } = bucket;
    let drawn = match limit.scope {
        Scope::Host => cells.keys(table).check(key, now, limit.cost(), terms),
        Scope::Worker => {
            let decision = terms.of_full(limit.cost());
            Drawn { decision, full_at: 0, shared: false }
        }
    };
    bucket.ruling(drawn, now)
}

/// Fills a bucket of the host's table; whether it was not full at `now`, in ns of the monotonic clock. One that several share stays as it is.
pub fn reset(cells: &Cells, bucket: Bucket, now: u64) -> bool {
    cells.keys(bucket.table).reset(bucket.key, now)
}

impl Bucket {
    /// The bucket of a request.
    #[inline]
    pub fn of(cells: &Cells, limit: &Limit, facts: &Facts<'_>) -> Self {
        let table = if limit.of_strangers { BucketTable::Strangers } else { BucketTable::Known };
        let mut parts = cells.hasher();
        parts.word(limit.tag);
        for per in &limit.per {
            facts.part(&mut parts, per);
        }
        Self { table, key: parts.key(), terms: limit.terms_for(facts.consumer) }
    }

    #[inline]
    fn ruling(self, drawn: Drawn, now: u64) -> Ruling {
        let (admitted, wait) = match drawn.decision {
            Decision::Admitted { .. } => (true, None),
            Decision::Refused { wait, .. } => (false, wait),
        };
        Ruling {
            bucket: self,
            admitted,
            limit: self.terms.burst(),
            remaining: drawn.decision.remaining(),
            reset: Duration::from_nanos(drawn.full_at.saturating_sub(now)),
            wait,
            shared: drawn.shared,
        }
    }

    /// What a lease says that is enough.
    fn leased(self, lease: Lease, now: u64) -> Ruling {
        let remaining = lease.remaining + lease.tokens;
        let decision = Decision::Admitted { remaining };
        self.ruling(Drawn { decision, full_at: lease.full_at, shared: false }, now)
    }
}
