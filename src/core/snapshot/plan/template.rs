//! Templates: the text of a path or an address with places for what a request brings.
//!
//! `{name}` is a parameter of the route's path, `{name*}`'s value stands as `{name}`, what a bare `*` takes as `{*}`; in a
//! redirect `{host}` and `{path}` are the request's. All values are in normal form already: nothing in them can end a line or
//! climb out of a segment.

use std::fmt;

use crate::base::limits;
use crate::http::path::{self, Target};
use crate::snapshot::plan::patterns::{PathPattern, Tail, segments_of};

/// A template.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
    /// What stands behind a `#`, which is there if this is.
    fragment: Option<Vec<Part>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Part {
    Text(String),
    /// The segment of the path at this place.
    Segment(usize),
    /// What follows so many segments of the path.
    Rest(usize),
    Host,
    Path,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A name that the path does not have.
    #[error("{{{0}}} is no parameter of the path {1}")]
    Unknown(String, String),
    /// A brace without its other.
    #[error("a brace that is not closed, or not opened")]
    Brace,
    /// More of them than there may be.
    #[error("more than {} places for what a request brings", limits::TEMPLATE_PLACES)]
    Places,
    /// Not the path of a request.
    #[error("{0}")]
    Form(&'static str),
}

/// What a template is filled with.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// The host, in normal form and without port.
    pub host: &'a [u8],
    /// The path, in normal form.
    pub path: &'a [u8],
}

impl Template {
    /// A path for a request to an instance: begins with a slash, is in normal form, knows only parameters.
    pub fn path(text: &str, pattern: &PathPattern) -> Result<Self, TemplateError> {
        let parts = parts(text, pattern, false)?;
        let template = Self { text: text.to_owned(), parts, fragment: None };
        template.check_path(text)?;
        Ok(template)
    }

    /// Where a redirect leads: a path such as `/new/{id}`, or a whole address that begins with `http://` or `https://`. Either
    /// may end in a fragment (RFC 9110 §10.2.2).
    pub fn location(text: &str, pattern: &PathPattern) -> Result<Self, TemplateError> {
        const WHOLE: &str =
            "a redirect leads to a path or an address such as \"https://example.com/{path}\"";
        let (before, fragment) = match text.split_once('#') {
            Some((before, fragment)) => (before, Some(parts(fragment, pattern, true)?)),
            None => (text, None),
        };
        let template =
            Self { text: text.to_owned(), parts: parts(before, pattern, true)?, fragment };
        template.check_location()?;
        let text = before;
        let rest = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let Some(rest) = rest else {
            if text.starts_with("//") {
                return Err(TemplateError::Form(
                    "two slashes first would be another host: write https://",
                ));
            }
            let begins = text.starts_with('/') || text.starts_with("{path}");
            return if begins { Ok(template) } else { Err(TemplateError::Form(WHOLE)) };
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        // `{path}` brings its own slash.
        let authority = rest[..end].strip_suffix("{path}").unwrap_or(&rest[..end]);
        let host = if authority.starts_with("{host}") {
            authority.replacen("{host}", "h", 1)
        } else {
            authority.to_owned()
        };
        let mut host = host.into_bytes();
        let open = host.ends_with(b":") || host.contains(&b'{');
        if open || path::normal_host(&mut host).is_err() {
            return Err(TemplateError::Form(
                "expected a host behind `://`, or `{host}` and perhaps a port",
            ));
        }
        Ok(template)
    }

    /// What stands around its places may stand in a `Location`, and there are not too many of them in all.
    fn check_location(&self) -> Result<(), TemplateError> {
        let mut places = 0;
        for part in self.parts.iter().chain(self.fragment.iter().flatten()) {
            let Part::Text(text) = part else {
                places += 1;
                continue;
            };
            if text.bytes().any(|b| !b.is_ascii_graphic() || b"\\\"<>^`|#".contains(&b)) {
                return Err(TemplateError::Form("a character that may not stand in a Location"));
            }
            let is_escape = |at: usize| {
                text.as_bytes()
                    .get(at + 1..at + 3)
                    .is_some_and(|it| it.iter().all(u8::is_ascii_hexdigit))
            };
            if text.match_indices('%').any(|(at, _)| !is_escape(at)) {
                return Err(TemplateError::Form("a `%` that begins no escape such as %20"));
            }
        }
        if self.text.len() > limits::TEMPLATE_BYTES {
            return Err(TemplateError::Form("too long"));
        }
        if places > limits::TEMPLATE_PLACES { Err(TemplateError::Places) } else { Ok(()) }
    }

    /// What stands around parameters must be in normal form, whatever they are; what `*` takes may be nothing at all.
    fn check_path(&self, text: &str) -> Result<(), TemplateError> {
        if text.contains(['?', '#']) {
            return Err(TemplateError::Form("the query stays as it is: expected a path alone"));
        }
        self.check_sample("x")?;
        self.check_sample("")
    }

    /// The same with `rest` for what `*` takes.
    fn check_sample(&self, rest: &str) -> Result<(), TemplateError> {
        let mut sample = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => sample.push_str(text),
                Part::Rest(_) if !sample.ends_with('/') => {
                    return Err(TemplateError::Form(
                        "what `*` takes stands behind a slash, as in \"/new/{*}\"",
                    ));
                }
                Part::Rest(_) => sample.push_str(rest),
                Part::Segment(_) | Part::Host | Part::Path => sample.push('x'),
            }
        }
        match path::normal_target(sample.as_bytes(), &mut Vec::new()) {
            Ok(Target::Same { .. }) => Ok(()),
            Ok(Target::Rewritten { .. }) => {
                Err(TemplateError::Form("not in normal form: no dot segments, escapes in capitals"))
            }
            Err(_) => Err(TemplateError::Form("expected a path such as \"/new/{id}\"")),
        }
    }

    /// Whether it has a query of its own.
    pub fn has_query(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Text(text) if text.contains('?')))
    }

    /// Whether it has a place for the host.
    pub fn needs_host(&self) -> bool {
        self.parts.iter().chain(self.fragment.iter().flatten()).any(|part| *part == Part::Host)
    }

    /// Puts its pieces together, one after another, but for a fragment. Behind a `?` a value stays one value: what would end
    /// it is escaped.
    pub fn fill<'a>(&'a self, values: &Values<'a>, mut put: impl FnMut(&'a [u8])) {
        fill(&self.parts, values, &mut put);
    }

    /// Puts the pieces of its fragment together, if it has one, the `#` first.
    pub fn fill_fragment<'a>(&'a self, values: &Values<'a>, mut put: impl FnMut(&'a [u8])) {
        if let Some(parts) = &self.fragment {
            put(b"#");
            fill(parts, values, &mut put);
        }
    }
}

/// The parts of a text; `of_request` is whether it may have places for the host and the path.
fn parts(text: &str, pattern: &PathPattern, of_request: bool) -> Result<Vec<Part>, TemplateError> {
    if text.len() > limits::TEMPLATE_BYTES {
        return Err(TemplateError::Form("too long"));
    }
    let mut parts = Vec::new();
    let (mut rest, mut places) = (text, 0);
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        let inner = from.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let (name, after) = inner.ok_or(TemplateError::Brace)?;
        if !before.is_empty() {
            parts.push(Part::Text(before.to_owned()));
        }
        places += 1;
        parts.push(match name {
            "host" if of_request => Part::Host,
            "path" if of_request => Part::Path,
            name => of_pattern(name, pattern)?,
        });
        rest = after;
    }
    if places > limits::TEMPLATE_PLACES {
        return Err(TemplateError::Places);
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    Ok(parts)
}

fn fill<'a>(parts: &'a [Part], values: &Values<'a>, put: &mut impl FnMut(&'a [u8])) {
    let mut in_query = false;
    for part in parts {
        let value = match part {
            Part::Text(text) => {
                in_query |= text.contains('?');
                put(text.as_bytes());
                continue;
            }
            Part::Segment(at) => segments_of(values.path).nth(*at).unwrap_or_default(),
            Part::Rest(segments) => rest_of(values.path, *segments),
            Part::Host => values.host,
            Part::Path => values.path,
        };
        match in_query {
            true => escaped(value, put),
            false => put(value),
        }
    }
}

/// Puts a value into a query, where `&`, `;` and `=` part values and `+` is a space.
fn escaped<'a>(value: &'a [u8], put: &mut impl FnMut(&'a [u8])) {
    let parts = value.split_inclusive(|b| b"&;=+".contains(b));
    for part in parts {
        let escape: &[u8] = match part.last() {
            Some(b'&') => b"%26",
            Some(b';') => b"%3B",
            Some(b'=') => b"%3D",
            Some(b'+') => b"%2B",
            _ => {
                put(part);
                continue;
            }
        };
        put(&part[..part.len() - 1]);
        put(escape);
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The place in the path of what a name stands for.
fn of_pattern(name: &str, pattern: &PathPattern) -> Result<Part, TemplateError> {
    let unknown = || TemplateError::Unknown(name.to_owned(), pattern.to_string());
    let path = pattern.segments().ok_or_else(unknown)?;
    let is_tail = match &path.tail {
        Tail::None => false,
        Tail::Any => name == "*",
        Tail::Named(tail) => name == tail,
    };
    if is_tail {
        return Ok(Part::Rest(path.segments.len()));
    }
    path.param(name).map(Part::Segment).ok_or_else(unknown)
}

/// What follows so many segments of a path, without the slash before it.
fn rest_of(path: &[u8], segments: usize) -> &[u8] {
    let mut slashes = path.iter().enumerate().filter(|(_, b)| **b == b'/');
    slashes.nth(segments).map_or(&[], |(at, _)| &path[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &Template, path: &str) -> String {
        let mut out = Vec::new();
        let values = Values { host: b"a.com", path: path.as_bytes() };
        template.fill(&values, |piece| out.extend_from_slice(piece));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn paths() {
        for (pattern, template, path, expected) in [
            ("/a/{id}", "/b/{id}", "/a/7", "/b/7"),
            ("/a/{id}", "/b/x-{id}.json", "/a/7", "/b/x-7.json"),
            ("/a/{x}/{y}", "/{y}/{x}", "/a/1/2", "/2/1"),
            ("/a/*", "/b/{*}", "/a/1/2", "/b/1/2"),
            ("/a/*", "/b/{*}", "/a", "/b/"),
            ("/a/{rest*}", "/{rest}", "/a//x", "//x"),
            ("/*", "/b/{*}", "/", "/b/"),
            ("/*", "/b", "/x", "/b"),
        ] {
            let pattern = pattern.parse().unwrap();
            assert_eq!(filled(&Template::path(template, &pattern).unwrap(), path), expected);
        }
        let pattern = "/a/{id}/*".parse().unwrap();
        for bad in [
            "b",
            "",
            "/{x}",
            "/{id",
            "/}",
            "/b?x={id}",
            "/../{id}",
            "/.{*}",
            "/b{*}",
            "/b/{*}..",
            "/b/{*}./c",
            "/%61",
            "/{host}",
            "/é",
            &"/{id}".repeat(limits::TEMPLATE_PLACES + 1),
        ] {
            assert!(Template::path(bad, &pattern).is_err(), "{bad}");
        }
        let most = "/{id}".repeat(limits::TEMPLATE_PLACES);
        assert!(Template::path(&most, &pattern).is_ok());
        let regex = PathPattern::Regex("^/a".parse().unwrap());
        assert!(Template::path("/{x}", &regex).is_err() && Template::path("/x", &regex).is_ok());
    }

    #[test]
    fn locations() {
        let pattern = "/a/{id}/*".parse().unwrap();
        for (template, expected) in [
            ("https://b.com{path}", "https://b.com/a/7/x"),
            ("https://{host}:8443{path}", "https://a.com:8443/a/7/x"),
            ("https://{host}/n/{id}?y={*}", "https://a.com/n/7?y=x"),
            ("/n/{id}", "/n/7"),
            ("http://[::1]:80/", "http://[::1]:80/"),
            ("https://b.com", "https://b.com"),
        ] {
            assert_eq!(
                filled(&Template::location(template, &pattern).unwrap(), "/a/7/x"),
                expected
            );
        }
        for bad in [
            "",
            "x",
            "//b.com/",
            "https://",
            "https://{id}/",
            "https://b.{host}/",
            "ftp://b.com/",
            "javascript:x",
            "/a b",
            "/a#x#y",
            "#x",
            "https://#x",
            "/a#\u{e9}",
            "/a#{x}",
            "/a%zz",
            "/a%",
            "/a%2",
            "/a%2{id}",
            "/%{id}",
            "/a#%zz",
            &format!("/{}#{}", "{id}".repeat(limits::TEMPLATE_PLACES), "{id}"),
            "https://b.com:x/",
            "https://u@b.com/",
            "/\r\nx: y",
            "https://b.com{id}/",
            "https://https://b.com/",
        ] {
            assert!(Template::location(bad, &pattern).is_err(), "{bad}");
        }
    }
}
