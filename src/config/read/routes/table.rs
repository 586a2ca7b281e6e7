//! What stands under the key of a route: the name of a service, or a table that says what becomes of its requests.

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{Action, Forward, PathPattern, Regex, RouteTerms, When};

use super::key::Key;
use super::regexes::Regexes;
use super::{answer, forward, when};
use crate::advice;
use crate::codes;
use crate::fields::Fields;
use crate::item::{Item, Value, quoted, shown};
use crate::language::{self, known};
use crate::read::policies::Policies;
use crate::read::policies::guard::{self, Guarded};
use crate::read::services::Declared;
use crate::read::{conflict, name_fault, text};
use crate::report::{Diagnostic, Faults};

const KEYS: &[&str] = known!(language::ROUTE);
/// What becomes of a request: one of these.
const ACTIONS: &[&str] = &["to", "split", "redirect", "respond"];
/// What only requests that go to a service have.
const FORWARD: &[&str] = &["strip_prefix", "rewrite", "timeout"];
const LIMITS: &[&str] = known!(language::ROUTE_LIMITS);
const TIMEOUT: &[&str] = known!(language::ROUTE_TIMEOUT);

/// A route without its host and, most often, its path, which the key has.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) name: Option<String>,
    pub(super) regex: Option<Regex>,
    pub(super) when: When,
    pub(super) priority: i32,
    pub(super) action: Action,
    pub(super) terms: RouteTerms,
    pub(super) guard: Guarded,
}

/// Reads what a route is. Without a key, which was refused, it is read for its faults alone.
pub(super) fn read<'t>(
    item: &Item<'t>,
    key: Option<&Key>,
    known @ (services, _): (&Declared<'t>, &Policies<'t>),
    regexes: &mut Regexes<'t>,
    faults: &mut Faults,
) -> Option<Read> {
    match item.value() {
        Value::String(_) => Some(Read {
            name: None,
            regex: None,
            when: when::read(None, key, regexes, faults),
            priority: 0,
            action: Action::Forward(forward::to(item, services, faults)?),
            terms: RouteTerms::default(),
            guard: Guarded::default(),
        }),
        Value::Table(fields) if is_split(&fields) => {
            let message = format!("route {}: shares stand in `split`", shown(item.key));
            let write = advice::split(item);
            let write = write.map(|split| split.replacen("write ", "write { ", 1) + " }");
            let fault = Diagnostic::error(codes::MISSING, item.span(), message);
            faults.push(fault.suggest(write));
            None
        }
        Value::Table(fields) => table(item, &fields, key, known, regexes, faults),
        Value::Array(_) | Value::Other => {
            let status = item.decimal().filter(|number| number.len() == 3);
            let suggestion = Some(match status {
                Some(status) => format!("write {{ respond = {status} }}"),
                None => format!("write \"{}\"", services.any()),
            });
            item.wrong_type("the name of a service or a table", suggestion, faults)
        }
    }
}

/// Whether the keys are services and their shares, without the `split` around them.
fn is_split(fields: &Fields<'_>) -> bool {
    let items = fields.items();
    let share =
        |item: &Item<'_>| matches!(item.value(), Value::String(text) if text.ends_with('%'));
    !items.is_empty() && items.iter().all(|item| share(item) && !KEYS.contains(&item.key))
}

fn table<'t>(
    item: &Item<'t>,
    fields: &Fields<'t>,
    key: Option<&Key>,
    (services, policies): (&Declared<'t>, &Policies<'t>),
    regexes: &mut Regexes<'t>,
    faults: &mut Faults,
) -> Option<Read> {
    fields.check(KEYS, faults);
    let before = faults.errors();
    let name = fields.get("name").and_then(|item| name(&item, faults));
    let when = when::read(fields.get("when").as_ref(), key, regexes, faults);
    let mut priority = 0;
    fields.read("priority", &mut priority, faults, self::priority);
    let regex = fields.get("path_regex");
    let regex = regex.and_then(|regex| path_regex(&regex, fields, key, regexes, faults));
    let pattern = match (&regex, key) {
        (Some(regex), _) => Some(PathPattern::Regex(regex.clone())),
        (None, Some(key)) if !fields.has_any(&["path_regex"]) => Some(key.path.clone()),
        (None, _) => None,
    };
    let terms = terms(fields, faults);
    let guard = guard::read(fields, policies, faults);
    let action = action(item, fields, pattern.as_ref(), services, faults)?;
    (faults.errors() == before).then_some(Read {
        name,
        regex,
        when,
        priority,
        action,
        terms,
        guard,
    })
}

/// What becomes of the requests.
fn action<'t>(
    item: &Item<'t>,
    fields: &Fields<'t>,
    pattern: Option<&PathPattern>,
    services: &Declared<'t>,
    faults: &mut Faults,
) -> Option<Action> {
    let there: Vec<_> = ACTIONS.iter().filter_map(|key| fields.get(key)).collect();
    for other in there.iter().skip(1) {
        conflict(&there[0], other, faults);
    }
    let local = there.iter().find(|item| matches!(item.key, "redirect" | "respond"));
    for item in FORWARD.iter().filter_map(|key| fields.get(key)) {
        if let Some(local) = local {
            let (what, with) = (shown(item.path()), shown(local.key));
            let message = format!("{what} is for requests that go to a service, and with {with}");
            let message = format!("{message} none do");
            let fault = Diagnostic::error(codes::CONFLICT, item.span(), message);
            let fault = fault.also(local.span(), "answered here");
            faults.push(fault.suggest(format!("remove it, or {with}")));
        }
    }
    let mut actions = Vec::new();
    for item in &there {
        actions.extend(match item.key {
            "to" => forward::to(item, services, faults).map(Action::Forward),
            "split" => forward::split(item, services, faults).map(Action::Forward),
            "redirect" => answer::redirect(item, pattern, faults).map(Action::Redirect),
            _ => answer::respond(item, faults).map(Action::Respond),
        });
    }
    // A `fallback` would be one more, and that it is not supported has been said.
    let said = fields.has_any(&["fallback"]) || fields.misspells(ACTIONS, KEYS);
    if there.is_empty() && !said {
        let message = format!("route {} says not what becomes of its requests", shown(item.key));
        let fault = Diagnostic::error(codes::MISSING, item.span(), message);
        faults.push(fault.suggest(format!("write to = \"{}\"", services.any())));
    }
    let rewrite = match local {
        None => forward::rewrite(fields, pattern, faults),
        Some(_) => None,
    };
    Some(match actions.into_iter().next()? {
        Action::Forward(Forward { to, .. }) => Action::Forward(Forward { to, rewrite: rewrite? }),
        action => action,
    })
}

fn name(item: &Item<'_>, faults: &mut Faults) -> Option<String> {
    let name = text(item, "a name", "checkout", faults)?;
    match name_fault("route", name, item.value_span()) {
        None => Some(name.to_owned()),
        Some(fault) => {
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let meant: String = name.chars().map(|c| if legal(c) { c } else { '-' }).collect();
            let meant = Some(meant.trim_matches('-'))
                .filter(|it| (1..=limits::NAME_BYTES).contains(&it.len()));
            faults.push(fault.suggest(meant.map(|meant| format!("write {}", quoted(meant)))));
            None
        }
    }
}

fn priority(item: &Item<'_>, faults: &mut Faults) -> Option<i32> {
    let Some(decimal) = item.decimal() else {
        let number = match item.value() {
            Value::String(text) => text.trim().parse::<i32>().ok(),
            Value::Table(_) | Value::Array(_) | Value::Other => None,
        };
        let suggestion = format!("write {}", number.unwrap_or(10));
        return item.wrong_type("an integer such as 10", Some(suggestion), faults);
    };
    match decimal.parse() {
        Ok(priority) => Some(priority),
        Err(_) => {
            let decimal: String = decimal.chars().take(limits::NUMBER_CHARS).collect();
            let why = format!("{decimal}: expected {} to {}", i32::MIN, i32::MAX);
            item.refuse(codes::OUT_OF_RANGE, why, Some("write 10".to_owned()), faults)
        }
    }
}

/// A path by regular expression: its key takes all paths, and it must say when it is asked.
fn path_regex<'t>(
    item: &Item<'t>,
    fields: &Fields<'t>,
    key: Option<&Key>,
    regexes: &mut Regexes<'t>,
    faults: &mut Faults,
) -> Option<Regex> {
    if let Some(key) = key.filter(|key| key.path != PathPattern::ALL) {
        let message = format!("{}: with it the key must be \"/*\"", shown(item.path()));
        let fault = Diagnostic::error(codes::CONFLICT, item.span(), message);
        let fault = fault.also(key.span.clone(), "the key");
        let written = quoted(&format!("{}/*", key.before));
        faults.push(fault.suggest(format!("write {written}, and the path into the expression")));
    }
    if !fields.has_any(&["priority"]) && !fields.misspells(&["priority"], KEYS) {
        let message = "a route with `path_regex` needs a `priority`, which says when it is asked";
        let fault = Diagnostic::error(codes::MISSING, item.span(), message);
        faults.push(fault.suggest("write priority = 10".to_owned()));
    }
    regexes.read(item, faults)
}

/// Reports what is wrong with what `[defaults]` holds for routes.
pub(in crate::read) fn check_terms(
    fields: &Fields<'_>,
    policies: &Policies<'_>,
    faults: &mut Faults,
) {
    fields.check(known!(language::ROUTE_DEFAULTS), faults);
    terms(fields, faults);
    guard::check(fields, policies, faults);
}

fn terms(fields: &Fields<'_>, faults: &mut Faults) -> RouteTerms {
    let mut terms = RouteTerms::default();
    if let Some(fields) = fields.get("limits").and_then(|item| item.table(faults)) {
        fields.check(LIMITS, faults);
        let size = |item: &Item<'_>, faults: &mut Faults| item.size(1..=u64::MAX, faults).map(Some);
        fields.read("body", &mut terms.body_bytes, faults, size);
    }
    if let Some(fields) = fields.get("timeout").and_then(|item| item.table(faults)) {
        fields.check(TIMEOUT, faults);
        let time = |item: &Item<'_>, faults: &mut Faults| item.duration(faults).map(Some);
        fields.read("connect", &mut terms.connect, faults, time);
        fields.read("first_byte", &mut terms.first_byte, faults, time);
        fields.read("body", &mut terms.body, faults, time);
        fields.read("tunnel", &mut terms.tunnel, faults, time);
    }
    terms
}
