//! The table: one page of header, then a verdict word for each instance slot, then words for each service, and more for each slot.
//!
//! ```text
//! word 0      magic     says that this is such a table; written last, so that a table half made is none
//!      1      layout    LAYOUT of who made it
//!      2      capacity  instance slots
//!     16      connection permits: taken in all   ┐ 128 bytes apart: processors fetch
//!     32      ... by processes of even epochs    │ cache lines of 64 in pairs
//!     48      ... by processes of odd epochs     ┘
//!     64      instance slots below this may be limited
//!     ...     reserved, zero
//!    512      verdict of instance slot 0
//!    513      verdict of instance slot 1 ...
//!    512 + instance slots      permits: instances of service 0 that are set aside
//!    513 + instance slots      ... of service 1 ...
//!    ...                       bulkhead of each service
//!    ...                       bulkhead of each instance slot, and its connections: two words a slot
//! ```
//!
//! There is a word for every id that a service can have ([`limits::SERVICES`]), side by side: they are written when an instance is
//! set aside or comes back, and read by nobody else.
//!
//! A table is never converted. Whoever inherits one compares magic, [`LAYOUT`] and capacity, and makes a fresh one if any
//! differs: what is lost is a burst of each limit, which is less than what a word read in a wrong way can do.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::bulkhead::Bulkhead;
use super::outlier::Outlier;
use super::permit::Permits;
use super::sync::{self, AtomicU64, Ordering};
use super::verdict::{self, Verdict};
use crate::base::ids::{InstanceSlot, ServiceId};
use crate::base::limits;

/// The words of the header: one page of 4 KiB.
const HEADER_WORDS: usize = 512;

/// The words of a table without instance slots.
const LEAST: usize = HEADER_WORDS + 2 * limits::SERVICES;

/// The words of an instance slot: its verdict, its bulkhead, its connections.
const SLOT_WORDS: usize = 3;

/// "coregate" in ASCII.
const MAGIC: u64 = u64::from_be_bytes(*b"coregate");

const AT_MAGIC: usize = 0;
const AT_LAYOUT: usize = 1;
const AT_CAPACITY: usize = 2;
const AT_CONNECTIONS: usize = 16;
const AT_HELD: [usize; 2] = [32, 48];
const AT_LIMITED: usize = 64;

/// What the words mean, told to the hash. A change of meaning that moves no number is a change of this text.
const MEANING: &str = "\
    header: magic, layout, instance slots; connections: taken in all, by even epochs, by odd epochs; \
    verdict: state (gone, draining, down, ejected), breaker, consecutive failures, share, generation; \
    ejections of each service after the verdicts: permits, one a mark; \
    bulkheads of services, then of slots with connections: in flight and waiting, by parity of epochs; \
    rate: theoretical arrival time in ns of the monotonic clock; \
    permits: taken";

/// The layout of this build's tables, the bits of each view included: builds whose values are equal may share a table.
pub const LAYOUT: u64 = {
    let mut hash = fnv1a(FNV_OFFSET, MEANING.as_bytes());
    let places = [
        AT_MAGIC,
        AT_LAYOUT,
        AT_CAPACITY,
        AT_CONNECTIONS,
        AT_HELD[0],
        AT_HELD[1],
        AT_LIMITED,
        SLOT_WORDS,
        HEADER_WORDS,
        limits::SERVICES,
    ];
    let mut at = 0;
    while at < places.len() {
        hash = fnv1a(hash, &(places[at] as u64).to_le_bytes());
        at += 1;
    }
    let mut at = 0;
    while at < verdict::MASKS.len() {
        hash = fnv1a(hash, &verdict::MASKS[at].to_le_bytes());
        at += 1;
    }
    hash
};

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a (Fowler, Noll, Vo), 64 bits, continued from `hash`.
const fn fnv1a(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(FNV_PRIME);
        at += 1;
    }
    hash
}

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

    /// A table of one's own, for tests and worlds in memory.
    pub fn owned(instances: usize) -> Self {
        let words = sync::zeroed(Self::words(instances));
        sign(&words);
        Self { words: Words::Owned(Arc::new(Own(words))), odd: false }
    }

    /// Makes a table of these words, all of which are zero and which nobody else has yet.
    pub fn create(words: &'static [AtomicU64]) -> Result<Self, LayoutMismatch> {
        long_enough(words)?;
        sign(words);
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
        Verdict::new(&self.slice()[HEADER_WORDS + slot.index()])
    }

    /// How many instances of a service are set aside: one permit for each mark. Who changes a mark sees to it that this stays so:
    /// [`Outlier`].
    pub fn ejections(&self, service: ServiceId) -> Permits<'_> {
        Permits::new(&self.slice()[HEADER_WORDS + self.instances() + service.index()])
    }

    /// How many requests of a service are in flight, and how many wait.
    #[inline]
    pub fn bulkhead(&self, service: ServiceId) -> Bulkhead<'_> {
        let at = HEADER_WORDS + self.instances() + limits::SERVICES + service.index();
        Bulkhead::new(&self.slice()[at], self.odd)
    }

    /// How many requests are in flight to the instance of a slot.
    #[inline]
    pub fn instance_bulkhead(&self, slot: InstanceSlot) -> Bulkhead<'_> {
        Bulkhead::new(&self.slice()[self.beyond_services() + 2 * slot.index()], self.odd)
    }

    /// How many connections there are to the instance of a slot.
    #[inline]
    pub fn instance_connections(&self, slot: InstanceSlot) -> Bulkhead<'_> {
        Bulkhead::new(&self.slice()[self.beyond_services() + 2 * slot.index() + 1], self.odd)
    }

    /// Gives back what a process of this epoch, which is gone, had of bulkheads. Reads the words of services and of all slots that may
    /// ever have been limited, [`note_limited`](Self::note_limited).
    pub fn forget_bulkheads(&self, epoch: u64) {
        let odd = epoch % 2 == 1;
        let services = (0..limits::SERVICES).map(|id| self.bulkhead(ServiceId(id as u16)));
        let slots = self.slice()[AT_LIMITED].load(Ordering::Acquire).min(self.instances() as u64);
        let slots = (0..slots).map(|slot| InstanceSlot(slot as u32));
        let slots =
            slots.flat_map(|slot| [self.instance_bulkhead(slot), self.instance_connections(slot)]);
        services.chain(slots).for_each(|bulkhead| bulkhead.forget(odd));
    }

    /// Says that the instance of this slot is limited, before anything is taken of it.
    #[inline]
    pub fn note_limited(&self, slot: InstanceSlot) {
        let limited = &self.slice()[AT_LIMITED];
        if limited.load(Ordering::Relaxed) <= u64::from(slot.0) {
            limited.fetch_max(u64::from(slot.0) + 1, Ordering::Release);
        }
    }

    /// Where the words of slots begin that lie behind those of services.
    fn beyond_services(&self) -> usize {
        HEADER_WORDS + self.instances() + 2 * limits::SERVICES
    }

    /// What live requests say of the instance that uses a slot under this generation.
    ///
    /// # Panics
    /// If the table has no such slot.
    pub fn outlier(&self, service: ServiceId, slot: InstanceSlot, generation: u16) -> Outlier<'_> {
        Outlier::new(self.verdict(slot), self.ejections(service), generation)
    }

    /// Connections in all.
    pub(super) fn connections(&self) -> &AtomicU64 {
        &self.slice()[AT_CONNECTIONS]
    }

    /// Connections of processes of this parity of epochs.
    pub(super) fn held(&self, odd: bool) -> &AtomicU64 {
        &self.slice()[AT_HELD[usize::from(odd)]]
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
fn sign(words: &[AtomicU64]) {
    words[AT_LAYOUT].store(LAYOUT, Ordering::Relaxed);
    words[AT_CAPACITY].store(slots(words) as u64, Ordering::Relaxed);
    words[AT_MAGIC].store(MAGIC, Ordering::Release);
}
