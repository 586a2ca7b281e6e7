//! The edges of all tries in one table: from a node by a literal segment to the next (door of rustc-hash).
//!
//! Open addressing, at most half full. An entry has 32 bytes and holds segments of up to 16 of them itself, so that most
//! steps touch one cache line. Requests choose what is looked up and never what stands in it, so the hash needs no secret.

use std::hash::Hasher;

use rustc_hash::FxHasher;

/// A node, or what else an edge may come from or lead to.
pub(super) type NodeId = u32;

/// No node.
pub(super) const NOWHERE: NodeId = NodeId::MAX;

/// Bytes of a segment that an entry holds itself.
const INLINE: usize = 16;

#[derive(Debug, Clone, Copy)]
struct Entry {
    from: NodeId,
    to: NodeId,
    /// The upper part of the hash, so that entries of others are seldom compared.
    tag: u32,
    length: u32,
    /// The segment, or where it begins in `long`.
    text: [u8; INLINE],
}

/// The table.
#[derive(Debug)]
pub(super) struct Edges {
    entries: Box<[Entry]>,
    long: Box<[u8]>,
}

impl Default for Edges {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Edges {
    /// A table of these: from, by, to. No two have the same from and by.
    pub(super) fn new(edges: &[(NodeId, &[u8], NodeId)]) -> Self {
        let free = Entry { from: NOWHERE, to: NOWHERE, tag: 0, length: 0, text: [0; INLINE] };
        let mut entries = vec![free; (edges.len() * 2).next_power_of_two()].into_boxed_slice();
        let mut long = Vec::new();
        for &(from, by, to) in edges {
            let (tag, mut at) = place(from, by, entries.len());
            while entries[at].from != NOWHERE {
                at = (at + 1) & (entries.len() - 1);
            }
            let mut text = [0; INLINE];
            match text.get_mut(..by.len()) {
                Some(inline) => inline.copy_from_slice(by),
                None => {
                    text[..4].copy_from_slice(&(long.len() as u32).to_ne_bytes());
                    long.extend_from_slice(by);
                }
            }
            entries[at] = Entry { from, to, tag, length: by.len() as u32, text };
        }
        Self { entries, long: long.into() }
    }

    /// Where this segment leads from a node.
    #[inline]
    pub(super) fn get(&self, from: NodeId, by: &[u8]) -> Option<NodeId> {
        let (tag, mut at) = place(from, by, self.entries.len());
        loop {
            let entry = &self.entries[at];
            if entry.from == from && entry.tag == tag && self.text(entry) == by {
                return Some(entry.to);
            }
            if entry.from == NOWHERE {
                return None;
            }
            at = (at + 1) & (self.entries.len() - 1);
        }
    }

    #[inline]
    fn text<'t>(&'t self, entry: &'t Entry) -> &'t [u8] {
        let length = entry.length as usize;
        match entry.text.get(..length) {
            Some(inline) => inline,
            None => {
                let [a, b, c, d, ..] = entry.text;
                let start = u32::from_ne_bytes([a, b, c, d]) as usize;
                &self.long[start..start + length]
            }
        }
    }
}

/// The tag of an edge, and where in a table of this size it is looked for first.
#[inline]
fn place(from: NodeId, by: &[u8], size: usize) -> (u32, usize) {
    let mut hasher = FxHasher::default();
    hasher.write_u32(from);
    hasher.write(by);
    let hash = hasher.finish();
    ((hash >> 32) as u32, hash as usize & (size - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_found() {
        let texts: Vec<_> = (0..1_000).map(|n| "x".repeat(n % 40) + &n.to_string()).collect();
        let edges: Vec<_> =
            texts.iter().zip(0..).map(|(text, n)| (n % 7, text.as_bytes(), n)).collect();
        let table = Edges::new(&edges);
        for &(from, by, to) in &edges {
            assert_eq!(table.get(from, by), Some(to));
            assert_eq!(table.get(from + 7, by), None);
        }
        assert_eq!(table.get(0, b""), None);
        assert_eq!(Edges::default().get(0, b"a"), None);
        assert_eq!(size_of::<Entry>(), 32);
    }
}
