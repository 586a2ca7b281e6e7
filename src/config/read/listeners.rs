//! `listen` and `[listeners]`: where clients come in, and on what terms.

use coregate_core::base::limits;
use coregate_core::http::parse::RequestLimits;
use coregate_core::snapshot::plan::{Address, ListenerPlan, ListenerTerms, RateHeaders};

use super::services::Declared;
use super::{addresses, check_name, too_many, trusted};
use crate::address::Seen;
use crate::fields::Fields;
use crate::item::{Item, Value, quoted};
use crate::language::{self, known};
use crate::report::{Diagnostic, Faults};
use crate::words::TOP;
use crate::{Listener, codes};

const KEYS: &[&str] = known!(language::LISTENER);
const TIMEOUT: &[&str] = known!(language::LISTENER_TIMEOUT);
const LIMITS: &[&str] = known!(language::LISTENER_LIMITS);

/// What is for requests, and means nothing with `tcp`; so are the [`SIZES`] of `limits`, the [`SILENCE`] keys of
/// `timeout`, and `head` unless there is a
/// PROXY protocol header that has the same deadline.
pub(crate) const FOR_REQUESTS: [&str; 2] = ["expose_reasons", "rate_headers"];
/// The keys of `limits` that are for requests.
pub(crate) const SIZES: [&str; 6] = ["head", "target", "fields", "body", "requests", "body_rate"];
/// The keys of `timeout` that bound silence between requests and in them.
pub(crate) const SILENCE: [&str; 2] = ["idle", "body"];

/// What suggestions show.
const PORT: u16 = 8080;

/// Reads the listeners; `seen` holds what others listen on already.
pub(super) fn read<'t>(
    root: &Fields<'t>,
    services: &Declared<'t>,
    seen: &mut Seen,
    faults: &mut Faults,
) -> Vec<(Listener, ListenerPlan)> {
    let (listen, listeners) = (root.get("listen"), root.get("listeners"));
    if let (Some(listen), Some(listeners)) = (&listen, &listeners) {
        let message = "`listen` and `listeners` cannot stand together";
        let fault = Diagnostic::error(codes::CONFLICT, listen.span(), message)
            .also(listeners.span(), "the listeners")
            .suggest("move the address into a `bind` under `[listeners.NAME]`".to_owned());
        faults.push(fault);
    }
    let mut all = Vec::new();
    if let Some(item) = &listen {
        let bind = addresses::read(item, PORT, seen, faults);
        let name = "default".to_owned();
        let mut plan = ListenerPlan { name: name.clone(), ..ListenerPlan::default() };
        // It has no table of its own to take the defaults over.
        let defaults = root.get("defaults").and_then(|item| item.fields()?.get("listener"));
        if let Some(fields) = defaults.and_then(|item| item.fields()) {
            take_terms(&fields, &mut plan, faults);
        }
        all.push((Listener { name, bind }, plan));
    }
    let tables = listeners.as_ref().and_then(|item| item.table(faults));
    for item in tables.iter().flat_map(Fields::items) {
        check_name("listener", &item, faults);
        if let Some(fields) = item.table(faults) {
            let bind = bind(&item, &fields, seen, faults);
            let listener = Listener { name: item.key.to_owned(), bind };
            all.push((listener, plan(&item, &fields, services, faults)));
        }
    }
    let empty = tables.is_some_and(|tables| tables.items().is_empty());
    match listeners.as_ref().or(listen.as_ref()) {
        Some(item) if !empty => {
            let count = all.iter().map(|(listener, _)| listener.bind.len()).sum();
            too_many(item, "addresses to listen on", count, limits::LISTENERS, faults);
        }
        None if root.misspells(&["listen", "listeners"], TOP) => {}
        None if misplaced(root) => {}
        place => {
            let message = "nothing to listen on: expected `listen` or `[listeners.NAME]`";
            let fault = Diagnostic::error(codes::MISSING, place.map(Item::span), message);
            faults.push(fault.suggest(format!("write listen = \"127.0.0.1:{PORT}\"")));
        }
    }
    all
}

/// Whether `listen` stands below another table, which is said there. The deepest is `[routes."HOST"."PATH"]`.
fn misplaced(root: &Fields<'_>) -> bool {
    ["runtime", "services", "routes"]
        .iter()
        .filter_map(|top| root.get(top))
        .any(|item| matches!(item.value(), Value::Table(fields) if fields.has_within("listen", 2)))
}

fn bind(
    item: &Item<'_>,
    fields: &Fields<'_>,
    seen: &mut Seen,
    faults: &mut Faults,
) -> Vec<Address> {
    match fields.get("bind") {
        Some(bind) => addresses::read(&bind, PORT, seen, faults),
        None if fields.misspells(&["bind"], KEYS) => Vec::new(),
        None => {
            let message = format!("listener `{}` has no `bind`", item.key);
            let fault = Diagnostic::error(codes::MISSING, item.span(), message);
            faults.push(fault.suggest(format!("write bind = \"127.0.0.1:{PORT}\"")));
            Vec::new()
        }
    }
}

/// Reads what a listener does with its clients.
pub(super) fn plan<'t>(
    item: &Item<'t>,
    fields: &Fields<'t>,
    services: &Declared<'t>,
    faults: &mut Faults,
) -> ListenerPlan {
    fields.check(KEYS, faults);
    let mut plan = ListenerPlan { name: item.key.to_owned(), ..ListenerPlan::default() };
    take_terms(fields, &mut plan, faults);
    if let Some(item) = fields.get("tcp") {
        only_http(&item, fields, faults);
        // One that cannot be read has been told of, and still says that no requests are read here.
        plan.tcp = Some(services.named(&item, faults).unwrap_or_default().to_owned());
    }
    plan
}

fn take_terms(fields: &Fields<'_>, plan: &mut ListenerPlan, faults: &mut Faults) {
    plan.terms = terms(fields, faults);
    if let Some(item) = fields.get("proxy_protocol") {
        plan.proxy_protocol = trusted::read(&item, faults);
    }
}

/// Reports the keys that mean nothing where connections are passed on as they are.
fn only_http(tcp: &Item<'_>, fields: &Fields<'_>, faults: &mut Faults) {
    let tunnel = "how long a connection may be silent is `timeout.tunnel` of its service";
    let mut found = Vec::new();
    if let Some(Value::Table(timeout)) = fields.get("timeout").map(|item| item.value()) {
        // A header of the PROXY protocol has this deadline too.
        if !fields.has_any(&["proxy_protocol"]) {
            found.extend(timeout.get("head").map(|item| (item, tunnel)));
        }
        let silence = SILENCE.into_iter().filter_map(|key| timeout.get(key));
        found.extend(silence.map(|item| (item, tunnel)));
    }
    if let Some(Value::Table(limits)) = fields.get("limits").map(|item| item.value()) {
        let sizes = SIZES.into_iter().filter_map(|key| limits.get(key));
        found.extend(sizes.map(|item| (item, "remove it, or `tcp`")));
    }
    let rest = FOR_REQUESTS.into_iter().filter_map(|key| fields.get(key));
    found.extend(rest.map(|item| (item, "remove it, or `tcp`")));
    for (item, suggestion) in found {
        let message = format!("`{}` is for requests, and with `tcp` none are read", item.path());
        let fault = Diagnostic::error(codes::CONFLICT, item.span(), message);
        faults.push(
            fault
                .also(tcp.span(), "connections are passed on as they are")
                .suggest(suggestion.to_owned()),
        );
    }
}

fn terms(fields: &Fields<'_>, faults: &mut Faults) -> ListenerTerms {
    let mut terms = ListenerTerms::default();
    if let Some(timeout) = fields.get("timeout").and_then(|item| item.table(faults)) {
        timeout.check(TIMEOUT, faults);
        timeout.read("head", &mut terms.head_timeout, faults, Item::duration);
        timeout.read("idle", &mut terms.idle_timeout, faults, Item::duration);
        timeout.read("body", &mut terms.body_timeout, faults, Item::duration);
    }
    if let Some(limits) = fields.get("limits").and_then(|item| item.table(faults)) {
        limits.check(LIMITS, faults);
        terms.request = request_limits(&limits, faults);
        limits.read("body", &mut terms.body_bytes, faults, |item, faults| {
            item.size(1..=u64::MAX, faults).map(Some)
        });
        limits.read("requests", &mut terms.requests, faults, |item, faults| {
            let count = item.integer(1..=u64::from(u32::MAX), faults)?;
            u32::try_from(count).ok()
        });
        limits.read("body_rate", &mut terms.body_rate, faults, |item, faults| {
            item.size(0..=limits::BODY_RATE_MAX, faults)
        });
        limits.read("connections", &mut terms.connections, faults, |item, faults| {
            item.integer(1..=limits::CONNECTIONS_OF_LISTENER_MAX, faults).map(Some)
        });
        let per_address = &mut terms.connections_per_address;
        limits.read("connections_per_address", per_address, faults, |item, faults| {
            item.integer(1..=limits::CONNECTIONS_PER_ADDRESS_MAX, faults).map(Some)
        });
    }
    fields.read("expose_reasons", &mut terms.expose_reasons, faults, Item::boolean);
    fields.read("rate_headers", &mut terms.rate_headers, faults, rate_headers);
    terms
}

/// `true`, `false` or `"draft"`.
fn rate_headers(item: &Item<'_>, faults: &mut Faults) -> Option<RateHeaders> {
    match item.value() {
        Value::String("draft") => Some(RateHeaders::Draft),
        Value::String(word) if !matches!(word, "true" | "false") => {
            let why = format!("{}: expected true, false or \"draft\"", quoted(word));
            item.refuse(codes::WORD, why, Some("write \"draft\"".to_owned()), faults)
        }
        _ => match item.boolean(faults)? {
            true => Some(RateHeaders::Plain),
            false => Some(RateHeaders::Off),
        },
    }
}

fn request_limits(fields: &Fields<'_>, faults: &mut Faults) -> RequestLimits {
    let mut request = RequestLimits::default();
    let head_max = limits::PAGE_LARGE_BYTES as u64;
    fields.read("head", &mut request.head_bytes, faults, |item, faults| {
        item.size(limits::REQUEST_HEAD_BYTES_MIN..=head_max, faults).map(|bytes| bytes as usize)
    });
    // With a small head and no word about the target, the target takes half of it.
    request.target_bytes = request.target_bytes.min(request.head_bytes / 2);
    let target_max = request.head_bytes as u64 - 1;
    fields.read("target", &mut request.target_bytes, faults, |item, faults| {
        item.size(1..=target_max, faults).map(|bytes| bytes as usize)
    });
    fields.read("fields", &mut request.fields, faults, |item, faults| {
        item.integer(1..=limits::REQUEST_FIELDS as u64, faults).map(|fields| fields as usize)
    });
    request
}
