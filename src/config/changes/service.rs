//! The terms of a service, as a file writes them: always the same keys in the same order, whatever is set.

use std::ops::RangeInclusive;

use coregate_core::proxy_protocol::ProxyVersion;
use coregate_core::snapshot::plan::{
    Admission, BulkheadPlan, HealthCheck, HttpProbe, OutlierTerms, PoolTerms, Probe, ServicePlan,
    ServiceTimeouts, Source,
};

use super::Term;
use super::terms::{Shown, differing, listed, or};
use crate::language::PASSING;
use crate::units::{show_duration, show_percent};

const NONE: &str = "none";

/// Those that differ.
pub(crate) fn terms(old: &ServicePlan, new: &ServicePlan) -> Vec<Term> {
    differing(old, new, of_service)
}

/// The terms of a service.
pub(crate) fn of_service(plan: &ServicePlan) -> Shown {
    let ServicePlan {
        name: _,
        instances: _,
        timeout,
        pool,
        proxy_protocol,
        register,
        weights: _,
        sources: _,
        health,
        outlier,
        slow_start,
        attempts,
        bulkhead,
    } = plan;
    let ServiceTimeouts { connect, first_byte, body, tunnel } = timeout;
    let PoolTerms { idle_per_worker, idle, age } = pool;
    let version = proxy_protocol.map(|version| match version {
        ProxyVersion::V1 => "v1",
        ProxyVersion::V2 => "v2",
    });
    let admission = match register {
        Admission::Nobody => "false",
        Admission::Socket => "true",
        Admission::Token => "with a token",
    };
    let mut terms = vec![
        ("instances", instances(plan)),
        ("timeout.connect", show_duration(*connect)),
        ("timeout.first_byte", show_duration(*first_byte)),
        ("timeout.body", show_duration(*body)),
        ("timeout.tunnel", show_duration(*tunnel)),
        ("pool.idle_per_worker", idle_per_worker.to_string()),
        ("pool.idle", show_duration(*idle)),
        ("pool.age", show_duration(*age)),
        ("proxy_protocol", or(&version, NONE)),
        ("register", admission.to_owned()),
    ];
    terms.extend(of_health(health.as_ref()));
    terms.extend(of_outlier(outlier));
    terms.push(("slow_start", show_duration(*slow_start)));
    terms.push(("retry.attempts", attempts.to_string()));
    terms.extend(of_bulkhead(bulkhead.as_ref()));
    terms
}

/// With none, its keys without values.
fn of_bulkhead(plan: Option<&BulkheadPlan>) -> Shown {
    let Some(plan) = plan else {
        return without_values(of_bulkhead(Some(&BulkheadPlan::default())));
    };
    let BulkheadPlan { service, instance, connections, queue, wait, priority } = plan;
    let classes = priority.iter().map(|(group, class)| format!("{group} {}", class.word()));
    vec![
        ("bulkhead.service", or(service, NONE)),
        ("bulkhead.instance", or(instance, NONE)),
        ("bulkhead.connections", connections.to_string()),
        ("bulkhead.queue", queue.to_string()),
        ("bulkhead.wait", show_duration(*wait)),
        ("bulkhead.priority", if priority.is_empty() { NONE.to_owned() } else { listed(classes) }),
    ]
}

/// What `instances` holds besides addresses: the weights of some, and where others are looked up.
fn instances(plan: &ServicePlan) -> String {
    let weights = plan.weights.iter();
    let weights = weights.map(|(address, weight)| format!("{address} weight={weight}"));
    let all: Vec<_> = weights.chain(plan.sources.iter().map(source)).collect();
    if all.is_empty() { NONE.to_owned() } else { listed(all.into_iter()) }
}

/// A source as it is written.
pub(super) fn source(source: &Source) -> String {
    match source {
        Source::Dns { host, port } => format!("dns:{host}:{port}"),
        Source::Srv { name } => format!("srv:{name}"),
        Source::File(path) => format!("file_sd:{}", path.display()),
    }
}

/// With no check, its keys without values.
fn of_health(health: Option<&HealthCheck>) -> Shown {
    match health {
        Some(check) => of_check(check),
        None => without_values(of_check(&HealthCheck::of(Probe::Tcp))),
    }
}

fn of_check(check: &HealthCheck) -> Shown {
    let HealthCheck { probe, port, every, timeout, rise, fall } = check;
    let (asked, rest) = match probe {
        Probe::Tcp => ("tcp".to_owned(), without_values(of_probe(&HttpProbe::get("/")))),
        Probe::Http(probe) => (format!("{} {}", probe.method, probe.target), of_probe(probe)),
    };
    let mut terms = vec![
        ("health", asked),
        ("health.every", show_duration(*every)),
        ("health.timeout", show_duration(*timeout)),
        ("health.rise", rise.to_string()),
        ("health.fall", fall.to_string()),
        ("health.port", or(port, NONE)),
    ];
    terms.extend(rest);
    terms
}

/// What is asked of an answer, and sent beside the method and the target.
fn of_probe(probe: &HttpProbe) -> Shown {
    let HttpProbe { method: _, target: _, host, headers, statuses, body, instance_id } = probe;
    let body = body.as_ref().map(|body| format!("{body:?}"));
    vec![
        ("health.host", or(host, NONE)),
        ("health.headers", self::headers(headers)),
        ("health.status", self::statuses(statuses)),
        ("health.body", or(&body, NONE)),
        ("health.instance_id", instance_id.to_string()),
    ]
}

fn without_values(mut terms: Shown) -> Shown {
    terms.iter_mut().for_each(|(_, value)| *value = NONE.to_owned());
    terms
}

fn headers(headers: &[(String, String)]) -> String {
    if headers.is_empty() {
        return NONE.to_owned();
    }
    listed(headers.iter().map(|(name, value)| format!("{name}: {value}")))
}

fn statuses(ranges: &[RangeInclusive<u16>]) -> String {
    let ranges = ranges.iter().map(|range| match (range.start(), range.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    });
    let ranges: Vec<_> = ranges.collect();
    match &ranges[..] {
        // What holds without a word is written as it is in a file.
        [range] if range == PASSING => range.clone(),
        _ => listed(ranges.into_iter()),
    }
}

fn of_outlier(terms: &OutlierTerms) -> Shown {
    let OutlierTerms { failures, rate, ejected, ejected_max, most_percent } = terms;
    let percent = |percent: u8| show_percent(u64::from(percent) * 100);
    vec![
        ("outlier.failures", failures.to_string()),
        ("outlier.errors", or(&rate.map(|rate| percent(rate.errors_percent)), NONE)),
        ("outlier.min_requests", or(&rate.map(|rate| rate.min_requests), NONE)),
        ("outlier.window", or(&rate.map(|rate| show_duration(rate.window)), NONE)),
        (
            "outlier.ejected",
            format!("{}..{}", show_duration(*ejected), show_duration(*ejected_max)),
        ),
        ("outlier.most", percent(*most_percent)),
    ]
}
