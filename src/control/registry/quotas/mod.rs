//! Quotas: how much of each day and month is granted. Pure: the clock is given, the store is told by others.
//!
//! ```text
//!  asked ─▶ entry of the key ─▶ counted as granted ─▶ kept by the store ─▶ added to the allowance ─▶ answered
//!            │ its period is over: a new one               (where there is one)
//!            └ enough is left, or all is granted: answered at once
//! ```
//!
//! - An entry counts what was granted in its period. Workers spend that from the [allowance](coregate_core::base::cells::Allowance), so it
//!   is what was spent, and at most what is left there besides.
//! - A grant is in the store before anybody may spend it. So a crash forgets no spending; it counts what was left as spent.
//! - An orderly stop takes back what is left ([`Quotas::take_back`]), and then the count is what was spent.
//! - A grant is a lease (1 % of the quota, 1 to 1,000 tokens), or as much as those want who wait at that moment.
//! - Who asks while a grant is on its way to the store waits for the next one, which is for all of them.

mod entry;
mod grants;
mod kept;
mod slots;
mod view;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use coregate_core::base::cells::Cells;
use coregate_core::base::ids::WorkerId;
use coregate_core::base::limits;
use coregate_core::base::mailbox::{Asked, Ticket};
use coregate_core::policy::period::Calendar;
use coregate_core::policy::quota::{Answer, Question};
use coregate_core::snapshot::plan::QuotaPlan;
use coregate_core::snapshot::quotas::QuotaKey;

pub use kept::KeptQuota;
pub use view::QuotasView;

use entry::Entry;
use grants::Grants;
use slots::Slots;

/// A count: a key of a quota.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// The quota's name.
    pub quota: Arc<str>,
    /// Whose count.
    pub key: QuotaKey,
}

/// An answer on its way to who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// The worker.
    pub by: WorkerId,
    /// What it knows it by.
    pub ticket: Ticket,
    /// The answer.
    pub answer: Answer,
}

/// What is counted of all this.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct QuotaCounts {
    /// Grants.
    pub grants: u64,
    /// Questions for which there was no room for one more key.
    pub full: u64,
}

/// All counts in their present periods.
#[derive(Debug)]
pub struct Quotas {
    cells: Cells,
    calendars: HashMap<Arc<str>, Calendar>,
    entries: BTreeMap<Id, Entry>,
    /// When their periods end.
    ends: BTreeSet<(u64, Id)>,
    slots: Slots,
    grants: Grants,
    touched: BTreeSet<Id>,
    answers: Vec<Answered>,
    counts: QuotaCounts,
    /// Whether another process grants: what was granted here before is added still.
    closed: bool,
}

impl Quotas {
    /// None yet; allowances lie in this table.
    pub fn new(cells: Cells) -> Self {
        Self {
            cells,
            calendars: HashMap::new(),
            entries: BTreeMap::new(),
            ends: BTreeSet::new(),
            slots: Slots::default(),
            grants: Grants::default(),
            touched: BTreeSet::new(),
            answers: Vec::new(),
            counts: QuotaCounts::default(),
            closed: false,
        }
    }

    /// The quotas are these. Counts of those that are gone are kept until their periods end: they may come again.
    pub fn configure(&mut self, plans: &[QuotaPlan]) {
        let calendars = plans.iter();
        self.calendars =
            calendars.map(|plan| (plan.name.as_str().into(), plan.calendar.clone())).collect();
        self.look_anew();
    }

    /// Limits may be others: whoever was told that all is granted asks again.
    pub fn look_anew(&self) {
        for entry in self.entries.values().filter(|entry| entry.used >= entry.limit) {
            entry.reopen(&self.cells);
        }
    }

    /// Hears a question, at `wall` in seconds of Unix time.
    pub fn ask(&mut self, asked: Asked<Question>, wall: u64) {
        let Asked { by, ticket, question } = asked;
        let id = Id { quota: question.quota, key: question.key };
        let asker = ticket.map(|ticket| (by, ticket));
        if self.closed {
            return self.answer(asker, Answer::Unavailable);
        }
        if let Err(answer) = self.enter(&id, question.limit, wall) {
            return self.answer(asker, answer);
        }
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.limit = question.limit;
        if self.grants.join(&id, asker, question.cost) {
            return;
        }
        let wanted = if asker.is_some() { question.cost } else { 0 };
        match entry.lack(wanted, &self.cells) {
            0 => {
                entry.show(&self.cells);
                let answer = Answer::Place(entry.place());
                self.answer(asker, answer);
            }
            tokens => {
                entry.used += u64::from(tokens);
                self.counts.grants += 1;
                self.touched.insert(id.clone());
                self.grants.add(id, tokens, asker);
            }
        }
    }

    /// Sees to it that there is an entry for the present period, or says why not.
    fn enter(&mut self, id: &Id, limit: u64, wall: u64) -> Result<(), Answer> {
        let calendar = self.calendars.get(&id.quota).ok_or(Answer::Unavailable)?;
        let period = calendar.at(wall);
        if let Some(entry) = self.entries.get(id) {
            // Where the clock was set back the later period goes on, so that nothing is counted twice.
            if entry.period == period || entry.period.starts > wall {
                return Ok(());
            }
            self.remove(id);
        }
        if self.entries.len() >= limits::QUOTA_KEYS {
            self.counts.full += 1;
            return Err(Answer::Full);
        }
        let slot = self.slots.give().ok_or(Answer::Full)?;
        let entry = Entry::begin(period, limit, slot, &self.cells);
        self.ends.insert((period.ends, id.clone()));
        self.entries.insert(id.clone(), entry);
        Ok(())
    }

    /// Takes a count away: what is left of it can be spent no more. Who waits for a grant finds that out, and asks again.
    fn remove(&mut self, id: &Id) -> Option<Entry> {
        let entry = self.entries.remove(id)?;
        self.ends.remove(&(entry.period.ends, id.clone()));
        entry.end(&self.cells);
        self.slots.take_back(entry.slot);
        let answer = Answer::Place(entry.place());
        for asker in self.grants.drop_of(id) {
            self.answer(Some(asker), answer);
        }
        self.touched.insert(id.clone());
        Some(entry)
    }

    /// Ends periods that are over at `wall`.
    pub fn tick(&mut self, wall: u64) {
        while let Some((_, id)) =
            self.ends.first().filter(|(ends, _)| *ends <= wall && !self.closed)
        {
            let id = id.clone();
            self.remove(&id);
        }
    }

    /// Forgets a count, as if its period had just begun; whether there was one.
    pub fn reset(&mut self, id: &Id) -> bool {
        self.remove(id).is_some()
    }

    /// All that was granted up to now is on its way to the store, as this number; none: there is no store, and it can be spent.
    pub fn handed(&mut self, number: Option<u64>) {
        self.grants.handed(number);
        while number.is_none() && self.is_granting() {
            self.settle(|_| true);
            self.grants.handed(None);
        }
    }

    /// Adds to the allowances what is settled in the store, and answers who waits for it.
    pub fn settle(&mut self, is_settled: impl Fn(u64) -> bool) {
        while let Some((id, grant)) = self.grants.next_settled(&is_settled) {
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            entry.grant(grant.tokens, &self.cells);
            let answer = Answer::Place(entry.place());
            let next = grant.late_wants();
            let may = !self.closed && !grant.late.is_empty();
            let tokens = if may { entry.lack(next, &self.cells) } else { 0 };
            entry.used += u64::from(tokens);
            let (now, later) = grant.askers(tokens > 0);
            for asker in now {
                self.answer(Some(asker), answer);
            }
            if tokens > 0 {
                self.counts.grants += 1;
                self.touched.insert(id.clone());
                self.grants.add_for(id, tokens, later);
            }
        }
    }

    fn answer(&mut self, asker: Option<(WorkerId, Ticket)>, answer: Answer) {
        if let Some((by, ticket)) = asker {
            self.answers.push(Answered { by, ticket, answer });
        }
    }

    /// Whether another process grants from now on: then nothing more is granted here, and no period ends, since that one knows
    /// nothing of it.
    pub fn close(&mut self, closed: bool) {
        self.closed = closed;
    }

    /// Another process is about to grant: what can be spent until it does is granted now, to each that spends.
    pub fn fill_up(&mut self) {
        let Self { entries, grants, cells, touched, counts, .. } = self;
        for (id, entry) in entries.iter_mut().filter(|(_, entry)| entry.used > 0) {
            let reserve = entry.limit / limits::QUOTA_RESERVE_SHARE;
            let reserve = reserve.clamp(1, limits::QUOTA_LEASE) as u32;
            let tokens = entry.lack(reserve, cells);
            if tokens > 0 && !grants.join(id, None, 0) {
                entry.used += u64::from(tokens);
                counts.grants += 1;
                touched.insert(id.clone());
                grants.add(id.clone(), tokens, None);
            }
        }
    }

    /// The process ends: what is left in the allowances can be spent no more, and does not count as granted.
    pub fn take_back(&mut self) {
        let Self { grants, entries, .. } = self;
        let waiting = grants.drop_all(|id, tokens| {
            if let Some(entry) = entries.get_mut(id) {
                entry.used -= u64::from(tokens);
            }
        });
        for asker in waiting {
            self.answer(Some(asker), Answer::Unavailable);
        }
        for (id, entry) in &mut self.entries {
            let left = entry.end(&self.cells);
            entry.used -= u64::from(left);
            self.touched.insert(id.clone());
        }
        self.closed = true;
    }

    /// The answers since this was last asked.
    pub fn take_answers(&mut self) -> Vec<Answered> {
        std::mem::take(&mut self.answers)
    }

    /// The counts that have changed since this was last asked.
    pub fn take_touched(&mut self) -> BTreeSet<Id> {
        std::mem::take(&mut self.touched)
    }

    /// Whether some grant is on its way.
    pub fn is_granting(&self) -> bool {
        !self.grants.is_empty()
    }

    /// What is counted.
    pub fn counts(&self) -> QuotaCounts {
        self.counts
    }

    /// How many counts there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
