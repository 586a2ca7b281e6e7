//! Which instance slot is whose: given, taken back, and given again only when nobody can mean the one before.
//!
//! A slot is reused when two things hold: every worker has acknowledged a generation without the instance, and nothing is in
//! flight on it. Why that is enough, without a fence where a worker picks, is proven beside the verdict word
//! ([`crate::base::cells`]). Each use of a slot has a generation of 16 bits, which the word carries too: from 1 on, and from 1
//! again after 65,535. So that it is long until then, slots come free in turn, and not before many wait.

use std::collections::{HashSet, VecDeque};

use crate::base::ids::InstanceSlot;
use crate::base::limits;

/// The slots of the host's instances. Owned by whoever compiles snapshots.
#[derive(Debug)]
pub struct InstanceSlots {
    /// The generation of the current or last use, of each slot that was ever used.
    generations: Vec<u16>,
    free: VecDeque<InstanceSlot>,
    /// Taken back, and not free yet; with the snapshot generation that has them no more, oldest first.
    retired: VecDeque<(InstanceSlot, u64)>,
    capacity: usize,
}

impl InstanceSlots {
    /// A table of `capacity` slots, all free.
    pub fn new(capacity: usize) -> Self {
        Self { generations: Vec::new(), free: VecDeque::new(), retired: VecDeque::new(), capacity }
    }

    /// How many there are.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many can be given now.
    pub fn available(&self) -> usize {
        self.free.len() + (self.capacity - self.generations.len())
    }

    /// How many are given, and not taken back.
    pub fn given(&self) -> usize {
        self.generations.len() - self.free.len() - self.retired.len()
    }

    /// How many are held back until nobody can mean their last instance.
    pub fn retired(&self) -> usize {
        self.retired.len()
    }

    /// Gives a slot and the generation of its new use; `None`: the table is full.
    pub fn give(&mut self) -> Option<(InstanceSlot, u16)> {
        let next = self.generations.len();
        if next < self.capacity && self.free.len() < limits::FREE_SLOTS {
            self.generations.push(1);
            return Some((InstanceSlot(next as u32), 1));
        }
        let slot = self.free.pop_front()?;
        let generation = &mut self.generations[slot.index()];
        *generation = if *generation == u16::MAX { 1 } else { *generation + 1 };
        Some((slot, *generation))
    }

    /// Goes on with the slots of another process, before any is given here. `generations`: the last use of each slot, 0 where there
    /// was none, as the words that both share have it. `given`: those that are in use. Others that were used may still be meant
    /// there, and are held back.
    pub fn inherit(&mut self, mut generations: Vec<u16>, given: &HashSet<InstanceSlot>) {
        let used = generations.iter().rposition(|generation| *generation > 0);
        generations.truncate(used.map_or(0, |last| last + 1).min(self.capacity));
        for (at, generation) in generations.iter().enumerate() {
            let slot = InstanceSlot(at as u32);
            if *generation == 0 {
                self.free.push_back(slot);
            } else if !given.contains(&slot) {
                self.retired.push_back((slot, 0));
            }
        }
        self.generations = generations;
    }

    /// Takes a slot back: the snapshot of this generation has its instance no more.
    pub fn retire(&mut self, slot: InstanceSlot, snapshot: u64) {
        self.retired.push_back((slot, snapshot));
    }

    /// Frees what can be free: all workers have acknowledged `acknowledged`, and `in_flight` says whether anything is on
    /// a slot. Gives how many were freed. Looks at no more than `most` slots.
    pub fn reclaim(
        &mut self,
        acknowledged: u64,
        most: usize,
        in_flight: impl Fn(InstanceSlot) -> bool,
    ) -> usize {
        let before = self.free.len();
        for _ in 0..most.min(self.retired.len()) {
            match self.retired.front() {
                Some((_, snapshot)) if *snapshot <= acknowledged => {}
                _ => break,
            }
            let Some((slot, snapshot)) = self.retired.pop_front() else { break };
            match in_flight(slot) {
                // Behind those that nobody has looked at, and still in the order of generations: it is past its own.
                true => self.retired.push_back((slot, snapshot)),
                false => self.free.push_back(slot),
            }
        }
        self.free.len() - before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_free_only_when_acknowledged_and_idle() {
        let mut slots = InstanceSlots::new(2);
        let (first, generation) = slots.give().unwrap();
        assert_eq!(generation, 1);
        slots.give().unwrap();
        assert_eq!(slots.give(), None, "full");
        slots.retire(first, 7);
        assert_eq!(slots.give(), None);
        assert_eq!(slots.reclaim(6, 10, |_| false), 0, "not acknowledged");
        assert_eq!(slots.reclaim(7, 10, |_| true), 0, "in flight");
        assert_eq!(slots.reclaim(7, 10, |_| false), 1);
        assert_eq!(slots.give(), Some((first, 2)), "another use");
    }

    #[test]
    fn one_that_is_busy_does_not_hold_up_the_others() {
        let mut slots = InstanceSlots::new(4);
        let given: Vec<_> = (0..4).filter_map(|_| slots.give()).collect();
        given.iter().for_each(|(slot, _)| slots.retire(*slot, 3));
        assert_eq!(slots.reclaim(3, 100, |slot| slot.0 == 0), 3);
        assert_eq!(slots.retired(), 1);
        assert_eq!(slots.reclaim(3, 100, |_| false), 1);
    }

    #[test]
    fn a_successor_goes_on_where_the_words_are() {
        let mut slots = InstanceSlots::new(6);
        let given = HashSet::from([InstanceSlot(0), InstanceSlot(3)]);
        slots.inherit(vec![7, 4, 0, 1, 0, 0], &given);
        assert_eq!((slots.given(), slots.retired(), slots.available()), (2, 1, 3));
        let mut fresh: Vec<_> = (0..3).filter_map(|_| slots.give()).collect();
        fresh.sort_unstable();
        assert_eq!(fresh, [2, 4, 5].map(|slot| (InstanceSlot(slot), 1)));
        assert_eq!(slots.give(), None, "slot 1 may be meant by somebody there");
        assert_eq!(slots.reclaim(0, 10, |_| false), 1);
        assert_eq!(slots.give(), Some((InstanceSlot(1), 5)), "its next use");
    }
}
