//! Services, as a configuration asks for them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::base::limits;
use crate::proxy_protocol::ProxyVersion;
use crate::snapshot::plan::{Address, BulkheadPlan};

/// A service: a named group of instances and the terms they are spoken to on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePlan {
    /// Its name.
    pub name: String,
    /// Its instances; with none, its requests are answered with 503.
    pub instances: Vec<Address>,
    /// Its timeouts.
    pub timeout: ServiceTimeouts,
    /// What each worker's pool of connections to it may keep.
    pub pool: PoolTerms,
    /// The version of the PROXY protocol that its instances are told with who the client is, if any. A connection that
    /// began with such a header speaks for one client: it must not carry another's requests.
    pub proxy_protocol: Option<ProxyVersion>,
    /// Who may register instances of it.
    pub register: Admission,
    /// The weights of those of `instances` whose weight is not 1: 1 to [`limits::INSTANCE_WEIGHT`](limits::INSTANCE_WEIGHT).
    pub weights: BTreeMap<Address, u32>,
    /// Where else its instances are looked up.
    pub sources: Vec<Source>,
    /// How its instances are probed, if they are.
    pub health: Option<HealthCheck>,
    /// When live requests set an instance aside.
    pub outlier: OutlierTerms,
    /// How long an instance that has recovered takes to get its full share; zero: at once.
    pub slow_start: Duration,
    /// Attempts of a request, the first included: 1 to [`limits::ATTEMPTS_MAX`].
    pub attempts: u32,
    /// How many of its requests may be in flight, if that is limited.
    pub bulkhead: Option<BulkheadPlan>,
}

impl ServicePlan {
    /// A service without instances, on default terms.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            instances: Vec::new(),
            timeout: ServiceTimeouts::default(),
            pool: PoolTerms::default(),
            proxy_protocol: None,
            register: Admission::Nobody,
            weights: BTreeMap::new(),
            sources: Vec::new(),
            health: None,
            outlier: OutlierTerms::default(),
            slow_start: limits::SLOW_START,
            attempts: limits::ATTEMPTS,
            bulkhead: None,
        }
    }
}

/// Where instances are looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// All A and AAAA records of a name, with this port: `dns:users.internal:9000`.
    Dns {
        /// The name, without a dot at its end.
        host: String,
        /// The port, which is not 0.
        port: u16,
    },
    /// The SRV records of a name, and the addresses of their targets: `srv:_http._tcp.users.internal`.
    Srv {
        /// The name, without a dot at its end.
        name: String,
    },
    /// A file in the form of Prometheus' `file_sd`, by its absolute path: `file_sd:/etc/coregate/users.json`.
    File(PathBuf),
}

impl fmt::Display for Source {
    /// As a configuration has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns { host, port } => write!(f, "dns:{host}:{port}"),
            Self::Srv { name } => write!(f, "srv:{name}"),
            Self::File(path) => write!(f, "file_sd:{}", path.display()),
        }
    }
}

/// How names of instances are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsTerms {
    /// The name servers, each with a port that is not 0, at most [`limits::DNS_SERVERS`]. With none, those of `/etc/resolv.conf` are
    /// asked, and its search domains hold; they are read anew when the file changes.
    pub servers: Vec<SocketAddr>,
    /// How long one answer is waited for, above 0; each is asked for twice.
    pub timeout: Duration,
    /// The shortest time between two look-ups, whatever an answer's TTL says; 1 s or more.
    pub min_ttl: Duration,
    /// The longest; `min_ttl` or more.
    pub max_ttl: Duration,
}

impl Default for DnsTerms {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: limits::DNS_TIMEOUT,
            min_ttl: limits::DNS_TTL_MIN,
            max_ttl: limits::DNS_TTL_MAX,
        }
    }
}

/// How an instance is probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked.
    pub probe: Probe,
    /// Another port than that of the instance; only for TCP addresses.
    pub port: Option<u16>,
    /// From one probe to the next, give or take a tenth.
    pub every: Duration,
    /// What a probe may take; at most `every`.
    pub timeout: Duration,
    /// So many probes must pass, one after another, until one that was down is up; at least 1.
    pub rise: u32,
    /// So many must fail until one that was up is down; at least 1.
    pub fall: u32,
}

impl HealthCheck {
    /// A probe at the default pace.
    pub fn of(probe: Probe) -> Self {
        Self {
            probe,
            port: None,
            every: limits::PROBE_EVERY,
            timeout: limits::PROBE_TIMEOUT,
            rise: limits::PROBE_RISE,
            fall: limits::PROBE_FALL,
        }
    }
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// Whether it takes a connection.
    Tcp,
    /// Whether it answers a request as expected.
    Http(Box<HttpProbe>),
}

/// A request as a probe, over HTTP/1.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpProbe {
    /// Its method.
    pub method: String,
    /// Its target: a path, perhaps with a query.
    pub target: String,
    /// Its `Host`; the instance's address by default.
    pub host: Option<String>,
    /// Further fields: names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The statuses that pass. 429 warns where it is not among them: it neither passes nor fails.
    pub statuses: Vec<RangeInclusive<u16>>,
    /// What the first [`limits::PROBE_BODY_BYTES`](limits::PROBE_BODY_BYTES) bytes of the answer's body must hold, if anything.
    pub body: Option<String>,
    /// Whether the answer must name the instance's id in `x-instance-id`: who has taken over an address does not pass for who
    /// was there.
    pub instance_id: bool,
}

impl HttpProbe {
    /// `GET` of a target, which must be answered with a status from 200 to 299.
    pub fn get(target: &str) -> Self {
        Self {
            method: "GET".to_owned(),
            target: target.to_owned(),
            host: None,
            headers: Vec::new(),
            statuses: vec![200..=299],
            body: None,
            instance_id: false,
        }
    }
}

/// When live requests set an instance aside. A failure is a connect, a timeout or an answer that went wrong, or one with status 502,
/// 503 or 504.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutlierTerms {
    /// So many failures in a row; 0: they never do.
    pub failures: u32,
    /// This share of failures, if that is asked for.
    pub rate: Option<OutlierRate>,
    /// How long it is set aside, times how often it was in a row.
    pub ejected: Duration,
    /// How long at most.
    pub ejected_max: Duration,
    /// Of the instances of its service, so many percent are set aside at most, rounded down; one alone is never.
    pub most_percent: u8,
}

impl Default for OutlierTerms {
    fn default() -> Self {
        Self {
            failures: limits::OUTLIER_FAILURES,
            rate: None,
            ejected: limits::EJECTED,
            ejected_max: limits::EJECTED_MAX,
            most_percent: limits::EJECTED_PERCENT,
        }
    }
}

/// A share of failures that sets an instance aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutlierRate {
    /// So many percent of its requests fail, or more: 1 to 100.
    pub errors_percent: u8,
    /// Among at least so many requests.
    pub min_requests: u32,
    /// Within this time.
    pub window: Duration,
}

/// Who may register instances of a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Admission {
    /// Nobody.
    #[default]
    Nobody,
    /// Who comes by the Unix socket of the admin listener.
    Socket,
    /// They, and who has the service's token.
    Token,
}

/// The timeouts of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceTimeouts {
    /// A connect.
    pub connect: Duration,
    /// From the request's last byte of head to the answer's head.
    pub first_byte: Duration,
    /// Between two pieces of a body, in either direction.
    pub body: Duration,
    /// A tunnel (WebSocket, a TCP route) in which nothing moves either way.
    pub tunnel: Duration,
}

impl Default for ServiceTimeouts {
    fn default() -> Self {
        Self {
            connect: limits::CONNECT_TIMEOUT,
            first_byte: limits::FIRST_BYTE_TIMEOUT,
            body: limits::BODY_TIMEOUT,
            tunnel: limits::TUNNEL_IDLE,
        }
    }
}

/// What a worker's pool may keep, per instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolTerms {
    /// Idle connections kept per instance and worker; 0 for none.
    pub idle_per_worker: usize,
    /// How long a connection may wait unused.
    pub idle: Duration,
    /// How old a connection may get.
    pub age: Duration,
}

impl Default for PoolTerms {
    fn default() -> Self {
        Self {
            idle_per_worker: limits::POOL_IDLE_PER_WORKER,
            idle: limits::POOL_IDLE,
            age: limits::POOL_AGE,
        }
    }
}
