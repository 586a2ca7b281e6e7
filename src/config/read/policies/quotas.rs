//! `[quotas]`: how much of a day or a month.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::ops::Range;

use coregate_core::base::limits;
use coregate_core::policy::period::{Calendar, Every};
use coregate_core::snapshot::plan::{Per, QuotaFault, QuotaPer, QuotaPlan};

use super::consumers::{Consumers, name_fault};
use super::keys::twice;
use super::rates::Rates;
use super::{per, perhaps};
use crate::codes;
use crate::fields::Fields;
use crate::item::{Item, quoted, shown};
use crate::language::{self, known};
use crate::nearest::nearest;
use crate::read::{check_name, text, too_many};
use crate::report::{Diagnostic, Faults};
use crate::words::TOP;

const KEYS: &[&str] = known!(language::QUOTA);
const EXAMPLE: &str = "limit = 100000 and every = \"month\"";

/// A quota, and where it asks who calls, if it does.
#[derive(Debug, Clone)]
pub(super) struct Quota {
    plan: QuotaPlan,
    pub(super) asks: Option<Range<usize>>,
}

/// The quotas that routes may name.
#[derive(Debug, Default)]
pub(super) struct Quotas<'t> {
    all: BTreeMap<&'t str, (Range<usize>, Option<Quota>)>,
    /// Whether they are lost under a wrong name, which has been said.
    misspelled: bool,
}

/// Reads `[quotas]`.
pub(super) fn read<'t>(
    root: &Fields<'t>,
    (consumers, rates): (&Consumers<'t>, &Rates<'t>),
    faults: &mut Faults,
) -> Quotas<'t> {
    let misspelled = root.misspells(&["quotas"], TOP);
    let mut quotas = Quotas { misspelled, ..Quotas::default() };
    let Some(item) = root.get("quotas") else { return quotas };
    let Some(tables) = item.table(faults) else { return quotas };
    let items = tables.items();
    too_many(&item, "quotas", items.len(), limits::QUOTAS, faults);
    for item in &items {
        check_name("quota", item, faults);
        apart(item, rates, faults);
        let read = item.table(faults).and_then(|fields| quota(item, &fields, consumers, faults));
        quotas.all.insert(item.key, (item.span(), read));
    }
    quotas
}

impl Quotas<'_> {
    /// The plans of all that could be read.
    pub(super) fn into_plans(self) -> Vec<QuotaPlan> {
        self.all.into_values().filter_map(|(_, quota)| Some(quota?.plan)).collect()
    }

    /// All names, with their places.
    pub(super) fn places(&self) -> impl Iterator<Item = (&str, &Range<usize>)> {
        self.all.iter().map(|(name, (place, _))| (*name, place))
    }

    /// The quotas that a route names, with what each asks.
    pub(super) fn named(
        &self,
        item: &Item<'_>,
        faults: &mut Faults,
    ) -> Vec<(String, Range<usize>, Option<Range<usize>>)> {
        let names = perhaps(item, "name of a quota", "api", faults);
        too_many(item, "quotas of a route", names.len(), limits::QUOTAS_OF_ROUTE, faults);
        let mut all: Vec<(String, Range<usize>, Option<Range<usize>>)> = Vec::new();
        for (name, item) in names {
            let Some((_, quota)) = self.all.get(name) else {
                self.missing(name, &item, faults);
                continue;
            };
            if all.iter().any(|(other, _, _)| other == name) {
                twice(&format!("quota {}", quoted(name)), &item, None, faults);
                continue;
            }
            let asks = quota.as_ref().and_then(|quota| quota.asks.clone());
            all.push((name.to_owned(), item.value_span(), asks));
        }
        all
    }

    fn missing(&self, name: &str, item: &Item<'_>, faults: &mut Faults) {
        if self.misspelled {
            return;
        }
        let suggestion = match nearest(name, self.all.keys().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if crate::node::is_bare(name) => {
                format!("write [quotas.{name}] and below it {EXAMPLE}")
            }
            None => format!("write [quotas.api] and below it {EXAMPLE}, and \"api\" here"),
        };
        let why = format!("there is no quota {}", quoted(name));
        item.refuse::<()>(codes::UNKNOWN_POLICY, why, Some(suggestion), faults);
    }
}

/// Reports a quota that is called like a rate: `coregate limits` and `/v1/limits` know both by name.
fn apart(item: &Item<'_>, rates: &Rates<'_>, faults: &mut Faults) {
    let Some(rate) = rates.place(item.key) else { return };
    let message =
        format!("a rate is called {} too: both are limits, told by name", quoted(item.key));
    let fault = Diagnostic::error(codes::NAME_TWICE, item.span(), message);
    faults.push(fault.also(rate, "the rate").suggest("give one of them another name".to_owned()));
}

fn quota(
    item: &Item<'_>,
    fields: &Fields<'_>,
    consumers: &Consumers<'_>,
    faults: &mut Faults,
) -> Option<Quota> {
    fields.check(KEYS, faults);
    let before = faults.errors();
    let limit = must(item, fields, "limit", faults).and_then(|item| tokens(&item, faults));
    let every = must(item, fields, "every", faults).and_then(|item| every(&item, faults));
    let zone = fields.get("zone");
    let calendar = match &zone {
        Some(item) => zoned(item, every, faults),
        None => every.and_then(|every| Calendar::new(every, "UTC").ok()),
    };
    let per = fields.get("per");
    let whose = per.as_ref().map(|item| self::per(item, faults)).unwrap_or_default();
    let mut cost = NonZeroU32::MIN;
    fields.read("cost", &mut cost, faults, |item, faults| {
        let cost = item.integer(1..=limits::QUOTA_COST, faults)?;
        NonZeroU32::new(u32::try_from(cost).ok()?)
    });
    let mut dry_run = false;
    fields.read("dry_run", &mut dry_run, faults, Item::boolean);
    let groups = fields.get("groups").map(|item| groups(&item, consumers, faults));
    let plan = QuotaPlan {
        per: whose,
        groups: groups.unwrap_or_default(),
        cost,
        dry_run,
        ..QuotaPlan::named(item.key, limit?, calendar?)
    };
    if let Some(fault) = plan.fault() {
        refuse(&fault, fields, faults);
    }
    let asks = per.filter(|_| plan.needs_identity()).map(|item| item.value_span());
    (faults.errors() == before).then_some(Quota { plan, asks })
}

fn must<'t>(
    item: &Item<'t>,
    fields: &Fields<'t>,
    key: &'static str,
    faults: &mut Faults,
) -> Option<Item<'t>> {
    let found = fields.get(key);
    if found.is_none() && !fields.misspells(&[key], KEYS) {
        let message = format!("{}: a quota has `{key}`", shown(item.path()));
        let fault = Diagnostic::error(codes::MISSING, item.span(), message);
        faults.push(fault.suggest(format!("write {EXAMPLE}")));
    }
    found
}

fn tokens(item: &Item<'_>, faults: &mut Faults) -> Option<NonZeroU64> {
    item.integer(1..=limits::QUOTA_TOKENS, faults).and_then(NonZeroU64::new)
}

fn every(item: &Item<'_>, faults: &mut Faults) -> Option<Every> {
    let word = text(item, "\"day\" or \"month\"", "month", faults)?;
    match word {
        "day" => Some(Every::Day),
        "month" => Some(Every::Month),
        _ => {
            let meant = match word.to_ascii_lowercase().as_str() {
                "daily" | "1d" | "24h" | "1day" => Some("day"),
                "monthly" | "30d" | "1month" => Some("month"),
                lower => nearest(lower, language::EVERY.iter().copied()),
            };
            let suggestion = match meant {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => "write \"month\"; of a shorter time a rate speaks: [rates]".to_owned(),
            };
            let why = format!("{}: expected \"day\" or \"month\"", quoted(word));
            item.refuse(codes::WORD, why, Some(suggestion), faults)
        }
    }
}

fn zoned(item: &Item<'_>, every: Option<Every>, faults: &mut Faults) -> Option<Calendar> {
    let name = text(item, "the name of a time zone", "Europe/Berlin", faults)?;
    // What else is wrong is said even where the period is.
    match Calendar::new(every.unwrap_or(Every::Day), name) {
        Ok(calendar) => every.map(|_| calendar),
        Err(fault) => {
            let write = Some("write zone = \"Europe/Berlin\", or leave it out for UTC".to_owned());
            item.refuse(codes::WORD, fault.to_string(), write, faults)
        }
    }
}

/// What has a count of its own: nothing that clients choose.
fn per(item: &Item<'_>, faults: &mut Faults) -> Vec<QuotaPer> {
    let mut all = Vec::new();
    for per in per::read(item, faults) {
        match per {
            Per::Consumer => all.push(QuotaPer::Consumer),
            Per::Route => all.push(QuotaPer::Route),
            Per::Service => all.push(QuotaPer::Service),
            Per::Address { .. } | Per::Header(_) => {
                let why = format!(
                    "{per}: a quota counts by \"consumer\", \"route\" and \"service\": each count is kept for its whole period, and strangers would fill the table of them"
                );
                let write =
                    Some("write per = \"consumer\", or limit addresses by a rate".to_owned());
                item.refuse::<()>(codes::PER, why, write, faults);
            }
        }
    }
    all
}

/// Other limits for groups, in the order of the file, since the first counts that a consumer is in.
fn groups(
    item: &Item<'_>,
    consumers: &Consumers<'_>,
    faults: &mut Faults,
) -> Vec<(String, NonZeroU64)> {
    let Some(fields) = item.table(faults) else { return Vec::new() };
    let items = fields.items();
    too_many(item, "groups of a quota", items.len(), limits::GROUPS_OF_RATE, faults);
    let mut groups = Vec::new();
    for item in &items {
        match name_fault("group", item.key) {
            Some(why) => faults.push(Diagnostic::error(codes::NAME, item.span(), why)),
            None => consumers.check_group(item.key, "", (item, item.span()), faults),
        }
        groups.extend(tokens(item, faults).map(|limit| (item.key.to_owned(), limit)));
    }
    groups
}

/// Reports what is wrong between its keys.
fn refuse(fault: &QuotaFault, fields: &Fields<'_>, faults: &mut Faults) {
    let (key, code, write) = match fault {
        QuotaFault::GroupsWithoutConsumer => {
            ("groups", codes::CONFLICT, "write per = \"consumer\"".to_owned())
        }
        QuotaFault::CostAboveLimit { limit, .. } => {
            ("cost", codes::NEVER_ADMITS, format!("write cost = {limit} or less"))
        }
    };
    if let Some(item) = fields.get(key) {
        item.refuse::<()>(code, fault.to_string(), Some(write), faults);
    }
}
