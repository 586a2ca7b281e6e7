//! Which instance slot is whose: given, taken back, and given again only when nobody can mean the one before.
//!
//! A slot is reused when two things hold: every worker has acknowledged a generation without the instance, and nothing is in
//! flight on it. Why that is enough, without a fence where a worker picks, is proven beside the verdict word
//! ([`crate::base::cells`]). Each use of a slot has a generation of 16 bits, which the word carries too: from 1 on, and from 1
//! again after 65,535. So that it is long until then, slots come free in turn, and not before many wait.

use std::collections::VecDeque;

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

    /// Gives this slot in this use: what another process gave goes on to be so. `false`: it cannot be had.
    pub fn give_back_to(&mut self, slot: InstanceSlot, generation: u16) -> bool {
        if slot.index() >= self.capacity {
            return false;
        }
        while self.generations.len() <= slot.index() {
            self.free.push_back(InstanceSlot(self.generations.len() as u32));
            self.generations.push(0);
        }
        let Some(at) = self.free.iter().rposition(|free| *free == slot) else { return false };
        self.free.remove(at);
        self.generations[slot.index()] = generation;
        true
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
    fn a_successor_gives_what_was_given() {
        let mut slots = InstanceSlots::new(4);
        assert!(slots.give_back_to(InstanceSlot(2), 9));
        assert!(!slots.give_back_to(InstanceSlot(2), 9), "twice");
        assert!(!slots.give_back_to(InstanceSlot(4), 0), "beyond the table");
        let mut rest: Vec<_> =
            (0..3).filter_map(|_| slots.give()).map(|(slot, _)| slot.0).collect();
        rest.sort_unstable();
        assert_eq!(rest, [0, 1, 3]);
        assert_eq!(slots.give(), None);
    }
}
