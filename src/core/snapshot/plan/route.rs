//! A route: which requests it takes, and what becomes of them.

use std::fmt;
use std::time::Duration;

use bytes::BytesMut;

use crate::snapshot::plan::consumer::Access;
use crate::snapshot::plan::patterns::{HostPattern, PathPattern};
use crate::snapshot::plan::template::{Template, Values};
use crate::snapshot::plan::when::{Test, When};

/// A route: which requests it takes, and what becomes of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutePlan {
    /// What its operator calls it, if anything: [`RoutePlan::name`] otherwise.
    pub given_name: Option<String>,
    /// The hosts it takes.
    pub host: HostPattern,
    /// The paths it takes.
    pub path: PathPattern,
    /// What else a request must have.
    pub when: When,
    /// Which of two routes is asked first that are otherwise as precise: the one with more.
    pub priority: i32,
    /// What becomes of its requests.
    pub action: Action,
    /// What holds for its requests instead of what the listener or the service says.
    pub terms: RouteTerms,
    /// Who is let in, and how much.
    pub policies: RoutePolicies,
}

impl RoutePlan {
    /// A route without predicates to one service.
    pub fn to(host: HostPattern, path: PathPattern, service: &str) -> Self {
        Self {
            given_name: None,
            host,
            path,
            when: When::default(),
            priority: 0,
            action: Action::Forward(Forward::to(service)),
            terms: RouteTerms::default(),
            policies: RoutePolicies::default(),
        }
    }

    /// What it is called in counters and logs: `/users/*`, `GET,PUT shop.example.com/users/{id} [x-beta=1]`. No two routes
    /// that can stand together have the same, unless their operator gave it.
    pub fn name(&self) -> String {
        if let Some(name) = &self.given_name {
            return name.clone();
        }
        let mut name = self.when.methods.join(",");
        if !name.is_empty() {
            name.push(' ');
        }
        if self.host != HostPattern::Any {
            name += &self.host.to_string();
        }
        name += &self.path.to_string();
        name += &self.when.to_string();
        name
    }

    /// How many regular expressions it may hold a request against.
    pub fn regexes(&self) -> usize {
        let predicates = self.when.headers.iter().chain(&self.when.query);
        let tests = predicates.filter(|one| matches!(one.test, Test::Matches(_))).count();
        tests + usize::from(self.path.segments().is_none())
    }

    /// The services that its requests may go to.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.shares().iter().map(|share| share.service.as_str())
    }

    /// The same, and how many of them each has; none unless they are forwarded.
    pub fn shares(&self) -> &[Share] {
        match &self.action {
            Action::Forward(forward) => &forward.to,
            Action::Redirect(_) | Action::Respond(_) => &[],
        }
    }
}

/// Who is let in by a route, and how much.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoutePolicies {
    /// The name of the way to find out who calls; with none, nobody is asked.
    pub auth: Option<String>,
    /// Which consumers are let in.
    pub access: Access,
    /// The names of the limits that hold, each once, in the order in which they are looked at.
    pub rates: Vec<String>,
    /// The names of the quotas that hold, each once, in the order in which they are taken from.
    pub quotas: Vec<String>,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It goes to an instance of a service.
    Forward(Forward),
    /// Its client is sent elsewhere.
    Redirect(Redirect),
    /// It is answered here, always alike.
    Respond(Respond),
}

/// To which service a request goes, and under which path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// The services and their shares; one at least, and of each once.
    pub to: Vec<Share>,
    /// Under which path.
    pub rewrite: Rewrite,
}

impl Forward {
    /// All of them to one service, as they are.
    pub fn to(service: &str) -> Self {
        let all = Share { service: service.to_owned(), weight: Share::ALL };
        Self { to: vec![all], rewrite: Rewrite::Same }
    }
}

/// A service's share of the requests of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The name of the service.
    pub service: String,
    /// How much, in hundredths of a percent; those of a route are [`Share::ALL`] together.
    pub weight: u32,
}

impl Share {
    /// 100 %.
    pub const ALL: u32 = 10_000;
}

/// Under which path a request goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewrite {
    /// The same.
    Same,
    /// Without this beginning, which is whole segments and no slash behind them; `/` where nothing is left.
    Strip(String),
    /// Another.
    To(Template),
}

impl Rewrite {
    /// Writes the new path; `false` where it stays as it is.
    ///
    /// One that would begin with two slashes begins with one: some would read another host in it.
    pub fn path(&self, path: &[u8], out: &mut Vec<u8>) -> bool {
        let start = out.len();
        match self {
            Self::Same => return false,
            Self::Strip(prefix) => {
                let rest = path.strip_prefix(prefix.as_bytes()).unwrap_or(path);
                out.extend_from_slice(if rest.is_empty() { b"/" } else { rest });
            }
            Self::To(template) => {
                template.fill(&Values { host: b"", path }, |piece| out.extend_from_slice(piece));
            }
        }
        let slashes = out[start..].iter().take_while(|b| **b == b'/').count();
        out.drain(start..start + slashes.saturating_sub(1));
        true
    }
}

/// Where clients are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308 (RFC 9110 §15.4).
    pub status: u16,
    /// Where to.
    pub to: Template,
}

impl Redirect {
    /// Writes the `Location` for a request with this query; what stands behind its `?`, if it has one.
    ///
    /// The query goes along unless the template has its own, before a fragment. A path that would begin with two slashes, and so lead to another
    /// host, begins with one.
    pub fn location(&self, values: &Values<'_>, query: Option<&[u8]>, out: &mut BytesMut) {
        let start = out.len();
        self.to.fill(values, |piece| {
            let slashes = || piece.iter().take_while(|b| **b == b'/').count();
            let dropped = match &out[start..] {
                b"" => slashes().saturating_sub(1),
                b"/" => slashes(),
                _ => 0,
            };
            out.extend_from_slice(&piece[dropped..]);
        });
        if let (Some(query), false) = (query, self.to.has_query()) {
            out.extend_from_slice(b"?");
            out.extend_from_slice(query);
        }
        self.to.fill_fragment(values, |piece| out.extend_from_slice(piece));
    }
}

/// An answer that is always the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Respond {
    /// 200 to 599; those without a body (204, 304) have none.
    pub status: u16,
    /// Its header fields: names and values that may stand in a head, none that frames a message or belongs to a connection.
    pub headers: Vec<(String, String)>,
    /// Its body; at most [`limits::RESPOND_BYTES`](crate::base::limits::RESPOND_BYTES).
    pub body: Vec<u8>,
}

impl fmt::Display for Action {
    /// In one line: `users`, `users 95%, users-next 5%`, `users, as /v2/{id}`, `redirect 307 /new`, `respond 204`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forward(Forward { to, rewrite }) => {
                for (at, Share { service, weight }) in to.iter().enumerate() {
                    let before = if at == 0 { "" } else { ", " };
                    write!(f, "{before}{service}")?;
                    if *weight < Share::ALL {
                        write!(f, " {}%", f64::from(*weight) / 100.0)?;
                    }
                }
                match rewrite {
                    Rewrite::Same => Ok(()),
                    Rewrite::Strip(prefix) => write!(f, ", without {prefix}"),
                    Rewrite::To(template) => write!(f, ", as {template}"),
                }
            }
            Self::Redirect(Redirect { status, to }) => write!(f, "redirect {status} {to}"),
            Self::Respond(Respond { status, .. }) => write!(f, "respond {status}"),
        }
    }
}

/// What holds for the requests of a route instead of what its listener or its service says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RouteTerms {
    /// The most a body may measure, in bytes.
    pub body_bytes: Option<u64>,
    /// A connect.
    pub connect: Option<Duration>,
    /// From the request to the answer's head.
    pub first_byte: Option<Duration>,
    /// Between two pieces of a body from or to the instance.
    pub body: Option<Duration>,
    /// A tunnel in which nothing moves.
    pub tunnel: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::plan::{Predicate, Test};

    #[test]
    fn paths_that_go_on() {
        let strip = Rewrite::Strip("/api".into());
        for (path, expected) in [("/api/x", "/x"), ("/api", "/"), ("/api/", "/"), ("/api//x", "/x")]
        {
            let mut out = Vec::new();
            assert!(strip.path(path.as_bytes(), &mut out));
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        assert!(!Rewrite::Same.path(b"/x", &mut Vec::new()));
    }

    #[test]
    fn locations() {
        let pattern = "/{rest*}".parse().unwrap();
        for (to, path, query, expected) in [
            ("/{rest}", "//evil.com/x", None, "/evil.com/x"),
            ("/{rest}", "////evil.com", None, "/evil.com"),
            ("{path}", "//evil.com", Some("a=1"), "/evil.com?a=1"),
            ("/n/{rest}", "/a", Some(""), "/n/a?"),
            ("/n?x={rest}", "/a", Some("b"), "/n?x=a"),
            ("/n?x={rest}&y=1", "/a&y=2+3;z", None, "/n?x=a%26y%3D2%2B3%3Bz&y=1"),
            ("https://{host}{path}", "//a", None, "https://a.com//a"),
            ("/app#/login", "/a", None, "/app#/login"),
            ("/app#/login?x", "/a", Some("b=1"), "/app?b=1#/login?x"),
            ("/app?c=%2f#{rest}", "/a=1", Some("b=1"), "/app?c=%2f#a=1"),
            ("https://a.com#", "/a", Some("b"), "https://a.com?b#"),
        ] {
            let redirect = Redirect { status: 307, to: Template::location(to, &pattern).unwrap() };
            let values = Values { host: b"a.com", path: path.as_bytes() };
            let mut out = BytesMut::new();
            redirect.location(&values, query.map(str::as_bytes), &mut out);
            assert_eq!(String::from_utf8(out.to_vec()).unwrap(), expected, "{to} {path}");
        }
    }

    #[test]
    fn names() {
        let mut route = RoutePlan::to("a.com".parse().unwrap(), "/u/{id}".parse().unwrap(), "s");
        assert_eq!(route.name(), "a.com/u/{id}");
        route.when.methods = vec!["GET".into(), "PUT".into()];
        assert_eq!(route.name(), "GET,PUT a.com/u/{id}");
        // On one line, whatever an operator tests for.
        let test = Test::Is("1\n2".into());
        route.when.query = vec![Predicate { name: "\u{1b}v".into(), test }];
        assert_eq!(route.name(), "GET,PUT a.com/u/{id} [?\\u{1b}v=1\\n2]");
        route.given_name = Some("users".into());
        assert_eq!((route.name().as_str(), route.services().count()), ("users", 1));
    }
}
