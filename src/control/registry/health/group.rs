//! What the instances of one service have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use coregate_core::snapshot::plan::{Address, HealthCheck, OutlierTerms, ServicePlan};

/// A service.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: Arc<str>,
    pub(super) check: Option<Arc<HealthCheck>>,
    pub(super) outlier: OutlierTerms,
    pub(super) slow_start: Duration,
    /// Weights that the file gives.
    weights: BTreeMap<Address, u32>,
    /// Its instances, by their slots.
    slots: BTreeSet<u32>,
    /// How many instances have which weight.
    by_weight: BTreeMap<u32, usize>,
    /// Those that have not registered, by their addresses as text.
    plain: BTreeMap<Box<str>, u32>,
    /// How many began to be probed so far.
    numbered: u32,
    uneven: Uneven,
}

/// Whether shares are to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Uneven {
    No,
    /// They are being written.
    Once,
    /// And then again: weights have changed meanwhile.
    Again,
}

impl Group {
    pub(super) fn new(plan: &ServicePlan) -> Self {
        Self {
            name: plan.name.as_str().into(),
            check: plan.health.clone().map(Arc::new),
            outlier: plan.outlier,
            slow_start: plan.slow_start,
            weights: plan.weights.clone(),
            slots: BTreeSet::new(),
            by_weight: BTreeMap::new(),
            plain: BTreeMap::new(),
            numbered: 0,
            uneven: Uneven::No,
        }
    }

    /// Takes the terms of a plan; whether its instances are to be looked at again.
    pub(super) fn follow(&mut self, plan: &ServicePlan) -> bool {
        let checks = self.check.as_deref() != plan.health.as_ref();
        let weights = self.weights != plan.weights;
        if checks {
            self.check = plan.health.clone().map(Arc::new);
        }
        if weights {
            self.weights.clone_from(&plan.weights);
        }
        (self.outlier, self.slow_start) = (plan.outlier, plan.slow_start);
        checks || weights
    }

    /// The weight of an instance of which nobody has said another.
    pub(super) fn weight_of(&self, address: &Address) -> u32 {
        self.weights.get(address).copied().unwrap_or(1)
    }

    /// One more instance.
    pub(super) fn enter(&mut self, slot: u32) {
        self.slots.insert(slot);
    }

    /// A number for one that begins to be probed: each is the next.
    pub(super) fn number(&mut self) -> u32 {
        self.numbered = self.numbered.wrapping_add(1);
        self.numbered
    }

    /// One less.
    pub(super) fn leave(&mut self, slot: u32) {
        self.slots.remove(&slot);
    }

    /// One instance has this weight; whether that is another most.
    pub(super) fn weigh(&mut self, weight: u32) -> bool {
        let before = self.heaviest();
        *self.by_weight.entry(weight).or_default() += 1;
        before != self.heaviest()
    }

    /// It has it no more.
    pub(super) fn unweigh(&mut self, weight: u32) -> bool {
        let before = self.heaviest();
        if let Some(count) = self.by_weight.get_mut(&weight) {
            *count -= 1;
            if *count == 0 {
                self.by_weight.remove(&weight);
            }
        }
        before != self.heaviest()
    }

    /// The weight of its heaviest instance.
    pub(super) fn heaviest(&self) -> u32 {
        self.by_weight.last_key_value().map_or(1, |(weight, _)| *weight)
    }

    /// Its shares are to be written; whether they were not already.
    pub(super) fn set_uneven(&mut self) -> bool {
        let before = self.uneven;
        self.uneven = if before == Uneven::No { Uneven::Once } else { Uneven::Again };
        before == Uneven::No
    }

    /// All shares were written once; whether they are to be written again.
    pub(super) fn written(&mut self) -> bool {
        let again = self.uneven == Uneven::Again;
        self.uneven = if again { Uneven::Once } else { Uneven::No };
        again
    }

    /// Whether nobody is set aside, on its terms: of those who were, none is any more.
    pub(super) fn ejects_nobody(&self) -> bool {
        self.outlier.failures == 0 && self.outlier.rate.is_none()
    }

    /// How many instances it has.
    pub(super) fn count(&self) -> usize {
        self.slots.len()
    }

    /// Their slots, from this on.
    pub(super) fn slots_from(&self, from: u32) -> impl Iterator<Item = u32> {
        self.slots.range(from..).copied()
    }

    /// Notes whether the instance of a slot has registered.
    pub(super) fn set_plain(&mut self, address: &Address, slot: u32, plain: bool) {
        let name = address.to_string();
        match plain {
            true => drop(self.plain.insert(name.into(), slot)),
            false => drop(self.plain.remove(&*name)),
        }
    }

    pub(super) fn plain_count(&self) -> usize {
        self.plain.len()
    }

    pub(super) fn plain_after(&self, after: Option<&str>) -> impl Iterator<Item = (&str, u32)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.plain.range::<str, _>((from, Bound::Unbounded));
        range.map(|(name, slot)| (&**name, *slot))
    }
}
