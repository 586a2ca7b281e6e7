//! Instances and services that are gone, and whose idle connections are there still.
//!
//! A reload may replace fifty instances with twenty idle connections each. To close a thousand takes 10 ms, and no request is to
//! wait for that: who finds that they are gone lays them aside, and the sweep closes them in parts. What is in flight goes on,
//! but its connection is not kept afterwards, however long it lasts and whatever it holds.

use std::cell::RefCell;
use std::rc::Rc;

use coregate_core::base::limits;

use crate::upstream::pool::Pool;
use crate::worker::services::{LocalInstance, LocalService};
use crate::worker::sweep::{Untidy, closes_for};

/// What is gone.
#[derive(Debug)]
pub struct Graveyard {
    instances: RefCell<Vec<Rc<LocalInstance>>>,
    /// Whole services, and from which place on their instances are to be laid beside the others.
    services: RefCell<Vec<(Rc<LocalService>, usize)>>,
    untidy: Rc<Untidy>,
}

impl Graveyard {
    /// Nothing is gone yet. `untidy`: where it is said that the sweep must come.
    pub fn new(untidy: &Rc<Untidy>) -> Self {
        let untidy = Rc::clone(untidy);
        Self { instances: RefCell::default(), services: RefCell::default(), untidy }
    }

    /// An instance is gone: it keeps no more connections.
    pub fn take_in(&self, instance: Rc<LocalInstance>) {
        instance.pool.retire();
        if !instance.pool.is_empty() {
            self.instances.borrow_mut().push(instance);
            self.untidy.say();
        }
    }

    /// A service is gone, with all of its instances.
    pub fn take_in_service(&self, service: Rc<LocalService>) {
        self.services.borrow_mut().push((service, 0));
        self.untidy.say();
    }

    /// Closes connections until `cost` is what a part of a sweep may cost; whether there are more.
    pub fn tidy(&self, cost: &mut usize) -> bool {
        loop {
            *cost += self.close_part(*cost);
            if self.is_empty() {
                return false;
            }
            if *cost >= limits::SWEEP_AT_ONCE {
                return true;
            }
            *cost += self.open_up(*cost);
        }
    }

    /// Whether all is tidied away.
    pub fn is_empty(&self) -> bool {
        self.instances.borrow().is_empty() && self.services.borrow().is_empty()
    }

    /// Closes connections of the instances, from the last on; what that cost.
    fn close_part(&self, before: usize) -> usize {
        let mut instances = self.instances.borrow_mut();
        let mut cost = 0;
        while let Some(instance) = instances.last()
            && before + cost < limits::SWEEP_AT_ONCE
        {
            let closed = instance.pool.close(closes_for(before + cost));
            cost += 1 + closed * limits::SWEEP_CLOSE_COST;
            if instance.pool.is_empty() {
                instances.pop();
            }
        }
        cost
    }

    /// Lays instances of a service beside the others; what that cost.
    fn open_up(&self, before: usize) -> usize {
        let mut services = self.services.borrow_mut();
        let Some((service, place)) = services.last_mut() else { return 0 };
        let most = (limits::SWEEP_AT_ONCE.saturating_sub(before) / limits::SWEEP_MEND_COST).max(1);
        let places = most.min(service.service.instances.len() - *place);
        match service.forget(*place, most, |instance| self.take_in(instance)) {
            Some(next) => *place = next,
            None => drop(services.pop()),
        }
        1 + places * limits::SWEEP_MEND_COST
    }

    /// The pools of all that was not tidied away yet.
    pub fn for_each_pool(&self, mut visit: impl FnMut(&Pool)) {
        self.instances.borrow().iter().for_each(|instance| visit(&instance.pool));
        for (service, _) in &*self.services.borrow() {
            service.for_each_instance(|instance| visit(&instance.pool));
        }
    }
}
