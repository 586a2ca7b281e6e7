//! Random orders about consumers, between configurations, upgrades and restarts, against an oracle that keeps plain lists.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coregate_core::base::cells::Cells;
use coregate_core::snapshot::consumers::Presented;
use coregate_core::snapshot::plan::{ConsumerPlan, KeyPlan, Plan};
use proptest::prelude::*;

use super::*;
use crate::registry::consumers::Which;
use crate::registry::log::{Command, Refused};

const NAMES: [&str; 3] = ["a", "b", "c"];
/// Keys that a configuration may hold: their numbers are below it.
const OF_FILE: usize = 4;
/// When it begins, in seconds of Unix time.
const START: u64 = 1_000;

#[derive(Debug, Clone)]
enum Step {
    Add(usize),
    Give(usize, Option<u64>),
    /// Whose, how long the old ones go on, and which of all keys that there ever were it is, where it is one.
    Rotate(usize, u64, Option<usize>),
    Revoke(usize, Option<usize>),
    Remove(usize),
    /// Whose each key of the file is, if anybody's.
    Configure([Option<usize>; OF_FILE]),
    Upgrade {
        succeeds: bool,
    },
    Restart,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..NAMES.len();
    let one = || prop::option::of(0..12_usize);
    prop_oneof![
        4 => name().prop_map(Step::Add),
        3 => (name(), prop::option::of(1..40_u64)).prop_map(|(name, life)| Step::Give(name, life)),
        3 => (name(), 0..30_u64, one()).prop_map(|(name, grace, old)| Step::Rotate(name, grace, old)),
        3 => (name(), one()).prop_map(|(name, which)| Step::Revoke(name, which)),
        2 => name().prop_map(Step::Remove),
        2 => prop::array::uniform4(prop::option::of(name())).prop_map(Step::Configure),
        1 => any::<bool>().prop_map(|succeeds| Step::Upgrade { succeeds }),
        1 => Just(Step::Restart),
        3 => (1..25_u64).prop_map(Step::Pass),
    ]
}

fn digest(number: usize) -> KeyDigest {
    KeyDigest::of(&number.to_le_bytes())
}

/// A key as the oracle has it.
#[derive(Debug, Clone)]
struct Key {
    number: usize,
    owner: usize,
    of_file: bool,
    end: Option<u64>,
}

/// The state, and what it should know.
struct Play {
    state: State,
    now: u64,
    next: usize,
    /// Those that were added by themselves.
    own: BTreeSet<usize>,
    /// Those that the file names.
    named: BTreeSet<usize>,
    keys: Vec<Key>,
    /// When keys that stood in a file, or were revoked, end.
    ends: BTreeMap<usize, u64>,
}

fn plan(named: &[Option<usize>; OF_FILE]) -> Plan {
    let keys = |owner| {
        let own = named.iter().enumerate().filter(move |(_, one)| **one == Some(owner));
        own.map(|(number, _)| KeyPlan { digest: digest(number), expires: None }).collect()
    };
    let names: BTreeSet<_> = named.iter().flatten().copied().collect();
    let consumers = names.into_iter().map(|owner| ConsumerPlan {
        name: NAMES[owner].into(),
        groups: vec!["of_file".into()],
        keys: keys(owner),
    });
    Plan { consumers: consumers.collect(), ..Plan::default() }
}

impl Play {
    fn new() -> Self {
        let mut play = Self {
            state: State::new(Cells::owned(4)),
            now: START,
            next: OF_FILE,
            own: BTreeSet::new(),
            named: BTreeSet::new(),
            keys: Vec::new(),
            ends: BTreeMap::new(),
        };
        play.apply(Command::Configure(Box::new(Plan::default().into()))).unwrap();
        play
    }

    fn apply(&mut self, command: Command) -> Result<Detail, Refused> {
        self.state.apply(command, Duration::ZERO)
    }

    fn order(&mut self, owner: usize, what: Asked) -> Result<ConsumerOrdered, String> {
        let order = ConsumerOrder { name: NAMES[owner].into(), at: self.now, what };
        match self.apply(Command::Consumer(Box::new(order))) {
            Ok(Detail::Consumer(ordered)) => Ok(*ordered),
            Ok(other) => panic!("{other:?}"),
            Err(refused) => Err(refused.to_string()),
        }
    }

    fn fresh(&mut self, owner: usize, end: Option<u64>) -> (Key, KeyPlan) {
        let number = self.next;
        self.next += 1;
        let plan = KeyPlan { digest: digest(number), expires: end };
        (Key { number, owner, of_file: false, end }, plan)
    }

    fn is_there(&self, owner: usize) -> bool {
        self.own.contains(&owner) || self.named.contains(&owner)
    }

    fn end(&self, key: &Key) -> Option<u64> {
        key.end.into_iter().chain(self.ends.get(&key.number).copied()).min()
    }

    /// Its keys, as far as they count, that are meant.
    fn meant(&self, owner: usize, which: Option<usize>) -> Vec<Key> {
        let own = self.keys.iter().filter(|key| key.owner == owner && self.is_there(owner));
        own.filter(|key| which.is_none_or(|number| key.number == number)).cloned().collect()
    }

    fn which(number: Option<usize>) -> Which {
        number.map_or(Which::All, |number| Which::One(digest(number).to_hex()))
    }

    fn revoke(&mut self, keys: &[Key]) {
        for key in keys {
            self.ends.insert(key.number, 0);
        }
        let gone =
            |key: &Key| keys.iter().any(|one| one.number == key.number && one.owner == key.owner);
        self.keys.retain(|key| key.of_file || !gone(key));
    }

    fn carry_out(&mut self, step: Step) {
        match step {
            Step::Add(owner) => {
                let (key, plan) = self.fresh(owner, None);
                let done = self.order(owner, Asked::Add { groups: vec!["own".into()], key: plan });
                assert_eq!(done.is_ok(), !self.is_there(owner), "{done:?}");
                if done.is_ok() {
                    // What was given to one of the file that is named no more is not its.
                    self.keys.retain(|key| key.owner != owner);
                    self.own.insert(owner);
                    self.keys.push(key);
                }
            }
            Step::Give(owner, life) => {
                let (key, plan) = self.fresh(owner, life.map(|life| self.now + life));
                let done = self.order(owner, Asked::Give(plan));
                assert_eq!(done.is_ok(), self.is_there(owner), "{done:?}");
                self.keys.extend(done.is_ok().then_some(key));
            }
            Step::Rotate(owner, grace, old) => {
                let (key, plan) = self.fresh(owner, None);
                let until = self.now + grace;
                let meant = self.meant(owner, old);
                let what = Asked::Rotate { key: plan, old: Self::which(old), until };
                let done = self.order(owner, what);
                let may = self.is_there(owner) && (old.is_none() || !meant.is_empty());
                assert_eq!(done.is_ok(), may, "{done:?}");
                if !may {
                    return;
                }
                if grace == 0 {
                    self.revoke(&meant);
                }
                for one in meant.iter().filter(|_| grace > 0) {
                    let end = self.end(one).unwrap_or(u64::MAX).min(until);
                    match self.keys.iter_mut().find(|key| key.number == one.number && !key.of_file)
                    {
                        Some(key) => key.end = Some(end),
                        None => drop(self.ends.insert(one.number, end)),
                    }
                }
                self.keys.push(key);
            }
            Step::Revoke(owner, which) => {
                let meant = self.meant(owner, which);
                let done = self.order(owner, Asked::Revoke(Self::which(which)));
                let may = self.is_there(owner) && (which.is_none() || !meant.is_empty());
                assert_eq!(done.is_ok(), may, "{done:?}");
                if may {
                    self.revoke(&meant);
                }
            }
            Step::Remove(owner) => {
                let has_added = self.own.contains(&owner)
                    || self.meant(owner, None).iter().any(|key| !key.of_file);
                let done = self.order(owner, Asked::Remove);
                assert_eq!(done.is_ok(), has_added, "{done:?}");
                if has_added {
                    self.own.remove(&owner);
                    self.keys.retain(|key| key.owner != owner || key.of_file);
                }
            }
            Step::Configure(named) => {
                self.apply(Command::Configure(Box::new(plan(&named).into()))).unwrap();
                self.named = named.iter().flatten().copied().collect();
                self.keys.retain(|key| !key.of_file);
                let of_file = named.iter().enumerate().filter_map(|(number, owner)| {
                    Some(Key { number, owner: (*owner)?, of_file: true, end: None })
                });
                self.keys.extend(of_file);
            }
            Step::Upgrade { succeeds } => self.upgrade(succeeds),
            Step::Restart => {
                let kept = serde_json::to_string(&self.state.kept_consumers()).unwrap();
                let plan = self.state.compiler.plan().clone();
                self.state = State::new(Cells::owned(4));
                self.apply(Command::Configure(Box::new(plan.into()))).unwrap();
                self.state.restore_consumers(serde_json::from_str(&kept).unwrap());
            }
            Step::Pass(seconds) => self.now += seconds,
        }
    }

    fn upgrade(&mut self, succeeds: bool) {
        let Ok(Detail::HandedOver(checkpoint)) = self.apply(Command::HandOver) else { panic!() };
        let refused = self.order(0, Asked::Revoke(Which::All)).unwrap_err();
        assert!(refused.contains("an upgrade is under way"), "{refused}");
        if !succeeds {
            self.apply(Command::TakeBack).unwrap();
            return;
        }
        let text = serde_json::to_string(&checkpoint).unwrap();
        let plan = self.state.compiler.plan().clone();
        self.state = State::new(self.state.cells.clone());
        self.state.inherit(serde_json::from_str(&text).unwrap(), Duration::ZERO);
        assert!(self.state.knows_consumers());
        self.apply(Command::Configure(Box::new(plan.into()))).unwrap();
        self.apply(Command::TakeOver).unwrap();
    }

    /// Each key is whose it should be, now and later, and what is listed says the same.
    fn check(&mut self) {
        let snapshot = self.state.compiler.snapshot(1);
        for number in 0..self.next {
            let mut own = self.keys.iter().filter(|key| key.number == number);
            let known = own.find(|key| self.is_there(key.owner));
            for at in [self.now, self.now + 10, self.now + 100] {
                let end = known.and_then(|key| self.end(key));
                let expected = match known {
                    Some(_) if end == Some(0) => String::new(),
                    Some(key) if end.is_some_and(|end| end <= at) => {
                        format!("no more {}", NAMES[key.owner])
                    }
                    Some(key) => NAMES[key.owner].to_owned(),
                    None => String::new(),
                };
                let found = match snapshot.consumers().by_key(&digest(number), at) {
                    Presented::Of(consumer) => consumer.name.to_string(),
                    Presented::Expired(consumer) => format!("no more {}", consumer.name),
                    Presented::Unknown => String::new(),
                };
                assert_eq!(found, expected, "key {number} at {at}");
            }
        }
        let listed = self.state.look_at_consumers(None, &Page::default(), self.now).unwrap();
        let there: Vec<_> = (0..NAMES.len()).filter(|owner| self.is_there(*owner)).collect();
        let names: Vec<_> = listed.consumers.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, there.iter().map(|owner| NAMES[*owner]).collect::<Vec<_>>());
        for (view, owner) in listed.consumers.iter().zip(there) {
            assert_eq!(view.keys.len(), self.meant(owner, None).len(), "{view:?}");
            let groups = if self.named.contains(&owner) { "of_file" } else { "own" };
            assert_eq!(view.groups, [groups]);
        }
    }
}

proptest! {
    #[test]
    fn whose_each_key_is(steps in prop::collection::vec(step(), 1..40)) {
        let mut play = Play::new();
        for step in steps {
            play.carry_out(step);
            // Keys of one consumer have a bound, which others try.
            if play.keys.iter().filter(|key| !key.of_file).count() > limits::KEYS_OF_CONSUMER {
                break;
            }
            play.check();
        }
    }
}

/// What the store is told after each order is what there is.
#[test]
fn what_is_touched_is_told_once() {
    let mut play = Play::new();
    play.carry_out(Step::Configure([Some(0), None, None, None]));
    assert!(play.state.take_touched().is_empty(), "the file is nobody's to keep");
    play.carry_out(Step::Add(1));
    play.carry_out(Step::Revoke(0, None));
    let touched = play.state.take_touched();
    assert_eq!(touched.names.into_iter().collect::<Vec<_>>(), ["b"]);
    assert_eq!(touched.keys.into_iter().collect::<Vec<_>>(), [digest(0)]);
    assert!(play.state.take_touched().is_empty());
}
