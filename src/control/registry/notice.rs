//! What the registry tells its operators as it happens: a line each, for a log.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;

use crate::registry::health::Turn;

/// Something that an operator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An instance serves otherwise than before.
    Turned {
        /// Its service.
        service: Arc<str>,
        /// Where it is.
        address: Address,
        /// What happened.
        turn: Turn,
    },
    /// A lease is over, and its instance gone.
    Expired {
        /// Its service.
        service: Arc<str>,
        /// Where it was.
        address: Address,
    },
    /// So many of a service's leases are about to end at once that those who answer are kept.
    Protects {
        /// The service.
        service: Arc<str>,
        /// How many are about to vanish, or have.
        vanish: usize,
        /// Of so many.
        leased: usize,
    },
    /// That is over.
    ProtectsNoMore(Arc<str>),
    /// The budget of probes is too small: each comes later, by this factor in thousandths.
    Stretched(u64),
    /// It is enough again.
    StretchedNoMore,
    /// Probes wait for so many others that are on their way.
    HeldBack(usize),
    /// A consumer was changed.
    Consumer {
        /// Its name.
        name: String,
        /// What happened to it.
        what: &'static str,
    },
    /// There was more to be told than these.
    More(usize),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Turned { service, address, turn } => {
                write!(f, "service {service:?}: instance {address} {}", Said(turn))
            }
            Self::Expired { service, address } => {
                write!(f, "service {service:?}: instance {address} is gone: its lease is over")
            }
            Self::Protects { service, vanish, leased } => write!(
                f,
                "service {service:?} protects itself: {vanish} of {leased} leases are over or not renewed; instances that answer are kept"
            ),
            Self::ProtectsNoMore(service) => {
                write!(f, "service {service:?} protects itself no more")
            }
            Self::Stretched(by) => write!(
                f,
                "health checks ask for more than {} probes a second: each comes later, {}.{:02} times its interval",
                limits::PROBES_PER_SECOND,
                by / 1_000,
                by % 1_000 / 10
            ),
            Self::StretchedNoMore => f.write_str("health checks are at their intervals again"),
            Self::HeldBack(count) => write!(
                f,
                "health checks come later than they should: {count} others wait for an answer, which leaves no place"
            ),
            Self::Consumer { name, what } => write!(f, "consumer {name:?} {what}"),
            Self::More(count) => write!(f, "{count} more changes of instances or consumers"),
        }
    }
}

struct Said<'a>(&'a Turn);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |time: &Duration| time.as_millis().div_ceil(1_000);
        match self.0 {
            Turn::Up | Turn::Begins => f.write_str("is up: its probes pass"),
            Turn::Waits(why) => {
                write!(f, "gets no requests until a probe of it passes: {why}")
            }
            Turn::Down(why) => write!(f, "is down: {why}"),
            Turn::Ejected(time) => {
                write!(f, "is set aside for {} s: live requests to it fail", seconds(time))
            }
            Turn::Readmitted => f.write_str("gets requests again"),
            Turn::Fails => f.write_str("fails a live request"),
        }
    }
}
