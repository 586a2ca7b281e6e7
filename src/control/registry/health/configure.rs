//! Which instances there are, and what is asked of them: of the file, of registrations, of who speaks for them.

use std::sync::Arc;
use std::time::Duration;

use coregate_core::base::ids::{InstanceSlot, ServiceId};
use coregate_core::snapshot::compile::Given;
use coregate_core::snapshot::plan::{HealthCheck, ServicePlan};

use super::entry::Entry;
use super::group::Group;
use super::keep::KeptHealth;
use super::probes::{Probing, Turn as Round};
use super::traffic::Traffic;
use super::words::Words;
use super::{Counts, Described, Health, Standing};

impl Health {
    /// The services are these, on these terms; their instances come and go apart from that.
    pub fn configure<'p>(
        &mut self,
        services: impl Iterator<Item = (ServiceId, &'p ServicePlan)>,
        now: Duration,
        words: &Words<'_>,
    ) {
        for (id, plan) in services {
            let group = self.groups.entry(id).or_insert_with(|| Group::new(plan));
            if !group.follow(plan) {
                continue;
            }
            let slots: Vec<_> = group.slots_from(0).collect();
            for slot in slots {
                let Some(entry) = self.at(slot) else { continue };
                if entry.said_weight.is_none() {
                    let weight =
                        self.groups.get(&id).map_or(1, |one| one.weight_of(&entry.address));
                    self.set_weight(slot, weight, now, words);
                }
                self.set_check(slot, Standing::Trusted, now, words);
            }
        }
    }

    /// Forgets services that are not in the plan; their instances were told to be gone.
    pub fn forget_others(&mut self, is_there: impl Fn(ServiceId) -> bool) {
        self.groups.retain(|id, group| group.count() > 0 || is_there(*id));
    }

    /// An instance is there from now on, which begins so where it is probed. `before`: what another process knew of it.
    pub fn join(
        &mut self,
        given: &Given,
        said: Described,
        begins: Standing,
        before: Option<KeptHealth>,
        now: Duration,
        words: &Words<'_>,
    ) {
        let Given { slot, generation, service, ref address } = *given;
        let Some(group) = self.groups.get_mut(&service) else {
            debug_assert!(false, "the service of an instance stands in the plan");
            return;
        };
        let weight = said.weight.unwrap_or_else(|| group.weight_of(address));
        group.enter(slot.0);
        if said.id.is_none() {
            group.set_plain(address, slot.0, true);
        }
        if group.weigh(weight) {
            self.set_uneven(service);
        }
        let entry = Entry {
            slot,
            generation,
            service,
            address: address.clone(),
            id: said.id,
            weight,
            said_weight: said.weight,
            held: false,
            own_check: said.check,
            probing: None,
            traffic: Traffic::default(),
            recovers: None,
            raised_at: None,
            share: 0,
        };
        if self.entries.len() <= slot.index() {
            self.entries.resize_with(slot.index() + 1, || None);
        }
        let was_there = self.entries[slot.index()].replace(Box::new(entry)).is_some();
        debug_assert!(!was_there, "who had the slot before is gone");
        self.members += 1;
        self.change_entry(slot.0, words, |entry| entry.held = said.held);
        self.set_check(slot.0, begins, now, words);
        if let Some(kept) = before {
            self.resume(slot.0, &kept, now, words);
        }
        self.write_share(slot.0, now, words);
    }

    /// An instance is there no more.
    pub fn leave(&mut self, slot: InstanceSlot, generation: u16) {
        if self.entry(slot, generation).is_none() {
            return;
        }
        let Some(entry) = self.entries[slot.index()].take() else { return };
        self.members -= 1;
        self.counts.down -= u64::from(!entry.is_up());
        if let Some(probing) = &entry.probing {
            self.forget_probing(slot.0, probing);
        }
        if let Some(at) = entry.traffic.until {
            self.readmissions.remove(&(at, slot.0));
            self.counts.ejected -= 1;
        }
        if let Some(at) = entry.raised_at {
            self.recoveries.remove(&(at, slot.0));
        }
        if let Some(group) = self.groups.get_mut(&entry.service) {
            group.leave(slot.0);
            if entry.id.is_none() {
                group.set_plain(&entry.address, slot.0, false);
            }
            if group.unweigh(entry.weight) {
                self.set_uneven(entry.service);
            }
        }
    }

    /// What is said of an instance is this from now on. `begins`: how another one begins, if it is another.
    pub fn describe(
        &mut self,
        (slot, generation): (InstanceSlot, u16),
        said: Described,
        begins: Standing,
        now: Duration,
        words: &Words<'_>,
    ) {
        let Self { entries, groups, .. } = self;
        let entry = entries.get_mut(slot.index()).and_then(Option::as_deref_mut);
        let Some(entry) = entry.filter(|entry| entry.generation == generation) else { return };
        let Some(group) = groups.get_mut(&entry.service) else { return };
        let claimed = entry.id.is_some() && said.id.is_some() && entry.id != said.id;
        let (was_plain, plain) = (entry.id.is_none(), said.id.is_none());
        if was_plain != plain {
            group.set_plain(&entry.address, slot.0, plain);
        }
        let weight = said.weight.unwrap_or_else(|| group.weight_of(&entry.address));
        (entry.id, entry.own_check, entry.said_weight) = (said.id, said.check, said.weight);
        self.change_entry(slot.0, words, |entry| entry.held = said.held);
        self.set_weight(slot.0, weight, now, words);
        self.set_check(slot.0, Standing::Trusted, now, words);
        if claimed {
            self.begin_anew(slot.0, begins, now, words);
        }
    }

    fn set_weight(&mut self, slot: u32, weight: u32, now: Duration, words: &Words<'_>) {
        let Some(entry) = self.entries.get_mut(slot as usize).and_then(Option::as_deref_mut) else {
            return;
        };
        let before = std::mem::replace(&mut entry.weight, weight);
        let service = entry.service;
        if before == weight {
            return;
        }
        if let Some(group) = self.groups.get_mut(&service) {
            let lighter = group.unweigh(before);
            if group.weigh(weight) || lighter {
                self.set_uneven(service);
            }
        }
        self.write_share(slot, now, words);
    }

    /// What is asked of it is what it brought, or what its service says; `begins`: how it stands if nothing was asked before.
    fn set_check(&mut self, slot: u32, begins: Standing, now: Duration, words: &Words<'_>) {
        let Some(entry) = self.at(slot) else { return };
        let group = self.groups.get(&entry.service);
        let check =
            entry.own_check.as_ref().or(group.and_then(|group| group.check.as_ref())).cloned();
        match (&entry.probing, check) {
            (Some(probing), Some(check)) if probing.check == check => {}
            (Some(_), Some(check)) => self.change_check(slot, check, now),
            (None, Some(check)) => self.begin_check(slot, check, begins, now, words),
            (Some(_), None) => self.end_check(slot, words),
            (None, None) => {}
        }
    }

    fn begin_check(
        &mut self,
        slot: u32,
        check: Arc<HealthCheck>,
        begins: Standing,
        now: Duration,
        words: &Words<'_>,
    ) {
        let at = self.first_probe(slot, &check, begins, now);
        let place = self.schedule.put(at, slot);
        self.schedule.enter(check.every);
        self.counts.probed += 1;
        self.change_entry(slot, words, |entry| {
            entry.probing = Some(Box::new(Probing::new(check, begins, place)));
        });
    }

    /// When the first probe of an instance comes.
    fn first_probe(
        &mut self,
        slot: u32,
        check: &HealthCheck,
        begins: Standing,
        now: Duration,
    ) -> Duration {
        if begins == Standing::New {
            return now;
        }
        let service = self.at(slot).map(|entry| entry.service);
        let group = service.and_then(|service| self.groups.get_mut(&service));
        let number = group.map_or(0, Group::number);
        now + self.schedule.stagger(check.every, number)
    }

    fn change_check(&mut self, slot: u32, check: Arc<HealthCheck>, now: Duration) {
        let Some(entry) = self.at(slot) else { return };
        let Some(standing) = entry.probing.as_ref().map(|probing| probing.standing) else { return };
        let at = self.first_probe(slot, &check, standing, now);
        let Self { entries, schedule, .. } = self;
        let entry = entries.get_mut(slot as usize).and_then(Option::as_deref_mut);
        let Some(probing) = entry.and_then(|entry| entry.probing.as_deref_mut()) else { return };
        schedule.leave(probing.check.every);
        schedule.enter(check.every);
        probing.check = check;
        if probing.turn == Round::Waiting {
            schedule.take(probing.place, slot);
            probing.place = schedule.put(at, slot);
        }
    }

    fn end_check(&mut self, slot: u32, words: &Words<'_>) {
        let mut ended = None;
        self.change_entry(slot, words, |entry| ended = entry.probing.take());
        if let Some(probing) = ended {
            self.forget_probing(slot, &probing);
        }
    }

    fn forget_probing(&mut self, slot: u32, probing: &Probing) {
        self.schedule.take(probing.place, slot);
        self.schedule.leave(probing.check.every);
        if matches!(probing.turn, Round::OnWay(_)) {
            self.schedule.back();
        }
        self.counts.probed -= 1;
    }

    /// Somebody else is at its address.
    fn begin_anew(&mut self, slot: u32, begins: Standing, now: Duration, words: &Words<'_>) {
        self.readmit_quietly(slot, now, words);
        let Self { entries, schedule, recoveries, .. } = self;
        let Some(entry) = entries.get_mut(slot as usize).and_then(Option::as_deref_mut) else {
            return;
        };
        entry.traffic.forget();
        entry.recovers = None;
        if let Some(at) = entry.raised_at.take() {
            recoveries.remove(&(at, slot));
        }
        let waits = entry.probing.as_ref().is_some_and(|probing| probing.turn == Round::Waiting);
        if let Some(probing) = entry.probing.as_deref_mut() {
            probing.stale = !waits;
            if waits {
                schedule.take(probing.place, slot);
                probing.place = schedule.put(now, slot);
            }
        }
        self.change_entry(slot, words, |entry| {
            if let Some(probing) = entry.probing.as_deref_mut() {
                (probing.standing, probing.last) = (begins, None);
                probing.transitions.clear();
            }
        });
        self.write_share(slot, now, words);
    }

    /// Changes an entry, and its word if it is up otherwise than before; whether that is so.
    pub(super) fn change_entry(
        &mut self,
        slot: u32,
        words: &Words<'_>,
        change: impl FnOnce(&mut Entry),
    ) -> bool {
        let Self { entries, counts, .. } = self;
        let Some(entry) = entries.get_mut(slot as usize).and_then(Option::as_deref_mut) else {
            return false;
        };
        let before = entry.is_up();
        change(entry);
        let is_up = entry.is_up();
        if before != is_up {
            words.set_down(entry);
            let Counts { down, .. } = counts;
            *down = if is_up { *down - 1 } else { *down + 1 };
        }
        before != is_up
    }
}
