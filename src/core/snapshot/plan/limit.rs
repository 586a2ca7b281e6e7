//! Rates: how many requests, of whom, in which time.

use std::fmt;
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
    /// The bits of an address of IPv4, and of one of IPv6, that are compared where nothing else is said.
    pub const ADDRESS_BITS: (u8, u8) = (32, 64);

    /// Whether clients choose how many of these there are: then their buckets lie where a full table harms nobody else.
    pub fn is_of_strangers(&self) -> bool {
        matches!(self, Self::Address { .. } | Self::Header(_))
    }
}

/// The time of a rate as it is written: `s`, `15min`, `day`; in ms where it is no whole second.
pub fn written(window: Duration) -> String {
    let seconds = window.as_secs();
    let units = [("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let whole = window.subsec_nanos() == 0 && seconds > 0;
    match units.into_iter().find(|(_, unit)| whole && seconds.is_multiple_of(*unit)) {
        Some((name, unit)) if unit == seconds => name.to_owned(),
        Some((name, unit)) => format!("{}{name}", seconds / unit),
        None => format!("{}ms", window.as_millis()),
    }
}

impl fmt::Display for RateTerms {
    /// As it is written: `100/s`, `10/min, burst 2`, `20/15min`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, window, burst } = self;
        write!(f, "{count}/{}", written(*window))?;
        if burst == count { Ok(()) } else { write!(f, ", burst {burst}") }
    }
}

impl fmt::Display for Per {
    /// As it is written: `consumer`, `address/24/64`, `header:x-tenant`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Consumer => f.write_str("consumer"),
            Self::Address { v4: 32, v6: 64 } => f.write_str("address"),
            Self::Address { v4, v6: 64 } => write!(f, "address/{v4}"),
            Self::Address { v4, v6 } => write!(f, "address/{v4}/{v6}"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Route => f.write_str("route"),
            Self::Service => f.write_str("service"),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Worker => "worker",
        })
    }
}

impl fmt::Display for Cost {
    /// `5`, `1, then what x-cost of the answer says`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(tokens) => tokens.fmt(f),
            Self::Answer(field) => write!(f, "1, then what {field} of the answer says"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_they_are_written() {
        let terms = |count, seconds, burst| {
            let number = |number| NonZeroU64::new(number).unwrap();
            let window = Duration::from_secs(seconds);
            RateTerms { count: number(count), window, burst: number(burst) }.to_string()
        };
        assert_eq!(terms(100, 1, 100), "100/s");
        assert_eq!(terms(10, 60, 2), "10/min, burst 2");
        assert_eq!(
            [terms(1, 3_600, 1), terms(5, 86_400, 5), terms(1, 2, 1)],
            ["1/h", "5/day", "1/2s"]
        );
        let address = |v4, v6| Per::Address { v4, v6 }.to_string();
        assert_eq!(address(32, 64), "address");
        assert_eq!([address(24, 64), address(24, 128)], ["address/24", "address/24/128"]);
        assert_eq!(Per::Header("x-tenant".into()).to_string(), "header:x-tenant");
    }
}
