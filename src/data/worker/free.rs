//! Free lists: what is used again is not allocated again, and what nobody has used for a while is freed.
//!
//! A list that only grows keeps the memory of the worst moment of its life: a burst of clients that hang for minutes would
//! hold it twice. So a list remembers the fewest that were free since it was last looked at: as many were of no use. They are
//! freed, but for a few.

use std::cell::{Cell, RefCell};

use coregate_core::base::limits;

/// Free items of one kind; the last one given is the first one taken.
#[derive(Debug)]
pub struct FreeList<T> {
    items: RefCell<Vec<T>>,
    /// The fewest that were free since the last trim.
    fewest: Cell<usize>,
}

impl<T> Default for FreeList<T> {
    fn default() -> Self {
        Self { items: RefCell::default(), fewest: Cell::new(0) }
    }
}

impl<T> FreeList<T> {
    /// An item, if one is free.
    #[inline]
    pub fn take(&self) -> Option<T> {
        let mut items = self.items.borrow_mut();
        let item = items.pop();
        if items.len() < self.fewest.get() {
            self.fewest.set(items.len());
        }
        item
    }

    /// Keeps an item, unless there are `most`.
    #[inline]
    pub fn give(&self, item: T, most: usize) {
        let mut items = self.items.borrow_mut();
        if items.len() < most {
            items.push(item);
        }
    }

    /// Frees those that were of no use since the last time, but for [`limits::FREE_KEPT`] of them, the longest unused first.
    /// Whether there may be some to free next time.
    pub fn trim(&self) -> bool {
        let mut items = self.items.borrow_mut();
        let idle = self.fewest.get().saturating_sub(limits::FREE_KEPT);
        items.drain(..idle);
        if idle > 0 {
            items.shrink_to_fit();
        }
        self.fewest.set(items.len());
        items.len() > limits::FREE_KEPT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_uses_is_freed_and_what_is_used_stays() {
        let list = FreeList::default();
        let kept = limits::FREE_KEPT;
        (0..1_000).for_each(|item| list.give(item, 1_000));
        assert!(list.trim(), "they have just been given");
        assert_eq!(list.items.borrow().len(), 1_000);
        let busy: Vec<_> = (0..100).filter_map(|_| list.take()).collect();
        busy.into_iter().for_each(|item| list.give(item, 1_000));
        assert!(list.trim(), "those that were used may be of no use next time");
        assert_eq!(list.items.borrow().len(), 100 + kept);
        assert!(!list.trim());
        assert_eq!(list.items.borrow().len(), kept);
    }

    #[test]
    fn bounded() {
        let list = FreeList::default();
        (0..100).for_each(|item| list.give(item, 5));
        assert_eq!(list.items.borrow().len(), 5);
    }
}
