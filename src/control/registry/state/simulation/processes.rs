//! The gateway is restarted, and upgraded.

use super::*;

impl World {
    /// The gateway dies and comes back, with what the store has, and with words of its own.
    pub(super) fn restart(&mut self) {
        let before: BTreeSet<_> = self.kept();
        self.cells = Cells::owned(4_096);
        self.state = State::seeded(self.cells.clone(), self.dice);
        self.configure();
        let skip = usize::from(self.doctored == Doctored::Forgets);
        let kept = self.stored.values().skip(skip).cloned().collect();
        self.apply(Command::Restore(kept)).unwrap();
        self.state.take_changes();
        assert_eq!(self.kept(), before, "invariant 7");
        self.begin_anew();
    }

    fn kept(&self) -> BTreeSet<(String, String, String)> {
        let kept = self.state.kept().into_iter();
        kept.map(|kept| (kept.service, kept.id, kept.address)).collect()
    }

    pub(super) fn upgrade(&mut self) {
        let succeeds = self.below(3) > 0;
        let before = self.kept();
        let Ok(Detail::HandedOver(checkpoint)) = self.apply(Command::HandOver) else {
            panic!("it hands over")
        };
        let json = serde_json::to_string(&checkpoint).unwrap();
        let mut after = State::seeded(self.cells.clone(), self.dice);
        after.inherit(serde_json::from_str(&json).unwrap(), self.now);
        let configure = Command::Configure(Box::new(plan().into()));
        after.apply(configure, self.now).unwrap();
        assert!(after.next_probe(self.now).is_none(), "the other one probes");
        if succeeds {
            self.state = after;
            self.apply(Command::TakeOver).unwrap();
            self.state.predecessor_gone();
            self.state.take_changes();
        } else {
            self.apply(Command::TakeBack).unwrap();
        }
        assert_eq!(self.kept(), before, "invariant 7");
        if succeeds {
            self.begin_anew();
        } else {
            self.actors.iter_mut().for_each(|one| one.heard = one.heard.map(|_| self.now));
        }
    }

    /// Another process knows nothing of what was on its way, and gives every lease a full term.
    fn begin_anew(&mut self) {
        (self.results, self.on_way) = (VecDeque::new(), BTreeSet::new());
        self.ordered.clear();
        for one in &mut self.actors {
            one.heard = one.heard.map(|_| self.now);
            one.so_since = self.now;
        }
    }
}
