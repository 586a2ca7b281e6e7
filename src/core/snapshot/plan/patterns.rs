//! Patterns of hosts and of paths, in the normal form that requests are brought to.

use std::fmt;
use std::str::FromStr;

use crate::base::limits;
use crate::http::path::{self, Target};
use crate::snapshot::plan::regex::Regex;

/// Why a text is no [`HostPattern`] or [`PathPattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Not a host.
    #[error("{0:?}: expected a host such as \"shop.example.com\", \"*.example.com\" or \"*\"")]
    Host(String),
    /// Not a path.
    #[error("{0:?}: {1}")]
    Path(String, &'static str),
    /// A parameter whose name is none, or stands twice.
    #[error("{0:?}: {{{1}}}: {2}")]
    Param(String, String, &'static str),
}

/// Which hosts a route takes. Names are in normal form: lower case, no port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// One host.
    Exact(String),
    /// Every host below one: `*.example.com` takes `a.example.com` and `a.b.example.com`. Held with its leading dot.
    Below(String),
    /// Every host, and requests without one.
    Any,
}

impl FromStr for HostPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let below = text.strip_prefix("*.");
        let mut name = below.unwrap_or(text).as_bytes().to_vec();
        match path::normal_host(&mut name) {
            Ok(host) if host.port.is_none() => {
                let name = String::from_utf8_lossy(&name[host.name]).into_owned();
                Ok(if below.is_some() {
                    Self::Below(format!(".{name}"))
                } else {
                    Self::Exact(name)
                })
            }
            _ => Err(PatternError::Host(text.into())),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Below(suffix) => write!(f, "*{suffix}"),
            Self::Any => f.write_str("*"),
        }
    }
}

/// Which paths a route takes, in normal form (see [`path`]).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathPattern {
    /// Segment by segment.
    Segments(Segments),
    /// Those that a regular expression finds something in.
    Regex(Regex),
}

/// A path segment by segment: `/users/{id}/*` has two segments and a tail, `/` has one that is empty, `/*` none and a tail.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Segments {
    /// What stands between the slashes; at most [`limits::PATH_SEGMENTS`].
    pub segments: Vec<Segment>,
    /// What may come behind them.
    pub tail: Tail,
}

/// One segment of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Segment {
    /// This one, in normal form.
    Literal(String),
    /// Any that is not empty, under this name.
    Param(String),
}

/// What may come behind the segments of a path: nothing at all, or a slash and whatever follows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tail {
    /// Nothing.
    None,
    /// Anything: `*`.
    Any,
    /// Anything, under this name: `{rest*}`.
    Named(String),
}

impl PathPattern {
    /// All paths: `/*`.
    pub const ALL: Self = Self::Segments(Segments { segments: Vec::new(), tail: Tail::Any });

    /// The segments, unless it is a regular expression.
    pub fn segments(&self) -> Option<&Segments> {
        match self {
            Self::Segments(segments) => Some(segments),
            Self::Regex(_) => None,
        }
    }
}

impl Segments {
    /// The same whatever parameters are called: two paths of one shape take the same requests.
    pub fn shape(&self) -> Self {
        let nameless = |segment: &Segment| match segment {
            Segment::Literal(text) => Segment::Literal(text.clone()),
            Segment::Param(_) => Segment::Param(String::new()),
        };
        let tail = if self.tail == Tail::None { Tail::None } else { Tail::Any };
        Self { segments: self.segments.iter().map(nameless).collect(), tail }
    }

    /// Where the parameter of this name stands.
    pub fn param(&self, name: &str) -> Option<usize> {
        let is_it = |segment: &Segment| matches!(segment, Segment::Param(param) if param == name);
        self.segments.iter().position(is_it)
    }
}

/// The segments of a path in normal form, in order; `/` has one, which is empty.
pub fn segments_of(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.strip_prefix(b"/").unwrap_or(path).split(|b| *b == b'/')
}

impl FromStr for Segments {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let fault = |why| Err(PatternError::Path(text.into(), why));
        if !text.starts_with('/') {
            return fault("a path begins with \"/\"");
        }
        if text.contains(['?', '#']) {
            return fault("a path has no query or fragment");
        }
        let (text_of_segments, tail) = match text.rsplit_once('/') {
            Some((before, "*")) => (before, Tail::Any),
            Some((before, last)) => {
                match last.strip_prefix('{').and_then(|it| it.strip_suffix("*}")) {
                    Some(name) => (before, Tail::Named(name_of(text, name)?)),
                    None => (text, Tail::None),
                }
            }
            None => (text, Tail::None),
        };
        if text_of_segments.contains('*') {
            return fault(
                "`*` can only be the last segment, as in \"/users/*\" or \"/users/{rest*}\"",
            );
        }
        let has_params = text_of_segments.contains(['{', '}']);
        let mut segments = Vec::new();
        if has_params {
            for segment in text_of_segments.split('/').skip(1) {
                segments.push(segment_of(text, segment)?);
            }
        } else if !text_of_segments.is_empty() {
            let Some(normal) = normal(text_of_segments) else {
                return fault("expected a path such as \"/users/*\" or \"/health\"");
            };
            segments
                .extend(normal.split('/').skip(1).map(|text| Segment::Literal(text.to_owned())));
        }
        if segments.len() > limits::PATH_SEGMENTS {
            return fault("too many segments");
        }
        let pattern = Self { segments, tail };
        pattern.check_names(text)?;
        Ok(pattern)
    }
}

impl Segments {
    /// No name may stand twice.
    fn check_names(&self, text: &str) -> Result<(), PatternError> {
        let params = self.segments.iter().filter_map(|segment| match segment {
            Segment::Param(name) => Some(name),
            Segment::Literal(_) => None,
        });
        let tail = match &self.tail {
            Tail::Named(name) => Some(name),
            Tail::None | Tail::Any => None,
        };
        let mut names: Vec<_> = params.chain(tail).collect();
        names.sort_unstable();
        match names.windows(2).find(|two| two[0] == two[1]) {
            Some(twice) => Err(PatternError::Param(text.into(), twice[0].clone(), "stands twice")),
            None => Ok(()),
        }
    }
}

/// One segment of a pattern that has parameters.
fn segment_of(text: &str, segment: &str) -> Result<Segment, PatternError> {
    if let Some(name) = segment.strip_prefix('{').and_then(|it| it.strip_suffix('}')) {
        return name_of(text, name).map(Segment::Param);
    }
    if segment.contains(['{', '}']) {
        let why = "a parameter is a whole segment, as in \"/users/{id}\"";
        return Err(PatternError::Path(text.into(), why));
    }
    match normal(&format!("/{segment}")) {
        // A dot segment would have climbed.
        Some(normal) if !matches!(segment, "." | "..") && normal.matches('/').count() == 1 => {
            Ok(Segment::Literal(normal[1..].to_owned()))
        }
        _ => Err(PatternError::Path(text.into(), "expected a path such as \"/users/{id}\"")),
    }
}

/// Names that templates give a meaning of their own.
const RESERVED: [&str; 3] = ["host", "path", "query"];

/// The name of a parameter: a letter or `_`, then letters, digits or `_`.
fn name_of(text: &str, name: &str) -> Result<String, PatternError> {
    let fault = |why| Err(PatternError::Param(text.into(), name.into(), why));
    let legal = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if name.is_empty() || !legal || name.starts_with(|c: char| c.is_ascii_digit()) {
        return fault("expected a name of letters, digits or `_`, no digit first");
    }
    if name.len() > limits::PARAM_NAME_BYTES {
        return fault("the name is too long");
    }
    if RESERVED.contains(&name) {
        return fault("`host`, `path` and `query` have a meaning of their own in templates");
    }
    Ok(name.to_owned())
}

/// The normal form of a path.
fn normal(path: &str) -> Option<String> {
    let mut side = Vec::new();
    match path::normal_target(path.as_bytes(), &mut side) {
        Ok(Target::Same { .. }) => Some(path.to_owned()),
        Ok(Target::Rewritten { .. }) => Some(String::from_utf8_lossy(&side).into_owned()),
        Err(_) => None,
    }
}

impl FromStr for PathPattern {
    type Err = PatternError;

    /// A path segment by segment; regular expressions have a reader of their own.
    fn from_str(text: &str) -> Result<Self, PatternError> {
        text.parse().map(Self::Segments)
    }
}

impl fmt::Display for Segments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Param(name) => write!(f, "/{{{name}}}")?,
            }
        }
        match &self.tail {
            Tail::None => Ok(()),
            Tail::Any => f.write_str("/*"),
            Tail::Named(name) => write!(f, "/{{{name}*}}"),
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segments(segments) => segments.fmt(f),
            Self::Regex(regex) => write!(f, "~{regex}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (text, expected) in [
            ("/*", "/*"),
            ("/", "/"),
            ("/a/*", "/a/*"),
            ("/a", "/a"),
            ("/a/", "/a/"),
            ("/a//b", "/a//b"),
            ("/a/../%62", "/b"),
            ("/a/{id}/b", "/a/{id}/b"),
            ("/%61/{id}/{rest*}", "/a/{id}/{rest*}"),
            ("/{x*}", "/{x*}"),
        ] {
            assert_eq!(text.parse::<PathPattern>().unwrap().to_string(), expected);
        }
        for bad in [
            "a",
            "",
            "*",
            "/a*",
            "/*/b",
            "/a?b",
            "/..",
            "GET /a",
            "/{}",
            "/{1}",
            "/a{id}",
            "/{id}.json",
            "/{a}/{a}",
            "/{a}/{a*}",
            "/{a*}/b",
            "/../{a}",
            "/{a}/..",
            "/{host}",
            "/{a b}",
            "/a b",
            "/{a}/%0",
            "/{a}/é",
        ] {
            assert!(bad.parse::<PathPattern>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn shapes_have_no_names() {
        let shape = |text: &str| text.parse::<Segments>().unwrap().shape();
        assert_eq!(shape("/a/{x}/{y*}"), shape("/a/{z}/*"));
        assert_ne!(shape("/a/{x}"), shape("/a/x"));
        assert_ne!(shape("/a"), shape("/a/*"));
        assert_eq!("/a/{x}".parse::<Segments>().unwrap().param("x"), Some(1));
    }

    #[test]
    fn hosts() {
        for (text, expected) in [("*", "*"), ("A.b", "a.b"), ("*.B.c", "*.b.c")] {
            assert_eq!(text.parse::<HostPattern>().unwrap().to_string(), expected);
        }
        for bad in ["", "a:80", "*a.b", "a.*.b", "a b"] {
            assert!(bad.parse::<HostPattern>().is_err(), "{bad:?}");
        }
    }
}
