//! Every way a request can end without the upstream's answer: one row each, one table (rule 10).

use coregate_core::http::framing::FramingFault;
use coregate_core::http::parse::RequestFault;

/// Whose fault it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The client's.
    Client,
    /// The upstream's.
    Upstream,
    /// Ours, or our operator's.
    Gateway,
}

/// What happens to the client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It lives on, if the request's body was read or can be drained.
    Keep,
    /// It is closed after the answer: what follows on it cannot be trusted.
    Close,
}

/// How loud a reject is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Everyday: clients err.
    Debug,
    /// Worth a look when there are many.
    Info,
    /// Something behind us is wrong.
    Warn,
}

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    /// The stable token: in logs, in metrics as the label `reason`, and in `x-coregate-reason` where that is exposed.
    pub reason: &'static str,
    /// HTTP status.
    pub status: u16,
    /// gRPC status (grpc.io, "HTTP to gRPC Status Code Mapping", and the canonical codes).
    pub grpc: u8,
    /// HTTP/2 error code, where the stream is reset instead of answered (RFC 9113 §7).
    pub h2: u8,
    /// Whose fault it was.
    pub fault: Fault,
    /// What happens to the client's connection.
    pub fate: Fate,
    /// Whether the gateway may try again on its own.
    pub retry: bool,
    /// How loud it is in the log.
    pub level: Level,
    /// A header line to add: its name and its value.
    pub extra: Option<(&'static str, &'static str)>,
}

macro_rules! rejects {
    ($($(#[$doc:meta])* $name:ident: $reason:literal, $status:literal, grpc $grpc:literal, h2 $h2:literal, $fault:ident, $fate:ident, $retry:ident, $level:ident, $extra:expr;)*) => {
        /// Why a request ended without the upstream's answer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Reject { $($(#[$doc])* $name,)* }

        impl Reject {
            /// All of them, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The row of this reject.
            pub const fn row(self) -> &'static Row {
                match self {
                    $(Self::$name => &Row {
                        reason: $reason,
                        status: $status,
                        grpc: $grpc,
                        h2: $h2,
                        fault: Fault::$fault,
                        fate: Fate::$fate,
                        retry: rejects!(@ $retry),
                        level: Level::$level,
                        extra: $extra,
                    },)*
                }
            }
        }
    };
    (@ retry) => { true };
    (@ once) => { false };
}

/// The methods that may go to some route.
const ALLOW: Option<(&str, &str)> = Some(("Allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH"));

rejects! {
    /// Not HTTP as RFC 9112 has it, no normal form, or not exactly one host.
    BadRequest:           "bad_request",            400, grpc 13, h2 1,  Client,   Close, once,  Debug, None;
    /// The head did not come in time.
    HeadTimeout:          "head_timeout",           408, grpc 4,  h2 8,  Client,   Close, once,  Debug, None;
    /// The body did not come in time.
    BodyTimeout:          "body_timeout",           408, grpc 4,  h2 8,  Client,   Close, once,  Debug, None;
    /// The body is longer than the listener allows.
    BodyTooLarge:         "body_too_large",         413, grpc 8,  h2 8,  Client,   Close, once,  Info,  None;
    /// The target is too long.
    UriTooLong:           "uri_too_long",           414, grpc 13, h2 1,  Client,   Close, once,  Debug, None;
    /// An expectation other than `100-continue`.
    ExpectationFailed:    "expectation_failed",     417, grpc 13, h2 1,  Client,   Close, once,  Debug, None;
    /// The head is too large or has too many fields.
    HeadTooLarge:         "head_too_large",         431, grpc 8,  h2 11, Client,   Close, once,  Debug, None;
    /// Routes take this host and path, but none with this method: their own are named instead. And CONNECT and TRACE, which
    /// none takes, and of which the head is not read to its end: then the connection is closed.
    MethodNotAllowed:     "method_not_allowed",     405, grpc 12, h2 1,  Client,   Keep,  once,  Debug, ALLOW;
    /// An OPTIONS that may go no further is answered here (RFC 9110 §7.6.2).
    MaxForwards:          "max_forwards",           204, grpc 0,  h2 8,  Client,   Keep,  once,  Debug, ALLOW;
    /// No route takes this host and path.
    NoRoute:              "no_route",               404, grpc 12, h2 8,  Client,   Keep,  once,  Info,  None;
    /// The route asks who calls, and what the request shows is nobody's, or nothing.
    Unauthenticated:      "unauthenticated",        401, grpc 16, h2 8,  Client,   Keep,  once,  Debug, None;
    /// The route does not let this consumer in.
    Forbidden:            "forbidden",              403, grpc 7,  h2 8,  Client,   Keep,  once,  Info,  None;
    /// A rate is used up; or the client's address failed too often to say who calls.
    RateLimited:          "rate_limited",           429, grpc 8,  h2 11, Client,   Keep,  once,  Debug, None;
    /// A quota is used up for its day or month, or there is no room for one more count.
    QuotaExceeded:        "quota_exceeded",         429, grpc 8,  h2 11, Client,   Keep,  once,  Info,  None;
    /// Whether a quota is used up could not be found out in time.
    QuotaUnavailable:     "quota_unavailable",      503, grpc 14, h2 7,  Gateway,  Keep,  once,  Warn,  Some(("Retry-After", "1"));
    /// A transfer coding or a method that nobody knows.
    NotImplemented:       "not_implemented",        501, grpc 12, h2 1,  Client,   Close, once,  Debug, None;
    /// Neither HTTP/1.0 nor HTTP/1.1.
    VersionNotSupported:  "version_not_supported",  505, grpc 12, h2 1,  Client,   Close, once,  Debug, None;
    /// The service has no instance.
    NoHealthyInstance:    "no_healthy_instance",    503, grpc 14, h2 7,  Gateway,  Keep,  once,  Warn,  Some(("Retry-After", "1"));
    /// The service, or its instances, have as many requests as they may, and as many wait for that, or this one has for too long.
    BulkheadFull:         "bulkhead_full",          503, grpc 14, h2 7,  Gateway,  Keep,  once,  Warn,  Some(("Retry-After", "1"));
    /// The host has as many connections as it may.
    Overloaded:           "overloaded",             503, grpc 14, h2 7,  Gateway,  Close, once,  Warn,  Some(("Retry-After", "1"));
    /// The client's address has as many connections to this listener as it may.
    AddressFull:          "too_many_of_address",    503, grpc 14, h2 11, Gateway,  Close, once,  Info,  Some(("Retry-After", "1"));
    /// The listener has as many connections as it may.
    ListenerFull:         "listener_full",          503, grpc 14, h2 7,  Gateway,  Close, once,  Warn,  Some(("Retry-After", "1"));
    /// It has come through here before: a route leads back to the gateway itself.
    LoopDetected:         "loop_detected",          508, grpc 13, h2 8,  Gateway,  Keep,  once,  Warn,  None;
    /// No instance took a connection.
    ConnectFailed:        "connect_failed",         502, grpc 14, h2 2,  Upstream, Keep,  retry, Warn,  None;
    /// No instance took a connection in time.
    ConnectTimeout:       "connect_timeout",        504, grpc 4,  h2 2,  Upstream, Keep,  retry, Warn,  None;
    /// The upstream's answer did not begin in time.
    FirstByteTimeout:     "first_byte_timeout",     504, grpc 4,  h2 2,  Upstream, Keep,  once,  Warn,  None;
    /// The upstream closed or reset its connection before it answered.
    UpstreamClosed:       "upstream_closed",        502, grpc 14, h2 2,  Upstream, Keep,  retry, Warn,  None;
    /// The upstream's answer is not HTTP as RFC 9112 has it.
    UpstreamMalformed:    "upstream_malformed",     502, grpc 13, h2 2,  Upstream, Keep,  once,  Warn,  None;
    /// The upstream's answer broke off: the client's connection is cut, so that it cannot take it for whole.
    UpstreamTruncated:    "upstream_truncated",     502, grpc 14, h2 2,  Upstream, Close, once,  Warn,  None;
    /// The client went away; nobody is answered (nginx's 499, in the log only).
    ClientGone:           "client_gone",            499, grpc 1,  h2 8,  Client,   Close, once,  Debug, None;
}

impl From<RequestFault> for Reject {
    fn from(fault: RequestFault) -> Self {
        match fault {
            RequestFault::Malformed(_) | RequestFault::Form(_) | RequestFault::Host => {
                Self::BadRequest
            }
            RequestFault::Framing(FramingFault::UnknownCoding) | RequestFault::UnknownMethod => {
                Self::NotImplemented
            }
            RequestFault::Framing(
                FramingFault::Both | FramingFault::BadLength | FramingFault::CodingIn10,
            ) => Self::BadRequest,
            RequestFault::Version => Self::VersionNotSupported,
            RequestFault::TargetTooLong => Self::UriTooLong,
            RequestFault::HeadTooLarge => Self::HeadTooLarge,
            RequestFault::MethodNotAllowed => Self::MethodNotAllowed,
            RequestFault::Expectation => Self::ExpectationFailed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use coregate_core::http::framing::BodyIn;
    use coregate_core::http::path::FormFault;
    use coregate_core::snapshot::explain::refusal::Refused;

    use super::*;

    #[test]
    fn every_row_is_its_own_and_makes_sense() {
        let reasons: BTreeSet<_> = Reject::ALL.iter().map(|reject| reject.row().reason).collect();
        assert_eq!(reasons.len(), Reject::COUNT);
        for (at, reject) in Reject::ALL.iter().enumerate() {
            let row = reject.row();
            assert_eq!(*reject as usize, at);
            assert!(matches!(row.status, 204 | 400..=599), "{row:?}");
            assert!(row.grpc <= 16 && row.h2 <= 13, "{row:?}");
            assert_eq!(
                row.fault == Fault::Client,
                row.status < 500 || matches!(row.status, 501 | 505),
                "{row:?}"
            );
            assert!(!row.retry || row.fault == Fault::Upstream, "{row:?}");
        }
    }

    #[test]
    fn explain_says_what_the_table_says() {
        let check = |refused: &Refused, reject: Reject| {
            let row = reject.row();
            assert_eq!((refused.status, refused.reason), (row.status, row.reason), "{refused:?}");
            let allow = row.extra.filter(|(name, _)| *name == "Allow").map(|(_, value)| value);
            assert_eq!(refused.allow.join(", "), allow.unwrap_or_default());
        };
        for fault in [
            RequestFault::Malformed("x"),
            RequestFault::Version,
            RequestFault::TargetTooLong,
            RequestFault::HeadTooLarge,
            RequestFault::UnknownMethod,
            RequestFault::MethodNotAllowed,
            RequestFault::Framing(FramingFault::UnknownCoding),
            RequestFault::Framing(FramingFault::Both),
            RequestFault::Framing(FramingFault::BadLength),
            RequestFault::Framing(FramingFault::CodingIn10),
            RequestFault::Form(FormFault::BadHost),
            RequestFault::Host,
            RequestFault::Expectation,
        ] {
            check(&Refused::by_parser(&fault), Reject::from(fault));
        }
        check(&Refused::UNFINISHED, Reject::BadRequest);
        check(&Refused::max_forwards(), Reject::MaxForwards);
        check(&Refused::NO_ROUTE, Reject::NoRoute);
        let (method, row) = (Refused::method(vec!["GET"]), Reject::MethodNotAllowed.row());
        assert_eq!((method.status, method.reason), (row.status, row.reason));
        let too_long = Refused::by_length(BodyIn::Length(2), Some(1));
        check(&too_long.expect("refused"), Reject::BodyTooLarge);
    }
}
