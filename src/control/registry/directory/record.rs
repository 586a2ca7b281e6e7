//! What the registry knows of one instance.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;
use serde::{Deserialize, Serialize};

use super::late::Late;
use super::leases::Step;
use super::registration::{About, Registration};
use crate::io::admin::openapi::ToSchema;

/// What an instance says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// It is not ready yet.
    Starting,
    /// It takes requests.
    #[default]
    Up,
    /// It takes none.
    Down,
}

/// How an instance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It says that it is not ready yet.
    Starting,
    /// It is given requests.
    Up,
    /// It is given no new ones, and those that it has may finish.
    Draining,
    /// It says that it takes none.
    Down,
    /// An operator holds it back, whatever it says.
    Maintenance,
}

/// A change of an instance's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Transition {
    /// When.
    pub(super) at: Duration,
    /// What it became.
    pub(super) status: Status,
}

/// An instance as it stands in the directory.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) service: Arc<str>,
    pub(super) id: Arc<str>,
    pub(super) address: Address,
    pub(super) said: Said,
    pub(super) maintenance: bool,
    pub(super) draining: bool,
    pub(super) about: About,
    /// What was said of the lease, and when it ends; none: the instance stays until it is taken away.
    pub(super) lease: Option<Lease>,
    /// Whether that is over, and why it is here nevertheless.
    pub(super) late: Late,
    /// Its place among the leases, perhaps too early.
    pub(super) place: Option<Step>,
    /// The revision of its latest change, renewals aside.
    pub(super) revision: u64,
    /// The latest last; never empty.
    pub(super) transitions: VecDeque<Transition>,
}

/// A lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lease {
    /// How long it lasts from a renewal on.
    pub(super) ttl: Duration,
    /// When it ends.
    pub(super) ends: Duration,
}

impl Lease {
    /// A full term from `now` on.
    pub(super) fn of(ttl: Duration, now: Duration) -> Self {
        Self { ttl, ends: now.saturating_add(ttl) }
    }

    /// Whether two of the renewals that are asked for in a term have not come, or it is over.
    pub(super) fn misses_two(&self, now: Duration) -> bool {
        self.ends.saturating_sub(now) <= self.ttl / limits::LEASE_RENEWALS
    }
}

impl Record {
    /// What a registration says, of an instance that was not there.
    pub(super) fn new(service: Arc<str>, what: Registration, now: Duration) -> Self {
        let Registration { id, address, ttl, said, about, maintenance } = what;
        let mut record = Self {
            service,
            id,
            address,
            said,
            maintenance,
            draining: false,
            about,
            lease: ttl.map(|ttl| Lease::of(ttl, now)),
            late: Late::InTime,
            place: None,
            revision: 0,
            transitions: VecDeque::new(),
        };
        record.settle(now);
        record
    }

    /// Takes over what a registration says; whether anything but the end of the lease is different.
    pub(super) fn say_again(&mut self, what: Registration, now: Duration) -> bool {
        let mut fresh = Self::new(Arc::clone(&self.service), what, now);
        // What an operator said of it holds.
        fresh.maintenance |= self.maintenance;
        fresh.draining = self.draining && fresh.address == self.address;
        fresh.place = self.place;
        fresh.revision = self.revision;
        fresh.transitions = std::mem::take(&mut self.transitions);
        fresh.settle(now);
        let ttl = |record: &Self| record.lease.map(|lease| lease.ttl);
        let same = (fresh.said, fresh.maintenance, fresh.draining)
            == (self.said, self.maintenance, self.draining)
            && (&fresh.address, &fresh.about) == (&self.address, &self.about)
            && ttl(&fresh) == ttl(self);
        *self = fresh;
        !same
    }

    /// How it stands: the operator's word before its own.
    pub(super) fn status(&self) -> Status {
        match self.said {
            _ if self.maintenance => Status::Maintenance,
            Said::Starting => Status::Starting,
            Said::Down => Status::Down,
            Said::Up if self.draining => Status::Draining,
            Said::Up => Status::Up,
        }
    }

    /// Whether it is one of its service's instances; while it drains it still is.
    pub(super) fn serves(&self) -> bool {
        matches!(self.status(), Status::Up | Status::Draining)
    }

    /// After a change: an instance that does not serve is drained already, and what it became is noted.
    pub(super) fn settle(&mut self, now: Duration) {
        self.draining &= self.serves();
        let status = self.status();
        if self.transitions.back().is_some_and(|last| last.status == status) {
            return;
        }
        if self.transitions.len() == limits::TRANSITIONS {
            self.transitions.pop_front();
        }
        self.transitions.push_back(Transition { at: now, status });
    }

    /// The bytes of its texts, as [`limits::REGISTRY_TEXT_BYTES`] counts them.
    pub(super) fn text_bytes(&self) -> usize {
        self.id.len() + self.about.text_bytes()
    }
}
