//! `[rates]`, and rates that stand in routes.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::ops::Range;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{Cost, Per, RatePlan, RateTerms, Scope};

use super::consumers::{Consumers, name_fault};
use super::per;
use crate::codes;
use crate::fields::Fields;
use crate::item::{Item, Value, quoted, shown};
use crate::language::{self, known};
use crate::nearest::nearest;
use crate::rates;
use crate::read::{check_name, headers, text, too_many};
use crate::report::{Diagnostic, Faults};
use crate::words::TOP;

const KEYS: &[&str] = known!(language::RATE);
const OF_GROUP: &[&str] = known!(language::RATE_OF_GROUP);
const COST: &[&str] = known!(language::COST);
/// What others split a limit into, of which it is said what to write.
const SPLIT: &[&str] = &["second", "minute", "hour", "day"];
const EXAMPLE: &str = "limit = \"100/s\"";

/// A rate, and where some of it stands.
#[derive(Debug, Clone)]
pub(in crate::read) struct Rate {
    pub(in crate::read) plan: RatePlan,
    /// What of it asks who calls, if anything does.
    pub(super) asks: Option<(&'static str, Range<usize>)>,
    /// Where it tells clients apart by their addresses, if it does.
    pub(super) by_address: Option<Range<usize>>,
}

/// The rates that routes may name.
#[derive(Debug, Default)]
pub(in crate::read) struct Rates<'t> {
    all: BTreeMap<&'t str, (Range<usize>, Option<Rate>)>,
    /// Whether they are lost under a wrong name, which has been said.
    misspelled: bool,
}

/// Reads `[rates]`.
pub(super) fn read<'t>(
    root: &Fields<'t>,
    consumers: &Consumers<'t>,
    faults: &mut Faults,
) -> Rates<'t> {
    let misspelled = root.misspells(&["rates"], TOP);
    let mut rates = Rates { misspelled, ..Rates::default() };
    let Some(item) = root.get("rates") else { return rates };
    let Some(tables) = item.table(faults) else { return rates };
    let items = tables.items();
    too_many(&item, "rates", items.len(), limits::RATES, faults);
    for item in &items {
        check_name("rate", item, faults);
        let read = rate(item, item.key, consumers, faults);
        rates.all.insert(item.key, (item.span(), read));
    }
    rates
}

impl Rates<'_> {
    /// All that could be read.
    pub(super) fn into_all(self) -> impl Iterator<Item = Rate> {
        self.all.into_values().filter_map(|(_, rate)| rate)
    }

    /// Those that could be read, with their places.
    pub(super) fn places(&self) -> impl Iterator<Item = (&str, &Range<usize>, Option<&Rate>)> {
        self.all.iter().map(|(name, (place, rate))| (*name, place, rate.as_ref()))
    }

    /// Where the rate of this name stands, if there is one.
    pub(super) fn place(&self, name: &str) -> Option<Range<usize>> {
        self.all.get(name).map(|(place, _)| place.clone())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.all.contains_key(name)
    }

    /// The rate of this name, or none within where it could not be read; reported if there is none.
    pub(super) fn named(
        &self,
        name: &str,
        item: &Item<'_>,
        faults: &mut Faults,
    ) -> Option<Option<&Rate>> {
        if let Some((_, rate)) = self.all.get(name) {
            return Some(rate.as_ref());
        }
        if !self.misspelled {
            let near = nearest(name, self.all.keys().copied());
            let suggestion = match near {
                Some(near) => format!("did you mean \"{near}\"?"),
                None if crate::node::is_bare(name) => {
                    format!("write [rates.{name}] and below it {EXAMPLE}, or \"100/s\"")
                }
                None => "write \"100/s\"".to_owned(),
            };
            let why = format!("there is no rate {}", quoted(name));
            item.refuse::<()>(codes::UNKNOWN_POLICY, why, Some(suggestion), faults);
        }
        None
    }
}

/// Reads a rate: `"100/s"`, or a table.
pub(super) fn rate(
    item: &Item<'_>,
    name: &str,
    consumers: &Consumers<'_>,
    faults: &mut Faults,
) -> Option<Rate> {
    match item.value() {
        Value::String(_) => {
            let plan = RatePlan::named(name, of_limit(item, faults)?);
            Some(Rate { plan, asks: None, by_address: None })
        }
        Value::Table(fields) => table(item, &fields, name, consumers, faults),
        Value::Array(_) | Value::Other => {
            let suggestion = item.decimal().and_then(|number| rates::read(&number).err()?.meant);
            let suggestion = suggestion.unwrap_or_else(|| "100/s".to_owned());
            let write = Some(format!("write \"{suggestion}\""));
            item.wrong_type("a rate such as \"100/s\" or a table", write, faults)
        }
    }
}

fn table(
    item: &Item<'_>,
    fields: &Fields<'_>,
    name: &str,
    consumers: &Consumers<'_>,
    faults: &mut Faults,
) -> Option<Rate> {
    fields.check(KEYS, faults);
    let before = faults.errors();
    let terms = terms(item, fields, KEYS, faults);
    // What else is wrong is said even where the terms are.
    let known = terms.unwrap_or(RateTerms {
        count: NonZeroU64::MIN,
        window: limits::RATE_WINDOW,
        burst: NonZeroU64::MAX,
    });
    let mut plan = RatePlan::named(name, known);
    let per = fields.get("per");
    plan.per = per.as_ref().map(|item| per::read(item, faults)).unwrap_or_default();
    fields.read("cost", &mut plan.cost, faults, cost);
    fields.read("scope", &mut plan.scope, faults, scope);
    fields.read("dry_run", &mut plan.dry_run, faults, Item::boolean);
    let groups = fields.get("groups");
    if let Some(item) = &groups {
        plan.groups = self::groups(item, consumers, faults);
    }
    never_admits(&plan, fields, faults);
    terms?;
    let place = |item: &Option<Item<'_>>| item.as_ref().map(Item::value_span);
    let asks = match (plan.per.contains(&Per::Consumer), plan.groups.is_empty()) {
        (true, _) => place(&per).map(|place| ("per", place)),
        (false, false) => groups.as_ref().map(|item| ("groups", item.span())),
        (false, true) => None,
    };
    let by_address = plan.per.iter().any(|per| matches!(per, Per::Address { .. }));
    let by_address = place(&per).filter(|_| by_address);
    (faults.errors() == before).then_some(Rate { plan, asks, by_address })
}

/// `limit` and `burst`.
fn terms(
    item: &Item<'_>,
    fields: &Fields<'_>,
    keys: &[&str],
    faults: &mut Faults,
) -> Option<RateTerms> {
    let burst = fields
        .get("burst")
        .map(|item| item.integer(1..=limits::RATE_TOKENS, faults).and_then(NonZeroU64::new));
    let terms = match fields.get("limit") {
        Some(limit) => of_limit(&limit, faults),
        None => {
            if !fields.misspells(&["limit"], keys) && !fields.has_any(SPLIT) {
                let message = format!("{}: a rate has a `limit`", shown(item.path()));
                let fault = Diagnostic::error(codes::MISSING, item.span(), message);
                faults.push(fault.suggest(format!("write {EXAMPLE}")));
            }
            None
        }
    };
    let terms = terms?;
    match burst {
        Some(burst) => fills(RateTerms { burst: burst?, ..terms }, fields, faults),
        None => Some(terms),
    }
}

/// Refuses a burst that would take too long to come again: buckets count its time.
fn fills(terms: RateTerms, fields: &Fields<'_>, faults: &mut Faults) -> Option<RateTerms> {
    let RateTerms { count, window, burst } = terms;
    let most = limits::RATE_FILL.as_nanos() * u128::from(count.get()) / window.as_nanos();
    if u128::from(burst.get()) <= most {
        return Some(terms);
    }
    let expected =
        format!("at most {most}: what comes in {} days", limits::RATE_FILL.as_secs() / 86_400);
    fields.get("burst")?.out_of_range(&burst.to_string(), &expected, faults)
}

/// `100/s`: so many in such a time, and at once.
fn of_limit(item: &Item<'_>, faults: &mut Faults) -> Option<RateTerms> {
    const EXPECTED: &str = "a rate such as \"100/s\", \"10/min\" or \"5000/h\"";
    let Value::String(text) = item.value() else {
        let meant = item.decimal().and_then(|number| rates::read(&number).err()?.meant);
        let write = meant.map(|meant| format!("write \"{meant}\""));
        return item.wrong_type(EXPECTED, write, faults);
    };
    let (count, window) = match rates::read(text) {
        Ok(rate) => rate,
        Err(fault) => return item.unit_fault(codes::RATE, text, EXPECTED, fault, faults),
    };
    let most = limits::RATE_TOKENS;
    let Some(count) = NonZeroU64::new(count).filter(|count| count.get() <= most) else {
        return item.out_of_range(text, &format!("1 to {most} in a time"), faults);
    };
    if window.is_zero() || window > limits::RATE_WINDOW {
        let expected = "a time above 0 and at most 24h: longer ones are quotas";
        return item.out_of_range(text, expected, faults);
    }
    Some(RateTerms { count, window, burst: count })
}

fn cost(item: &Item<'_>, faults: &mut Faults) -> Option<Cost> {
    let Value::Table(fields) = item.value() else {
        let tokens = item.integer(1..=limits::RATE_TOKENS, faults)?;
        return NonZeroU64::new(tokens).map(Cost::Fixed);
    };
    fields.check(COST, faults);
    let Some(answer) = fields.get("answer") else {
        if !fields.misspells(COST, COST) {
            let write = Some("write cost = { answer = \"x-cost\" }".to_owned());
            item.refuse::<()>(codes::MISSING, "expected `answer`", write, faults);
        }
        return None;
    };
    let name = text(&answer, "the name of a header field", "x-cost", faults)?;
    headers::field(name, &answer, faults).map(Cost::Answer)
}

fn scope(item: &Item<'_>, faults: &mut Faults) -> Option<Scope> {
    let word = text(item, "\"host\" or \"worker\"", "host", faults)?;
    match word {
        "host" => Some(Scope::Host),
        "worker" => Some(Scope::Worker),
        _ => {
            let other = match word.to_ascii_lowercase().as_str() {
                "local" | "thread" | "core" | "cpu" => Some("worker"),
                "global" | "cluster" | "redis" | "node" | "machine" => Some("host"),
                lower => nearest(lower, language::SCOPE.iter().copied()),
            };
            let suggestion = match other {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => "write \"host\"".to_owned(),
            };
            let why = format!("{}: expected \"host\" or \"worker\"", quoted(word));
            item.refuse(codes::WORD, why, Some(suggestion), faults)
        }
    }
}

/// Other terms for groups, in the order of the file, since the first counts that a consumer is in.
fn groups(
    item: &Item<'_>,
    consumers: &Consumers<'_>,
    faults: &mut Faults,
) -> Vec<(String, RateTerms)> {
    let Some(fields) = item.table(faults) else { return Vec::new() };
    let items = fields.items();
    too_many(item, "groups of a rate", items.len(), limits::GROUPS_OF_RATE, faults);
    let mut groups = Vec::new();
    for item in &items {
        match name_fault("group", item.key) {
            Some(why) => faults.push(Diagnostic::error(codes::NAME, item.span(), why)),
            None => consumers.check_group(item.key, "", (item, item.span()), faults),
        }
        let terms = match item.value() {
            Value::Table(fields) => {
                fields.check(OF_GROUP, faults);
                terms(item, &fields, OF_GROUP, faults)
            }
            Value::String(_) | Value::Array(_) | Value::Other => of_limit(item, faults),
        };
        groups.extend(terms.map(|terms| (item.key.to_owned(), terms)));
    }
    groups
}

/// What says how many there are at once.
fn burst<'t>(fields: &Fields<'t>) -> Option<Item<'t>> {
    fields.get("burst").or_else(|| fields.get("limit"))
}

/// Reports a burst that no request fits in.
fn never_admits(plan: &RatePlan, fields: &Fields<'_>, faults: &mut Faults) {
    let (Cost::Fixed(cost), Some(item)) = (&plan.cost, fields.get("cost")) else { return };
    let report = |burst: NonZeroU64, place: Option<Item<'_>>, whose: &str, faults: &mut Faults| {
        if burst >= *cost {
            return;
        }
        let message = format!(
            "{}: a request costs {cost}, and there are at most {burst} at once{whose}: none is ever let through",
            shown(item.path())
        );
        let fault = Diagnostic::error(codes::NEVER_ADMITS, item.value_span(), message);
        let fault = match place {
            Some(place) => fault.also(place.value_span(), "the most at once"),
            None => fault,
        };
        faults.push(fault.suggest(format!("write burst = {cost} or more")));
    };
    report(plan.terms.burst, burst(fields), "", faults);
    let groups = fields.get("groups").and_then(|item| item.fields());
    for (name, terms) in &plan.groups {
        let item = groups.as_ref().and_then(|groups| groups.get(name));
        let place = item.as_ref().and_then(|item| burst(&item.fields()?)).or(item);
        report(terms.burst, place, &format!(" for group {}", quoted(name)), faults);
    }
}
