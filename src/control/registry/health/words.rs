//! The words of the host, as far as health writes them.

use coregate_core::base::cells::{Cells, Mark, VerdictWord};

use super::entry::Entry;

/// The words, if they are this process's to write: while another process goes on, nothing is.
#[derive(Debug)]
pub struct Words<'a> {
    cells: &'a Cells,
    ours: bool,
}

impl<'a> Words<'a> {
    /// `ours`: whether they are to be written.
    pub fn new(cells: &'a Cells, ours: bool) -> Self {
        Self { cells, ours }
    }

    /// Whether they are written.
    pub(super) fn are_ours(&self) -> bool {
        self.ours
    }

    /// The word of an instance, if it is of that still.
    pub(super) fn load(&self, entry: &Entry) -> Option<VerdictWord> {
        let word = self.cells.verdict(entry.slot).load();
        (word.generation() == entry.generation && !word.is_gone()).then_some(word)
    }

    /// What its probes say.
    pub(super) fn set_down(&self, entry: &Entry) {
        if !self.ours {
            return;
        }
        let word = self.cells.verdict(entry.slot);
        // Another generation's word is not ours to mark: whose it was is gone.
        let _ = match entry.is_up() {
            true => word.clear(entry.generation, Mark::Down),
            false => word.mark(entry.generation, Mark::Down),
        };
    }

    pub(super) fn set_share(&self, entry: &Entry, share: u16) {
        if self.ours {
            let _ = self.cells.verdict(entry.slot).set_share(entry.generation, share);
        }
    }

    /// It is set aside no longer.
    pub(super) fn readmit(&self, entry: &Entry) {
        if self.ours {
            self.cells.outlier(entry.service, entry.slot, entry.generation).readmit();
        }
    }

    /// Sets it aside, if fewer than `most` of its service are; whether this did so.
    pub(super) fn eject(&self, entry: &Entry, most: u64) -> bool {
        self.ours && self.cells.outlier(entry.service, entry.slot, entry.generation).eject(most)
    }
}
