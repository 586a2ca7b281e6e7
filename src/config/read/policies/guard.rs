//! What a route says of who is let in, and how much: `auth`, `allow`, `deny`, `rate`, `quota`.

use std::ops::Range;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{Access, AuthPlan, Principal, RoutePolicies, is_name};

use super::consumers::{GROUP, name_fault};
use super::keys::twice;
use super::rates::{self, Rate};
use super::{Policies, perhaps};
use crate::codes;
use crate::fields::Fields;
use crate::item::{Item, Value, quoted, shown};
use crate::read::too_many;
use crate::report::{Diagnostic, Faults};

/// What a route says. Its own rates are called after it once its name is known.
#[derive(Debug, Default)]
pub(in crate::read) struct Guarded {
    auth: Option<String>,
    access: Access,
    rates: Vec<OneRate>,
    quotas: Vec<String>,
}

#[derive(Debug)]
enum OneRate {
    Named(String),
    Own(Box<Rate>),
}

impl Guarded {
    /// As it stands in a plan. The route's own rates are called after it, `ROUTE#1` and so on, and put to `own`.
    pub(in crate::read) fn of_route(self, route: &str, own: &mut Vec<Rate>) -> RoutePolicies {
        let Self { auth, access, rates, quotas } = self;
        let mut count = 0;
        let name = |rate| match rate {
            OneRate::Named(name) => name,
            OneRate::Own(mut rate) => {
                count += 1;
                rate.plan.name = format!("{route}#{count}");
                let name = rate.plan.name.clone();
                own.push(*rate);
                name
            }
        };
        RoutePolicies { auth, access, rates: rates.into_iter().map(name).collect(), quotas }
    }
}

/// Whether it is found out who calls.
#[derive(Debug)]
enum Asked {
    Yes,
    /// Nobody is; perhaps where that is said.
    No(Option<Range<usize>>),
    /// It cannot be said: what stands there is wrong, or, in `[defaults]`, each route says so.
    Unsaid,
}

/// Reads what a route says.
pub(in crate::read) fn read(
    fields: &Fields<'_>,
    policies: &Policies<'_>,
    faults: &mut Faults,
) -> Guarded {
    let item = fields.get("auth");
    let (auth, asked) = match item.as_ref().map(|item| (item, auth(item, policies, faults))) {
        None => (None, Asked::No(None)),
        Some((item, None)) if item.is_false() => (None, Asked::No(Some(item.span()))),
        Some((_, None)) => (None, Asked::Unsaid),
        Some((_, auth)) => (auth, Asked::Yes),
    };
    guarded(fields, policies, (auth, asked), faults)
}

/// Reports what is wrong with what `[defaults]` holds for routes.
pub(in crate::read) fn check(fields: &Fields<'_>, policies: &Policies<'_>, faults: &mut Faults) {
    if let Some(item) = fields.get("auth") {
        auth(&item, policies, faults);
    }
    guarded(fields, policies, (None, Asked::Unsaid), faults);
}

fn guarded(
    fields: &Fields<'_>,
    policies: &Policies<'_>,
    (auth, asked): (Option<String>, Asked),
    faults: &mut Faults,
) -> Guarded {
    let [allow, deny] = ["allow", "deny"].map(|key| {
        fields.get(key).map(|item| principals(&item, policies, &asked, faults)).unwrap_or_default()
    });
    if let Some(item) = fields.get("deny") {
        for principal in deny.iter().filter(|principal| allow.contains(principal)) {
            let message = format!("{} stands in `allow` too", principal_text(principal));
            let fault = Diagnostic::error(codes::CONFLICT, item.value_span(), message);
            let fault = match fields.get("allow") {
                Some(allow) => fault.also(allow.value_span(), "let in"),
                None => fault,
            };
            faults.push(fault.suggest("remove it from one of them".to_owned()));
        }
    }
    let rates = fields.get("rate").map(|item| all_rates(&item, policies, &asked, faults));
    let quotas = fields.get("quota").map(|item| all_quotas(&item, policies, &asked, faults));
    Guarded {
        auth,
        access: Access { allow, deny },
        rates: rates.unwrap_or_default(),
        quotas: quotas.unwrap_or_default(),
    }
}

/// The name of a way to authenticate; none for `false`.
pub(in crate::read) fn auth(
    item: &Item<'_>,
    policies: &Policies<'_>,
    faults: &mut Faults,
) -> Option<String> {
    match item.value() {
        Value::String(name) => {
            let before = faults.errors();
            policies.auths.check(name, item, faults);
            (faults.errors() == before).then(|| name.to_owned())
        }
        Value::Other if item.is_false() => None,
        Value::Table(_) | Value::Array(_) | Value::Other => {
            let suggestion = match item.value() {
                Value::Table(_) => {
                    "write auth = \"main\", and what stands here below [auth.main]".to_owned()
                }
                _ => format!("write auth = \"{}\"", AuthPlan::KEY),
            };
            item.wrong_type("the name of a way to authenticate, or false", Some(suggestion), faults)
        }
    }
}

/// Consumers, and groups of them.
fn principals(
    item: &Item<'_>,
    policies: &Policies<'_>,
    asked: &Asked,
    faults: &mut Faults,
) -> Vec<Principal> {
    let texts = perhaps(item, "consumer or group", "group:gold", faults);
    if let (Asked::No(place), false) = (asked, texts.is_empty()) {
        let message =
            format!("{}: this route has no `auth` to find out who calls", shown(item.path()));
        let fault = Diagnostic::error(codes::NOBODY_KNOWN, item.span(), message);
        faults.push(unasked(fault, place));
    }
    too_many(item, "consumers and groups", texts.len(), limits::PRINCIPALS, faults);
    let mut all = Vec::new();
    for (text, item) in texts {
        let Some(principal) = principal(text, &item, policies, faults) else { continue };
        match all.contains(&principal) {
            true => twice(&quoted(text), &item, None, faults),
            false => all.push(principal),
        }
    }
    all
}

fn principal(
    text: &str,
    item: &Item<'_>,
    policies: &Policies<'_>,
    faults: &mut Faults,
) -> Option<Principal> {
    let (what, name) = match text.strip_prefix(GROUP) {
        Some(name) => ("group", name),
        None => ("consumer", text),
    };
    if let Some(why) = name_fault(what, name) {
        let bare = name.trim_start_matches(['@', ' ']).trim_end();
        let before = if what == "group" { GROUP } else { "" };
        let write = is_name(bare).then(|| format!("write \"{before}{bare}\""));
        let write = match text.trim() {
            "*" | "all" | "any" => {
                Some("leave it out: then all are let in who are known".to_owned())
            }
            _ => write,
        };
        faults.push(Diagnostic::error(codes::NAME, item.value_span(), why).suggest(write));
        return None;
    }
    match what {
        "group" => {
            policies.consumers.check_group(name, GROUP, (item, item.value_span()), faults);
            Some(Principal::Group(name.to_owned()))
        }
        _ => {
            policies.consumers.check(name, item, faults);
            Some(Principal::Consumer(name.to_owned()))
        }
    }
}

fn principal_text(principal: &Principal) -> String {
    match principal {
        Principal::Consumer(name) => quoted(name),
        Principal::Group(name) => quoted(&format!("{GROUP}{name}")),
    }
}

/// A rate or several, by their names or as they are.
fn all_rates(
    item: &Item<'_>,
    policies: &Policies<'_>,
    asked: &Asked,
    faults: &mut Faults,
) -> Vec<OneRate> {
    let items = match item.value() {
        Value::Array(items) => items,
        Value::String(_) | Value::Table(_) | Value::Other => vec![item.clone()],
    };
    too_many(item, "rates of a route", items.len(), limits::RATES_OF_ROUTE, faults);
    let mut all: Vec<OneRate> = Vec::new();
    for item in &items {
        let (asks, one) = match item.value() {
            Value::String(name) if is_named(name, policies) => {
                let Some(rate) = policies.rates.named(name, item, faults) else { continue };
                (rate.and_then(|rate| rate.asks.clone()), OneRate::Named(name.to_owned()))
            }
            _ => {
                let Some(rate) = rates::rate(item, "", &policies.consumers, faults) else {
                    continue;
                };
                (rate.asks.clone(), OneRate::Own(Box::new(rate)))
            }
        };
        if let OneRate::Named(name) = &one
            && all.iter().any(|other| matches!(other, OneRate::Named(other) if other == name))
        {
            twice(&format!("rate {}", quoted(name)), item, None, faults);
            continue;
        }
        if let (Asked::No(place), Some((key, asks))) = (asked, asks) {
            let message =
                format!("this rate asks who calls (`{key}`), and the route has no `auth`");
            let fault = Diagnostic::error(codes::NOBODY_KNOWN, item.value_span(), message);
            let fault = fault.also(asks, "here it asks");
            faults.push(unasked(fault, place));
        }
        all.push(one);
    }
    all
}

/// A quota or several, by their names.
fn all_quotas(
    item: &Item<'_>,
    policies: &Policies<'_>,
    asked: &Asked,
    faults: &mut Faults,
) -> Vec<String> {
    let named = policies.quotas.named(item, faults).into_iter();
    let mut names = Vec::new();
    for (name, span, asks) in named {
        if let (Asked::No(place), Some(asks)) = (asked, asks) {
            let message = "this quota asks who calls (`per`), and the route has no `auth`";
            let fault = Diagnostic::error(codes::NOBODY_KNOWN, span, message);
            faults.push(unasked(fault.also(asks, "here it asks"), place));
        }
        names.push(name);
    }
    names
}

/// What to do where nobody is asked; `place` is that of an `auth` that says so.
fn unasked(fault: Diagnostic, place: &Option<Range<usize>>) -> Diagnostic {
    let fault = match place {
        Some(place) => fault.also(place.clone(), "nobody is asked here"),
        None => fault,
    };
    fault.suggest(format!("write auth = \"{}\"", AuthPlan::KEY))
}

/// Whether a text is rather the name of a rate than one itself.
fn is_named(text: &str, policies: &Policies<'_>) -> bool {
    let rate = text.contains('/') || text.starts_with(|c: char| c.is_ascii_digit());
    policies.rates.has(text) || !rate
}
