//! The last configurations that were applied, with their texts: what can be looked at, compared, and gone back to.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::SystemTime;

use coregate_control::io::admin::report::{EntryState, HistoryEntry, Origin};
use coregate_core::base::limits;
use serde::{Deserialize, Serialize};

use crate::server::configuration::Unconfirmed;

/// A configuration that was applied.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    pub(crate) text: String,
    pub(crate) generation: u64,
    /// The number of the one that it is again, if it was gone back to.
    again: Option<u64>,
    pub(crate) at: SystemTime,
    origin: Origin,
    /// It was taken back.
    taken_back: bool,
}

impl Entry {
    /// A mark of its text, to tell texts apart at a glance; no proof of anything.
    pub(crate) fn hash(&self) -> String {
        // Keyed with zeros: the same text has the same mark in every process of this build.
        let mut hasher = DefaultHasher::new();
        self.text.hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}

/// A configuration that was applied now.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) text: String,
    pub(crate) generation: u64,
    pub(crate) origin: Origin,
    /// The number of the one that it is again, if it was gone back to.
    pub(crate) again: Option<u64>,
}

/// The history, oldest first: at most [`limits::HISTORY`] entries and [`limits::HISTORY_BYTES`] of text, but always one.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct History {
    entries: VecDeque<Entry>,
    next: u64,
}

impl History {
    /// Adds what was applied now; gives its number. The entry `needed` is not pushed out by it.
    pub(crate) fn add(&mut self, applied: Applied, needed: Option<u64>) -> u64 {
        self.next += 1;
        let (number, at) = (self.next, SystemTime::now());
        let Applied { text, generation, origin, again } = applied;
        // What it is again may be a return itself.
        let again = again.map(|number| self.first(number));
        let taken_back = false;
        self.entries.push_back(Entry { number, text, generation, again, at, origin, taken_back });
        while self.entries.len() > limits::HISTORY || self.bytes() > limits::HISTORY_BYTES {
            let spare = |entry: &Entry| entry.number != number && Some(entry.number) != needed;
            let Some(oldest) = self.entries.iter().position(spare) else { break };
            self.entries.remove(oldest);
        }
        number
    }

    /// The number that this one was given first.
    fn first(&self, number: u64) -> u64 {
        self.get(number).and_then(|entry| entry.again).unwrap_or(number)
    }

    fn bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.text.len()).sum()
    }

    /// An entry by its number.
    pub(crate) fn get(&self, number: u64) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.number == number)
    }

    /// The one that runs.
    pub(crate) fn current(&self) -> Option<&Entry> {
        self.entries.back()
    }

    /// The one that ran before number `number`, if it is known still.
    pub(crate) fn before(&self, number: u64) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.number < number)
    }

    /// Where a step back from the one that runs leads: before what it is again, if it was gone back to itself, so that a second
    /// step goes further and not to what the first one left.
    pub(crate) fn step_back(&self) -> Option<&Entry> {
        self.before(self.first(self.current()?.number))
    }

    /// Whether what runs was read because the files had changed, and nobody asked for it.
    pub(crate) fn is_watched(&self) -> bool {
        self.current().is_some_and(|entry| entry.origin == Origin::Watch)
    }

    /// Whether what runs was gone back to: then the file says something else, unless it was put right.
    pub(crate) fn is_back(&self) -> bool {
        let back = |entry: &Entry| matches!(entry.origin, Origin::Rollback | Origin::Unconfirmed);
        self.current().is_some_and(back)
    }

    /// Says that an entry was taken back.
    pub(crate) fn take_back(&mut self, number: u64) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.number == number) {
            entry.taken_back = true;
        }
    }

    /// All of them, the newest first.
    pub(crate) fn list(&self, unconfirmed: Option<&Unconfirmed>) -> Vec<HistoryEntry> {
        let current = self.current().map(|entry| entry.number);
        let entries = self.entries.iter().rev().map(|entry| HistoryEntry {
            number: entry.number,
            generation: entry.generation,
            at: entry.at.into(),
            origin: entry.origin,
            hash: entry.hash(),
            state: match (Some(entry.number) == current, unconfirmed) {
                (true, Some(pending)) => EntryState::Pending { until: pending.until_wall.into() },
                (true, None) => EntryState::Current,
                (false, _) if entry.taken_back => EntryState::TakenBack,
                (false, _) => EntryState::Superseded,
            },
        });
        entries.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(text: &str, origin: Origin) -> Applied {
        Applied { text: text.to_owned(), generation: 1, origin, again: None }
    }

    #[test]
    fn the_last_twenty_are_known() {
        let mut history = History::default();
        for number in 1..=30 {
            let text = format!("{number}");
            assert_eq!(history.add(applied(&text, Origin::Reload), None), number);
        }
        assert_eq!(history.list(None).len(), limits::HISTORY);
        assert!(history.get(10).is_none());
        assert_eq!(history.get(11).map(|entry| entry.text.as_str()), Some("11"));
        assert_eq!(history.before(30).map(|entry| entry.number), Some(29));
        assert!(history.before(11).is_none());
    }

    #[test]
    fn long_texts_push_out_others_and_the_current_stays() {
        let mut history = History::default();
        history.add(applied("a", Origin::Start), None);
        history.add(applied(&"x".repeat(limits::HISTORY_BYTES), Origin::Reload), None);
        assert_eq!(history.list(None).len(), 1);
        assert_eq!(history.current().map(|entry| entry.number), Some(2));
    }

    #[test]
    fn what_is_needed_is_not_pushed_out() {
        let mut history = History::default();
        for _ in 1..=30 {
            history.add(applied("", Origin::Reload), Some(2));
        }
        assert_eq!(history.list(None).len(), limits::HISTORY);
        assert!(history.get(1).is_none() && history.get(2).is_some() && history.get(3).is_none());
    }

    #[test]
    fn steps_back_go_on() {
        let mut history = History::default();
        let back = |history: &History| history.step_back().map(|entry| entry.number);
        for _ in 1..=3 {
            history.add(applied("", Origin::Reload), None);
        }
        for (to, next) in [(2, Some(1)), (1, None)] {
            assert_eq!(back(&history), Some(to));
            let again = Applied { again: Some(to), ..applied("", Origin::Rollback) };
            history.add(again, None);
            assert_eq!(back(&history), next);
        }
        let again = Applied { again: Some(4), ..applied("", Origin::Rollback) };
        assert_eq!(history.add(again, None), 6);
        assert_eq!(back(&history), Some(1), "4 was 2 again");
        history.add(applied("", Origin::Reload), None);
        assert_eq!(back(&history), Some(6));
    }

    #[test]
    fn each_says_what_became_of_it() {
        let mut history = History::default();
        for origin in [Origin::Start, Origin::Reload, Origin::Unconfirmed] {
            history.add(applied("", origin), None);
        }
        history.take_back(2);
        let states: Vec<_> = history.list(None).into_iter().map(|entry| entry.state).collect();
        let expected = [EntryState::Current, EntryState::TakenBack, EntryState::Superseded];
        assert_eq!(states, expected);
        let pending = Unconfirmed::within(std::time::Duration::from_secs(60), 2);
        assert!(matches!(history.list(Some(&pending))[0].state, EntryState::Pending { .. }));
    }
}
