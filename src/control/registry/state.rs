//! What is, and what a command makes of it. No thread, no clock: times are given, what is to be done comes back.

use std::collections::HashMap;
use std::time::Duration;

use coregate_core::base::cells::Cells;
use coregate_core::base::ids::{InstanceSlot, ListenerId};
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::compile::Compiler;
use coregate_core::snapshot::reader::{Reader, acknowledged_by_all, is_in_flight};

use crate::registry::consumers::Touched;
use crate::registry::directory::{Directory, Kept};
use crate::registry::health::{Health, KeptHealth, Standing};
use crate::registry::log::{Command, Configure, Detail, Refused};
use crate::registry::notice::Notice;
use crate::registry::quotas::Quotas;

mod consumers;
mod drains;
mod handover;
mod health;
mod look;
mod operate;
mod orders;
mod quotas;

use drains::Drains;
use health::Write;

pub use drains::Cut;
pub use orders::Events;

/// Configuration and membership.
#[derive(Debug)]
pub struct State {
    compiler: Compiler,
    directory: Directory,
    health: Health,
    /// How instances that register begin: as somebody new, but for those that another process knew.
    begins: Standing,
    /// What another process knew of the health of its instances.
    inherited: HashMap<(InstanceSlot, u16), KeptHealth>,
    /// Whether there are instances of another process that health does not know yet.
    inherits: bool,
    /// Whether it was told that the budget of probes is too small.
    stretched: bool,
    /// When it was told last that probes wait for each other.
    held_back: Option<Duration>,
    notices: Vec<Notice>,
    /// Notices for which there was no room.
    untold: usize,
    cells: Cells,
    generation: u64,
    /// Whether there is something that the latest snapshot does not have.
    changed: bool,
    drains: Drains,
    handed_over: bool,
    /// Whether the other process goes on, for good.
    left: bool,
    /// What is to be written to the host's words once they are this process's; none: they are.
    withheld: Option<Vec<Write>>,
    /// Whether another process may still use slots that this one would give again.
    shares_slots: bool,
    contradictions: u64,
    events: Events,
    /// What has changed about consumers since it was last taken.
    touched: Touched,
    /// Whether another process said what was changed about them.
    knows_consumers: bool,
    quotas: Quotas,
    /// Whether another process said what was granted of quotas.
    knows_quotas: bool,
}

impl State {
    /// Nothing is there yet, and what only has to be spread is spread in one way.
    pub fn new(cells: Cells) -> Self {
        Self::seeded(cells, 0)
    }

    /// Nothing is there yet. Probes are spread by this seed.
    pub fn seeded(cells: Cells, seed: u64) -> Self {
        let compiler = Compiler::new(cells.instances());
        let quotas = Quotas::new(cells.clone());
        Self {
            compiler,
            directory: Directory::default(),
            health: Health::new(seed),
            begins: Standing::New,
            inherited: HashMap::new(),
            inherits: false,
            stretched: false,
            held_back: None,
            notices: Vec::new(),
            untold: 0,
            cells,
            generation: 0,
            changed: false,
            drains: Drains::default(),
            handed_over: false,
            left: false,
            withheld: None,
            shares_slots: false,
            contradictions: 0,
            events: Events::default(),
            touched: Touched::default(),
            knows_consumers: false,
            quotas,
            knows_quotas: false,
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
            Command::Configure(configure) => self.configure(*configure, now),
            Command::Change(changes) => {
                let results = changes.into_iter().map(|change| self.change(change, now));
                Ok(Detail::Changed { results: results.collect(), durable: true })
            }
            Command::Order(order) => Ok(Detail::Ordered(Box::new(self.order(*order, now)?))),
            Command::Orders(orders) => {
                let results = orders.into_iter().map(|order| self.order(order, now));
                Ok(Detail::OrderedAll(results.collect()))
            }
            Command::Operate(operation) => self.operate(*operation, now),
            Command::Consumer(order) => Ok(self.order_consumer(&order)?),
            Command::ResetQuotas { quota, key } => self.reset_quotas(&quota, key.as_ref()),
            Command::Look(look) => Ok(self.look(look, now)?),
            Command::Restore(kept) => {
                self.restore(kept, now);
                Ok(Detail::Done)
            }
            Command::Probed(results) => {
                self.probed(results, now);
                Ok(Detail::Done)
            }
            Command::Discovered { service, source, instances } => {
                self.discovered(&service, &source, instances, now)?;
                Ok(Detail::Done)
            }
            Command::HandOver => {
                self.handed_over = true;
                self.quotas.fill_up();
                self.quotas.close(true);
                Ok(Detail::HandedOver(Box::new(self.checkpoint(now))))
            }
            Command::TakeBack => {
                self.handed_over = false;
                self.quotas.close(false);
                // Renewals were refused meanwhile.
                self.directory.renew_all(now);
                Ok(Detail::Done)
            }
            Command::Finish => {
                self.quotas.take_back();
                Ok(Detail::Done)
            }
            Command::Leave => {
                self.left = self.handed_over;
                Ok(Detail::Done)
            }
            Command::TakeOver => {
                self.write_withheld();
                self.quotas.close(false);
                // Until now they went to the process before.
                self.directory.renew_all(now);
                Ok(Detail::Done)
            }
        }
    }

    fn configure(&mut self, configure: Configure, now: Duration) -> Result<Detail, Refused> {
        let Configure { plan, sockets, drain, tokens } = configure;
        let effects = self.compiler.configure(plan).map_err(Refused::Plan)?;
        self.compiler.assign(&sockets, drain);
        self.admit_instances(tokens);
        self.configure_health(effects, now);
        self.quotas.configure(&self.compiler.plan().quotas);
        self.changed = true;
        Ok(Detail::Configured(self.listeners()))
    }

    /// The ids of the listeners that there are, by name.
    pub fn listeners(&self) -> Vec<(String, ListenerId)> {
        let names = self.compiler.plan().listeners.iter().map(|plan| &plan.name);
        names.filter_map(|name| Some((name.clone(), self.compiler.listener_id(name)?))).collect()
    }

    /// Words of the host that said something else than they should: somebody else writes them.
    pub fn contradictions(&self) -> u64 {
        self.contradictions
    }

    /// The next snapshot, if anything has changed since the last.
    pub fn snapshot(&mut self) -> Option<Snapshot> {
        std::mem::take(&mut self.changed).then(|| {
            self.generation += 1;
            self.compiler.snapshot(self.generation)
        })
    }

    /// The revision of the latest change of a registered instance.
    pub fn revision(&self) -> u64 {
        self.directory.revision()
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
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
