//! From plans and changes to snapshots: pure, total, all faults at once.
//!
//! A [`Compiler`] holds what is: ids by name, instances by address, the tree of the latest version. A plan is taken whole or
//! not at all; what it does not change keeps its place in the tree, so that workers see that nothing happened to it. What
//! follows for the words that the host shares comes back as [`Effects`]: the compiler itself writes nothing but its own.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::{InstanceSlot, ListenerId, RouteId, ServiceId, SocketId};
use crate::base::limits;
use crate::snapshot::Snapshot;
use crate::snapshot::consumers::ConsumerChanges;
use crate::snapshot::doors::Doors;
use crate::snapshot::instances::{Instance, Instances};
use crate::snapshot::listeners::Listener;
use crate::snapshot::names::Names;
use crate::snapshot::plan::{Address, ListenerPlan, Plan, RoutePlan, ServicePlan};
use crate::snapshot::router::Router;
use crate::snapshot::routes::Route;
use crate::snapshot::services::{Service, ServiceTerms};
use crate::snapshot::slots::InstanceSlots;
use crate::snapshot::tree::Tree;

mod check;
mod discovered;
mod effects;
mod errors;
mod policies;

pub use discovered::Found;
pub use effects::{Effects, Given, Gone, Member};
pub use errors::{ChangeError, CompileError};

use discovered::Discovered;
use policies::Policies;

/// What is, and the latest version of the tree.
#[derive(Debug)]
pub struct Compiler {
    route_names: Names,
    service_names: Names,
    listener_names: Names,
    plan: Plan,
    members: HashMap<ServiceId, HashMap<Address, Member>>,
    discovered: Discovered,
    policies: Policies,
    slots: InstanceSlots,
    /// Slots taken back since the last snapshot.
    retiring: Vec<InstanceSlot>,
    current: Snapshot,
}

/// Compiles `plan` into the snapshot of this generation, as if there had been none before.
pub fn compile(plan: &Plan, generation: u64) -> Result<Snapshot, Vec<CompileError>> {
    let mut compiler = Compiler::new(limits::INSTANCE_SLOTS);
    compiler.configure(plan.clone())?;
    Ok(compiler.snapshot(generation))
}

impl Compiler {
    /// Nothing is there yet; `slots` instances may be.
    pub fn new(slots: usize) -> Self {
        Self {
            route_names: Names::default(),
            service_names: Names::default(),
            listener_names: Names::default(),
            plan: Plan::default(),
            members: HashMap::new(),
            discovered: Discovered::default(),
            policies: Policies::default(),
            slots: InstanceSlots::new(slots),
            retiring: Vec::new(),
            current: Snapshot {
                generation: 0,
                router: Arc::default(),
                routes: Tree::default(),
                services: Tree::default(),
                listeners: Tree::default(),
                doors: Arc::default(),
                consumers: Arc::default(),
            },
        }
    }

    /// The latest version, under this generation.
    pub fn snapshot(&mut self, generation: u64) -> Snapshot {
        for slot in self.retiring.drain(..) {
            self.slots.retire(slot, generation);
        }
        if let Some(consumers) = self.policies.consumers(&self.plan) {
            self.current.consumers = consumers;
        }
        self.current.generation = generation;
        self.current.clone()
    }

    /// The plan that was taken last.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The slots.
    pub fn slots(&mut self) -> &mut InstanceSlots {
        &mut self.slots
    }

    /// How many instances there are.
    pub fn instances(&self) -> usize {
        self.slots.given() - self.retiring.len()
    }

    /// How many slots are held back until nobody can mean their last instance.
    pub fn retired_slots(&self) -> usize {
        self.slots.retired() + self.retiring.len()
    }

    /// The id of a listener that is there, or was.
    pub fn listener_id(&self, name: &str) -> Option<ListenerId> {
        self.listener_names.known(name).map(ListenerId)
    }

    /// The id of a service that is there, or was.
    pub fn service_named(&self, name: &str) -> Option<ServiceId> {
        self.service_names.known(name).map(ServiceId)
    }

    /// Whether a service is there.
    pub fn is_service(&self, id: ServiceId) -> bool {
        self.current.services.get(id.index()).is_some()
    }

    /// An instance of a service, whether the service is there now or not yet.
    pub fn member_of(&self, service: ServiceId, address: &Address) -> Option<Member> {
        self.members.get(&service)?.get(address).copied()
    }

    /// An instance.
    pub fn member(&self, service: &str, address: &Address) -> Result<Member, ChangeError> {
        let id = self.service_id(service)?;
        self.member_of(id, address).ok_or_else(|| ChangeError::NoSuchInstance {
            service: service.to_owned(),
            address: address.clone(),
        })
    }

    /// All instances, with the names of their services.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Address, Member)> {
        self.current.services().flat_map(|service| {
            let members = self.members.get(&service.id).into_iter().flatten();
            members.map(|(address, member)| (&*service.name, address, *member))
        })
    }

    /// Goes on where another process stood, before any plan is taken: the names of its ids, in their order, what it had given of the
    /// tables that both share, and the last use of every slot there. What contradicts itself is left out; how many instances
    /// that were.
    pub fn inherit(
        &mut self,
        names: [Vec<String>; 3],
        members: impl Iterator<Item = (String, Address, Member)>,
        generations: Vec<u16>,
    ) -> usize {
        let tables = [&mut self.route_names, &mut self.service_names, &mut self.listener_names];
        for ((table, names), most) in tables.into_iter().zip(names).zip([
            limits::NAMES,
            limits::NAMES,
            limits::LISTENER_NAMES,
        ]) {
            for name in names.iter().take(most) {
                table.id(name);
            }
        }
        let (mut given, mut left_out) = (HashSet::new(), 0);
        for (service, address, member) in members {
            let id = self.service_names.known(&service).map(ServiceId);
            let is_so = generations.get(member.slot.index()) == Some(&member.generation);
            match id.filter(|_| is_so && member.generation > 0 && given.insert(member.slot)) {
                Some(id) => drop(self.members.entry(id).or_default().insert(address, member)),
                None => left_out += 1,
            }
        }
        self.slots.inherit(generations, &given);
        left_out
    }

    /// The names of routes, services and listeners, in the order of their ids.
    pub fn names(&self) -> [Vec<&str>; 3] {
        [&self.route_names, &self.service_names, &self.listener_names].map(Names::in_order)
    }

    /// Takes a plan, whole or not at all.
    ///
    /// Instances that were registered stay where their service stays.
    pub fn configure(&mut self, plan: Plan) -> Result<Effects, Vec<CompileError>> {
        let names: Vec<_> = plan.routes.iter().map(RoutePlan::name).collect();
        self.check(&plan, &names)?;
        let mut effects = Effects::default();
        let mut gone: BTreeSet<_> = self.members.keys().copied().collect();
        for service in &plan.services {
            gone.remove(&self.configure_service(service, &mut effects));
        }
        for id in gone {
            let members = self.members.remove(&id).unwrap_or_default();
            self.discovered.forget(id);
            self.take_back(id, members.values(), &mut effects);
            self.current.services.set(id.index(), None);
        }
        self.configure_listeners(&plan.listeners);
        let changed = self.policies.configure(&self.plan, &plan);
        if changed || plan.routes != self.plan.routes {
            self.configure_routes(&plan.routes, &names);
        }
        self.plan = plan;
        Ok(effects)
    }

    /// What was changed about consumers while the process runs: the next snapshot knows it.
    pub fn change_consumers(&mut self) -> &mut ConsumerChanges {
        self.policies.change_consumers()
    }

    /// The same, to look at.
    pub fn consumer_changes(&self) -> &ConsumerChanges {
        self.policies.consumer_changes()
    }

    /// Gives groups of consumers ids, each of which stands once; `false`: there are not enough left, and none was given.
    pub fn know_groups(&mut self, groups: &[String]) -> bool {
        self.policies.know_groups(groups)
    }

    /// Says which socket belongs to the listener of which name, of the plan that was taken last, and how long connections may go
    /// on whose listener is gone.
    pub fn assign(&mut self, sockets: &[(SocketId, String)], drain: Duration) {
        let listener = |name: &str| self.listener_id(name);
        let sockets = sockets.iter().filter_map(|(socket, name)| Some((*socket, listener(name)?)));
        self.current.doors = Arc::new(Doors::new(sockets.collect(), drain));
    }

    fn configure_service(&mut self, plan: &ServicePlan, effects: &mut Effects) -> ServiceId {
        let id = ServiceId(self.service_names.id(&plan.name));
        let members = self.members.entry(id).or_default();
        let lost = self.discovered.configure(id, &plan.sources);
        members.values_mut().for_each(|member| member.of_file = false);
        for address in lost {
            if let Some(member) = members.get_mut(&address) {
                member.discovered = self.discovered.holds(id, &address);
            }
        }
        let mut fresh = Vec::new();
        for address in &plan.instances {
            if let Some(member) = members.get_mut(address) {
                member.of_file = true;
            } else if let Some((slot, generation)) = self.slots.give() {
                let given = address.clone();
                effects.given.push(Given { slot, generation, service: id, address: given });
                let member = Member { of_file: true, ..Member::fresh(slot, generation) };
                members.insert(address.clone(), member);
                fresh.push(Instance { slot, generation, address: address.clone() });
            }
        }
        let gone: HashMap<_, _> = members.extract_if(|_, member| !member.is_held()).collect();
        self.take_back(id, gone.values(), effects);
        let terms = ServiceTerms::new(plan);
        let bulkhead = self.policies.bulkhead(plan);
        let before = self.current.services.get(id.index());
        let instances = match before {
            Some(before) if fresh.is_empty() && gone.is_empty() => {
                if before.terms == terms && before.bulkhead == bulkhead {
                    return id;
                }
                before.instances.clone()
            }
            Some(before) => before.instances.changed(|one| gone.contains_key(&one.address), fresh),
            // Its members may be older than it: another process knew them.
            None => Instances::default().changed(|_| false, self.instances_of(id, plan)),
        };
        let name = before.map_or_else(|| plan.name.as_str().into(), |one| Arc::clone(&one.name));
        let service = Service { id, name, terms, bulkhead, instances };
        self.current.services.set(id.index(), Some(Arc::new(service)));
        id
    }

    /// All instances of a service, in the order of its plan, those that were registered last.
    fn instances_of(&self, id: ServiceId, plan: &ServicePlan) -> Vec<Instance> {
        let mut left: BTreeMap<_, _> = self.members.get(&id).into_iter().flatten().collect();
        let known = |address, member: &Member| Instance {
            slot: member.slot,
            generation: member.generation,
            address: Address::clone(address),
        };
        let named = plan.instances.iter();
        let mut all: Vec<_> =
            named.filter_map(|address| Some(known(address, left.remove(address)?))).collect();
        all.extend(left.into_iter().map(|(address, member)| known(address, member)));
        all
    }

    fn take_back<'m>(
        &mut self,
        service: ServiceId,
        gone: impl Iterator<Item = &'m Member>,
        effects: &mut Effects,
    ) {
        for member in gone {
            let Member { slot, generation, .. } = *member;
            effects.gone.push(Gone { slot, generation, service });
            self.retiring.push(slot);
        }
    }

    fn configure_listeners(&mut self, plans: &[ListenerPlan]) {
        let before: BTreeMap<_, _> =
            self.plan.listeners.iter().map(|plan| (plan.name.as_str(), plan)).collect();
        let mut gone: BTreeSet<_> = before.keys().copied().collect();
        for plan in plans {
            gone.remove(plan.name.as_str());
            if before.get(plan.name.as_str()) != Some(&plan) {
                let id = self.listener_names.id(&plan.name);
                let tcp = plan.tcp.as_ref().map(|name| ServiceId(self.service_names.id(name)));
                let listener = Arc::new(Listener::new(plan, tcp));
                self.current.listeners.set(usize::from(id), Some(listener));
            }
        }
        for name in gone {
            self.current.listeners.set(usize::from(self.listener_names.id(name)), None);
        }
    }

    fn configure_routes(&mut self, plans: &[RoutePlan], names: &[String]) {
        let mut gone: BTreeSet<_> = self.current.routes.iter().map(|(_, route)| route.id).collect();
        for (plan, name) in plans.iter().zip(names) {
            let id = RouteId(self.route_names.id(name));
            gone.remove(&id);
            let guard = self.policies.guard(plan);
            let before = self.current.routes.get(id.index());
            if before.is_some_and(|before| before.plan == *plan && before.guard == guard) {
                continue;
            }
            let service = |name: &str| ServiceId(self.service_names.id(name));
            let route = Route::new((id, name), plan, service, guard);
            self.current.routes.set(id.index(), Some(Arc::new(route)));
        }
        gone.into_iter().for_each(|id| self.current.routes.set(id.index(), None));
        let routes = self.current.routes.iter().map(|(_, route)| &**route);
        self.current.router = Arc::new(Router::new(routes));
    }

    /// Registers an instance; one that is there already is the same instance.
    pub fn register(&mut self, service: &str, address: Address) -> Result<Effects, ChangeError> {
        let id = self.service_id(service)?;
        if matches!(&address, Address::Tcp(address) if address.port() == 0) {
            return Err(ChangeError::NoPort(address));
        }
        let members = self.members.entry(id).or_default();
        if let Some(member) = members.get_mut(&address) {
            member.registered = true;
            return Ok(Effects::default());
        }
        let (slot, generation) = self.slots.give().ok_or(ChangeError::NoSlots)?;
        let member = Member { registered: true, ..Member::fresh(slot, generation) };
        members.insert(address.clone(), member);
        let given = Given { slot, generation, service: id, address: address.clone() };
        self.change(id, |_| false, vec![Instance { slot, generation, address }]);
        Ok(Effects { given: vec![given], gone: Vec::new() })
    }

    /// Takes an instance that was registered away.
    pub fn deregister(&mut self, service: &str, address: &Address) -> Result<Effects, ChangeError> {
        let member = self.member(service, address)?;
        let id = self.service_id(service)?;
        let members = self.members.entry(id).or_default();
        if member.of_file || member.discovered {
            if let Some(member) = members.get_mut(address).filter(|member| member.registered) {
                member.registered = false;
                return Ok(Effects::default());
            }
            let (service, address) = (service.to_owned(), address.clone());
            return Err(match member.of_file {
                true => ChangeError::OfTheFile { service, address },
                false => ChangeError::OfASource { service, address },
            });
        }
        members.remove(address);
        let mut effects = Effects::default();
        self.take_back(id, [member].iter(), &mut effects);
        self.change(id, |one| one.slot == member.slot, Vec::new());
        Ok(effects)
    }

    fn change(&mut self, id: ServiceId, gone: impl Fn(&Instance) -> bool, fresh: Vec<Instance>) {
        if let Some(before) = self.current.services.get(id.index()) {
            let instances = before.instances.changed(gone, fresh);
            let service = Service { instances, ..Service::clone(before) };
            self.current.services.set(id.index(), Some(Arc::new(service)));
        }
    }

    fn service_id(&self, name: &str) -> Result<ServiceId, ChangeError> {
        let known = self.service_names.known(name).map(ServiceId);
        known
            .filter(|id| self.current.services.get(id.index()).is_some())
            .ok_or_else(|| ChangeError::NoSuchService(name.to_owned()))
    }
}

#[cfg(test)]
mod tests;
