//! Health: whether each instance serves, by what probes find and live requests show, and why. Pure: times and the seed are given,
//! probes are asked for ([`Health::next_probe`]) and told of ([`Health::probed`]), and what changes is one word of the host's
//! cells each; nothing is published.
//!
//! State is per instance of a service, which is one use of a slot: for those of the file, of discovery and those that registered alike.
//! Two services that have the same address know nothing of each other's. Who takes over an address of the same service is another
//! instance, and begins anew.
//!
//! ```text
//!                     ┌─ probes ──▶ DOWN on or off ────┐
//!  orders, results ──▶│            (rise, fall)        │
//!                     ├─ traffic ─▶ EJECTED off again ─┼──▶ the verdict's word ──▶ picks
//!  counters ─────────▶│            (on, by rate)       │
//!  weights ──────────▶└─ share ───▶ share ─────────────┘
//! ```
//!
//! - [`probes`]: what the probes of one instance have shown; [`schedule`]: which is made when.
//! - [`traffic`]: what live requests show of one, and how long it is set aside; [`share`]: which part of the requests it gets.
//! - [`belief`]: all of this as text, and as it is shown.
//! - [`entry`] and [`group`]: what is known of an instance, and of its service.
//!
//! Invariants, which [`Health`]'s `assert_whole` and the simulation hold:
//!
//! 1. There is one entry for each member of the compiler, under its slot and generation.
//! 2. An instance has the mark DOWN if and only if it is held back, or is probed and its probes say so; its share is that of its weight among its
//!    service's, times what it has recovered, at the latest one turn after that has changed, or a step of recovery.
//! 3. Each probed instance has one place in the schedule; what is on its way is what was ordered and has not come back.
//! 4. An instance that is set aside has one place among the readmissions.
//!
//! The cost of each change grows with the logarithm of the instances. A turn looks at a bounded part of what there is; all instances are
//! looked at once every [`limits::SAMPLE_EVERY`](coregate_core::base::limits::SAMPLE_EVERY).

mod belief;
mod configure;
mod entry;
mod group;
mod keep;
mod probes;
mod random;
mod rounds;
mod sampling;
mod schedule;
mod share;
mod traffic;
mod words;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use coregate_core::base::ids::{InstanceSlot, ServiceId};
use coregate_core::base::limits;
use coregate_core::snapshot::plan::{Address, HealthCheck};

use entry::Entry;
use group::Group;
use sampling::Sweep;
use schedule::Schedule;

pub use belief::{HealthView, ProbeView, TrafficView, UpView, belief};
pub use keep::KeptHealth;
pub use probes::Standing;
pub use words::Words;

/// The health of all instances.
#[derive(Debug)]
pub struct Health {
    entries: Vec<Option<Box<Entry>>>,
    groups: HashMap<ServiceId, Group>,
    /// How many instances there are.
    members: usize,
    schedule: Schedule,
    /// When those that are set aside are let in again.
    readmissions: BTreeSet<(Duration, u32)>,
    /// When the share of those that recover is raised next.
    recoveries: BTreeSet<(Duration, u32)>,
    /// Services whose shares are to be written, and from which slot on; each once.
    uneven: VecDeque<(ServiceId, u32)>,
    sweep: Sweep,
    turns: Vec<Turned>,
    counts: Counts,
}

/// What was counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Probes that passed.
    pub passed: u64,
    /// Probes that warned.
    pub warned: u64,
    /// Probes that failed.
    pub failed: u64,
    /// Probes of which nothing came.
    pub lost: u64,
    /// Instances that are down now, or held back.
    pub down: u64,
    /// Instances that are set aside now.
    pub ejected: u64,
    /// Times that one was set aside.
    pub ejections: u64,
    /// Probed instances.
    pub probed: u64,
}

/// An instance that serves otherwise than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turned {
    /// Its service.
    pub service: ServiceId,
    /// Where it is.
    pub address: Address,
    /// What happened.
    pub turn: Turn,
}

/// What happened to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Its probes fail, the latest for this reason.
    Down(Box<str>),
    /// Its probes pass again.
    Up,
    /// It is new, and a probe has failed, for this reason: it waits for one that passes.
    Waits(Box<str>),
    /// It is new, and a probe has passed.
    Begins,
    /// Live requests to it fail: it is set aside for so long.
    Ejected(Duration),
    /// It is not set aside any more.
    Readmitted,
    /// A live request failed after others had succeeded. It serves as before.
    Fails,
}

/// Whether an instance answers, for a lease that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sign {
    /// Its probes pass; or, without any, live requests have within the time that was asked for, and the latest did.
    pub answers: bool,
    /// Until when that is so without another sign; none: until a probe says otherwise.
    pub until: Option<Duration>,
    /// Its last probe, or request where it is not probed, succeeded, however long ago.
    pub succeeded: bool,
}

/// What is said of an instance, as far as its health depends on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Described {
    /// Its id, if it has registered.
    pub id: Option<Arc<str>>,
    /// Its weight, if it or somebody has said one: else that of the file.
    pub weight: Option<u32>,
    /// The check that it brought, if any: else that of its service.
    pub check: Option<Arc<HealthCheck>>,
    /// Whether it is held back: it says itself that it does not serve, or an operator does.
    pub held: bool,
}

impl Health {
    /// No instance is there yet.
    pub fn new(seed: u64) -> Self {
        Self {
            entries: Vec::new(),
            groups: HashMap::new(),
            members: 0,
            schedule: Schedule::new(seed),
            readmissions: BTreeSet::new(),
            recoveries: BTreeSet::new(),
            uneven: VecDeque::new(),
            sweep: Sweep::default(),
            turns: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// What has turned since this was last asked.
    pub fn take_turns(&mut self) -> Vec<Turned> {
        std::mem::take(&mut self.turns)
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Probes that are on their way.
    pub fn on_way(&self) -> usize {
        self.schedule.on_way()
    }

    /// By how much the intervals of probes are stretched, in thousandths: 1,000 where the budget is enough.
    pub fn stretch(&self) -> u64 {
        self.schedule.stretch()
    }

    /// The weight of the instance that uses a slot.
    pub fn weight_of(&self, (slot, generation): (InstanceSlot, u16)) -> Option<u32> {
        self.entry(slot, generation).map(|entry| entry.weight)
    }

    /// The name of a service that has instances, or stands in the plan.
    pub fn name_of(&self, service: ServiceId) -> Option<&Arc<str>> {
        self.groups.get(&service).map(|group| &group.name)
    }

    /// The slots of a service's instances that have not registered, by their addresses as text, those after `after`.
    pub fn plain(
        &self,
        service: ServiceId,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&str, &Address)> {
        let group = self.groups.get(&service);
        let slots = group.into_iter().flat_map(move |group| group.plain_after(after));
        slots.filter_map(|(name, slot)| Some((name, &self.at(slot)?.address)))
    }

    /// How many instances of a service have not registered.
    pub fn plain_count(&self, service: ServiceId) -> usize {
        self.groups.get(&service).map_or(0, Group::plain_count)
    }

    /// Whether the instance of a slot answers, where a lease of this period is over.
    pub fn sign(
        &self,
        slot: InstanceSlot,
        generation: u16,
        period: Duration,
        now: Duration,
    ) -> Sign {
        let Some(entry) = self.entry(slot, generation) else {
            return Sign { answers: false, until: None, succeeded: false };
        };
        if let Some(probing) = &entry.probing {
            let up = matches!(probing.standing, Standing::Up(_));
            return Sign { answers: up, until: None, succeeded: up };
        }
        let traffic = &entry.traffic;
        let well = !traffic.fails && traffic.until.is_none();
        let until = traffic.succeeded.filter(|_| well).map(|at| at.saturating_add(period));
        Sign { answers: until.is_some_and(|until| until > now), until, succeeded: until.is_some() }
    }

    fn entry(&self, slot: InstanceSlot, generation: u16) -> Option<&Entry> {
        self.at(slot.0).filter(|entry| entry.generation == generation)
    }

    fn at(&self, slot: u32) -> Option<&Entry> {
        self.entries.get(slot as usize)?.as_deref()
    }

    /// When there is something to do next, if at `now` all was done that could be; probes and samples are asked for apart.
    pub fn next_tick(&self, now: Duration) -> Option<Duration> {
        let first = |queue: &BTreeSet<(Duration, u32)>| queue.first().map(|(at, _)| *at);
        let uneven = (!self.uneven.is_empty()).then_some(now);
        let timers = [first(&self.readmissions), first(&self.recoveries), uneven];
        timers.into_iter().chain([self.schedule.next(now), self.next_sample()]).flatten().min()
    }

    /// Lets in again whose time has come, and writes shares, some at a time.
    pub fn tick(&mut self, now: Duration, words: &Words<'_>) {
        self.readmit_due(now, words);
        self.recover_due(now, words);
        self.even_out(now, words);
    }

    fn readmit_due(&mut self, now: Duration, words: &Words<'_>) {
        for _ in 0..limits::SHARES_AT_ONCE {
            let Some((_, slot)) = self.readmissions.first().filter(|(at, _)| *at <= now) else {
                return;
            };
            self.readmit(*slot, now, words);
        }
    }

    fn recover_due(&mut self, now: Duration, words: &Words<'_>) {
        for _ in 0..limits::SHARES_AT_ONCE {
            let Some((_, slot)) = self.recoveries.first().filter(|(at, _)| *at <= now).copied()
            else {
                return;
            };
            self.recover_on(slot, now, words);
        }
    }

    /// The heaviest instance of a service is another: all shares are to be written.
    fn set_uneven(&mut self, service: ServiceId) {
        if self.groups.get_mut(&service).is_some_and(Group::set_uneven) {
            self.uneven.push_back((service, 0));
        }
    }

    /// Writes the shares of services whose heaviest instance is another.
    fn even_out(&mut self, now: Duration, words: &Words<'_>) {
        let mut left = limits::SHARES_AT_ONCE;
        while left > 0
            && let Some((service, from)) = self.uneven.pop_front()
        {
            let Some(group) = self.groups.get_mut(&service) else { continue };
            let slots: Vec<u32> = group.slots_from(from).take(left).collect();
            let next = match slots.last() {
                Some(last) if slots.len() == left => Some(last + 1),
                // Once more, if that changed meanwhile.
                _ => group.written().then_some(0),
            };
            self.uneven.extend(next.map(|next| (service, next)));
            // A service without instances costs something too.
            left -= slots.len().max(1);
            slots.into_iter().for_each(|slot| self.write_share(slot, now, words));
        }
    }

    /// Writes the share of an instance, if it is another than before.
    fn write_share(&mut self, slot: u32, now: Duration, words: &Words<'_>) {
        let Some(entry) = self.entries.get_mut(slot as usize).and_then(Option::as_deref_mut) else {
            return;
        };
        let Some(group) = self.groups.get(&entry.service) else { return };
        let recovers = entry.recovers.map(|since| (now.saturating_sub(since), group.slow_start));
        let share = share::share(entry.weight, group.heaviest(), recovers);
        if std::mem::replace(&mut entry.share, share) != share {
            words.set_share(entry, share);
        }
    }

    /// The instance begins to recover: it gets a tenth of its share at first, and all of it in the end.
    fn recover(&mut self, slot: u32, now: Duration, words: &Words<'_>) {
        let Some(entry) = self.entries.get_mut(slot as usize).and_then(Option::as_deref_mut) else {
            return;
        };
        let slow_start =
            self.groups.get(&entry.service).map_or(Duration::ZERO, |one| one.slow_start);
        if slow_start.is_zero() {
            return;
        }
        if let Some(at) = entry.raised_at.replace(now + limits::SLOW_START_STEP) {
            self.recoveries.remove(&(at, slot));
        }
        entry.recovers = Some(now);
        self.recoveries.insert((now + limits::SLOW_START_STEP, slot));
        self.write_share(slot, now, words);
    }

    fn recover_on(&mut self, slot: u32, now: Duration, words: &Words<'_>) {
        let Some(entry) = self.entries.get_mut(slot as usize).and_then(Option::as_deref_mut) else {
            return;
        };
        if let Some(at) = entry.raised_at.take() {
            self.recoveries.remove(&(at, slot));
        }
        let slow_start =
            self.groups.get(&entry.service).map_or(Duration::ZERO, |one| one.slow_start);
        if entry.recovers.is_some_and(|since| now.saturating_sub(since) < slow_start) {
            let next = now + limits::SLOW_START_STEP;
            entry.raised_at = Some(next);
            self.recoveries.insert((next, slot));
        } else {
            entry.recovers = None;
        }
        self.write_share(slot, now, words);
    }
}

#[cfg(test)]
mod tests;
