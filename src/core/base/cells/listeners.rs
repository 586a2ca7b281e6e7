//! Listener permits: how many connections of each listener are open on this host.
//!
//! Processes number their listeners as they like, so a word is found by the listener's name: a table of tags, each the whole keyed hash
//! of a name ([`bucket`](super::bucket)), and of as many words of permits ([`SharedPermits`], whose proof and obligations are those of
//! what is taken). A name looks from the place that its hash says for its tag, or for a place without one, which it takes by one swap.
//!
//! # Proof: all who mean one name use one word, and no others
//!
//! A tag is written once, from zero, and never changes. So whoever looks for a name goes the same way, past tags of others, to the same
//! first place that has its tag or none; of two who swap there one succeeds, and the other finds which tag it is (fact 1 of the
//! [page of proof](super)). A process that is killed has written the tag or has not.
//!
//! Names stay for as long as the table: [`limits::LISTENER_NAMES`](crate::base::limits) of them. Those that come later share words with
//! others, each the one that its hash says: that refuses too many, never too few.

use super::shared::SharedPermits;
use super::sync::{AtomicU64, Ordering};
use super::table::Cells;

/// The word of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerPlace(u32);

impl ListenerPlace {
    /// Its number, below [`limits::LISTENER_NAMES`](crate::base::limits::LISTENER_NAMES).
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The place of this number.
    pub const fn at(index: usize) -> Self {
        Self(index as u32)
    }
}

impl Cells {
    /// Where the connections of the listener of this name are counted.
    pub fn listener_place(&self, name: &str) -> ListenerPlace {
        let mut hasher = self.hasher();
        hasher.bytes(0, name.as_bytes());
        ListenerPlace::at(place(self.listener_tags(), hasher.key()))
    }

    /// Connections of a listener.
    pub fn listener_connections(&self, place: ListenerPlace) -> SharedPermits<'_> {
        self.listener_permits(place.index())
    }
}

/// The place of a key among tags.
pub(super) fn place(tags: &[AtomicU64], key: u64) -> usize {
    let first = key as usize % tags.len();
    let ways = (first..tags.len()).chain(0..first);
    let is_ours = |at: &usize| {
        let found = match tags[*at].load(Ordering::Relaxed) {
            0 => {
                let (taken, not) = (Ordering::Relaxed, Ordering::Relaxed);
                tags[*at].compare_exchange(0, key, taken, not).unwrap_or_else(|found| found)
            }
            found => found,
        };
        // What a swap gives is what was there before it.
        found == 0 || found == key
    };
    ways.into_iter().find(is_ours).unwrap_or(first)
}
