//! Ending connections by what they have to do with: an instance whose time to drain is over, a listener that is gone.
//!
//! Whose connection a slot's is stands in the slot alone, so that requests keep no lists. To find those that are meant the whole
//! table must be looked at: once for all that were named meanwhile, and in parts with a rest between them, because there may be
//! a hundred thousand slots and no request is to wait for that.
//!
//! One pass is enough, though connections open and close while it goes on. A slot keeps its place for as long as it is open, so
//! the pass comes by each that was open when it began. One that opens behind it belongs to something newer: nobody gets a
//! listener that is buried, and nobody picks an instance whose slot is cut. What had begun before and opens its slot only now is
//! an exception (a connect, a client that waits for a permit), and would be if the pass took no time: a connect's exchange ends
//! by its own deadlines, and such a client's first answer is its last.

use std::cell::{Cell, RefCell};
use std::mem;
use std::rc::Rc;

use coregate_core::base::cells::Cells;
use coregate_core::base::time::Span;

use crate::worker::context::Worker;

use crate::worker::rest::sleep;
use crate::worker::slots::Whose;

/// Whose connections are to be ended, and whether a pass is under way.
#[derive(Debug, Default)]
pub struct Ending {
    named: RefCell<Vec<Whose>>,
    under_way: Cell<bool>,
}

impl Ending {
    /// The connections of these are to be ended, by the next pass. `true`: none is under way, and the caller must [`run`] one.
    #[must_use = "without a pass nothing is ended"]
    pub fn name(&self, whose: impl IntoIterator<Item = Whose>) -> bool {
        let mut named = self.named.borrow_mut();
        named.extend(whose);
        !named.is_empty() && !self.under_way.replace(true)
    }

    /// All that were named since the last pass; none: then no pass is under way.
    fn next(&self) -> Named {
        let named = Named::new(mem::take(&mut *self.named.borrow_mut()));
        self.under_way.set(!named.0.is_empty());
        named
    }
}

/// Whose connections a pass ends: in order, for a fast look.
#[derive(Debug)]
pub struct Named(Vec<Whose>);

impl Named {
    /// These, in any order.
    pub fn new(mut named: Vec<Whose>) -> Self {
        named.sort_unstable();
        named.dedup();
        Self(named)
    }

    /// Whether these are meant.
    pub fn has(&self, whose: &Whose) -> bool {
        self.0.binary_search(whose).is_ok()
    }

    /// Leaves out instances that take requests again: their time to drain was taken back while the pass went on.
    fn retain_meant(&mut self, cells: &Cells) {
        self.0.retain(|whose| match whose {
            Whose::Instance(slot, generation) => {
                !cells.verdict(*slot).load().takes_requests(*generation)
            }
            Whose::Client(_) | Whose::Nobody => true,
        });
    }
}

/// Ends the connections of all that were named, and of those that are named meanwhile.
pub async fn run(worker: Rc<Worker>) {
    loop {
        let mut named = worker.ending.next();
        if named.0.is_empty() {
            return;
        }
        let mut from = Some(0);
        while let Some(place) = from {
            named.retain_meant(&worker.cells);
            from = worker.slots.end_part(&named, place);
            sleep(&worker, Span::of_ticks(1)).await;
        }
    }
}
