//! `outlier`: when live requests set an instance aside.

use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{OutlierRate, OutlierTerms};

use crate::codes;
use crate::fields::Fields;
use crate::item::{ABOVE_ZERO, Item, Value, quoted, shown};
use crate::language::{self, known};
use crate::read::percent;
use crate::report::{Diagnostic, Faults};
use crate::units;

const KEYS: &[&str] = known!(language::OUTLIER);

/// What says nothing without `errors`.
const OF_RATE: [&str; 2] = ["min_requests", "window"];

/// Reads a table, `false` for never, or `true` for what holds without a word.
pub(super) fn read(item: &Item<'_>, faults: &mut Faults) -> Option<OutlierTerms> {
    let fields = match item.value() {
        Value::Table(fields) => fields,
        Value::Other if item.decimal().is_none() => {
            let on = item.boolean(faults)?;
            let failures = if on { limits::OUTLIER_FAILURES } else { 0 };
            return Some(OutlierTerms { failures, ..OutlierTerms::default() });
        }
        Value::String(_) | Value::Array(_) | Value::Other => {
            let number = item.decimal().unwrap_or_else(|| "5".to_owned());
            let suggestion = format!("write outlier = {{ failures = {number} }}");
            return item.wrong_type("a table, or false", Some(suggestion), faults);
        }
    };
    fields.check(KEYS, faults);
    let mut terms = OutlierTerms { rate: rate(&fields, faults), ..OutlierTerms::default() };
    fields.read("failures", &mut terms.failures, faults, |item, faults| {
        let count = item.integer(0..=u64::from(limits::OUTLIER_FAILURES_MAX), faults)?;
        u32::try_from(count).ok()
    });
    let mut times = (terms.ejected, terms.ejected_max);
    fields.read("ejected", &mut times, faults, ejected);
    (terms.ejected, terms.ejected_max) = times;
    fields.read("most", &mut terms.most_percent, faults, percent::whole);
    Some(terms)
}

/// The share of failures that does, if that is asked for.
fn rate(fields: &Fields<'_>, faults: &mut Faults) -> Option<OutlierRate> {
    let mut rate = OutlierRate {
        errors_percent: 0,
        min_requests: limits::OUTLIER_MIN_REQUESTS,
        window: limits::OUTLIER_WINDOW,
    };
    fields.read("min_requests", &mut rate.min_requests, faults, |item, faults| {
        let count = item.integer(1..=u64::from(limits::OUTLIER_MIN_REQUESTS_MAX), faults)?;
        u32::try_from(count).ok()
    });
    let windows = limits::SAMPLE_EVERY..=limits::OUTLIER_WINDOW_MAX;
    fields
        .read("window", &mut rate.window, faults, |item, faults| item.duration_in(windows, faults));
    let Some(errors) = fields.get("errors") else {
        let lonely = OF_RATE.iter().filter_map(|key| fields.get(key));
        for item in lonely.filter(|_| !fields.misspells(&["errors"], KEYS)) {
            let message = format!("{} is for `errors`, which is missing", shown(item.path()));
            let fault = Diagnostic::error(codes::MISSING, item.span(), message);
            faults.push(fault.suggest("write errors = \"50%\"".to_owned()));
        }
        return None;
    };
    rate.errors_percent = percent::whole(&errors, faults)?;
    Some(rate)
}

/// How long an instance is set aside the first time, and at most: `30s..5m`, or the first alone.
fn ejected(item: &Item<'_>, faults: &mut Faults) -> Option<(Duration, Duration)> {
    const EXPECTED: &str = "two times such as \"30s..5m\"";
    if let Value::String(text) = item.value()
        && let Some(meant) = apart(text)
    {
        let why = format!("expected {EXPECTED}, found {}", quoted(text));
        return item.refuse(codes::TIME, why, Some(format!("write {}", quoted(&meant))), faults);
    }
    let Some((first, most)) = two(item) else {
        let first = item.duration(faults)?;
        return Some((first, limits::EJECTED_MAX.max(first)));
    };
    let [shortest, longest] = [first, most].map(|text| match units::duration(text) {
        Ok(time) => item.time_in(time, text, &(ABOVE_ZERO..=limits::TIMEOUT_MAX), faults),
        Err(fault) => item.unit_fault(codes::TIME, text, EXPECTED, fault, faults),
    });
    let (shortest, longest) = shortest.zip(longest)?;
    if shortest > longest {
        let why =
            format!("{}: expected the shorter time first", quoted(&format!("{first}..{most}")));
        let suggestion = Some(format!("write \"{most}..{first}\""));
        return item.refuse(codes::OUT_OF_RANGE, why, suggestion, faults);
    }
    Some((shortest, longest))
}

/// The halves of a text that has two points in it.
fn two<'t>(item: &Item<'t>) -> Option<(&'t str, &'t str)> {
    match item.value() {
        Value::String(text) => text.split_once(".."),
        Value::Table(_) | Value::Array(_) | Value::Other => None,
    }
}

/// Two times that something else than two points stands between, as they should be.
fn apart(text: &str) -> Option<String> {
    let (first, most) = ["...", "-", ",", " "].iter().find_map(|sign| text.split_once(sign))?;
    let (first, most) = (first.trim(), most.trim());
    let both = units::duration(first).is_ok() && units::duration(most).is_ok();
    both.then(|| format!("{first}..{most}"))
}
