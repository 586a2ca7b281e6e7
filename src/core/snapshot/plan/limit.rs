//! Rates: how many requests, of whom, in which time.

use std::num::NonZeroU64;
use std::time::Duration;

/// A limit of requests in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RatePlan {
    /// Its name. One that stands under a route is called after it and its place there; routes that name the same one share its buckets.
    pub name: String,
    /// How much.
    pub terms: RateTerms,
    /// What has a bucket of its own; with nothing, all requests share one.
    pub per: Vec<Per>,
    /// Where it holds.
    pub scope: Scope,
    /// Whether it only counts what it would refuse.
    pub dry_run: bool,
    /// What a request costs.
    pub cost: Cost,
    /// For consumers of these groups, other terms: the first that a consumer is in. At most [`limits::GROUPS_OF_RATE`](crate::base::limits).
    pub groups: Vec<(String, RateTerms)>,
}

/// How much a rate allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateTerms {
    /// So many tokens ...
    pub count: NonZeroU64,
    /// ... in each such time.
    pub window: Duration,
    /// The most at once.
    pub burst: NonZeroU64,
}

/// What has a bucket of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Per {
    /// Each consumer.
    Consumer,
    /// Each network of clients: the first so many bits of their addresses. Clients on Unix sockets share one.
    Address {
        /// Of IPv4, 1 to 32.
        v4: u8,
        /// Of IPv6, 1 to 128.
        v6: u8,
    },
    /// Each value of this header field, in lower case; requests without it share one.
    Header(String),
    /// Each route, where several share the limit.
    Route,
    /// Each service.
    Service,
}

/// Where a limit holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scope {
    /// On the host, exactly, however many workers there are.
    #[default]
    Host,
    /// On each worker by itself: as many times as much as there are workers.
    Worker,
}

/// What a request costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cost {
    /// So many tokens.
    Fixed(NonZeroU64),
    /// One before it is forwarded, and afterwards as many more as this field of the answer says, in lower case: the bucket may go into
    /// debt, at most by a burst. The field is not passed on.
    Answer(String),
}

impl RatePlan {
    /// A limit with one bucket for all.
    pub fn named(name: &str, terms: RateTerms) -> Self {
        Self {
            name: name.to_owned(),
            terms,
            per: Vec::new(),
            scope: Scope::Host,
            dry_run: false,
            cost: Cost::Fixed(NonZeroU64::MIN),
            groups: Vec::new(),
        }
    }

    /// Whether it can be decided only once it is known who calls.
    pub fn needs_identity(&self) -> bool {
        self.per.contains(&Per::Consumer) || !self.groups.is_empty()
    }
}

impl Per {
    /// Whether clients choose how many of these there are: then their buckets lie where a full table harms nobody else.
    pub fn is_of_strangers(&self) -> bool {
        matches!(self, Self::Address { .. } | Self::Header(_))
    }
}
