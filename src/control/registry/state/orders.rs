//! Registered instances: the directory says who they are, the compiler makes them instances of their services.
//!
//! After each change of the directory the addresses that it touched are [brought in line](State::align): an address that
//! registered is the compiler's if and only if its record serves.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use coregate_core::snapshot::compile::ChangeError;
use coregate_core::snapshot::plan::{Address, Admission};

use super::State;
use crate::registry::directory::admission::{Admits, Caller, TokenCheck, admit};
use crate::registry::directory::{Kept, Registered, Registration};
use crate::registry::health::{Described, Standing};
use crate::registry::log::Change;
use crate::registry::order::{Order, OrderError, Ordered, What};

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
        self.may(&service, &by, &what)?;
        self.expect(&service, &id, &expected)?;
        let is_new = match what {
            What::Register(registration) => {
                let registered = self.register(&service, *registration, now)?;
                self.events.registered += u64::from(registered.is_new);
                registered.is_new
            }
            What::Renew => {
                self.registered_at(&service, &id)?;
                let is_there = self.directory.renew(&service, &id, now);
                self.events.renewed += u64::from(is_there);
                false
            }
            What::Status(wish) => {
                let address = self.registered_at(&service, &id)?;
                if self.directory.set_status(&service, &id, wish, now) {
                    self.align(&service, &address, now)?;
                }
                false
            }
            What::Weight(weight) => {
                let address = self.registered_at(&service, &id)?;
                self.directory.set_weight(&service, &id, weight)?;
                self.describe(&service, &address, now);
                false
            }
            What::Drain { deadline } => {
                let address = self.place_of(&service, &id)?;
                self.directory.drain(&service, &address, true, now);
                self.drain(service.clone(), address, Some(now.saturating_add(deadline)))?;
                false
            }
            What::Enable => {
                let address = self.place_of(&service, &id)?;
                self.directory.drain(&service, &address, false, now);
                self.enable(&service, &address)?;
                false
            }
            What::Deregister => return self.leave(&service, &id, now),
        };
        let instance = self.instance(&service, &id, now);
        let instance = instance.ok_or(OrderError::NoSuchInstance { service, id })?;
        Ok(Ordered { is_new, durable: false, instance })
    }

    /// Who may do everything may do what concerns instances of the file too: their services need not take registrations. Nor need
    /// one that takes no more of them keep those that it has.
    fn may(&self, service: &str, by: &Caller, what: &What) -> Result<(), OrderError> {
        let admits = self.directory.admits(service);
        let is_operator = matches!(by, Caller::Socket | Caller::Operator | Caller::Holder);
        let always = !matches!(what, What::Register(_) | What::Renew);
        if is_operator && always && admits.is_some() {
            return Ok(());
        }
        Ok(admit(admits, service, by)?)
    }

    /// Where an instance is that has registered under this id: of one of the file there is nothing to be said here.
    fn registered_at(&self, service: &str, id: &str) -> Result<Address, OrderError> {
        let known = self.directory.address_of(service, id).cloned();
        let (service, id) = (service.to_owned(), id.to_owned());
        known.ok_or(OrderError::NoSuchInstance { service, id })
    }

    /// Where an instance is, by its id: one that has not registered has its address as its id.
    fn place_of(&self, service: &str, id: &str) -> Result<Address, OrderError> {
        if let Some(address) = self.directory.address_of(service, id) {
            if self.compiler.member(service, address).is_err() {
                let (service, id) = (service.to_owned(), id.to_owned());
                return Err(OrderError::Withheld { service, id });
            }
            return Ok(address.clone());
        }
        let Ok(address) = id.parse() else {
            let (service, id) = (service.to_owned(), id.to_owned());
            return Err(OrderError::NoSuchInstance { service, id });
        };
        self.compiler.member(service, &address)?;
        Ok(address)
    }

    fn leave(&mut self, service: &str, id: &str, now: Duration) -> Result<Ordered, OrderError> {
        let instance = self.instance(service, id, now);
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
            self.join(service, address.clone(), Some(Described::from(&what)), now)?;
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
    pub(super) fn align(
        &mut self,
        service: &str,
        address: &Address,
        now: Duration,
    ) -> Result<(), ChangeError> {
        let is_member =
            self.compiler.member(service, address).is_ok_and(|member| member.registered);
        match (self.directory.serves(service, address), is_member) {
            (true, false) => self.join(service, address.clone(), None, now)?,
            (false, true) => {
                let effects = self.compiler.deregister(service, address)?;
                self.follow_membership(effects, (self.begins, None), now);
            }
            (true, true) | (false, false) => {}
        }
        // Whoever has the address now: it was the address that an operator drained.
        let member = self.compiler.member(service, address).ok();
        let drains = member.is_some_and(|one| self.drains.contains(&one));
        self.directory.drain(service, address, drains, now);
        self.describe(service, address, now);
        Ok(())
    }

    /// `said`: what is said of it, if its record does not say so yet.
    fn join(
        &mut self,
        service: &str,
        address: Address,
        said: Option<Described>,
        now: Duration,
    ) -> Result<(), ChangeError> {
        let effects = self.compiler.register(service, address)?;
        self.follow_membership(effects, (self.begins, said), now);
        Ok(())
    }

    /// What another process knew is so again, as far as its services are there: each lease with a full term from `now` on, and each
    /// instance trusted until its first probe.
    pub fn restore(&mut self, kept: Vec<Kept>, now: Duration) {
        self.begins = Standing::Trusted;
        for one in kept {
            let draining = one.draining;
            let Some((service, registration)) = one.registration() else { continue };
            let address = registration.address().clone();
            // What finds no room now registers again when its renewal is answered so.
            let is_there = self.directory.admits(&service).is_some()
                && self.register(&service, registration, now).is_ok();
            if is_there && draining {
                // What was in flight on it ended with that process.
                self.directory.drain(&service, &address, true, now);
                let _ = self.drain(service, address, None);
            }
        }
        self.begins = Standing::New;
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
