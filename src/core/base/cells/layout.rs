//! The layout: which word of a table is what.
//!
//! ```text
//! word 0      magic     says that this is such a table; written last, so that a table half made is none
//!      1      layout    LAYOUT of who made it
//!      2      capacity  instance slots
//!      3      seed, two words
//!     16      permits: connections of the host, 128 bytes from what is only read: processors fetch lines of 64 in pairs
//!     ...     reserved, zero
//!    512      known buckets: a word of overflow a set, then the sets, a line each
//!             buckets of strangers: the same
//!             permits: instances of each service that are set aside
//!             permits: requests in flight to each service
//!             connections of addresses: a word of overflow a set, then the sets, a line each
//!             connections of listeners: a tag of each, then permits of each
//!             marks of pages: of both areas of overflow, of requests in flight to services and to instances, of connections to instances,
//!             of the overflow and sets of addresses, of connections of listeners
//!             allowances: a word each slot of quotas
//!             verdict of each instance slot
//!             permits: requests in flight to each instance slot
//!             permits: connections to each instance slot
//! ```
//!
//! There is a word for every id that a service can have ([`limits::SERVICES`]), side by side: of most services none is ever written.
//! The areas whose length differs between tables, those of slots, come last, so that the places of all others are constants.

use std::ops::Range;

use super::addresses;
use super::allowance;
use super::bucket::BucketTable;
use super::keys;
use super::verdict;
use crate::base::limits;

/// The words of the header: one page of 4 KiB.
pub(super) const HEADER_WORDS: usize = 512;
/// The words of a page of 4 KiB.
pub(super) const PAGE_WORDS: usize = 512;

/// "coregate" in ASCII.
pub(super) const MAGIC: u64 = u64::from_be_bytes(*b"coregate");

pub(super) const AT_MAGIC: usize = 0;
pub(super) const AT_LAYOUT: usize = 1;
pub(super) const AT_CAPACITY: usize = 2;
pub(super) const AT_SEED: [usize; 2] = [3, 4];
pub(super) const AT_CONNECTIONS: usize = 16;

/// The words of a set: of each entry a tag and a time. One cache line.
pub(super) const SET_WORDS: usize = 2 * limits::BUCKETS_OF_SET;

/// The entries of a set of addresses, a word each. One cache line.
pub(super) const ADDRESSES_OF_SET: usize = 8;
/// The sets of addresses.
pub(super) const SETS_OF_ADDRESSES: usize = limits::CONNECTION_ADDRESSES / ADDRESSES_OF_SET;

/// The sets of a table of buckets.
pub(super) const fn sets(table: BucketTable) -> usize {
    let buckets = match table {
        BucketTable::Known => limits::KNOWN_BUCKETS,
        BucketTable::Strangers => limits::STRANGER_BUCKETS,
    };
    buckets / limits::BUCKETS_OF_SET
}

const fn pages(words: usize) -> usize {
    words.div_ceil(PAGE_WORDS)
}

const KNOWN_OVERFLOW: usize = HEADER_WORDS;
const KNOWN_SETS: usize = KNOWN_OVERFLOW + sets(BucketTable::Known);
const STRANGER_OVERFLOW: usize = KNOWN_SETS + sets(BucketTable::Known) * SET_WORDS;
const STRANGER_SETS: usize = STRANGER_OVERFLOW + sets(BucketTable::Strangers);
/// Where the permits of instances that are set aside begin.
pub(super) const EJECTIONS: usize = STRANGER_SETS + sets(BucketTable::Strangers) * SET_WORDS;
const BULKHEADS: usize = EJECTIONS + limits::SERVICES;
const ADDRESS_OVERFLOW: usize = BULKHEADS + limits::SERVICES;
const ADDRESS_SETS: usize = ADDRESS_OVERFLOW + SETS_OF_ADDRESSES;
const LISTENER_TAGS: usize = ADDRESS_SETS + limits::CONNECTION_ADDRESSES;
const LISTENERS: usize = LISTENER_TAGS + limits::LISTENER_NAMES;

const KNOWN_MARKS: usize = LISTENERS + limits::LISTENER_NAMES;
const STRANGER_MARKS: usize = KNOWN_MARKS + pages(sets(BucketTable::Known));
const BULKHEAD_MARKS: usize = STRANGER_MARKS + pages(sets(BucketTable::Strangers));
const INSTANCE_MARKS: usize = BULKHEAD_MARKS + pages(limits::SERVICES);
const CONNECTION_MARKS: usize = INSTANCE_MARKS + pages(limits::INSTANCE_SLOTS);
const ADDRESS_OVERFLOW_MARKS: usize = CONNECTION_MARKS + pages(limits::INSTANCE_SLOTS);
const ADDRESS_MARKS: usize = ADDRESS_OVERFLOW_MARKS + pages(SETS_OF_ADDRESSES);
const LISTENER_MARKS: usize = ADDRESS_MARKS + pages(limits::CONNECTION_ADDRESSES);

/// Where the allowances begin.
pub(super) const ALLOWANCES: usize = LISTENER_MARKS + pages(limits::LISTENER_NAMES);
/// Where the verdicts begin.
pub(super) const VERDICTS: usize = ALLOWANCES + limits::QUOTA_KEYS;
/// The words of a table without instance slots.
pub(super) const LEAST: usize = VERDICTS;
/// The words of an instance slot.
pub(super) const SLOT_WORDS: usize = 3;

const _: () = {
    assert!(limits::KNOWN_BUCKETS.is_multiple_of(limits::BUCKETS_OF_SET * PAGE_WORDS));
    assert!(limits::STRANGER_BUCKETS.is_multiple_of(limits::BUCKETS_OF_SET * PAGE_WORDS));
    assert!(sets(BucketTable::Known).is_power_of_two());
    assert!(sets(BucketTable::Strangers).is_power_of_two());
    assert!(SETS_OF_ADDRESSES.is_power_of_two());
    assert!(listeners().words.end <= KNOWN_MARKS, "areas that were added at one place overlap");
    assert!(listeners().marks.end <= ALLOWANCES, "areas that were added at one place overlap");
    assert!(ADDRESS_SETS.is_multiple_of(ADDRESSES_OF_SET), "a set is a line");
    assert!(ADDRESSES_OF_SET * size_of::<u64>() == 64, "a set is a line");
    assert!(SET_WORDS * size_of::<u64>() == 64, "a set is a line");
};

/// Where words lie, and the marks of their pages.
pub(super) struct Place {
    pub(super) words: Range<usize>,
    pub(super) marks: Range<usize>,
}

#[inline]
const fn place(words: usize, count: usize, marks: usize, most: usize) -> Place {
    Place { words: words..words + count, marks: marks..marks + pages(most) }
}

/// Where the words of overflow of a table of buckets lie.
#[inline]
pub(super) const fn overflow(table: BucketTable) -> Place {
    let (words, marks) = match table {
        BucketTable::Known => (KNOWN_OVERFLOW, KNOWN_MARKS),
        BucketTable::Strangers => (STRANGER_OVERFLOW, STRANGER_MARKS),
    };
    place(words, sets(table), marks, sets(table))
}

/// Where the sets of a table of buckets lie.
#[inline]
pub(super) const fn lines(table: BucketTable) -> Range<usize> {
    let start = match table {
        BucketTable::Known => KNOWN_SETS,
        BucketTable::Strangers => STRANGER_SETS,
    };
    start..start + sets(table) * SET_WORDS
}

/// Where the permits of requests in flight to services lie.
pub(super) const fn bulkheads() -> Place {
    place(BULKHEADS, limits::SERVICES, BULKHEAD_MARKS, limits::SERVICES)
}

/// Where the permits of requests in flight to so many instance slots lie.
pub(super) const fn instances(slots: usize) -> Place {
    place(VERDICTS + slots, slots, INSTANCE_MARKS, limits::INSTANCE_SLOTS)
}

/// Where the permits of connections to so many instance slots lie.
pub(super) const fn connections(slots: usize) -> Place {
    place(VERDICTS + 2 * slots, slots, CONNECTION_MARKS, limits::INSTANCE_SLOTS)
}

/// Where the words of overflow of addresses lie.
pub(super) const fn address_overflow() -> Place {
    place(ADDRESS_OVERFLOW, SETS_OF_ADDRESSES, ADDRESS_OVERFLOW_MARKS, SETS_OF_ADDRESSES)
}

/// Where the sets of addresses lie.
pub(super) const fn addresses() -> Place {
    let count = limits::CONNECTION_ADDRESSES;
    place(ADDRESS_SETS, count, ADDRESS_MARKS, count)
}

/// Where the tags of listeners lie.
pub(super) const fn listener_tags() -> Range<usize> {
    LISTENER_TAGS..LISTENERS
}

/// Where the permits of connections of listeners lie.
pub(super) const fn listeners() -> Place {
    place(LISTENERS, limits::LISTENER_NAMES, LISTENER_MARKS, limits::LISTENER_NAMES)
}

/// What the words mean, told to the hash. A change of meaning that moves no number is a change of this text.
const MEANING: &str = "\
    header: magic, layout, instance slots, seed; connections; \
    buckets: known and of strangers, SipHash-1-3 of a tag and parts; overflow: time, locked, parity; sets: tags and times, claimed; \
    verdict: state (gone, draining, down, ejected), breaker, consecutive failures, share, generation; \
    ejections of each service after the buckets: permits, one a mark; marks of pages that were ever written to; \
    connections of addresses: overflow and sets of words, a tag and 16 bits each by epochs; of listeners: tags of names, permits; \
    in flight to services: 22 bits each by even and odd epochs, then 10 each of those who wait; \
    connections, in flight to slots, connections to slots: taken by even epochs, by odd epochs; \
    rate: theoretical arrival time in ns of the monotonic clock; \
    allowance: tokens left, the last, stamp of the use; \
    permits: taken";

/// The layout of this build's tables, the bits of each view included: builds whose values are equal may share a table.
pub const LAYOUT: u64 = {
    let mut hash = fnv1a(FNV_OFFSET, MEANING.as_bytes());
    let places = [
        AT_MAGIC,
        AT_LAYOUT,
        AT_CAPACITY,
        AT_SEED[0],
        AT_SEED[1],
        AT_CONNECTIONS,
        HEADER_WORDS,
        SET_WORDS,
        KNOWN_SETS,
        STRANGER_OVERFLOW,
        STRANGER_SETS,
        EJECTIONS,
        BULKHEADS,
        ADDRESS_OVERFLOW,
        ADDRESS_SETS,
        LISTENER_TAGS,
        LISTENERS,
        STRANGER_MARKS,
        BULKHEAD_MARKS,
        INSTANCE_MARKS,
        CONNECTION_MARKS,
        ADDRESS_OVERFLOW_MARKS,
        ADDRESS_MARKS,
        LISTENER_MARKS,
        ALLOWANCES,
        VERDICTS,
        SLOT_WORDS,
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
    let mut at = 0;
    while at < keys::MASKS.len() {
        hash = fnv1a(hash, &keys::MASKS[at].to_le_bytes());
        at += 1;
    }
    let mut at = 0;
    while at < addresses::MASKS.len() {
        hash = fnv1a(hash, &addresses::MASKS[at].to_le_bytes());
        at += 1;
    }
    let mut at = 0;
    while at < allowance::MASKS.len() {
        hash = fnv1a(hash, &allowance::MASKS[at].to_le_bytes());
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
