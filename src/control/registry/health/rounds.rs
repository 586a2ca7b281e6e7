//! Probes: ordered when they are due, and what came of them.

use std::sync::Arc;
use std::time::Duration;

use coregate_core::base::limits;

use super::probes::{Found, Standing, Turn as Round};
use super::words::Words;
use super::{Health, Turn};
use crate::registry::probe::{Finding, ProbeOrder, Probed};

impl Health {
    /// The next probe that is to be made at `now`, if there is room for one.
    pub fn next_probe(&mut self, now: Duration) -> Option<ProbeOrder> {
        loop {
            let slot = self.schedule.due(now)?;
            let Self { entries, schedule, counts, .. } = self;
            let entry = entries.get_mut(slot as usize).and_then(Option::as_deref_mut)?;
            let probing = entry.probing.as_deref_mut()?;
            if matches!(probing.turn, Round::OnWay(_)) {
                // Nothing came of it, and nothing will: it is made again.
                schedule.back();
                schedule.take(probing.place, slot);
                probing.place = schedule.put(now, slot);
                (probing.turn, probing.stale) = (Round::Waiting, false);
                counts.lost += 1;
                continue;
            }
            if !schedule.spend(now) {
                return None;
            }
            schedule.take(probing.place, slot);
            probing.place = schedule.put(now + probing.check.timeout + limits::PROBE_LOST, slot);
            probing.turn = Round::OnWay(now);
            return Some(ProbeOrder {
                service: entry.service,
                slot: entry.slot,
                generation: entry.generation,
                address: entry.address.clone(),
                id: entry.id.clone(),
                check: Arc::clone(&probing.check),
            });
        }
    }

    /// A probe that was ordered is not made now: there was no room for it.
    pub fn not_probed(&mut self, order: &ProbeOrder, now: Duration) {
        self.schedule.refund();
        self.come_back(order.slot.0, order.generation, now + limits::PROBE_STEP);
    }

    /// As [`not_probed`](Self::not_probed), because too many of its service are on their way: there are as many that wait, and they
    /// are not to be looked at over and over.
    pub fn put_off(&mut self, order: &ProbeOrder, now: Duration) {
        self.schedule.refund();
        let later = self.schedule.interval(order.check.every) / 4;
        self.come_back(order.slot.0, order.generation, now + later.max(limits::PROBE_STEP));
    }

    /// It is on its way no more, and the next is made at `at`; whether it was, and of whom it tells.
    fn come_back(&mut self, slot: u32, generation: u16, at: Duration) -> Option<Origin> {
        let Self { entries, schedule, .. } = self;
        let entry = entries.get_mut(slot as usize).and_then(Option::as_deref_mut)?;
        let probing = entry.probing.as_deref_mut().filter(|_| entry.generation == generation)?;
        let Round::OnWay(ordered) = probing.turn else { return None };
        schedule.back();
        schedule.take(probing.place, slot);
        probing.place = schedule.put(at, slot);
        probing.turn = Round::Waiting;
        Some(if std::mem::take(&mut probing.stale) { Origin::Other } else { Origin::Own(ordered) })
    }

    /// What came of a probe, at `now`. What is late, or speaks of another instance, counts for nobody.
    pub fn probed(&mut self, probed: Probed, now: Duration, words: &Words<'_>) {
        let Probed { slot, generation, finding, took } = probed;
        // At once, if it told of somebody else.
        let Some(Origin::Own(ordered)) = self.come_back(slot.0, generation, now) else { return };
        match &finding {
            Finding::Passed => self.counts.passed += 1,
            Finding::Warned => self.counts.warned += 1,
            Finding::Failed(_) => self.counts.failed += 1,
        }
        self.go_on(slot.0, ordered, now);
        let reason = match &finding {
            Finding::Failed(reason) => reason.clone(),
            Finding::Passed | Finding::Warned => Box::default(),
        };
        let (mut before, mut failed_before) = (Standing::New, false);
        let turned = self.change_entry(slot.0, words, |entry| {
            if let Some(probing) = entry.probing.as_deref_mut() {
                before = probing.standing;
                let last = probing.last.as_ref();
                failed_before = last.is_some_and(|last| matches!(last.finding, Finding::Failed(_)));
                probing.found(Found { at: now, took, finding });
            }
        });
        let Some(entry) = self.at(slot.0) else { return };
        if !turned {
            // Once, and not at each of them: who registered it wonders why nothing comes.
            if before == Standing::New && !failed_before && !reason.is_empty() {
                let turned = entry.turned(Turn::Waits(reason));
                self.turns.push(turned);
            }
            return;
        }
        let turn = match (entry.is_up(), before) {
            (true, Standing::New) => Turn::Begins,
            (true, _) => Turn::Up,
            (false, _) => Turn::Down(reason),
        };
        let turned = entry.turned(turn);
        self.turns.push(turned);
        // Who is new has nothing to recover from.
        if matches!(before, Standing::Down(_)) {
            self.recover(slot.0, now, words);
        }
    }

    /// Puts the next probe where it belongs, after one that was ordered then.
    fn go_on(&mut self, slot: u32, ordered: Duration, now: Duration) {
        let Self { entries, schedule, .. } = self;
        let entry = entries.get_mut(slot as usize).and_then(Option::as_deref_mut);
        let Some(probing) = entry.and_then(|entry| entry.probing.as_deref_mut()) else { return };
        let every = probing.check.every;
        let first = probing.last.is_none() && probing.standing == Standing::New;
        let interval = if first { schedule.spread(every) } else { schedule.interval(every) };
        schedule.take(probing.place, slot);
        probing.place = schedule.put((ordered + interval).max(now), slot);
    }
}

/// Whom a probe tells of.
enum Origin {
    /// The instance, and when it was ordered.
    Own(Duration),
    /// Somebody who was at its address before.
    Other,
}
