//! What an admitted request goes to: its service, on the terms of its route.

use std::rc::Rc;

use coregate_core::base::time::Span;
use coregate_core::http::framing::plain_number;
use coregate_core::http::head::Head;
use coregate_core::http::hop::Role;
use coregate_core::http::rate_fields::RateFields;
use coregate_core::policy::queue::Class;
use coregate_core::snapshot::limits::Limit;
use coregate_core::snapshot::plan::{Cost, RateHeaders};
use coregate_core::snapshot::services::ServiceTerms;

use crate::proxy::limit::Admitted;
use crate::proxy::refusal::{Refusal, Refused, rate_fields};
use crate::proxy::reject::Reject;
use crate::proxy::route;
use crate::worker::context::Worker;
use crate::worker::listeners::Listener;
use crate::worker::notes::{Lent, Owed};
use crate::worker::services::{LocalRoute, LocalService};

/// A request that goes to a service: all that is kept of the snapshot, and what is noted of it. Its path is the one that goes
/// there, and it has no key any more that is not to go there.
#[derive(Debug)]
pub struct Outbound {
    route: Rc<LocalRoute>,
    service: Rc<LocalService>,
    note: Option<Lent>,
}

impl Outbound {
    /// Where an admitted request goes; else its route, which has an answer of its own, and what is noted.
    #[inline]
    pub fn of(admitted: Admitted) -> Result<Self, (Rc<LocalRoute>, Option<Lent>)> {
        let (routed, note) = admitted.into_parts();
        match routed.into_parts() {
            (route, Some(service)) => Ok(Self { route, service, note }),
            (route, None) => Err((route, note)),
        }
    }

    /// Its route.
    pub fn route(&self) -> &LocalRoute {
        &self.route
    }

    /// Its service, chosen once: a further attempt goes to the same.
    pub fn service(&self) -> &LocalService {
        &self.service
    }

    /// The terms of its service, but for what the route says itself, which are the times below.
    pub fn terms(&self) -> &ServiceTerms {
        &self.service.service.terms
    }

    /// Time for a connect.
    #[inline]
    pub fn connect(&self) -> Span {
        self.route.route.times.connect.unwrap_or(self.terms().connect)
    }

    /// Time to the answer's head.
    #[inline]
    pub fn first_byte(&self) -> Span {
        self.route.route.times.first_byte.unwrap_or(self.terms().first_byte)
    }

    /// Time between two pieces of a body from or to the instance.
    #[inline]
    pub fn body(&self) -> Span {
        self.route.route.times.body.unwrap_or(self.terms().body)
    }

    /// Time for a tunnel in which nothing moves either way.
    #[inline]
    pub fn tunnel(&self) -> Span {
        self.route.route.times.tunnel.unwrap_or(self.terms().tunnel)
    }

    /// The most that the request's body may measure, in bytes.
    pub fn body_bytes(&self, listener: &Listener) -> Option<u64> {
        route::body_bytes(&self.route, listener)
    }

    /// Who calls, if that is known; else empty.
    #[inline]
    pub fn consumer(&self) -> &[u8] {
        self.note.as_deref().map_or(&[], |note| note.consumer.as_bytes())
    }

    /// How much it matters to its service.
    #[inline]
    pub fn class(&self) -> Class {
        self.note.as_deref().map_or_else(Class::default, |note| note.class)
    }

    /// What its client is told of a rate, if anything.
    #[inline]
    pub fn rate(&self, headers: RateHeaders) -> Option<RateFields<'_>> {
        let told = self.note.as_deref()?.told.as_ref()?;
        rate_fields(&self.route, told, headers)
    }

    /// It is refused after all.
    pub fn refusal(&self, reject: Reject, headers: RateHeaders) -> Refusal<'_> {
        Refusal { rate: self.rate(headers), ..reject.into() }
    }

    /// The same before anything was sent.
    pub fn refused(&self, reject: Reject) -> Refused {
        let told = self.note.as_deref().and_then(|note| note.told);
        Refused::by(&self.route, reject, told)
    }

    /// Charges what the answer says that the request has cost, and takes that off the answer.
    #[inline]
    pub fn charge(&self, worker: &Worker, answer: &mut Head) {
        if let Some(note) = self.note.as_deref().filter(|note| !note.owed.is_empty()) {
            note.owed.iter().for_each(|owed| self.charge_one(worker, answer, *owed));
        }
    }

    /// Takes the same off an interim answer, and charges nothing: the final one says what it has cost.
    pub fn hide_costs(&self, interim: &mut Head) {
        let owed = self.note.as_deref().map_or(&[][..], |note| &note.owed);
        for (_, name) in owed.iter().filter_map(|owed| self.said_by(*owed)) {
            let _uncharged = taken_off(interim, name);
        }
    }

    /// The limit that is owed to, and the field that says how much.
    fn said_by(&self, owed: Owed) -> Option<(&Limit, &str)> {
        let limit = self.route.route.guard.limits.get(usize::from(owed.at))?;
        match &limit.cost {
            Cost::Answer(name) => Some((limit, name)),
            Cost::Fixed(_) => None,
        }
    }

    fn charge_one(&self, worker: &Worker, answer: &mut Head, owed: Owed) {
        let Some((limit, name)) = self.said_by(owed) else { return };
        let tokens = taken_off(answer, name);
        if let Some(bucket) = owed.bucket.filter(|_| tokens > 0) {
            worker.accounts.buckets.owe(limit, bucket, tokens, worker.clock.precise());
        }
    }
}

/// Takes the fields of this name off an answer; what they say together. What is no number says nothing.
fn taken_off(answer: &mut Head, name: &str) -> u64 {
    let Head { page, fields, .. } = answer;
    let mut tokens: u64 = 0;
    for field in fields.iter_mut() {
        if page[field.name.range()].eq_ignore_ascii_case(name.as_bytes()) {
            let said = plain_number(&page[field.value.range()]).unwrap_or(0);
            tokens = tokens.saturating_add(said);
            field.role = Role::HopByHop;
        }
    }
    tokens
}
