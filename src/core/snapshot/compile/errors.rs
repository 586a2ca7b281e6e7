//! Why a plan or a change cannot be taken.

use crate::base::limits;
use crate::policy::credential::KeyDigest;
use crate::snapshot::plan::{Address, QuotaFault, Source};

/// Why a plan cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// A route whose service does not exist.
    #[error("route {route}: there is no service {service:?}")]
    NoSuchService {
        /// The route's name.
        route: String,
        /// The service it names.
        service: String,
    },
    /// A listener that passes connections to a service that does not exist.
    #[error("listener {listener:?}: there is no service {service:?}")]
    NoSuchTcpService {
        /// The listener's name.
        listener: String,
        /// The service it names.
        service: String,
    },
    /// Two routes with the same name.
    #[error("route {0} stands twice")]
    DuplicateRoute(String),
    /// More routes with the host and path of this one than may be told apart by predicates.
    #[error("{1} routes take the host and path of {0}: at most {most}", most = limits::ROUTES_AT_ONE_PLACE)]
    Crowd(String, usize),
    /// More regular expressions at the place of this route than a request may be held against.
    #[error("{1} regular expressions at the place of {0}: at most {most}", most = limits::REGEXES_AT_ONE_PLACE)]
    Regexes(String, usize),
    /// Two routes that may take the same request, of which neither comes first.
    #[error("routes {0} and {1} may take the same request, and neither comes first")]
    Tie(String, String),
    /// Two services with the same name.
    #[error("service {0:?} stands twice")]
    DuplicateService(String),
    /// Two listeners with the same name.
    #[error("listener {0:?} stands twice")]
    DuplicateListener(String),
    /// Two of something with the same name.
    #[error("{what} {name:?} stands twice")]
    Twice {
        /// What they are.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A route that names what does not exist.
    #[error("route {route}: there is no {what} {name:?}")]
    NoSuch {
        /// The route's name.
        route: String,
        /// What it names.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A route that asks for consumers without finding out who calls.
    #[error("route {route}: {what} needs to know who calls, and the route has no `auth`")]
    NobodyKnown {
        /// The route's name.
        route: String,
        /// What needs it.
        what: String,
    },
    /// A rate and a quota with the same name: both are limits, and limits are asked for by name.
    #[error("{0:?} is a rate and a quota: each limit has a name of its own")]
    RateAndQuota(String),
    /// A quota that cannot be.
    #[error("quota {quota:?}: {fault}")]
    Quota {
        /// Its name.
        quota: String,
        /// Why not.
        fault: QuotaFault,
    },
    /// A key that two consumers have.
    #[error("key {key} is that of {one:?} and of {other:?}")]
    SameKey {
        /// How operators tell it from others.
        key: KeyDigest,
        /// A consumer.
        one: String,
        /// Another.
        other: String,
    },
    /// More of something than there are ids.
    #[error("{count} {what}: at most {most}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// More names of something, in the life of the process, than there are ids.
    #[error(
        "{fresh} new names of {what}, and {known} had one in the life of this process: at most {most}; restart"
    )]
    TooManyNames {
        /// What they are names of.
        what: &'static str,
        /// How many are new.
        fresh: usize,
        /// How many there were.
        known: usize,
        /// How many there may be.
        most: usize,
    },
    /// More instances than there are slots.
    #[error(
        "{fresh} new instances: {available} of {most} slots are free; those removed a moment ago come free soon"
    )]
    NoSlots {
        /// How many are new.
        fresh: usize,
        /// How many slots can be had.
        available: usize,
        /// How many there are.
        most: usize,
    },
}

/// Why a change of membership cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// There is no such service.
    #[error("there is no service {0:?}")]
    NoSuchService(String),
    /// There is no such instance.
    #[error("service {service:?} has no instance {address}")]
    NoSuchInstance {
        /// The service.
        service: String,
        /// The address.
        address: Address,
    },
    /// The file names the instance: only a change of the file removes it.
    #[error(
        "instance {address} of service {service:?} stands in the configuration: remove it there"
    )]
    OfTheFile {
        /// The service.
        service: String,
        /// The address.
        address: Address,
    },
    /// A source of the service brings the instance: it goes when that says so.
    #[error(
        "instance {address} of service {service:?} is brought by one of its sources: remove it there, or drain it"
    )]
    OfASource {
        /// The service.
        service: String,
        /// The address.
        address: Address,
    },
    /// The service does not look there for instances, or no more.
    #[error("service {service:?} does not look for instances at {place}")]
    NoSuchSource {
        /// The service.
        service: String,
        /// The source.
        place: Source,
    },
    /// Nobody can be reached there.
    #[error("{0}: expected the port of an instance, 1 to 65535")]
    NoPort(Address),
    /// All slots are taken.
    #[error("no slot is free for one more instance: at most {}", limits::INSTANCE_SLOTS)]
    NoSlots,
}
