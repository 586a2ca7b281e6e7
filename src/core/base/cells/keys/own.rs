//! Tables of buckets that are one worker's own: the same, in memory that nobody else has.

use super::{ENTRIES, KeyTable};
use crate::base::cells::bucket::BucketTable;
use crate::base::cells::layout::{PAGE_WORDS, SET_WORDS};
use crate::base::cells::pages::Pages;
use crate::base::cells::sync::{self, AtomicU64};
use crate::base::limits;

/// The sets of each table.
const SETS: usize = limits::WORKER_BUCKETS / ENTRIES;

const _: () = assert!(SETS.is_power_of_two());

/// Buckets of one's own: of what the configuration names, and of strangers. Memory that nobody has touched costs nothing.
pub struct OwnKeys([Box<[AtomicU64]>; 2]);

impl OwnKeys {
    /// Full ones.
    pub fn new() -> Self {
        let words = || sync::zeroed(SETS * (SET_WORDS + 1) + SETS.div_ceil(PAGE_WORDS));
        Self([words(), words()])
    }

    /// One of the two tables.
    pub fn keys(&self, table: BucketTable) -> KeyTable<'_> {
        let [known, strangers] = &self.0;
        let words = match table {
            BucketTable::Known => known,
            BucketTable::Strangers => strangers,
        };
        let (sets, rest) = words.split_at(SETS * SET_WORDS);
        let (overflow, marks) = rest.split_at(SETS);
        KeyTable::new(sets.as_chunks().0.as_chunks().0, Pages::new(overflow, marks), false)
    }
}

impl Default for OwnKeys {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for OwnKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnKeys").finish_non_exhaustive()
    }
}
