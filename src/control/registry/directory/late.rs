//! Leases that are over: who is kept though it has not renewed, and when a service protects itself.
//!
//! ```text
//!  renewed        ends                       ends + LATE_PERIODS x ttl
//!     ├── in time ──┼── late: kept while it answers ──┼── kept only while its service protects itself, and it answers
//! ```
//!
//! - *It answers*: its probes pass; or, where it is not probed, a live request has succeeded within the last lease period, and none has
//!   failed since. A late lease is judged anew when that ends, and at once when a probe or a request says otherwise
//!   ([`rejudge`](Directory::rejudge)).
//! - *A newer registration* at its address takes its place: that is no matter of time.
//! - **Self-protection**: when more than half of a service's leased instances that serve, and at least [`limits::PROTECT_LEAST`], would
//!   vanish within a lease period, the fault is more likely between them and us than with them. Counted are those whose lease has ended
//!   within the last period and that have not come back, and those that have missed two of three renewals. Then those are kept whose
//!   last probe or request succeeded, for as long as this lasts.
//!
//! The count goes through a service's instances: at most once every [`limits::PROTECT_EVERY`], and only when a lease of it is over, or
//! while it protects itself.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;

use super::leases::Step;
use super::record::{Lease, Record};
use super::{Directory, Why};
use crate::registry::health::Sign;
use crate::registry::notice::Notice;

/// How a lease stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Late {
    /// It is not over.
    #[default]
    InTime,
    /// It is, and its instance answers.
    Answers,
    /// It has been for long, and its service protects itself.
    Protected,
}

/// What a service knows of leases that ended.
#[derive(Debug, Default)]
pub(super) struct Protection {
    /// Whether it protects itself.
    pub(super) protects: bool,
    /// When that was counted last.
    counted: Option<Duration>,
    /// Whose lease has ended, and until when that counts.
    lost: VecDeque<(Duration, Arc<str>)>,
}

/// What has ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Instances that are gone: their services, and where they were.
    pub gone: Vec<(Arc<str>, Address)>,
    /// Services that protect themselves, or no more.
    pub notices: Vec<Notice>,
}

impl Directory {
    /// Judges the leases that are over at `now`, no more than `most` of them. `sign`: whether the instance of a service at an address
    /// answers, where a lease of this period is over; none if it is none of its instances.
    pub fn expire(
        &mut self,
        now: Duration,
        most: usize,
        sign: impl Fn(&str, &Address, Duration) -> Option<Sign>,
    ) -> Expired {
        let mut expired = Expired::default();
        self.count_again(now, &mut expired.notices);
        for _ in 0..most {
            let Some(key) = self.leases.due(now) else { break };
            let record = &mut self.records[key];
            record.place = None;
            let Some(lease) = record.lease.filter(|lease| Step::of(lease.ends).at() <= now) else {
                self.place(key);
                continue;
            };
            let serves = record.serves();
            let service = Arc::clone(&record.service);
            let sign = serves.then(|| sign(&service, &record.address, lease.ttl)).flatten();
            let protects = self.protects(&service, now, &mut expired.notices);
            match judge(lease, sign, protects, now) {
                Some((late, again)) => self.keep(key, late, again),
                None => {
                    self.remember(&service, key, now + lease.ttl);
                    let Record { address, .. } = self.remove(key, Why::Expired);
                    expired.gone.push((service, address));
                }
            }
        }
        expired
    }

    /// Keeps an instance whose lease is over, to be judged again at `again`.
    fn keep(&mut self, key: usize, late: Late, again: Duration) {
        let record = &mut self.records[key];
        let step = Step::of(again);
        record.place = Some(step);
        let before = std::mem::replace(&mut record.late, late);
        self.leases.put(step, key);
        if before != late {
            self.tell_health_of(key);
        }
    }

    /// A late lease is judged anew with the next tick: what was believed of the instance at an address is so no more.
    pub fn rejudge(&mut self, service: &str, address: &Address, now: Duration) {
        if let Some((key, _)) = self.at(service, address) {
            self.rejudge_key(key, now);
        }
    }

    pub(super) fn rejudge_key(&mut self, key: usize, now: Duration) {
        let record = &mut self.records[key];
        let step = Step::of(now);
        if record.late == Late::InTime || record.place.is_some_and(|place| place <= step) {
            return;
        }
        if let Some(place) = record.place.replace(step) {
            self.leases.take(place, key);
        }
        self.leases.put(step, key);
    }

    /// The lease of an instance is in time again; whether it was not.
    pub(super) fn in_time(&mut self, key: usize) -> bool {
        let before = std::mem::take(&mut self.records[key].late);
        self.place(key);
        before != Late::InTime
    }

    fn remember(&mut self, service: &str, key: usize, until: Duration) {
        let id = Arc::clone(&self.records[key].id);
        let Some(roster) = self.services.get_mut(service) else { return };
        // As many as there are left are more than half already.
        let most = roster.by_id.len() + limits::PROTECT_LEAST;
        let lost = &mut roster.protection.lost;
        lost.push_back((until, id));
        while lost.len() > most {
            lost.pop_front();
        }
    }

    /// Whether a service protects itself.
    fn protects(&mut self, service: &Arc<str>, now: Duration, notices: &mut Vec<Notice>) -> bool {
        let Self { services, records, guarded, .. } = self;
        let Some(roster) = services.get_mut(service) else { return false };
        let protection = &mut roster.protection;
        if protection.counted.is_some_and(|at| now < at + limits::PROTECT_EVERY) {
            return protection.protects;
        }
        protection.counted = Some(now);
        protection.lost.retain(|(until, _)| *until > now);
        let lost = protection.lost.iter().filter(|(_, id)| !roster.by_id.contains_key(id));
        // Who came back and went again is one.
        let lost = lost.map(|(_, id)| id).collect::<BTreeSet<_>>().len();
        let leases = roster.by_id.values().map(|key| &records[*key]);
        let leases = leases.filter(|record| record.serves()).filter_map(|record| record.lease);
        let (mut vanish, mut leased) = (lost, lost);
        for lease in leases {
            leased += 1;
            vanish += usize::from(lease.misses_two(now));
        }
        let protects = vanish >= limits::PROTECT_LEAST && vanish * 2 > leased;
        if std::mem::replace(&mut protection.protects, protects) != protects {
            let service = Arc::clone(service);
            if protects {
                guarded.insert(Arc::clone(&service));
                notices.push(Notice::Protects { service, vanish, leased });
            } else {
                guarded.remove(&service);
                notices.push(Notice::ProtectsNoMore(service));
            }
        }
        protects
    }

    /// Counts again for those who protect themselves: it may be over without a lease that ends.
    fn count_again(&mut self, now: Duration, notices: &mut Vec<Notice>) {
        let guarded: Vec<_> = self.guarded.iter().cloned().collect();
        for service in guarded {
            self.protects(&service, now, notices);
        }
    }

    /// When that is to be done next.
    pub(super) fn next_count(&self) -> Option<Duration> {
        let rosters = self.guarded.iter().filter_map(|name| self.services.get(name));
        rosters
            .filter_map(|roster| roster.protection.counted)
            .min()
            .map(|at| at + limits::PROTECT_EVERY)
    }

    /// Whether a service protects itself, as it was counted last.
    pub fn is_protected(&self, service: &str) -> bool {
        self.guarded.contains(service)
    }

    /// How many services protect themselves.
    pub fn protected(&self) -> usize {
        self.guarded.len()
    }

    /// The health of the instance at an address is another: told to those who watch. It is no change of what is said of it, and
    /// leaves its own revision as it is.
    pub fn tell_health(&mut self, service: &str, address: &Address) {
        match self.at(service, address).filter(|(_, record)| record.serves()).map(|(key, _)| key) {
            Some(key) => self.tell_health_of(key),
            None => {
                let Some((name, _)) = self.services.get_key_value(service) else { return };
                let name = Arc::clone(name);
                self.tell_health_as(name, address.to_string().into());
            }
        }
    }

    pub(super) fn tell_health_of(&mut self, key: usize) {
        let record = &self.records[key];
        let (service, id) = (Arc::clone(&record.service), Arc::clone(&record.id));
        self.tell_health_as(service, id);
    }
}

/// How a lease that is over stands, and when to look again; none: its instance goes.
fn judge(
    lease: Lease,
    sign: Option<Sign>,
    protects: bool,
    now: Duration,
) -> Option<(Late, Duration)> {
    let sign = sign?;
    let last = lease.ends.saturating_add(lease.ttl.saturating_mul(limits::LATE_PERIODS));
    if sign.answers && now < last {
        return Some((Late::Answers, sign.until.unwrap_or(last).min(last)));
    }
    let again = (lease.ttl / limits::LEASE_RENEWALS).max(limits::PROTECT_EVERY);
    (protects && sign.succeeded).then_some((Late::Protected, now + again))
}

#[cfg(test)]
mod tests;
