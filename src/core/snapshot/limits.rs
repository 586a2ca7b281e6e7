//! Limits as workers see them.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use crate::base::cells::{Terms, tag_of};
use crate::base::limits;
use crate::snapshot::consumers::Consumer;
use crate::snapshot::names::Names;
use crate::snapshot::plan::{Cost, Per, RatePlan, RateTerms, Scope};

/// A limit of requests in time.
#[derive(Debug, PartialEq, Eq)]
pub struct Limit {
    /// Its name.
    pub name: Arc<str>,
    /// What tells its buckets from those of other limits: the same in every process that knows the name.
    pub tag: u64,
    /// How much, for whom no group says otherwise.
    pub terms: Terms,
    /// For consumers of these groups, other terms; the first counts.
    groups: Box<[(u16, Terms)]>,
    /// What has a bucket of its own.
    pub per: Box<[Per]>,
    /// Where it holds.
    pub scope: Scope,
    /// Whether it only counts what it would refuse.
    pub dry_run: bool,
    /// What a request costs.
    pub cost: Cost,
    /// Whether it can be decided only once it is known who calls.
    pub needs_identity: bool,
    /// Whether clients choose how many buckets it has.
    pub of_strangers: bool,
    /// As the configuration has it, for those who look.
    pub plan: Box<RatePlan>,
}

impl Limit {
    pub(crate) fn new(plan: &RatePlan, groups: &mut Names) -> Self {
        Self {
            name: plan.name.as_str().into(),
            tag: tag_of(&plan.name),
            terms: terms(&plan.terms),
            groups: plan.groups.iter().map(|(name, own)| (groups.id(name), terms(own))).collect(),
            per: plan.per.clone().into(),
            scope: plan.scope,
            dry_run: plan.dry_run,
            cost: plan.cost.clone(),
            needs_identity: plan.needs_identity(),
            of_strangers: plan.per.iter().any(Per::is_of_strangers),
            plan: Box::new(plan.clone()),
        }
    }

    /// Failed authentications of one address, an IPv6 address standing for its network. No configuration names it.
    pub fn of_failures() -> Self {
        let number = |number| NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN);
        let terms = RateTerms {
            count: number(limits::FAILURES_A_SECOND),
            window: Duration::from_secs(1),
            burst: number(limits::FAILURES_BURST),
        };
        let per = vec![Per::Address { v4: 32, v6: 64 }];
        let plan = RatePlan { per, ..RatePlan::named("failed authentications", terms) };
        let named = Self::new(&plan, &mut Names::default());
        Self { tag: !named.tag, ..named }
    }

    /// How much it allows this consumer, or somebody who is not known.
    #[inline]
    pub fn terms_for(&self, consumer: Option<&Consumer>) -> Terms {
        let Some(consumer) = consumer else { return self.terms };
        let own = self.groups.iter().find(|(group, _)| consumer.is_in(*group));
        own.map_or(self.terms, |(_, terms)| *terms)
    }

    /// The same as it is written, and the name of the group that says so.
    pub fn written_for(&self, consumer: Option<&Consumer>) -> (&RateTerms, Option<&str>) {
        let own = consumer
            .and_then(|consumer| self.groups.iter().position(|(group, _)| consumer.is_in(*group)));
        match own.and_then(|at| self.plan.groups.get(at)) {
            Some((group, terms)) => (terms, Some(group)),
            None => (&self.plan.terms, None),
        }
    }

    /// What a request costs before it is forwarded.
    #[inline]
    pub fn cost(&self) -> u64 {
        match &self.cost {
            Cost::Fixed(tokens) => tokens.get(),
            Cost::Answer(_) => 1,
        }
    }
}

fn terms(plan: &RateTerms) -> Terms {
    Terms::per(plan.count, plan.window, plan.burst.get())
}
