//! Which terms of a thing differ, and what they are as a file writes them.
//!
//! Each type is taken apart in full, so that a field that comes later cannot be forgotten here.

use std::time::Duration;

use coregate_core::http::parse::RequestLimits;
use coregate_core::snapshot::plan::{
    Action, Address, DnsTerms, ListenerPlan, ListenerTerms, Respond, RoutePlan, RouteTerms,
    TrustedPeers,
};

use super::Term;
use super::policies;
pub(crate) use super::service::of_service;
pub(super) use super::service::terms as service;
use crate::grant::Grant;
use crate::secret::Secret;
use crate::settings::RuntimeSettings;
use crate::units::{show_duration, show_size};

/// A thing as its keys and what they hold.
pub(crate) type Shown = Vec<(&'static str, String)>;

pub(super) fn runtime(old: &RuntimeSettings, new: &RuntimeSettings) -> Vec<Term> {
    differing(old, new, of_runtime)
}

/// The terms of the process.
pub(crate) fn of_runtime(runtime: &RuntimeSettings) -> Shown {
    let RuntimeSettings {
        cores,
        workers,
        io,
        connections,
        admin,
        admin_token,
        state,
        drain,
        drain_delay,
    } = runtime;
    vec![
        ("cores", cores.to_string()),
        ("workers", or(workers, "default")),
        ("io", io.to_string()),
        ("connections", or(connections, "default")),
        ("admin", admin.as_deref().map_or_else(|| "default".to_owned(), addresses)),
        ("admin_token", or(admin_token, "none")),
        ("state", or(state, "default")),
        ("drain", show_duration(*drain)),
        ("drain_delay", show_duration(*drain_delay)),
    ]
}

pub(super) fn dns(old: &DnsTerms, new: &DnsTerms) -> Vec<Term> {
    let keys = ["dns.servers", "dns.timeout", "dns.min_ttl", "dns.max_ttl"];
    differing(old, new, |dns| {
        keys.into_iter().zip(of_dns(dns)).map(|(key, (_, value))| (key, value)).collect()
    })
}

/// How names are looked up.
pub(crate) fn of_dns(dns: &DnsTerms) -> Shown {
    let DnsTerms { servers, timeout, min_ttl, max_ttl } = dns;
    let servers = match servers.is_empty() {
        true => "default".to_owned(),
        false => listed(servers.iter().map(ToString::to_string)),
    };
    vec![
        ("servers", servers),
        ("timeout", show_duration(*timeout)),
        ("min_ttl", show_duration(*min_ttl)),
        ("max_ttl", show_duration(*max_ttl)),
    ]
}

pub(super) fn grant(old: &Grant, new: &Grant) -> Vec<Term> {
    differing(old, new, |grant| {
        let Grant { token, services, scopes } = grant;
        vec![
            ("token", token.to_string()),
            ("services", listed(services.iter().map(ToString::to_string))),
            ("scopes", listed(scopes.iter().map(|scope| scope.as_str().to_owned()))),
        ]
    })
}

pub(super) fn listener(old: &ListenerPlan, new: &ListenerPlan) -> Vec<Term> {
    differing(old, new, of_listener)
}

/// The terms of a listener.
pub(crate) fn of_listener(plan: &ListenerPlan) -> Shown {
    let ListenerPlan { name: _, terms, proxy_protocol, tcp } = plan;
    let ListenerTerms {
        request,
        body_bytes,
        requests,
        body_rate,
        connections,
        connections_per_address,
        head_timeout,
        idle_timeout,
        body_timeout,
        expose_reasons,
        rate_headers,
    } = terms;
    let RequestLimits { head_bytes, target_bytes, fields } = request;
    vec![
        ("tcp", or(tcp, "none")),
        ("proxy_protocol", proxy_protocol.as_ref().map_or_else(|| "none".to_owned(), peers)),
        ("timeout.head", show_duration(*head_timeout)),
        ("timeout.idle", show_duration(*idle_timeout)),
        ("timeout.body", show_duration(*body_timeout)),
        ("limits.head", show_size(*head_bytes as u64)),
        ("limits.target", show_size(*target_bytes as u64)),
        ("limits.fields", fields.to_string()),
        ("limits.body", or(&body_bytes.map(show_size), "none")),
        ("limits.requests", requests.to_string()),
        ("limits.body_rate", show_size(*body_rate)),
        ("limits.connections", or(connections, "none")),
        ("limits.connections_per_address", or(connections_per_address, "none")),
        ("expose_reasons", expose_reasons.to_string()),
        ("rate_headers", policies::headers(*rate_headers)),
    ]
}

/// Where the token lies that instances register with.
pub(super) fn token(old: Option<&Secret>, new: Option<&Secret>) -> Vec<Term> {
    let shown = |token: &Option<&Secret>| vec![("register.token", or(token, "none"))];
    differing(&old, &new, shown)
}

pub(super) fn route(old: &RoutePlan, new: &RoutePlan) -> Vec<Term> {
    differing(old, new, |plan| {
        let RoutePlan { given_name: _, host, path, when, priority, action, terms, policies } = plan;
        let RouteTerms { body_bytes, connect, first_byte, body, tunnel } = terms;
        let time = |time: &Option<Duration>| or(&time.map(show_duration), "default");
        let mut all = vec![
            ("host", host.to_string()),
            ("path", path.to_string()),
            ("when.method", listed(when.methods.iter().cloned())),
            ("when", when.to_string()),
            ("priority", priority.to_string()),
            ("to", action.to_string()),
            ("answer", answer(action)),
            ("limits.body", or(&body_bytes.map(show_size), "default")),
            ("timeout.connect", time(connect)),
            ("timeout.first_byte", time(first_byte)),
            ("timeout.body", time(body)),
            ("timeout.tunnel", time(tunnel)),
        ];
        all.extend(policies::of_route(policies));
        all
    })
}

/// What a fixed answer holds besides its status.
fn answer(action: &Action) -> String {
    match action {
        Action::Respond(Respond { status: _, headers, body }) => {
            let headers = headers.iter().map(|(name, value)| format!("{name}: {value}"));
            format!("{} {:?}", listed(headers), String::from_utf8_lossy(body))
        }
        Action::Forward(_) | Action::Redirect(_) => "none".to_owned(),
    }
}

/// The keys that are shown differently. What is wholly the same, as most is, is not shown for it.
pub(super) fn differing<T: PartialEq>(old: &T, new: &T, show: impl Fn(&T) -> Shown) -> Vec<Term> {
    if old == new {
        return Vec::new();
    }
    let pairs = show(old).into_iter().zip(show(new));
    pairs
        .filter(|((_, old), (_, new))| old != new)
        .map(|((key, old), (_, new))| Term { key, old, new })
        .collect()
}

pub(super) fn or(value: &Option<impl ToString>, absent: &str) -> String {
    value.as_ref().map_or_else(|| absent.to_owned(), ToString::to_string)
}

/// In order, since theirs in the file does not count.
fn addresses(addresses: &[Address]) -> String {
    let mut sorted = Vec::from_iter(addresses);
    sorted.sort();
    listed(sorted.into_iter().map(ToString::to_string))
}

fn peers(peers: &TrustedPeers) -> String {
    let TrustedPeers { networks, unix } = peers;
    let mut networks = networks.clone();
    networks.sort();
    listed(networks.iter().map(ToString::to_string).chain(unix.then(|| "unix".to_owned())))
}

pub(super) fn listed(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}
