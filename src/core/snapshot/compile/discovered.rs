//! Instances that sources bring: what each source of each service said last.
//!
//! A source is known while its service's plan names it; what it said goes with it. An address that several sources of a service
//! bring is there while one of them does.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::base::ids::ServiceId;
use crate::base::limits;
use crate::snapshot::compile::{ChangeError, Compiler, Effects, Given, Member};
use crate::snapshot::instances::Instance;
use crate::snapshot::plan::{Address, Source};

/// Addresses, and their weights.
type Weights = BTreeMap<Address, u32>;

/// What a source said last.
#[derive(Debug, Clone, Copy)]
pub struct Found<'c> {
    /// Whose instances they are.
    pub service: &'c str,
    /// Who says so.
    pub source: &'c Source,
    /// The instances, and their weights.
    pub instances: &'c BTreeMap<Address, u32>,
}

/// What all of them said.
#[derive(Debug, Default)]
pub(super) struct Discovered(HashMap<ServiceId, BTreeMap<Source, Weights>>);

impl Discovered {
    /// A service looks at these sources from now on. Gives the addresses that others brought.
    pub(super) fn configure(&mut self, id: ServiceId, sources: &[Source]) -> Vec<Address> {
        if sources.is_empty() {
            let before = self.0.remove(&id).unwrap_or_default();
            return before.into_values().flat_map(Weights::into_keys).collect();
        }
        let own = self.0.entry(id).or_default();
        let gone: Vec<_> = own.keys().filter(|source| !sources.contains(source)).cloned().collect();
        for source in sources {
            own.entry(source.clone()).or_default();
        }
        gone.iter().filter_map(|source| own.remove(source)).flat_map(Weights::into_keys).collect()
    }

    /// A service is there no more.
    pub(super) fn forget(&mut self, id: ServiceId) {
        self.0.remove(&id);
    }

    /// Whether some source of the service brings this address.
    pub(super) fn holds(&self, id: ServiceId, address: &Address) -> bool {
        let mut own = self.0.get(&id).into_iter().flat_map(BTreeMap::values);
        own.any(|weights| weights.contains_key(address))
    }
}

impl Compiler {
    /// All that a source of a service says: what it said before and does not say now goes, unless somebody else holds it.
    ///
    /// Addresses without a port are left out, and so is what is beyond [`limits::INSTANCES_PER_SOURCE`], in the order of addresses.
    /// Of an address that stands twice the first counts.
    ///
    /// # Errors
    /// The service has no such source, or there are not enough slots: nothing has changed then.
    pub fn discover(
        &mut self,
        service: &str,
        source: &Source,
        instances: Vec<(Address, u32)>,
    ) -> Result<Effects, ChangeError> {
        let id = self.service_id(service)?;
        let now = weights(instances);
        let own = self.discovered.0.get_mut(&id).and_then(|own| own.get_mut(source));
        let Some(own) = own else {
            let (service, place) = (service.to_owned(), source.clone());
            return Err(ChangeError::NoSuchSource { service, place });
        };
        let members = self.members.entry(id).or_default();
        let fresh: Vec<_> =
            now.keys().filter(|address| !members.contains_key(address)).cloned().collect();
        if fresh.len() > self.slots.available() {
            return Err(ChangeError::NoSlots);
        }
        let before = std::mem::replace(own, now.clone());
        let mut effects = Effects::default();
        let instances = fresh.into_iter().filter_map(|address| {
            let (slot, generation) = self.slots.give()?;
            members.insert(address.clone(), Member::fresh(slot, generation));
            effects.given.push(Given { slot, generation, service: id, address: address.clone() });
            Some(Instance { slot, generation, address })
        });
        let instances: Vec<_> = instances.collect();
        for address in before.keys().chain(now.keys()) {
            if let Some(member) = members.get_mut(address) {
                member.discovered = self.discovered.holds(id, address);
            }
        }
        let lost = before.keys().filter(|address| !now.contains_key(address));
        let let_go = |address: &Address| {
            let is_held = members.get(address).is_none_or(Member::is_held);
            if is_held { None } else { members.remove(address) }
        };
        let gone: Vec<_> = lost.filter_map(let_go).collect();
        if instances.is_empty() && gone.is_empty() {
            return Ok(effects);
        }
        self.take_back(id, gone.iter(), &mut effects);
        let gone: HashSet<_> = gone.iter().map(|member| member.slot).collect();
        self.change(id, |one| gone.contains(&one.slot), instances);
        Ok(effects)
    }

    /// The weight that a source gives an instance of a service: the greatest, if several bring it.
    pub fn discovered_weight(&self, service: ServiceId, address: &Address) -> Option<u32> {
        let own = self.discovered.0.get(&service)?.values();
        own.filter_map(|weights| weights.get(address)).max().copied()
    }

    /// What all sources said last that said anything.
    pub fn discovered(&self) -> impl Iterator<Item = Found<'_>> {
        let services = self.current.services().filter_map(|service| {
            let own = self.discovered.0.get(&service.id)?;
            Some(own.iter().map(|(source, instances)| {
                let service = &*service.name;
                Found { service, source, instances }
            }))
        });
        services.flatten().filter(|found| !found.instances.is_empty())
    }

    /// What a source had said to another process, whose instances were [inherited](Self::inherit) a moment ago: they stay until it
    /// says something else, or the first plan does not name it.
    pub fn inherit_discovered(
        &mut self,
        service: &str,
        source: Source,
        instances: Vec<(Address, u32)>,
    ) {
        let Some(id) = self.service_named(service) else { return };
        let Some(members) = self.members.get_mut(&id) else { return };
        let mut known = weights(instances);
        known.retain(|address, _| members.contains_key(address));
        for address in known.keys() {
            if let Some(member) = members.get_mut(address) {
                member.discovered = true;
            }
        }
        self.discovered.0.entry(id).or_default().insert(source, known);
    }
}

fn weights(instances: Vec<(Address, u32)>) -> Weights {
    let mut all = Weights::new();
    for (address, weight) in instances {
        if !matches!(&address, Address::Tcp(address) if address.port() == 0) {
            all.entry(address).or_insert(weight.clamp(1, limits::INSTANCE_WEIGHT));
        }
    }
    if let Some((beyond, _)) = all.iter().nth(limits::INSTANCES_PER_SOURCE) {
        let beyond = beyond.clone();
        all.split_off(&beyond);
    }
    all
}
