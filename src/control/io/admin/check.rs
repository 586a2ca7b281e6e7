//! How an instance wants to be probed, as it says when it registers: `{"get": "/healthz", "every": "2s"}`, `{"tcp": true}`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{HealthCheck, HttpProbe, Probe};
use serde::{Deserialize, Serialize};

use super::asking::duration;
use super::openapi::ToSchema;
use super::problem::Problem;

/// How an instance is probed: by a request, or by a connect alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckBody {
    /// The path that is asked for, perhaps with a query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub get: Option<String>,
    /// Whether a connect is all that is asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tcp: bool,
    /// The method, `GET` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The `Host`; the instance's address by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Further header fields.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The statuses that pass: `"200-299"`, `"204"`; 200 to 299 by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<String>,
    /// What must stand in the body of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Whether the answer must name the instance's id in `x-instance-id`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub instance_id: bool,
    /// Another port than that of the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// From one probe to the next: `2s`; [`limits::PROBE_EVERY`] by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// What a probe may take, at most `every`; [`limits::PROBE_TIMEOUT`] by default, or `every` where that is less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Probes that must pass in a row until an instance is up again; [`limits::PROBE_RISE`] by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rise: Option<u32>,
    /// Probes that must fail in a row until it is down; [`limits::PROBE_FALL`] by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fall: Option<u32>,
}

impl CheckBody {
    /// What it asks for, or which of its members is out of range.
    pub(super) fn check(self) -> Result<HealthCheck, Problem> {
        let every = self.duration("every", self.every.as_deref())?.unwrap_or(limits::PROBE_EVERY);
        if !(limits::PROBE_EVERY_MIN..=limits::TIMEOUT_MAX).contains(&every) {
            let least = limits::PROBE_EVERY_MIN.as_millis();
            return Err(wrong(
                "every",
                &format!("{} ms: expected at least {least} ms", every.as_millis()),
            ));
        }
        let timeout = self.duration("timeout", self.timeout.as_deref())?;
        let timeout = timeout.unwrap_or(limits::PROBE_TIMEOUT.min(every));
        if timeout > every {
            let (is, most) = (timeout.as_millis(), every.as_millis());
            return Err(wrong("timeout", &format!("{is} ms: expected at most every, {most} ms")));
        }
        if self.port == Some(0) {
            return Err(wrong("port", "0: expected 1 to 65535"));
        }
        let rise = count("rise", self.rise, limits::PROBE_RISE)?;
        let fall = count("fall", self.fall, limits::PROBE_FALL)?;
        let port = self.port;
        Ok(HealthCheck { probe: self.probe()?, port, every, timeout, rise, fall })
    }

    fn duration(&self, name: &str, text: Option<&str>) -> Result<Option<Duration>, Problem> {
        duration(&format!("check.{name}"), text)
    }

    fn probe(self) -> Result<Probe, Problem> {
        let Self { get, tcp, method, host, headers, status, body, instance_id, .. } = self;
        let Some(target) = get else {
            let says_more = method.is_some()
                || host.is_some()
                || !headers.is_empty()
                || !status.is_empty()
                || body.is_some()
                || instance_id;
            return match (tcp, says_more) {
                (true, false) => Ok(Probe::Tcp),
                (true, true) => {
                    Err(wrong("tcp", "a connect has neither headers nor an answer: expected get"))
                }
                (false, _) => Err(wrong("get", "expected a path, or tcp = true")),
            };
        };
        if tcp {
            return Err(wrong("tcp", "expected either get or tcp"));
        }
        if !target.starts_with('/') || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("get", "expected a path that begins with / and has no spaces"));
        }
        Ok(Probe::Http(Box::new(HttpProbe {
            method: named_method(method)?,
            target: text("get", target)?,
            host: host.map(|host| field("host", host)).transpose()?,
            headers: fields(headers)?,
            statuses: statuses(&status)?,
            body: body.map(|body| text("body", body)).transpose()?,
            instance_id,
        })))
    }
}

fn wrong(member: &str, what: &str) -> Problem {
    Problem::bad(format!("check.{member} {what}")).with("member", format!("check.{member}"))
}

fn count(name: &str, count: Option<u32>, default: u32) -> Result<u32, Problem> {
    let (count, most) = (count.unwrap_or(default), limits::PROBE_COUNT_MAX);
    if (1..=most).contains(&count) {
        return Ok(count);
    }
    Err(wrong(name, &format!("{count}: expected 1 to {most}")))
}

fn named_method(method: Option<String>) -> Result<String, Problem> {
    let method = method.unwrap_or_else(|| "GET".to_owned());
    let is_method = (1..=limits::METHOD_BYTES).contains(&method.len())
        && method.bytes().all(|byte| byte.is_ascii_uppercase());
    // What opens a tunnel has no answer that could be looked at.
    if is_method && method != "CONNECT" {
        return Ok(method);
    }
    Err(wrong("method", "expected a method such as GET or HEAD"))
}

fn text(name: &str, text: String) -> Result<String, Problem> {
    let most = limits::PROBE_TEXT_BYTES;
    if (1..=most).contains(&text.len()) {
        return Ok(text);
    }
    Err(wrong(name, &format!("of {} bytes: expected 1 to {most}", text.len())))
}

/// The value of a header field: one line.
fn field(name: &str, value: String) -> Result<String, Problem> {
    if value.bytes().all(|byte| byte == b' ' || byte == b'\t' || byte.is_ascii_graphic()) {
        return text(name, value);
    }
    Err(wrong(name, "expected printable ASCII on one line"))
}

/// Those that say how the request itself is framed are the prober's to write.
fn fields(headers: BTreeMap<String, String>) -> Result<Vec<(String, String)>, Problem> {
    const OURS: [&str; 6] =
        ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te"];
    let most = limits::PROBE_FIELDS;
    if headers.len() > most {
        return Err(wrong(
            "headers",
            &format!("{} fields: expected at most {most}", headers.len()),
        ));
    }
    let each = headers.into_iter().map(|(name, value)| {
        let name = name.to_ascii_lowercase();
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let is_name = !name.is_empty()
            && name.len() <= limits::PROBE_TEXT_BYTES
            && name.bytes().all(is_token);
        if !is_name || OURS.contains(&name.as_str()) {
            return Err(wrong(
                "headers",
                "expected names of header fields, without those of framing and Host",
            ));
        }
        let value = field(&format!("headers.{name}"), value)?;
        Ok((name, value))
    });
    each.collect()
}

fn statuses(texts: &[String]) -> Result<Vec<RangeInclusive<u16>>, Problem> {
    if texts.is_empty() {
        return Ok(vec![200..=299]);
    }
    if texts.len() > limits::PROBE_STATUSES {
        let most = limits::PROBE_STATUSES;
        return Err(wrong("status", &format!("{} ranges: expected at most {most}", texts.len())));
    }
    let range = |text: &String| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (200 <= first && first <= last && last <= 599).then_some(first..=last)
    };
    let ranges = texts.iter().map(|text| {
        range(text).ok_or_else(|| {
            wrong("status", "expected texts such as \"200-299\" and \"204\", from 200 to 599")
        })
    });
    ranges.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<HealthCheck, String> {
        let body: CheckBody = serde_json::from_str(text).map_err(|error| error.to_string())?;
        body.check().map_err(|problem| format!("{problem:?}"))
    }

    #[test]
    fn what_a_check_says() {
        assert_eq!(read(r#"{"tcp": true}"#), Ok(HealthCheck::of(Probe::Tcp)));
        let plain = HealthCheck::of(Probe::Http(Box::new(HttpProbe::get("/healthz"))));
        assert_eq!(read(r#"{"get": "/healthz"}"#), Ok(plain));
        let all = read(
            r#"{"get": "/h?a=b", "every": "2s", "timeout": "1s", "rise": 1, "fall": 4, "status": ["200-299", "304"],
                "body": "ok", "headers": {"X-A": "b"}, "instance_id": true, "port": 9001, "host": "h", "method": "HEAD"}"#,
        );
        let probe = HttpProbe {
            method: "HEAD".into(),
            host: Some("h".into()),
            headers: vec![("x-a".into(), "b".into())],
            statuses: vec![200..=299, 304..=304],
            body: Some("ok".into()),
            instance_id: true,
            ..HttpProbe::get("/h?a=b")
        };
        let expected = HealthCheck {
            probe: Probe::Http(Box::new(probe)),
            port: Some(9001),
            every: Duration::from_secs(2),
            timeout: Duration::from_secs(1),
            rise: 1,
            fall: 4,
        };
        assert_eq!(all, Ok(expected));
        let quick = read(r#"{"tcp": true, "every": "500ms"}"#).expect("a check");
        assert_eq!(quick.timeout, Duration::from_millis(500), "no more than every");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long = format!(r#"{{"get": "/{}"}}"#, "x".repeat(limits::PROBE_TEXT_BYTES));
        for (text, member) in [
            ("{}", "check.get"),
            (r#"{"tcp": true, "get": "/"}"#, "check.tcp"),
            (r#"{"tcp": true, "body": "ok"}"#, "check.tcp"),
            (r#"{"get": "healthz"}"#, "check.get"),
            (r#"{"get": "/a b"}"#, "check.get"),
            (r#"{"get": "/", "every": "99ms"}"#, "check.every"),
            (r#"{"get": "/", "every": "soon"}"#, "check.every"),
            (r#"{"get": "/", "every": "1s", "timeout": "2s"}"#, "check.timeout"),
            (r#"{"get": "/", "rise": 0}"#, "check.rise"),
            (r#"{"get": "/", "fall": 101}"#, "check.fall"),
            (r#"{"get": "/", "port": 0}"#, "check.port"),
            (r#"{"get": "/", "status": ["100"]}"#, "check.status"),
            (r#"{"get": "/", "status": ["299-200"]}"#, "check.status"),
            (r#"{"get": "/", "status": ["2xx"]}"#, "check.status"),
            (r#"{"get": "/", "method": "get"}"#, "check.method"),
            (r#"{"get": "/", "method": "CONNECT"}"#, "check.method"),
            (r#"{"get": "/", "headers": {"host": "a"}}"#, "check.headers"),
            (r#"{"get": "/", "headers": {"a b": "c"}}"#, "check.headers"),
            (r#"{"get": "/", "headers": {"a": "b\r\nc: d"}}"#, "check.headers.a"),
            (r#"{"get": "/", "body": ""}"#, "check.body"),
            (r#"{"gett": "/"}"#, "gett"),
            (long.as_str(), "check.get"),
        ] {
            let said = read(text).expect_err(text);
            assert!(said.contains(member), "{text}: {said}");
        }
    }
}
