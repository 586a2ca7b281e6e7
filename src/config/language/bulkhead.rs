//! `bulkhead` of a service: how many of its requests may be in flight, and what becomes of those beyond.

use coregate_core::base::limits;

use super::forms::{GROUP, WAIT};
use super::{Builtin, Key, Kind, Section};

/// Limits, or none.
pub(super) const BULKHEAD_KIND: Kind = Kind::Any(&[Kind::Boolean, Kind::Table(&BULKHEAD)]);

/// The classes of consumers, the highest first.
pub(crate) const CLASSES: &[&str] = &["high", "normal", "low"];

/// `bulkhead` of a service.
pub(crate) static BULKHEAD: Section = Section::new(
    "bulkhead",
    "How many of its requests may be in flight on this host, and what becomes of those beyond; false for any number.",
    &[&[
        Key::new(
            "service",
            Kind::Integer(1, limits::BULKHEAD_MAX),
            "256",
            "Requests in flight to the service; any number without it.",
        ),
        Key::new(
            "instance",
            Kind::Integer(1, limits::BULKHEAD_MAX),
            "16",
            "Requests in flight to each of its instances; any number without it.",
        ),
        Key::new(
            "connections",
            Kind::Integer(1, limits::BULKHEAD_MAX),
            "128",
            "Connections to each of its instances, idle ones included.",
        )
        .default(Builtin::Integer(limits::BULKHEAD_CONNECTIONS)),
        Key::new(
            "queue",
            Kind::Integer(0, limits::BULKHEAD_QUEUE_MAX),
            "20",
            "Requests beyond that which may wait; 0 for none.",
        )
        .default(Builtin::Integer(limits::BULKHEAD_QUEUE)),
        Key::new("wait", Kind::Text(&WAIT), r#""50ms""#, "How long they may wait.")
            .default(Builtin::Time(limits::BULKHEAD_WAIT)),
        Key::new(
            "priority",
            Kind::Map(&[(&GROUP, Kind::Word(CLASSES))]),
            r#"{ "gold": "high", "bots": "low" }"#,
            "Groups of consumers that are let in before others, or after them.",
        ),
    ]],
);
