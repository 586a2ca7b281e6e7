//! Keys that a worker has found good lately: a fixed set of digests.
//!
//! An address that fails too often is not looked up any more, but for these: whoever guesses behind the same address as a known
//! consumer does not lock that one out. Only what was found good gets in, so guesses push nothing out. What is in it may have been
//! revoked since; it is looked up all the same.

use std::cell::RefCell;

use coregate_core::base::limits;
use coregate_core::policy::credential::KeyDigest;

/// Digests that one place has room for.
const WAYS: usize = 4;

const PLACES: usize = limits::VERIFIED_KEYS / WAYS;

/// What stands where there is no digest. No key is known whose digest it is.
const NONE: KeyDigest = KeyDigest::new([0; 32]);

/// A fixed set of digests; the youngest of a place stands first, and pushes out the oldest.
#[derive(Debug, Default)]
pub struct Verified {
    /// Empty until the first comes.
    places: RefCell<Vec<[KeyDigest; WAYS]>>,
}

impl Verified {
    /// Whether it is one of them.
    #[inline]
    pub fn has(&self, digest: &KeyDigest) -> bool {
        self.places.borrow().get(place(digest)).is_some_and(|ways| has(ways, digest))
    }

    /// It was found good.
    #[inline]
    pub fn add(&self, digest: &KeyDigest) {
        let mut places = self.places.borrow_mut();
        if places.is_empty() {
            places.resize(PLACES, [NONE; WAYS]);
        }
        let ways = &mut places[place(digest)];
        if !has(ways, digest) {
            ways.rotate_right(1);
            ways[0] = *digest;
        }
    }

    /// It is good no more.
    pub fn remove(&self, digest: &KeyDigest) {
        if let Some(ways) = self.places.borrow_mut().get_mut(place(digest)) {
            ways.iter_mut().filter(|one| one.is(digest)).for_each(|one| *one = NONE);
        }
    }
}

fn has(ways: &[KeyDigest; WAYS], digest: &KeyDigest) -> bool {
    ways.iter().any(|one| one.is(digest))
}

fn place(digest: &KeyDigest) -> usize {
    digest.short() as usize % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(place: u64, n: u8) -> KeyDigest {
        let mut bytes = [n; 32];
        bytes[..8].copy_from_slice(&place.to_le_bytes());
        KeyDigest::new(bytes)
    }

    #[test]
    fn the_oldest_of_a_place_goes() {
        let set = Verified::default();
        assert!(!set.has(&digest(7, 1)));
        set.remove(&digest(7, 1));
        for n in 1..=5 {
            set.add(&digest(7, n));
            set.add(&digest(7, n));
        }
        set.add(&digest(8, 1));
        assert_eq!(
            [1, 2, 3, 4, 5].map(|n| set.has(&digest(7, n))),
            [false, true, true, true, true]
        );
        set.remove(&digest(7, 3));
        assert_eq!([2, 3, 4].map(|n| set.has(&digest(7, n))), [true, false, true]);
        assert!(set.has(&digest(8, 1)) && !set.has(&digest(9, 1)));
    }
}
