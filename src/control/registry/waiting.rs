//! Who waits for an answer: until what was asked is public, and where it is kept, until it is in the store.
//!
//! ```text
//!  applied ─▶ unpublished ─▶ published: answered, or ─▶ unsettled ─▶ its batch is settled: answered
//!  an upgrade is under way: ─▶ aside ─▶ taken back: applied   or gone on: refused
//! ```

use std::collections::VecDeque;
use std::time::Instant;

use coregate_core::base::limits;

use crate::registry::keep::Keeper;
use crate::registry::log::{Command, Detail, Outcome, Proposal, Refused, Then};

/// Commands that were applied, or wait for that, and whose proposers wait.
#[derive(Debug, Default)]
pub struct Waiting {
    unpublished: Vec<Applied>,
    unsettled: VecDeque<Applied>,
    /// Until which time the store is to be closed, if it is.
    closing: Option<Instant>,
    /// What came while an upgrade is under way; none: there is none.
    aside: Option<VecDeque<(u64, Proposal)>>,
}

/// A command that was applied.
#[derive(Debug)]
struct Applied {
    then: Then,
    index: u64,
    detail: Detail,
    until: Until,
}

/// What it waits for, besides being public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// Nothing.
    Public,
    /// The batch that this round will have.
    ThisRound,
    /// This number of the store.
    Settled(u64),
}

impl Waiting {
    /// Whether so many wait for the store that no more may.
    pub fn is_full(&self) -> bool {
        self.unsettled.len() >= limits::PROPOSALS
    }

    /// Waits for what follows from a command. `kept`: until that is in the store.
    pub fn add(&mut self, then: Then, index: u64, detail: Detail, kept: bool) {
        let until = if kept { Until::ThisRound } else { Until::Public };
        self.unpublished.push(Applied { then, index, detail, until });
    }

    /// All that a round changed is on its way to the store.
    pub fn handed(&mut self, keeper: Option<&Keeper>) {
        let until = keeper.map_or(Until::Public, |keeper| Until::Settled(keeper.last()));
        let own = self.unpublished.iter_mut().filter(|one| one.until == Until::ThisRound);
        own.for_each(|one| one.until = until);
    }

    /// All that was applied is public, as this generation.
    pub fn published(&mut self, generation: u64, keeper: Option<&Keeper>) {
        for one in self.unpublished.drain(..) {
            match one.until {
                Until::Public | Until::ThisRound => one.answer(generation, keeper),
                Until::Settled(_) => self.unsettled.push_back(one),
            }
        }
    }

    /// Answers those whose changes are settled.
    pub fn settled(&mut self, generation: u64, keeper: Option<&Keeper>) {
        let is_settled = |number| keeper.is_none_or(|keeper| keeper.progress().is_settled(number));
        let is_due = |one: &mut Applied| match one.until {
            Until::Settled(number) => is_settled(number),
            Until::Public | Until::ThisRound => true,
        };
        while let Some(one) = self.unsettled.pop_front_if(is_due) {
            if matches!(one.detail, Detail::HandedOver(_)) {
                self.closing = None;
            }
            one.answer(generation, keeper);
        }
    }

    /// Another process is to go on: what comes now is put aside. `now`: the store, if there is one, is being closed for it.
    pub fn hand_over(&mut self, now: Option<Instant>) {
        self.closing = now.map(|now| now + limits::STORE_CLOSE);
        self.aside = Some(VecDeque::new());
    }

    /// Whether that takes too long: then whoever waits for it is refused.
    pub fn is_stuck(&mut self, now: Instant) -> bool {
        if self.closing.take_if(|until| *until <= now).is_none() {
            return false;
        }
        let is_it = |one: &Applied| matches!(one.detail, Detail::HandedOver(_));
        if let Some(at) = self.unsettled.iter().position(is_it)
            && let Some(one) = self.unsettled.remove(at)
        {
            one.then.answer(Err(Refused::StoreBusy));
        }
        true
    }

    /// Puts a proposal aside if it has to wait for the end of an upgrade, and there is room; else it is given back.
    pub fn put_aside(&mut self, index: u64, proposal: Proposal) -> Option<Proposal> {
        match &mut self.aside {
            Some(aside) if proposal.command.can_wait() && aside.len() < limits::PROPOSALS => {
                aside.push_back((index, proposal));
                None
            }
            Some(_) | None => Some(proposal),
        }
    }

    /// The upgrade has come to its end: what was put aside, in order.
    pub fn take_aside(&mut self) -> VecDeque<(u64, Proposal)> {
        self.closing = None;
        self.aside.take().unwrap_or_default()
    }
}

impl Applied {
    fn answer(self, generation: u64, keeper: Option<&Keeper>) {
        let Self { then, index, mut detail, until } = self;
        let durable = || {
            keeper.is_some_and(|keeper| match until {
                Until::Settled(number) => keeper.progress().is_durable(number),
                Until::Public | Until::ThisRound => keeper.progress().is_well(),
            })
        };
        match &mut detail {
            Detail::Ordered(ordered) => ordered.durable = durable(),
            Detail::Consumer(ordered) => ordered.durable = durable(),
            Detail::Reset { durable: said, .. } => *said = durable(),
            Detail::OrderedAll(results) => {
                let durable = durable();
                results.iter_mut().flatten().for_each(|ordered| ordered.durable = durable);
            }
            Detail::Operated { durable: said, .. } | Detail::Changed { durable: said, .. } => {
                *said = *said && durable();
            }
            _ => {}
        }
        then.answer(Ok(Outcome { index, generation, detail }));
    }
}

/// What an upgrade does to those who wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing.
    None,
    /// It begins.
    HandOver,
    /// It has come to nothing.
    TakeBack,
    /// It is done.
    Leave,
}

impl Turn {
    /// What a command does.
    pub fn of(command: &Command) -> Self {
        match command {
            Command::HandOver => Self::HandOver,
            Command::TakeBack => Self::TakeBack,
            Command::Leave => Self::Leave,
            _ => Self::None,
        }
    }
}
