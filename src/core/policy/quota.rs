//! Quotas: whether a request is within its day or month, and what it takes of it.
//!
//! ```text
//!  request ─▶ place of its key, if the worker knows it ─▶ takes from the allowance ─▶ goes on
//!               │ unknown, or its period is over              │ nothing left
//!               └────────────▶ asks control, which grants ◀───┘         half of a lease left: asked ahead, nobody waits
//! ```
//!
//! Control counts what it grants; workers spend it from words that they share ([`Allowance`]). A place is
//! where that word is: a slot, and the stamp of its use. It comes from control with an answer, and is of no use once the word has
//! another stamp.

use std::cell::RefCell;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::base::cells::{Allowance, Cells, Taken};
use crate::base::ids::QuotaSlot;
use crate::base::limits;
use crate::base::time::{Span, Tick};
use crate::snapshot::consumers::Consumer;
use crate::snapshot::plan::QuotaPer;
use crate::snapshot::quotas::{Quota, QuotaKey};

/// What tells whose count a request is of.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'r> {
    /// Who calls, once that is known.
    pub consumer: Option<&'r Consumer>,
    /// The name of the route.
    pub route: &'r str,
    /// The name of the service; empty: it has none.
    pub service: &'r str,
}

/// What control is asked: where the allowance of a key is, and for more of it if that is to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The quota.
    pub quota: Arc<str>,
    /// Whose count.
    pub key: QuotaKey,
    /// How much it allows.
    pub limit: u64,
    /// How many tokens are wanted at once.
    pub cost: u32,
}

/// How a count stands, for those who look; nothing is taken of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// How much it allows in the period.
    pub limit: u64,
    /// Tokens that were granted: a crash counts them all as spent.
    pub granted: u64,
    /// Tokens that can still be spent in the period, granted or not.
    pub left: u64,
    /// When the period began, in seconds of Unix time.
    pub starts: u64,
    /// When it ends.
    pub ends: u64,
    /// Whether a request would be let in now. Not, though enough is left, where there is no room for one more count.
    pub admits: bool,
}

/// What control answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// There it is; whether there is something left is said by the word itself.
    Place(Place),
    /// Too many keys have counts at present: none for this one.
    Full,
    /// Nothing can be granted at present: another process goes on, or the quota is not there any more.
    Unavailable,
}

/// Where an allowance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The slot.
    pub slot: QuotaSlot,
    /// Which use of it.
    pub stamp: u32,
    /// When its period ends, in seconds of Unix time.
    pub ends: u64,
    /// How much is granted at a time.
    pub lease: u32,
}

/// What was taken; to be given back if the request is refused after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    slot: QuotaSlot,
    stamp: u32,
    tokens: u32,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawn {
    /// It has what it costs.
    Taken {
        /// What it took.
        held: Held,
        /// Whether control is to be asked for more by now, without waiting.
        ask: bool,
    },
    /// Nothing is left until this time, in seconds of Unix time.
    Spent {
        /// When the period ends.
        ends: u64,
    },
    /// Control must be asked.
    Ask,
}

/// The places that a worker knows.
#[derive(Debug)]
pub struct Places {
    cells: Cells,
    known: RefCell<FxHashMap<u64, Known>>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    place: Place,
    /// When more was asked for ahead.
    asked: Option<Tick>,
}

impl Places {
    /// None yet, of allowances in this table.
    pub fn new(cells: Cells) -> Self {
        Self { cells, known: RefCell::default() }
    }

    /// Takes what a request costs. `now`: the wall clock in seconds of Unix time, and the tick.
    #[must_use = "what was not given must not be used"]
    pub fn take(&self, quota: &Quota, whose: &Whose<'_>, now: (u64, Tick)) -> Drawn {
        let key = self.key(quota, whose);
        let mut known = self.known.borrow_mut();
        let Some(Known { place, asked }) = known.get_mut(&key) else { return Drawn::Ask };
        let (wall, tick) = now;
        if wall >= place.ends {
            // Control ends the period when it is asked, at the latest.
            return Drawn::Ask;
        }
        let tokens = quota.cost;
        match self.word(place).take(place.stamp, tokens) {
            Taken::Yes { left, more } => {
                let is_low = more && left < place.lease / 2;
                let ask = is_low && asked.is_none_or(|at| tick.since(at) >= AHEAD);
                if ask {
                    *asked = Some(tick);
                }
                Drawn::Taken { held: Held { slot: place.slot, stamp: place.stamp, tokens }, ask }
            }
            Taken::Spent { .. } => Drawn::Spent { ends: place.ends },
            Taken::Empty => Drawn::Ask,
            Taken::Stale => {
                known.remove(&key);
                Drawn::Ask
            }
        }
    }

    /// Keeps where control says that the allowance of a [`key`](Self::key) is.
    pub fn learn(&self, key: u64, place: Place) {
        let mut known = self.known.borrow_mut();
        // Those that are over are told apart from others only when they are asked for: all are asked for anew.
        if known.len() >= limits::QUOTA_PLACES && !known.contains_key(&key) {
            known.clear();
        }
        known.insert(key, Known { place, asked: None });
    }

    /// Gives back what a request took that does not go on.
    pub fn give_back(&self, held: Held) {
        self.cells.allowance(held.slot).give_back(held.stamp, held.tokens);
    }

    fn word(&self, place: &Place) -> Allowance<'_> {
        self.cells.allowance(place.slot)
    }

    /// What a place is kept under: each part begins with what it is.
    pub fn key(&self, quota: &Quota, whose: &Whose<'_>) -> u64 {
        let mut parts = self.cells.hasher();
        parts.word(quota.tag);
        for per in &quota.per {
            parts.bytes(*per as u8, whose.part(*per).unwrap_or_default().as_bytes());
        }
        parts.key()
    }
}

const AHEAD: Span = Span::of(limits::QUOTA_AHEAD);

impl<'r> Whose<'r> {
    fn part(&self, per: QuotaPer) -> Option<&'r str> {
        match per {
            QuotaPer::Consumer => self.consumer.map(|consumer| &*consumer.name),
            QuotaPer::Route => Some(self.route),
            QuotaPer::Service => Some(self.service),
        }
    }
}

impl Question {
    /// What is asked for a request.
    pub fn new(quota: &Quota, whose: &Whose<'_>) -> Self {
        let mut key = QuotaKey::default();
        for per in &quota.per {
            let part = whose.part(*per).map(Into::into);
            match per {
                QuotaPer::Consumer => key.consumer = part,
                QuotaPer::Route => key.route = part,
                QuotaPer::Service => key.service = part,
            }
        }
        Self {
            quota: Arc::clone(&quota.name),
            key,
            limit: quota.limit_for(whose.consumer),
            cost: quota.cost,
        }
    }
}

#[cfg(test)]
mod tests;
