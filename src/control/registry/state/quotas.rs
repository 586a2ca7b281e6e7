//! Quotas: the configuration says which there are, workers ask for grants; a successor goes on with the counts.

use std::collections::BTreeSet;

use coregate_core::base::mailbox::Asked;
use coregate_core::policy::quota::Question;
use coregate_core::snapshot::quotas::QuotaKey;

use super::State;
use crate::registry::log::{Detail, Refused};
use crate::registry::order::OrderError;
use crate::registry::quotas::{Answered, Id, KeptQuota, QuotaCounts, QuotasView};

impl State {
    /// Hears a worker's question, at `wall` in seconds of Unix time.
    pub fn ask_quota(&mut self, asked: Asked<Question>, wall: u64) {
        self.quotas.ask(asked, wall);
    }

    /// Ends periods that are over at `wall`, in seconds of Unix time.
    pub fn tick_quotas(&mut self, wall: u64) {
        self.quotas.tick(wall);
    }

    /// What was granted up to now is on its way to the store as this number, or can be spent if there is none.
    pub fn quotas_handed(&mut self, number: Option<u64>) {
        self.quotas.handed(number);
    }

    /// What is settled in the store can be spent.
    pub fn settle_quotas(&mut self, is_settled: impl Fn(u64) -> bool) {
        self.quotas.settle(is_settled);
    }

    /// What workers are answered.
    pub fn take_quota_answers(&mut self) -> Vec<Answered> {
        self.quotas.take_answers()
    }

    /// The counts that have changed since this was last asked.
    pub fn take_quotas_touched(&mut self) -> BTreeSet<Id> {
        self.quotas.take_touched()
    }

    /// All counts, as they are kept.
    pub fn kept_quotas(&self) -> Vec<KeptQuota> {
        self.quotas.kept()
    }

    /// One of them, if it is there.
    pub fn kept_quota(&self, id: &Id) -> Option<KeptQuota> {
        self.quotas.kept_of(id)
    }

    /// Whether a process before this one has said what was granted.
    pub fn knows_quotas(&self) -> bool {
        self.knows_quotas
    }

    /// What was stored of counts is so again.
    pub fn restore_quotas(&mut self, kept: Vec<KeptQuota>) {
        self.quotas.restore(kept);
    }

    /// What is counted of quotas, and how many counts there are.
    pub fn quota_counts(&self) -> (QuotaCounts, usize) {
        (self.quotas.counts(), self.quotas.len())
    }

    /// Looks at counts, at `wall` in seconds of Unix time.
    pub(super) fn look_at_quotas(&self, of: &[Question], wall: u64) -> QuotasView {
        self.quotas.view(of, wall)
    }

    /// Forgets counts of a quota, or the one of this key.
    pub(super) fn reset_quotas(
        &mut self,
        quota: &str,
        key: Option<&QuotaKey>,
    ) -> Result<Detail, Refused> {
        if self.compiler.plan().quotas.iter().all(|plan| plan.name != quota) {
            return Err(OrderError::NoSuchQuota(quota.to_owned()).into());
        }
        let count = self.quotas.reset_named(quota, key);
        Ok(Detail::Reset { count, durable: false })
    }
}
