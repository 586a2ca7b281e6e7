//! Bulkheads as workers see them.

use std::time::Duration;

use crate::base::limits;
use crate::policy::queue::Class;
use crate::snapshot::consumers::Consumer;
use crate::snapshot::names::Names;
use crate::snapshot::plan::BulkheadPlan;

/// How many requests of a service may be in flight on the host, and what becomes of those beyond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkheadTerms {
    /// Requests in flight to the service.
    pub service: u64,
    /// Requests in flight to each instance, if they are limited.
    pub instance: Option<u64>,
    /// How many may wait.
    pub queue: u64,
    /// How long.
    pub wait: Duration,
    classes: Box<[(u16, Class)]>,
}

impl BulkheadTerms {
    /// What a plan asks for. `group`: the id of a group's name.
    pub(crate) fn new(plan: &BulkheadPlan, groups: &mut Names) -> Self {
        let classes = plan.priority.iter().map(|(name, class)| (groups.id(name), *class));
        Self {
            service: plan.service.unwrap_or(limits::BULKHEAD_MAX),
            instance: plan.instance,
            queue: plan.queue,
            wait: plan.wait,
            classes: classes.collect(),
        }
    }

    /// The class of a consumer: the highest of its groups'. Whoever is not known is normal.
    pub fn class_of(&self, consumer: Option<&Consumer>) -> Class {
        let Some(consumer) = consumer else { return Class::Normal };
        let of = self.classes.iter().filter(|(group, _)| consumer.is_in(*group));
        of.map(|(_, class)| *class).min().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_of_the_groups_counts() {
        let mut names = Names::default();
        let priority =
            [("bots", Class::Low), ("gold", Class::High)].map(|(name, class)| (name.into(), class));
        let plan = BulkheadPlan { priority: priority.into(), ..BulkheadPlan::default() };
        let terms = BulkheadTerms::new(&plan, &mut names);
        let class = |groups: &[&str], names: &mut Names| {
            let groups = groups.iter().map(|name| names.id(name)).collect();
            terms.class_of(Some(&Consumer { name: "a".into(), groups }))
        };
        assert_eq!(class(&["bots", "gold"], &mut names), Class::High);
        assert_eq!(class(&["bots", "tin"], &mut names), Class::Low);
        assert_eq!(class(&["tin"], &mut names), Class::Normal);
        assert_eq!(terms.class_of(None), Class::Normal);
        assert_eq!(terms.service, limits::BULKHEAD_MAX);
    }
}
