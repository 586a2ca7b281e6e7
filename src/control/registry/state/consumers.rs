//! Consumers: the configuration says who they are, and orders change that beside it; the compiler knows both.

use coregate_core::base::limits;
use coregate_core::policy::credential::KeyDigest;

use super::State;
use crate::registry::consumers::{
    Asked, ConsumerError, ConsumerOrder, ConsumerOrdered, ConsumersView, KeptConsumer,
    KeptConsumers, Roster, Touched,
};
use crate::registry::log::Detail;
use crate::registry::notice::Notice;
use crate::registry::order::{OrderError, Page};

impl State {
    fn roster(&self) -> Roster<'_> {
        let plans = &self.compiler.plan().consumers;
        Roster { plans, changes: self.compiler.consumer_changes() }
    }

    /// Carries out an order about a consumer, whole or not at all.
    pub(super) fn order_consumer(&mut self, order: &ConsumerOrder) -> Result<Detail, OrderError> {
        let mut step = self.roster().step(order)?;
        if let Asked::Add { groups, .. } = &order.what
            && !self.compiler.know_groups(groups)
        {
            let (what, most) = ("names of groups in the life of the process", limits::NAMES);
            return Err(ConsumerError::TooMany { what, most }.into());
        }
        let notes = std::mem::take(&mut step.notes);
        step.carry_out(self.compiler.change_consumers(), &mut self.touched);
        self.changed = true;
        // Whoever is in another group now has another limit.
        self.quotas.look_anew();
        self.notice(Notice::Consumer { name: order.name.clone(), what: order.what.done() });
        let consumer = self.roster().view(&order.name, order.at);
        let ordered = ConsumerOrdered { consumer, durable: false, notes };
        Ok(Detail::Consumer(Box::new(ordered)))
    }

    /// Looks at consumers, or at one.
    pub(super) fn look_at_consumers(
        &self,
        name: Option<&str>,
        page: &Page,
        at: u64,
    ) -> Result<ConsumersView, ConsumerError> {
        let Some(name) = name else { return Ok(self.roster().page(page, at)) };
        let missing = || ConsumerError::NoSuchConsumer(name.to_owned());
        let consumers = vec![self.roster().view(name, at).ok_or_else(missing)?];
        Ok(ConsumersView { count: 1, consumers, next: None })
    }

    /// All that was changed about consumers.
    pub fn kept_consumers(&self) -> KeptConsumers {
        KeptConsumers::of(self.compiler.consumer_changes())
    }

    /// What was added of one of them, if anything.
    pub fn kept_consumer(&self, name: &str) -> Option<KeptConsumer> {
        let added = self.compiler.consumer_changes().added.get(name)?;
        Some(KeptConsumer::of(name, added))
    }

    /// From when on a key is refused that is remembered as revoked.
    pub fn revoked_from(&self, digest: &KeyDigest) -> Option<u64> {
        self.compiler.consumer_changes().revoked.get(digest).copied()
    }

    /// What has changed about consumers since this was last asked.
    pub fn take_touched(&mut self) -> Touched {
        std::mem::take(&mut self.touched)
    }

    /// Whether a process before this one has said what was changed about consumers.
    pub fn knows_consumers(&self) -> bool {
        self.knows_consumers
    }

    /// What another process knew is so again, as far as there is room for its groups.
    pub fn restore_consumers(&mut self, kept: KeptConsumers) {
        let mut changes = kept.changes();
        let compiler = &mut self.compiler;
        changes.added.retain(|_, added| {
            added.groups.as_ref().is_none_or(|groups| compiler.know_groups(groups))
        });
        *compiler.change_consumers() = changes;
        self.changed = true;
    }
}

#[cfg(test)]
mod tests;
