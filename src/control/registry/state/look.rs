//! What those who look are shown: records of the directory and plain instances, in one order, each with its health.

use std::time::Duration;

use coregate_core::base::cells::Mark;
use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;

use super::State;
use crate::registry::directory::Status;
use crate::registry::directory::view::{InstanceView, InstancesView, Kind};
use crate::registry::health::Words;
use crate::registry::log::Detail;
use crate::registry::order::{Look, OrderError, Page, Seen};

impl State {
    /// Looks at services and their instances.
    pub(super) fn look(&self, look: Look, now: Duration) -> Result<Detail, OrderError> {
        let seen = match look {
            Look::Services(page) => {
                Seen::Services(self.directory.services(page.after.as_deref(), page.most))
            }
            Look::Instances { service, page } => {
                let seen = self.instances_of(&service, &page, now);
                Seen::Instances(seen.ok_or(OrderError::NoSuchService(service))?)
            }
            Look::Instance { service, id } => {
                let seen = self.instance(&service, &id, now);
                let seen = seen.ok_or(OrderError::NoSuchInstance { service, id })?;
                Seen::Instance(Box::new(seen))
            }
            Look::Consumers { name, page, at } => {
                Seen::Consumers(self.look_at_consumers(name.as_deref(), &page, at)?)
            }
            Look::Quotas { of, at } => Seen::Quotas(self.look_at_quotas(&of, at)),
        };
        Ok(Detail::Seen(Box::new(seen)))
    }

    /// An instance as it stands at `now`, by its id: one that has not registered has its address as its id.
    pub fn instance(&self, service: &str, id: &str, now: Duration) -> Option<InstanceView> {
        let registered = self.directory.instance(service, id, now);
        registered.map(|view| self.with_health(view, now)).or_else(|| {
            let address = id.parse().ok()?;
            self.plain(service, &address, now)
        })
    }

    fn with_health(&self, view: InstanceView, now: Duration) -> InstanceView {
        let serves = matches!(view.status, Status::Up | Status::Draining);
        let address = view.address.parse::<Address>().ok().filter(|_| serves);
        let member = address.and_then(|address| self.compiler.member(&view.service, &address).ok());
        let words = Words::new(&self.cells, false);
        let health =
            member.and_then(|one| self.health.view((one.slot, one.generation), now, &words));
        view.with_health(health)
    }

    /// An instance that has not registered.
    fn plain(&self, service: &str, address: &Address, now: Duration) -> Option<InstanceView> {
        if self.directory.id_at(service, address).is_some() {
            return None;
        }
        let member = self.compiler.member(service, address).ok()?;
        let which = (member.slot, member.generation);
        let kind = if member.of_file { Kind::File } else { Kind::Discovered };
        let drains = self.cells.verdict(member.slot).load().has(Mark::Draining);
        let status = if drains { Status::Draining } else { Status::Up };
        let weight = self.health.weight_of(which).unwrap_or(1);
        let view = InstanceView::plain(service, address, kind, (status, weight));
        Some(view.with_health(self.health.view(which, now, &Words::new(&self.cells, false))))
    }

    /// A page of a service's instances, in the order of their ids.
    pub(super) fn instances_of(
        &self,
        service: &str,
        page: &Page,
        now: Duration,
    ) -> Option<InstancesView> {
        let (after, most) = (page.after.as_deref(), page.most.min(limits::REGISTRY_PAGE));
        let mut view = self.directory.instances(service, after, most, now)?;
        let id = self.compiler.service_named(service)?;
        let has_next = view.next.is_some();
        let mut plain = self.health.plain(id, after);
        let own =
            plain.by_ref().take(most).filter_map(|(_, address)| self.plain(service, address, now));
        let own: Vec<_> = own.collect();
        let more = has_next || plain.next().is_some() || own.len() + view.instances.len() > most;
        let registered = std::mem::take(&mut view.instances);
        let registered = registered.into_iter().map(|view| self.with_health(view, now));
        view.instances = registered.chain(own).collect();
        // An operator's plain registration of an address of the file is the record: it comes first, and stands for both.
        view.instances.sort_by(|one, other| one.id.cmp(&other.id));
        view.instances.dedup_by(|later, first| later.id == first.id);
        view.instances.truncate(most);
        let last = view.instances.last().map(|instance| instance.id.clone());
        view.next = last.filter(|_| more);
        view.count += self.health.plain_count(id);
        Some(view)
    }
}
