//! A table by dense id that is cheap to change while others read it.
//!
//! Entries lie in chunks of 256 under one top array: a change copies the entry's chunk and the top array, and shares
//! everything else with the version before (path copying: Driscoll, Sarnak, Sleator and Tarjan, *Making Data Structures
//! Persistent*, 1989). Changes made between two clones copy each chunk once.
//!
//! ```text
//!  version 7 ─▶ [ · · · ]            a clone costs one count
//!                 │ │ └▶ chunk 2 ◀┐
//!                 │ └──▶ chunk 1  │   entry 300 changed: chunk 1 and the top array are new
//!  version 8 ─▶ [ · · · ]─────────┘
//!                   └──▶ chunk 1'
//! ```

use std::array;
use std::sync::Arc;

/// Entries a chunk.
pub const CHUNK: usize = 256;

type Chunk<T> = [Option<Arc<T>>; CHUNK];

/// A table of shared entries by dense index; a clone shares all of it.
#[derive(Debug)]
pub struct Tree<T> {
    chunks: Arc<[Arc<Chunk<T>>]>,
}

impl<T> Default for Tree<T> {
    fn default() -> Self {
        Self { chunks: Arc::new([]) }
    }
}

impl<T> Clone for Tree<T> {
    fn clone(&self) -> Self {
        Self { chunks: Arc::clone(&self.chunks) }
    }
}

impl<T> Tree<T> {
    /// The entry at `index`, if there is one.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&Arc<T>> {
        self.chunks.get(index / CHUNK)?[index % CHUNK].as_ref()
    }

    /// Sets or takes away the entry at `index`.
    pub fn set(&mut self, index: usize, entry: Option<Arc<T>>) {
        let at = index / CHUNK;
        if at >= self.chunks.len() {
            if entry.is_none() {
                return;
            }
            let empty = || Arc::new(array::from_fn(|_| None));
            let more = (self.chunks.len()..=at).map(|_| empty());
            self.chunks = self.chunks.iter().map(Arc::clone).chain(more).collect();
        }
        let chunk = &mut Arc::make_mut(&mut self.chunks)[at];
        Arc::make_mut(chunk)[index % CHUNK] = entry;
    }

    /// All entries with their indices, in order.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Arc<T>)> {
        let entries = self.chunks.iter().flat_map(|chunk| chunk.iter());
        entries.enumerate().filter_map(|(index, entry)| Some((index, entry.as_ref()?)))
    }

    /// Whether both are the same version, or an unchanged copy of it.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.chunks, &other.chunks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_copies_its_chunk_and_shares_the_rest() {
        let mut tree = Tree::default();
        for index in [0, 255, 256, 700] {
            tree.set(index, Some(Arc::new(index)));
        }
        let before = tree.clone();
        assert!(before.is_same(&tree));
        tree.set(256, Some(Arc::new(1)));
        tree.set(257, Some(Arc::new(2)));
        assert_eq!(before.get(256).map(|value| **value), Some(256));
        assert_eq!(before.get(257), None);
        assert_eq!(tree.get(257).map(|value| **value), Some(2));
        let shared = |at: usize| Arc::ptr_eq(&before.chunks[at], &tree.chunks[at]);
        assert_eq!([0, 1, 2].map(shared), [true, false, true]);
        let known: Vec<_> = tree.iter().map(|(index, value)| (index, **value)).collect();
        assert_eq!(known, [(0, 0), (255, 255), (256, 1), (257, 2), (700, 700)]);
    }

    #[test]
    fn many_changes_between_two_clones_copy_a_chunk_once() {
        let mut tree = Tree::default();
        tree.set(3, Some(Arc::new(3)));
        let _published = tree.clone();
        tree.set(4, Some(Arc::new(4)));
        let chunk = Arc::as_ptr(&tree.chunks[0]);
        tree.set(5, Some(Arc::new(5)));
        assert_eq!(Arc::as_ptr(&tree.chunks[0]), chunk);
    }

    #[test]
    fn what_is_not_there_is_nothing() {
        let mut tree = Tree::<u8>::default();
        assert!(tree.get(0).is_none() && tree.get(100_000).is_none());
        tree.set(9_000, None);
        assert!(tree.chunks.is_empty());
        tree.set(1, Some(Arc::new(1)));
        tree.set(1, None);
        assert_eq!(tree.iter().count(), 0);
    }
}
