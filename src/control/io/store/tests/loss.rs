//! The power is cut, or the process dies, at any moment: what was answered as kept is there, and what was answered as gone is not.
//!
//! The whole way is played: commands proposed to the registry's thread, the store's thread, and a disk that is cut off after a number
//! of calls that a seed decides. What is found afterwards must be what a prefix of all commands makes, one that has all
//! of those that were answered as durable. A disk that lies about what it synced must be found out, or this proves nothing.

use std::collections::{BTreeMap, BTreeSet};

use coregate_core::base::cells::Cells;
use coregate_core::base::ids::{InstanceSlot, WorkerId};
use coregate_core::base::mailbox::Ticket;
use coregate_core::policy::quota;
use coregate_core::snapshot::plan::{Admission, KeyPlan, Plan};
use coregate_core::snapshot::reader::Reader;

use super::medium::{Dice, Honesty, Platter};
use super::*;
use crate::registry::consumers::{Asked, ConsumerOrder, Which};
use crate::registry::directory::admission::Caller;
use crate::registry::directory::{Draft, Registration, Said};
use crate::registry::log::{Answer, Command, Detail, Log, Proposer};
use crate::registry::order::{Expected, Order, What};
use crate::registry::publish::Workers;
use crate::registry::thread::Registry;

/// Seeds of each kind of play.
const PLAYS: u64 = 40;

/// Ids, and addresses, of which a play knows so many.
const FEW: usize = 12;
/// The same of keys.
const MANY: usize = 64;

/// What is told to workers: there are none.
struct Nobody;

impl Workers for Nobody {
    fn wake(&self, _: usize) {}

    fn cut(&self, _: InstanceSlot, _: u16) -> bool {
        true
    }

    fn answer(&self, _: WorkerId, _: Ticket, _: quota::Answer) {}
}

/// What is kept.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Model {
    /// Instances by id: their address, and weight.
    instances: BTreeMap<String, (String, u32)>,
    /// Consumers that were added: the numbers of their keys.
    consumers: BTreeMap<String, Vec<usize>>,
    /// The numbers of keys that were revoked.
    revoked: BTreeSet<usize>,
}

#[derive(Debug, Clone)]
enum Act {
    Register { id: String, address: String, weight: u32 },
    Deregister { id: String },
    Add { name: String, key: usize },
    Give { name: String, key: usize },
    Revoke { name: String },
    Remove { name: String },
}

impl Act {
    fn random(dice: &mut Dice) -> Self {
        let id = format!("i{}", dice.below(FEW));
        let (name, key) = (format!("c{}", dice.below(3)), dice.below(MANY));
        match dice.below(8) {
            0 => Self::Deregister { id },
            1 | 2 => Self::Add { name, key },
            3 => Self::Give { name, key },
            4 => Self::Revoke { name },
            5 => Self::Remove { name },
            _ => {
                let address = format!("10.0.0.1:{}", 1 + dice.below(FEW));
                Self::Register { id, address, weight: 1 + dice.below(9) as u32 }
            }
        }
    }

    fn command(&self) -> Command {
        let consumer =
            |name, what| Command::Consumer(Box::new(ConsumerOrder { name, at: 0, what }));
        let (id, what) = match self.clone() {
            Self::Add { name, key } => {
                return consumer(
                    name,
                    Asked::Add { groups: vec!["g".into()], key: self::key(key) },
                );
            }
            Self::Give { name, key } => return consumer(name, Asked::Give(self::key(key))),
            Self::Revoke { name } => return consumer(name, Asked::Revoke(Which::All)),
            Self::Remove { name } => return consumer(name, Asked::Remove),
            Self::Deregister { id } => (id, What::Deregister),
            Self::Register { id, address, weight } => {
                let draft = Draft {
                    address: address.parse().unwrap(),
                    ttl: Some(Duration::from_secs(3_600)),
                    said: Said::Up,
                    weight,
                    zone: None,
                    version: None,
                    tags: Vec::new(),
                    metadata: BTreeMap::new(),
                    check: None,
                };
                let registration = Registration::new(&id, draft).unwrap();
                (id, What::Register(Box::new(registration)))
            }
        };
        Command::Order(Box::new(Order {
            service: "upstream".into(),
            id,
            by: Caller::Socket,
            expected: Expected::Anything,
            what,
        }))
    }

    fn apply(&self, model: &mut Model) {
        match self.clone() {
            Self::Deregister { id } => drop(model.instances.remove(&id)),
            Self::Register { id, address, weight } => {
                model.instances.retain(|other, (at, _)| *other == id || *at != address);
                model.instances.insert(id, (address, weight));
            }
            Self::Add { name, key } => {
                model.consumers.entry(name).or_insert_with(|| vec![key]);
            }
            Self::Give { name, key } => {
                let own = model.consumers.get_mut(&name);
                own.filter(|own| own.len() < limits::KEYS_OF_CONSUMER)
                    .into_iter()
                    .for_each(|own| own.push(key));
            }
            Self::Revoke { name } => {
                model
                    .revoked
                    .extend(model.consumers.get_mut(&name).into_iter().flat_map(std::mem::take));
            }
            Self::Remove { name } => drop(model.consumers.remove(&name)),
        }
    }
}

fn model_of(stored: &Stored) -> Model {
    let one = |kept: &Kept| (kept.id.clone(), (kept.address.clone(), kept.weight));
    let number = |digest: &String| {
        (0..MANY).find(|number| key(*number).digest.to_hex() == *digest).expect("one of ours")
    };
    let consumer = |kept: &KeptConsumer| {
        assert_eq!(kept.groups, Some(vec!["g".to_owned()]));
        let keys = kept.keys.iter().map(|key| number(&key.sha256)).collect();
        (kept.name.clone(), keys)
    };
    let KeptConsumers { added, revoked } = &stored.consumers;
    assert!(revoked.iter().all(|(_, from)| *from == 0));
    Model {
        instances: stored.kept.iter().map(one).collect(),
        consumers: added.iter().map(consumer).collect(),
        revoked: revoked.iter().map(|(digest, _)| number(digest)).collect(),
    }
}

fn key(number: usize) -> KeyPlan {
    KeyPlan { digest: KeyDigest::of(&number.to_le_bytes()), expires: None }
}

fn registry() -> Registry {
    let mut plan = Plan::to_instances(&[]);
    plan.services[0].register = Admission::Socket;
    let readers: Arc<[_]> = [Reader::new(64)].into();
    Registry::new(plan, Cells::owned(64), readers, None).unwrap()
}

/// A registry with its store on this disk.
fn begin(platter: &Platter) -> (Proposer, [JoinHandle<()>; 2]) {
    let mut disk = platter.clone();
    let (book, stored) = match disk.open() {
        Ok((book, stored)) => (Ok(book), stored),
        Err(_) => (disk.fresh().and_then(|book| disk.adopt().map(|()| book)), Stored::default()),
    };
    let (proposer, log): (Proposer, Log) = in_memory();
    let (keeper, asked) = keeper();
    let mut registry = registry();
    registry.keep(keeper, stored, true);
    let store = Thread::new(disk, book, false, asked, proposer.waker(), Box::new(|_| {}));
    let store = store.start().unwrap();
    (proposer, [registry.start(log, Nobody, None, ()).unwrap(), store])
}

/// Whether an answer says that it is durable; none: it was refused.
fn is_durable(answer: Answer) -> Option<bool> {
    match answer.blocking_recv().expect("an answer") {
        Ok(outcome) => match outcome.detail {
            Detail::Ordered(ordered) => Some(ordered.durable),
            Detail::Consumer(ordered) => Some(ordered.durable),
            other => panic!("{other:?}"),
        },
        Err(_) => None,
    }
}

/// How it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    PowerLoss,
    Death,
}

/// Plays once; gives what is wrong.
fn lost(seed: u64, end: End, honesty: Honesty) -> Result<(), String> {
    let mut dice = Dice(seed);
    let mut bytes = None;
    let mut before = Model::default();
    // One life after the other on the same disk.
    for life in 0..4 {
        let platter = Platter::new(bytes.clone(), honesty);
        let (proposer, threads) = begin(&platter);
        let calls = dice.below(150);
        let mut acts = Vec::new();
        let mut kept = 0;
        platter.fail_after(Some(calls));
        for _ in 0..4 {
            let wave: Vec<_> = (0..=dice.below(6)).map(|_| Act::random(&mut dice)).collect();
            let proposed = wave.iter().map(|act| proposer.propose(act.command()).unwrap());
            let answers: Vec<_> = proposed.collect();
            for (act, answer) in wave.into_iter().zip(answers) {
                acts.push(act);
                if is_durable(answer) == Some(true) {
                    kept = acts.len();
                }
            }
        }
        drop(proposer);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let left = match end {
            End::PowerLoss => platter.after_cut(&mut dice),
            End::Death => platter.after_death(),
        };
        let found = match &left {
            Some(bytes) => Book::look(bytes).map_err(|fault| format!("life {life}: {fault}"))?,
            None => Stored::default(),
        };
        let found = model_of(&found);
        let mut model = before.clone();
        let mut fits = false;
        for number in 0..=acts.len() {
            fits |= number >= kept && model == found;
            if let Some(act) = acts.get(number) {
                act.apply(&mut model);
            }
        }
        if !fits {
            return Err(format!("life {life}: {kept} of {acts:?} on {before:?} gave {found:?}"));
        }
        (bytes, before) = (left, found);
    }
    Ok(())
}

#[track_caller]
fn nothing_is_lost(end: End) {
    for seed in 0..PLAYS {
        if let Err(wrong) = lost(seed, end, Honesty::Honest) {
            panic!("seed {seed}: {wrong}");
        }
    }
}

#[test]
fn a_loss_of_power_loses_nothing() {
    nothing_is_lost(End::PowerLoss);
}

#[test]
fn the_death_of_the_process_loses_nothing() {
    nothing_is_lost(End::Death);
}

#[test]
fn a_disk_that_lies_is_found_out() {
    let found = (0..PLAYS).filter(|seed| lost(*seed, End::PowerLoss, Honesty::Lies).is_err());
    assert!(found.count() as u64 > PLAYS / 2, "a check that never objects proves nothing");
}
