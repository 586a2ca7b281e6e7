//! `[tokens]`: who may do what with which services.

use std::collections::{BTreeMap, BTreeSet};

use coregate_core::base::limits;

use super::secrets::{self, Example};
use super::services::Declared;
use super::{check_name, name_fault, strings, too_many};
use crate::codes;
use crate::fields::Fields;
use crate::item::{Item, quoted};
use crate::language::{self, known};
use crate::nearest::nearest;
use crate::report::{Diagnostic, Faults};
use crate::{Grant, Scope, ServicePattern};

const KEYS: &[&str] = known!(language::GRANT);

/// What suggestions show.
const TOKEN: Example = Example { variable: "DEPLOY_TOKEN", file: "deploy.token" };

/// What others call a scope.
const OTHER_NAMES: [(&str, Scope); 7] = [
    ("get", Scope::Read),
    ("list", Scope::Read),
    ("watch", Scope::Read),
    ("deregister", Scope::Register),
    ("write", Scope::Register),
    ("admin", Scope::Operate),
    ("drain", Scope::Operate),
];

/// The tokens by their names.
pub(super) fn read<'t>(
    root: &Fields<'t>,
    declared: &Declared<'t>,
    faults: &mut Faults,
) -> BTreeMap<String, Grant> {
    let mut grants = BTreeMap::new();
    let Some(item) = root.get("tokens") else { return grants };
    let Some(tables) = of(&item, faults) else { return grants };
    let items = tables.items();
    too_many(&item, "tokens", items.len(), limits::GRANTS, faults);
    for item in &items {
        check_name("token", item, faults);
        let Some(fields) = of(item, faults) else { continue };
        if let Some(grant) = grant(item, &fields, declared, faults) {
            grants.insert(item.key.to_owned(), grant);
        }
    }
    grants
}

/// The table that is expected here. What stands in its place may be a token, which is not shown.
fn of<'t>(item: &Item<'t>, faults: &mut Faults) -> Option<Fields<'t>> {
    if item.fields().is_none() {
        item.hide(faults);
    }
    item.table(faults)
}

fn grant<'t>(
    item: &Item<'t>,
    fields: &Fields<'t>,
    declared: &Declared<'t>,
    faults: &mut Faults,
) -> Option<Grant> {
    fields.check(KEYS, faults);
    let token = must(item, fields, "token", "{ env = \"DEPLOY_TOKEN\" }", faults);
    let token = token.and_then(|item| secrets::secret(&item, TOKEN, faults));
    let example = format!("[\"{}\"]", declared.any());
    let services = must(item, fields, "services", &example, faults);
    let services = services.map(|item| patterns(&item, declared, faults));
    let scopes = must(item, fields, "scopes", "[\"read\", \"register\"]", faults);
    let scopes = scopes.map(|item| {
        let words = strings(&item, "scope", "read", faults);
        words.into_iter().filter_map(|(word, item)| scope(word, &item, faults)).collect()
    });
    Some(Grant { token: token?, services: services?, scopes: scopes? })
}

/// A key that no token can do without.
fn must<'t>(
    token: &Item<'t>,
    fields: &Fields<'t>,
    key: &str,
    example: &str,
    faults: &mut Faults,
) -> Option<Item<'t>> {
    let found = fields.get(key);
    if found.is_none() && !fields.misspells(&[key], KEYS) {
        let message = format!("token `{}` has no `{key}`", token.key);
        let fault = Diagnostic::error(codes::MISSING, token.span(), message);
        faults.push(fault.suggest(format!("write {key} = {example}")));
    }
    found
}

/// The services that a token is for.
fn patterns<'t>(
    item: &Item<'t>,
    declared: &Declared<'t>,
    faults: &mut Faults,
) -> BTreeSet<ServicePattern> {
    let texts = strings(item, "service", declared.any(), faults);
    too_many(item, "services of a token", texts.len(), limits::GRANT_SERVICES, faults);
    let mut patterns = BTreeSet::new();
    for (text, item) in texts {
        patterns.extend(pattern(text, &item, declared, faults));
    }
    patterns
}

fn pattern<'t>(
    text: &str,
    item: &Item<'t>,
    declared: &Declared<'t>,
    faults: &mut Faults,
) -> Option<ServicePattern> {
    let Some(pattern) = ServicePattern::read(text) else {
        let why = format!("{}: `*` stands at the end of a name alone", quoted(text));
        let start = text.split('*').next().unwrap_or_default();
        // That of all services is hardly meant.
        let suggestion =
            (!start.is_empty()).then(|| format!("write {}", quoted(&format!("{start}*"))));
        return item.refuse(codes::NAME, why, suggestion, faults);
    };
    match &pattern {
        ServicePattern::Name(name) => declared.check(name, item.value_span(), faults),
        ServicePattern::Prefix(prefix) => {
            if let Some(fault) =
                name_fault("service", prefix, item.value_span()).filter(|_| !prefix.is_empty())
            {
                faults.push(fault);
                return None;
            }
            if declared.misses(prefix) {
                let message = format!("no service begins with {}", quoted(prefix));
                faults.push(Diagnostic::warning(codes::NO_SERVICE, item.value_span(), message));
            }
        }
    }
    Some(pattern)
}

fn scope(word: &str, item: &Item<'_>, faults: &mut Faults) -> Option<Scope> {
    let found = Scope::ALL.into_iter().find(|scope| scope.as_str() == word);
    if found.is_none() {
        let lower = word.trim().to_ascii_lowercase();
        let other = OTHER_NAMES.iter().find(|(other, _)| *other == lower);
        let near = match other {
            Some((_, scope)) => Some(scope.as_str()),
            None => nearest(&lower, Scope::ALL.map(Scope::as_str)),
        };
        let suggestion = match near {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if lower == "*" || lower == "all" => {
                "write [\"read\", \"register\", \"operate\"]".to_owned()
            }
            None => "write \"read\"".to_owned(),
        };
        let why = format!("{}: expected \"read\", \"register\" or \"operate\"", quoted(word));
        return item.refuse(codes::WORD, why, Some(suggestion), faults);
    }
    found
}
