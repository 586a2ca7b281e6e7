//! Instances that are drained: no new requests, and what is in flight on them is cut when their time is over.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use coregate_core::base::cells::Mark;
use coregate_core::base::ids::InstanceSlot;
use coregate_core::snapshot::compile::{ChangeError, Member};
use coregate_core::snapshot::plan::Address;

use super::State;

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

/// All of them, and whose time is over next.
#[derive(Debug, Default)]
pub(super) struct Drains {
    all: HashMap<Cut, Drain>,
    /// Those that are to be cut, each once.
    due: BTreeSet<(Duration, Cut)>,
}

impl Drains {
    pub(super) fn insert(&mut self, key: Cut, drain: Drain) {
        self.remove(key);
        self.due.extend(drain.until.map(|until| (until, key)));
        self.all.insert(key, drain);
    }

    pub(super) fn remove(&mut self, key: Cut) {
        if let Some(until) = self.all.remove(&key).and_then(|drain| drain.until) {
            self.due.remove(&(until, key));
        }
    }

    pub(super) fn contains(&self, member: &Member) -> bool {
        self.all.contains_key(&(member.slot, member.generation))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Drain> {
        self.all.values()
    }

    /// It is to be cut then.
    fn cut_at(&mut self, key: Cut, at: Duration) {
        let Some(drain) = self.all.get_mut(&key) else { return };
        if let Some(before) = drain.until.replace(at) {
            self.due.remove(&(before, key));
        }
        self.due.insert((at, key));
    }

    /// The first whose time is over at `now`; it is not due again.
    fn cut_next(&mut self, now: Duration) -> Option<Cut> {
        self.due.first().filter(|(until, _)| *until <= now)?;
        let (_, key) = self.due.pop_first()?;
        if let Some(drain) = self.all.get_mut(&key) {
            drain.until = None;
        }
        Some(key)
    }
}

impl State {
    /// `until`: when what is in flight is cut; none: nothing is.
    pub(super) fn drain(
        &mut self,
        service: String,
        address: Address,
        until: Option<Duration>,
    ) -> Result<(), ChangeError> {
        let Member { slot, generation, .. } = self.compiler.member(&service, &address)?;
        let _ = self.cells.verdict(slot).mark(generation, Mark::Draining);
        self.drains.insert((slot, generation), Drain { service, address, until });
        Ok(())
    }

    pub(super) fn enable(&mut self, service: &str, address: &Address) -> Result<(), ChangeError> {
        let Member { slot, generation, .. } = self.compiler.member(service, address)?;
        let _ = self.cells.verdict(slot).clear(generation, Mark::Draining);
        self.drains.remove((slot, generation));
        Ok(())
    }

    /// Instances whose time to drain is over at `now`, each once.
    pub fn overdue(&mut self, now: Duration) -> Vec<Cut> {
        std::iter::from_fn(|| self.drains.cut_next(now)).collect()
    }

    /// Not every worker was told of one that was overdue: it is again, then.
    pub fn cut_again(&mut self, slot: InstanceSlot, generation: u16, at: Duration) {
        self.drains.cut_at((slot, generation), at);
    }

    /// When the next of them is.
    pub fn next_overdue(&self) -> Option<Duration> {
        self.drains.due.first().map(|(until, _)| *until)
    }

    /// How many instances are drained, or being so.
    pub fn draining(&self) -> usize {
        self.drains.all.len()
    }
}
