//! What is asked, and the request that it stands for.

use std::net::IpAddr;
use std::str::FromStr;

use crate::base::limits;
use crate::snapshot::Snapshot;
use crate::snapshot::listeners::Listener;

/// A request that somebody wants explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquiry {
    /// Its method.
    pub method: String,
    /// `https://host/path?query`, `host/path`, or the target alone: `/path`, `*`.
    pub url: String,
    /// Its header fields, in order. A `Host` among them stands instead of the URL's.
    pub headers: Vec<(String, String)>,
    /// The listener that it comes in by; the first that reads requests if none is named.
    pub listener: Option<String>,
    /// Where it comes from.
    pub from: Whence,
    /// The random number by which a split chooses, if that is to be shown.
    pub random: Option<u64>,
    /// How many candidates are listed. With 0 the winner alone is looked for: a look-up, where else every route is looked at.
    pub shown: usize,
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Whence {
    /// Nothing is said of it: what depends on it is not looked at.
    #[default]
    Unsaid,
    /// By a Unix socket, whose clients have no address.
    Unix,
    /// From this address.
    Address(IpAddr),
}

/// The text says not where a request comes from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an address, or unix")]
pub struct WhenceError;

impl FromStr for Whence {
    type Err = WhenceError;

    fn from_str(text: &str) -> Result<Self, WhenceError> {
        match text {
            "unix" => Ok(Self::Unix),
            text => text.parse().map(Self::Address).map_err(|_| WhenceError),
        }
    }
}

impl Whence {
    /// The address, if it has one.
    pub fn address(self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(address),
            Self::Unsaid | Self::Unix => None,
        }
    }
}

/// Why there is nothing to explain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InquiryError {
    /// There is no such listener, or it reads no requests.
    #[error("listener {0:?}: expected one that reads requests: {1}")]
    Listener(String, String),
    /// It would be two lines of a request.
    #[error("{0}: expected no control characters")]
    Control(&'static str),
    /// A name that would end in its middle.
    #[error("header {0:?}: expected a name without a colon")]
    Name(String),
}

impl Inquiry {
    /// A request without header fields of its own.
    pub fn new(method: &str, url: &str) -> Self {
        Self {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            listener: None,
            from: Whence::Unsaid,
            random: None,
            shown: limits::EXPLAIN_CANDIDATES,
        }
    }

    /// The listener that it comes in by, if there is any that reads requests.
    pub(super) fn listener<'s>(
        &self,
        snapshot: &'s Snapshot,
    ) -> Result<Option<&'s Listener>, InquiryError> {
        let mut reading =
            snapshot.listeners().map(|(_, one)| &**one).filter(|one| one.tcp.is_none());
        let Some(name) = &self.listener else { return Ok(reading.next()) };
        let all: Vec<_> = reading.collect();
        let named = all.iter().copied().find(|one| *one.name == **name);
        named.map(Some).ok_or_else(|| {
            let names: Vec<_> = all.iter().map(|one| &*one.name).collect();
            InquiryError::Listener(name.clone(), names.join(", "))
        })
    }

    /// The head of the request, as a client would send it: HTTP/1.1, or HTTP/1.0 where it names no host, which HTTP/1.1 must.
    pub fn text(&self) -> Result<String, InquiryError> {
        let plain = |what, text: &str| match text.contains(|c: char| c.is_control() && c != '\t') {
            true => Err(InquiryError::Control(what)),
            false => Ok(()),
        };
        plain("method", &self.method)?;
        plain("url", &self.url)?;
        let (host, target) = parts(&self.url);
        let has_host = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
        let host = host.filter(|_| !has_host);
        let version = if has_host || host.is_some() { "HTTP/1.1" } else { "HTTP/1.0" };
        let mut text = format!("{} {target} {version}\r\n", self.method);
        if let Some(host) = host {
            text += &format!("Host: {host}\r\n");
        }
        for (name, value) in &self.headers {
            plain("header", name)?;
            plain("header", value)?;
            if name.contains(':') {
                return Err(InquiryError::Name(name.clone()));
            }
            text += &format!("{name}: {value}\r\n");
        }
        text += "\r\n";
        Ok(text)
    }
}

/// The host with its port, if there is one, and the target of a URL. Of a whole URL the fragment is left out, as clients do; a
/// target alone stays as it is.
fn parts(url: &str) -> (Option<&str>, String) {
    if url.starts_with('/') || url == "*" {
        return (None, url.to_owned());
    }
    let scheme = url.find("://").filter(|at| {
        let name = &url[..*at];
        name.eq_ignore_ascii_case("http") || name.eq_ignore_ascii_case("https")
    });
    let rest = scheme.map_or(url, |at| &url[at + "://".len()..]);
    let rest = rest.split('#').next().unwrap_or(rest);
    let (host, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let slash = if target.starts_with('/') { "" } else { "/" };
    (Some(host), format!("{slash}{target}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (url, host, target) in [
            ("https://a.com/b?c", Some("a.com"), "/b?c"),
            ("HTTP://a.com:80", Some("a.com:80"), "/"),
            ("http://a.com?x=/y", Some("a.com"), "/?x=/y"),
            ("https://a.com/b#c", Some("a.com"), "/b"),
            ("a.com/b", Some("a.com"), "/b"),
            ("[::1]:80", Some("[::1]:80"), "/"),
            ("/a://b", None, "/a://b"),
            ("/a#b", None, "/a#b"),
            ("*", None, "*"),
        ] {
            assert_eq!(parts(url), (host, target.to_owned()), "{url}");
        }
    }

    #[test]
    fn requests() {
        let mut inquiry = Inquiry::new("GET", "https://a.com/b");
        assert_eq!(inquiry.text().unwrap(), "GET /b HTTP/1.1\r\nHost: a.com\r\n\r\n");
        inquiry.headers.push(("hOst".into(), "b.com".into()));
        assert_eq!(inquiry.text().unwrap(), "GET /b HTTP/1.1\r\nhOst: b.com\r\n\r\n");
        assert_eq!(Inquiry::new("GET", "/").text().unwrap(), "GET / HTTP/1.0\r\n\r\n");
        inquiry.headers[0].0 = "a:b".into();
        assert_eq!(inquiry.text(), Err(InquiryError::Name("a:b".into())));
        inquiry.headers[0] = ("a".into(), "b\r\nc: d".into());
        assert_eq!(inquiry.text(), Err(InquiryError::Control("header")));
        assert!(Inquiry::new("GET / HTTP/1.1\r\n", "/").text().is_err());
        assert!(Inquiry::new("GET", "/\n").text().is_err());
    }
}
