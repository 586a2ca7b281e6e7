//! The table: words in the order of the [layout](super::layout).
//!
//! A table is never converted. Whoever inherits one compares magic, [`LAYOUT`] and capacity, and makes a fresh one if any
//! differs: what is lost is a burst of each limit, which is less than what a word read in a wrong way can do.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::addresses::AddressPermits;
use super::allowance::Allowance;
use super::bucket::{BucketHasher, BucketTable};
use super::bulkhead::Bulkhead;
use super::keys::KeyTable;
use super::layout::{
    self, ALLOWANCES, AT_CAPACITY, AT_CONNECTIONS, AT_LAYOUT, AT_MAGIC, AT_SEED, EJECTIONS, LAYOUT,
    LEAST, MAGIC, Place, SLOT_WORDS, VERDICTS,
};
use super::outlier::Outlier;
use super::pages::Pages;
use super::permit::Permits;
use super::shared::SharedPermits;
use super::sync::{self, AtomicU64, Ordering};
use super::verdict::Verdict;
use crate::base::ids::{InstanceSlot, QuotaSlot, ServiceId};
use crate::base::limits;

/// Why a table cannot be used by this build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LayoutMismatch {
    /// Not even a header, and the words of services.
    #[error("{words} words: expected at least the {LEAST} of the header and of services")]
    Short {
        /// Words in the slice.
        words: usize,
    },
    /// The first word is not that of a table, or its maker did not finish.
    #[error("no table of cells: it begins with {found:#018x}")]
    Magic {
        /// The first word.
        found: u64,
    },
    /// Another build made it, whose words mean something else.
    #[error("layout {found:#018x}: expected {LAYOUT:#018x}")]
    Layout {
        /// The layout it names.
        found: u64,
    },
    /// The header tells of more or fewer slots than there are.
    #[error("room for {stated} instance slots: expected {found}")]
    Capacity {
        /// Slots that the header tells of.
        stated: u64,
        /// Slots that there are words for.
        found: usize,
    },
}

/// A handle on a table; its clones are handles on the same one. Made once a thread, not once a request.
#[derive(Clone)]
pub struct Cells {
    words: Words,
    /// Whether this process is of an odd epoch.
    odd: bool,
}

#[derive(Clone)]
enum Words {
    Mapped(&'static [AtomicU64]),
    Owned(Arc<Own>),
}

/// Words that are nobody else's; those that nobody touches take no memory.
struct Own(Box<[AtomicU64]>);

impl Cells {
    /// How many words a table with so many instance slots has.
    pub const fn words(instances: usize) -> usize {
        LEAST + SLOT_WORDS * instances
    }

    /// A table of one's own, for tests and worlds in memory: its keys are hashed with a fixed seed.
    pub fn owned(instances: usize) -> Self {
        let words = sync::zeroed(Self::words(instances));
        sign(&words, [1, 2]);
        Self { words: Words::Owned(Arc::new(Own(words))), odd: false }
    }

    /// Makes a table of these words, all of which are zero and which nobody else has yet. The seed is random: whoever knows it can
    /// choose keys whose buckets lie in one place.
    pub fn create(words: &'static [AtomicU64], seed: [u64; 2]) -> Result<Self, LayoutMismatch> {
        long_enough(words)?;
        sign(words, seed);
        Ok(Self { words: Words::Mapped(words), odd: false })
    }

    /// Takes over a table that somebody made, and perhaps still uses, if this build reads it in the same way.
    pub fn adopt(words: &'static [AtomicU64]) -> Result<Self, LayoutMismatch> {
        long_enough(words)?;
        // Acquire: pairs with the Release of who signed it.
        let magic = words[AT_MAGIC].load(Ordering::Acquire);
        if magic != MAGIC {
            return Err(LayoutMismatch::Magic { found: magic });
        }
        let layout = words[AT_LAYOUT].load(Ordering::Relaxed);
        if layout != LAYOUT {
            return Err(LayoutMismatch::Layout { found: layout });
        }
        let stated = words[AT_CAPACITY].load(Ordering::Relaxed);
        let found = slots(words);
        if stated != found as u64 {
            return Err(LayoutMismatch::Capacity { stated, found });
        }
        Ok(Self { words: Words::Mapped(words), odd: false })
    }

    /// The handle for the process of this epoch, and for what it clones of it: 0 at first, one more with each binary upgrade.
    #[must_use]
    pub fn in_epoch(mut self, epoch: u64) -> Self {
        self.odd = epoch % 2 == 1;
        self
    }

    /// Whether what the process of this epoch writes is what this handle writes.
    pub(super) const fn is_in(&self, epoch: u64) -> bool {
        self.odd == (epoch % 2 == 1)
    }

    /// How many instance slots there are.
    pub fn instances(&self) -> usize {
        slots(self.slice())
    }

    /// The verdict of an instance slot.
    ///
    /// # Panics
    /// If the table has no such slot: slots are given by control, below [`instances`](Self::instances).
    #[inline]
    pub fn verdict(&self, slot: InstanceSlot) -> Verdict<'_> {
        Verdict::new(&self.slice()[VERDICTS + slot.index()])
    }

    /// How many instances of a service are set aside: one permit for each mark. Who changes a mark sees to it that this stays so:
    /// [`Outlier`].
    pub fn ejections(&self, service: ServiceId) -> Permits<'_> {
        Permits::new(&self.slice()[EJECTIONS + service.index()])
    }

    /// What live requests say of the instance that uses a slot under this generation.
    ///
    /// # Panics
    /// If the table has no such slot.
    pub fn outlier(&self, service: ServiceId, slot: InstanceSlot, generation: u16) -> Outlier<'_> {
        Outlier::new(self.verdict(slot), self.ejections(service), generation)
    }

    /// Requests in flight to a service, and those that wait for it.
    #[inline]
    pub fn bulkhead(&self, service: ServiceId) -> Bulkhead<'_> {
        Bulkhead::new(self.pages(layout::bulkheads()), service.index(), self.odd)
    }

    /// Requests in flight to the instance that uses a slot.
    ///
    /// # Panics
    /// If the table has no such slot.
    #[inline]
    pub fn instance_permits(&self, slot: InstanceSlot) -> SharedPermits<'_> {
        self.shared(layout::instances(self.instances()), slot.index())
    }

    /// Connections to the instance that uses a slot, and to those that used it before and have not been closed yet.
    ///
    /// # Panics
    /// If the table has no such slot.
    #[inline]
    pub fn instance_connections(&self, slot: InstanceSlot) -> SharedPermits<'_> {
        self.shared(layout::connections(self.instances()), slot.index())
    }

    /// Connections of addresses.
    pub fn addresses(&self) -> AddressPermits<'_> {
        let (entries, overflow) = (layout::addresses(), layout::address_overflow());
        let sets = layout::SETS_OF_ADDRESSES;
        AddressPermits::new(self.pages(entries), self.pages(overflow), sets, self.odd)
    }

    /// The tags of listeners.
    pub(super) fn listener_tags(&self) -> &[AtomicU64] {
        &self.slice()[layout::listener_tags()]
    }

    /// Connections of the listener with this place.
    pub(super) fn listener_permits(&self, at: usize) -> SharedPermits<'_> {
        self.shared(layout::listeners(), at)
    }

    /// What is left of a grant of a quota.
    ///
    /// # Panics
    /// If there is no such slot: control gives those below [`limits::QUOTA_KEYS`].
    #[inline]
    pub fn allowance(&self, slot: QuotaSlot) -> Allowance<'_> {
        debug_assert!(slot.index() < limits::QUOTA_KEYS);
        Allowance::new(&self.slice()[ALLOWANCES + slot.index()])
    }

    /// Clears up after the process of the other parity of epochs, which is gone (waited for, or its pidfd is readable): gives back the
    /// [`SharedPermits`], [`AddressPermits`] and [`Bulkhead`]s that it held, and takes locks off where it was killed in the act; says how
    /// many permits those were. Idempotent; one thread at a time.
    pub fn forget_other(&self) -> u64 {
        for table in [BucketTable::Known, BucketTable::Strangers] {
            self.keys(table).forget();
        }
        let slots = self.instances();
        let pages = self.pages(layout::bulkheads());
        let services = pages.used().flat_map(|(first, words)| first..first + words.len());
        let services = services.map(|at| Bulkhead::new(pages, at, self.odd).forget());
        let places = [layout::instances(slots), layout::connections(slots), layout::listeners()];
        let left = places.into_iter().flat_map(|place| {
            let pages = self.pages(place);
            pages.used().flat_map(move |(first, words)| {
                let places = first..first + words.len();
                places.map(move |at| SharedPermits::new(pages, at, self.odd).forget())
            })
        });
        services.sum::<u64>() + left.sum::<u64>() + self.addresses().forget()
    }

    /// What makes keys of buckets: the same in every process that has this table.
    #[inline]
    pub fn hasher(&self) -> BucketHasher {
        let words = self.slice();
        BucketHasher::new(AT_SEED.map(|at| words[at].load(Ordering::Relaxed)))
    }

    /// The buckets of the host.
    #[inline]
    pub fn keys(&self, table: BucketTable) -> KeyTable<'_> {
        let (sets, _) = self.slice()[layout::lines(table)].as_chunks().0.as_chunks();
        KeyTable::of(sets, self, table, self.odd)
    }

    /// The words of overflow of a table of buckets.
    pub(super) fn overflow(&self, table: BucketTable) -> Pages<'_> {
        self.pages(layout::overflow(table))
    }

    /// Connections of the host. The header has no marks: it is always in use.
    pub(super) fn connections(&self) -> SharedPermits<'_> {
        let word = &self.slice()[AT_CONNECTIONS..=AT_CONNECTIONS];
        SharedPermits::new(Pages::new(word, &[]), 0, self.odd)
    }

    #[inline]
    fn shared(&self, place: Place, at: usize) -> SharedPermits<'_> {
        SharedPermits::new(self.pages(place), at, self.odd)
    }

    #[inline]
    fn pages(&self, Place { words, marks }: Place) -> Pages<'_> {
        let all = self.slice();
        Pages::new(&all[words], &all[marks])
    }

    #[inline]
    fn slice(&self) -> &[AtomicU64] {
        match &self.words {
            Words::Mapped(words) => words,
            Words::Owned(own) => &own.0,
        }
    }
}

impl fmt::Debug for Cells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cells").field("instances", &self.instances()).finish_non_exhaustive()
    }
}

/// Instance slots of so many words; a word too many belongs to none.
fn slots(words: &[AtomicU64]) -> usize {
    (words.len() - LEAST) / SLOT_WORDS
}

fn long_enough(words: &[AtomicU64]) -> Result<(), LayoutMismatch> {
    if words.len() < LEAST {
        return Err(LayoutMismatch::Short { words: words.len() });
    }
    Ok(())
}

/// Writes the header.
fn sign(words: &[AtomicU64], seed: [u64; 2]) {
    for (at, half) in AT_SEED.into_iter().zip(seed) {
        words[at].store(half, Ordering::Relaxed);
    }
    words[AT_LAYOUT].store(LAYOUT, Ordering::Relaxed);
    words[AT_CAPACITY].store(slots(words) as u64, Ordering::Relaxed);
    words[AT_MAGIC].store(MAGIC, Ordering::Release);
}
