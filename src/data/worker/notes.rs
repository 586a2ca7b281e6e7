//! What is noted of a request that is on its way: who calls, what its client is told of a rate, what is to be charged.
//!
//! Most requests have nothing of that; the others borrow a note, so that an exchange holds one pointer, and the steady state allocates
//! nothing.

use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use coregate_core::base::limits;
use coregate_core::policy::queue::Class;
use coregate_core::policy::rate::Bucket;

use crate::worker::free::FreeList;

/// What is noted of a request.
#[derive(Debug, Default)]
pub struct Note {
    /// Who calls, if that is known; else empty.
    pub consumer: String,
    /// How much it matters to its service.
    pub class: Class,
    /// What its client is told of a rate.
    pub told: Option<Told>,
    /// What is charged when its answer comes.
    pub owed: Vec<Owed>,
    home: Option<Rc<FreeList<Box<Note>>>>,
}

/// What a client is told of a rate. Times are in whole seconds.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// Which of the limits of the route.
    pub at: u8,
    /// The most tokens that there are at once.
    pub limit: u64,
    /// How many are left.
    pub remaining: u64,
    /// The time after which none is missing any more, rounded up.
    pub reset: u64,
    /// The time in which `limit` tokens come, rounded; at least one.
    pub window: u64,
}

/// What is charged when the answer says how much.
#[derive(Debug, Clone, Copy)]
pub struct Owed {
    /// By which of the limits of the route.
    pub at: u8,
    /// The bucket; `None`: nothing is charged, the answer's field goes all the same.
    pub bucket: Option<Bucket>,
}

/// Free notes.
#[derive(Debug, Default)]
pub struct Notes(Rc<FreeList<Box<Note>>>);

impl Notes {
    /// An empty note, which comes back when it is dropped.
    pub fn lend(&self) -> Lent {
        let mut note = self.0.take().unwrap_or_default();
        note.home = Some(Rc::clone(&self.0));
        Lent(Some(note))
    }

    /// See [`FreeList::trim`].
    pub fn trim(&self) -> bool {
        self.0.trim()
    }
}

/// A note that is lent; the pointer that an exchange holds.
#[derive(Debug)]
pub struct Lent(Option<Box<Note>>);

impl Deref for Lent {
    type Target = Note;

    fn deref(&self) -> &Note {
        match &self.0 {
            Some(note) => note,
            None => unreachable!("only dropping takes it"),
        }
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Note {
        match &mut self.0 {
            Some(note) => note,
            None => unreachable!("only dropping takes it"),
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut note) = self.0.take() else { return };
        let Some(home) = note.home.take() else { return };
        note.consumer.clear();
        note.class = Class::default();
        note.told = None;
        note.owed.clear();
        home.give(note, limits::FREE_EXCHANGES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_comes_back_empty() {
        let notes = Notes::default();
        let mut note = notes.lend();
        note.consumer.push_str("ann");
        let address = note.consumer.as_ptr();
        drop(note);
        let mut note = notes.lend();
        note.consumer.push('b');
        assert_eq!((note.consumer.as_str(), note.consumer.as_ptr()), ("b", address));
        let other = notes.lend();
        assert!(other.consumer.is_empty() && other.told.is_none() && other.owed.is_empty());
    }
}
