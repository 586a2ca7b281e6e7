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

/// Words that are hashed at once: of more, those that were there first become one.
const WORDS: usize = 12;

/// Makes a key of what tells a bucket from others: words, each part of which begins with one that says what it is and how long.
///
/// They are gathered first and hashed together: so the compiler sees that nothing but whole words is ever hashed.
#[derive(Debug, Clone)]
pub struct BucketHasher {
    seed: [u64; 2],
    words: [u64; WORDS],
    len: usize,
}

impl BucketHasher {
    #[inline]
    pub(super) const fn new(seed: [u64; 2]) -> Self {
        Self { seed, words: [0; WORDS], len: 0 }
    }

    /// A word.
    #[inline]
    pub fn word(&mut self, word: u64) {
        if self.len >= WORDS {
            self.words[0] = hash(self.seed, &self.words);
            self.len = 1;
        }
        self.words[self.len] = word;
        self.len += 1;
    }

    /// Bytes: a word that says what they are and how many, and theirs.
    #[inline(never)]
    pub fn bytes(&mut self, what: u8, bytes: &[u8]) {
        self.word(u64::from(what) | (bytes.len() as u64) << 8);
        let (whole, rest) = bytes.as_chunks();
        for chunk in whole {
            self.word(u64::from_le_bytes(*chunk));
        }
        self.word(rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
    }

    /// The key: never 0.
    #[inline]
    pub fn key(&self) -> u64 {
        hash(self.seed, &self.words[..self.len]).max(1)
    }
}

/// What tells the buckets of a limit from those of others by its name: the same in every build, since a table outlives one.
pub fn tag_of(name: &str) -> u64 {
    let mut tag = BucketHasher::new([0; 2]);
    tag.bytes(0, name.as_bytes());
    tag.key()
}

#[inline(never)]
fn hash([first, second]: [u64; 2], words: &[u64]) -> u64 {
    let mut keyed = SipHasher13::new_with_keys(first, second);
    words.iter().for_each(|word| keyed.write_u64(*word));
    keyed.finish()
}
