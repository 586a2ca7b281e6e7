//! From one process to the next: what is handed over, and how it goes on there.

use std::time::Duration;

use coregate_core::base::ids::InstanceSlot;
use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;

use super::State;
use super::drains::Drain;
use crate::registry::checkpoint::{Brought, Checkpoint, Draining, Known};
use crate::registry::directory::Kept;

impl State {
    /// Goes on where another process stood, whose table of cells this one has. Until [`Command::TakeOver`] it is that one's to
    /// write: it goes on with its instances if nothing comes of this process. Until
    /// [`predecessor_gone`](Self::predecessor_gone) no slot is given again.
    pub fn inherit(&mut self, checkpoint: Checkpoint, now: Duration) {
        // Whose late lease is renewed there while this process begins raises its revisions still.
        self.directory.resume(checkpoint.revision.saturating_add(limits::REVISION_LEAP));
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
            health,
            discovered,
            consumers,
            quotas,
            ..
        } = checkpoint;
        if let Some(quotas) = quotas {
            self.quotas.inherit(quotas);
            self.knows_quotas = true;
        }
        self.quotas.close(true);
        if let Some(consumers) = consumers {
            self.restore_consumers(consumers);
            self.knows_consumers = true;
        }
        let health = health.into_iter();
        self.inherited =
            health.map(|kept| ((InstanceSlot(kept.slot), kept.generation), kept)).collect();
        self.inherits = true;
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

    pub(super) fn checkpoint(&self, now: Duration) -> Checkpoint {
        let [routes, services, listeners] =
            self.compiler.names().map(|names| names.into_iter().map(str::to_owned).collect());
        let members = self.compiler.members();
        let instances =
            members.map(|(service, address, member)| Known::new(service, address, member));
        let drains = self.drains.all().map(|drain| Draining {
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
            health: self.health.kept(now),
            discovered: self.compiler.discovered().map(Brought::new).collect(),
            consumers: Some(self.kept_consumers()),
            quotas: Some(self.quotas.kept()),
        }
    }
}
