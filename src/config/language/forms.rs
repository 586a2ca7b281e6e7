//! The forms that texts and names have: what a pattern can say of them. The readers are stricter, and say what was meant.

/// A form of text.
#[derive(Debug)]
pub(crate) struct Form {
    /// What it is called where it is referred to; no two forms share it.
    pub(crate) name: &'static str,
    /// What it is, in a sentence.
    pub(crate) doc: &'static str,
    /// A regular expression that every such text matches, in what ECMA-262, Python and Rust have in common: no looking
    /// around. Empty where any text will do.
    pub(crate) pattern: &'static str,
}

const fn form(name: &'static str, doc: &'static str, pattern: &'static str) -> Form {
    Form { name, doc, pattern }
}

/// Any text but an empty one.
const fn any(name: &'static str, doc: &'static str) -> Form {
    form(name, doc, ".")
}

pub(crate) static TIME: Form = form(
    "time",
    "A time above zero and at most 24h: a whole number and ms, s, m or h.",
    "^0*[1-9][0-9]*(ms|s|m|h)$",
);
pub(crate) static TIME_OR_NONE: Form = form(
    "time-or-none",
    "A time of at most 24h, or 0s: a whole number and ms, s, m or h.",
    "^[0-9]+(ms|s|m|h)$",
);
/// The shortest time between two probes is the readers' to say, as the next ones' are.
pub(super) static PACE: Form = form(
    "pace",
    "A time from 100ms to 24h: a whole number and ms, s, m or h.",
    "^0*[1-9][0-9]*(ms|s|m|h)$",
);
pub(super) static WINDOW: Form = form(
    "window",
    "A time from 1s to 1m: a whole number and ms, s, m or h.",
    "^0*[1-9][0-9]*(ms|s|m|h)$",
);
pub(super) static WAIT: Form = form(
    "wait",
    "A time from 1ms to 1m: a whole number and ms, s, m or h.",
    "^0*[1-9][0-9]*(ms|s|m|h)$",
);
pub(super) static KEPT: Form = form(
    "kept",
    "A time from 1s to 24h: a whole number and ms, s, m or h.",
    "^0*[1-9][0-9]*(ms|s|m|h)$",
);
pub(super) static EJECTED: Form = form(
    "times",
    "A time, or the first and the longest: 30s..5m.",
    r"^0*[1-9][0-9]*(ms|s|m|h)(\.\.0*[1-9][0-9]*(ms|s|m|h))?$",
);
pub(super) static WHOLE_PERCENT: Form =
    form("whole-percent", "A share of a hundred from 1% to 100%.", r"^[0-9]+(\.0+)?%$");
pub(super) static PERCENT: Form =
    form("percent", "A share of a hundred, such as 95%.", r"^[0-9]+(\.[0-9]+)?%$");
pub(super) static ADDRESS: Form = form(
    "address",
    "An IP address and port, such as 127.0.0.1:8080 or [::1]:8080, or unix: and the path of a socket.",
    r"^(unix:/.*|[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+:[0-9]+|\[[0-9A-Fa-f:.]+(%[0-9]+)?\]:[0-9]+)$",
);
pub(super) static INSTANCE: Form = form(
    "instance",
    "The address of an instance, perhaps with its weight: 10.0.0.12:9000 weight=2.",
    r"^(unix:/.*|([0-9]+\.[0-9]+\.[0-9]+\.[0-9]+|\[[0-9A-Fa-f:.]+(%[0-9]+)?\]):[0-9]+( +weight=[0-9]+)?)$",
);
pub(super) static SOURCE: Form = form(
    "source",
    "Where instances are looked up: dns:HOST:PORT, srv:NAME, or file_sd:/PATH in the form of Prometheus.",
    r"^(dns:[^:/ ]+:[0-9]+|srv:[^:/ ]+|file_sd:/.+)$",
);
pub(super) static NETWORK: Form = form(
    "network",
    "An address, a network such as 10.0.0.0/8, or unix for every peer on a Unix socket.",
    "^(unix|[0-9A-Fa-f:.]+(/[0-9]+)?)$",
);
pub(super) static CORES: Form = form(
    "cores",
    "auto, isolated, a count, or a list of CPUs such as 0-3,6.",
    "^(auto|isolated|[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*)$",
);
pub(super) static NAME: Form =
    form("name", "1 to 100 letters, digits, -, _ or a point.", "^[A-Za-z0-9._-]{1,100}$");
pub(super) static SERVICE: Form =
    form("service-name", "The name of a service.", "^[A-Za-z0-9._-]{1,100}$");
pub(super) static SERVICES: Form = form(
    "service-pattern",
    "The name of a service; with * at its end, all whose names begin so.",
    r"^[A-Za-z0-9._-]{0,100}\*?$",
);
pub(super) static STATE: Form =
    form("state", "The absolute path of a directory, or memory.", "^(memory|/.*)$");
pub(super) static HEALTH: Form =
    form("probe", "A path that is asked for, or tcp for a connection alone.", "^(tcp|/[^ ]*)$");
pub(super) static PROBE_TARGET: Form =
    form("probe-target", "A path, perhaps with a query.", "^/[^ ]*$");
pub(super) static PROBE_REQUEST: Form = form(
    "probe-request",
    "A method and a path: HEAD /healthz.",
    "^[!#$%&'*+.^_`|~0-9A-Z-]+ /[^ ]*$",
);
pub(super) static HOST_FIELD: Form =
    form("host-field", "A host, perhaps with a port.", r"^[A-Za-z0-9._:\[\]-]+$");
pub(super) static STATUSES: Form =
    form("statuses", "A range of statuses, such as 200-299.", "^[2-5][0-9][0-9]-[2-5][0-9][0-9]$");
pub(super) static CONSUMER: Form = form(
    "consumer-name",
    "1 to 64 letters, digits, -, _, a point, @ or a colon; a letter, a digit or _ first.",
    "^[A-Za-z0-9_][A-Za-z0-9._@:-]{0,63}$",
);
pub(super) static GROUP: Form =
    form("group", "The name of a group of consumers.", "^[A-Za-z0-9_][A-Za-z0-9._@:-]{0,63}$");
pub(super) static PRINCIPAL: Form = form(
    "principal",
    "The name of a consumer, or group: and the name of a group.",
    "^(group:)?[A-Za-z0-9_][A-Za-z0-9._@:-]{0,63}$",
);
pub(super) static DIGEST: Form =
    form("digest", "A SHA-256 in 64 hexadecimal digits.", "^[0-9A-Fa-f]{64}$");
pub(super) static MOMENT: Form = form(
    "moment",
    "A point in time, UTC, as RFC 3339 has it: 2027-01-31T00:00:00Z.",
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z$",
);
pub(super) static REALM: Form =
    form("realm", r#"1 to 64 printable ASCII characters but " and \."#, r"^[ !#-\[\]-~]{1,64}$");
pub(super) static ZONE: Form =
    form("time-zone", "A time zone of the IANA database.", r"^[A-Za-z0-9_+/-]{1,64}$");
pub(super) static RATE: Form = form(
    "rate-limit",
    "So many in a time of at most 24h: 100/s, 10/min, 5000/h, 100000/day, 20/15min.",
    "^0*[1-9][0-9]*/(0*[1-9][0-9]*)?(s|min|h|day)$",
);
pub(super) static RATE_OR_NAME: Form = form(
    "rate-or-name",
    "The name of a rate, or so many in a time: 100/s.",
    "^([A-Za-z0-9._-]{1,100}|0*[1-9][0-9]*/(0*[1-9][0-9]*)?(s|min|h|day))$",
);
pub(super) static PER: Form = form(
    "per",
    "consumer, route, service, address, address/24 (of IPv4), address/24/64 (of IPv6 too), or header: and the name of a header field.",
    "^(consumer|route|service|address(/[0-9]+(/[0-9]+)?)?|header:[!#$%&'*+.^_`|~0-9A-Za-z-]+)$",
);
pub(super) static VARIABLE: Form =
    form("variable", "The name of an environment variable.", "^[A-Za-z_][A-Za-z0-9_]{0,254}$");
pub(super) static FILE: Form = form("file", "The absolute path of a file.", "^/");
pub(super) static FILES: Form =
    any("files", "A path relative to this file; * in its last part stands for any characters.");
pub(super) static METHOD: Form =
    form("method", "A method, in capitals.", "^[!#$%&'*+.^_`|~0-9A-Z-]+$");
pub(super) static ROUTE_PATH: Form = form(
    "route-path",
    "A path, perhaps with methods before it: /users/*, /users/{id}, GET /users/{rest*}, GET,POST /users.",
    "^([A-Z][A-Z0-9_-]*(,[A-Z][A-Z0-9_-]*)* )?/.*$",
);
pub(super) static HOST: Form =
    form("host", "A host, *. and a host for all below it, or * for any.", r"^(\*|(\*\.)?[^*/ ]+)$");
pub(super) static FIELD: Form =
    form("field-name", "The name of a header field.", "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$");
pub(super) static QUERY_NAME: Form =
    form("query-name", "The name of a parameter in the query.", "^.+$");
pub(super) static TEXT: Form = form("text", "A text.", "");
pub(super) static PREFIX: Form = any("prefix", "What a value begins with.");
pub(super) static REGEX: Form =
    any("regex", "A regular expression; it matches anywhere unless ^ and $ say otherwise.");
pub(super) static TEMPLATE: Form = form(
    "redirect-target",
    "A URL or path; {host}, {path}, {*} and the parameters of the route's path stand for what the request has there.",
    r"^(https?://|/|\{path\})",
);
pub(super) static REWRITE: Form = form(
    "rewrite",
    "A path; {*} and the parameters of the route's path stand for what the request has there.",
    "^/",
);
pub(super) static ROUTE_NAME: Form = any(
    "route-name",
    "The name of a route: its own, or its methods, host and path as coregate routes shows them.",
);
pub(super) static PATH: Form = form("path", "A path.", "^/");
pub(super) static REQUEST: Form =
    form("request", "A method and a URL or path.", "^[!#$%&'*+.^_`|~0-9A-Z-]+ [^ ]+$");
