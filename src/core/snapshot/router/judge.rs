//! One route held against one request, the slow and obvious way: whether it takes it, and if not, what is wrong.
//!
//! The tables of [`Router`](super::Router) find the winner without looking at the others; here every route is looked at by
//! itself. `explain` shows it, and the tests hold the tables against it.

use std::fmt;

use crate::snapshot::plan::{
    HostPattern, PathPattern, Predicate, RoutePlan, Segment, Segments, Tail, Unmet, segments_of,
};
use crate::snapshot::router::Asked;

/// What a route says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It would take it.
    Takes,
    /// The host is another.
    Host,
    /// The path is another.
    Path(PathMiss),
    /// A predicate does not hold.
    When(Unmet),
}

/// Where a path is another. Segments are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathMiss {
    /// This segment is not the literal that is expected.
    Literal(usize),
    /// This segment is empty where a parameter is expected.
    Empty(usize),
    /// The path ends before this segment.
    Ends(usize),
    /// The path goes on with this segment where it should have ended.
    GoesOn(usize),
    /// The regular expression is not found in it.
    Regex,
}

/// Holds a route against a request.
pub fn judge(plan: &RoutePlan, asked: &Asked<'_>) -> Verdict {
    if !takes_host(&plan.host, asked.host) {
        return Verdict::Host;
    }
    let miss = match &plan.path {
        PathPattern::Segments(path) => path_miss(path, asked.path),
        PathPattern::Regex(regex) => (!regex.is_in(asked.path)).then_some(PathMiss::Regex),
    };
    if let Some(miss) = miss {
        return Verdict::Path(miss);
    }
    // The method last: what fails by it alone is answered with 405.
    let query = asked.query.unwrap_or_default();
    let method = || (!plan.when.takes_method(asked.method)).then_some(Unmet::Method);
    let unmet = plan.when.unmet_but_method(asked.head, query).or_else(method);
    unmet.map_or(Verdict::Takes, Verdict::When)
}

fn takes_host(pattern: &HostPattern, host: &[u8]) -> bool {
    match pattern {
        HostPattern::Exact(name) => name.as_bytes() == host,
        HostPattern::Below(suffix) => {
            host.len() > suffix.len() && host.ends_with(suffix.as_bytes())
        }
        HostPattern::Any => true,
    }
}

fn path_miss(path: &Segments, asked: &[u8]) -> Option<PathMiss> {
    let mut there = segments_of(asked);
    for (at, expected) in path.segments.iter().enumerate() {
        let Some(segment) = there.next() else { return Some(PathMiss::Ends(at)) };
        match expected {
            Segment::Literal(text) if text.as_bytes() != segment => {
                return Some(PathMiss::Literal(at));
            }
            Segment::Param(_) if segment.is_empty() => return Some(PathMiss::Empty(at)),
            Segment::Literal(_) | Segment::Param(_) => {}
        }
    }
    let goes_on = path.tail == Tail::None && there.next().is_some();
    goes_on.then_some(PathMiss::GoesOn(path.segments.len()))
}

impl Verdict {
    /// What is wrong, in words; `plan` and `asked` are those that were held against each other.
    pub fn describe(self, plan: &RoutePlan, asked: &Asked<'_>) -> String {
        match self {
            Self::Takes => "takes it".to_owned(),
            Self::Host if asked.host.is_empty() => {
                format!("host: expected {}, there is none", plan.host)
            }
            Self::Host => format!("host: expected {}", plan.host),
            Self::Path(miss) => miss.describe(plan, asked.path),
            Self::When(Unmet::Method) => {
                format!("method: expected {}", plan.when.methods.join(" or "))
            }
            Self::When(Unmet::Header(at)) => predicate("header", &plan.when.headers[at]),
            Self::When(Unmet::Query(at)) => predicate("query", &plan.when.query[at]),
        }
    }
}

impl PathMiss {
    fn describe(self, plan: &RoutePlan, path: &[u8]) -> String {
        let found = |at| {
            String::from_utf8_lossy(segments_of(path).nth(at).unwrap_or_default()).into_owned()
        };
        let expected = |at: usize| {
            let segment = plan.path.segments().and_then(|path| path.segments.get(at));
            segment.map_or_else(String::new, ToString::to_string)
        };
        match self {
            Self::Literal(at) => {
                format!("segment {}: expected `{}`, found `{}`", at + 1, expected(at), found(at))
            }
            Self::Empty(at) => {
                format!("segment {}: expected `{}`, which is not empty", at + 1, expected(at))
            }
            Self::Ends(at) => {
                format!("segment {}: expected `{}`, the path ends before it", at + 1, expected(at))
            }
            Self::GoesOn(at) => {
                format!("segment {}: expected the end, found `{}`", at + 1, found(at))
            }
            Self::Regex => format!("path: {} is not found in it", plan.path),
        }
    }
}

fn predicate(what: &str, predicate: &Predicate) -> String {
    format!("{what}: expected {predicate}")
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => f.write_str(text),
            Self::Param(name) => write!(f, "{{{name}}}"),
        }
    }
}
