//! The directory: who has registered as an instance of which service, and until when that is believed. Pure: times are given,
//! and what follows is asked for afterwards ([`Directory::serves`]).
//!
//! **An instance** has an id, unique in its service and its address unless it says otherwise, and an address, at which no other
//! instance of the service is: a later registration claims it, and the record that had it goes. What it says besides (weight,
//! zone, version, tags, metadata) is kept for those who ask; nothing here is decided by it.
//!
//! **A lease** lasts its TTL from the registration on, and from each renewal on; a lease that has ended takes its instance away
//! at the next [`tick`](Directory::expire), unless the instance answers. Times come from [`FairTime`](crate::registry::time::FairTime), so that what this process
//! was late does not count against anybody. Without a lease an instance stays until it is taken away.
//!
//! ```text
//!             register              renew, register again
//!   (nobody) ──────────▶ leased ◀──────────┐
//!      ▲                   │ └─────────────┘
//!      └───────────────────┘ deregister; the lease ends and it does not answer; another claims the address; the service goes
//! ```
//!
//! **An instance serves** while its status is `up` or `draining`; `starting`, `down` and `maintenance` are records alone, and hold the
//! instance back where the file or a source names its address too: whoever speaks for it knows better. Whether
//! requests are sent to it is a matter of its [health](crate::registry::health), which also tells whether a lease that is over is
//! kept ([`late`]).
//!
//! Invariants, which the tests hold against an oracle after every step:
//!
//! 1. Ids and addresses of a service's records are each unique, and both maps name the same records.
//! 2. A record is there if and only if it was registered, and since then neither taken away nor claimed, its service stayed, and no
//!    tick came at or after the end of its lease at which it did not answer.
//! 3. Each record with a lease has exactly one place in the queue, never later than the end of its lease, rounded up; if it is kept
//!    beyond that, never later than it may be by what was known when it was judged last.
//! 4. A change raises the revision of its service and the overall one, which never fall; a renewal raises neither, nor does a
//!    registration that says what was said before, unless the lease was late. A change of health raises both, but not the instance's own.
//! 5. A registered address of the compiler serves if and only if its record does (kept by [`State`](crate::registry::state::State)).
//!
//! The cost of each command grows with the logarithm of the instances; nothing scans.

pub mod admission;
mod check;
mod late;
mod leases;
mod record;
mod registration;
mod restore;
pub mod view;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;
use slab::Slab;

use admission::Admits;
use late::{Late, Protection};
use leases::{Leases, Step};
use record::{Lease, Record};

use crate::registry::health::Described;

pub use check::{BadCheck, KeptCheck, KeptHttp};
pub use late::Expired;
pub use record::{Said, Status};
pub use registration::{Draft, Invalid, Registration};
pub use restore::Kept;

/// All services, and their instances that have registered.
#[derive(Debug, Default)]
pub struct Directory {
    services: BTreeMap<Arc<str>, Roster>,
    records: Slab<Record>,
    leases: Leases,
    /// Services that protect themselves.
    guarded: BTreeSet<Arc<str>>,
    revision: u64,
    /// The bytes of all texts.
    text_bytes: usize,
    /// What has changed since it was last asked for.
    changes: Vec<Changed>,
}

/// Something that changed, for those who keep or watch it. Renewals are not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The revision that it made.
    pub revision: u64,
    /// The service.
    pub service: Arc<str>,
    /// The instance.
    pub id: Arc<str>,
    /// What.
    pub what: What,
}

/// What changed of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// What is said of it, by itself or by an operator: to be kept.
    Said,
    /// How it does; found again by looking, and not kept.
    Health,
    /// It is there no more.
    Gone(Why),
}

/// Why an instance is there no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It was taken away.
    Deregistered,
    /// Its lease is over.
    Expired,
    /// Another instance registered at its address.
    Claimed,
    /// Its service is there no more.
    ServiceGone,
}

/// A service.
#[derive(Debug, Default)]
struct Roster {
    admits: Admits,
    revision: u64,
    by_id: BTreeMap<Arc<str>, usize>,
    by_address: HashMap<Address, usize>,
    protection: Protection,
}

/// What a registration changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Whether no instance had this id before.
    pub is_new: bool,
    /// The address that the instance had before, if it was another.
    pub left: Option<Address>,
}

/// What an instance's status is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// An operator says so in its place, and does not hold it back any more.
    Said(Said),
    /// The instance says so itself; an operator who holds it back still does.
    Own(Said),
    /// An operator holds it back, whatever it says.
    Maintenance,
}

/// The texts of all instances would be too many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the registry is full: the texts of all instances would have {0} bytes, and at most {most} are kept", most = limits::REGISTRY_TEXT_BYTES)]
pub struct Full(pub usize);

impl Directory {
    /// The services are these, in any order. Instances of others are gone.
    pub fn configure(&mut self, services: impl IntoIterator<Item = (Arc<str>, Admits)>) {
        let mut before = std::mem::take(&mut self.services);
        for (name, admits) in services {
            let mut roster = before.remove(&name).unwrap_or_default();
            roster.admits = admits;
            self.services.insert(name, roster);
        }
        self.guarded.retain(|name| !before.contains_key(name));
        for key in before.into_values().flat_map(|roster| roster.by_id.into_values()) {
            self.revision += 1;
            let gone = self.forget(key);
            self.tell(self.revision, &gone, What::Gone(Why::ServiceGone));
        }
    }

    /// What has changed since this was last asked, in the order of revisions.
    pub fn take_changes(&mut self) -> Vec<Changed> {
        std::mem::take(&mut self.changes)
    }

    fn tell(&mut self, revision: u64, record: &Record, what: What) {
        let (service, id) = (Arc::clone(&record.service), Arc::clone(&record.id));
        self.changes.push(Changed { revision, service, id, what });
    }

    /// Whom a service takes in; none: there is no such service.
    pub fn admits(&self, service: &str) -> Option<&Admits> {
        self.services.get(service).map(|roster| &roster.admits)
    }

    /// Whether there would be room for a registration.
    pub fn has_room(&self, service: &str, what: &Registration) -> Result<(), Full> {
        let before = self.find(service, &what.id).map_or(0, |(_, record)| record.text_bytes());
        let bytes = self.text_bytes - before + what.text_bytes();
        if bytes > limits::REGISTRY_TEXT_BYTES { Err(Full(bytes)) } else { Ok(()) }
    }

    /// Whether an instance serves once this was registered: an operator may hold it back.
    pub fn would_serve(&self, service: &str, what: &Registration) -> bool {
        let held = self.find(service, &what.id).is_some_and(|(_, record)| record.maintenance);
        what.said == Said::Up && !what.maintenance && !held
    }

    /// Registers an instance at `now`, with a full lease. Whoever had its address is gone. What the service admits, and whether
    /// there is [room](Self::has_room), was asked before; a service that is not there comes to be.
    pub fn register(&mut self, service: &str, what: Registration, now: Duration) -> Registered {
        let holder = self.at(service, &what.address);
        if let Some(holder) = holder.filter(|(_, holder)| holder.id != what.id).map(|(key, _)| key)
        {
            self.remove(holder, Why::Claimed);
        }
        let known = self.find(service, &what.id).map(|(key, _)| key);
        let late = known.is_some_and(|key| self.records[key].late != Late::InTime);
        let (key, changed, left) = match known {
            Some(key) => self.register_again(key, what, now),
            None => (self.insert(service, what, now), true, None),
        };
        self.place(key);
        if changed {
            self.changed(key);
        } else if late {
            self.tell_health_of(key);
        }
        Registered { is_new: known.is_none(), left }
    }

    fn register_again(
        &mut self,
        key: usize,
        what: Registration,
        now: Duration,
    ) -> (usize, bool, Option<Address>) {
        let record = &mut self.records[key];
        let (before, bytes) = (record.address.clone(), record.text_bytes());
        let changed = record.say_again(what, now);
        self.text_bytes = self.text_bytes - bytes + record.text_bytes();
        if record.address == before {
            return (key, changed, None);
        }
        let address = record.address.clone();
        if let Some(roster) = self.services.get_mut(&self.records[key].service) {
            roster.by_address.remove(&before);
            roster.by_address.insert(address, key);
        }
        (key, changed, Some(before))
    }

    fn insert(&mut self, service: &str, what: Registration, now: Duration) -> usize {
        let name = match self.services.get_key_value(service) {
            Some((name, _)) => Arc::clone(name),
            None => service.into(),
        };
        let record = Record::new(Arc::clone(&name), what, now);
        self.text_bytes += record.text_bytes();
        let (id, address) = (Arc::clone(&record.id), record.address.clone());
        let key = self.records.insert(record);
        let roster = self.services.entry(name).or_default();
        roster.by_id.insert(id, key);
        roster.by_address.insert(address, key);
        key
    }

    /// Renews a lease at `now`. `false`: there is no such instance, and it has to register.
    #[must_use = "who is not there has to register"]
    pub fn renew(&mut self, service: &str, id: &str, now: Duration) -> bool {
        let Some((key, _)) = self.find(service, id) else { return false };
        let lease = &mut self.records[key].lease;
        *lease = lease.map(|lease| Lease::of(lease.ttl, now));
        if self.records[key].late != Late::InTime && self.in_time(key) {
            self.tell_health_of(key);
        }
        true
    }

    /// Gives every lease a full term from `now` on: none of them could be renewed for a while.
    pub fn renew_all(&mut self, now: Duration) {
        let mut late = Vec::new();
        for (key, record) in &mut self.records {
            record.lease = record.lease.map(|lease| Lease::of(lease.ttl, now));
            if record.late != Late::InTime {
                late.push(key);
            }
        }
        for key in late {
            self.in_time(key);
        }
    }

    /// Sets an instance's status at `now`. `false`: there is no such instance.
    #[must_use = "who is not there has to register"]
    pub fn set_status(&mut self, service: &str, id: &str, wish: Wish, now: Duration) -> bool {
        let Some((key, _)) = self.find(service, id) else { return false };
        self.change(key, now, |record| match wish {
            Wish::Said(said) => (record.said, record.maintenance) = (said, false),
            Wish::Own(said) => record.said = said,
            Wish::Maintenance => record.maintenance = true,
        });
        true
    }

    /// The instance at an address is drained, or no longer; nothing happens where none serves there.
    pub fn drain(&mut self, service: &str, address: &Address, draining: bool, now: Duration) {
        if let Some((key, _)) = self.at(service, address) {
            self.change(key, now, |record| record.draining = draining);
        }
    }

    fn change(&mut self, key: usize, now: Duration, change: impl FnOnce(&mut Record)) {
        let record = &mut self.records[key];
        let before = (record.said, record.maintenance, record.draining);
        change(record);
        record.settle(now);
        if before != (record.said, record.maintenance, record.draining) {
            self.changed(key);
            self.rejudge_key(key, now);
        }
    }

    /// Sets an instance's weight, until it registers with another. `false`: there is no such instance.
    pub fn set_weight(&mut self, service: &str, id: &str, weight: u32) -> Result<bool, Invalid> {
        registration::check_weight(weight)?;
        let Some((key, _)) = self.find(service, id) else { return Ok(false) };
        let before = std::mem::replace(&mut self.records[key].about.weight, weight);
        if before != weight {
            self.changed(key);
        }
        Ok(true)
    }

    /// Takes an instance away; gives its address, if it was there.
    pub fn deregister(&mut self, service: &str, id: &str) -> Option<Address> {
        let (key, _) = self.find(service, id)?;
        Some(self.remove(key, Why::Deregistered).address)
    }

    /// The id of the instance at an address.
    pub fn id_at(&self, service: &str, address: &Address) -> Option<Arc<str>> {
        self.at(service, address).map(|(_, record)| Arc::clone(&record.id))
    }

    /// The revision of an instance's latest change.
    pub fn revision_of(&self, service: &str, id: &str) -> Option<u64> {
        self.find(service, id).map(|(_, record)| record.revision)
    }

    /// The address of an instance.
    pub fn address_of(&self, service: &str, id: &str) -> Option<&Address> {
        self.find(service, id).map(|(_, record)| &record.address)
    }

    /// Whether an instance that has registered serves at an address.
    pub fn serves(&self, service: &str, address: &Address) -> bool {
        self.at(service, address).is_some_and(|(_, record)| record.serves())
    }

    /// What is said of the instance that has registered at an address. One that does not serve is held back, whoever else names it.
    pub fn described(&self, service: &str, address: &Address) -> Option<Described> {
        let (_, record) = self.at(service, address)?;
        let (id, about, held) = (Some(Arc::clone(&record.id)), &record.about, !record.serves());
        Some(Described { id, weight: Some(about.weight), check: about.check.clone(), held })
    }

    /// When a lease may end next, or has to be judged anew.
    pub fn next_expiry(&self) -> Option<Duration> {
        self.leases.next().into_iter().chain(self.next_count()).min()
    }

    /// How many leases there are.
    pub fn leased(&self) -> usize {
        self.leases.len()
    }

    /// Puts a lease where it belongs, unless its place is no later than that.
    fn place(&mut self, key: usize) {
        let record = &mut self.records[key];
        let wanted = record.lease.map(|lease| Step::of(lease.ends));
        let stays = record.place.is_some_and(|place| wanted.is_some_and(|wanted| place <= wanted));
        if stays {
            return;
        }
        if let Some(place) = std::mem::replace(&mut record.place, wanted) {
            self.leases.take(place, key);
        }
        if let Some(wanted) = wanted {
            self.leases.put(wanted, key);
        }
    }

    /// Takes a record out of everything, which is a change.
    fn remove(&mut self, key: usize, why: Why) -> Record {
        let record = self.forget(key);
        self.revision += 1;
        self.tell(self.revision, &record, What::Gone(why));
        if let Some(roster) = self.services.get_mut(&record.service) {
            roster.by_id.remove(&record.id);
            roster.by_address.remove(&record.address);
            roster.revision = self.revision;
        }
        record
    }

    /// Takes a record out of everything but its service.
    fn forget(&mut self, key: usize) -> Record {
        let record = self.records.remove(key);
        self.text_bytes -= record.text_bytes();
        if let Some(place) = record.place {
            self.leases.take(place, key);
        }
        record
    }

    fn changed(&mut self, key: usize) {
        self.revision += 1;
        let record = &mut self.records[key];
        record.revision = self.revision;
        let (service, id) = (Arc::clone(&record.service), Arc::clone(&record.id));
        if let Some(roster) = self.services.get_mut(&service) {
            roster.revision = self.revision;
        }
        self.changes.push(Changed { revision: self.revision, service, id, what: What::Said });
    }

    /// As [`changed`](Self::changed), of health: what is said of the instance is as it was, and so is its own revision.
    fn tell_health_as(&mut self, service: Arc<str>, id: Arc<str>) {
        self.revision += 1;
        if let Some(roster) = self.services.get_mut(&service) {
            roster.revision = self.revision;
        }
        self.changes.push(Changed { revision: self.revision, service, id, what: What::Health });
    }

    fn find(&self, service: &str, id: &str) -> Option<(usize, &Record)> {
        let key = *self.services.get(service)?.by_id.get(id)?;
        Some((key, &self.records[key]))
    }

    fn at(&self, service: &str, address: &Address) -> Option<(usize, &Record)> {
        let key = *self.services.get(service)?.by_address.get(address)?;
        Some((key, &self.records[key]))
    }
}

#[cfg(test)]
mod tests;
