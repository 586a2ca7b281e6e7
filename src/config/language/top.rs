//! The top of a file, `[runtime]`, `[dns]`, `[tokens]`, `[defaults]` and `[[tests]]`.

use coregate_core::base::limits;

use super::forms::{
    ADDRESS, CORES, FIELD, FILE, FILES, KEPT, NAME, PATH, REQUEST, ROUTE_NAME,
    SERVICE as SERVICE_NAME, SERVICES, STATE, TEXT, TIME, TIME_OR_NONE, VARIABLE,
};
use super::policies::{AUTH_NAME, AUTHS, CONSUMERS, QUOTAS, RATES};
use super::routes::{PATHS, STATUS};
use super::{Builtin, Key, Kind, LISTENER, SERVICE, Section, listeners, routes, services};

/// One address or several.
pub(super) const ADDRESSES: Kind =
    Kind::Any(&[Kind::Text(&ADDRESS), Kind::Some(&Kind::Text(&ADDRESS))]);

/// The whole file.
pub(crate) static TOP: Section = Section {
    name: "configuration",
    doc: "A configuration of coregate.",
    keys: &[&[
        Key::new(
            "listen",
            ADDRESSES,
            r#""127.0.0.1:0""#,
            "Where clients come in, where one listener on default terms is enough.",
        ),
        Key::table("runtime", &RUNTIME),
        Key::new(
            "listeners",
            Kind::Map(&[(&NAME, Kind::Table(&LISTENER))]),
            "",
            "Where clients come in, and on what terms, by name.",
        ),
        Key::new(
            "services",
            Kind::Map(&[(&NAME, Kind::Table(&SERVICE))]),
            "",
            "Where requests can go, by name.",
        ),
        Key::new(
            "routes",
            PATHS,
            "",
            "Which requests go where: paths on any host, and hosts that hold paths. Their order does not matter.",
        ),
        Key::new("consumers", CONSUMERS, "", "Who may call, by name."),
        Key::new(
            "auth",
            AUTHS,
            "",
            "Ways to find out who calls, by name; key is built in: a key in x-api-key.",
        ),
        Key::new(
            "rates",
            RATES,
            "",
            "Limits of requests in time, by name; routes that name one share its buckets.",
        ),
        Key::new(
            "quotas",
            QUOTAS,
            "",
            "Limits of a day or a month, by name; routes that name one share its counts.",
        ),
        Key::new(
            "include",
            Kind::Any(&[Kind::Text(&FILES), Kind::List(&Kind::Text(&FILES))]),
            r#"["teams/*.toml"]"#,
            "Files whose sections count as if they stood here.",
        ),
        Key::table("defaults", &DEFAULTS),
        Key::table("dns", &DNS),
        Key::new(
            "tokens",
            Kind::Map(&[(&NAME, Kind::Table(&GRANT))]),
            "",
            "Who may do what with which services over TCP, by name.",
        ),
        Key::new(
            "tests",
            Kind::List(&Kind::Table(&TEST)),
            "",
            "Requests and what should become of them, for coregate test.",
        ),
    ]],
    one_of: &[],
    apart: &[&["listen", "listeners"]],
};

/// `[runtime]`.
pub(crate) static RUNTIME: Section = Section {
    name: "runtime",
    doc: "The process: its workers, its admin listener, how it stops.",
    keys: &[&[
        Key::new(
            "cores",
            Kind::Any(&[Kind::Integer(1, limits::WORKERS as u64), Kind::Text(&CORES)]),
            r#""0-3,6""#,
            "The CPUs that workers are pinned to. A change needs a restart.",
        )
        .default(Builtin::Text("auto")),
        Key::new(
            "workers",
            Kind::Integer(1, limits::WORKERS as u64),
            "2",
            "How many workers there are; one a CPU without it. A change needs a restart.",
        ),
        Key::new(
            "io",
            Kind::Word(&["auto", "uring", "epoll"]),
            r#""uring""#,
            "What workers do their I/O with. A change needs a restart.",
        )
        .default(Builtin::Text("auto")),
        Key::new(
            "connections",
            Kind::Integer(1, limits::CONNECTIONS_MAX),
            "10000",
            "The most client connections at once on this host; as many as there are descriptors for without it. A change needs a restart.",
        ),
        Key::new(
            "admin",
            Kind::Any(&[Kind::Text(&ADDRESS), Kind::List(&Kind::Text(&ADDRESS))]),
            r#"["unix:/run/coregate/admin.sock", "127.0.0.1:9900"]"#,
            "Where the process is asked and told things, on Unix sockets and loopback addresses; one socket without it, [] for nowhere. A change needs a restart.",
        ),
        Key::new(
            "admin_token",
            Kind::Table(&SECRET),
            "",
            "Where the token lies that the admin listener asks for over TCP. A change needs a restart.",
        ),
        Key::new(
            "state",
            Kind::Text(&STATE),
            r#""/var/lib/coregate""#,
            "Where registered instances are kept over a restart: a directory, or memory for nowhere; without it the directory that systemd made for the service, if any. A change needs a restart.",
        ),
        Key::new(
            "drain",
            Kind::Text(&TIME),
            r#""10s""#,
            "What is in flight when the process stops may finish in this.",
        )
        .default(Builtin::Time(limits::SHUTDOWN_TIME)),
        Key::new(
            "drain_delay",
            Kind::Text(&TIME_OR_NONE),
            r#""0s""#,
            "How long readiness is false while connections are still accepted, before a stop.",
        )
        .default(Builtin::Time(limits::DRAIN_DELAY)),
    ]],
    one_of: &[],
    apart: &[],
};

/// Where a secret lies.
pub(crate) static SECRET: Section = Section {
    name: "secret",
    doc: "Where a secret lies: in an environment variable or in a file.",
    keys: &[&[
        Key::new(
            "env",
            Kind::Text(&VARIABLE),
            r#""COREGATE_ADMIN_TOKEN""#,
            "The environment variable that holds it.",
        ),
        Key::new(
            "file",
            Kind::Text(&FILE),
            r#""/etc/coregate/admin.token""#,
            "The file that holds it.",
        ),
    ]],
    one_of: &["env", "file"],
    apart: &[&["env", "file"]],
};

/// `[dns]`.
pub(crate) static DNS: Section = Section::new(
    "dns",
    "How names of instances are looked up. A change needs a restart.",
    &[&[
        Key::new(
            "servers",
            ADDRESSES,
            r#""127.0.0.1:5353""#,
            "The name servers that are asked; those of the machine without it. A change needs a restart.",
        ),
        Key::new(
            "timeout",
            Kind::Text(&TIME),
            r#""500ms""#,
            "How long an answer is waited for. A change needs a restart.",
        )
        .default(Builtin::Time(limits::DNS_TIMEOUT)),
        Key::new(
            "min_ttl",
            Kind::Text(&KEPT),
            r#""5s""#,
            "How long an answer counts at least. A change needs a restart.",
        )
        .default(Builtin::Time(limits::DNS_TTL_MIN)),
        Key::new(
            "max_ttl",
            Kind::Text(&KEPT),
            r#""1m""#,
            "How long an answer counts at most. A change needs a restart.",
        )
        .default(Builtin::Time(limits::DNS_TTL_MAX)),
    ]],
);

/// The words for what a token is good for.
pub(crate) const SCOPES: &[&str] = &["read", "register", "operate"];

/// `[tokens.NAME]`.
pub(crate) static GRANT: Section = Section::new(
    "token",
    "A token of the admin listener over TCP, and what it is good for.",
    &[&[
        Key::table("token", &SECRET).must(),
        Key::new(
            "services",
            Kind::Any(&[Kind::Text(&SERVICES), Kind::Some(&Kind::Text(&SERVICES))]),
            r#"["users", "o*"]"#,
            "The services that it is for; * at the end of a name stands for any characters.",
        )
        .must(),
        Key::new(
            "scopes",
            Kind::Any(&[Kind::Word(SCOPES), Kind::Some(&Kind::Word(SCOPES))]),
            r#"["read", "register"]"#,
            "What may be done: read (see them), register (announce and renew instances), operate (drain, weigh, maintain them).",
        )
        .must(),
    ]],
);

pub(crate) static DEFAULTS: Section = Section {
    name: "defaults",
    doc: "What stands in for keys that are missing in every listener, service or route.",
    keys: &[&[
        Key::table("listener", &listeners::DEFAULTS),
        Key::table("service", &services::DEFAULTS),
        Key::table("route", &routes::DEFAULTS),
    ]],
    one_of: &[],
    apart: &[],
};

/// A table of `[[tests]]`.
pub(crate) static TEST: Section = Section {
    name: "test",
    doc: "A request and what should become of it.",
    keys: &[&[
        Key::new(
            "request",
            Kind::Text(&REQUEST),
            r#""GET https://shop.example.com/api/users/7""#,
            "The request: a method and a URL or path.",
        )
        .must(),
        Key::new(
            "headers",
            Kind::Map(&[(&FIELD, Kind::Any(&[Kind::Text(&TEXT), Kind::Some(&Kind::Text(&TEXT))]))]),
            r#"{ "x-beta": "1" }"#,
            "Header fields of the request, of one name perhaps several.",
        ),
        Key::table("expect", &EXPECT).must(),
    ]],
    one_of: &[],
    apart: &[],
};

/// `expect` of a test.
pub(crate) static EXPECT: Section = Section {
    name: "expect",
    doc: "What should become of the request; what is not named may be anything.",
    keys: &[&[
        Key::new("route", Kind::Text(&ROUTE_NAME), r#""/x""#, "The name of the route."),
        Key::new(
            "service",
            Kind::Any(&[Kind::Text(&SERVICE_NAME), Kind::Some(&Kind::Text(&SERVICE_NAME))]),
            r#"["users", "other"]"#,
            "The service, or those of which it may be any.",
        ),
        Key::new("status", STATUS, "404", "The status of an answer that the gateway gives itself."),
        Key::new("location", Kind::Text(&TEXT), r#""/new""#, "Where a redirect leads."),
        Key::new("path", Kind::Text(&PATH), r#""/users/7""#, "The path that goes upstream."),
        Key::new(
            "auth",
            AUTH_NAME,
            r#""key""#,
            "How it is found out who calls; false where nobody is asked.",
        ),
    ]],
    one_of: &["route", "service", "status", "location", "path", "auth"],
    apart: &[],
};
