//! What the directory shows to those who ask: as it goes over the wire. Times are told as what has passed or is left, since the
//! registry knows no calendar.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;
use serde::{Deserialize, Serialize};

use super::admission::Admits;
use super::check::KeptCheck;
use super::late::Late;
use super::record::{Lease, Record, Status, Transition};
use super::{Directory, Roster};
use crate::io::admin::openapi::ToSchema;
use crate::registry::health::{HealthView, belief};

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceView {
    /// Its service.
    pub service: String,
    /// Its id.
    pub id: String,
    /// How it came to be one.
    #[serde(default)]
    pub kind: Kind,
    /// Where it is.
    pub address: String,
    /// How it stands.
    pub status: Status,
    /// Its weight.
    pub weight: u32,
    /// Where it stands.
    pub zone: Option<String>,
    /// What it runs.
    pub version: Option<String>,
    /// What else it is called.
    pub tags: Vec<String>,
    /// What else is known of it.
    pub metadata: BTreeMap<String, String>,
    /// How it is probed, if it brought that itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<KeptCheck>,
    /// Its lease; none: it stays until it is taken away.
    pub lease: Option<LeaseView>,
    /// Its health; none: it is none of its service's instances as it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthView>,
    /// What is believed of it, and why: [`belief`](crate::registry::health::belief).
    #[serde(default)]
    pub belief: String,
    /// The revision of its latest change.
    pub revision: u64,
    /// The latest changes of its status, the latest last.
    pub transitions: Vec<TransitionView>,
}

/// How an instance came to be one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It has registered, or somebody did that for it.
    #[default]
    Registered,
    /// The configuration names it. Its id is its address.
    File,
    /// It was looked up. Its id is its address.
    Discovered,
}

/// A lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeaseView {
    /// How long it lasts from a renewal on, in milliseconds.
    pub ttl_ms: u64,
    /// What is left of it.
    pub left_ms: u64,
    /// How often it should be renewed.
    pub renew_ms: u64,
    /// For how long it has been over, if it is: the instance is kept because it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_ms: Option<u64>,
    /// Whether it is kept only because its service protects itself.
    #[serde(default)]
    pub protected: bool,
}

/// A change of status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransitionView {
    /// What it became.
    pub status: Status,
    /// How long ago, in milliseconds.
    pub ago_ms: u64,
}

/// A page of a service's instances, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstancesView {
    /// The service.
    pub service: String,
    /// The revision of its latest change.
    pub revision: u64,
    /// How many instances there are.
    pub count: usize,
    /// Whether the service protects itself: more than half of its leases are over or not renewed.
    #[serde(default)]
    pub protected: bool,
    /// Those of this page.
    pub instances: Vec<InstanceView>,
    /// The id after which the next page begins; none: this is the last.
    pub next: Option<String>,
}

/// A page of the services, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServicesView {
    /// The revision of the latest change of any.
    pub revision: u64,
    /// How many services there are.
    pub count: usize,
    /// Those of this page.
    pub services: Vec<ServiceView>,
    /// The name after which the next page begins; none: this is the last.
    pub next: Option<String>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceView {
    /// Its name.
    pub name: String,
    /// The revision of its latest change.
    pub revision: u64,
    /// Whom it takes in.
    pub register: AdmitsView,
    /// How many instances have registered; those of the configuration are not among them.
    pub registered: usize,
    /// Whether it protects itself: more than half of its leases are over or not renewed.
    #[serde(default)]
    pub protected: bool,
}

/// Whom a service takes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdmitsView {
    /// Nobody registers.
    Nobody,
    /// Who comes by the Unix socket.
    Socket,
    /// They, and who has a token.
    Token,
}

impl Directory {
    /// An instance, as it stands at `now`.
    pub fn instance(&self, service: &str, id: &str, now: Duration) -> Option<InstanceView> {
        self.find(service, id).map(|(_, record)| shown(record, now))
    }

    /// At most `most` instances of a service, those after `after`, and never more than [`limits::REGISTRY_PAGE`]; none if there is
    /// no such service.
    pub fn instances(
        &self,
        service: &str,
        after: Option<&str>,
        most: usize,
        now: Duration,
    ) -> Option<InstancesView> {
        let roster = self.services.get(service)?;
        let most = most.min(limits::REGISTRY_PAGE);
        let mut page = roster.by_id.range::<str, _>((from(after), Bound::Unbounded));
        let keys = page.by_ref().take(most);
        let instances: Vec<_> = keys.map(|(_, key)| shown(&self.records[*key], now)).collect();
        let last = instances.last().map(|instance| instance.id.clone());
        Some(InstancesView {
            service: service.to_owned(),
            revision: roster.revision,
            count: roster.by_id.len(),
            protected: roster.protection.protects,
            next: last.filter(|_| page.next().is_some()),
            instances,
        })
    }

    /// At most `most` services, those after `after`, and never more than [`limits::REGISTRY_PAGE`].
    pub fn services(&self, after: Option<&str>, most: usize) -> ServicesView {
        let most = most.min(limits::REGISTRY_PAGE);
        let mut page = self.services.range::<str, _>((from(after), Bound::Unbounded));
        let services: Vec<_> =
            page.by_ref().take(most).map(|(name, roster)| service(name, roster)).collect();
        let last = services.last().map(|service| service.name.clone());
        ServicesView {
            revision: self.revision,
            count: self.services.len(),
            next: last.filter(|_| page.next().is_some()),
            services,
        }
    }
}

fn from(after: Option<&str>) -> Bound<&str> {
    after.map_or(Bound::Unbounded, Bound::Excluded)
}

fn service(name: &str, roster: &Roster) -> ServiceView {
    ServiceView {
        name: name.to_owned(),
        revision: roster.revision,
        register: match roster.admits {
            Admits::Nobody => AdmitsView::Nobody,
            Admits::Socket => AdmitsView::Socket,
            Admits::Token(_) => AdmitsView::Token,
        },
        registered: roster.by_id.len(),
        protected: roster.protection.protects,
    }
}

fn shown(record: &Record, now: Duration) -> InstanceView {
    let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    let lease = |Lease { ttl, ends }| LeaseView {
        ttl_ms: millis(ttl),
        left_ms: millis(ends.saturating_sub(now)),
        renew_ms: millis(ttl / limits::LEASE_RENEWALS),
        late_ms: (record.late != Late::InTime).then(|| millis(now.saturating_sub(ends))),
        protected: record.late == Late::Protected,
    };
    let transition = |Transition { at, status }: &Transition| TransitionView {
        status: *status,
        ago_ms: millis(now.saturating_sub(*at)),
    };
    let about = &record.about;
    let pairs = about.metadata.iter();
    InstanceView {
        service: record.service.to_string(),
        id: record.id.to_string(),
        kind: Kind::Registered,
        address: record.address.to_string(),
        status: record.status(),
        weight: about.weight,
        zone: text(&about.zone),
        version: text(&about.version),
        tags: about.tags.iter().map(ToString::to_string).collect(),
        metadata: pairs.map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        check: about.check.as_deref().map(KeptCheck::from),
        lease: record.lease.map(lease),
        health: None,
        belief: String::new(),
        revision: record.revision,
        transitions: record.transitions.iter().map(transition).collect(),
    }
}

impl InstanceView {
    /// The same with its health, and what follows from all of it.
    #[must_use]
    pub fn with_health(mut self, health: Option<HealthView>) -> Self {
        self.belief = belief(self.status, self.lease.as_ref(), health.as_ref());
        self.health = health;
        self
    }

    /// An instance of which nothing was registered.
    pub fn plain(
        service: &str,
        address: &Address,
        kind: Kind,
        (status, weight): (Status, u32),
    ) -> Self {
        Self {
            service: service.to_owned(),
            id: address.to_string(),
            kind,
            address: address.to_string(),
            status,
            weight,
            zone: None,
            version: None,
            tags: Vec::new(),
            metadata: BTreeMap::new(),
            check: None,
            lease: None,
            health: None,
            belief: String::new(),
            revision: 0,
            transitions: Vec::new(),
        }
    }
}

fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}
