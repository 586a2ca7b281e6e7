//! Buffers: recycled on free lists, so that the steady state allocates nothing.
//!
//! | kind | size | for |
//! |---|---|---|
//! | cell | 512 B | an idle connection's next read |
//! | head | 4 KiB page and a table of fields | a head and what comes with it; grows to 16 and 64 KiB, then is not kept |
//! | page | 4 KiB | a head that is written |
//! | relay | 16, 64, 256 KiB | bodies; the larger sizes under a budget |

use std::cell::{Cell, RefCell};

use bytes::BytesMut;
use coregate_core::base::limits;
use coregate_core::http::head::Head;

/// What an idle connection reads into.
pub type ReceiveCell = Box<[u8; limits::RECEIVE_CELL_BYTES]>;

/// A worker's free buffers.
#[derive(Debug, Default)]
pub struct Buffers {
    cells: RefCell<Vec<ReceiveCell>>,
    heads: RefCell<Vec<Head>>,
    pages: RefCell<Vec<BytesMut>>,
    relays: RefCell<Vec<BytesMut>>,
    /// What relays hold above their smallest size, in bytes.
    relay_extra: Cell<usize>,
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
        if head.page.capacity() == limits::PAGE_SMALL_BYTES
            && head.side.capacity() <= limits::PAGE_SMALL_BYTES
        {
            head.clear();
            keep(&self.heads, head, limits::PAGE_SMALL_BYTES);
        }
    }

    /// An empty page.
    pub fn page(&self) -> BytesMut {
        let page = self.pages.borrow_mut().pop();
        page.unwrap_or_else(|| BytesMut::with_capacity(limits::PAGE_SMALL_BYTES))
    }

    /// Gives a page back.
    pub fn give_page(&self, mut page: BytesMut) {
        if page.capacity() == limits::PAGE_SMALL_BYTES {
            page.clear();
            keep(&self.pages, page, limits::PAGE_SMALL_BYTES);
        }
    }

    /// An empty relay buffer of the smallest size.
    pub fn relay(&self) -> BytesMut {
        let relay = self.relays.borrow_mut().pop();
        relay.unwrap_or_else(|| BytesMut::with_capacity(limits::RELAY_SMALL_BYTES))
    }

    /// A larger relay buffer for a body that has proved long, if the budget allows; the old one is given back.
    #[must_use]
    pub fn grow_relay(&self, relay: BytesMut) -> BytesMut {
        let size = match relay.capacity() {
            ..limits::RELAY_MEDIUM_BYTES => limits::RELAY_MEDIUM_BYTES,
            ..limits::RELAY_LARGE_BYTES => limits::RELAY_LARGE_BYTES,
            _ => return relay,
        };
        let extra = self.relay_extra.get() - extra_of(&relay) + size;
        if extra > limits::RELAY_BUDGET_BYTES {
            return relay;
        }
        self.give_relay(relay);
        self.relay_extra.set(self.relay_extra.get() + size);
        BytesMut::with_capacity(size)
    }

    /// Gives a relay buffer back.
    pub fn give_relay(&self, mut relay: BytesMut) {
        self.relay_extra.set(self.relay_extra.get() - extra_of(&relay));
        if relay.capacity() == limits::RELAY_SMALL_BYTES {
            relay.clear();
            keep(&self.relays, relay, limits::RELAY_SMALL_BYTES);
        }
    }
}

/// What a relay buffer counts against the budget.
fn extra_of(relay: &BytesMut) -> usize {
    if relay.capacity() > limits::RELAY_SMALL_BYTES { relay.capacity() } else { 0 }
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
            held.push(buffers.grow_relay(buffers.grow_relay(buffers.relay())));
        }
        let large = held.iter().map(extra_of).sum::<usize>();
        assert!(large <= limits::RELAY_BUDGET_BYTES && large > limits::RELAY_BUDGET_BYTES / 2);
        held.into_iter().for_each(|relay| buffers.give_relay(relay));
        assert_eq!(buffers.relay_extra.get(), 0);
    }

    #[test]
    fn what_is_given_back_is_used_again() {
        let buffers = Buffers::default();
        let mut page = buffers.page();
        page.extend_from_slice(b"x");
        let address = page.as_ptr();
        buffers.give_page(page);
        let page = buffers.page();
        assert_eq!((page.as_ptr(), page.len()), (address, 0));
    }
}
