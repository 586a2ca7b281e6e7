//! Services as workers see them.

use std::sync::Arc;

use crate::base::ids::ServiceId;
use crate::base::time::Span;
use crate::proxy_protocol::ProxyVersion;
use crate::snapshot::instances::Instances;
use crate::snapshot::plan::ServicePlan;

/// A named group of instances and the terms they are spoken to on.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its id.
    pub id: ServiceId,
    /// Its name.
    pub name: Arc<str>,
    /// The terms.
    pub terms: ServiceTerms,
    /// Its instances.
    pub instances: Instances,
}

/// The terms on which a service's instances are spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceTerms {
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

impl ServiceTerms {
    pub(crate) fn new(plan: &ServicePlan) -> Self {
        Self {
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
