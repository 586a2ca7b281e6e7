//! The plan: what a configuration asks for, resolved and typed, before it is compiled.
//!
//! The types here cannot be wrong in themselves: patterns and addresses are parsed once, into types with no invalid
//! value. What can still be wrong between them (a route to no service, two routes alike) is [`compile`](super::compile)'s to
//! say.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::base::limits;
use crate::http::parse::RequestLimits;
use crate::http::path::{self, Target};
use crate::proxy_protocol::ProxyVersion;

pub use crate::snapshot::trusted::TrustedPeers;

/// Routes, services and listeners, as resolved from a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The routes, in any order.
    pub routes: Vec<RoutePlan>,
    /// The services, in any order.
    pub services: Vec<ServicePlan>,
    /// The listeners, in the order of their sockets.
    pub listeners: Vec<ListenerPlan>,
}

impl Plan {
    /// All requests, on any host, go to one service with these instances; one listener, on default terms.
    pub fn to_instances(instances: &[Address]) -> Self {
        let service = "upstream".to_owned();
        Self {
            routes: vec![RoutePlan {
                host: HostPattern::Any,
                path: PathPattern::Below(String::new()),
                service: service.clone(),
            }],
            services: vec![ServicePlan {
                name: service,
                instances: instances.to_vec(),
                timeout: ServiceTimeouts::default(),
                pool: PoolTerms::default(),
                proxy_protocol: None,
            }],
            listeners: vec![ListenerPlan { name: "default".to_owned(), ..ListenerPlan::default() }],
        }
    }
}

/// A route: which requests it takes, and where they go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutePlan {
    /// The hosts it takes.
    pub host: HostPattern,
    /// The paths it takes.
    pub path: PathPattern,
    /// The name of the service that its requests go to.
    pub service: String,
}

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

/// A listener: on what terms clients are taken in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListenerPlan {
    /// Its name.
    pub name: String,
    /// The terms on which it speaks HTTP.
    pub terms: ListenerTerms,
    /// The peers that must begin with a PROXY protocol header, where there are any.
    pub proxy_protocol: Option<TrustedPeers>,
    /// The name of the service that connections are passed to as they are; with none, requests are read and routed.
    pub tcp: Option<String>,
}

/// The terms on which a listener speaks to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerTerms {
    /// What a head may measure.
    pub request: RequestLimits,
    /// The most a request's body may measure, in bytes; none by default, since bodies are streamed.
    pub body_bytes: Option<u64>,
    /// The most requests on one connection, which is closed after the last.
    pub requests: u32,
    /// The least that a client must send or take of a body once [`limits::BODY_RATE_GRACE`] is over, in bytes a second; 0
    /// for none.
    pub body_rate: u64,
    /// A request head, from its first byte.
    pub head_timeout: Duration,
    /// A connection without a request.
    pub idle_timeout: Duration,
    /// Between two pieces of a body, in either direction.
    pub body_timeout: Duration,
    /// Whether local answers name their reason in `x-coregate-reason`.
    pub expose_reasons: bool,
}

impl Default for ListenerTerms {
    fn default() -> Self {
        Self {
            request: RequestLimits::default(),
            body_bytes: None,
            requests: limits::REQUESTS_PER_CONNECTION,
            body_rate: limits::BODY_RATE,
            head_timeout: limits::HEAD_TIMEOUT,
            idle_timeout: limits::IDLE_TIMEOUT,
            body_timeout: limits::BODY_TIMEOUT,
            expose_reasons: false,
        }
    }
}

/// An address to listen on or to connect to: `10.0.0.1:9000`, `[::1]:9000` or `unix:/run/app.sock`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// Why a text is no [`Address`], [`HostPattern`] or [`PathPattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Not an address.
    #[error("{0:?}: expected ADDRESS:PORT, [V6-ADDRESS]:PORT or unix:/PATH")]
    Address(String),
    /// A host name where an address must stand.
    #[error("{0:?}: expected an IP address and port; names are not looked up")]
    HostName(String),
    /// The path of a Unix socket that is empty, relative or longer than the kernel takes.
    #[error("{0:?}: the path of a Unix socket is absolute and has at most 107 bytes")]
    UnixPath(String),
    /// Not a host.
    #[error("{0:?}: expected a host such as \"shop.example.com\", \"*.example.com\" or \"*\"")]
    Host(String),
    /// Not a path.
    #[error("{0:?}: {1}")]
    Path(String, &'static str),
    /// A form of pattern that this build cannot match.
    #[error("{0:?}: {1} is not supported yet")]
    NotSupported(String, &'static str),
}

impl FromStr for Address {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if let Some(path) = text.strip_prefix("unix:") {
            // sockaddr_un holds 108 bytes with the NUL.
            if !path.starts_with('/') || path.len() > 107 || path.contains('\0') {
                return Err(PatternError::UnixPath(text.into()));
            }
            return Ok(Self::Unix(path.into()));
        }
        match text.parse() {
            Ok(address) => Ok(Self::Tcp(address)),
            Err(_) => match text.rsplit_once(':') {
                Some((host, port))
                    if host.starts_with(|c: char| c.is_ascii_alphabetic())
                        && !host.contains(':')
                        && port.parse::<u16>().is_ok() =>
                {
                    Err(PatternError::HostName(text.into()))
                }
                _ => Err(PatternError::Address(text.into())),
            },
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Which hosts a route takes. Names are in normal form: lower case, no port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// One host.
    Exact(String),
    /// Every host below one: `*.example.com` takes `a.example.com` and `a.b.example.com`. Held with its leading dot.
    Below(String),
    /// Every host, and requests without one.
    Any,
}

impl FromStr for HostPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let below = text.strip_prefix("*.");
        let mut name = below.unwrap_or(text).as_bytes().to_vec();
        match path::normal_host(&mut name) {
            Ok(host) if host.port.is_none() => {
                let name = String::from_utf8_lossy(&name[host.name]).into_owned();
                Ok(if below.is_some() {
                    Self::Below(format!(".{name}"))
                } else {
                    Self::Exact(name)
                })
            }
            _ => Err(PatternError::Host(text.into())),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Below(suffix) => write!(f, "*{suffix}"),
            Self::Any => f.write_str("*"),
        }
    }
}

/// Which paths a route takes, in normal form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathPattern {
    /// This path alone.
    Exact(String),
    /// This path and all below it; held without `/*`, so `/*` itself is empty.
    Below(String),
}

impl FromStr for PathPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let fault = |why| Err(PatternError::Path(text.into(), why));
        if text.contains(' ') {
            return Err(PatternError::NotSupported(text.into(), "a method in a route"));
        }
        if text.contains('{') {
            return Err(PatternError::NotSupported(text.into(), "a parameter in a path"));
        }
        let (prefix, below) = match text.strip_suffix("/*") {
            Some(prefix) => (prefix, true),
            None => (text, false),
        };
        if prefix.contains('*') {
            return fault("`*` can only be the last segment, as in \"/users/*\"");
        }
        if prefix.contains(['?', '#']) {
            return fault("a path has no query or fragment");
        }
        if prefix.is_empty() && below {
            return Ok(Self::Below(String::new()));
        }
        let mut side = Vec::new();
        let prefix = match path::normal_target(prefix.as_bytes(), &mut side) {
            Ok(Target::Same { .. }) => prefix.to_owned(),
            Ok(Target::Rewritten { .. }) => String::from_utf8_lossy(&side).into_owned(),
            Err(_) => return fault("expected a path such as \"/users/*\" or \"/health\""),
        };
        Ok(if below { Self::Below(prefix) } else { Self::Exact(prefix) })
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(path),
            Self::Below(prefix) => write!(f, "{prefix}/*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["127.0.0.1:80", "[::1]:9000", "unix:/run/a.sock"] {
            assert_eq!(good.parse::<Address>().unwrap().to_string(), good);
        }
        assert!(matches!("localhost:80".parse::<Address>(), Err(PatternError::HostName(_))));
        for bad in ["", "127.0.0.1", ":80", "unix:a", "1.2.3.4:99999", "a:b:c"] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn patterns() {
        for (text, expected) in [("/*", "/*"), ("/a/*", "/a/*"), ("/a", "/a"), ("/a/../%62", "/b")]
        {
            assert_eq!(text.parse::<PathPattern>().unwrap().to_string(), expected);
        }
        for bad in ["a", "", "/a*", "/*/b", "/a?b", "/{id}", "GET /a", "/.."] {
            assert!(bad.parse::<PathPattern>().is_err(), "{bad:?}");
        }
        for (text, expected) in [("*", "*"), ("A.b", "a.b"), ("*.B.c", "*.b.c")] {
            assert_eq!(text.parse::<HostPattern>().unwrap().to_string(), expected);
        }
        for bad in ["", "a:80", "*a.b", "a.*.b", "a b"] {
            assert!(bad.parse::<HostPattern>().is_err(), "{bad:?}");
        }
    }
}
