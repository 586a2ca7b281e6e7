//! Services as workers see them.

use crate::base::ids::ServiceId;
use crate::base::time::Span;
use crate::proxy_protocol::ProxyVersion;
use crate::snapshot::plan::{Address, ServicePlan};

/// A named group of instances and the terms they are spoken to on.
#[derive(Debug)]
pub struct Service {
    /// Its id.
    pub id: ServiceId,
    /// Its name.
    pub name: Box<str>,
    /// Its instances.
    pub instances: Box<[Address]>,
    /// What a request that names no host is told to be for, by instance.
    pub authorities: Box<[Box<str>]>,
    /// Time for a connect.
    pub connect: Span,
    /// Time to the answer's head.
    pub first_byte: Span,
    /// Time between two pieces of a body.
    pub body: Span,
    /// Time for a tunnel in which nothing moves either way.
    pub tunnel: Span,
    /// The PROXY protocol header that connections begin with, if any. Such a connection speaks for one client.
    pub proxy_protocol: Option<ProxyVersion>,
    /// Idle connections kept per instance and worker.
    pub idle_per_worker: usize,
    /// How long a connection may wait unused.
    pub idle: Span,
    /// How old a connection may get.
    pub age: Span,
}

/// The `Host` of an instance: its address and port, or `localhost` behind a Unix socket.
fn authority(address: &Address) -> Box<str> {
    match address {
        Address::Tcp(address) => address.to_string().into(),
        Address::Unix(_) => "localhost".into(),
    }
}

impl Service {
    pub(crate) fn new(id: ServiceId, plan: &ServicePlan) -> Self {
        Self {
            id,
            name: plan.name.as_str().into(),
            instances: plan.instances.clone().into(),
            authorities: plan.instances.iter().map(authority).collect(),
            connect: Span::of(plan.timeout.connect),
            first_byte: Span::of(plan.timeout.first_byte),
            body: Span::of(plan.timeout.body),
            tunnel: Span::of(plan.timeout.tunnel),
            proxy_protocol: plan.proxy_protocol,
            idle_per_worker: plan.pool.idle_per_worker,
            idle: Span::of(plan.pool.idle),
            age: Span::of(plan.pool.age),
        }
    }
}
