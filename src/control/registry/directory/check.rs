//! The check that an instance brings with its registration, used instead of its service's: what it may say, and how it is kept.

use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{Address, HealthCheck, HttpProbe, Probe};
use serde::{Deserialize, Serialize};

use crate::io::admin::openapi::ToSchema;

/// A check as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeptCheck {
    /// The request that is sent; none: a connect is all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<KeptHttp>,
    /// Another port than the instance's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// From one probe to the next, in milliseconds.
    pub every_ms: u64,
    /// What a probe may take, in milliseconds.
    pub timeout_ms: u64,
    /// Passes in a row that bring it up.
    pub rise: u32,
    /// Failures in a row that take it down.
    pub fall: u32,
}

/// A request as a probe, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeptHttp {
    /// Its method.
    pub method: String,
    /// Its target.
    pub target: String,
    /// Its `Host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Further fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The statuses that pass: the first and the last of each range.
    pub statuses: Vec<(u16, u16)>,
    /// What its body must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Whether the answer must name the instance's id.
    #[serde(default, skip_serializing_if = "super::restore::is_false")]
    pub instance_id: bool,
}

impl From<&HealthCheck> for KeptCheck {
    fn from(check: &HealthCheck) -> Self {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            http: match &check.probe {
                Probe::Tcp => None,
                Probe::Http(probe) => Some(KeptHttp::from(&**probe)),
            },
            port: check.port,
            every_ms: millis(check.every),
            timeout_ms: millis(check.timeout),
            rise: check.rise,
            fall: check.fall,
        }
    }
}

impl From<&HttpProbe> for KeptHttp {
    fn from(probe: &HttpProbe) -> Self {
        let HttpProbe { method, target, host, headers, statuses, body, instance_id } = probe;
        Self {
            method: method.clone(),
            target: target.clone(),
            host: host.clone(),
            headers: headers.clone(),
            statuses: statuses.iter().map(|range| (*range.start(), *range.end())).collect(),
            body: body.clone(),
            instance_id: *instance_id,
        }
    }
}

impl From<KeptCheck> for HealthCheck {
    fn from(kept: KeptCheck) -> Self {
        Self {
            probe: match kept.http {
                None => Probe::Tcp,
                Some(http) => Probe::Http(Box::new(HttpProbe {
                    method: http.method,
                    target: http.target,
                    host: http.host,
                    headers: http.headers,
                    statuses: http.statuses.into_iter().map(|(from, to)| from..=to).collect(),
                    body: http.body,
                    instance_id: http.instance_id,
                })),
            },
            port: kept.port,
            every: Duration::from_millis(kept.every_ms),
            timeout: Duration::from_millis(kept.timeout_ms),
            rise: kept.rise,
            fall: kept.fall,
        }
    }
}

/// What is out of range in a check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCheck {
    /// The time between two.
    #[error(
        "every {} ms: expected {} ms to {} s", .0.as_millis(),
        limits::PROBE_EVERY_MIN.as_millis(), limits::LEASE_MAX.as_secs()
    )]
    Every(Duration),
    /// The time of one.
    #[error(
        "timeout {} ms: expected 1 ms to what lies between two probes, and at most {most} s", .0.as_millis(),
        most = limits::PROBE_TIMEOUT_MAX.as_secs()
    )]
    Timeout(Duration),
    /// What brings it up or takes it down.
    #[error("{0} {1}: expected 1 to {most}", most = limits::PROBE_COUNT_MAX)]
    Count(&'static str, u32),
    /// Another port.
    #[error("port: expected 1 to 65535, and the address of an instance that has a port")]
    Port,
    /// A part of the request, or of what is expected.
    #[error("{0}: expected {1}")]
    Text(&'static str, &'static str),
    /// More of something than there may be, or none of it.
    #[error("{count} {what}: expected at most {most}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
}

/// Refuses a check that is out of range. What it sends is written into a request as it is.
pub(super) fn check(check: &HealthCheck, address: &Address) -> Result<(), BadCheck> {
    if !(limits::PROBE_EVERY_MIN..=limits::LEASE_MAX).contains(&check.every) {
        return Err(BadCheck::Every(check.every));
    }
    let most = check.every.min(limits::PROBE_TIMEOUT_MAX);
    if !(Duration::from_millis(1)..=most).contains(&check.timeout) {
        return Err(BadCheck::Timeout(check.timeout));
    }
    for (what, count) in [("rise", check.rise), ("fall", check.fall)] {
        if !(1..=limits::PROBE_COUNT_MAX).contains(&count) {
            return Err(BadCheck::Count(what, count));
        }
    }
    if check.port.is_some_and(|port| port == 0 || matches!(address, Address::Unix(_))) {
        return Err(BadCheck::Port);
    }
    match &check.probe {
        Probe::Tcp => Ok(()),
        Probe::Http(probe) => request(probe),
    }
}

fn request(probe: &HttpProbe) -> Result<(), BadCheck> {
    let text = |ok: bool, what, expected| match ok {
        true => Ok(()),
        false => Err(BadCheck::Text(what, expected)),
    };
    let word = |text: &str| text.len() <= limits::PROBE_TEXT_BYTES && is_visible(text);
    let method = &probe.method;
    text(
        is_token(method) && method.len() <= limits::METHOD_BYTES && method != "CONNECT",
        "method",
        "a method of HTTP, not CONNECT",
    )?;
    text(
        probe.target.starts_with('/') && word(&probe.target) && !probe.target.contains(['#', ' ']),
        "target",
        "a path, perhaps with a query, of at most 1024 bytes",
    )?;
    let host = probe.host.as_deref().unwrap_or("host");
    let plain =
        !host.is_empty() && host.len() <= limits::HOST_BYTES && !host.contains([' ', '/', '@']);
    text(plain && is_visible(host), "host", "a host, perhaps with a port")?;
    at_most("header fields", probe.headers.len(), limits::PROBE_FIELDS)?;
    for (name, value) in &probe.headers {
        let lower = is_token(name) && !name.contains(|c: char| c.is_ascii_uppercase());
        let ours = OURS.contains(&name.as_str());
        text(
            lower && word(name) && !ours,
            "a header's name",
            "one in lower case that is not ours to write",
        )?;
        text(word(value), "a header's value", "at most 1024 bytes of visible ASCII")?;
    }
    at_most("ranges of statuses", probe.statuses.len(), limits::PROBE_STATUSES)?;
    let within = |status: &u16| (100..=599).contains(status);
    let range = |range: &std::ops::RangeInclusive<u16>| {
        within(range.start()) && within(range.end()) && range.start() <= range.end()
    };
    let any = !probe.statuses.is_empty() && probe.statuses.iter().all(range);
    text(any, "statuses", "ranges within 100 to 599")?;
    let body = probe.body.as_deref().unwrap_or("body");
    text(!body.is_empty() && body.len() <= limits::PROBE_TEXT_BYTES, "body", "1 to 1024 bytes")
}

/// Fields that the prober writes itself, or that would change how the request or its answer end.
const OURS: [&str; 9] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "keep-alive",
];

fn at_most(what: &'static str, count: usize, most: usize) -> Result<(), BadCheck> {
    if count > most { Err(BadCheck::TooMany { what, count, most }) } else { Ok(()) }
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    let other = |byte| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || other(byte))
}

/// The bytes of its texts.
pub(super) fn text_bytes(check: &HealthCheck) -> usize {
    let Probe::Http(probe) = &check.probe else { return 0 };
    let fields = probe.headers.iter().map(|(name, value)| name.len() + value.len());
    let texts = [&probe.host, &probe.body].into_iter().flatten().map(String::len);
    probe.method.len() + probe.target.len() + fields.chain(texts).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(change: impl FnOnce(&mut HttpProbe)) -> HealthCheck {
        let mut probe = HttpProbe::get("/healthz?full=1");
        change(&mut probe);
        HealthCheck::of(Probe::Http(Box::new(probe)))
    }

    #[test]
    fn what_a_check_may_say() {
        let tcp: Address = "10.0.0.1:80".parse().unwrap();
        let unix: Address = "unix:/run/a.sock".parse().unwrap();
        let good = http(|probe| probe.headers = vec![("x-a".into(), "b c".into())]);
        assert_eq!(check(&good, &tcp), Ok(()));
        assert_eq!(check(&HealthCheck::of(Probe::Tcp), &unix), Ok(()));
        let with = |change: fn(&mut HealthCheck)| {
            let mut bad = HealthCheck::of(Probe::Tcp);
            change(&mut bad);
            bad
        };
        for (bad, expected) in [
            (with(|one| one.every = Duration::from_millis(99)), "every 99 ms: expected 100 ms to"),
            (with(|one| one.timeout = Duration::from_secs(6)), "timeout 6000 ms"),
            (with(|one| one.timeout = Duration::ZERO), "timeout 0 ms"),
            (
                with(|one| (one.every, one.timeout) = (limits::LEASE_MAX, limits::LEASE_MAX)),
                "at most 60 s",
            ),
            (with(|one| one.rise = 0), "rise 0: expected 1 to 100"),
            (with(|one| one.fall = 101), "fall 101"),
            (with(|one| one.port = Some(0)), "port:"),
            (http(|probe| probe.method = "GET /".into()), "method:"),
            (http(|probe| probe.target = "/a b".into()), "target:"),
            (http(|probe| probe.target = "/a\r\nx: y".into()), "target:"),
            (http(|probe| probe.host = Some("a\r\n".into())), "host:"),
            (http(|probe| probe.headers = vec![("Host".into(), String::new())]), "a header's name"),
            (http(|probe| probe.headers = vec![("host".into(), String::new())]), "a header's name"),
            (http(|probe| probe.headers = vec![("a".into(), "\n".into())]), "a header's value"),
            (http(|probe| probe.headers = vec![("a".into(), "b".into()); 17]), "17 header fields"),
            (http(|probe| probe.statuses = vec![200..=600]), "statuses"),
            (http(|probe| probe.statuses.clear()), "statuses"),
            (http(|probe| probe.body = Some(String::new())), "body"),
        ] {
            let said = check(&bad, &tcp).unwrap_err().to_string();
            assert!(said.contains(expected), "{said}");
        }
        assert_eq!(check(&with(|one| one.port = Some(8)), &unix), Err(BadCheck::Port));
    }

    #[test]
    fn what_is_kept_is_the_same_check() {
        for one in [HealthCheck::of(Probe::Tcp), http(|probe| probe.instance_id = true)] {
            let text = serde_json::to_string(&KeptCheck::from(&one)).unwrap();
            let kept: KeptCheck = serde_json::from_str(&text).unwrap();
            assert_eq!(HealthCheck::from(kept), one, "{text}");
        }
    }
}
