//! `[consumers]`, `[auth]`, `[rates]` and `[quotas]`: who may call, how it is found out, and how much. What routes say of them is read by
//! [`guard`].
//!
//! They are read before the routes, so that these can be held against what there is. What is right and hardly meant is said at
//! the end, by [`doubts`].

mod auths;
mod consumers;
pub(super) mod doubts;
pub(super) mod guard;
mod keys;
mod per;
mod quotas;
mod rates;

use coregate_core::snapshot::plan::{AuthPlan, ConsumerPlan, QuotaPlan, RatePlan};

use self::auths::Auths;
use self::consumers::Consumers;
use self::quotas::Quotas;
pub(super) use self::rates::Rate;
use self::rates::Rates;
use super::strings;
use crate::ConsumerKey;
use crate::codes;
use crate::fields::Fields;
use crate::item::{Item, Value};
use crate::report::{Diagnostic, Faults};

/// What stands in the tables.
#[derive(Debug)]
pub(super) struct Policies<'t> {
    consumers: Consumers<'t>,
    auths: Auths<'t>,
    rates: Rates<'t>,
    quotas: Quotas<'t>,
}

/// What of it belongs in a plan.
#[derive(Debug)]
pub(super) struct Plans {
    pub(super) consumers: Vec<ConsumerPlan>,
    pub(super) keys: Vec<ConsumerKey>,
    pub(super) auths: Vec<AuthPlan>,
    pub(super) rates: Vec<RatePlan>,
    pub(super) quotas: Vec<QuotaPlan>,
}

/// Reads them; `now` is the time in seconds since 1970.
pub(super) fn read<'t>(root: &Fields<'t>, now: u64, faults: &mut Faults) -> Policies<'t> {
    let consumers = consumers::read(root, now, faults);
    let auths = auths::read(root, faults);
    let rates = rates::read(root, &consumers, faults);
    let quotas = quotas::read(root, (&consumers, &rates), faults);
    Policies { consumers, auths, rates, quotas }
}

impl Policies<'_> {
    /// Reports a key that is no name of a group, and warns of one that no consumer of the file is in.
    pub(super) fn check_group_key(&self, item: &Item<'_>, faults: &mut Faults) {
        match consumers::name_fault("group", item.key) {
            Some(why) => faults.push(Diagnostic::error(codes::NAME, item.span(), why)),
            None => self.consumers.check_group(item.key, "", (item, item.span()), faults),
        }
    }

    /// All of it, with the rates that stand in routes.
    pub(super) fn into_plans(self, own: Vec<Rate>) -> Plans {
        let rates = self.rates.into_all().chain(own).map(|rate| rate.plan).collect();
        let Consumers { plans: consumers, keys, .. } = self.consumers;
        let quotas = self.quotas.into_plans();
        Plans { consumers, keys, auths: self.auths.plans, rates, quotas }
    }
}

/// The strings of a string or of an array of them, which may be empty.
fn perhaps<'t>(
    item: &Item<'t>,
    what: &str,
    example: &str,
    faults: &mut Faults,
) -> Vec<(&'t str, Item<'t>)> {
    match item.value() {
        Value::Array(items) if items.is_empty() => Vec::new(),
        _ => strings(item, what, example, faults),
    }
}
