//! Buffers: recycled on free lists, so that the steady state allocates nothing.
//!
//! | kind | size | for |
//! |---|---|---|
//! | cell | 512 B | an idle connection's next read |
//! | head | 4 KiB page and a table of fields | a head and what comes with it; grows to 16 and 64 KiB, then is not kept |
//! | slip, note | 512 B, 1 KiB | what is kept of a head while a body is waited for, small pieces of bodies |
//! | page | 4 KiB | a head that is written |
//! | relay | 16, 64, 256 KiB | bodies, and heads with a piece of body; the larger sizes under a budget |

use std::cell::{Cell, RefCell};
use std::mem;

use bytes::BytesMut;
use coregate_core::base::limits;
use coregate_core::http::head::Head;

use crate::worker::free::FreeList;

/// What an idle connection reads into.
pub type ReceiveCell = Box<[u8; limits::RECEIVE_CELL_BYTES]>;

/// How large a relay buffer should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RelaySize {
    /// [`limits::PAGE_SMALL_BYTES`], for whoever takes little at a time.
    Tiny,
    /// [`limits::RELAY_SMALL_BYTES`].
    Small,
    /// [`limits::RELAY_MEDIUM_BYTES`].
    Medium,
    /// [`limits::RELAY_LARGE_BYTES`].
    Large,
}

impl RelaySize {
    /// In bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::Tiny => limits::PAGE_SMALL_BYTES,
            Self::Small => limits::RELAY_SMALL_BYTES,
            Self::Medium => limits::RELAY_MEDIUM_BYTES,
            Self::Large => limits::RELAY_LARGE_BYTES,
        }
    }
}

/// A worker's free buffers.
#[derive(Debug, Default)]
pub struct Buffers {
    cells: FreeList<ReceiveCell>,
    heads: FreeList<Head>,
    slips: FreeList<BytesMut>,
    notes: FreeList<BytesMut>,
    pages: FreeList<BytesMut>,
    relays: FreeList<BytesMut>,
    /// What a target is written to that takes the place of another; see [`Buffers::with_spare`].
    spare: RefCell<Vec<u8>>,
    /// The larger relays that are free, both sizes; they count against the budget too.
    large: RefCell<Vec<BytesMut>>,
    /// Whether one of them was used since the last trim.
    large_used: Cell<bool>,
    /// What relays above the smallest size hold, in use and free, in bytes.
    large_bytes: Cell<usize>,
}

impl Buffers {
    /// A cell, with whatever was in it.
    pub fn cell(&self) -> ReceiveCell {
        self.cells.take().unwrap_or_else(|| Box::new([0; limits::RECEIVE_CELL_BYTES]))
    }

    /// Gives a cell back.
    pub fn give_cell(&self, cell: ReceiveCell) {
        self.cells.give(cell, limits::FREE_LIST_BYTES / limits::RECEIVE_CELL_BYTES);
    }

    /// An empty head.
    pub fn head(&self) -> Head {
        self.heads.take().unwrap_or_else(|| Head::with_capacity(limits::PAGE_SMALL_BYTES))
    }

    /// Gives a head back.
    pub fn give_head(&self, mut head: Head) {
        if matches!(head.page.capacity(), limits::SLIP_BYTES | limits::NOTE_BYTES) {
            self.give(mem::replace(&mut head.page, self.page_for(limits::PAGE_SMALL_BYTES)));
        }
        if head.page.capacity() == limits::PAGE_SMALL_BYTES
            && head.side.capacity() <= limits::PAGE_SMALL_BYTES
        {
            head.clear();
            self.heads.give(head, limits::FREE_LIST_BYTES / limits::PAGE_SMALL_BYTES);
        }
    }

    /// An empty buffer that can take `room` bytes: a page if that is enough, else a relay.
    pub fn page_for(&self, room: usize) -> BytesMut {
        if room > limits::PAGE_SMALL_BYTES {
            return self.relay();
        }
        let page = self.pages.take();
        page.unwrap_or_else(|| BytesMut::with_capacity(limits::PAGE_SMALL_BYTES))
    }

    /// An empty relay buffer of the smallest size.
    pub fn relay(&self) -> BytesMut {
        let relay = self.relays.take();
        relay.unwrap_or_else(|| BytesMut::with_capacity(limits::RELAY_SMALL_BYTES))
    }

    /// An empty relay buffer of this size, or of the smallest one where the budget has no more of the larger.
    pub fn relay_of(&self, size: RelaySize) -> BytesMut {
        match size {
            RelaySize::Tiny => return self.page_for(limits::PAGE_SMALL_BYTES),
            RelaySize::Small => return self.relay(),
            RelaySize::Medium | RelaySize::Large => {}
        }
        let size = size.bytes();
        let free = self.large.borrow().iter().position(|large| large.capacity() == size);
        match free {
            Some(at) => self.large.borrow_mut().swap_remove(at),
            None if self.large_bytes.get() + size > limits::RELAY_BUDGET_BYTES => self.relay(),
            None => {
                self.large_bytes.set(self.large_bytes.get() + size);
                BytesMut::with_capacity(size)
            }
        }
    }

    /// What relays above the smallest size hold that were not given back, in bytes.
    pub fn large_in_use(&self) -> usize {
        let free: usize = self.large.borrow().iter().map(BytesMut::capacity).sum();
        self.large_bytes.get().saturating_sub(free)
    }

    /// A small page for what is kept of a head while its body is waited for; `None` if it takes more than such a page.
    pub fn note_for(&self, room: usize) -> Option<BytesMut> {
        let sizes = [(&self.slips, limits::SLIP_BYTES), (&self.notes, limits::NOTE_BYTES)];
        let (list, size) = sizes.into_iter().find(|(_, size)| room <= *size)?;
        Some(list.take().unwrap_or_else(|| BytesMut::with_capacity(size)))
    }

    /// The same bytes in a note, if they fit in one with so much room behind them: thousands of small pieces may be on their
    /// way at a time.
    pub fn fitting(&self, buffer: BytesMut, behind: usize) -> BytesMut {
        match self.note_for(buffer.len() + behind) {
            Some(mut note) => {
                note.extend_from_slice(&buffer);
                self.give(buffer);
                note
            }
            None => buffer,
        }
    }

    /// Lends the buffer that becomes the side buffer of a head, whose own is left in it: so neither is allocated anew.
    pub fn with_spare<R>(&self, then: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let mut spare = self.spare.take();
        let result = then(&mut spare);
        if spare.capacity() <= limits::PAGE_SMALL_BYTES {
            self.spare.replace(spare);
        }
        result
    }

    /// Frees what nobody has used since the last time; whether anything is left that may be.
    pub fn trim(&self) -> bool {
        let Self { cells, heads, slips, notes, pages, relays, .. } = self;
        if !self.large_used.replace(false) {
            let freed: usize = self.large.take().iter().map(BytesMut::capacity).sum();
            self.forget_large(freed);
        }
        let small = cells.trim() | slips.trim() | notes.trim();
        let left = small | heads.trim() | pages.trim() | relays.trim();
        left | !self.large.borrow().is_empty()
    }

    /// A relay above the smallest size is freed.
    fn forget_large(&self, size: usize) {
        self.large_bytes.set(self.large_bytes.get().saturating_sub(size));
    }

    /// Gives a page back that heads came in: one that grew is no relay, whatever its size, and is dropped.
    pub fn give_page(&self, page: BytesMut) {
        if page.capacity() <= limits::PAGE_SMALL_BYTES {
            self.give(page);
        }
    }

    /// Gives a page or a relay back. Buffers of another size have grown by themselves and are dropped.
    pub fn give(&self, mut buffer: BytesMut) {
        buffer.clear();
        let size = buffer.capacity();
        let most = limits::FREE_LIST_BYTES / size.max(1);
        match size {
            limits::SLIP_BYTES => self.slips.give(buffer, most),
            limits::NOTE_BYTES => self.notes.give(buffer, most),
            limits::PAGE_SMALL_BYTES => self.pages.give(buffer, most),
            limits::RELAY_SMALL_BYTES => self.relays.give(buffer, most),
            limits::RELAY_MEDIUM_BYTES | limits::RELAY_LARGE_BYTES => {
                self.large_used.set(true);
                let mut large = self.large.borrow_mut();
                if large.iter().filter(|free| free.capacity() == size).count()
                    < limits::FREE_LARGE_RELAYS
                {
                    large.push(buffer);
                } else {
                    self.forget_large(size);
                }
            }
            // Trailers that did not fit made it grow, to twice its size at least.
            _ if size >= 2 * limits::RELAY_LARGE_BYTES => {
                self.forget_large(limits::RELAY_LARGE_BYTES)
            }
            _ if size >= 2 * limits::RELAY_MEDIUM_BYTES => {
                self.forget_large(limits::RELAY_MEDIUM_BYTES)
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relays_grow_under_the_budget_and_shrink_back() {
        let buffers = Buffers::default();
        let mut held = Vec::new();
        for _ in 0..100 {
            held.push(buffers.relay_of(RelaySize::Medium));
            held.push(buffers.relay_of(RelaySize::Large));
        }
        let large = |held: &[BytesMut]| {
            let sizes = held.iter().map(BytesMut::capacity);
            sizes.filter(|size| *size > limits::RELAY_SMALL_BYTES).sum::<usize>()
        };
        assert!(large(&held) <= limits::RELAY_BUDGET_BYTES);
        assert!(large(&held) > limits::RELAY_BUDGET_BYTES / 2);
        held.into_iter().for_each(|relay| buffers.give(relay));
        let most =
            limits::FREE_LARGE_RELAYS * (limits::RELAY_MEDIUM_BYTES + limits::RELAY_LARGE_BYTES);
        assert!(buffers.large_bytes.get() <= most);
    }

    #[test]
    fn a_relay_that_grew_counts_no_longer() {
        let buffers = Buffers::default();
        for size in [RelaySize::Medium, RelaySize::Large] {
            let mut relay = buffers.relay_of(size);
            relay.resize(relay.capacity(), 0);
            relay.extend_from_slice(b"trailers");
            buffers.give(relay);
        }
        assert_eq!(buffers.large_bytes.get(), 0);
    }

    #[test]
    fn what_is_given_back_is_used_again() {
        let buffers = Buffers::default();
        for room in [100, 600] {
            let mut note = buffers.note_for(room).unwrap();
            note.extend_from_slice(b"x");
            let address = note.as_ptr();
            buffers.give(note);
            assert_eq!(buffers.note_for(room).unwrap().as_ptr(), address);
        }
        for room in [100, 5_000] {
            let mut page = buffers.page_for(room);
            page.extend_from_slice(b"x");
            let address = page.as_ptr();
            buffers.give(page);
            let page = buffers.page_for(room);
            assert_eq!((page.as_ptr(), page.len()), (address, 0));
        }
    }
}
