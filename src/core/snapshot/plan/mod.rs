//! The plan: what a configuration asks for, resolved and typed, before it is compiled.
//!
//! The types here cannot be wrong in themselves: patterns and addresses are parsed once, into types with no invalid
//! value. What can still be wrong between them (a route to no service, two routes alike) is [`compile`](super::compile)'s to
//! say.

mod address;
mod bulkhead;
mod consumer;
mod limit;
mod patterns;
mod quota;
mod regex;
mod route;
mod service;
mod template;
mod when;

use std::time::Duration;

use crate::base::limits;
use crate::http::parse::RequestLimits;

pub use crate::snapshot::plan::address::{Address, AddressError, is_nobodys};
pub use crate::snapshot::plan::bulkhead::BulkheadPlan;
pub use crate::snapshot::plan::consumer::{
    Access, AuthMethod, AuthPlan, ConsumerPlan, KeyAuth, KeyPlace, KeyPlan, Principal, is_name,
};
pub use crate::snapshot::plan::limit::{Cost, Per, RatePlan, RateTerms, Scope, written};
pub use crate::snapshot::plan::patterns::{
    HostPattern, PathPattern, PatternError, Segment, Segments, Tail, segments_of,
};
pub use crate::snapshot::plan::quota::{QuotaFault, QuotaPer, QuotaPlan};
pub use crate::snapshot::plan::regex::{Regex, RegexError};
pub use crate::snapshot::plan::route::{
    Action, Forward, Redirect, Respond, Rewrite, RoutePlan, RoutePolicies, RouteTerms, Share,
};
pub use crate::snapshot::plan::service::{
    Admission, DnsTerms, HealthCheck, HttpProbe, OutlierRate, OutlierTerms, PoolTerms, Probe,
    ServicePlan, ServiceTimeouts, Source,
};
pub use crate::snapshot::plan::template::{Template, TemplateError, Values};
pub use crate::snapshot::plan::when::{Predicate, Test, Unmet, When};
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
    /// Who may call, in any order.
    pub consumers: Vec<ConsumerPlan>,
    /// The ways to find out who calls, in any order, but for the one that is built in.
    pub auths: Vec<AuthPlan>,
    /// The limits that routes name, in any order.
    pub rates: Vec<RatePlan>,
    /// The quotas that routes name, in any order.
    pub quotas: Vec<QuotaPlan>,
}

impl Plan {
    /// All requests, on any host, go to one service with these instances; one listener, on default terms.
    pub fn to_instances(instances: &[Address]) -> Self {
        let service = "upstream".to_owned();
        Self {
            routes: vec![RoutePlan::to(HostPattern::Any, PathPattern::ALL, &service)],
            services: vec![ServicePlan {
                instances: instances.to_vec(),
                ..ServicePlan::named(&service)
            }],
            listeners: vec![ListenerPlan { name: "default".to_owned(), ..ListenerPlan::default() }],
            ..Self::default()
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
    /// The most connections of clients that are open at a time, on the host.
    pub connections: Option<u64>,
    /// The same of one address, or of one network of IPv6 addresses.
    pub connections_per_address: Option<u64>,
    /// A request head, from its first byte.
    pub head_timeout: Duration,
    /// A connection without a request.
    pub idle_timeout: Duration,
    /// Between two pieces of a body, in either direction.
    pub body_timeout: Duration,
    /// Whether local answers name their reason in `x-coregate-reason`.
    pub expose_reasons: bool,
    /// How clients are told what is left of a rate.
    pub rate_headers: RateHeaders,
}

/// How clients are told what is left of a rate: of the one that has least left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RateHeaders {
    /// `RateLimit-Limit`, `RateLimit-Remaining`, `RateLimit-Reset`.
    #[default]
    Plain,
    /// `RateLimit` and `RateLimit-Policy`, as draft-ietf-httpapi-ratelimit-headers has them since its eighth version.
    Draft,
    /// Not at all; `Retry-After` alone where one is refused.
    Off,
}

impl Default for ListenerTerms {
    fn default() -> Self {
        Self {
            request: RequestLimits::default(),
            body_bytes: None,
            requests: limits::REQUESTS_PER_CONNECTION,
            body_rate: limits::BODY_RATE,
            connections: None,
            connections_per_address: None,
            head_timeout: limits::HEAD_TIMEOUT,
            idle_timeout: limits::IDLE_TIMEOUT,
            body_timeout: limits::BODY_TIMEOUT,
            expose_reasons: false,
            rate_headers: RateHeaders::default(),
        }
    }
}
