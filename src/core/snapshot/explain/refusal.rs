//! How the gateway answers what no route gets. The statuses and reasons are rows of the data plane's table of rejects; a test
//! there holds these against it.

use std::borrow::Cow;

use crate::base::moment;
use crate::http::framing::{BodyIn, FramingFault};
use crate::http::parse::RequestFault;
use crate::snapshot::explain::guard::Found;

/// A request that the gateway answers by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The status of the answer.
    pub status: u16,
    /// The stable token of the reason.
    pub reason: &'static str,
    /// The same in words.
    pub why: Cow<'static, str>,
    /// What `Allow` lists, if the method is what is wrong.
    pub allow: Vec<String>,
}

impl Refused {
    /// A head that does not end.
    pub const UNFINISHED: Self = Self::of(400, "bad_request", "the request's head has no end");
    /// No route takes it.
    pub const NO_ROUTE: Self = Self::of(404, "no_route", "no route takes it");

    /// A redirect to an address that names the host which was asked for, and there is none.
    pub const NO_HOST: Self = Self::of(
        400,
        "bad_request",
        "the redirect leads to the host of the request, and there is none",
    );

    /// Nobody is known to call.
    pub fn unauthenticated(found: Found) -> Self {
        let why = match found {
            Found::Expired => "the key that it shows has expired",
            Found::Unknown => "the key that it shows is nobody's",
            Found::Missing | Found::Unasked | Found::Known | Found::Forbidden => {
                "it shows no key, and the route asks who calls"
            }
        };
        Self::of(401, "unauthenticated", why)
    }

    /// A consumer that the route does not let in; `access` says whom it does.
    pub fn forbidden(consumer: &str, access: &str) -> Self {
        let why = format!("the route does not let consumer {consumer} in: {access}");
        Self { why: Cow::Owned(why), ..Self::of(403, "forbidden", "") }
    }

    /// A limit that has not got what the request costs.
    pub fn by_limit(name: &str) -> Self {
        let why = format!("limit {name} is used up");
        Self { why: Cow::Owned(why), ..Self::of(429, "rate_limited", "") }
    }

    /// A quota that has not got what the request costs until its period ends, in seconds of Unix time.
    pub fn by_quota(name: &str, ends: u64) -> Self {
        let why = format!("quota {name} is used up until {}", moment::show(ends));
        Self { why: Cow::Owned(why), ..Self::of(429, "quota_exceeded", "") }
    }

    /// A quota that has no room for one more count.
    pub fn by_full_quota(name: &str) -> Self {
        let why = format!("quota {name} has no room for one more count");
        Self { why: Cow::Owned(why), ..Self::of(429, "quota_exceeded", "") }
    }

    /// An address that showed nobody's keys too often.
    pub fn failed_too_often() -> Self {
        let why =
            "its address showed nobody's keys too often: only keys that its worker knows pass";
        Self::of(429, "rate_limited", why)
    }

    const fn of(status: u16, reason: &'static str, why: &'static str) -> Self {
        Self { status, reason, why: Cow::Borrowed(why), allow: Vec::new() }
    }

    /// What the parser refuses.
    pub fn by_parser(fault: &RequestFault) -> Self {
        let (status, reason) = row(fault);
        let allow = if status == 405 { all_methods() } else { Vec::new() };
        Self { why: Cow::Owned(fault.to_string()), allow, ..Self::of(status, reason, "") }
    }

    /// `Max-Forwards: 0`.
    pub fn max_forwards() -> Self {
        let why = "it may be forwarded no further, and is answered here";
        Self { allow: all_methods(), ..Self::of(204, "max_forwards", why) }
    }

    /// Routes would take it with these methods.
    pub fn method(allowed: Vec<&str>) -> Self {
        let allow: Vec<_> = allowed.into_iter().map(str::to_owned).collect();
        let why = format!("routes would take it, had it another method: {}", allow.join(", "));
        Self { why: Cow::Owned(why), allow, ..Self::of(405, "method_not_allowed", "") }
    }

    /// A body that is longer than it may be, if it says so.
    pub fn by_length(body: BodyIn, most: Option<u64>) -> Option<Self> {
        let (BodyIn::Length(length), Some(most)) = (body, most) else { return None };
        let why = || format!("the body has {length} bytes: expected at most {most}");
        (length > most)
            .then(|| Self { why: Cow::Owned(why()), ..Self::of(413, "body_too_large", "") })
    }
}

/// The methods that may go to some route.
fn all_methods() -> Vec<String> {
    ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"].map(str::to_owned).into()
}

/// Status and reason of what the parser refuses.
fn row(fault: &RequestFault) -> (u16, &'static str) {
    match fault {
        RequestFault::Malformed(_) | RequestFault::Form(_) | RequestFault::Host => {
            (400, "bad_request")
        }
        RequestFault::Framing(FramingFault::UnknownCoding) | RequestFault::UnknownMethod => {
            (501, "not_implemented")
        }
        RequestFault::Framing(
            FramingFault::Both | FramingFault::BadLength | FramingFault::CodingIn10,
        ) => (400, "bad_request"),
        RequestFault::Version => (505, "version_not_supported"),
        RequestFault::TargetTooLong => (414, "uri_too_long"),
        RequestFault::HeadTooLarge => (431, "head_too_large"),
        RequestFault::MethodNotAllowed => (405, "method_not_allowed"),
        RequestFault::Expectation => (417, "expectation_failed"),
    }
}
