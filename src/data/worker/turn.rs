//! Whose turn it is: round robin among the instances that take requests.
//!
//! An instance whose word says nothing but its generation is taken at once: one load, one mask, one comparison. One that has a
//! [share](coregate_core::base::cells::VerdictWord::share) is taken with that chance when its turn comes, and passed over else. Turns go
//! around evenly, so requests are spread as the shares are. Where a whole lap passed over everybody, the best at hand is taken:
//!
//! 1. one of those that were passed over for their shares, drawn by their shares: nobody gets 503 because of shares;
//! 2. the one that has just failed this request;
//! 3. one that live requests have set aside, if nothing else stands against it: whoever has nobody else to ask may as well ask there.
//!
//! None of the others: those that are down, that drain, that are gone.

use std::rc::Rc;

use coregate_core::base::cells::{Cells, VerdictWord};
use coregate_core::base::ids::InstanceSlot;
use coregate_core::snapshot::instances::Instance;

use crate::worker::services::{LocalInstance, LocalService};

/// Which instance is sought.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sought {
    /// This view was looked up in the same step of its worker; then one that is being removed takes requests too.
    pub current: bool,
    /// Not this one, while there is another that takes requests: it has just failed.
    pub failed: Option<InstanceSlot>,
}

impl Sought {
    /// Whether all requests may go to an instance whose word this is.
    #[inline]
    fn takes_all(self, word: VerdictWord, instance: &Instance) -> bool {
        let takes = match self.current {
            true => word.takes_all_first_requests(instance.generation),
            false => word.takes_all_requests(instance.generation),
        };
        takes && self.failed != Some(instance.slot)
    }

    /// Whether some may.
    fn takes_some(self, word: VerdictWord, instance: &Instance) -> bool {
        match self.current {
            true => word.takes_first_requests(instance.generation),
            false => word.takes_requests(instance.generation),
        }
    }
}

/// Who was passed over, by their places.
#[derive(Debug, Default)]
struct PassedOver {
    /// Drawn of those who have shares.
    by_share: Option<usize>,
    /// The sum of their shares.
    shares: u64,
    /// Who has just failed.
    failed: Option<usize>,
    /// The first who is only set aside.
    ejected: Option<usize>,
}

impl PassedOver {
    /// Looks at one that not all requests may go to; whether this one may, after all. `random`: 64 bits.
    fn look(
        &mut self,
        at: usize,
        (word, instance): (VerdictWord, &Instance),
        sought: Sought,
        random: impl FnOnce() -> u64,
    ) -> bool {
        if !sought.takes_some(word, instance) {
            if word.is_only_ejected(instance.generation) && sought.failed != Some(instance.slot) {
                self.ejected.get_or_insert(at);
            }
            return false;
        }
        if sought.failed == Some(instance.slot) {
            self.failed = Some(at);
            return false;
        }
        let share = word.share();
        let random = random();
        if (random as u16) < share {
            return true;
        }
        // So that each is drawn as often as its share of the sum says, however many there are.
        self.shares += u64::from(share);
        if (random >> 16) % self.shares < u64::from(share) {
            self.by_share = Some(at);
        }
        false
    }

    fn best(self) -> Option<usize> {
        self.by_share.or(self.failed).or(self.ejected)
    }
}

impl LocalService {
    /// The next instance in turn; `None`: nobody takes requests. `random`: 64 bits of chance, where there are shares.
    pub fn next_instance(
        &self,
        cells: &Cells,
        sought: Sought,
        random: impl Fn() -> u64,
    ) -> Option<Rc<LocalInstance>> {
        let instances = &self.service.instances;
        let count = instances.len();
        if count == 0 {
            return None;
        }
        let mut at = self.cursor.get() % count;
        let mut place = instances.place(at);
        let first = instances.at(place);
        if !sought.takes_all(cells.verdict(first.slot).load(), first) {
            at = self.beyond(at, cells, sought, random)?;
            place = instances.place(at);
        }
        self.cursor.set(at + 1);
        Some(self.known(place, instances.at(place)))
    }

    /// Who comes next where not every request may go to the one at `first`, in a lap from there.
    ///
    /// The words of instances that are passed over cost a load each: all of them, where all are down.
    #[inline(never)]
    fn beyond(
        &self,
        first: usize,
        cells: &Cells,
        sought: Sought,
        random: impl Fn() -> u64,
    ) -> Option<usize> {
        let instances = &self.service.instances;
        let mut passed_over = PassedOver::default();
        for at in (first..instances.len()).chain(0..first) {
            let instance = instances.at(instances.place(at));
            let word = cells.verdict(instance.slot).load();
            if sought.takes_all(word, instance)
                || passed_over.look(at, (word, instance), sought, &random)
            {
                return Some(at);
            }
        }
        passed_over.best()
    }
}
