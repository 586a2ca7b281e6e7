//! Buffers: recycled on free lists, so that the steady state allocates nothing.
//!
//! | kind | size | for |
//! |---|---|---|
//! | cell | 512 B | an idle connection's next read |
//! | head | 4 KiB page and a table of fields | a head and what comes with it; grows to 16 and 64 KiB, then is not kept |
//! | note | 1 KiB | what is kept of a head while a body is waited for |
//! | page | 4 KiB | a head that is written |
//! | relay | 16, 64, 256 KiB | bodies, and heads with a piece of body; the larger sizes under a budget |

use std::cell::{Cell, RefCell};
use std::mem;

use bytes::BytesMut;
use coregate_core::base::limits;
use coregate_core::http::head::Head;

/// What an idle connection reads into.
pub type ReceiveCell = Box<[u8; limits::RECEIVE_CELL_BYTES]>;

/// How large a relay buffer should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelaySize {
    /// [`limits::RELAY_SMALL_BYTES`].
    Small,
    /// [`limits::RELAY_MEDIUM_BYTES`].
    Medium,
    /// [`limits::RELAY_LARGE_BYTES`].
    Large,
}

/// A worker's free buffers.
#[derive(Debug, Default)]
pub struct Buffers {
    cells: RefCell<Vec<ReceiveCell>>,
    heads: RefCell<Vec<Head>>,
    notes: RefCell<Vec<BytesMut>>,
    pages: RefCell<Vec<BytesMut>>,
    relays: RefCell<Vec<BytesMut>>,
    /// The larger relays that are free, both sizes; they count against the budget too.
    large: RefCell<Vec<BytesMut>>,
    /// What relays above the smallest size hold, in use and free, in bytes.
    large_bytes: Cell<usize>,
}

impl Buffers {
    /// A cell, with whatever was in it.
    pub fn cell(&self) -> ReceiveCell {
        self.cells.borrow_mut().pop().unwrap_or_else(|| Box::new([0; limits::RECEIVE_CELL_BYTES]))
    }

    /// Gives a cell back.
    pub fn give_cell(&self, cell: ReceiveCell) {
        keep(&self.cells, cell, limits::RECEIVE_CELL_BYTES);
    }

    /// An empty head.
    pub fn head(&self) -> Head {
        self.heads
            .borrow_mut()
            .pop()
            .unwrap_or_else(|| Head::with_capacity(limits::PAGE_SMALL_BYTES))
    }

    /// Gives a head back.
    pub fn give_head(&self, mut head: Head) {
        if head.page.capacity() == limits::NOTE_BYTES {
            self.give(mem::replace(&mut head.page, self.page_for(limits::PAGE_SMALL_BYTES)));
        }
        if head.page.capacity() == limits::PAGE_SMALL_BYTES
            && head.side.capacity() <= limits::PAGE_SMALL_BYTES
        {
            head.clear();
            keep(&self.heads, head, limits::PAGE_SMALL_BYTES);
        }
    }

    /// An empty buffer that can take `room` bytes: a page if that is enough, else a relay.
    pub fn page_for(&self, room: usize) -> BytesMut {
        if room > limits::PAGE_SMALL_BYTES {
            return self.relay();
        }
        let page = self.pages.borrow_mut().pop();
        page.unwrap_or_else(|| BytesMut::with_capacity(limits::PAGE_SMALL_BYTES))
    }

    /// An empty relay buffer of the smallest size.
    pub fn relay(&self) -> BytesMut {
        let relay = self.relays.borrow_mut().pop();
        relay.unwrap_or_else(|| BytesMut::with_capacity(limits::RELAY_SMALL_BYTES))
    }

    /// An empty relay buffer of this size, or of the smallest one where the budget has no more of the larger.
    pub fn relay_of(&self, size: RelaySize) -> BytesMut {
        let size = match size {
            RelaySize::Small => return self.relay(),
            RelaySize::Medium => limits::RELAY_MEDIUM_BYTES,
            RelaySize::Large => limits::RELAY_LARGE_BYTES,
        };
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
        if room > limits::NOTE_BYTES {
            return None;
        }
        let note = self.notes.borrow_mut().pop();
        Some(note.unwrap_or_else(|| BytesMut::with_capacity(limits::NOTE_BYTES)))
    }

    /// Gives a page or a relay back. Buffers of another size have grown by themselves and are dropped.
    pub fn give(&self, mut buffer: BytesMut) {
        buffer.clear();
        match buffer.capacity() {
            limits::NOTE_BYTES => keep(&self.notes, buffer, limits::NOTE_BYTES),
            limits::PAGE_SMALL_BYTES => keep(&self.pages, buffer, limits::PAGE_SMALL_BYTES),
            limits::RELAY_SMALL_BYTES => keep(&self.relays, buffer, limits::RELAY_SMALL_BYTES),
            size @ (limits::RELAY_MEDIUM_BYTES | limits::RELAY_LARGE_BYTES) => {
                let mut large = self.large.borrow_mut();
                if large.iter().filter(|free| free.capacity() == size).count()
                    < limits::FREE_LARGE_RELAYS
                {
                    large.push(buffer);
                } else {
                    self.large_bytes.set(self.large_bytes.get().saturating_sub(size));
                }
            }
            _ => {}
        }
    }
}

fn keep<T>(list: &RefCell<Vec<T>>, item: T, bytes: usize) {
    let mut list = list.borrow_mut();
    if list.len() < limits::FREE_LIST_BYTES / bytes {
        list.push(item);
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
    fn what_is_given_back_is_used_again() {
        let buffers = Buffers::default();
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
