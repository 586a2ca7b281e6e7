//! Refusals: a row of the table, and what is said beside it because of whom or what it was refused for.

use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use coregate_core::http::encode::put_number;
use coregate_core::http::rate_fields::RateFields;
use coregate_core::snapshot::plan::{AuthMethod, AuthPlan, RateHeaders};

use crate::proxy::reject::Reject;
use crate::worker::notes::Told;
use crate::worker::services::LocalRoute;

/// A refusal, and what its answer says.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    /// The row of the table.
    pub reject: Reject,
    /// What a credential is asked for by (RFC 9110 §11.6.1).
    pub auth: Option<&'a AuthPlan>,
    /// After how many seconds it may be tried again, where the row does not say it.
    pub retry_after: Option<u64>,
    /// What is left of a rate.
    pub rate: Option<RateFields<'a>>,
}

impl From<Reject> for Refusal<'_> {
    fn from(reject: Reject) -> Self {
        Self { reject, auth: None, retry_after: None, rate: None }
    }
}

impl Refusal<'_> {
    /// Writes the lines that it has beside those of its row.
    pub fn write(&self, out: &mut BytesMut) {
        if let Some(auth) = self.auth {
            let AuthMethod::Key(_) = &auth.method;
            out.extend_from_slice(b"WWW-Authenticate: Key realm=\"");
            out.extend_from_slice(auth.realm.as_bytes());
            out.extend_from_slice(b"\"\r\n");
        }
        if let Some(seconds) = self.retry_after {
            out.extend_from_slice(b"Retry-After: ");
            put_number(out, seconds);
            out.extend_from_slice(b"\r\n");
        }
        if let Some(rate) = &self.rate {
            rate.write(out);
        }
    }

    /// What its body says of it in words.
    pub fn detail(&self) -> &'static str {
        let detail = DETAILS.iter().find(|(reject, _)| *reject == self.reject);
        detail.map_or("", |(_, detail)| detail)
    }
}

/// Where a status alone says little of what is to be done.
const DETAILS: [(Reject, &str); 5] = [
    (Reject::Unauthenticated, "a valid key is needed here"),
    (Reject::Forbidden, "the consumer of this key is not let in here"),
    (Reject::RateLimited, "there were too many requests"),
    (Reject::QuotaExceeded, "the quota is used up"),
    (Reject::QuotaUnavailable, "it cannot be found out whether the quota is used up"),
];

/// A refusal on its way out of the stages: it holds what it speaks of.
#[derive(Debug)]
pub struct Refused {
    reject: Reject,
    route: Option<Rc<LocalRoute>>,
    told: Option<Told>,
    retry_after: Option<u64>,
}

impl From<Reject> for Refused {
    fn from(reject: Reject) -> Self {
        Self { reject, route: None, told: None, retry_after: None }
    }
}

impl Refused {
    /// One by a route that was found. `told`: what its client is told of a rate.
    pub fn by(route: &Rc<LocalRoute>, reject: Reject, told: Option<Told>) -> Self {
        Self { reject, route: Some(Rc::clone(route)), told, retry_after: None }
    }

    /// The same, to be tried again after this time.
    pub fn after(self, wait: Duration) -> Self {
        Self { retry_after: Some(seconds(wait).max(1)), ..self }
    }

    /// As it is told to a client of a listener that tells of rates like this.
    pub fn told(&self, headers: RateHeaders) -> Refusal<'_> {
        let route = self.route.as_deref();
        let asks = route.filter(|_| self.reject == Reject::Unauthenticated);
        Refusal {
            reject: self.reject,
            auth: asks.and_then(|local| local.route.guard.auth.as_deref()),
            retry_after: self.retry_after,
            rate: route
                .zip(self.told.as_ref())
                .and_then(|(route, told)| rate_fields(route, told, headers)),
        }
    }
}

/// What is told of a rate, if the listener tells of rates at all.
pub fn rate_fields<'a>(
    local: &'a LocalRoute,
    told: &Told,
    headers: RateHeaders,
) -> Option<RateFields<'a>> {
    let name = || local.route.guard.limits.get(usize::from(told.at)).map(|limit| &*limit.name);
    let name = match headers {
        RateHeaders::Off => return None,
        RateHeaders::Plain => None,
        RateHeaders::Draft => Some(name().unwrap_or_default()),
    };
    let Told { at: _, limit, remaining, reset, window } = *told;
    Some(RateFields { name, limit, remaining, reset, window })
}

/// In whole seconds, rounded up.
pub fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
