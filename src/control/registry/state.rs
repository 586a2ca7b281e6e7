//! What is, and what a command makes of it. No thread, no clock: times are given, what is to be done comes back.

use std::collections::HashMap;
use std::time::Duration;

use coregate_core::base::cells::{Cells, Mark};
use coregate_core::base::ids::{InstanceSlot, ListenerId};
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::compile::{Compiler, Effects};
use coregate_core::snapshot::plan::Address;
use coregate_core::snapshot::reader::{Reader, acknowledged_by_all, is_in_flight};

use crate::registry::checkpoint::{Brought, Checkpoint, Draining, Known};
use crate::registry::directory::view::InstanceView;
use crate::registry::directory::{Changed, Directory, Kept};
use crate::registry::log::{Command, Configure, Detail, Refused};

mod operate;
mod orders;

pub use orders::Events;

/// Configuration and membership.
#[derive(Debug)]
pub struct State {
    compiler: Compiler,
    directory: Directory,
    cells: Cells,
    generation: u64,
    /// Whether there is something that the latest snapshot does not have.
    changed: bool,
    drains: HashMap<(InstanceSlot, u16), Drain>,
    handed_over: bool,
    /// Whether the other process goes on, for good.
    left: bool,
    /// What is to be written to the host's words once they are this process's; none: they are.
    withheld: Option<Vec<Effects>>,
    /// Whether another process may still use slots that this one would give again.
    shares_slots: bool,
    contradictions: u64,
    events: Events,
}

/// An instance that gets no new requests.
#[derive(Debug)]
struct Drain {
    service: String,
    address: Address,
    /// What is in flight on it is cut then; none: that has been done.
    until: Option<Duration>,
}

/// A slot whose time to drain is over: what is in flight on it is to be cut.
pub type Cut = (InstanceSlot, u16);

impl State {
    /// Nothing is there yet.
    pub fn new(cells: Cells) -> Self {
        let compiler = Compiler::new(cells.instances());
        Self {
            compiler,
            directory: Directory::default(),
            cells,
            generation: 0,
            changed: false,
            drains: HashMap::new(),
            handed_over: false,
            left: false,
            withheld: None,
            shares_slots: false,
            contradictions: 0,
            events: Events::default(),
        }
    }

    /// Goes on where another process stood, whose table of cells this one has. Until [`Command::TakeOver`] it is that one's to
    /// write: it goes on with its instances if nothing comes of this process. Until
    /// [`predecessor_gone`](Self::predecessor_gone) no slot is given again.
    pub fn inherit(&mut self, checkpoint: Checkpoint, now: Duration) {
        self.directory.resume(checkpoint.revision);
        let registered = checkpoint.registrations().into_iter();
        for (service, registration) in registered.filter_map(Kept::registration) {
            self.directory.register(&service, registration, now);
        }
        let Checkpoint {
            generation,
            routes,
            services,
            listeners,
            instances,
            drains,
            discovered,
            ..
        } = checkpoint;
        self.generation = generation;
        self.shares_slots = true;
        self.withheld = Some(Vec::new());
        let members = instances.into_iter().filter_map(Known::member);
        let slots = (0..self.cells.instances()).map(|slot| InstanceSlot(slot as u32));
        let used = slots.map(|slot| self.cells.verdict(slot).load().generation()).collect();
        self.compiler.inherit([routes, services, listeners], members, used);
        for brought in discovered {
            let instances = brought.instances();
            self.compiler.inherit_discovered(&brought.service, brought.source.into(), instances);
        }
        for Draining { service, address, left_ms } in drains {
            let Some(id) = self.compiler.service_named(&service) else { continue };
            let Ok(address) = address.parse::<Address>() else { continue };
            if let Some(member) = self.compiler.member_of(id, &address) {
                self.directory.drain(&service, &address, true, now);
                let until = (left_ms > 0).then(|| now + Duration::from_millis(left_ms));
                let drain = Drain { service, address, until };
                self.drains.insert((member.slot, member.generation), drain);
            }
        }
    }

    /// The process before has ended: its slots are ours alone.
    pub fn predecessor_gone(&mut self) {
        self.shares_slots = false;
    }

    /// Applies a command at `now`.
    pub fn apply(&mut self, command: Command, now: Duration) -> Result<Detail, Refused> {
        let ends_it = matches!(command, Command::TakeBack | Command::Leave);
        // Whoever renews is heard: here or there its lease begins anew.
        let harmless = command.changes_nothing() && !self.left;
        if self.handed_over && !ends_it && !harmless {
            return Err(Refused::HandedOver);
        }
        match command {
            Command::Configure(configure) => self.configure(*configure),
            Command::Change(changes) => {
                let results = changes.into_iter().map(|change| self.change(change, now));
                Ok(Detail::Changed(results.collect()))
            }
            Command::Order(order) => Ok(Detail::Ordered(Box::new(self.order(*order, now)?))),
            Command::Orders(orders) => {
                let results = orders.into_iter().map(|order| self.order(order, now));
                Ok(Detail::OrderedAll(results.collect()))
            }
            Command::Operate(operation) => self.operate(*operation, now),
            Command::Look(look) => Ok(self.look(look, now)?),
            Command::Restore(kept) => {
                self.restore(kept, now);
                Ok(Detail::Done)
            }
            // Nothing is probed yet.
            Command::Probed(_) => Ok(Detail::Done),
            Command::Discovered { service, source, instances } => {
                let effects = self.compiler.discover(&service, &source, instances)?;
                self.follow_membership(effects);
                Ok(Detail::Done)
            }
            Command::Drain { service, address, deadline } => {
                self.directory.drain(&service, &address, true, now);
                self.drain(service, address, now.saturating_add(deadline))
            }
            Command::Enable { service, address } => {
                self.directory.drain(&service, &address, false, now);
                self.enable(&service, &address)
            }
            Command::HandOver => {
                self.handed_over = true;
                Ok(Detail::HandedOver(Box::new(self.checkpoint(now))))
            }
            Command::TakeBack => {
                self.handed_over = false;
                // Renewals were refused meanwhile.
                self.directory.renew_all(now);
                Ok(Detail::Done)
            }
            Command::Leave => {
                self.left = self.handed_over;
                Ok(Detail::Done)
            }
            Command::TakeOver => {
                let withheld = self.withheld.take().unwrap_or_default();
                withheld.iter().for_each(|effects| self.write(effects));
                // Until now they went to the process before.
                self.directory.renew_all(now);
                Ok(Detail::Done)
            }
        }
    }

    fn configure(&mut self, configure: Configure) -> Result<Detail, Refused> {
        let Configure { plan, sockets, drain, tokens } = configure;
        let effects = self.compiler.configure(plan).map_err(Refused::Plan)?;
        self.compiler.assign(&sockets, drain);
        self.admit_instances(tokens);
        self.follow(effects);
        self.changed = true;
        Ok(Detail::Configured(self.listeners()))
    }

    /// The ids of the listeners that there are, by name.
    pub fn listeners(&self) -> Vec<(String, ListenerId)> {
        let names = self.compiler.plan().listeners.iter().map(|plan| &plan.name);
        names.filter_map(|name| Some((name.clone(), self.compiler.listener_id(name)?))).collect()
    }

    /// Writes what follows for the words of the host, if they are ours; if not yet, then.
    fn follow(&mut self, effects: Effects) {
        for gone in &effects.gone {
            self.drains.remove(gone);
        }
        match &mut self.withheld {
            Some(withheld) => withheld.push(effects),
            None => self.write(&effects),
        }
    }

    /// The same of a change of membership, which is public with the next snapshot if it is one.
    fn follow_membership(&mut self, effects: Effects) {
        self.changed |= effects != Effects::default();
        self.follow(effects);
    }

    /// Those that are gone first of all: before the next publish.
    fn write(&mut self, effects: &Effects) {
        let cells = &self.cells;
        let removed = effects.gone.iter().map(|(slot, which)| cells.verdict(*slot).remove(*which));
        let begun = effects.given.iter().map(|one| cells.verdict(one.slot).begin(one.generation));
        self.contradictions += removed.chain(begun).filter(Result::is_err).count() as u64;
    }

    /// Words of the host that said something else than they should: somebody else writes them.
    pub fn contradictions(&self) -> u64 {
        self.contradictions
    }

    fn drain(
        &mut self,
        service: String,
        address: Address,
        until: Duration,
    ) -> Result<Detail, Refused> {
        let member = self.compiler.member(&service, &address)?;
        let _ = self.cells.verdict(member.slot).mark(member.generation, Mark::Draining);
        let drain = Drain { service, address, until: Some(until) };
        self.drains.insert((member.slot, member.generation), drain);
        Ok(Detail::Instance(member.slot))
    }

    fn enable(&mut self, service: &str, address: &Address) -> Result<Detail, Refused> {
        let member = self.compiler.member(service, address)?;
        let _ = self.cells.verdict(member.slot).clear(member.generation, Mark::Draining);
        self.drains.remove(&(member.slot, member.generation));
        Ok(Detail::Instance(member.slot))
    }

    /// Instances whose time to drain is over at `now`, each once.
    pub fn overdue(&mut self, now: Duration) -> Vec<Cut> {
        let due = |drain: &Drain| drain.until.is_some_and(|until| until <= now);
        let over = self.drains.iter_mut().filter(|(_, drain)| due(drain));
        over.map(|(slot, drain)| {
            drain.until = None;
            *slot
        })
        .collect()
    }

    /// Not every worker was told of one that was overdue: it is again, then.
    pub fn cut_again(&mut self, slot: InstanceSlot, generation: u16, at: Duration) {
        if let Some(drain) = self.drains.get_mut(&(slot, generation)) {
            drain.until = Some(at);
        }
    }

    /// When the next of them is.
    pub fn next_overdue(&self) -> Option<Duration> {
        self.drains.values().filter_map(|drain| drain.until).min()
    }

    /// The next snapshot, if anything has changed since the last.
    pub fn snapshot(&mut self) -> Option<Snapshot> {
        std::mem::take(&mut self.changed).then(|| {
            self.generation += 1;
            self.compiler.snapshot(self.generation)
        })
    }

    /// What has changed of registered instances since this was last asked: for those who keep or watch it.
    pub fn take_changes(&mut self) -> Vec<Changed> {
        self.directory.take_changes()
    }

    /// The revision of the latest change of a registered instance.
    pub fn revision(&self) -> u64 {
        self.directory.revision()
    }

    /// A registered instance, as it stands at `now`.
    pub fn instance(&self, service: &str, id: &str, now: Duration) -> Option<InstanceView> {
        self.directory.instance(service, id, now)
    }

    /// Goes on from a revision: none shall see them fall.
    pub fn resume(&mut self, revision: u64) {
        self.directory.resume(revision);
    }

    /// What was said of an instance, if it is there.
    pub fn kept_of(&self, service: &str, id: &str) -> Option<Kept> {
        self.directory.kept_of(service, id)
    }

    /// What was said of all of them.
    pub fn kept(&self) -> Vec<Kept> {
        self.directory.kept()
    }

    /// Whether anything has changed since the last snapshot.
    pub fn has_changed(&self) -> bool {
        self.changed
    }

    /// The generation of the last snapshot.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How many instances there are.
    pub fn instances(&self) -> usize {
        self.compiler.instances()
    }

    /// How many of them have leases.
    pub fn leased(&self) -> usize {
        self.directory.leased()
    }

    /// How many have registered.
    pub fn registered(&self) -> usize {
        self.directory.registered()
    }

    /// What happened to registered instances so far.
    pub fn events(&self) -> Events {
        self.events
    }

    /// How many of them are drained, or being so.
    pub fn draining(&self) -> usize {
        self.drains.len()
    }

    /// How many slots are held back.
    pub fn retired_slots(&self) -> usize {
        self.compiler.retired_slots()
    }

    /// Frees the slots of instances that nobody can mean any more; whether some are left that are not.
    pub fn reclaim(&mut self, readers: &[Reader], most: usize) -> bool {
        let slots = self.compiler.slots();
        if !self.shares_slots && !self.handed_over {
            slots.reclaim(acknowledged_by_all(readers), most, |slot| is_in_flight(readers, slot));
        }
        slots.retired() > 0
    }

    fn checkpoint(&self, now: Duration) -> Checkpoint {
        let [routes, services, listeners] =
            self.compiler.names().map(|names| names.into_iter().map(str::to_owned).collect());
        let members = self.compiler.members();
        let instances =
            members.map(|(service, address, member)| Known::new(service, address, member));
        let drains = self.drains.values().map(|drain| Draining {
            service: drain.service.clone(),
            address: drain.address.to_string(),
            left_ms: drain
                .until
                .map_or(0, |until| until.saturating_sub(now).as_millis().max(1) as u64),
        });
        Checkpoint {
            generation: self.generation,
            revision: self.directory.revision(),
            routes,
            services,
            listeners,
            instances: instances.collect(),
            drains: drains.collect(),
            registered: self.directory.kept(),
            discovered: self.compiler.discovered().map(Brought::new).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
