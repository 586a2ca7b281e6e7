//! Credentials: of a key nothing is kept but its SHA-256 (FIPS 180-4). The door of sha2 and subtle.
//!
//! A key is random and long ([`limits::KEY_BYTES`](crate::base::limits) are drawn for those that we make), so a fast hash is enough: there is no
//! dictionary to try. What finds a digest in a table compares whole digests in constant time; which bucket is looked at depends on the digest's first
//! bytes, which tell whoever sent the key nothing that he could not have computed.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::base::limits;

/// Whether two texts are the same. How long it takes tells at most whether their lengths are.
#[must_use = "what is not compared lets everybody in"]
pub fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// The SHA-256 of a key. Its `Debug` and `Display` show the first four bytes, by which operators tell keys apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest of a key as a client sends it.
    pub fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// The digest of a key whose bytes come one by one: where its escapes are undone on the way.
    pub fn of_bytes(mut key: impl Iterator<Item = u8>) -> Self {
        let (mut hash, mut piece) = (Sha256::new(), [0; 64]);
        loop {
            let mut length = 0;
            for (place, byte) in piece.iter_mut().zip(&mut key) {
                *place = byte;
                length += 1;
            }
            hash.update(&piece[..length]);
            if length < piece.len() {
                return Self(hash.finalize().into());
            }
        }
    }

    /// A digest that was made elsewhere.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// From 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16);
            *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
        }
        Some(Self(bytes))
    }

    /// All of it, as 64 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        use fmt::Write;
        let mut text = String::with_capacity(64);
        for byte in self.0 {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether both are the same, in time that says nothing about where they differ.
    #[inline]
    pub fn is(&self, other: &Self) -> bool {
        same(&self.0, &other.0)
    }

    /// A number by which tables find it.
    #[inline]
    pub fn short(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyDigest({self})")
    }
}

/// The key that is made of these random bytes: `cg_`, so that people and scanners know what it is, and base64url (RFC 4648 §5).
pub fn key_of(bytes: &[u8; limits::KEY_BYTES]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const { assert!(limits::KEY_BYTES.is_multiple_of(3), "nothing is left over") };
    let mut key = String::with_capacity(KEY_PREFIX.len() + limits::KEY_BYTES / 3 * 4);
    key.push_str(KEY_PREFIX);
    for triple in bytes.as_chunks::<3>().0 {
        let [a, b, c] = triple.map(u32::from);
        let word = a << 16 | b << 8 | c;
        let digit = |at: u32| char::from(DIGITS[(word >> at & 63) as usize]);
        key.extend([18, 12, 6, 0].map(digit));
    }
    key
}

/// What keys that we make begin with.
pub const KEY_PREFIX: &str = "cg_";

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2, appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn digests() {
        let abc = KeyDigest::of(b"abc");
        assert_eq!(abc.to_hex(), ABC);
        assert_eq!(KeyDigest::from_hex(&ABC.to_uppercase()), Some(abc));
        assert!(abc.is(&KeyDigest::from_hex(ABC).unwrap()) && !abc.is(&KeyDigest::of(b"abd")));
        assert_eq!((abc.to_string().as_str(), abc.short()), ("ba7816bf", 0xeacf_018f_bf16_78ba));
        assert_eq!(format!("{abc:?}"), "KeyDigest(ba7816bf)");
        for length in [0, 1, 63, 64, 65, 200] {
            let key: Vec<u8> = (0..length).collect();
            assert_eq!(KeyDigest::of_bytes(key.iter().copied()), KeyDigest::of(&key));
        }
        for bad in ["", "ba", &ABC[1..], &format!("{ABC}0"), &ABC.replace('b', "g")] {
            assert_eq!(KeyDigest::from_hex(bad), None, "{bad}");
        }
    }

    #[test]
    fn keys() {
        assert_eq!(key_of(&[0; 24]), format!("cg_{}", "A".repeat(32)));
        assert_eq!(key_of(&[0xFF; 24]), format!("cg_{}", "_".repeat(32)));
        let text = b"Man is distinguished, no";
        assert_eq!(key_of(text), "cg_TWFuIGlzIGRpc3Rpbmd1aXNoZWQsIG5v");
    }
}
