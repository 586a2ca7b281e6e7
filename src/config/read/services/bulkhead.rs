//! `bulkhead`: how many requests may be in flight, and what becomes of those beyond.

use std::collections::BTreeMap;

use coregate_core::base::limits;
use coregate_core::policy::queue::Class;
use coregate_core::snapshot::plan::BulkheadPlan;

use crate::codes;
use crate::fields::Fields;
use crate::item::{ABOVE_ZERO, Item, Value, quoted, shown};
use crate::language::{self, known};
use crate::nearest::nearest;
use crate::read::policies::Policies;
use crate::read::too_many;
use crate::report::{Diagnostic, Faults};

const KEYS: &[&str] = known!(language::BULKHEAD);

/// What says nothing without a limit.
const OF_LIMITS: [&str; 3] = ["queue", "wait", "priority"];

/// Reads a table, `false` for none, or `true` for what holds without a word.
pub(super) fn read(
    item: &Item<'_>,
    policies: &Policies<'_>,
    faults: &mut Faults,
) -> Option<Option<BulkheadPlan>> {
    let fields = match item.value() {
        Value::Table(fields) => fields,
        Value::Other if item.decimal().is_none() => {
            return Some(item.boolean(faults)?.then(BulkheadPlan::default));
        }
        Value::String(_) | Value::Array(_) | Value::Other => {
            let number = item.decimal().unwrap_or_else(|| "256".to_owned());
            let suggestion = format!("write bulkhead = {{ service = {number} }}");
            return item.wrong_type("a table, or false", Some(suggestion), faults);
        }
    };
    fields.check(KEYS, faults);
    let mut plan = BulkheadPlan::default();
    let count =
        |item: &Item<'_>, faults: &mut Faults| item.integer(1..=limits::BULKHEAD_MAX, faults);
    fields.read("service", &mut plan.service, faults, |item, faults| count(item, faults).map(Some));
    fields
        .read("instance", &mut plan.instance, faults, |item, faults| count(item, faults).map(Some));
    fields.read("connections", &mut plan.connections, faults, count);
    fields.read("queue", &mut plan.queue, faults, |item, faults| {
        item.integer(0..=limits::BULKHEAD_QUEUE_MAX, faults)
    });
    let waits = ABOVE_ZERO..=limits::BULKHEAD_WAIT_MAX;
    fields.read("wait", &mut plan.wait, faults, |item, faults| item.duration_in(waits, faults));
    fields.read("priority", &mut plan.priority, faults, |item, faults| {
        priority(item, policies, faults)
    });
    lonely(&fields, faults);
    Some(Some(plan))
}

/// Reports what is for those who wait where nobody ever does.
fn lonely(fields: &Fields<'_>, faults: &mut Faults) {
    let limits = ["service", "instance"];
    if fields.has_any(&limits) || fields.misspells(&limits, KEYS) {
        return;
    }
    for item in OF_LIMITS.iter().filter_map(|key| fields.get(key)) {
        let message =
            format!("{} is for `service` or `instance`, which are missing", shown(item.path()));
        let fault = Diagnostic::error(codes::MISSING, item.span(), message);
        faults.push(fault.suggest("write service = 256".to_owned()));
    }
}

/// The classes of groups.
fn priority(
    item: &Item<'_>,
    policies: &Policies<'_>,
    faults: &mut Faults,
) -> Option<BTreeMap<String, Class>> {
    let items = item.table(faults)?.items();
    too_many(item, "groups of a priority", items.len(), limits::GROUPS_OF_BULKHEAD, faults);
    let class = |item: &Item<'_>, faults: &mut Faults| {
        policies.check_group_key(item, faults);
        Some((item.key.to_owned(), class(item, faults)?))
    };
    Some(items.iter().filter_map(|item| class(item, faults)).collect())
}

/// A class.
fn class(item: &Item<'_>, faults: &mut Faults) -> Option<Class> {
    const EXPECTED: &str = "\"high\", \"normal\" or \"low\"";
    let word = item.string(EXPECTED, faults)?;
    if let Some(class) = Class::ALL.into_iter().find(|class| class.word() == word) {
        return Some(class);
    }
    let near = nearest(&word.to_ascii_lowercase(), language::CLASSES.iter().copied());
    let suggestion = match near {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "write \"high\" or \"low\"".to_owned(),
    };
    item.refuse(
        codes::WORD,
        format!("{}: expected {EXPECTED}", quoted(word)),
        Some(suggestion),
        faults,
    )
}
