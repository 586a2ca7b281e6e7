//! Buckets: which one a request draws on. The door of siphasher.
//!
//! A bucket's key is 64 bits of SipHash-1-3 (Aumasson, Bernstein: SipHash, 2012) over what tells it from others, keyed by the random seed
//! of the table: clients cannot choose keys that lie in one place, and two keys are the same once in 2^64.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// In which table a bucket lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BucketTable {
    /// Of what the configuration names: consumers, routes, services.
    Known,
    /// Of what clients choose: addresses and header values. Apart, so that these can never crowd out the others.
    Strangers,
}

/// Makes a key of what tells a bucket from others.
#[derive(Debug, Clone)]
pub struct BucketHasher(SipHasher13);

impl BucketHasher {
    pub(super) fn new([first, second]: [u64; 2]) -> Self {
        Self(SipHasher13::new_with_keys(first, second))
    }

    /// A part of 64 bits.
    #[inline]
    pub fn number(&mut self, part: u64) {
        self.0.write_u64(part);
    }

    /// A part of bytes; where it ends is a part too.
    #[inline]
    pub fn bytes(&mut self, part: &[u8]) {
        self.0.write(part);
        self.0.write_u64(part.len() as u64);
    }

    /// The key: never 0.
    #[inline]
    pub fn key(&self) -> u64 {
        self.0.finish().max(1)
    }
}
