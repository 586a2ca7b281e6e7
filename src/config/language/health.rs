//! `health`, `outlier` and `retry` of a service: which instances get requests, and what becomes of one that fails.

use coregate_core::base::limits;

use super::forms::{
    EJECTED, FIELD, HEALTH as HEALTH_TEXT, HOST_FIELD, PACE, PROBE_REQUEST, PROBE_TARGET, STATUSES,
    TEXT, TIME, WHOLE_PERCENT, WINDOW,
};
use super::{Builtin, Key, Kind, Section};

/// A probe in short, in full, or none.
pub(super) const HEALTH_KIND: Kind =
    Kind::Any(&[Kind::Text(&HEALTH_TEXT), Kind::Boolean, Kind::Table(&HEALTH)]);

/// Terms, or none.
pub(super) const OUTLIER_KIND: Kind = Kind::Any(&[Kind::Boolean, Kind::Table(&OUTLIER)]);

/// `health` of a service.
pub(crate) static HEALTH: Section = Section {
    name: "health",
    doc: "How its instances are probed: a path, \"tcp\", or a table with one of get, request and tcp; false for not at all.",
    keys: &[&[
        Key::new(
            "get",
            Kind::Text(&PROBE_TARGET),
            r#""/healthz""#,
            "The path that is asked for with GET.",
        ),
        Key::new(
            "request",
            Kind::Text(&PROBE_REQUEST),
            r#""HEAD /healthz""#,
            "The method and path that are asked for.",
        ),
        Key::new(
            "tcp",
            Kind::Boolean,
            "true",
            "Whether a connection that is taken is all that is asked for.",
        ),
        Key::new(
            "every",
            Kind::Text(&PACE),
            r#""1s""#,
            "From one probe of an instance to the next, give or take a tenth.",
        )
        .default(Builtin::Time(limits::PROBE_EVERY)),
        Key::new(
            "timeout",
            Kind::Text(&TIME),
            r#""500ms""#,
            "What a probe may take; no more than from one to the next.",
        )
        .default(Builtin::Time(limits::PROBE_TIMEOUT)),
        Key::new(
            "rise",
            Kind::Integer(1, limits::PROBE_COUNT_MAX as u64),
            "1",
            "Probes that must pass in a row until an instance that was down is up.",
        )
        .default(Builtin::Integer(limits::PROBE_RISE as u64)),
        Key::new(
            "fall",
            Kind::Integer(1, limits::PROBE_COUNT_MAX as u64),
            "2",
            "Probes that must fail in a row until an instance that was up is down.",
        )
        .default(Builtin::Integer(limits::PROBE_FALL as u64)),
        Key::new(
            "port",
            Kind::Integer(1, u16::MAX as u64),
            "9001",
            "The port that is probed; that of the instance without it.",
        ),
        Key::new(
            "host",
            Kind::Text(&HOST_FIELD),
            r#""users.internal""#,
            "The Host of the request; the instance's address without it.",
        ),
        Key::new(
            "headers",
            Kind::Map(&[(&FIELD, Kind::Text(&TEXT))]),
            r#"{ "x-from": "coregate" }"#,
            "Further header fields of the request.",
        ),
        Key::new(
            "status",
            Kind::Any(&[STATUS, Kind::Text(&STATUSES), Kind::Some(&EITHER)]),
            r#"[204, "300-399"]"#,
            "The statuses that pass: one, a range, or several of them.",
        )
        .default(Builtin::Text(PASSING)),
        Key::new(
            "body",
            Kind::Text(&TEXT),
            r#""ready""#,
            "What the beginning of the answer's body must hold.",
        ),
        Key::new(
            "instance_id",
            Kind::Boolean,
            "true",
            "Whether the answer must name the instance's id in x-instance-id.",
        )
        .default(Builtin::Boolean(false)),
    ]],
    one_of: &[],
    apart: &[
        &["get", "request", "tcp"],
        &["tcp", "host"],
        &["tcp", "headers"],
        &["tcp", "status"],
        &["tcp", "body"],
        &["tcp", "instance_id"],
    ],
};

/// The statuses that pass without a word.
pub(crate) const PASSING: &str = "200-299";

/// A status of an answer.
const STATUS: Kind = Kind::Integer(200, 599);
const EITHER: Kind = Kind::Any(&[STATUS, Kind::Text(&STATUSES)]);

/// `outlier` of a service.
pub(crate) static OUTLIER: Section = Section::new(
    "outlier",
    "When live requests set an instance aside; false for never.",
    &[&[
        Key::new(
            "failures",
            Kind::Integer(0, limits::OUTLIER_FAILURES_MAX as u64),
            "3",
            "Failures in a row that do; 0 for none.",
        )
        .default(Builtin::Integer(limits::OUTLIER_FAILURES as u64)),
        Key::new(
            "errors",
            Kind::Text(&WHOLE_PERCENT),
            r#""30%""#,
            "The share of an instance's requests that must fail; none without it.",
        ),
        Key::new(
            "min_requests",
            Kind::Integer(1, limits::OUTLIER_MIN_REQUESTS_MAX as u64),
            "100",
            "Requests within the window, at least, for `errors`.",
        )
        .default(Builtin::Integer(limits::OUTLIER_MIN_REQUESTS as u64)),
        Key::new("window", Kind::Text(&WINDOW), r#""30s""#, "How far `errors` looks back.")
            .default(Builtin::Time(limits::OUTLIER_WINDOW)),
        Key::new(
            "ejected",
            Kind::Text(&EJECTED),
            r#""10s..1m""#,
            "How long an instance is set aside the first time, and at most.",
        )
        .default(Builtin::Text("30s..5m")),
        Key::new(
            "most",
            Kind::Text(&WHOLE_PERCENT),
            r#""20%""#,
            "The share of the instances that may be set aside at once.",
        )
        .default(Builtin::Text("50%")),
    ]],
);

/// `retry` of a service.
pub(crate) static RETRY: Section = Section::new(
    "retry",
    "How often a request is tried that got no answer.",
    &[&[Key::new(
        "attempts",
        Kind::Integer(1, limits::ATTEMPTS_MAX as u64),
        "3",
        "Attempts, the first included; 1 for none but that.",
    )
    .default(Builtin::Integer(limits::ATTEMPTS as u64))]],
);
