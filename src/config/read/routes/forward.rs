//! `to`, `split`, `strip_prefix` and `rewrite`: to which service a request goes, and under which path.

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{
    Forward, PathPattern, Rewrite, Segment, Segments, Share, Tail, Template,
};

use super::template;
use crate::advice;
use crate::codes;
use crate::fields::Fields;
use crate::item::{Item, Value, quoted, shown};
use crate::read::services::Declared;
use crate::read::{conflict, percent, text, too_many};
use crate::report::{Diagnostic, Faults};
use crate::units;

/// What to write for a prefix of a path that has none.
const NO_PREFIX: &str = "remove it: the path begins with no segment that is always the same";

/// One service for all requests.
pub(super) fn to<'t>(
    item: &Item<'t>,
    services: &Declared<'t>,
    faults: &mut Faults,
) -> Option<Forward> {
    if let Value::Array(_) | Value::Table(_) = item.value() {
        let suggestion =
            advice::split(item).unwrap_or_else(|| format!("write \"{}\"", services.any()));
        return item.wrong_type("the name of a service", Some(suggestion), faults);
    }
    services.named(item, faults).map(Forward::to)
}

/// Several services and their shares.
pub(super) fn split<'t>(
    item: &Item<'t>,
    services: &Declared<'t>,
    faults: &mut Faults,
) -> Option<Forward> {
    let fields = item.table(faults)?;
    let items = fields.items();
    if items.is_empty() {
        let message = format!("{} names no service", shown(item.path()));
        let fault = Diagnostic::error(codes::MISSING, item.span(), message);
        faults.push(fault.suggest(format!("write {} = \"100%\"", services.any())));
        return None;
    }
    too_many(item, "services in a split", items.len(), limits::SPLIT_SERVICES, faults);
    let mut shares = Vec::with_capacity(items.len());
    for item in &items {
        services.check(item.key, item.span(), faults);
        let weight = percent::hundredths(item, faults);
        shares.extend(weight.map(|weight| Share { service: item.key.to_owned(), weight }));
    }
    if shares.len() < items.len() {
        return None;
    }
    let sum: u64 = shares.iter().map(|share| u64::from(share.weight)).sum();
    if sum != u64::from(Share::ALL) {
        let shown_sum = units::show_percent(sum);
        let message = format!("{}: {shown_sum} together, expected 100%", shown(item.path()));
        let fault = Diagnostic::error(codes::SHARES, item.span(), message);
        faults.push(fault.suggest(evened(&shares, sum)));
        return None;
    }
    Some(Forward { to: shares, rewrite: Rewrite::Same })
}

/// What the last service that can would have to get; else as much for each.
fn evened(shares: &[Share], sum: u64) -> String {
    let all = u64::from(Share::ALL);
    let rest = shares.iter().rev().find_map(|Share { service, weight }| {
        let rest = all.checked_sub(sum - u64::from(*weight)).filter(|rest| *rest > 0)?;
        Some(format!("write {service} = \"{}\"", units::show_percent(rest)))
    });
    rest.unwrap_or_else(|| {
        let each = all / shares.len().max(1) as u64;
        let first = all - each * (shares.len() as u64 - 1);
        let weights = std::iter::once(first).chain(std::iter::repeat(each));
        let show = |(share, weight): (&Share, u64)| {
            format!("{} = \"{}\"", share.service, units::show_percent(weight))
        };
        let shown: Vec<_> = shares.iter().zip(weights).map(show).collect();
        format!("write {}", shown.join(", "))
    })
}

/// Under which path requests go on.
pub(super) fn rewrite(
    fields: &Fields<'_>,
    pattern: Option<&PathPattern>,
    faults: &mut Faults,
) -> Option<Rewrite> {
    let (strip, rewrite) = (fields.get("strip_prefix"), fields.get("rewrite"));
    match (&strip, &rewrite) {
        (Some(strip), Some(rewrite)) => {
            conflict(strip, rewrite, faults);
            None
        }
        (Some(strip), None) => prefix(strip, pattern, faults).map(Rewrite::Strip),
        (None, Some(rewrite)) => {
            let text = text(rewrite, "a path", "/new", faults)?;
            let to = template::read(rewrite, text, pattern?, Template::path, faults)?;
            template::warn_of_one_place(rewrite, text, pattern?, faults);
            Some(Rewrite::To(to))
        }
        (None, None) => Some(Rewrite::Same),
    }
}

/// A prefix that the path surely begins with.
fn prefix(item: &Item<'_>, pattern: Option<&PathPattern>, faults: &mut Faults) -> Option<String> {
    const EXPECTED: &str = "the beginning of the path";
    let Value::String(text) = item.value() else {
        let literals = pattern.and_then(PathPattern::segments).map(literals_of);
        let suggestion = match literals.as_deref() {
            Some([] | ["", ..]) => NO_PREFIX.to_owned(),
            Some(literals) => format!("write {}", quoted(&joined(literals))),
            None => "write \"/api\"".to_owned(),
        };
        return item.wrong_type(EXPECTED, Some(suggestion), faults);
    };
    let Some(path) = pattern?.segments() else {
        let why = "what a `path_regex` takes has no beginning that is known";
        let suggestion = "write rewrite = \"/...\", or a path as the key".to_owned();
        return item.refuse(codes::PREFIX, why, Some(suggestion), faults);
    };
    let literals = literals_of(path);
    let prefix = text.parse::<Segments>().ok().filter(|it| it.tail == Tail::None);
    let all = prefix.as_ref().map(literals_of).unwrap_or_default();
    let whole = prefix.as_ref().is_some_and(|prefix| prefix.segments.len() == all.len());
    if whole && all.last() != Some(&"") && literals.starts_with(&all) {
        return Some(joined(&all));
    }
    let why = format!("{}: expected whole segments that the path begins with", quoted(text));
    let suggestion = match literals.as_slice() {
        [] | [""] => NO_PREFIX.to_owned(),
        literals => {
            let same = literals.iter().zip(&all).take_while(|(one, other)| one == other).count();
            let most = literals.iter().take_while(|literal| !literal.is_empty()).count();
            format!("write {}", quoted(&joined(&literals[..same.max(1).min(most.max(1))])))
        }
    };
    item.refuse(codes::PREFIX, why, Some(suggestion), faults)
}

/// The segments that stand first and are no parameters.
fn literals_of(path: &Segments) -> Vec<&str> {
    let literal = path.segments.iter().map_while(|segment| match segment {
        Segment::Literal(text) => Some(text.as_str()),
        Segment::Param(_) => None,
    });
    literal.collect()
}

fn joined(segments: &[&str]) -> String {
    segments.iter().map(|segment| format!("/{segment}")).collect()
}
