//! The timer wheel: one coarse, lazy wheel a worker.
//!
//! A request that moves its deadline only writes a number; its entry stays where it is linked and is moved when the old
//! place fires. Ticks are 10 ms, buckets 8,192: deadlines further away than 81 s are linked at the horizon and moved
//! likewise. Entries are indices into the slot table, linked through it, so nothing is allocated.
//!
//! ```text
//!  cursor ─▶ bucket 17 ─▶ slot 4 ⇄ slot 9        a bit a bucket says whether it is empty
//!            bucket 18
//! ```

use coregate_core::base::time::Tick;

/// Buckets; a power of two.
const BUCKETS: usize = 8_192;
/// The furthest that an entry is linked ahead, in ticks.
const HORIZON: u32 = BUCKETS as u32 - 2;
/// No entry.
pub const NONE: u32 = u32::MAX;

/// Where an entry is linked. Lives in the slot table; only the wheel changes it.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    next: u32,
    previous: u32,
    at: Option<Tick>,
}

impl Default for Link {
    fn default() -> Self {
        Self { next: NONE, previous: NONE, at: None }
    }
}

impl Link {
    /// When the wheel will look at this entry.
    pub fn at(&self) -> Option<Tick> {
        self.at
    }
}

/// Who holds the links.
pub trait Links {
    /// The link of entry `index`.
    fn link(&mut self, index: u32) -> &mut Link;
}

/// The wheel itself: the heads of the lists and where time stands.
#[derive(Debug)]
pub struct Wheel {
    heads: Box<[u32]>,
    filled: Box<[u64]>,
    /// The first tick that was not looked at yet.
    cursor: Tick,
}

impl Wheel {
    /// An empty wheel at `now`.
    pub fn new(now: Tick) -> Self {
        Self {
            heads: vec![NONE; BUCKETS].into(),
            filled: vec![0; BUCKETS / 64].into(),
            cursor: now,
        }
    }

    /// Links an entry that is not linked, so that it is looked at when `at` comes; sooner if that is far away.
    pub fn insert(&mut self, links: &mut impl Links, index: u32, at: Tick) -> Tick {
        let ahead = at.0.wrapping_sub(self.cursor.0);
        let ahead = if ahead > u32::MAX / 2 { 0 } else { ahead.min(HORIZON) };
        let at = Tick(self.cursor.0.wrapping_add(ahead));
        let bucket = bucket_of(at);
        let head = std::mem::replace(&mut self.heads[bucket], index);
        *links.link(index) = Link { next: head, previous: NONE, at: Some(at) };
        if head != NONE {
            links.link(head).previous = index;
        }
        self.filled[bucket / 64] |= 1 << (bucket % 64);
        at
    }

    /// Unlinks an entry, if it is linked.
    pub fn remove(&mut self, links: &mut impl Links, index: u32) {
        let link = std::mem::take(links.link(index));
        let Some(at) = link.at else { return };
        if link.next != NONE {
            links.link(link.next).previous = link.previous;
        }
        if link.previous == NONE {
            let bucket = bucket_of(at);
            self.heads[bucket] = link.next;
            if link.next == NONE {
                self.filled[bucket / 64] &= !(1 << (bucket % 64));
            }
        } else {
            links.link(link.previous).next = link.next;
        }
    }

    /// Unlinks and gives one entry whose time has come; `None` when no more is due at `now`.
    pub fn due(&mut self, links: &mut impl Links, now: Tick) -> Option<u32> {
        loop {
            let head = self.heads[bucket_of(self.cursor)];
            if head != NONE && self.cursor.is_due(now) {
                self.remove(links, head);
                return Some(head);
            }
            let next = self.next();
            match next {
                Some(next) if next.is_due(now) => self.cursor = next,
                _ => {
                    // Nothing up to now: time stands behind it.
                    if self.cursor.is_due(now) {
                        self.cursor = Tick(now.0.wrapping_add(1));
                    }
                    return None;
                }
            }
        }
    }

    /// The next tick at which an entry is linked.
    pub fn next(&self) -> Option<Tick> {
        let start = bucket_of(self.cursor);
        let words = self.filled.len();
        for step in 0..=words {
            let word = (start / 64 + step) % words;
            let mut bits = self.filled[word];
            if step == 0 {
                bits &= u64::MAX << (start % 64);
            } else if step == words {
                bits &= !(u64::MAX << (start % 64));
            }
            if bits != 0 {
                let bucket = word * 64 + bits.trailing_zeros() as usize;
                let ahead = (bucket + BUCKETS - start) % BUCKETS;
                return Some(Tick(self.cursor.0.wrapping_add(ahead as u32)));
            }
        }
        None
    }
}

fn bucket_of(at: Tick) -> usize {
    at.0 as usize % BUCKETS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    struct Table(Vec<Link>);

    impl Links for Table {
        fn link(&mut self, index: u32) -> &mut Link {
            &mut self.0[index as usize]
        }
    }

    /// A small generator, so that a failure can be repeated.
    fn next(seed: &mut u64) -> u32 {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) as u32
    }

    #[test]
    fn fires_what_a_sorted_map_fires() {
        for mut seed in 0..50 {
            let mut now = Tick((u32::MAX - 5_000).wrapping_add(next(&mut seed) % 6_000));
            let mut wheel = Wheel::new(now);
            let mut table = Table(vec![Link::default(); 64]);
            let mut oracle = BTreeMap::new();
            let begin = now.0;
            for _ in 0..2_000 {
                let index = next(&mut seed) % 64;
                match next(&mut seed) % 4 {
                    0 | 1 => {
                        wheel.remove(&mut table, index);
                        let at = Tick(now.0.wrapping_add(1 + next(&mut seed) % 9_000));
                        let linked = wheel.insert(&mut table, index, at);
                        assert!(linked.is_due(at));
                        oracle.insert(index, linked.0.wrapping_sub(begin));
                    }
                    2 => {
                        wheel.remove(&mut table, index);
                        oracle.remove(&index);
                    }
                    _ => {
                        now = Tick(now.0.wrapping_add(next(&mut seed) % 500));
                        let mut fired = Vec::new();
                        while let Some(index) = wheel.due(&mut table, now) {
                            fired.push(index);
                        }
                        fired.sort_unstable();
                        let elapsed = now.0.wrapping_sub(begin);
                        let due = |entry: (&u32, &u32)| (*entry.1 <= elapsed).then_some(*entry.0);
                        let expected: Vec<_> = oracle.iter().filter_map(due).collect();
                        assert_eq!(fired, expected);
                        oracle.retain(|_, at| *at > elapsed);
                    }
                }
                let first = oracle.values().min().copied();
                assert_eq!(wheel.next().map(|at| at.0.wrapping_sub(begin)), first);
            }
        }
    }
}
