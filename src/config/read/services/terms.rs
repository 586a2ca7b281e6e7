//! The terms on which a service is spoken to.

use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::proxy_protocol::ProxyVersion;
use coregate_core::snapshot::plan::{
    BulkheadPlan, HealthCheck, OutlierTerms, PoolTerms, ServiceTimeouts,
};

use super::{bulkhead, health, outlier};
use crate::codes;
use crate::fields::Fields;
use crate::item::{Item, Value, not_supported, quoted, shown};
use crate::language::{self, known};
use crate::read::policies::Policies;
use crate::report::Faults;

const TIMEOUT: &[&str] = known!(language::SERVICE_TIMEOUT);
const POOL: &[&str] = known!(language::POOL);
const RETRY: &[&str] = known!(language::RETRY);

/// What `retry` will say and this build cannot do.
const RETRY_LATER: [&str; 3] = ["backoff", "budget", "on"];

/// The terms on which a service is spoken to.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) timeout: ServiceTimeouts,
    pub(super) pool: PoolTerms,
    pub(super) proxy_protocol: Option<ProxyVersion>,
    pub(super) health: Option<HealthCheck>,
    pub(super) outlier: OutlierTerms,
    pub(super) slow_start: Duration,
    pub(super) attempts: u32,
    pub(super) bulkhead: Option<BulkheadPlan>,
}

/// Reads what `[defaults.service]` may hold too.
pub(super) fn read(fields: &Fields<'_>, policies: &Policies<'_>, faults: &mut Faults) -> Terms {
    let mut terms = Terms {
        timeout: timeouts(fields, faults),
        pool: pool(fields, faults),
        proxy_protocol: fields.get("proxy_protocol").and_then(|item| version(&item, faults)),
        health: fields.get("health").and_then(|item| health::read(&item, faults)),
        outlier: OutlierTerms::default(),
        slow_start: limits::SLOW_START,
        attempts: limits::ATTEMPTS,
        bulkhead: None,
    };
    fields.read("outlier", &mut terms.outlier, faults, outlier::read);
    fields.read("slow_start", &mut terms.slow_start, faults, Item::duration_or_none);
    fields.read("retry", &mut terms.attempts, faults, attempts);
    fields.read("bulkhead", &mut terms.bulkhead, faults, |item, faults| {
        bulkhead::read(item, policies, faults)
    });
    terms
}

fn timeouts(fields: &Fields<'_>, faults: &mut Faults) -> ServiceTimeouts {
    let mut timeout = ServiceTimeouts::default();
    if let Some(fields) = fields.get("timeout").and_then(|item| item.table(faults)) {
        fields.check(TIMEOUT, faults);
        fields.read("connect", &mut timeout.connect, faults, Item::duration);
        fields.read("first_byte", &mut timeout.first_byte, faults, Item::duration);
        fields.read("body", &mut timeout.body, faults, Item::duration);
        fields.read("tunnel", &mut timeout.tunnel, faults, Item::duration);
    }
    timeout
}

fn pool(fields: &Fields<'_>, faults: &mut Faults) -> PoolTerms {
    let mut pool = PoolTerms::default();
    if let Some(fields) = fields.get("pool").and_then(|item| item.table(faults)) {
        fields.check(POOL, faults);
        fields.read("idle_per_worker", &mut pool.idle_per_worker, faults, |item, faults| {
            item.integer(0..=limits::POOL_IDLE_PER_WORKER_MAX, faults).map(|count| count as usize)
        });
        fields.read("idle", &mut pool.idle, faults, Item::duration);
        fields.read("age", &mut pool.age, faults, Item::duration);
    }
    pool
}

/// What `retry` says of attempts, the first included.
fn attempts(item: &Item<'_>, faults: &mut Faults) -> Option<u32> {
    let Value::Table(fields) = item.value() else {
        let number = match item.is_false() {
            true => "1".to_owned(),
            false => item.decimal().unwrap_or_else(|| "2".to_owned()),
        };
        let suggestion = format!("write retry = {{ attempts = {number} }}, the first included");
        return item.wrong_type("a table", Some(suggestion), faults);
    };
    let fields = fields.without(&RETRY_LATER);
    fields.check(RETRY, faults);
    let later = item.fields().into_iter().flat_map(|fields| fields.items());
    for item in later.filter(|item| RETRY_LATER.contains(&item.key)) {
        faults.push(not_supported(item.span(), &shown(item.path())));
    }
    let most = u64::from(limits::ATTEMPTS_MAX);
    let attempts = fields.get("attempts")?.integer(1..=most, faults)?;
    u32::try_from(attempts).ok()
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
