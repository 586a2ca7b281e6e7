//! The instances of a service: what a pick looks at.
//!
//! In chunks of 256, so that a change of one instance among ten thousand copies one chunk and the array above it. An
//! instance stays in its chunk for life; chunks that became empty go, others are filled up again.

use std::sync::Arc;

use crate::base::ids::InstanceSlot;
use crate::snapshot::plan::Address;
use crate::snapshot::tree::CHUNK;

/// One address of a service, and the slot under which the host speaks of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its slot: the index of its verdict word and of its counts.
    pub slot: InstanceSlot,
    /// Which use of the slot it is: the word says the same while the instance is there.
    pub generation: u16,
    /// Where it is.
    pub address: Address,
}

/// The instances of one service.
#[derive(Debug, Clone, Default)]
pub struct Instances {
    chunks: Box<[Arc<[Instance]>]>,
    /// The place of each chunk's first instance among all.
    starts: Box<[u32]>,
    count: usize,
}

impl Instances {
    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The chunk and the place in it of instance number `at`, which must be less than [`len`](Self::len).
    #[inline]
    pub fn place(&self, at: usize) -> (usize, usize) {
        if self.chunks.len() <= 1 {
            return (0, at);
        }
        let chunk = self.starts.partition_point(|start| *start as usize <= at) - 1;
        (chunk, at - self.starts[chunk] as usize)
    }

    /// The instance at a place.
    #[inline]
    pub fn at(&self, (chunk, at): (usize, usize)) -> &Instance {
        &self.chunks[chunk][at]
    }

    /// The chunks; two versions share those that did not change.
    pub fn chunks(&self) -> &[Arc<[Instance]>] {
        &self.chunks
    }

    /// All instances.
    pub fn iter(&self) -> impl Iterator<Item = &Instance> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The same without those that `gone` names, and with these; unchanged chunks are shared.
    #[must_use]
    pub fn changed(&self, gone: impl Fn(&Instance) -> bool, fresh: Vec<Instance>) -> Self {
        let mut fresh = fresh.into_iter().peekable();
        let mut chunks = Vec::with_capacity(self.chunks.len() + 1);
        for chunk in &self.chunks {
            let untouched = !chunk.iter().any(&gone);
            let has_room = chunk.len() < CHUNK && fresh.peek().is_some();
            if untouched && !has_room {
                chunks.push(Arc::clone(chunk));
                continue;
            }
            let mut kept: Vec<_> = chunk.iter().filter(|one| !gone(one)).cloned().collect();
            kept.extend(fresh.by_ref().take(CHUNK - kept.len()));
            if !kept.is_empty() {
                chunks.push(kept.into());
            }
        }
        while fresh.peek().is_some() {
            chunks.push(fresh.by_ref().take(CHUNK).collect());
        }
        Self::of(chunks)
    }

    fn of(chunks: Vec<Arc<[Instance]>>) -> Self {
        let mut count = 0;
        let starts = chunks.iter().map(|chunk| {
            let start = count;
            count += chunk.len();
            start as u32
        });
        let starts = starts.collect();
        Self { chunks: chunks.into(), starts, count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(number: u32) -> Instance {
        let address = Address::Tcp(([10, 0, 0, 1], number as u16).into());
        Instance { slot: InstanceSlot(number), generation: 0, address }
    }

    fn slots(instances: &Instances) -> Vec<u32> {
        instances.iter().map(|one| one.slot.0).collect()
    }

    #[test]
    fn every_place_is_found() {
        let all = Instances::default().changed(|_| false, (0..600).map(instance).collect());
        assert_eq!((all.len(), all.chunks().len()), (600, 3));
        for at in 0..600 {
            assert_eq!(all.at(all.place(at)).slot.0, at as u32);
        }
        let holes = all.changed(|one| one.slot.0.is_multiple_of(3), Vec::new());
        assert_eq!(holes.len(), 400);
        let by_place: Vec<_> = (0..400).map(|at| holes.at(holes.place(at)).slot.0).collect();
        assert_eq!(by_place, slots(&holes));
    }

    #[test]
    fn a_change_copies_its_chunk_alone() {
        let all = Instances::default().changed(|_| false, (0..600).map(instance).collect());
        let one_less = all.changed(|one| one.slot.0 == 300, Vec::new());
        let shared =
            [0, 1, 2].map(|chunk| Arc::ptr_eq(&all.chunks()[chunk], &one_less.chunks()[chunk]));
        assert_eq!(shared, [true, false, true]);
        let refilled = one_less.changed(|_| false, vec![instance(900)]);
        assert_eq!(refilled.chunks().len(), 3);
        assert_eq!(refilled.chunks()[1].last().map(|one| one.slot.0), Some(900));
        assert!(Arc::ptr_eq(&refilled.chunks()[2], &all.chunks()[2]));
    }

    #[test]
    fn empty_chunks_go() {
        let all = Instances::default().changed(|_| false, (0..300).map(instance).collect());
        let few = all.changed(|one| one.slot.0 < 256, Vec::new());
        assert_eq!(few.chunks().len(), 1);
        assert_eq!(slots(&few), (256..300).collect::<Vec<_>>());
        let none = few.changed(|_| true, Vec::new());
        assert!(none.is_empty() && none.chunks().is_empty());
    }
}
