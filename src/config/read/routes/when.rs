//! `when`: what a request must have besides its host and path.

use coregate_core::base::limits;
use coregate_core::http::hop::is_token;
use coregate_core::snapshot::plan::{Predicate, Test, When};

use super::key::Key;
use super::regexes::Regexes;
use crate::codes;
use crate::item::{Item, Value, quoted, shown};
use crate::language::{self, known};
use crate::read::{conflict, methods, strings, text, too_many};
use crate::report::{Diagnostic, Faults};

const KEYS: &[&str] = known!(language::WHEN);
const TESTS: &[&str] = known!(language::VALUE_LIKE);

/// Reads a `when`, to which the methods of the key belong.
pub(super) fn read<'t>(
    item: Option<&Item<'t>>,
    key: Option<&Key>,
    regexes: &mut Regexes<'t>,
    faults: &mut Faults,
) -> When {
    let mut when = When::default();
    if let Some(key) = key {
        when.methods.clone_from(&key.methods);
    }
    let Some(fields) = item.and_then(|item| item.table(faults)) else { return when };
    fields.check(KEYS, faults);
    if let Some(item) = fields.get("method") {
        let found = methods(&item, faults);
        if let Some(key) = key.filter(|key| !key.methods.is_empty() && key.methods != found) {
            let said = key.methods.join(",");
            let message = format!("{}: the key of the route says {said}", shown(item.path()));
            let fault = Diagnostic::error(codes::CONFLICT, item.span(), message);
            let fault = fault.also(key.span.clone(), "the key");
            faults.push(fault.suggest("remove `method` here, or in the key".to_owned()));
        } else {
            when.methods = found;
        }
    }
    when.headers =
        predicates(fields.get("header").as_ref(), header_name, is_value, regexes, faults);
    when.query = predicates(fields.get("query").as_ref(), query_name, |_| true, regexes, faults);
    when
}

fn methods(item: &Item<'_>, faults: &mut Faults) -> Vec<String> {
    let texts = strings(item, "method", "GET", faults);
    let read =
        |(text, item): (&str, Item<'_>)| methods::of_route(text, item.value_span(), quoted, faults);
    let mut methods: Vec<_> = texts.into_iter().filter_map(read).collect();
    methods.sort_unstable();
    methods.dedup();
    too_many(item, "methods of a route", methods.len(), limits::ROUTE_METHODS, faults);
    methods
}

/// Reads a table of names and what their values must be; `name` checks a name, `legal` a value or its beginning.
fn predicates<'t>(
    item: Option<&Item<'t>>,
    name: impl Fn(&Item<'_>, &mut Faults) -> Option<String>,
    legal: impl Fn(&str) -> bool,
    regexes: &mut Regexes<'t>,
    faults: &mut Faults,
) -> Vec<Predicate> {
    let Some(item) = item else { return Vec::new() };
    let items = item.table(faults).map(|fields| fields.items()).unwrap_or_default();
    if items.len() > limits::ROUTE_PREDICATES {
        let what = format!("predicates in {}", shown(item.path()));
        too_many(item, &what, items.len(), limits::ROUTE_PREDICATES, faults);
        return Vec::new();
    }
    let mut found: Vec<(Predicate, Item<'_>)> = Vec::new();
    for item in items {
        let name = name(&item, faults);
        let test = test(&item, &legal, regexes, faults);
        let (Some(name), Some(test)) = (name, test) else { continue };
        if let Some((_, first)) = found.iter().find(|(one, _)| one.name == name) {
            let message = format!("{} stands twice: names of headers have no case", shown(&name));
            let fault = Diagnostic::error(codes::DUPLICATE_KEY, item.span(), message);
            let suggestion = "write { regex = \"...\" } for what both say".to_owned();
            faults.push(fault.also(first.span(), "first here").suggest(suggestion));
            continue;
        }
        found.push((Predicate { name, test }, item));
    }
    let mut found: Vec<_> = found.into_iter().map(|(predicate, _)| predicate).collect();
    // So that the order in the file is in no name.
    found.sort_unstable();
    found
}

fn header_name(item: &Item<'_>, faults: &mut Faults) -> Option<String> {
    let name = item.key.to_ascii_lowercase();
    if name == "host" {
        let message = "the host is no header of `when`: hosts are tables of routes";
        let suggestion = match item.value() {
            Value::String(host) => format!("write [routes.{}]", quoted(host)),
            Value::Table(_) | Value::Array(_) | Value::Other => {
                "write [routes.\"shop.example.com\"]".to_owned()
            }
        };
        let fault = Diagnostic::error(codes::HEADER, item.span(), message);
        faults.push(fault.suggest(suggestion));
        return None;
    }
    if is_token(name.as_bytes()) {
        return Some(name);
    }
    let message = format!("{}: expected the name of a header such as x-beta", quoted(item.key));
    let meant = name.trim().trim_end_matches(':').replace([' ', '_'], "-");
    let suggestion = is_token(meant.as_bytes()).then(|| format!("write {meant}"));
    faults.push(Diagnostic::error(codes::HEADER, item.span(), message).suggest(suggestion));
    None
}

fn query_name(item: &Item<'_>, _: &mut Faults) -> Option<String> {
    Some(item.key.to_owned())
}

/// What the value of a header field can be: nothing that ends a line, no spaces around it (RFC 9110 §5.5).
fn is_value(text: &str) -> bool {
    !text.bytes().any(|b| b.is_ascii_control() && b != b'\t') && text.trim() == text
}

fn test<'t>(
    item: &Item<'t>,
    legal: impl Fn(&str) -> bool,
    regexes: &mut Regexes<'t>,
    faults: &mut Faults,
) -> Option<Test> {
    const EXPECTED: &str = "a text or a table such as { prefix = \"v2\" }";
    let fields = match item.value() {
        Value::String(text) => return value(text, item, legal, faults).map(Test::Is),
        Value::Table(fields) => fields,
        Value::Array(_) => {
            let suggestion = "write { regex = \"^(a|b)$\" } for one of several".to_owned();
            return item.wrong_type(EXPECTED, Some(suggestion), faults);
        }
        Value::Other => {
            let number = item.decimal().map(|number| format!("write \"{number}\""));
            let suggestion = number.unwrap_or_else(|| "write { present = true }".to_owned());
            return item.wrong_type(EXPECTED, Some(suggestion), faults);
        }
    };
    fields.check(TESTS, faults);
    let there: Vec<_> = TESTS.iter().filter_map(|key| fields.get(key)).collect();
    match there.as_slice() {
        [] => {
            if !fields.misspells(TESTS, TESTS) {
                let message = format!("{} says nothing of the value", shown(item.path()));
                let fault = Diagnostic::error(codes::MISSING, item.span(), message);
                faults.push(fault.suggest("write { present = true }".to_owned()));
            }
            None
        }
        [one] => match one.key {
            "present" => {
                one.boolean(faults).map(|is| if is { Test::Present } else { Test::Absent })
            }
            "regex" => regexes.read(one, faults).map(Test::Matches),
            _ => {
                let text = text(one, "the beginning of the value", "v2", faults)?;
                // The value goes on behind it, so spaces at its end stand in the middle: `Bearer `.
                let begins = |text: &str| {
                    let word = text.trim_end_matches([' ', '\t']);
                    legal(text) || (!word.is_empty() && legal(word))
                };
                value(text, one, begins, faults).map(Test::Begins)
            }
        },
        [one, other, ..] => {
            conflict(one, other, faults);
            None
        }
    }
}

/// A value, or its beginning.
fn value(
    text: &str,
    item: &Item<'_>,
    legal: impl Fn(&str) -> bool,
    faults: &mut Faults,
) -> Option<String> {
    if legal(text) {
        return Some(text.to_owned());
    }
    let why = "no header field has such a value: control characters, or spaces around it";
    let meant = text.trim();
    let suggestion = legal(meant).then(|| format!("write {}", quoted(meant)));
    item.refuse(codes::HEADER, format!("{}: {why}", quoted(text)), suggestion, faults)
}
