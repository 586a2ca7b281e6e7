//! What a worker knows of who calls, and how much: buckets, keys that were found good, what rates said.

use coregate_core::base::cells::Cells;
use coregate_core::base::counter::Counters;
use coregate_core::base::ids::RouteId;
use coregate_core::base::limits;
use coregate_core::policy::quota::Places;
use coregate_core::policy::rate::Buckets;
use coregate_core::snapshot::limits::Limit;

use crate::worker::notes::Notes;
use crate::worker::verified::Verified;

/// What a worker knows of who calls, and how much.
#[derive(Debug)]
pub struct Accounts {
    /// Its way to the buckets of rates.
    pub buckets: Buckets,
    /// Where what is left of quotas is.
    pub places: Places,
    /// How often an address may fail to say who it is.
    pub failures: Limit,
    /// Keys that it has found good lately.
    pub verified: Verified,
    /// What is noted of requests that are on their way.
    pub notes: Notes,
}

impl Accounts {
    /// Those of one of so many workers that share these words.
    pub fn new(cells: &Cells, workers: usize) -> Self {
        Self {
            buckets: Buckets::new(cells.clone(), workers),
            places: Places::new(cells.clone()),
            failures: Limit::of_failures(),
            verified: Verified::default(),
            notes: Notes::default(),
        }
    }
}

/// What rates say of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It may go on.
    Admitted,
    /// It may not.
    Refused,
    /// It may, though one that only counts would have refused it.
    DryRun,
}

impl Decision {
    /// All of them, each with its token in metrics.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Admitted, "admitted"), (Self::Refused, "refused"), (Self::DryRun, "dry_run")];
}

/// How often each was said, by route. Only routes with rates touch memory here.
#[derive(Debug)]
pub struct Decisions(Counters);

/// Counters of a route: half a cache line.
const STRIDE: usize = 4;

impl Default for Decisions {
    fn default() -> Self {
        Self(Counters::new(limits::ROUTES * STRIDE))
    }
}

impl Decisions {
    /// Counts one. Only the owning worker calls this.
    #[inline]
    pub fn one(&self, route: RouteId, decision: Decision) {
        self.0.one(route.index() * STRIDE + decision as usize);
    }

    /// How often it was said.
    pub fn get(&self, route: RouteId, decision: Decision) -> u64 {
        self.0.get(route.index() * STRIDE + decision as usize)
    }
}
