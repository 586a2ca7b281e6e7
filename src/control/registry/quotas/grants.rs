//! Grants on their way: counted, and not in the store yet. One a key at a time.

use std::collections::{HashMap, VecDeque};

use coregate_core::base::ids::WorkerId;
use coregate_core::base::limits;
use coregate_core::base::mailbox::Ticket;

use super::Id;

/// Who waits.
pub(super) type Asker = (WorkerId, Ticket);

/// A grant.
#[derive(Debug, Default)]
pub(super) struct Grant {
    number: u64,
    /// How much.
    pub(super) tokens: u32,
    waiting: Vec<Asker>,
    /// Who asked after it was made, and how much each wants.
    pub(super) late: Vec<(Asker, u32)>,
}

/// All of them, in the order in which they reach the store.
#[derive(Debug, Default)]
pub(super) struct Grants {
    by_id: HashMap<Id, Grant>,
    /// The number of the grant that was made last.
    last: u64,
    /// Those that are not handed to the store yet: their numbers, and whose they are.
    fresh: Vec<(u64, Id)>,
    /// Those that are, behind the store's number.
    handed: VecDeque<(u64, u64, Id)>,
}

impl Grant {
    /// What those want together who asked after it was made.
    pub(super) fn late_wants(&self) -> u32 {
        self.late.iter().fold(0, |sum: u32, (_, cost)| sum.saturating_add(*cost))
    }

    /// Who is answered now, and who waits for another grant, if there is one.
    pub(super) fn askers(self, another: bool) -> (Vec<Asker>, Vec<Asker>) {
        let Self { mut waiting, late, .. } = self;
        let late: Vec<_> = late.into_iter().map(|(asker, _)| asker).collect();
        if another {
            return (waiting, late);
        }
        waiting.extend(late);
        (waiting, Vec::new())
    }
}

impl Grants {
    /// Lets somebody wait for what comes after the grant of a key; `false`: none is on its way.
    pub(super) fn join(&mut self, id: &Id, asker: Option<Asker>, cost: u32) -> bool {
        let Some(grant) = self.by_id.get_mut(id) else { return false };
        // Those that there is no room for find out in time that nobody answers.
        if let Some(asker) = asker.filter(|_| grant.late.len() < limits::DESK_QUESTIONS) {
            grant.late.push((asker, cost));
        }
        true
    }

    /// One more grant, for at most one who waits.
    pub(super) fn add(&mut self, id: Id, tokens: u32, asker: Option<Asker>) {
        self.add_for(id, tokens, asker.into_iter().collect());
    }

    /// One more grant, for these.
    pub(super) fn add_for(&mut self, id: Id, tokens: u32, waiting: Vec<Asker>) {
        self.last += 1;
        let number = self.last;
        self.fresh.push((number, id.clone()));
        self.by_id.insert(id, Grant { number, tokens, waiting, late: Vec::new() });
    }

    /// All up to now are on their way, as this number; none: they are there.
    pub(super) fn handed(&mut self, number: Option<u64>) {
        let stored = number.unwrap_or(0);
        self.handed.extend(self.fresh.drain(..).map(|(number, id)| (stored, number, id)));
    }

    /// The next one that is there.
    pub(super) fn next_settled(&mut self, is_settled: impl Fn(u64) -> bool) -> Option<(Id, Grant)> {
        loop {
            let (_, number, id) = self.handed.pop_front_if(|(stored, _, _)| is_settled(*stored))?;
            // Its count may have been taken away meanwhile, and come again with a grant of its own.
            if self.by_id.get(&id).is_some_and(|grant| grant.number == number)
                && let Some(grant) = self.by_id.remove(&id)
            {
                return Some((id, grant));
            }
        }
    }

    /// Takes away the grant of a key. Gives who waits for it.
    pub(super) fn drop_of(&mut self, id: &Id) -> Vec<Asker> {
        self.by_id.remove(id).map(|grant| grant.askers(false).0).unwrap_or_default()
    }

    /// Takes all away, each being told to `each`. Gives who waits for any.
    pub(super) fn drop_all(&mut self, mut each: impl FnMut(&Id, u32)) -> Vec<Asker> {
        self.fresh.clear();
        self.handed.clear();
        let all = self.by_id.drain();
        all.flat_map(|(id, grant)| {
            each(&id, grant.tokens);
            grant.askers(false).0
        })
        .collect()
    }

    /// How much is on its way for a key.
    pub(super) fn tokens_of(&self, id: &Id) -> u32 {
        self.by_id.get(id).map_or(0, |grant| grant.tokens)
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}
