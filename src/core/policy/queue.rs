//! The queue in front of a bulkhead: who is let in next, who is refused, and until when one may wait.
//!
//! - **Bounded** by whoever puts in: the places are counted for the whole host ([`Bulkhead`](crate::base::cells::Bulkhead)).
//! - **Classes**: the highest class is next, always. A full queue makes room for one of a higher class by refusing one of the lowest.
//! - **Controlled delay**: a queue that has been empty within the last `wait` absorbs a burst, and one may wait for all of `wait`. One
//!   that has not, and whose oldest has waited for a fourth of that, is *standing* until it is empty: it only makes everybody late, so
//!   one may wait for that fourth.
//! - **Adaptive order**: the oldest is next, as is fair; in a standing queue the newest, whose client is most likely still there.
//!
//! The first is by Nichols and Jacobson ("Controlling Queue Delay", ACM Queue 10(5), 2012), in the form that Maurer describes for
//! Facebook's servers with the last ("Fail at Scale", ACM Queue 13(8), 2015): two timeouts instead of a drop law, which asks nothing
//! of the clients. Theirs is 5 ms in a standing queue, of 100; here a fourth of `wait`, since ticks of a worker have 10 ms. That the
//! oldest must have waited, too, is ours: at four fifths of what there is, a queue of one or two may by chance last for as long.
//!
//! Pure: `now` is an argument, a time since any beginning.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::limits;

/// How much a request matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Class {
    /// Let in before all others, refused last.
    High,
    /// What is said of nobody else.
    #[default]
    Normal,
    /// Let in when nobody else waits, refused first.
    Low,
}

impl Class {
    /// All of them, the highest first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// As a configuration has it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}

/// One who waits, to name it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    class: Class,
    number: u64,
}

#[derive(Debug)]
struct Waiter<T> {
    number: u64,
    since: Duration,
    who: T,
}

/// Those who wait for a service, on one worker.
#[derive(Debug)]
pub struct Queue<T> {
    classes: [VecDeque<Waiter<T>>; 3],
    numbers: u64,
    /// Since when there was always somebody.
    busy: Option<Duration>,
    standing: bool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { classes: Default::default(), numbers: 0, busy: None, standing: false }
    }
}

impl<T> Queue<T> {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.classes.iter().map(VecDeque::len).sum()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.classes.iter().all(VecDeque::is_empty)
    }

    /// The highest class in which somebody waits.
    pub fn best(&self) -> Option<Class> {
        Class::ALL.into_iter().find(|class| !self.classes[*class as usize].is_empty())
    }

    /// Somebody comes to wait.
    pub fn push(&mut self, class: Class, who: T, now: Duration) -> Ticket {
        let number = self.numbers;
        self.numbers += 1;
        self.busy.get_or_insert(now);
        self.classes[class as usize].push_back(Waiter { number, since: now, who });
        Ticket { class, number }
    }

    /// Who is next, if anybody waits; to be let in by [`leave`](Self::leave). After [`late`](Self::late) has said that nobody is.
    pub fn next(&self) -> Option<(Ticket, &T)> {
        let class = self.best()?;
        let waiting = &self.classes[class as usize];
        let next = if self.standing { waiting.back() } else { waiting.front() };
        next.map(|one| (Ticket { class, number: one.number }, &one.who))
    }

    /// One who has waited too long: it is refused. The lowest first; to be called until there is none.
    pub fn late(&mut self, wait: Duration, now: Duration) -> Option<(Class, T)> {
        self.look(wait, now);
        let most = if self.standing { wait / limits::BULKHEAD_STANDING_SHARE } else { wait };
        let is_late = |waiting: &VecDeque<Waiter<T>>| {
            waiting.front().is_some_and(|one| now.saturating_sub(one.since) >= most)
        };
        let class =
            Class::ALL.into_iter().rev().find(|class| is_late(&self.classes[*class as usize]))?;
        self.pop(class)
    }

    /// Makes room in a full queue for one of this class: who must go for it, if anybody. One of the lowest class, and not of a higher one
    /// than this; of its own only in a standing queue, where the newest is next. Whoever has waited longest, whose time is nearly
    /// over.
    pub fn displace(&mut self, class: Class) -> Option<(Class, T)> {
        let waits = |class: &Class| !self.classes[*class as usize].is_empty();
        let lowest = Class::ALL.into_iter().rev().find(waits)?;
        let goes = lowest > class || (lowest == class && self.standing);
        if goes { self.pop(lowest) } else { None }
    }

    /// Takes one out, who is let in, or waits no more; `None`: it is out already.
    pub fn leave(&mut self, ticket: Ticket) -> Option<T> {
        let waiting = &mut self.classes[ticket.class as usize];
        let at = waiting.binary_search_by_key(&ticket.number, |one| one.number).ok()?;
        let one = waiting.remove(at)?;
        self.left();
        Some(one.who)
    }

    /// Whether the queue is standing from now on.
    fn look(&mut self, wait: Duration, now: Duration) {
        let lasts = self.busy.is_some_and(|since| now.saturating_sub(since) >= wait);
        if self.standing || !lasts {
            return;
        }
        let oldest = self.classes.iter().filter_map(VecDeque::front).map(|one| one.since).min();
        let most = wait / limits::BULKHEAD_STANDING_SHARE;
        self.standing = oldest.is_some_and(|since| now.saturating_sub(since) >= most);
    }

    fn pop(&mut self, class: Class) -> Option<(Class, T)> {
        let one = self.classes[class as usize].pop_front()?;
        self.left();
        Some((class, one.who))
    }

    fn left(&mut self) {
        if self.is_empty() {
            (self.busy, self.standing) = (None, false);
        }
    }
}

#[cfg(test)]
mod tests;
