//! Registered instances: the directory says who they are, the compiler makes them instances of their services.
//!
//! After each change of the directory the addresses that it touched are [brought in line](State::align): an address that
//! registered is the compiler's if and only if its record serves.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::snapshot::compile::ChangeError;
use coregate_core::snapshot::plan::{Address, Admission};

use super::State;
use crate::registry::directory::admission::{Admits, TokenCheck, admit};
use crate::registry::directory::{Kept, Registered, Registration};
use crate::registry::log::{Change, Detail};
use crate::registry::order::{Look, Order, OrderError, Ordered, Seen, What};

impl State {
    /// The services are those of the plan, which was compiled.
    pub(super) fn admit_instances(&mut self, mut tokens: HashMap<String, TokenCheck>) {
        let mut admits = |name: &str, register| match register {
            Admission::Nobody => Admits::Nobody,
            Admission::Socket => Admits::Socket,
            Admission::Token => tokens.remove(name).map_or(Admits::Nobody, Admits::Token),
        };
        let services = self.compiler.plan().services.iter();
        let services =
            services.map(|plan| (Arc::from(plan.name.as_str()), admits(&plan.name, plan.register)));
        self.directory.configure(services);
    }

    /// Carries out an order at `now`.
    pub(super) fn order(&mut self, order: Order, now: Duration) -> Result<Ordered, OrderError> {
        let Order { service, id, by, expected, what } = order;
        admit(self.directory.admits(&service), &service, &by)?;
        self.expect(&service, &id, &expected)?;
        let is_new = match what {
            What::Register(registration) => {
                let registered = self.register(&service, *registration, now)?;
                self.events.registered += u64::from(registered.is_new);
                registered.is_new
            }
            What::Renew => {
                let is_there = self.directory.renew(&service, &id, now);
                self.events.renewed += u64::from(is_there);
                false
            }
            What::Status(wish) => {
                if self.directory.set_status(&service, &id, wish, now)
                    && let Some(address) = self.directory.address_of(&service, &id).cloned()
                {
                    self.align(&service, &address, now)?;
                }
                false
            }
            What::Weight(weight) => {
                self.directory.set_weight(&service, &id, weight)?;
                false
            }
            What::Deregister => return self.leave(&service, &id, now),
        };
        let instance = self.directory.instance(&service, &id, now);
        let instance = instance.ok_or(OrderError::NoSuchInstance { service, id })?;
        Ok(Ordered { is_new, durable: false, instance })
    }

    fn leave(&mut self, service: &str, id: &str, now: Duration) -> Result<Ordered, OrderError> {
        let instance = self.directory.instance(service, id, now);
        let address = self.directory.deregister(service, id);
        let Some((instance, address)) = instance.zip(address) else {
            let (service, id) = (service.to_owned(), id.to_owned());
            return Err(OrderError::NoSuchInstance { service, id });
        };
        self.events.deregistered += 1;
        self.align(service, &address, now)?;
        Ok(Ordered { is_new: false, durable: false, instance })
    }

    /// Registers an instance, if there is room for it; nothing has changed if there is not.
    fn register(
        &mut self,
        service: &str,
        what: Registration,
        now: Duration,
    ) -> Result<Registered, OrderError> {
        self.directory.has_room(service, &what)?;
        let address = what.address().clone();
        if self.directory.would_serve(service, &what) {
            self.join(service, address.clone())?;
        }
        let registered = self.directory.register(service, what, now);
        // Whoever had this address may have served there, and this one does not.
        self.align(service, &address, now)?;
        if let Some(left) = &registered.left {
            self.align(service, left, now)?;
        }
        Ok(registered)
    }

    /// Makes a change of membership that no lease is asked for; whether anything is different.
    pub(super) fn change(&mut self, change: Change, now: Duration) -> Result<bool, OrderError> {
        let (service, address) = match &change {
            Change::Register { service, address } | Change::Deregister { service, address } => {
                (service, address)
            }
        };
        let before = self.compiler.member(service, address).ok();
        match &change {
            Change::Register { .. } => {
                if self.directory.admits(service).is_none() {
                    return Err(ChangeError::NoSuchService(service.clone()).into());
                }
                let plain = Registration::plain(address.clone())?;
                self.register(service, plain, now)?;
            }
            Change::Deregister { .. } => match self.directory.id_at(service, address) {
                Some(id) => {
                    self.directory.deregister(service, &id);
                    self.align(service, address, now)?;
                }
                // It says what is wrong: only those in the directory are registered.
                None => drop(self.compiler.deregister(service, address)?),
            },
        }
        let after = self.compiler.member(service, address).ok();
        Ok(before.map(|member| member.slot) != after.map(|member| member.slot))
    }

    /// An address that registered is the compiler's if and only if its record serves; it drains if that does.
    fn align(
        &mut self,
        service: &str,
        address: &Address,
        now: Duration,
    ) -> Result<(), ChangeError> {
        let is_member =
            self.compiler.member(service, address).is_ok_and(|member| member.registered);
        match (self.directory.serves(service, address), is_member) {
            (true, false) => self.join(service, address.clone())?,
            (false, true) => {
                let effects = self.compiler.deregister(service, address)?;
                self.follow_membership(effects);
            }
            (true, true) | (false, false) => {}
        }
        // Whoever has the address now: it was the address that an operator drained.
        let member = self.compiler.member(service, address).ok();
        let drains =
            member.is_some_and(|one| self.drains.contains_key(&(one.slot, one.generation)));
        self.directory.drain(service, address, drains, now);
        Ok(())
    }

    fn join(&mut self, service: &str, address: Address) -> Result<(), ChangeError> {
        let effects = self.compiler.register(service, address)?;
        self.follow_membership(effects);
        Ok(())
    }

    /// Takes away the instances whose leases are over at `now`, some at a time.
    pub fn tick(&mut self, now: Duration) {
        // Their renewals are another process's to hear.
        if self.handed_over || self.withheld.is_some() {
            return;
        }
        for (service, address) in self.directory.expire(now, limits::LEASES_AT_ONCE) {
            self.events.expired += 1;
            // It was there a moment ago: there is nothing to be refused.
            let aligned = self.align(&service, &address, now);
            debug_assert!(aligned.is_ok(), "{aligned:?}");
        }
    }

    /// When a lease may end next.
    pub fn next_tick(&self) -> Option<Duration> {
        self.directory.next_expiry().filter(|_| !self.handed_over && self.withheld.is_none())
    }

    /// Looks at who has registered.
    pub(super) fn look(&self, look: Look, now: Duration) -> Result<Detail, OrderError> {
        let directory = &self.directory;
        let seen = match look {
            Look::Services(page) => {
                Seen::Services(directory.services(page.after.as_deref(), page.most))
            }
            Look::Instances { service, page } => {
                let seen = directory.instances(&service, page.after.as_deref(), page.most, now);
                Seen::Instances(seen.ok_or(OrderError::NoSuchService(service))?)
            }
            Look::Instance { service, id } => {
                let seen = directory.instance(&service, &id, now);
                Seen::Instance(seen.ok_or(OrderError::NoSuchInstance { service, id })?)
            }
        };
        Ok(Detail::Seen(Box::new(seen)))
    }

    /// What another process knew is so again, as far as its services are there: each lease with a full term from `now` on.
    pub fn restore(&mut self, kept: Vec<Kept>, now: Duration) {
        for (service, registration) in kept.into_iter().filter_map(Kept::registration) {
            if self.directory.admits(&service).is_some() {
                // What finds no room now registers again when its renewal is answered so.
                let _ = self.register(&service, registration, now);
            }
        }
    }
}

/// What happened to registered instances.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Events {
    /// Registrations of instances that were not there.
    pub registered: u64,
    /// Renewals of leases.
    pub renewed: u64,
    /// Instances that went by themselves.
    pub deregistered: u64,
    /// Instances whose leases ended.
    pub expired: u64,
}

#[cfg(test)]
mod tests;
