//! Quotas: how much of a day or a month, counted across restarts.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

use crate::policy::period::Calendar;
use crate::snapshot::plan::Per;

/// A limit of tokens in a day or a month of a time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaPlan {
    /// Its name: routes that name the same one share its counts, and they go on where a restart or a reload finds them.
    pub name: String,
    /// So many tokens in each period.
    pub limit: NonZeroU64,
    /// Which periods those are.
    pub calendar: Calendar,
    /// What has a count of its own; with nothing, all requests share one. Each stands once.
    pub per: Vec<QuotaPer>,
    /// For consumers of these groups, other limits: the first that a consumer is in. Only where each consumer has a count of its own.
    pub groups: Vec<(String, NonZeroU64)>,
    /// What a request costs: at most any of the limits.
    pub cost: NonZeroU32,
    /// Whether it only counts what it would refuse.
    pub dry_run: bool,
}

/// What has a count of its own. Nothing that clients choose: each count is kept for its whole period, and strangers would fill the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QuotaPer {
    /// Each consumer.
    Consumer,
    /// Each route, where several share the quota.
    Route,
    /// Each service.
    Service,
}

/// What is wrong with a quota.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuotaFault {
    /// Groups without counts of consumers.
    #[error(
        "`groups` needs `per = \"consumer\"`: consumers of several groups would share one count"
    )]
    GroupsWithoutConsumer,
    /// A request that is never admitted.
    #[error("`cost` {cost} is above the limit {limit}: no request would ever be let in")]
    CostAboveLimit {
        /// What a request costs.
        cost: u64,
        /// The limit, of a group perhaps.
        limit: u64,
    },
}

impl QuotaPer {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Route => "route",
            Self::Service => "service",
        }
    }
}

impl From<QuotaPer> for Per {
    fn from(per: QuotaPer) -> Self {
        match per {
            QuotaPer::Consumer => Self::Consumer,
            QuotaPer::Route => Self::Route,
            QuotaPer::Service => Self::Service,
        }
    }
}

impl fmt::Display for QuotaPer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl QuotaPlan {
    /// How much of it there is, where there is so much, as it is said: `1000 a month of Europe/Berlin`.
    pub fn written(&self, limit: u64) -> String {
        format!("{limit} a {} of {}", self.calendar.every().name(), self.calendar.zone())
    }

    /// A quota with one count for all, a request costing one.
    pub fn named(name: &str, limit: NonZeroU64, calendar: Calendar) -> Self {
        Self {
            name: name.to_owned(),
            limit,
            calendar,
            per: Vec::new(),
            groups: Vec::new(),
            cost: NonZeroU32::MIN,
            dry_run: false,
        }
    }

    /// Whether it can be decided only once it is known who calls.
    pub fn needs_identity(&self) -> bool {
        self.per.contains(&QuotaPer::Consumer)
    }

    /// What is wrong with it.
    pub fn fault(&self) -> Option<QuotaFault> {
        if !self.groups.is_empty() && !self.needs_identity() {
            return Some(QuotaFault::GroupsWithoutConsumer);
        }
        let least = self.groups.iter().map(|(_, limit)| *limit).fold(self.limit, Ord::min).get();
        let cost = u64::from(self.cost.get());
        (cost > least).then_some(QuotaFault::CostAboveLimit { cost, limit: least })
    }
}
