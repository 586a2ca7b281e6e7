//! The registry's thread: takes commands, applies them, publishes at most every 10 ms, answers, and cleans up after workers.
//!
//! It does no I/O and waits for its log alone. A first change after a quiet time is published at once; those that come within
//! the next 10 ms go together, and their proposers are answered when they are public, and in the store where there is one.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::thread::{self, Builder, JoinHandle};
use std::time::{Duration, Instant};
use std::{io, iter};

use coregate_core::base::cells::Cells;
use coregate_core::base::ids::ListenerId;
use coregate_core::base::limits;
use coregate_core::base::mailbox::Desk;
use coregate_core::policy::quota::Question;
use coregate_core::snapshot::reader::Reader;

use crate::registry::checkpoint::Checkpoint;
use crate::registry::journal::Journal;
use crate::registry::keep::{Keeper, Stored};
use crate::registry::log::{self, Command, Configure, Log, Proposal, Refused};
use crate::registry::notice::Notice;
use crate::registry::probe::{Probes, Unprobed};
use crate::registry::publish::{Pointer, Publisher, Workers};
use crate::registry::quotas::Answered;
use crate::registry::state::State;
use crate::registry::stats::RegistryStats;
use crate::registry::time::{FairTime, unix_now};
use crate::registry::waiting::{Turn, Waiting};

/// A registry that has its first configuration, and no thread yet.
#[derive(Debug)]
pub struct Registry {
    state: State,
    publisher: Publisher,
    time: FairTime,
    stats: Arc<RegistryStats>,
    journal: Arc<Journal>,
    /// The way to a store; none: all is in memory alone.
    keeper: Option<Keeper>,
    /// Where workers ask for more of a quota.
    desk: Option<Arc<Desk<Question>>>,
    tell: Tell,
}

/// Who is told what operators should know.
struct Tell {
    to: Box<dyn Fn(Notice) + Send>,
    /// Not before this: many lines a second are read by nobody.
    next: Instant,
}

impl std::fmt::Debug for Tell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tell")
    }
}

impl Registry {
    /// Takes the first configuration, after what another process has left, if there was one.
    pub fn new(
        configure: impl Into<Configure>,
        cells: Cells,
        readers: Arc<[Reader]>,
        before: Option<Checkpoint>,
    ) -> Result<Self, Refused> {
        let time = FairTime::new(Instant::now());
        // Nobody has to guess it; two processes spread their probes otherwise.
        let mut state = State::seeded(cells, RandomState::new().hash_one(0));
        if let Some(checkpoint) = before {
            state.inherit(checkpoint, time.now());
        }
        state.apply(Command::Configure(Box::new(configure.into())), time.now())?;
        let Some(first) = state.snapshot() else { unreachable!("a configuration is a change") };
        let stats = Arc::<RegistryStats>::default();
        stats.instances.set(state.instances() as u64);
        let (publisher, tell) =
            (Publisher::new(first, readers), Tell { to: Box::new(drop), next: Instant::now() });
        let journal = Journal::new();
        // What changes from now on is told: whoever reads a list here is not told what led to it.
        drop(state.take_changes());
        journal.begin(state.revision());
        Ok(Self { state, publisher, time, stats, journal, keeper: None, desk: None, tell })
    }

    /// What has changed of registered instances lately.
    pub fn journal(&self) -> Arc<Journal> {
        Arc::clone(&self.journal)
    }

    /// Operators are told by this what they should know. The registry's thread does it, so it must not wait for anything.
    pub fn telling(&mut self, tell: impl Fn(Notice) + Send + 'static) {
        self.tell = Tell { to: Box::new(tell), next: Instant::now() };
    }

    /// Keeps what must outlive the process from now on. What is `stored` is so again, if it is `true` that nobody knows better:
    /// instances of services that there are, each with a full lease. How many those are.
    pub fn keep(&mut self, mut keeper: Keeper, stored: Stored, restore: bool) -> usize {
        let now = self.time.now();
        if stored.revision > 0 {
            self.state.resume(stored.revision.saturating_add(limits::REVISION_LEAP));
        }
        if restore {
            self.state.restore(stored.kept.clone(), now);
        }
        // A predecessor may be of a build that knows of none: what was revoked is so all the same.
        if restore || !self.state.knows_consumers() {
            self.state.restore_consumers(stored.consumers.clone());
        }
        if restore || !self.state.knows_quotas() {
            self.state.restore_quotas(stored.quotas.clone());
        }
        drop((self.state.take_changes(), self.state.take_touched()));
        drop(self.state.take_quotas_touched());
        self.journal.begin(self.state.revision());
        keeper.begin(stored, &self.state);
        self.keeper = Some(keeper);
        if let Some(snapshot) = self.state.snapshot() {
            self.publisher.publish(snapshot, Instant::now());
        }
        self.state.registered()
    }

    /// Workers ask at this desk, whose bell [wakes](log::Waker::wake) the thread.
    pub fn sit_at(&mut self, desk: Arc<Desk<Question>>) {
        self.desk = Some(desk);
    }

    /// What it counts.
    pub fn stats(&self) -> Arc<RegistryStats> {
        Arc::clone(&self.stats)
    }

    /// The pointer, for a worker.
    pub fn pointer(&self) -> Pointer {
        self.publisher.pointer()
    }

    /// The ids of the listeners that there are, by name.
    pub fn listeners(&self) -> Vec<(String, ListenerId)> {
        self.state.listeners()
    }

    /// Starts the thread, which has probes made by `probes`. It ends when nobody can propose any more.
    pub fn start(
        mut self,
        mut log: Log,
        workers: impl Workers + 'static,
        predecessor: Option<Predecessor>,
        probes: impl Probes + 'static,
    ) -> io::Result<JoinHandle<()>> {
        Builder::new()
            .name("registry".into())
            .spawn(move || self.run(&mut log, &workers, predecessor, &probes))
    }

    fn run(
        &mut self,
        log: &mut Log,
        workers: &impl Workers,
        mut before: Option<Predecessor>,
        probes: &impl Probes,
    ) {
        let mut published = Instant::now();
        let mut waiting = Waiting::default();
        let mut unsettled = true;
        loop {
            // Who asks from now on wakes it.
            let asked = self.desk.as_ref().is_some_and(|desk| !desk.arm());
            let wait = if asked { Duration::ZERO } else { self.wait(published, unsettled) };
            let next = if self.state.has_changed() {
                // Commands that come meanwhile wait for the same publish: one wake for all of them.
                thread::sleep(wait);
                log.next(Duration::ZERO)
            } else {
                log.next(wait)
            };
            let Ok(mut next) = next else { return };
            let now = self.time.advance(Instant::now(), wait);
            // Before any answer: a successor of ours relies on it.
            if before.take_if(|before| before.has_gone()).is_some() {
                self.state.predecessor_gone();
            }
            // No more than the log holds: whoever goes on proposing must not keep the rest from being done.
            let mut left = limits::PROPOSALS;
            while let Some((index, proposal)) = next {
                self.take(index, proposal, now, &mut waiting);
                left -= 1;
                next = if left == 0 { None } else { log.next(Duration::ZERO).unwrap_or_default() };
            }
            // After the commands: who renewed in time was heard in time.
            self.look_around(now, probes);
            self.hear_questions();
            self.keep_changes(&mut waiting);
            let real = Instant::now();
            if self.state.has_changed()
                && real.saturating_duration_since(published) >= limits::PUBLISH_EVERY
                && let Some(snapshot) = self.state.snapshot()
            {
                self.publisher.publish(snapshot, real);
                published = real;
                self.stats.publishes.one();
            }
            let (generation, keeper) = (self.state.generation(), self.keeper.as_ref());
            if !self.state.has_changed() {
                waiting.published(generation, keeper);
            }
            waiting.settled(generation, keeper);
            if waiting.is_stuck(real) {
                self.turn(Turn::TakeBack, now, &mut waiting);
            }
            for Answered { by, ticket, answer } in self.state.take_quota_answers() {
                workers.answer(by, ticket, answer);
            }
            for (slot, generation) in self.state.overdue(now) {
                if !workers.cut(slot, generation) {
                    self.state.cut_again(slot, generation, now + limits::ACKNOWLEDGE_TIME);
                }
            }
            self.publisher.wake(real, workers);
            let kept = self.publisher.free();
            let held = self.state.reclaim(self.publisher.readers(), limits::RECLAIM_AT_ONCE);
            unsettled = kept || held;
            self.count();
        }
    }

    /// Leases, probes, and what workers counted.
    fn look_around(&mut self, now: Duration, probes: &impl Probes) {
        let Self { state, publisher, tell, .. } = self;
        let readers = publisher.readers();
        state.sample(now, |slot| {
            readers.iter().fold((0_u32, 0_u32), |(requests, failures), reader| {
                let failures = failures.wrapping_add(reader.failures(slot));
                (requests.wrapping_add(reader.requests(slot)), failures)
            })
        });
        state.tick(now);
        while let Some(order) = state.next_probe(now) {
            match probes.probe(order) {
                Ok(()) => {}
                Err(Unprobed::Share(order)) => state.put_off(&order, now),
                Err(Unprobed::Full(order)) => {
                    state.not_probed(&order, now);
                    break;
                }
            }
        }
        let real = Instant::now();
        if tell.next <= real {
            let notices = state.take_notices();
            if !notices.is_empty() {
                tell.next = real + limits::NOTICES_EVERY;
            }
            notices.into_iter().for_each(|notice| (tell.to)(notice));
        }
    }

    /// Quotas: what is in the store by now, what workers ask, periods that are over. Before what has changed is handed to the store.
    fn hear_questions(&mut self) {
        let wall = unix_now();
        let Self { state, desk, keeper, .. } = self;
        if let Some(keeper) = keeper {
            state.settle_quotas(|number| keeper.progress().is_settled(number));
        }
        state.tick_quotas(wall);
        // No more than the desk holds, as with commands.
        let questions = desk.iter().flat_map(|desk| iter::from_fn(|| desk.next()));
        for asked in questions.take(limits::DESK_QUESTIONS) {
            state.ask_quota(asked, wall);
        }
    }

    fn count(&self) {
        let Self { state, publisher, time, stats, .. } = self;
        stats.retired_snapshots.set(publisher.retired() as u64);
        stats.instances.set(state.instances() as u64);
        let events = state.events();
        stats.leased.set(state.leased() as u64);
        stats.registered.set(events.registered);
        stats.renewed.set(events.renewed);
        stats.deregistered.set(events.deregistered);
        stats.expired.set(events.expired);
        stats.draining.set(state.draining() as u64);
        count_health(stats, state);
        stats.retired_slots.set(state.retired_slots() as u64);
        stats.contradictions.set(state.contradictions());
        let (quotas, count) = state.quota_counts();
        stats.quotas.set(count as u64);
        stats.quota_grants.set(quotas.grants);
        stats.quotas_full.set(quotas.full);
        stats.late_ms.set(time.late().as_millis() as u64);
    }

    /// How long there is nothing to do unless a command comes.
    fn wait(&self, published: Instant, unsettled: bool) -> Duration {
        if self.state.has_changed() {
            return limits::PUBLISH_EVERY.saturating_sub(published.elapsed());
        }
        let next = self
            .state
            .next_overdue()
            .into_iter()
            .chain(self.state.next_tick(self.time.now()))
            .min();
        let next = next.map(|at| at.saturating_sub(self.time.now()) + Duration::from_millis(1));
        let idle = if unsettled { limits::ACKNOWLEDGE_TIME } else { limits::REGISTRY_TICK };
        next.map_or(idle, |next| next.min(idle))
    }

    fn take(&mut self, index: u64, proposal: Proposal, now: Duration, waiting: &mut Waiting) {
        let Some(Proposal { command, then }) = waiting.put_aside(index, proposal) else { return };
        let (kept, turn) = (command.is_kept(), Turn::of(&command));
        if kept && waiting.is_full() {
            self.stats.refused.one();
            return then.answer(Err(Refused::Full(log::Full)));
        }
        match self.state.apply(command, now) {
            Ok(detail) => {
                self.stats.commands.one();
                waiting.add(then, index, detail, kept || turn == Turn::HandOver);
                self.turn(turn, now, waiting);
            }
            Err(refused) => {
                self.stats.refused.one();
                then.answer(Err(refused));
            }
        }
    }

    /// An upgrade begins, or has come to its end.
    fn turn(&mut self, turn: Turn, now: Duration, waiting: &mut Waiting) {
        match turn {
            Turn::None => {}
            Turn::HandOver => {
                // All that was applied before is in the store before it is closed.
                self.note_changes();
                self.keeper.iter_mut().for_each(Keeper::close);
                waiting.hand_over(self.keeper.as_ref().map(|_| Instant::now()));
            }
            Turn::TakeBack => {
                // It is taken back already, unless the store was too slow.
                let _ = self.state.apply(Command::TakeBack, now);
                self.keeper.iter().for_each(Keeper::open);
                for (index, proposal) in waiting.take_aside() {
                    self.take(index, proposal, now, waiting);
                }
            }
            Turn::Leave => {
                for (_, Proposal { then, .. }) in waiting.take_aside() {
                    then.answer(Err(Refused::HandedOver));
                }
            }
        }
    }

    /// Hands what has changed to the store, and lets who waits for that wait.
    fn keep_changes(&mut self, waiting: &mut Waiting) {
        self.note_changes();
        self.state.quotas_handed(self.keeper.as_ref().map(Keeper::last));
        waiting.handed(self.keeper.as_ref());
    }

    /// The one place that takes what has changed, for whoever keeps or watches it; before anything is answered.
    fn note_changes(&mut self) {
        let (changes, touched) = (self.state.take_changes(), self.state.take_touched());
        let quotas = self.state.take_quotas_touched();
        self.journal.write(&changes, &self.state, self.time.now());
        if let Some(keeper) = &mut self.keeper {
            keeper.note(&changes, &touched, &quotas, &self.state);
        }
    }
}

fn count_health(stats: &RegistryStats, state: &State) {
    let counts = state.health_counts();
    let (_, stretch) = state.probes();
    stats.probes_lost.set(counts.lost);
    stats.probes_stretch.set(stretch);
    stats.probed.set(counts.probed);
    stats.down.set(counts.down);
    stats.ejected.set(counts.ejected);
    stats.ejections.set(counts.ejections);
    stats.protected.set(state.protected() as u64);
}

/// The process that was here before, as long as it lives.
pub struct Predecessor(Box<dyn Fn() -> bool + Send>);

impl Predecessor {
    /// `gone`: whether it has ended.
    pub fn new(gone: impl Fn() -> bool + Send + 'static) -> Self {
        Self(Box::new(gone))
    }

    fn has_gone(&self) -> bool {
        (self.0)()
    }
}

impl std::fmt::Debug for Predecessor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Predecessor")
    }
}

#[cfg(test)]
mod tests;
