//! `[auth]`: ways to find out who calls.

use std::collections::BTreeMap;
use std::ops::Range;

use coregate_core::base::limits;
use coregate_core::http::hop;
use coregate_core::snapshot::plan::{AuthMethod, AuthPlan, KeyAuth, KeyPlace};

use super::keys::twice;
use crate::codes;
use crate::fields::Fields;
use crate::item::{Item, Value, quoted, shown};
use crate::language::{self, known};
use crate::nearest::nearest;
use crate::read::{check_name, conflict, headers, text, too_many};
use crate::report::{Diagnostic, Faults};
use crate::words::TOP;

const KEYS: &[&str] = known!(language::AUTH);
const PLACES: &[&str] = known!(language::KEY_PLACE);
/// Other ways, of which it is said that this build has not got them.
const LATER: &[&str] = &["jwt"];
const EXAMPLE: &str = "{ header = \"x-api-key\" }";

/// The ways there are.
#[derive(Debug, Default)]
pub(in crate::read) struct Auths<'t> {
    pub(super) plans: Vec<AuthPlan>,
    /// The names of all, those that cannot be read included.
    pub(super) places: BTreeMap<&'t str, Range<usize>>,
    /// Whether they are lost under a wrong name, which has been said.
    misspelled: bool,
}

/// Reads them.
pub(super) fn read<'t>(root: &Fields<'t>, faults: &mut Faults) -> Auths<'t> {
    let misspelled = root.misspells(&["auth"], TOP);
    let mut auths = Auths { misspelled, ..Auths::default() };
    let Some(item) = root.get("auth") else { return auths };
    let Some(tables) = item.table(faults) else { return auths };
    let items = tables.items();
    too_many(&item, "ways to authenticate", items.len(), limits::AUTHS, faults);
    for item in &items {
        auths.places.insert(item.key, item.span());
        check_name("auth", item, faults);
        if let Some(fields) = item.table(faults) {
            auths.plans.extend(auth(item, &fields, faults));
        }
    }
    auths
}

impl Auths<'_> {
    /// Whether there is one of this name; reported if not.
    pub(super) fn check(&self, name: &str, item: &Item<'_>, faults: &mut Faults) {
        if self.places.contains_key(name) || name == AuthPlan::KEY || self.misspelled {
            return;
        }
        let names = self.places.keys().copied().chain([AuthPlan::KEY]);
        let near = nearest(name, names).map(|near| format!("did you mean \"{near}\"?"));
        let suggestion = near.unwrap_or_else(|| {
            format!("write \"key\", or [auth.{name}] and below it key = {EXAMPLE}")
        });
        let why = format!("there is no way to authenticate {}", quoted(name));
        item.refuse::<()>(codes::UNKNOWN_POLICY, why, Some(suggestion), faults);
    }
}

fn auth(item: &Item<'_>, fields: &Fields<'_>, faults: &mut Faults) -> Option<AuthPlan> {
    fields.check(KEYS, faults);
    let mut plan = AuthPlan { name: item.key.to_owned(), ..AuthPlan::key() };
    fields.read("realm", &mut plan.realm, faults, realm);
    let AuthMethod::Key(KeyAuth { places, forward }) = &mut plan.method;
    fields.read("forward", forward, faults, Item::boolean);
    match fields.get("key") {
        Some(item) => *places = self::places(&item, faults),
        None if fields.misspells(&["key"], KEYS) || fields.has_any(LATER) => {}
        None => {
            let message =
                format!("auth {} does not say how it is found out who calls", shown(item.key));
            let fault = Diagnostic::error(codes::MISSING, item.span(), message);
            faults.push(fault.suggest(format!("write key = {EXAMPLE}")));
        }
    }
    Some(plan)
}

/// What stands between quotes in a header field of an answer (RFC 9110 §5.6.4).
fn realm(item: &Item<'_>, faults: &mut Faults) -> Option<String> {
    let text = text(item, "a realm", "partners", faults)?;
    let legal = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
    let most = limits::REALM_BYTES;
    if (1..=most).contains(&text.len()) && text.chars().all(legal) {
        return Some(text.to_owned());
    }
    let why = format!(
        "{}: expected 1 to {most} printable ASCII characters but `\"` and `\\`",
        quoted(text)
    );
    let meant: String = text.chars().filter(|c| legal(*c)).take(most).collect();
    let suggestion = (!meant.is_empty()).then(|| format!("write {}", quoted(&meant)));
    item.refuse(codes::HEADER, why, suggestion, faults)
}

/// One place or several.
fn places(item: &Item<'_>, faults: &mut Faults) -> Vec<KeyPlace> {
    let items = match item.value() {
        Value::Array(items) if items.is_empty() => {
            let suggestion = Some(format!("write {EXAMPLE}"));
            item.refuse::<()>(codes::MISSING, "expected at least one place", suggestion, faults);
            return Vec::new();
        }
        Value::Array(items) => items,
        Value::String(_) | Value::Table(_) | Value::Other => vec![item.clone()],
    };
    too_many(item, "places", items.len(), limits::KEY_PLACES, faults);
    let mut places: Vec<KeyPlace> = Vec::new();
    for item in &items {
        match place(item, faults) {
            Some(place) if places.contains(&place) => twice("this place", item, None, faults),
            Some(place) => places.push(place),
            None => {}
        }
    }
    places
}

fn place(item: &Item<'_>, faults: &mut Faults) -> Option<KeyPlace> {
    let fields = match item.value() {
        Value::Table(fields) => fields,
        Value::String(name) => {
            let suggestion = match hop::is_token(name.as_bytes()) {
                true => format!("write {{ header = {} }}", quoted(name)),
                false => format!("write {EXAMPLE}"),
            };
            return item.wrong_type(
                "a table that says where a key stands",
                Some(suggestion),
                faults,
            );
        }
        Value::Array(_) | Value::Other => {
            let suggestion = Some(format!("write {EXAMPLE}"));
            return item.wrong_type("a table that says where a key stands", suggestion, faults);
        }
    };
    fields.check(PLACES, faults);
    let there: Vec<_> = PLACES.iter().filter_map(|key| fields.get(key)).collect();
    match &there[..] {
        [one] => named(one, faults),
        // What stands here instead has been said.
        [] if !fields.items().is_empty() => None,
        [] => {
            let why = "expected `header`, `query` or `cookie`";
            item.refuse(codes::MISSING, why, Some(format!("write {EXAMPLE}")), faults)
        }
        [first, second, ..] => {
            conflict(first, second, faults);
            None
        }
    }
}

/// The name of a field, a parameter or a cookie.
fn named(item: &Item<'_>, faults: &mut Faults) -> Option<KeyPlace> {
    match item.key {
        "header" => {
            let name = text(item, "the name of a header field", "x-api-key", faults)?;
            headers::field(name, item, faults).map(KeyPlace::Header)
        }
        "query" => {
            let name = text(item, "the name of a parameter", "api_key", faults)?;
            if name.is_empty() {
                let write = Some("write \"api_key\"".to_owned());
                return item.refuse(codes::MISSING, "expected a name", write, faults);
            }
            Some(KeyPlace::Query(name.to_owned()))
        }
        _ => {
            let name = text(item, "the name of a cookie", "key", faults)?;
            if !hop::is_token(name.as_bytes()) {
                let why = format!("{}: expected the name of a cookie", quoted(name));
                return item.refuse(codes::HEADER, why, Some("write \"key\"".to_owned()), faults);
            }
            Some(KeyPlace::Cookie(name.to_owned()))
        }
    }
}
