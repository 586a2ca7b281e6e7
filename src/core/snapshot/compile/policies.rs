//! Policies of routes, compiled: limits and ways to authenticate that routes share, and who the consumers are.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::base::limits;
use crate::snapshot::bulkheads::BulkheadTerms;
use crate::snapshot::consumers::{ConsumerChanges, Consumers};
use crate::snapshot::limits::Limit;
use crate::snapshot::names::Names;
use crate::snapshot::plan::{AuthPlan, Plan, Principal, RoutePlan, ServicePlan};
use crate::snapshot::quotas::Quota;
use crate::snapshot::routes::{Gate, Guard};

/// What routes share of policies, by name.
#[derive(Debug, Default)]
pub(super) struct Policies {
    auths: HashMap<String, Arc<AuthPlan>>,
    limits: HashMap<String, Arc<Limit>>,
    quotas: HashMap<String, Arc<Quota>>,
    groups: Names,
    changes: ConsumerChanges,
    /// Whether consumers have changed since the last snapshot.
    stale: bool,
}

impl Policies {
    /// Takes what a plan says; whether routes may have changed by that.
    pub(super) fn configure(&mut self, old: &Plan, new: &Plan) -> bool {
        self.stale |= old.consumers != new.consumers;
        if is_same(old, new) && !self.auths.is_empty() {
            return false;
        }
        let auths = new.auths.iter().cloned().chain([AuthPlan::key()]);
        // The first of a name counts: the file's own before the one that is built in.
        self.auths.clear();
        for auth in auths {
            self.auths.entry(auth.name.clone()).or_insert_with(|| Arc::new(auth));
        }
        let groups = &mut self.groups;
        let limits = new.rates.iter();
        self.limits =
            limits.map(|rate| (rate.name.clone(), Arc::new(Limit::new(rate, groups)))).collect();
        let quotas = new.quotas.iter();
        self.quotas =
            quotas.map(|quota| (quota.name.clone(), Arc::new(Quota::new(quota, groups)))).collect();
        true
    }

    /// What guards a route of the plan that was taken last, which was checked to name nothing that is not there.
    pub(super) fn guard(&mut self, plan: &RoutePlan) -> Guard {
        let policies = &plan.policies;
        let limits = policies.rates.iter().filter_map(|name| self.limits.get(name).cloned());
        let quotas = policies.quotas.iter().filter_map(|name| self.quotas.get(name).cloned());
        Guard {
            auth: policies.auth.as_ref().and_then(|name| self.auths.get(name).cloned()),
            limits: limits.collect(),
            quotas: quotas.collect(),
            access: Gate::new(&policies.access, &mut self.groups),
        }
    }

    /// The bulkhead of a service.
    pub(super) fn bulkhead(&mut self, plan: &ServicePlan) -> Option<Arc<BulkheadTerms>> {
        let plan = plan.bulkhead.as_ref()?;
        Some(Arc::new(BulkheadTerms::new(plan, &mut self.groups)))
    }

    /// How many groups of a plan have no id yet, and how many have one.
    pub(super) fn groups_of(&self, plan: &Plan) -> (usize, usize) {
        let consumers = plan.consumers.iter().flat_map(|one| &one.groups);
        let rates = plan.rates.iter().flat_map(|rate| &rate.groups).map(|(name, _)| name);
        let quotas = plan.quotas.iter().flat_map(|quota| &quota.groups).map(|(name, _)| name);
        let bulkheads = plan.services.iter().filter_map(|service| service.bulkhead.as_ref());
        let classes = bulkheads.flat_map(|bulkhead| bulkhead.priority.keys());
        let access = plan.routes.iter().map(|route| &route.policies.access);
        let principals = access.flat_map(|access| access.allow.iter().chain(&access.deny));
        let named = principals.filter_map(|principal| match principal {
            Principal::Group(name) => Some(name),
            Principal::Consumer(_) => None,
        });
        let all: BTreeSet<_> =
            consumers.chain(rates).chain(quotas).chain(named).chain(classes).collect();
        (self.groups.unknown(all.into_iter().map(String::as_str)), self.groups.len())
    }

    /// Gives these groups ids, each of which stands once; `false`: there are not enough left, and none was given.
    pub(super) fn know_groups(&mut self, groups: &[String]) -> bool {
        let fresh = self.groups.unknown(groups.iter().map(String::as_str));
        let has_room = self.groups.len() + fresh <= limits::NAMES;
        for group in groups.iter().filter(|_| has_room) {
            self.groups.id(group);
        }
        has_room
    }

    /// What was changed about consumers, to change it.
    pub(super) fn change_consumers(&mut self) -> &mut ConsumerChanges {
        self.stale = true;
        &mut self.changes
    }

    /// What was changed about consumers.
    pub(super) fn consumer_changes(&self) -> &ConsumerChanges {
        &self.changes
    }

    /// Who the consumers are, if that has changed since it was last asked.
    pub(super) fn consumers(&mut self, plan: &Plan) -> Option<Arc<Consumers>> {
        let stale = std::mem::take(&mut self.stale);
        stale.then(|| Arc::new(Consumers::new(&plan.consumers, &self.changes, &mut self.groups)))
    }
}

/// Whether two plans have the same of what routes share.
fn is_same(old: &Plan, new: &Plan) -> bool {
    old.auths == new.auths && old.rates == new.rates && old.quotas == new.quotas
}
