//! `[consumers]`, `[auth]`, `[rates]` and `[quotas]`, and what routes say of them.

use coregate_core::base::limits;

use super::forms::{
    CONSUMER, DIGEST, FIELD, FILE, GROUP, MOMENT, NAME, PER, PRINCIPAL, RATE, RATE_OR_NAME, REALM,
    TEXT, VARIABLE, ZONE,
};
use super::{Builtin, Key, Kind, Section};

/// What stands in `[consumers]`.
pub(super) const CONSUMERS: Kind = Kind::Map(&[(&CONSUMER, Kind::Table(&CONSUMER_TABLE))]);

/// What stands in `[auth]`.
pub(super) const AUTHS: Kind = Kind::Map(&[(&NAME, Kind::Table(&AUTH))]);

/// What stands in `[rates]`.
pub(super) const RATES: Kind = Kind::Map(&[(&NAME, A_RATE)]);

/// What stands in `[quotas]`.
pub(super) const QUOTAS: Kind = Kind::Map(&[(&NAME, Kind::Table(&QUOTA))]);

/// A rate in short, or with all that it says.
const A_RATE: Kind = Kind::Any(&[Kind::Text(&RATE), Kind::Table(&RATE_TABLE)]);

/// `[consumers.NAME]`.
pub(crate) static CONSUMER_TABLE: Section = Section::new(
    "consumer",
    "Somebody who calls, and the keys by which it is known.",
    &[&[
        Key::new(
            "groups",
            Kind::Any(&[Kind::Text(&GROUP), Kind::List(&Kind::Text(&GROUP))]),
            r#"["gold"]"#,
            "The groups that it is in.",
        ),
        Key::new(
            "keys",
            Kind::List(&Kind::Table(&CONSUMER_KEY)),
            "",
            "Its keys: where each lies, or its digest.",
        ),
    ]],
);

/// A key of a consumer.
pub(crate) static CONSUMER_KEY: Section = Section {
    name: "consumer-key",
    doc: "A key: where it lies, or its SHA-256.",
    keys: &[&[
        Key::new(
            "env",
            Kind::Text(&VARIABLE),
            r#""MOBILE_KEY""#,
            "The environment variable that holds it.",
        ),
        Key::new(
            "file",
            Kind::Text(&FILE),
            r#""/etc/coregate/mobile.key""#,
            "The file that holds it.",
        ),
        Key::new(
            "sha256",
            Kind::Text(&DIGEST),
            r#""ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad""#,
            "Its SHA-256 in hexadecimal digits, as printf %s KEY | sha256sum gives it.",
        ),
        Key::new(
            "expires",
            Kind::Text(&MOMENT),
            r#""2099-01-31T00:00:00Z""#,
            "From when on it is refused; never without it.",
        ),
    ]],
    one_of: &["env", "file", "sha256"],
    apart: &[&["env", "file", "sha256"]],
};

/// `[auth.NAME]`.
pub(crate) static AUTH: Section = Section::new(
    "auth",
    "A way to find out who calls.",
    &[&[
        Key::new(
            "key",
            Kind::Any(&[Kind::Table(&KEY_PLACE), Kind::Some(&Kind::Table(&KEY_PLACE))]),
            r#"{ "header": "x-partner-key" }"#,
            "Where a key stands in a request; of several places the first that has anything counts.",
        )
        .must(),
        Key::new(
            "realm",
            Kind::Text(&REALM),
            r#""partners""#,
            "What clients are told that they need a credential for.",
        )
        .default(Builtin::Text("coregate")),
        Key::new("forward", Kind::Boolean, "true", "Whether instances see the key.")
            .default(Builtin::Boolean(false)),
    ]],
);

/// A place of a key.
pub(crate) static KEY_PLACE: Section = Section {
    name: "key-place",
    doc: "Where a key stands in a request.",
    keys: &[&[
        Key::new("header", Kind::Text(&FIELD), r#""x-partner-key""#, "In this header field."),
        Key::new("query", Kind::Text(&TEXT), r#""api_key""#, "In this parameter of the query."),
        Key::new("cookie", Kind::Text(&FIELD), r#""key""#, "In this cookie."),
    ]],
    one_of: &["header", "query", "cookie"],
    apart: &[&["header", "query", "cookie"]],
};

/// `[rates.NAME]`, and a rate that stands in a route.
pub(crate) static RATE_TABLE: Section = Section::new(
    "rate",
    "A limit of requests in time.",
    &[
        TERMS,
        &[
            Key::new(
                "per",
                Kind::Any(&[Kind::Text(&PER), Kind::List(&Kind::Text(&PER))]),
                r#"["consumer", "route"]"#,
                "What has a bucket of its own: consumer, address, address/24, header:NAME, route, service; without it all share one.",
            ),
            Key::new(
                "cost",
                Kind::Any(&[Kind::Integer(1, limits::RATE_TOKENS), Kind::Table(&COST)]),
                "5",
                "What a request costs.",
            )
            .default(Builtin::Integer(1)),
            Key::new(
                "scope",
                Kind::Word(SCOPE),
                r#""worker""#,
                "Where it holds: on the host, exactly; or on each worker by itself, which allows as many times as much as there are workers.",
            )
            .default(Builtin::Text("host")),
            Key::new(
                "dry_run",
                Kind::Boolean,
                "true",
                "Whether it only counts what it would refuse.",
            )
            .default(Builtin::Boolean(false)),
            Key::new(
                "groups",
                Kind::Map(&[(
                    &GROUP,
                    Kind::Any(&[Kind::Text(&RATE), Kind::Table(&RATE_OF_GROUP)]),
                )]),
                r#"{ "gold": "1000/s" }"#,
                "What it allows consumers of a group instead; the first group that one is in counts.",
            ),
        ],
    ],
);

/// The words for where a rate holds.
pub(crate) const SCOPE: &[&str] = &["host", "worker"];

/// What a rate allows a group.
pub(crate) static RATE_OF_GROUP: Section =
    Section::new("rate-of-group", "What a rate allows consumers of a group.", &[TERMS]);

const TERMS: &[Key] = &[
    Key::new(
        "limit",
        Kind::Text(&RATE),
        r#""100/s""#,
        "So many in such a time: 100/s, 10/min, 5000/h, 20/15min.",
    )
    .must(),
    Key::new(
        "burst",
        Kind::Integer(1, limits::RATE_TOKENS),
        "200",
        "The most at once; without it as many as limit says.",
    ),
];

/// `cost` of a rate.
pub(crate) static COST: Section = Section::new(
    "cost",
    "What a request costs, which its answer says.",
    &[&[Key::new(
        "answer",
        Kind::Text(&FIELD),
        r#""x-cost""#,
        "The header field of the answer that says how many tokens more it cost; it is not passed on.",
    )
    .must()]],
);

/// `[quotas.NAME]`.
pub(crate) static QUOTA: Section = Section::new(
    "quota",
    "A limit of a day or a month, counted across restarts.",
    &[&[
        Key::new(
            "limit",
            Kind::Integer(1, limits::QUOTA_TOKENS),
            "100000",
            "So many tokens in each day or month.",
        )
        .must(),
        Key::new(
            "every",
            Kind::Word(EVERY),
            r#""month""#,
            "What is counted together: a day or a month of the calendar.",
        )
        .must(),
        Key::new(
            "zone",
            Kind::Text(&ZONE),
            r#""Europe/Berlin""#,
            "The time zone in which days and months begin, as the IANA database names it.",
        )
        .default(Builtin::Text("UTC")),
        Key::new(
            "per",
            Kind::Any(&[Kind::Word(QUOTA_PER), Kind::List(&Kind::Word(QUOTA_PER))]),
            r#""consumer""#,
            "What has a count of its own: consumer, route, service; without it all share one.",
        ),
        Key::new("cost", Kind::Integer(1, limits::QUOTA_COST), "5", "What a request costs.")
            .default(Builtin::Integer(1)),
        Key::new("dry_run", Kind::Boolean, "true", "Whether it only counts what it would refuse.")
            .default(Builtin::Boolean(false)),
        Key::new(
            "groups",
            Kind::Map(&[(&GROUP, Kind::Integer(1, limits::QUOTA_TOKENS))]),
            r#"{ "gold": 1000000 }"#,
            "What it allows consumers of a group instead; the first group that one is in counts.",
        ),
    ]],
);

/// The words for what a quota counts together.
pub(crate) const EVERY: &[&str] = &["day", "month"];

/// The words for what has a count of its own.
const QUOTA_PER: &[&str] = &["consumer", "route", "service"];

/// Who is let in by a route, and how much; `[defaults.route]` has it too.
pub(super) const GUARD: &[Key] = &[
    Key::new(
        "auth",
        AUTH_NAME,
        r#""key""#,
        "How it is found out who calls: key, which is built in, or a name of [auth]; false for nobody, where [defaults] say otherwise.",
    ),
    Key::new(
        "allow",
        PRINCIPALS,
        r#"["group:gold", "mobile"]"#,
        "The consumers and groups that are let in; all that are known without it.",
    ),
    Key::new("deny", PRINCIPALS, r#"["group:old"]"#, "Those that are not."),
    Key::new(
        "rate",
        RATES_OF_ROUTE,
        r#""50/s""#,
        "The rates that hold: names of [rates], or rates of its own.",
    ),
    Key::new("quota", QUOTAS_OF_ROUTE, r#""api""#, "The quotas that hold: names of [quotas]."),
];

/// What a route says of who calls.
pub(super) const AUTH_NAME: Kind = Kind::Any(&[Kind::Text(&NAME), Kind::Constant(false)]);

/// A rate of a route, or several.
const RATES_OF_ROUTE: Kind =
    Kind::Any(&[Kind::Text(&RATE_OR_NAME), Kind::Table(&RATE_TABLE), Kind::List(&ONE_RATE)]);

/// A quota of a route, or several.
const QUOTAS_OF_ROUTE: Kind = Kind::Any(&[Kind::Text(&NAME), Kind::List(&Kind::Text(&NAME))]);

const ONE_RATE: Kind = Kind::Any(&[Kind::Text(&RATE_OR_NAME), Kind::Table(&RATE_TABLE)]);

const PRINCIPALS: Kind = Kind::Any(&[Kind::Text(&PRINCIPAL), Kind::List(&Kind::Text(&PRINCIPAL))]);
