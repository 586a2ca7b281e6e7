//! Instances that are drained: no new requests, and what is in flight on them is cut when their time is over.

use std::time::Duration;

use coregate_core::base::cells::Mark;
use coregate_core::base::ids::InstanceSlot;
use coregate_core::snapshot::compile::ChangeError;
use coregate_core::snapshot::plan::Address;

use super::State;
use crate::registry::log::Detail;

/// An instance that gets no new requests.
#[derive(Debug)]
pub(super) struct Drain {
    pub(super) service: String,
    pub(super) address: Address,
    /// What is in flight on it is cut then; none: that has been done.
    pub(super) until: Option<Duration>,
}

/// A slot whose time to drain is over: what is in flight on it is to be cut.
pub type Cut = (InstanceSlot, u16);

impl State {
    pub(super) fn drain(
        &mut self,
        service: String,
        address: Address,
        until: Duration,
    ) -> Result<Detail, ChangeError> {
        let member = self.compiler.member(&service, &address)?;
        let _ = self.cells.verdict(member.slot).mark(member.generation, Mark::Draining);
        let drain = Drain { service, address, until: Some(until) };
        self.drains.insert((member.slot, member.generation), drain);
        Ok(Detail::Instance(member.slot))
    }

    pub(super) fn enable(
        &mut self,
        service: &str,
        address: &Address,
    ) -> Result<Detail, ChangeError> {
        let member = self.compiler.member(service, address)?;
        let _ = self.cells.verdict(member.slot).clear(member.generation, Mark::Draining);
        self.drains.remove(&(member.slot, member.generation));
        Ok(Detail::Instance(member.slot))
    }

    /// Instances whose time to drain is over at `now`, each once.
    pub fn overdue(&mut self, now: Duration) -> Vec<Cut> {
        let due = |drain: &Drain| drain.until.is_some_and(|until| until <= now);
        let over = self.drains.iter_mut().filter(|(_, drain)| due(drain));
        over.map(|(slot, drain)| {
            drain.until = None;
            *slot
        })
        .collect()
    }

    /// Not every worker was told of one that was overdue: it is again, then.
    pub fn cut_again(&mut self, slot: InstanceSlot, generation: u16, at: Duration) {
        if let Some(drain) = self.drains.get_mut(&(slot, generation)) {
            drain.until = Some(at);
        }
    }

    /// When the next of them is.
    pub fn next_overdue(&self) -> Option<Duration> {
        self.drains.values().filter_map(|drain| drain.until).min()
    }

    /// How many instances are drained, or being so.
    pub fn draining(&self) -> usize {
        self.drains.len()
    }
}
