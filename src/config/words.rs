//! The words of the language as tables: those it will have, those that stand at the top, what else they are called, and
//! what to write where something else stands.

use crate::language::{self, known};
use crate::nearest::nearest;

/// The keys at the top of a file.
pub(crate) const TOP: &[&str] = known!(language::TOP);

/// The keys of `[runtime]`.
pub(crate) const RUNTIME: &[&str] = known!(language::RUNTIME);

/// The keys of the language that this build lacks, wherever they stand (rule 9: an error, never ignored).
pub(crate) const LATER: &[&str] = &[
    "auth",
    "balance",
    "breaker",
    "bulkhead",
    "consumers",
    "fallback",
    "headers",
    "health",
    "path_regex",
    "priority",
    "rate",
    "rate_headers",
    "register",
    "retry",
    "rewrite",
    "secrets",
    "split",
    "strip_prefix",
    "tests",
    "tls",
    "weight",
    "when",
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
    ("services", "timeout", "write timeout = { first_byte = \"5s\" }"),
    ("services", "pool", "write pool = { idle = \"30s\" }"),
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

/// What to write for `key`, which should hold a table; `top` is the table at the top that it stands in.
pub(crate) fn example(top: &str, key: &str) -> Option<String> {
    let found = EXAMPLES.iter().find(|(at, word, _)| (*at, *word) == (top, key));
    match (found, top) {
        (Some((_, _, text)), _) => Some((*text).to_owned()),
        (None, "services") => Some(format!("write {key} = {{ instances = [\"127.0.0.1:9000\"] }}")),
        (None, "listeners") => Some(format!("write {key} = {{ bind = \"127.0.0.1:8080\" }}")),
        (None, _) => None,
    }
}
