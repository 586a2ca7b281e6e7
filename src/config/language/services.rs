//! `[services]`.

use coregate_core::base::limits;

use super::bulkhead::{BULKHEAD, BULKHEAD_KIND};
use super::forms::{INSTANCE, SERVICE as SERVICE_NAME, SOURCE, TIME, TIME_OR_NONE};
use super::health::{HEALTH, HEALTH_KIND, OUTLIER, OUTLIER_KIND, RETRY};
use super::top::SECRET;
use super::{Builtin, Key, Kind, Section};

/// `[services.NAME]`.
pub(crate) static SERVICE: Section = Section::new(
    "service",
    "A named group of instances, and the terms they are spoken to on.",
    &[
        &[
            Key::new(
                "instances",
                Kind::Any(&[
                    Kind::Text(&SOURCE),
                    Kind::List(&Kind::Any(&[Kind::Text(&INSTANCE), Kind::Text(&SOURCE)])),
                ]),
                r#"["10.0.0.11:9000", "10.0.0.12:9000 weight=2", "unix:/run/users.sock", "dns:users.internal:9000"]"#,
                "The addresses of its instances, and where others are looked up; with none, its requests are answered with 503.",
            ),
            Key::new(
                "extends",
                Kind::Text(&SERVICE_NAME),
                r#""other""#,
                "Another service, whose keys stand in for those that are missing here.",
            ),
            Key::new(
                "register",
                Kind::Any(&[Kind::Boolean, Kind::Table(&REGISTER)]),
                "true",
                "Whether instances may register: by the Unix socket of the admin listener, and with a token over TCP too.",
            )
            .default(Builtin::Boolean(false)),
        ],
        TERMS,
    ],
);

/// `register` of a service.
pub(crate) static REGISTER: Section = Section::new(
    "register",
    "Who may register instances over TCP; by the Unix socket they may without a token.",
    &[&[Key::table("token", &SECRET).must()]],
);

/// `[defaults.service]`.
pub(super) static DEFAULTS: Section = Section::new(
    "default-service",
    "What stands in for keys that are missing in a service.",
    &[TERMS],
);

const TERMS: &[Key] = &[
    Key::table("timeout", &TIMEOUT),
    Key::table("pool", &POOL),
    Key::new(
        "proxy_protocol",
        Kind::Word(&["v1", "v2"]),
        r#""v2""#,
        "The version of the PROXY protocol by which instances are told who the client is; none without it.",
    ),
    Key::new("health", HEALTH_KIND, r#""/healthz""#, HEALTH.doc).default(Builtin::Boolean(false)),
    Key::new("outlier", OUTLIER_KIND, "false", OUTLIER.doc).default(Builtin::Boolean(true)),
    Key::new(
        "slow_start",
        Kind::Text(&TIME_OR_NONE),
        r#""30s""#,
        "How long an instance that has recovered takes to get its full share; 0s for at once.",
    )
    .default(Builtin::Time(limits::SLOW_START)),
    Key::table("retry", &RETRY),
    Key::new("bulkhead", BULKHEAD_KIND, "true", BULKHEAD.doc).default(Builtin::Boolean(false)),
];

/// `timeout` of a service.
pub(crate) static TIMEOUT: Section = Section::new(
    "service-timeout",
    "How long instances may take.",
    &[&[
        Key::new("connect", Kind::Text(&TIME), r#""250ms""#, "A connect (504).")
            .default(Builtin::Time(limits::CONNECT_TIMEOUT)),
        Key::new(
            "first_byte",
            Kind::Text(&TIME),
            r#""5s""#,
            "From the request to the answer's head (504).",
        )
        .default(Builtin::Time(limits::FIRST_BYTE_TIMEOUT)),
        Key::new(
            "body",
            Kind::Text(&TIME),
            r#""30s""#,
            "Between two pieces of a body, in either direction.",
        )
        .default(Builtin::Time(limits::BODY_TIMEOUT)),
        Key::new(
            "tunnel",
            Kind::Text(&TIME),
            r#""5m""#,
            "A tunnel (WebSocket, a TCP route) in which nothing moves either way.",
        )
        .default(Builtin::Time(limits::TUNNEL_IDLE)),
    ]],
);

/// `pool` of a service.
pub(crate) static POOL: Section = Section::new(
    "pool",
    "Which connections to instances are kept.",
    &[&[
        Key::new(
            "idle_per_worker",
            Kind::Integer(0, limits::POOL_IDLE_PER_WORKER_MAX),
            "16",
            "Idle connections kept per instance and worker; 0 for none.",
        )
        .default(Builtin::Integer(limits::POOL_IDLE_PER_WORKER as u64)),
        Key::new("idle", Kind::Text(&TIME), r#""30s""#, "How long a connection may wait unused.")
            .default(Builtin::Time(limits::POOL_IDLE)),
        Key::new("age", Kind::Text(&TIME), r#""10m""#, "How old a connection may get.")
            .default(Builtin::Time(limits::POOL_AGE)),
    ]],
);
