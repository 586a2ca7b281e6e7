//! `[listeners]`.

use coregate_core::base::limits;

use super::forms::{NETWORK, SERVICE, TIME};
use super::top::ADDRESSES;
use super::{Builtin, Key, Kind, Section};

/// `[listeners.NAME]`.
pub(crate) static LISTENER: Section = Section {
    name: "listener",
    doc: "Where clients come in, and on what terms.",
    keys: &[
        &[
            Key::new("bind", ADDRESSES, r#"["0.0.0.0:8080", "[::]:8080"]"#, "Where it listens."),
            Key::new(
                "tcp",
                Kind::Text(&SERVICE),
                r#""users""#,
                "The service that connections are passed to as they are; no requests are read.",
            ),
        ],
        TERMS,
    ],
    one_of: &[],
    apart: &[&["tcp", "expose_reasons"], &["tcp", "rate_headers"]],
};

/// `[defaults.listener]`.
pub(super) static DEFAULTS: Section = Section::new(
    "default-listener",
    "What stands in for keys that are missing in a listener.",
    &[TERMS],
);

const TERMS: &[Key] = &[
    Key::table("timeout", &TIMEOUT),
    Key::table("limits", &LIMITS),
    Key::new(
        "expose_reasons",
        Kind::Boolean,
        "true",
        "Whether the gateway's own answers say why in x-coregate-reason.",
    )
    .default(Builtin::Boolean(false)),
    Key::new(
        "rate_headers",
        Kind::Any(&[Kind::Boolean, Kind::Word(&["draft"])]),
        "false",
        "Whether clients are told what is left of a rate: true for RateLimit-Limit and its like, draft for the fields RateLimit and RateLimit-Policy of the IETF's draft.",
    )
    .default(Builtin::Boolean(true)),
    Key::table("proxy_protocol", &PROXY_PROTOCOL),
];

/// `timeout` of a listener.
pub(crate) static TIMEOUT: Section = Section::new(
    "listener-timeout",
    "How long clients may take.",
    &[&[
        Key::new(
            "head",
            Kind::Text(&TIME),
            r#""5s""#,
            "A request head, from its first byte (408).",
        )
        .default(Builtin::Time(limits::HEAD_TIMEOUT)),
        Key::new("idle", Kind::Text(&TIME), r#""30s""#, "A connection without a request.")
            .default(Builtin::Time(limits::IDLE_TIMEOUT)),
        Key::new(
            "body",
            Kind::Text(&TIME),
            r#""30s""#,
            "Between two pieces of a body, in either direction.",
        )
        .default(Builtin::Time(limits::BODY_TIMEOUT)),
    ]],
);

/// `limits` of a listener.
pub(crate) static LIMITS: Section = Section::new(
    "listener-limits",
    "How much clients may send, and how many connections they may have.",
    &[&[
        Key::new(
            "head",
            Kind::Size(limits::REQUEST_HEAD_BYTES_MIN, limits::PAGE_LARGE_BYTES as u64),
            r#""32KiB""#,
            "A request head (431).",
        )
        .default(Builtin::Size(limits::REQUEST_HEAD_BYTES as u64)),
        Key::new(
            "target",
            Kind::Size(1, limits::PAGE_LARGE_BYTES as u64 - 1),
            r#""4KiB""#,
            "A request target, less than the head (414); half of a small head without it.",
        )
        .default(Builtin::Size(limits::REQUEST_TARGET_BYTES as u64)),
        Key::new(
            "fields",
            Kind::Integer(1, limits::REQUEST_FIELDS as u64),
            "50",
            "Header fields of a request (431).",
        )
        .default(Builtin::Integer(limits::REQUEST_FIELDS as u64)),
        Key::new(
            "body",
            Kind::Size(1, u64::MAX),
            r#""1MiB""#,
            "A request's body (413); no limit without it.",
        ),
        Key::new(
            "requests",
            Kind::Integer(1, u32::MAX as u64),
            "1000",
            "Requests on one connection, then it is closed.",
        )
        .default(Builtin::Integer(limits::REQUESTS_PER_CONNECTION as u64)),
        Key::new(
            "body_rate",
            Kind::Size(0, limits::BODY_RATE_MAX),
            "0",
            "The least of a body that a client must send or take in a second; 0 turns it off.",
        )
        .default(Builtin::Size(limits::BODY_RATE)),
        Key::new(
            "connections",
            Kind::Integer(1, limits::CONNECTIONS_OF_LISTENER_MAX),
            "10000",
            "Connections that are open at a time, on the host (503, or a close with tcp); no limit of its own without it.",
        ),
        Key::new(
            "connections_per_address",
            Kind::Integer(1, limits::CONNECTIONS_PER_ADDRESS_MAX),
            "100",
            "The same of one IPv4 address, or of one /64 of IPv6 addresses; no limit without it.",
        ),
    ]],
);

/// `proxy_protocol` of a listener.
pub(crate) static PROXY_PROTOCOL: Section = Section::new(
    "proxy-protocol",
    "The peers that are trusted to say who the client is, by the PROXY protocol; they must.",
    &[&[Key::new(
        "from",
        Kind::Some(&Kind::Text(&NETWORK)),
        r#"["10.0.0.0/8"]"#,
        "Their networks and addresses.",
    )
    .must()]],
);
