//! The words of the language as tables: those it will have, those that stand at the top, what else they are called, and
//! what to write where something else stands.

use crate::language::{self, known};
use crate::nearest::nearest;

/// The keys at the top of a file.
pub(crate) const TOP: &[&str] = known!(language::TOP);

/// The keys of `[runtime]`.
pub(crate) const RUNTIME: &[&str] = known!(language::RUNTIME);

/// The keys of the language that this build lacks, and what else they are called, wherever they stand (rule 9: an error, never ignored).
pub(crate) const LATER: &[&str] = &[
    "access_log",
    "auth",
    "balance",
    "breaker",
    "bulkhead",
    "consumers",
    "cors",
    "fallback",
    "headers",
    "http2",
    "load_balancing",
    "log",
    "logging",
    "logs",
    "rate",
    "rate_headers",
    "rate_limit",
    "rate_limits",
    "registry",
    "secrets",
    "sticky",
    "tls",
];

/// The key of the admin listener's token.
pub(crate) const ADMIN_TOKEN: &str = "admin_token";

/// The keys whose values are secrets where they are written as such: they are not shown, not even where they are wrong.
pub(crate) const SECRET: &[&str] = &[ADMIN_TOKEN, "password", "secret", "token"];

/// What other proxies call a key, or what it is taken for.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("service", "to"),
    ("backend", "to"),
    ("upstream", "to"),
    ("target", "to"),
    ("proxy_pass", "to"),
    ("cluster", "to"),
    ("weighted", "split"),
    ("weighted_clusters", "split"),
    ("weightedClusters", "split"),
    ("traffic_split", "split"),
    ("return", "redirect"),
    ("redirectRegex", "redirect"),
    ("redirectScheme", "redirect"),
    ("direct_response", "respond"),
    ("static_response", "respond"),
    ("response", "respond"),
    ("stripPrefix", "strip_prefix"),
    ("strip_path", "strip_prefix"),
    ("uri_strip_prefix", "strip_prefix"),
    ("prefix_rewrite", "rewrite"),
    ("regex_rewrite", "rewrite"),
    ("replacePath", "rewrite"),
    ("match", "when"),
    ("matches", "when"),
    ("predicates", "when"),
    ("methods", "method"),
    ("headers", "header"),
    ("query_params", "query"),
    ("query_parameters", "query"),
    ("queryParams", "query"),
    ("regex_priority", "priority"),
    ("regex", "path_regex"),
    ("safe_regex", "path_regex"),
    ("safe_regex", "regex"),
    ("prefix_match", "prefix"),
    ("exists", "present"),
    ("code", "status"),
    ("status_code", "status"),
    ("location", "to"),
    ("url", "to"),
    ("content-type", "content_type"),
    ("header", "headers"),
    ("services", "service"),
    ("max_body", "body"),
    ("id", "name"),
    ("servers", "instances"),
    ("addresses", "instances"),
    ("endpoints", "instances"),
    ("address", "bind"),
    ("listen", "bind"),
    ("port", "listen"),
    ("drain_time", "drain"),
    ("drain_timeout", "drain"),
    ("shutdown_timeout", "drain"),
    ("token", "admin_token"),
    ("upstream", "services"),
    ("upstreams", "services"),
    ("backends", "services"),
    ("check", "health"),
    ("checks", "health"),
    ("health_check", "health"),
    ("health_checks", "health"),
    ("healthcheck", "health"),
    ("healthCheck", "health"),
    ("option", "health"),
    ("httpchk", "health"),
    ("http_check", "health"),
    ("path", "get"),
    ("uri", "get"),
    ("http", "get"),
    ("method", "request"),
    ("hostname", "host"),
    ("interval", "every"),
    ("inter", "every"),
    ("period", "every"),
    ("healthy_threshold", "rise"),
    ("healthyThreshold", "rise"),
    ("successes", "rise"),
    ("passes", "rise"),
    ("success_before_passing", "rise"),
    ("unhealthy_threshold", "fall"),
    ("unhealthyThreshold", "fall"),
    ("fails", "fall"),
    ("failures_before_critical", "fall"),
    ("expected_status", "status"),
    ("expected_statuses", "status"),
    ("expect", "status"),
    ("outlier_detection", "outlier"),
    ("outlierDetection", "outlier"),
    ("passive_health_check", "outlier"),
    ("max_fails", "outlier"),
    ("fail_timeout", "outlier"),
    ("max_fails", "failures"),
    ("fail_timeout", "ejected"),
    ("consecutive_failures", "failures"),
    ("consecutive_5xx", "failures"),
    ("consecutive_gateway_failure", "failures"),
    ("base_ejection_time", "ejected"),
    ("max_ejection_time", "ejected"),
    ("ejection_time", "ejected"),
    ("max_ejection_percent", "most"),
    ("failure_percentage_threshold", "errors"),
    ("error_rate", "errors"),
    ("request_volume", "min_requests"),
    ("success_rate_request_volume", "min_requests"),
    ("interval", "window"),
    ("slowstart", "slow_start"),
    ("slowStart", "slow_start"),
    ("slow_start_config", "slow_start"),
    ("retries", "retry"),
    ("retry_policy", "retry"),
    ("proxy_next_upstream", "retry"),
    ("num_retries", "attempts"),
    ("max_retries", "attempts"),
    ("max_attempts", "attempts"),
    ("tries", "attempts"),
    ("resolver", "dns"),
    ("resolvers", "dns"),
    ("nameservers", "servers"),
    ("nameserver", "servers"),
    ("data_dir", "state"),
    ("state_dir", "state"),
    ("storage", "state"),
    ("policies", "scopes"),
    ("permissions", "scopes"),
    ("service", "services"),
    ("secret", "token"),
];

/// What to write for a key that other proxies have and that stands for no single key here.
const HINTS: &[(&str, &str)] = &[
    ("path", "a path is the key of its route: write \"/users/*\" = { ... }"),
    ("paths", "a path is the key of its route: write \"/users/*\" = { ... }"),
    ("path_prefix", "a path is the key of its route: write \"/users/*\" = { ... }"),
    ("host", "a host is a table of routes: write [routes.\"shop.example.com\"]"),
    ("hosts", "a host is a table of routes: write [routes.\"shop.example.com\"]"),
    (
        "rule",
        "hosts and paths are keys: write [routes.\"shop.example.com\"] and below it \"/users/*\" = ...",
    ),
    ("exact", "write the text alone, as in x-beta = \"1\""),
    ("method", "write when = { method = \"GET\" }, or the method in the key, as in \"GET /users\""),
    ("header", "write when = { header = { x-beta = \"1\" } }"),
    ("query", "write when = { query = { v = \"2\" } }"),
    (
        "weight",
        "an instance has its weight behind its address, as in \"10.0.0.12:9000 weight=2\", and a service its share in split",
    ),
    (
        "health",
        "instances are probed as their service says: write [services.users] and below it health = \"/healthz\"",
    ),
    (
        "outlier",
        "instances are set aside as their service says: write [services.users] and below it outlier = { failures = 5 }",
    ),
    (
        "retry",
        "requests are tried again as their service says: write [services.users] and below it retry = { attempts = 2 }",
    ),
    (
        "retries",
        "requests are tried again as their service says: write [services.users] and below it retry = { attempts = 2 }",
    ),
];

/// What to write for a key that holds a table: where it stands, the key, the text.
const EXAMPLES: &[(&str, &str, &str)] = &[
    ("runtime", "runtime", "write [runtime] and below it cores = \"auto\""),
    ("routes", "routes", "write [routes] and below it \"/users/*\" = \"users\""),
    (
        "services",
        "services",
        "write [services.users] and below it instances = [\"127.0.0.1:9000\"]",
    ),
    ("listeners", "listeners", "write [listeners.public] and below it bind = \"127.0.0.1:8080\""),
    (
        "defaults",
        "defaults",
        "write [defaults.service] and below it timeout = { connect = \"250ms\" }",
    ),
    ("listeners", "timeout", "write timeout = { head = \"5s\" }"),
    ("listeners", "limits", "write limits = { body = \"1MiB\" }"),
    (
        "listeners",
        "proxy_protocol",
        "write proxy_protocol = { from = [\"10.0.0.0/8\"] }, the proxies that are trusted",
    ),
    ("routes", "when", "write when = { method = [\"GET\"] }"),
    ("routes", "method", "write method = [\"GET\"]"),
    ("routes", "header", "write header = { x-beta = \"1\" }"),
    ("routes", "query", "write query = { v = \"2\" }"),
    ("routes", "split", "write split = { users = \"95%\", users-next = \"5%\" }"),
    ("routes", "limits", "write limits = { body = \"1MiB\" }"),
    ("routes", "timeout", "write timeout = { first_byte = \"5s\" }"),
    ("routes", "headers", "write headers = { x-from = \"coregate\" }"),
    ("tests", "headers", "write headers = { x-beta = \"1\" }"),
    ("tests", "expect", "write expect = { route = \"/users/*\" }"),
    ("services", "timeout", "write timeout = { first_byte = \"5s\" }"),
    ("services", "pool", "write pool = { idle = \"30s\" }"),
    ("services", "headers", "write headers = { x-from = \"coregate\" }"),
    (
        "tokens",
        "tokens",
        "write [tokens.deploy] and below it token = { env = \"DEPLOY_TOKEN\" }, services = [\"users\"] and scopes = [\"register\"]",
    ),
    ("dns", "dns", "write [dns] and below it servers = [\"127.0.0.1:53\"]"),
];

/// The smallest useful file.
pub(crate) const MINIMAL: &str = r#"listen = "127.0.0.1:8080"
[routes]
"/users/*" = "users"
[services.users]
instances = ["127.0.0.1:9000"]"#;

/// The key that was meant by an unknown one: one of `known`, or one of [`LATER`].
pub(crate) fn meant<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let other = OTHER_NAMES.iter().filter(|(other, _)| *other == key);
    let mut other = other.filter_map(|(_, word)| known.iter().find(|known| *known == word));
    other.next().copied().or_else(|| nearest(key, known.iter().chain(LATER).copied()))
}

/// What to write for a key that nobody knows and that is near to none.
pub(crate) fn hint(key: &str) -> Option<&'static str> {
    HINTS.iter().find(|(other, _)| *other == key).map(|(_, text)| *text)
}

/// What to write for `key`, which should hold a table; `top` is the table at the top that it stands in.
pub(crate) fn example(top: &str, key: &str) -> Option<String> {
    let found = EXAMPLES.iter().find(|(at, word, _)| (*at, *word) == (top, key));
    match (found, top) {
        (Some((_, _, text)), _) => Some((*text).to_owned()),
        (None, "services") => Some(format!("write {key} = {{ instances = [\"127.0.0.1:9000\"] }}")),
        (None, "listeners") => Some(format!("write {key} = {{ bind = \"127.0.0.1:8080\" }}")),
        (None, "tokens") => example("tokens", "tokens"),
        (None, _) => None,
    }
}
