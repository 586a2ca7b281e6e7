//! `[services]`: where requests can go, and on what terms.

mod bulkhead;
mod declared;
mod doubts;
mod health;
mod instances;
mod outlier;
mod sources;
mod statuses;
mod terms;
mod words;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{Address, Admission, ServicePlan};

pub(super) use self::declared::{Declared, extended, instead};
pub(crate) use self::health::{FOR_HTTP, QUESTIONS};
use self::instances::Instances;
use self::terms::Terms;
use super::policies::Policies;
use super::secrets::{self, Example};
use super::{check_name, too_many};
use crate::fields::Fields;
use crate::item::{Item, Value, shown};
use crate::language::{self, known};
use crate::report::{Diagnostic, Faults};
use crate::{Secret, codes};

const KEYS: &[&str] = known!(language::SERVICE);
const REGISTER: &[&str] = known!(language::REGISTER);

/// What suggestions show.
const TOKEN: Example = Example { variable: "REGISTER_TOKEN", file: "register.token" };
const PORT: u16 = 9000;

/// The services, each with the place of its token where its instances may register with one.
pub(super) fn read(
    root: &Fields<'_>,
    policies: &Policies<'_>,
    faults: &mut Faults,
) -> Vec<(ServicePlan, Option<Secret>)> {
    let Some(item) = root.get("services") else { return Vec::new() };
    let Some(tables) = item.table(faults) else { return Vec::new() };
    let items = tables.items();
    too_many(&item, "services", items.len(), limits::SERVICES, faults);
    let mut services = Vec::with_capacity(items.len());
    let mut probed = Vec::new();
    for item in &items {
        check_name("service", item, faults);
        if let Some(fields) = item.table(faults) {
            let (plan, token) = service(item, &fields, policies, faults);
            probed.extend(doubts::probed(&plan, &fields));
            services.push((plan, token));
        }
    }
    doubts::too_many_probes(&probed, faults);
    services
}

fn service(
    item: &Item<'_>,
    fields: &Fields<'_>,
    policies: &Policies<'_>,
    faults: &mut Faults,
) -> (ServicePlan, Option<Secret>) {
    fields.check(KEYS, faults);
    let Instances { addresses, weights, sources } = match fields.get("instances") {
        Some(item) => instances::read(&item, faults),
        None if fields.misspells(&["instances"], KEYS) => Instances::default(),
        None => {
            // What is wrong with these, or with the service that is extended, has been said.
            if !fields.has_any(&["extends", "register"]) {
                let message = format!("service `{}` has no `instances`", item.key);
                let fault = Diagnostic::error(codes::MISSING, item.span(), message);
                faults.push(fault.suggest(format!("write instances = [\"127.0.0.1:{PORT}\"]")));
            }
            Instances::default()
        }
    };
    let Terms { timeout, pool, proxy_protocol, health, outlier, slow_start, attempts, bulkhead } =
        terms::read(fields, policies, faults);
    let (register, token) = match fields.get("register") {
        Some(item) => admission(&item, faults),
        None => (Admission::Nobody, None),
    };
    let plan = ServicePlan {
        name: item.key.to_owned(),
        instances: addresses,
        timeout,
        pool,
        proxy_protocol,
        register,
        weights,
        sources,
        health,
        outlier,
        slow_start,
        attempts,
        bulkhead,
    };
    port_of_sockets(&plan, fields, faults);
    doubts::of(&plan, fields, faults);
    (plan, token)
}

/// Reports a port that is to be probed where an instance has none.
fn port_of_sockets(plan: &ServicePlan, fields: &Fields<'_>, faults: &mut Faults) {
    let socket = plan.instances.iter().find(|address| matches!(address, Address::Unix(_)));
    let health = fields.get("health").and_then(|item| item.fields());
    if let (Some(socket), Some(port)) = (socket, health.and_then(|health| health.get("port"))) {
        let message = format!("{}: {socket} has no port", shown(port.path()));
        let fault = Diagnostic::error(codes::CONFLICT, port.span(), message);
        let suggestion = "remove it, or put instances on Unix sockets into a service of their own";
        faults.push(fault.suggest(suggestion.to_owned()));
    }
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
pub(super) fn check_terms(fields: &Fields<'_>, policies: &Policies<'_>, faults: &mut Faults) {
    fields.check(KEYS, faults);
    terms::read(fields, policies, faults);
}
