//! Counts as they are kept, in the store and from process to process.

use coregate_core::base::ids::QuotaSlot;
use coregate_core::base::limits;
use coregate_core::policy::period::Period;
use coregate_core::snapshot::quotas::QuotaKey;
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::{Id, Quotas};

/// A count, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptQuota {
    /// The quota.
    pub quota: String,
    /// A consumer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<String>,
    /// A route's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// A service's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// When the period began, in seconds of Unix time.
    pub starts: u64,
    /// When it ends.
    pub ends: u64,
    /// How much may be granted.
    pub limit: u64,
    /// How much was.
    pub granted: u64,
    /// Where what is left of it lies, for a process that has the same words.
    pub slot: u32,
    /// Which use of that.
    pub stamp: u32,
}

impl Id {
    /// As the store knows it: its parts as JSON.
    pub fn to_text(&self) -> String {
        let QuotaKey { consumer, route, service } = &self.key;
        let parts = [Some(&*self.quota), consumer.as_deref(), route.as_deref(), service.as_deref()];
        serde_json::to_string(&parts).unwrap_or_default()
    }
}

impl KeptQuota {
    fn of(id: &Id, entry: &Entry) -> Self {
        let part = |part: &Option<Box<str>>| part.as_deref().map(str::to_owned);
        let QuotaKey { consumer, route, service } = &id.key;
        Self {
            quota: id.quota.to_string(),
            consumer: part(consumer),
            route: part(route),
            service: part(service),
            starts: entry.period.starts,
            ends: entry.period.ends,
            limit: entry.limit,
            granted: entry.used,
            slot: entry.slot.0,
            stamp: entry.stamp,
        }
    }

    /// Whose it is.
    pub fn id(&self) -> Id {
        let part = |part: &Option<String>| part.as_deref().map(Into::into);
        let key = QuotaKey {
            consumer: part(&self.consumer),
            route: part(&self.route),
            service: part(&self.service),
        };
        Id { quota: self.quota.as_str().into(), key }
    }
}

impl Quotas {
    /// A count, if it is there.
    pub fn kept_of(&self, id: &Id) -> Option<KeptQuota> {
        self.entries.get(id).map(|entry| KeptQuota::of(id, entry))
    }

    /// All counts.
    pub fn kept(&self) -> Vec<KeptQuota> {
        self.entries.iter().map(|(id, entry)| KeptQuota::of(id, entry)).collect()
    }

    /// What was stored is so again, in slots of this process: nothing is left of what was granted. For a process that has none yet.
    pub fn restore(&mut self, kept: Vec<KeptQuota>) {
        for one in kept {
            let id = one.id();
            if self.entries.contains_key(&id) {
                continue;
            }
            let Some(slot) = self.slots.give() else { return };
            let period = Period { starts: one.starts, ends: one.ends };
            let entry = Entry::begin(period, one.limit, slot, &self.cells);
            self.insert(id, Entry { used: one.granted, ..entry });
        }
    }

    /// What another process left is so here, in the slots that it gave where both have the same words; otherwise nothing is left
    /// of what was granted. For a process that has none yet.
    pub fn inherit(&mut self, kept: Vec<KeptQuota>) {
        let fits = |one: &&KeptQuota| (one.slot as usize) < limits::QUOTA_KEYS;
        self.slots.inherit(kept.iter().filter(fits).map(|one| QuotaSlot(one.slot)));
        for one in kept.iter().filter(fits) {
            let period = Period { starts: one.starts, ends: one.ends };
            let slot = QuotaSlot(one.slot);
            let is_there = self.cells.allowance(slot).left(one.stamp).is_some();
            let entry = match is_there {
                true => Entry { period, limit: one.limit, used: 0, slot, stamp: one.stamp },
                false => Entry::begin(period, one.limit, slot, &self.cells),
            };
            self.insert(one.id(), Entry { used: one.granted, ..entry });
        }
    }

    fn insert(&mut self, id: Id, entry: Entry) {
        self.ends.insert((entry.period.ends, id.clone()));
        self.entries.insert(id, entry);
    }
}
