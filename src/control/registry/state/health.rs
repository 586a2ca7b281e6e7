//! Health beside the compiler and the directory: who joins and goes, what turns, and what follows from that.
//!
//! Words of the host are written here and in what this calls: those of instances that are gone first of all, before the next publish;
//! then those of fresh ones, with what their health says; and while the words are another process's, none.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use coregate_core::base::ids::InstanceSlot;
use coregate_core::base::limits;
use coregate_core::snapshot::compile::{ChangeError, Effects, Given, Gone, Member};
use coregate_core::snapshot::plan::{Address, Source};

use super::State;
use crate::registry::directory::{Changed, Registration};
use crate::registry::health::{Counts, Described, Standing, Turn, Turned, Words};
use crate::registry::notice::Notice;
use crate::registry::probe::{ProbeOrder, Probed};

impl From<&Registration> for Described {
    fn from(what: &Registration) -> Self {
        let (id, check) = (Some(Arc::clone(what.id())), what.check().cloned());
        Self { id, weight: Some(what.weight()), check, held: false }
    }
}

impl State {
    /// Whether this process answers for the host: no other goes on, or did before.
    pub(super) fn is_ours(&self) -> bool {
        !self.handed_over && self.withheld.is_none()
    }

    /// Writes what follows for the words of the host, if they are ours; if not yet, then. Fresh instances begin so where they are
    /// probed, and are what is said, or what is known of them.
    pub(super) fn follow(
        &mut self,
        effects: Effects,
        (begins, said): (Standing, Option<Described>),
        now: Duration,
    ) {
        for Gone { slot, generation, .. } in &effects.gone {
            self.drains.remove((*slot, *generation));
            self.health.leave(*slot, *generation);
        }
        let begun = effects.given.iter().map(|one| (one.slot, one.generation)).collect();
        let write = Write { gone: effects.gone, begun };
        match &mut self.withheld {
            Some(withheld) => withheld.push(write),
            None => self.write(&write),
        }
        for given in effects.given {
            let name = self.health.name_of(given.service).cloned();
            let known = || name.map(|name| self.described(&name, &given.address));
            let said = said.clone().or_else(known).unwrap_or_default();
            self.join_health(&given, said, begins, now);
        }
    }

    fn join_health(&mut self, given: &Given, said: Described, begins: Standing, now: Duration) {
        let before = self.inherited.remove(&(given.slot, given.generation));
        let words = Words::new(&self.cells, self.withheld.is_none());
        self.health.join(given, said, begins, before, now, &words);
    }

    /// The same of a change of membership, which is public with the next snapshot if it is one.
    pub(super) fn follow_membership(
        &mut self,
        effects: Effects,
        begins: (Standing, Option<Described>),
        now: Duration,
    ) {
        self.changed |= effects != Effects::default();
        self.follow(effects, begins, now);
    }

    /// Those that are gone first of all: before the next publish.
    pub(super) fn write(&mut self, write: &Write) {
        let cells = &self.cells;
        // With the permit that it may have to be set aside.
        let removed = write
            .gone
            .iter()
            .map(|gone| cells.outlier(gone.service, gone.slot, gone.generation).remove());
        let begun = write.begun.iter().map(|(slot, which)| cells.verdict(*slot).begin(*which));
        self.contradictions += removed.chain(begun).filter(Result::is_err).count() as u64;
    }

    /// The words are ours from now on.
    pub(super) fn write_withheld(&mut self) {
        let withheld = self.withheld.take().unwrap_or_default();
        withheld.iter().for_each(|write| self.write(write));
        self.health.write_all(&Words::new(&self.cells, true));
    }

    /// Takes the services of the plan, which was compiled, with what follows from that.
    pub(super) fn configure_health(&mut self, effects: Effects, now: Duration) {
        let words = Words::new(&self.cells, self.withheld.is_none());
        let (compiler, health) = (&self.compiler, &mut self.health);
        let services = compiler.plan().services.iter();
        let services =
            services.filter_map(|plan| Some((compiler.service_named(&plan.name)?, plan)));
        health.configure(services, now, &words);
        let inherits = std::mem::take(&mut self.inherits);
        let before = if inherits { self.members_but(&effects) } else { Vec::new() };
        self.follow(effects, (Standing::Trusted, None), now);
        for given in before {
            let name = self.health.name_of(given.service).cloned();
            let said = name.map(|name| self.described(&name, &given.address)).unwrap_or_default();
            self.join_health(&given, said, Standing::Trusted, now);
        }
        let compiler = &self.compiler;
        self.health.forget_others(|id| compiler.is_service(id));
    }

    /// All instances that were there before this.
    fn members_but(&self, effects: &Effects) -> Vec<Given> {
        let fresh: HashSet<_> = effects.given.iter().map(|given| given.slot).collect();
        let before = self.compiler.members().filter(|(.., one)| !fresh.contains(&one.slot));
        let before = before.filter_map(|(service, address, one)| {
            let service = self.compiler.service_named(service)?;
            let Member { slot, generation, .. } = one;
            Some(Given { slot, generation, service, address: address.clone() })
        });
        before.collect()
    }

    /// What is known of whoever is at an address.
    fn described(&self, service: &str, address: &Address) -> Described {
        self.directory.described(service, address).unwrap_or_else(|| {
            let looked_up = || {
                let member = self.compiler.member(service, address).ok()?;
                let id = self.compiler.service_named(service)?;
                self.compiler.discovered_weight(id, address).filter(|_| !member.of_file)
            };
            Described { weight: looked_up(), ..Described::default() }
        })
    }

    /// What is said of the instance at an address may be another than before, or the instance itself.
    pub(super) fn describe(&mut self, service: &str, address: &Address, now: Duration) {
        let Ok(member) = self.compiler.member(service, address) else { return };
        let said = self.described(service, address);
        let begins = if member.of_file { Standing::Trusted } else { self.begins };
        let words = Words::new(&self.cells, self.withheld.is_none());
        let which = (member.slot, member.generation);
        self.health.describe(which, said, begins, now, &words);
    }

    /// Takes what a source of instances says now, which is all of them.
    pub(super) fn discovered(
        &mut self,
        service: &str,
        source: &Source,
        instances: Vec<(Address, u32)>,
        now: Duration,
    ) -> Result<(), ChangeError> {
        let addresses: Vec<_> = instances.iter().map(|(address, _)| address.clone()).collect();
        let effects = self.compiler.discover(service, source, instances)?;
        self.follow_membership(effects, (Standing::Trusted, None), now);
        // Their weights may be others than before.
        addresses.iter().for_each(|address| self.describe(service, address, now));
        Ok(())
    }

    /// Takes in what came of probes.
    pub(super) fn probed(&mut self, results: Vec<Probed>, now: Duration) {
        let words = Words::new(&self.cells, self.withheld.is_none());
        results.into_iter().for_each(|probed| self.health.probed(probed, now, &words));
        self.follow_health(now);
    }

    /// The next probe that is to be made at `now`, if there is room for one.
    pub fn next_probe(&mut self, now: Duration) -> Option<ProbeOrder> {
        if self.is_ours() { self.health.next_probe(now) } else { None }
    }

    /// A probe that was ordered cannot be made now.
    pub fn not_probed(&mut self, order: &ProbeOrder, now: Duration) {
        self.health.not_probed(order, now);
        self.tell_held_back(now);
    }

    /// It cannot, because too many of its service are on their way.
    pub fn put_off(&mut self, order: &ProbeOrder, now: Duration) {
        self.health.put_off(order, now);
        self.tell_held_back(now);
    }

    fn tell_held_back(&mut self, now: Duration) {
        if self.held_back.is_none_or(|at| now >= at + limits::PROBE_COMPLAIN) {
            self.held_back = Some(now);
            self.notice(Notice::HeldBack(self.health.on_way()));
        }
    }

    /// Looks at what workers counted of the instances whose turn it is at `now`: requests that have ended on a slot, and those of them
    /// that failed, on all workers, each modulo 2^32.
    pub fn sample(&mut self, now: Duration, counted: impl Fn(InstanceSlot) -> (u32, u32)) {
        if self.is_ours() {
            self.health.sample(now, &Words::new(&self.cells, true), counted);
            self.follow_health(now);
        }
    }

    /// What has turned is told, and what rested on it is judged anew.
    fn follow_health(&mut self, now: Duration) {
        for Turned { service, address, turn } in self.health.take_turns() {
            let Some(name) = self.health.name_of(service).cloned() else { continue };
            if matches!(turn, Turn::Down(_) | Turn::Ejected(_) | Turn::Fails) {
                self.directory.rejudge(&name, &address, now);
            }
            // Who waits stands as before.
            if !matches!(turn, Turn::Fails | Turn::Waits(_)) {
                self.directory.tell_health(&name, &address);
            }
            // Who comes is no news for operators, and a request that fails is the worker's to tell.
            if !matches!(turn, Turn::Begins | Turn::Fails) {
                self.notice(Notice::Turned { service: name, address, turn });
            }
        }
    }

    /// Does what is due at `now`, some of it at a time: leases that are over, instances that are let in again, shares.
    pub fn tick(&mut self, now: Duration) {
        // Renewals, and the host's words, are another process's.
        if !self.is_ours() {
            return;
        }
        self.health.tick(now, &Words::new(&self.cells, true));
        self.follow_health(now);
        self.expire(now);
        self.tell_stretch();
    }

    fn expire(&mut self, now: Duration) {
        let (compiler, health) = (&self.compiler, &self.health);
        let expired =
            self.directory.expire(now, limits::LEASES_AT_ONCE, |service, address, period| {
                let Member { slot, generation, .. } = compiler.member(service, address).ok()?;
                Some(health.sign(slot, generation, period, now))
            });
        expired.notices.into_iter().for_each(|notice| self.notice(notice));
        for (service, address) in expired.gone {
            self.events.expired += 1;
            // It was there a moment ago: there is nothing to be refused.
            let aligned = self.align(&service, &address, now);
            debug_assert!(aligned.is_ok(), "{aligned:?}");
            self.notice(Notice::Expired { service, address });
        }
    }

    fn tell_stretch(&mut self) {
        let by = self.health.stretch();
        let stretched = if self.stretched { by > 1_000 } else { by >= 1_010 };
        if std::mem::replace(&mut self.stretched, stretched) != stretched {
            self.notice(match stretched {
                true => Notice::Stretched(by),
                false => Notice::StretchedNoMore,
            });
        }
    }

    /// When there is something to do next, if at `now` all was done that could be.
    pub fn next_tick(&self, now: Duration) -> Option<Duration> {
        let next = self.directory.next_expiry().into_iter().chain(self.health.next_tick(now));
        next.min().filter(|_| self.is_ours())
    }

    /// What has changed of instances since this was last asked: for those who keep or watch it.
    pub fn take_changes(&mut self) -> Vec<Changed> {
        self.directory.take_changes()
    }

    /// What an operator should know since this was last asked: at most [`limits::NOTICES_AT_ONCE`], and how many there were beyond.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        let more = std::mem::take(&mut self.untold);
        let mut notices = std::mem::take(&mut self.notices);
        notices.extend((more > 0).then_some(Notice::More(more)));
        notices
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        match self.notices.len() < limits::NOTICES_AT_ONCE {
            true => self.notices.push(notice),
            false => self.untold += 1,
        }
    }

    /// What was counted of health.
    pub fn health_counts(&self) -> Counts {
        self.health.counts()
    }

    /// Probes that are on their way, and by how much all are stretched, in thousandths.
    pub fn probes(&self) -> (usize, u64) {
        (self.health.on_way(), self.health.stretch())
    }

    /// How many services protect themselves.
    pub fn protected(&self) -> usize {
        self.directory.protected()
    }
}

/// What is to be written to the host's words.
#[derive(Debug)]
pub(super) struct Write {
    /// Instances that are gone.
    gone: Vec<Gone>,
    /// Those that are there from now on.
    begun: Vec<(InstanceSlot, u16)>,
}
