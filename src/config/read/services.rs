//! `[services]`: where requests can go, and on what terms.

use std::collections::BTreeMap;
use std::ops::Range;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{Address, PoolTerms, ServicePlan, ServiceTimeouts};

use super::{check_name, too_many};
use crate::address::{self, Seen};
use crate::codes;
use crate::item::{Fields, Item, Value, not_supported, quoted};
use crate::report::{Diagnostic, Faults};

const KEYS: &[&str] = &["instances", "timeout", "pool"];
const TIMEOUT: &[&str] = &["connect", "first_byte", "body"];
const POOL: &[&str] = &["idle_per_worker", "idle", "age"];

/// Idle connections to one instance: there are no more ports than that to come from.
const IDLE_PER_WORKER_MAX: u64 = 65_535;

/// What suggestions show.
const PORT: u16 = 9000;

/// The names of all services and where they stand, those that cannot be read included.
pub(super) fn declared<'t>(root: &Fields<'t>) -> BTreeMap<&'t str, Range<usize>> {
    let Some(Value::Table(services)) = root.get("services").map(|item| item.value()) else {
        return BTreeMap::new();
    };
    services.items().into_iter().map(|item| (item.key, item.span())).collect()
}

pub(super) fn read(root: &Fields<'_>, faults: &mut Faults) -> Vec<ServicePlan> {
    let Some(item) = root.get("services") else { return Vec::new() };
    let Some(tables) = item.table(faults) else { return Vec::new() };
    let items = tables.items();
    too_many(&item, "services", items.len(), limits::SERVICES, faults);
    let mut services = Vec::with_capacity(items.len());
    for item in &items {
        check_name("service", item, faults);
        if let Some(fields) = item.table(faults) {
            services.push(service(item, &fields, faults));
        }
    }
    services
}

fn service(item: &Item<'_>, fields: &Fields<'_>, faults: &mut Faults) -> ServicePlan {
    fields.check(KEYS, faults);
    let instances = match fields.get("instances") {
        Some(item) => instances(&item, faults),
        None if fields.misspells(&["instances"], KEYS) => Vec::new(),
        None => {
            // These would say where the instances come from; that they are not supported has been said.
            if !fields.has_any(&["extends", "register"]) {
                let message = format!("service `{}` has no `instances`", item.key);
                let fault = Diagnostic::error(codes::MISSING, item.span(), message);
                faults.push(fault.suggest(format!("write instances = [\"127.0.0.1:{PORT}\"]")));
            }
            Vec::new()
        }
    };
    let mut timeout = ServiceTimeouts::default();
    if let Some(fields) = fields.get("timeout").and_then(|item| item.table(faults)) {
        fields.check(TIMEOUT, faults);
        fields.read("connect", &mut timeout.connect, faults, Item::duration);
        fields.read("first_byte", &mut timeout.first_byte, faults, Item::duration);
        fields.read("body", &mut timeout.body, faults, Item::duration);
    }
    let mut pool = PoolTerms::default();
    if let Some(fields) = fields.get("pool").and_then(|item| item.table(faults)) {
        fields.check(POOL, faults);
        fields.read("idle_per_worker", &mut pool.idle_per_worker, faults, |item, faults| {
            item.integer(0..=IDLE_PER_WORKER_MAX, faults).map(|count| count as usize)
        });
        fields.read("idle", &mut pool.idle, faults, Item::duration);
        fields.read("age", &mut pool.age, faults, Item::duration);
    }
    ServicePlan { name: item.key.to_owned(), instances, timeout, pool }
}

fn instances(item: &Item<'_>, faults: &mut Faults) -> Vec<Address> {
    let items = match item.value() {
        Value::Array(items) => items,
        Value::String(text) => {
            match lookup(text) {
                Some(scheme) => faults.push(lookup_fault(item, scheme)),
                None => {
                    let suggestion = Some(format!("write [{}]", quoted(text)));
                    item.wrong_type::<()>("an array of addresses", suggestion, faults);
                }
            }
            return Vec::new();
        }
        Value::Table(_) | Value::Other => {
            item.wrong_type::<()>("an array of addresses", None, faults);
            return Vec::new();
        }
    };
    too_many(item, "instances of a service", items.len(), limits::INSTANCES_PER_SERVICE, faults);
    let mut seen = Seen::default();
    let mut instances = Vec::with_capacity(items.len());
    for item in &items {
        if let Some(address) = instance(item, faults) {
            seen.note(&address, item, faults);
            instances.push(address);
        }
    }
    instances
}

fn instance(item: &Item<'_>, faults: &mut Faults) -> Option<Address> {
    if let Value::String(text) = item.value() {
        if let Some(scheme) = lookup(text) {
            faults.push(lookup_fault(item, scheme));
            return None;
        }
        if let Some((_, words)) = text.split_once(' ').filter(|(_, words)| words.contains('=')) {
            let what = format!("{} after an address", quoted(words.trim()));
            faults.push(not_supported(item.value_span(), &what));
            return None;
        }
    }
    let address = address::read(item, PORT, faults)?;
    if matches!(address, Address::Tcp(address) if address.port() == 0) {
        return item.refuse(codes::ADDRESS, "port 0: expected 1 to 65535", None, faults);
    }
    Some(address)
}

/// The scheme of instances that would be looked up.
fn lookup(text: &str) -> Option<&'static str> {
    ["dns:", "srv:", "file_sd:"].into_iter().find(|scheme| text.starts_with(scheme))
}

fn lookup_fault(item: &Item<'_>, scheme: &str) -> Diagnostic {
    not_supported(item.value_span(), &format!("`{scheme}`"))
        .suggest("write the addresses: [\"10.0.0.11:9000\"]".to_owned())
}
