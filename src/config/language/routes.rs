//! `[routes]`: paths, hosts that hold paths, and what stands behind a path.

use super::forms::{
    FIELD, HOST, METHOD, NAME, PATH, PERCENT, PREFIX, QUERY_NAME, REGEX, REWRITE, ROUTE_PATH,
    SERVICE, TEMPLATE, TEXT, TIME,
};
use super::policies::GUARD;
use super::{Builtin, Key, Kind, Section};

/// What `[routes]` holds.
pub(super) const PATHS: Kind =
    Kind::Map(&[(&ROUTE_PATH, VALUE), (&HOST, Kind::Map(&[(&ROUTE_PATH, VALUE)]))]);

/// What stands behind a path.
const VALUE: Kind =
    Kind::Any(&[Kind::Text(&SERVICE), Kind::Table(&ROUTE), Kind::Some(&Kind::Table(&ROUTE))]);

/// The statuses of final answers.
pub(super) const STATUS: Kind = Kind::Integer(200, 599);

/// A route that is written as a table.
pub(crate) static ROUTE: Section = Section {
    name: "route",
    doc: "What becomes of requests for a path.",
    keys: &[
        &[
            Key::new("to", Kind::Text(&SERVICE), r#""users""#, "The service that they go to."),
            Key::new(
                "split",
                Kind::Map(&[(&NAME, Kind::Text(&PERCENT))]),
                r#"{ "users": "95%", "other": "5%" }"#,
                "The services that they go to, and the share of each; the shares make 100%.",
            ),
            Key::new(
                "redirect",
                Kind::Any(&[Kind::Text(&TEMPLATE), Kind::Table(&REDIRECT)]),
                r#""https://{host}{path}""#,
                "Where they are sent, with status 307 unless a table says otherwise.",
            ),
            Key::new(
                "respond",
                Kind::Any(&[STATUS, Kind::Text(&TEXT), Kind::Table(&RESPOND)]),
                "204",
                "How the gateway answers them itself: a status, a body, or a table.",
            ),
            Key::table("when", &WHEN),
            Key::new(
                "name",
                Kind::Text(&NAME),
                r#""orders-beta""#,
                "What the route is called in counters, logs and tests; its methods, host and path without it.",
            ),
            Key::new(
                "priority",
                Kind::Integer(i32::MIN as i64, i32::MAX as u64),
                "10",
                "Which of two routes comes first that are equal otherwise: the higher one.",
            )
            .default(Builtin::Integer(0)),
            Key::new(
                "path_regex",
                Kind::Text(&REGEX),
                r#""^/v[0-9]+/""#,
                "A regular expression that the path matches; it needs `priority`.",
            ),
            Key::new(
                "strip_prefix",
                Kind::Text(&PATH),
                r#""/x""#,
                "Whole segments at the beginning of the path that do not go upstream.",
            ),
            Key::new("rewrite", Kind::Text(&REWRITE), r#""/v2""#, "The path that goes upstream."),
            Key::table("limits", &LIMITS),
            Key::table("timeout", &TIMEOUT),
        ],
        GUARD,
    ],
    one_of: &[],
    apart: &[&["to", "split", "redirect", "respond"], &["strip_prefix", "rewrite"]],
};

/// `[defaults.route]`.
pub(crate) static DEFAULTS: Section = Section::new(
    "default-route",
    "What stands in for keys that are missing in a route.",
    &[TERMS, GUARD],
);

const TERMS: &[Key] = &[Key::table("limits", &LIMITS), Key::table("timeout", &TIMEOUT)];

/// `redirect` of a route.
pub(crate) static REDIRECT: Section = Section::new(
    "redirect",
    "Where requests are sent, and with which status.",
    &[&[
        Key::new(
            "to",
            Kind::Text(&TEMPLATE),
            r#""https://{host}{path}""#,
            "The URL or path; the query goes with it unless it has one.",
        )
        .must(),
        Key::new(
            "status",
            Kind::Number(&[301, 302, 303, 307, 308]),
            "301",
            "The status; 301 and 308 are kept by browsers.",
        )
        .default(Builtin::Integer(307)),
    ]],
);

/// `respond` of a route.
pub(crate) static RESPOND: Section = Section {
    name: "respond",
    doc: "An answer of the gateway's own.",
    keys: &[&[
        Key::new("status", STATUS, "404", "The status.").default(Builtin::Integer(200)),
        Key::new("body", Kind::Text(&TEXT), r#""gone""#, "The body.").default(Builtin::Text("")),
        Key::new("content_type", Kind::Text(&TEXT), r#""text/html""#, "What the body is."),
        Key::new(
            "headers",
            Kind::Map(&[(&FIELD, Kind::Text(&TEXT))]),
            r#"{ "x-served-by": "edge" }"#,
            "Further header fields.",
        ),
    ]],
    one_of: &[],
    apart: &[],
};

/// `when` of a route.
pub(crate) static WHEN: Section = Section {
    name: "when",
    doc: "What else holds of the requests that a route takes; all of it must.",
    keys: &[&[
        Key::new("method", METHODS, r#"["GET"]"#, "Its method, or one of several."),
        Key::new(
            "header",
            Kind::Map(&[(&FIELD, MATCH)]),
            r#"{ "x-beta": "1" }"#,
            "Header fields; any field line of the name may match.",
        ),
        Key::new(
            "query",
            Kind::Map(&[(&QUERY_NAME, MATCH)]),
            r#"{ "v": "2" }"#,
            "Parameters of the query, without their escapes; any of the name may match.",
        ),
    ]],
    one_of: &[],
    apart: &[],
};

/// One method or several.
const METHODS: Kind = Kind::Any(&[Kind::Text(&METHOD), Kind::Some(&Kind::Text(&METHOD))]);

/// A value itself, or what it is like.
const MATCH: Kind = Kind::Any(&[Kind::Text(&TEXT), Kind::Table(&VALUE_LIKE)]);

/// What a header field or a query parameter may be like.
pub(crate) static VALUE_LIKE: Section = Section {
    name: "value-like",
    doc: "What a value is like.",
    keys: &[&[
        Key::new("prefix", Kind::Text(&PREFIX), r#""v2.""#, "What it begins with."),
        Key::new("present", Kind::Boolean, "true", "Whether there is one."),
        Key::new("regex", Kind::Text(&REGEX), r#""^2""#, "A regular expression that it matches."),
    ]],
    one_of: &["prefix", "present", "regex"],
    apart: &[&["prefix", "present", "regex"]],
};

/// `limits` of a route.
pub(crate) static LIMITS: Section = Section::new(
    "route-limits",
    "How much clients may send; it holds instead of the listener's.",
    &[&[Key::new("body", Kind::Size(1, u64::MAX), r#""1MiB""#, "A request's body (413).")]],
);

/// `timeout` of a route.
pub(crate) static TIMEOUT: Section = Section::new(
    "route-timeout",
    "How long instances may take; it holds instead of the service's.",
    &[&[
        Key::new("connect", Kind::Text(&TIME), r#""250ms""#, "A connect (504)."),
        Key::new(
            "first_byte",
            Kind::Text(&TIME),
            r#""5s""#,
            "From the request to the answer's head (504).",
        ),
        Key::new(
            "body",
            Kind::Text(&TIME),
            r#""30s""#,
            "Between two pieces of a body, in either direction.",
        ),
        Key::new(
            "tunnel",
            Kind::Text(&TIME),
            r#""5m""#,
            "A tunnel (WebSocket) in which nothing moves either way.",
        ),
    ]],
);
