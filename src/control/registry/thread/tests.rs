//! The thread itself, with commands that lie ready before it begins.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use coregate_core::base::ids::{InstanceSlot, WorkerId};
use coregate_core::base::mailbox::Ticket;
use coregate_core::policy::credential::KeyDigest;
use coregate_core::policy::quota;
use coregate_core::snapshot::plan::{Address, Plan};

use super::*;
use crate::registry::consumers::KeptConsumers;
use crate::registry::keep::{Ask, Write, keeper};
use crate::registry::log::{Answer, Change, Proposer, in_memory};
use crate::registry::order::{Order, What};

/// Counts what the workers are told.
#[derive(Default)]
struct Told {
    woken: AtomicUsize,
    cut: AtomicUsize,
}

struct Played(Arc<Told>);

impl Workers for Played {
    fn wake(&self, _: usize) {
        self.0.woken.fetch_add(1, Ordering::Relaxed);
    }

    fn cut(&self, _: InstanceSlot, _: u16) -> bool {
        // At first there is no room for it.
        self.0.cut.fetch_add(1, Ordering::Relaxed) > 0
    }

    fn answer(&self, _: WorkerId, _: Ticket, _: quota::Answer) {}
}

struct Play {
    registry: Registry,
    readers: Arc<[Reader]>,
    proposer: Proposer,
    log: Log,
    told: Arc<Told>,
}

fn play() -> Play {
    let readers: Arc<[_]> = [Reader::new(64)].into();
    let plan = Plan::to_instances(&[]);
    let registry = Registry::new(plan, Cells::owned(64), Arc::clone(&readers), None).unwrap();
    let (proposer, log) = in_memory();
    Play { registry, readers, proposer, log, told: Arc::default() }
}

fn address(port: u16) -> Address {
    Address::Tcp(([10, 0, 0, 1], port).into())
}

fn change(register: bool, port: u16) -> Command {
    let (service, address) = ("upstream".to_owned(), address(port));
    Command::Change(vec![match register {
        true => Change::Register { service, address },
        false => Change::Deregister { service, address },
    }])
}

fn generation(answer: Answer) -> u64 {
    answer.blocking_recv().expect("an answer").expect("applied").generation
}

#[test]
fn what_comes_together_is_published_together() {
    let Play { registry, readers, proposer, log, told } = play();
    let pointer = registry.pointer();
    let stats = registry.stats();
    let answers: Vec<_> =
        (1..=40).map(|port| proposer.propose(change(true, port)).unwrap()).collect();
    let thread = registry.start(log, Played(told), None, ()).unwrap();
    let generations: Vec<_> = answers.into_iter().map(generation).collect();
    assert_eq!(generations, vec![2; 40], "the first of all has the plan");
    let snapshot = pointer.load();
    assert_eq!(snapshot.services().map(|service| service.instances.len()).sum::<usize>(), 40);
    assert_eq!((stats.publishes.get(), stats.commands.get()), (1, 40));
    readers[0].acknowledge(2);
    drop(proposer);
    thread.join().unwrap();
}

fn drain(deadline: Duration) -> Command {
    let what = What::Drain { deadline };
    Command::Operate(Box::new(Order::of_operator("upstream".into(), &address(1), what)))
}

#[test]
fn nothing_is_published_where_nothing_changed() {
    let Play { registry, proposer, log, told, .. } = play();
    let stats = registry.stats();
    let first = proposer.propose(change(true, 1)).unwrap();
    let again = proposer.propose(change(true, 1)).unwrap();
    let unknown = proposer.propose(change(false, 9)).unwrap();
    let thread = registry.start(log, Played(told), None, ()).unwrap();
    assert_eq!([first, again, unknown].map(generation), [2, 2, 2]);
    let drained = proposer.propose(drain(Duration::MAX / 4));
    assert_eq!(generation(drained.unwrap()), 2, "a verdict is no generation");
    assert_eq!(stats.publishes.get(), 1);
    drop(proposer);
    thread.join().unwrap();
}

#[test]
fn a_drained_instance_is_cut_when_its_time_is_over() {
    let Play { registry, proposer, log, told, .. } = play();
    let registered = proposer.propose(change(true, 1)).unwrap();
    let drained = proposer.propose(drain(Duration::ZERO));
    let thread = registry.start(log, Played(Arc::clone(&told)), None, ()).unwrap();
    generation(registered);
    generation(drained.unwrap());
    while told.cut.load(Ordering::Relaxed) < 2 {
        thread::yield_now();
    }
    drop(proposer);
    thread.join().unwrap();
    assert_eq!(told.cut.load(Ordering::Relaxed), 2, "told again, and then no more");
}

#[test]
fn a_successor_waits_for_the_end_of_the_process_before() {
    let Play { registry, readers, proposer, log, told } = play();
    let (gone, looked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let before = Predecessor::new({
        let (gone, looked) = (Arc::clone(&gone), Arc::clone(&looked));
        move || {
            looked.fetch_add(1, Ordering::Relaxed);
            gone.load(Ordering::Relaxed)
        }
    });
    let thread = registry.start(log, Played(told), Some(before), ()).unwrap();
    generation(proposer.propose(change(true, 1)).unwrap());
    assert!(looked.load(Ordering::Relaxed) > 0);
    gone.store(true, Ordering::Relaxed);
    let last = generation(proposer.propose(change(false, 1)).unwrap());
    readers[0].acknowledge(last);
    let looks = looked.load(Ordering::Relaxed);
    generation(proposer.propose(change(true, 2)).unwrap());
    assert_eq!(looked.load(Ordering::Relaxed), looks, "once it has gone nobody looks any more");
    drop(proposer);
    thread.join().unwrap();
}

/// What is in the store about consumers is so again, unless who knows better says otherwise.
#[test]
fn what_was_revoked_outlives_a_step_back_to_an_earlier_build() {
    let revoked = |text: &str| vec![(KeyDigest::of(text.as_bytes()).to_hex(), 0)];
    let consumers =
        |text: &str| KeptConsumers { revoked: revoked(text), ..KeptConsumers::default() };
    let stored = Stored { revision: 7, consumers: consumers("stored"), ..Stored::default() };
    let predecessor = |consumers| Some(Checkpoint { consumers, ..Checkpoint::default() });
    for (before, expected) in [
        (None, "stored"),
        (predecessor(None), "stored"),
        (predecessor(Some(consumers("told"))), "told"),
    ] {
        let is_new = before.is_none();
        let readers: Arc<[_]> = [Reader::new(64)].into();
        let plan = Plan::to_instances(&[]);
        let mut registry = Registry::new(plan, Cells::owned(64), readers, before).unwrap();
        let (keeper, asked) = keeper();
        registry.keep(keeper, stored.clone(), is_new);
        assert_eq!(registry.state.kept_consumers(), consumers(expected));
        let Ok(Ask::Write(batch)) = asked.asks.try_recv() else { panic!("a first batch") };
        let digest = |text: &str| KeyDigest::of(text.as_bytes());
        let mut writes =
            vec![Write::GoneRevoked(digest("stored")), Write::PutRevoked(digest("told"), 0)];
        writes.sort_by_key(|write| match write {
            Write::GoneRevoked(digest) | Write::PutRevoked(digest, _) => *digest,
            other => panic!("{other:?}"),
        });
        assert_eq!(batch.writes, if expected == "told" { writes } else { Vec::new() });
    }
}
