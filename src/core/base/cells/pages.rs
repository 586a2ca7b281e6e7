//! Areas of which most is never used: words, and a mark for each page of them where anything ever was written.
//!
//! Who looks through such an area (to clear up after a process that is gone, to count) skips the pages without a mark: to read
//! them would make memory of them, megabytes on a host that has three services.
//!
//! # Proof: what is not zero is on a page with a mark
//!
//! Whoever is about to write to a word of zero [marks](Pages::mark) its page first; a word that is not zero was marked by who wrote to
//! it first. Nobody takes a mark away. The mark is sequenced before a write of at least `Release`: a process that ended between
//! the two has left a mark too many (facts 3 and 4 of the [page of proof](super)), and who reads the write with `Acquire` sees the mark.
//! Who looks for what a process left behind learned of its end from the kernel, which comes after all that it did.

use super::layout::PAGE_WORDS;
use super::sync::{AtomicU64, Ordering};

/// An area, and its marks: one a page, of which the last stands for all pages that come behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pages<'a> {
    words: &'a [AtomicU64],
    marks: &'a [AtomicU64],
}

impl<'a> Pages<'a> {
    pub(super) const fn new(words: &'a [AtomicU64], marks: &'a [AtomicU64]) -> Self {
        Self { words, marks }
    }

    /// A word of it.
    ///
    /// # Panics
    /// If there is none.
    #[inline]
    pub(super) fn word(self, at: usize) -> &'a AtomicU64 {
        &self.words[at]
    }

    /// Says that a word is about to be written to.
    #[inline]
    pub(super) fn mark(self, at: usize) {
        let Some(mark) = self.mark_of(at / PAGE_WORDS) else { return };
        if mark.load(Ordering::Relaxed) == 0 {
            mark.store(1, Ordering::Relaxed);
        }
    }

    /// The words of each page that was ever written to, with the place of the first.
    pub(super) fn used(self) -> impl Iterator<Item = (usize, &'a [AtomicU64])> {
        let is_used = move |page| {
            self.mark_of(page).is_some_and(|mark: &AtomicU64| mark.load(Ordering::Relaxed) != 0)
        };
        let pages = self.words.chunks(PAGE_WORDS).enumerate();
        pages
            .filter(move |(page, _)| is_used(*page))
            .map(|(page, words)| (page * PAGE_WORDS, words))
    }

    fn mark_of(self, page: usize) -> Option<&'a AtomicU64> {
        self.marks.get(page).or(self.marks.last())
    }
}
