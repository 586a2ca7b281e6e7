//! Quotas as workers see them.

use std::fmt;
use std::sync::Arc;

use crate::base::cells::tag_of;
use crate::snapshot::consumers::Consumer;
use crate::snapshot::names::Names;
use crate::snapshot::plan::{QuotaPer, QuotaPlan};

/// A limit of tokens in a day or a month.
#[derive(Debug, PartialEq, Eq)]
pub struct Quota {
    /// Its name.
    pub name: Arc<str>,
    /// What tells its counts from those of other quotas: the same in every process that knows the name.
    pub tag: u64,
    limit: u64,
    /// For consumers of these groups, other limits; the first counts.
    groups: Box<[(u16, u64)]>,
    /// What has a count of its own.
    pub per: Box<[QuotaPer]>,
    /// What a request costs.
    pub cost: u32,
    /// Whether it only counts what it would refuse.
    pub dry_run: bool,
    /// As the configuration has it, for those who look.
    pub plan: Box<QuotaPlan>,
}

/// Whose count it is: what the quota's `per` asks for, and nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuotaKey {
    /// A consumer's.
    pub consumer: Option<Box<str>>,
    /// A route's.
    pub route: Option<Box<str>>,
    /// A service's.
    pub service: Option<Box<str>>,
}

impl Quota {
    pub(crate) fn new(plan: &QuotaPlan, groups: &mut Names) -> Self {
        let own = plan.groups.iter().map(|(name, limit)| (groups.id(name), limit.get()));
        Self {
            name: plan.name.as_str().into(),
            tag: tag_of(&plan.name),
            limit: plan.limit.get(),
            groups: own.collect(),
            per: plan.per.clone().into(),
            cost: plan.cost.get(),
            dry_run: plan.dry_run,
            plan: Box::new(plan.clone()),
        }
    }

    /// How much it allows this consumer, or somebody who is not known.
    #[inline]
    pub fn limit_for(&self, consumer: Option<&Consumer>) -> u64 {
        let Some(consumer) = consumer else { return self.limit };
        let own = self.groups.iter().find(|(group, _)| consumer.is_in(*group));
        own.map_or(self.limit, |(_, limit)| *limit)
    }

    /// The same, and the name of the group that says so.
    pub fn written_for(&self, consumer: Option<&Consumer>) -> (u64, Option<&str>) {
        let own = consumer
            .and_then(|consumer| self.groups.iter().position(|(group, _)| consumer.is_in(*group)));
        match own.and_then(|at| self.plan.groups.get(at)) {
            Some((group, limit)) => (limit.get(), Some(group)),
            None => (self.limit, None),
        }
    }
}

impl fmt::Display for QuotaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { consumer, route, service } = self;
        let mut sign = "";
        for (name, part) in [("consumer", consumer), ("route", route), ("service", service)] {
            if let Some(part) = part {
                write!(f, "{sign}{name} {part}")?;
                sign = ", ";
            }
        }
        if sign.is_empty() { f.write_str("all") } else { Ok(()) }
    }
}
