//! What workers counted, looked at in rounds: each slot once every [`limits::SAMPLE_EVERY`], some at a time.

use std::time::Duration;

use coregate_core::base::cells::Mark;
use coregate_core::base::ids::InstanceSlot;
use coregate_core::base::limits;
use coregate_core::snapshot::services::Ejecting;

use super::words::Words;
use super::{Health, Turn};

/// Where a round is.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// The slot that is looked at next.
    at: usize,
    /// When this round began.
    began: Duration,
    /// When it goes on, or the next begins.
    next: Duration,
}

impl Health {
    /// Looks at the instances whose turn it is at `now`. `counted`: requests that have ended on a slot, and those of them that failed,
    /// on all workers, each modulo 2^32.
    pub fn sample(
        &mut self,
        now: Duration,
        words: &Words<'_>,
        counted: impl Fn(InstanceSlot) -> (u32, u32),
    ) {
        if now < self.sweep.next || !words.are_ours() {
            return;
        }
        if self.sweep.at == 0 {
            self.sweep.began = now;
        }
        let end = self.entries.len().min(self.sweep.at + limits::SAMPLE_AT_ONCE);
        for slot in self.sweep.at..end {
            self.look_at(slot as u32, now, words, &counted);
        }
        let is_over = end == self.entries.len();
        let Sweep { at, began, next } = &mut self.sweep;
        (*at, *next) = match is_over {
            true => (0, *began + limits::SAMPLE_EVERY),
            false => (end, now + limits::PROBE_STEP),
        };
    }

    /// When the next are looked at; none: there is nobody.
    pub(super) fn next_sample(&self) -> Option<Duration> {
        (self.members > 0).then_some(self.sweep.next)
    }

    fn look_at(
        &mut self,
        slot: u32,
        now: Duration,
        words: &Words<'_>,
        counted: impl Fn(InstanceSlot) -> (u32, u32),
    ) {
        let Self { entries, groups, turns, .. } = self;
        let Some(entry) = entries.get_mut(slot as usize).and_then(Option::as_deref_mut) else {
            return;
        };
        let Some(word) = words.load(entry) else { return };
        let counted = counted(entry.slot);
        // Most of a hundred thousand: nothing came to it, and nothing is held against it.
        if entry.traffic.is_quiet(counted) && !word.has(Mark::Ejected) {
            return;
        }
        let Some(group) = groups.get(&entry.service) else { return };
        let failed = entry.traffic.fails;
        entry.traffic.sampled(now, counted, word.failures(), &group.outlier);
        if entry.traffic.fails && !failed {
            let turned = entry.turned(Turn::Fails);
            turns.push(turned);
        }
        match (word.has(Mark::Ejected), entry.traffic.until.is_some()) {
            // The terms were others when it was set aside.
            (true, _) if group.ejects_nobody() => self.readmit(slot, now, words),
            (true, false) => self.ejected(slot, now),
            (false, true) => self.readmit(slot, now, words),
            (true, true) => {}
            (false, false) => self.judge_rate(slot, now, words),
        }
    }

    /// Sets an instance aside if too large a share of its requests failed.
    fn judge_rate(&mut self, slot: u32, now: Duration, words: &Words<'_>) {
        let Some(entry) = self.at(slot) else { return };
        let Some(group) = self.groups.get(&entry.service) else { return };
        let Some(rate) = &group.outlier.rate else { return };
        let most = Ejecting::new(&group.outlier).most(group.count());
        if entry.traffic.fails_too_often(now, rate) && words.eject(entry, most) {
            self.ejected(slot, now);
        }
    }

    /// Its word says that it is set aside.
    fn ejected(&mut self, slot: u32, now: Duration) {
        let Self { entries, groups, turns, readmissions, counts, .. } = self;
        let Some(entry) = entries.get_mut(slot as usize).and_then(Option::as_deref_mut) else {
            return;
        };
        let Some(group) = groups.get(&entry.service) else { return };
        let until = entry.traffic.ejected(now, &group.outlier);
        readmissions.insert((until, slot));
        (counts.ejected, counts.ejections) = (counts.ejected + 1, counts.ejections + 1);
        turns.push(entry.turned(Turn::Ejected(until.saturating_sub(now))));
    }

    /// It is let in again, and recovers.
    pub(super) fn readmit(&mut self, slot: u32, now: Duration, words: &Words<'_>) {
        if !self.readmit_quietly(slot, now, words) {
            return;
        }
        self.recover(slot, now, words);
        let turned = self.at(slot).map(|entry| entry.turned(Turn::Readmitted));
        self.turns.extend(turned);
    }

    /// It is let in again, if it was set aside; whether it was.
    pub(super) fn readmit_quietly(&mut self, slot: u32, now: Duration, words: &Words<'_>) -> bool {
        let Some(entry) = self.entries.get_mut(slot as usize).and_then(Option::as_deref_mut) else {
            return false;
        };
        // Before the word is: a worker may set it aside again at once.
        let until = entry.traffic.until;
        entry.traffic.readmitted(now);
        words.readmit(entry);
        let Some(until) = until else { return false };
        self.readmissions.remove(&(until, slot));
        self.counts.ejected -= 1;
        true
    }
}
