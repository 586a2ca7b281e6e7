//! Services as workers see them.

use std::num::NonZeroU16;
use std::sync::Arc;

use crate::base::ids::ServiceId;
use crate::base::limits;
use crate::base::time::Span;
use crate::proxy_protocol::ProxyVersion;
use crate::snapshot::bulkheads::BulkheadTerms;
use crate::snapshot::instances::Instances;
use crate::snapshot::plan::{OutlierTerms, ServicePlan};

/// A named group of instances and the terms they are spoken to on.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its id.
    pub id: ServiceId,
    /// Its name.
    pub name: Arc<str>,
    /// The terms.
    pub terms: ServiceTerms,
    /// How many of its requests may be in flight, if that is limited.
    pub bulkhead: Option<Arc<BulkheadTerms>>,
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
    /// Connections to each instance, on the host, if they are limited.
    pub connections: Option<u64>,
    /// Attempts of a request, the first included.
    pub attempts: u32,
    /// When failures in a row set an instance aside.
    pub ejecting: Ejecting,
}

/// When failures in a row set an instance aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ejecting {
    /// So many do; `None`: they never do.
    pub failures: Option<NonZeroU16>,
    /// Of a service's instances, so many percent are set aside at most.
    pub most_percent: u8,
}

impl Ejecting {
    /// What a plan asks for.
    pub fn new(plan: &OutlierTerms) -> Self {
        let failures = u16::try_from(plan.failures).unwrap_or(u16::MAX);
        Self { failures: NonZeroU16::new(failures), most_percent: plan.most_percent }
    }

    /// How many of so many instances may be set aside at once: the percentage, rounded down; one alone never.
    pub fn most(&self, instances: usize) -> u64 {
        match instances {
            0 | 1 => 0,
            _ => instances as u64 * u64::from(self.most_percent.min(100)) / 100,
        }
    }
}

impl ServiceTerms {
    /// Idle connections that one of so many workers keeps to each instance.
    pub fn idle_of(&self, workers: usize) -> usize {
        let share = |limit: u64| (limit / limits::BULKHEAD_IDLE_SHARE) as usize / workers.max(1);
        let most = self.connections.map_or(usize::MAX, |limit| share(limit).max(1));
        self.idle_per_worker.min(most)
    }

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
            connections: plan.bulkhead.as_ref().map(|bulkhead| bulkhead.connections),
            attempts: plan.attempts,
            ejecting: Ejecting::new(&plan.outlier),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::plan::BulkheadPlan;

    #[test]
    fn a_percentage_of_instances_is_rounded_down_and_one_alone_is_never_set_aside() {
        let most = |most_percent, instances| {
            let terms = OutlierTerms { most_percent, ..OutlierTerms::default() };
            Ejecting::new(&terms).most(instances)
        };
        assert_eq!([0, 1, 2, 3, 4, 5, 10_000].map(|of| most(50, of)), [0, 0, 1, 1, 2, 2, 5_000]);
        assert_eq!([1, 2, 3].map(|of| most(100, of)), [0, 2, 3]);
        assert_eq!([2, 9, 10].map(|of| most(10, of)), [0, 0, 1]);
        assert_eq!(most(0, 100), 0);
    }

    #[test]
    fn what_lies_idle_is_a_part_of_what_may_be_connected() {
        let mut plan = ServicePlan::named("s");
        assert_eq!(ServiceTerms::new(&plan).idle_of(2), plan.pool.idle_per_worker);
        plan.bulkhead = Some(BulkheadPlan { connections: 16, ..BulkheadPlan::default() });
        assert_eq!([1, 2, 64].map(|workers| ServiceTerms::new(&plan).idle_of(workers)), [8, 4, 1]);
        plan.pool.idle_per_worker = 0;
        assert_eq!(ServiceTerms::new(&plan).idle_of(1), 0);
    }

    #[test]
    fn no_failures_are_never_enough() {
        let terms = OutlierTerms { failures: 0, ..OutlierTerms::default() };
        assert_eq!(Ejecting::new(&terms).failures, None);
        assert_eq!(Ejecting::new(&OutlierTerms::default()).failures, NonZeroU16::new(5));
    }
}
