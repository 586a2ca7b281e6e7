//! `[services]`: where requests can go, and on what terms.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use coregate_core::base::limits;
use coregate_core::proxy_protocol::ProxyVersion;
use coregate_core::snapshot::plan::{Address, Admission, PoolTerms, ServicePlan, ServiceTimeouts};

use super::secrets::{self, Example};
use super::{check_name, too_many};
use crate::address::{self, Seen};
use crate::fields::Fields;
use crate::item::{Item, Value, not_supported, quoted};
use crate::language::{self, known};
use crate::nearest::nearest;
use crate::node::is_bare;
use crate::report::{Diagnostic, Faults};
use crate::words::TOP;
use crate::{Secret, codes};

const KEYS: &[&str] = known!(language::SERVICE);
const TIMEOUT: &[&str] = known!(language::SERVICE_TIMEOUT);
const POOL: &[&str] = known!(language::POOL);

const REGISTER: &[&str] = known!(language::REGISTER);

/// What suggestions show.
const TOKEN: Example = Example { variable: "REGISTER_TOKEN", file: "register.token" };
const PORT: u16 = 9000;

/// The names of all services and where they stand, those that cannot be read included.
#[derive(Debug)]
pub(super) struct Declared<'t> {
    places: BTreeMap<&'t str, Range<usize>>,
    /// Whether the services are lost under a wrong name, which has been said.
    misspelled: bool,
}

impl<'t> Declared<'t> {
    pub(super) fn of(root: &Fields<'t>) -> Self {
        let places = match root.get("services").map(|item| item.value()) {
            Some(Value::Table(services)) => {
                services.items().into_iter().map(|item| (item.key, item.span())).collect()
            }
            _ => BTreeMap::new(),
        };
        Self { places, misspelled: root.misspells(&["services"], TOP) }
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    pub(super) fn places(&self) -> &BTreeMap<&'t str, Range<usize>> {
        &self.places
    }

    /// A service that suggestions can name.
    pub(super) fn any(&self) -> &'t str {
        self.places.keys().next().copied().unwrap_or("users")
    }

    /// The service that an item names; reported if there is none of that name.
    pub(super) fn named(&self, item: &Item<'t>, faults: &mut Faults) -> Option<&'t str> {
        let name = item.string("the name of a service", faults)?;
        self.check(name, item.value_span(), faults);
        Some(name)
    }

    /// Reports a name that stands at `span` and is no service's.
    pub(super) fn check(&self, name: &str, span: Range<usize>, faults: &mut Faults) {
        if !self.contains(name) && !self.misspelled {
            let message = format!("there is no service {}", quoted(name));
            let fault = Diagnostic::error(codes::UNKNOWN_SERVICE, span, message);
            let near = match faults.is_full() {
                false => nearest(name, self.places.keys().copied()),
                true => None,
            };
            let suggestion = match near {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => instead(name).unwrap_or_else(|| {
                    let name = if is_bare(name) { name } else { "users" };
                    format!(
                        "write [services.{name}] and below it instances = [\"127.0.0.1:{PORT}\"]"
                    )
                }),
            };
            faults.push(fault.suggest(suggestion));
        }
    }
}

/// What to write for an address that stands where the name of a service does.
pub(super) fn instead(text: &str) -> Option<String> {
    let url = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let bare = url.map_or(text, |url| url.split('/').next().unwrap_or_default());
    let address = bare.parse::<Address>().ok()?;
    Some(format!("write \"users\", and [services.users] with instances = [\"{address}\"]"))
}

/// The services, each with the place of its token where its instances may register with one.
pub(super) fn read(root: &Fields<'_>, faults: &mut Faults) -> Vec<(ServicePlan, Option<Secret>)> {
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

fn service(
    item: &Item<'_>,
    fields: &Fields<'_>,
    faults: &mut Faults,
) -> (ServicePlan, Option<Secret>) {
    fields.check(KEYS, faults);
    let instances = match fields.get("instances") {
        Some(item) => instances(&item, faults),
        None if fields.misspells(&["instances"], KEYS) => Vec::new(),
        None => {
            // What is wrong with these, or with the service that is extended, has been said.
            if !fields.has_any(&["extends", "register"]) {
                let message = format!("service `{}` has no `instances`", item.key);
                let fault = Diagnostic::error(codes::MISSING, item.span(), message);
                faults.push(fault.suggest(format!("write instances = [\"127.0.0.1:{PORT}\"]")));
            }
            Vec::new()
        }
    };
    let Terms { timeout, pool, proxy_protocol } = terms(fields, faults);
    let (register, token) = match fields.get("register") {
        Some(item) => admission(&item, faults),
        None => (Admission::Nobody, None),
    };
    let plan = ServicePlan {
        instances,
        timeout,
        pool,
        proxy_protocol,
        register,
        ..ServicePlan::named(item.key)
    };
    (plan, token)
}

/// Who may register instances.
fn admission(item: &Item<'_>, faults: &mut Faults) -> (Admission, Option<Secret>) {
    let Value::Table(fields) = item.value() else {
        let allowed = item.boolean(faults).unwrap_or_default();
        return (if allowed { Admission::Socket } else { Admission::Nobody }, None);
    };
    fields.check(REGISTER, faults);
    let token = match fields.get("token") {
        Some(token) => secrets::secret(&token, TOKEN, faults),
        None => {
            if !fields.misspells(&["token"], REGISTER) {
                let message = "`register` has no `token`";
                let fault = Diagnostic::error(codes::MISSING, item.span(), message);
                faults.push(fault.suggest(
                    "write register = { token = { env = \"REGISTER_TOKEN\" } }, or true for the Unix socket alone"
                        .to_owned(),
                ));
            }
            None
        }
    };
    (Admission::Token, token)
}

/// Reports what is wrong with what `[defaults]` holds for services.
pub(super) fn check_terms(fields: &Fields<'_>, faults: &mut Faults) {
    fields.check(KEYS, faults);
    terms(fields, faults);
}

/// The names of the services that others extend.
pub(super) fn extended<'t>(root: &Fields<'t>) -> HashSet<&'t str> {
    let services = root.get("services").and_then(|item| item.fields());
    let items = services.iter().flat_map(Fields::items);
    let extended = items.filter_map(|item| match item.fields()?.get("extends")?.value() {
        Value::String(name) => Some(name),
        Value::Table(_) | Value::Array(_) | Value::Other => None,
    });
    extended.collect()
}

/// The terms on which a service is spoken to.
struct Terms {
    timeout: ServiceTimeouts,
    pool: PoolTerms,
    proxy_protocol: Option<ProxyVersion>,
}

fn terms(fields: &Fields<'_>, faults: &mut Faults) -> Terms {
    let mut timeout = ServiceTimeouts::default();
    if let Some(fields) = fields.get("timeout").and_then(|item| item.table(faults)) {
        fields.check(TIMEOUT, faults);
        fields.read("connect", &mut timeout.connect, faults, Item::duration);
        fields.read("first_byte", &mut timeout.first_byte, faults, Item::duration);
        fields.read("body", &mut timeout.body, faults, Item::duration);
        fields.read("tunnel", &mut timeout.tunnel, faults, Item::duration);
    }
    let mut pool = PoolTerms::default();
    if let Some(fields) = fields.get("pool").and_then(|item| item.table(faults)) {
        fields.check(POOL, faults);
        fields.read("idle_per_worker", &mut pool.idle_per_worker, faults, |item, faults| {
            item.integer(0..=limits::POOL_IDLE_PER_WORKER_MAX, faults).map(|count| count as usize)
        });
        fields.read("idle", &mut pool.idle, faults, Item::duration);
        fields.read("age", &mut pool.age, faults, Item::duration);
    }
    let proxy_protocol = fields.get("proxy_protocol").and_then(|item| version(&item, faults));
    Terms { timeout, pool, proxy_protocol }
}

/// A version of the PROXY protocol.
fn version(item: &Item<'_>, faults: &mut Faults) -> Option<ProxyVersion> {
    const EXPECTED: &str = "\"v1\" or \"v2\"";
    let near = |text: &str| match text.trim().trim_start_matches(['v', 'V']) {
        "1" => Some("write \"v1\"".to_owned()),
        "2" => Some("write \"v2\"".to_owned()),
        _ => None,
    };
    if let Some(number) = item.decimal() {
        return item.wrong_type(EXPECTED, near(&number), faults);
    }
    match item.string(EXPECTED, faults)? {
        "v1" => Some(ProxyVersion::V1),
        "v2" => Some(ProxyVersion::V2),
        text => {
            let why = format!("{}: expected {EXPECTED}", quoted(text));
            item.refuse(codes::WORD, why, near(text), faults)
        }
    }
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
            let suggestion =
                address::of_port(item).map(|one| one.replace("write ", "write [") + "]");
            item.wrong_type::<()>("an array of addresses", suggestion, faults);
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
        if let Some(rest) = text.trim().strip_prefix("https://") {
            let bare = rest.split('/').next().filter(|bare| bare.parse::<Address>().is_ok());
            let fault = not_supported(item.value_span(), "TLS to instances");
            let write = |bare| format!("write {}, if it speaks HTTP without TLS", quoted(bare));
            faults.push(fault.suggest(bare.map(write)));
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
