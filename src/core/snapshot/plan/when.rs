//! Predicates: what a request must have besides its host and path.
//!
//! Here they are as an operator writes them, and as one request is held against them. Any line of a header, any occurrence of
//! a query parameter may satisfy a predicate. Names of headers have no case; names and values in a query are compared with
//! their escapes undone, `+` being a space (WHATWG URL, application/x-www-form-urlencoded).

use std::fmt;

use crate::base::plain::Plain;
use crate::http::head::Head;
use crate::http::query::{self, is_plain, plain};
use crate::snapshot::plan::regex::Regex;

/// What a request must have. All of it must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct When {
    /// Its method is one of these, sorted and each once; any if there is none. `GET` takes HEAD too (RFC 9110 §9.3.2).
    pub methods: Vec<String>,
    /// Its header fields; names in lower case.
    pub headers: Vec<Predicate>,
    /// Its query parameters.
    pub query: Vec<Predicate>,
}

/// Something that a header field or a query parameter must be.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Predicate {
    /// The name of the field or parameter.
    pub name: String,
    /// What it must be.
    pub test: Test,
}

/// What a value must be.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Test {
    /// This.
    Is(String),
    /// Something that begins so.
    Begins(String),
    /// Something that the expression is found in.
    Matches(Regex),
    /// There, whatever it is.
    Present,
    /// Not there.
    Absent,
}

/// Which predicate does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmet {
    /// The method is another.
    Method,
    /// The header predicate at this place.
    Header(usize),
    /// The query predicate at this place.
    Query(usize),
}

impl When {
    /// How many predicates there are: the methods are one.
    pub fn count(&self) -> usize {
        usize::from(!self.methods.is_empty()) + self.headers.len() + self.query.len()
    }

    /// Whether a request with this method may pass.
    pub fn takes_method(&self, method: &[u8]) -> bool {
        self.methods.is_empty()
            || self.names_method(method)
            || (method == b"HEAD" && self.names_method(b"GET"))
    }

    /// Whether the method is named, and not only implied.
    pub fn names_method(&self, method: &[u8]) -> bool {
        self.methods.iter().any(|named| named.as_bytes() == method)
    }

    /// The first header or query predicate that does not hold.
    pub fn unmet_but_method(&self, head: &Head, query: &[u8]) -> Option<Unmet> {
        let header = self.headers.iter().position(|predicate| !predicate.holds_in_head(head));
        header.map(Unmet::Header).or_else(|| {
            let query = self.query.iter().position(|predicate| !predicate.holds_in_query(query));
            query.map(Unmet::Query)
        })
    }

    /// Whether no request can pass both, as far as that shows: methods that differ, one field or parameter that must be two
    /// things, or be there and not.
    pub fn excludes(&self, other: &Self) -> bool {
        let both = |ours: &[Predicate], theirs: &[Predicate]| {
            let named = |one: &Predicate| theirs.iter().any(|other| one.excludes(other));
            ours.iter().any(named)
        };
        let apart = !self.methods.is_empty()
            && !other.methods.is_empty()
            && !self.methods.iter().any(|method| other.methods.contains(method));
        apart || both(&self.headers, &other.headers) || both(&self.query, &other.query)
    }
}

impl Predicate {
    /// Whether a request with these header fields satisfies it.
    pub fn holds_in_head(&self, head: &Head) -> bool {
        let fields = head.fields.iter();
        let mut named = fields
            .filter(|field| head.bytes(field.name).eq_ignore_ascii_case(self.name.as_bytes()));
        match &self.test {
            Test::Absent => named.next().is_none(),
            Test::Present => named.next().is_some(),
            test => named.any(|field| test.passes(head.bytes(field.value))),
        }
    }

    /// Whether a request with this query satisfies it; what stands behind the `?`, as it came.
    pub fn holds_in_query(&self, query: &[u8]) -> bool {
        let mut named = query::pairs(query).filter(|(name, _)| is_plain(name, &self.name));
        match &self.test {
            Test::Absent => named.next().is_none(),
            Test::Present => named.next().is_some(),
            test => named.any(|(_, value)| test.passes_escaped(value)),
        }
    }

    /// Whether no value is both. A field may have several lines, so two values that differ do not exclude each other in what
    /// may be repeated; they do here, where the same name must be exactly two things: a request with both is nobody's habit.
    fn excludes(&self, other: &Self) -> bool {
        self.name == other.name
            && match (&self.test, &other.test) {
                (Test::Absent, test) | (test, Test::Absent) => *test != Test::Absent,
                (Test::Is(one), Test::Is(two)) => one != two,
                (Test::Is(whole), Test::Begins(start)) | (Test::Begins(start), Test::Is(whole)) => {
                    !whole.starts_with(start.as_str())
                }
                (Test::Begins(one), Test::Begins(two)) => {
                    !one.starts_with(two.as_str()) && !two.starts_with(one.as_str())
                }
                _ => false,
            }
    }
}

impl Test {
    fn passes(&self, value: &[u8]) -> bool {
        match self {
            Self::Is(expected) => value == expected.as_bytes(),
            Self::Begins(start) => value.starts_with(start.as_bytes()),
            Self::Matches(regex) => regex.is_in(value),
            Self::Present => true,
            Self::Absent => false,
        }
    }

    fn passes_escaped(&self, value: &[u8]) -> bool {
        match self {
            Self::Is(expected) => is_plain(value, expected),
            Self::Begins(start) => {
                let mut plain = plain(value);
                start.bytes().all(|expected| plain.next() == Some(expected))
            }
            Self::Matches(regex) => match value.iter().any(|b| matches!(b, b'%' | b'+')) {
                false => regex.is_in(value),
                true => regex.is_in_bytes(plain(value)),
            },
            Self::Present => true,
            Self::Absent => false,
        }
    }
}

impl fmt::Display for Test {
    /// As it reads behind a name: `=1`, `^=v2`, `~^2`; nothing where it must only be there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(value) => write!(f, "={}", Plain(value)),
            Self::Begins(start) => write!(f, "^={}", Plain(start)),
            Self::Matches(regex) => write!(f, "~{regex}"),
            Self::Present => Ok(()),
            Self::Absent => f.write_str("=absent"),
        }
    }
}

impl fmt::Display for Predicate {
    /// As it reads in the name of a route: `x-beta=1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Plain(&self.name), self.test)
    }
}

impl fmt::Display for When {
    /// The header and query predicates as they stand in the name of a route: `[x-beta=1 ?v~^2]`; nothing without any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = " [";
        for predicate in &self.headers {
            write!(f, "{before}{predicate}")?;
            before = " ";
        }
        for predicate in &self.query {
            write!(f, "{before}?{predicate}")?;
            before = " ";
        }
        if before == " " { f.write_str("]") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(name: &str, test: Test, query: &str) -> bool {
        Predicate { name: name.into(), test }.holds_in_query(query.as_bytes())
    }

    #[test]
    fn queries() {
        let is = |value: &str| Test::Is(value.into());
        for (name, test, query, expected) in [
            ("v", is("2"), "v=2", true),
            ("v", is("2"), "a=1&v=2&b", true),
            ("v", is("2"), "v=1&v=2", true),
            ("v", is("2"), "vv=2&v=22", false),
            ("v", is("a b&"), "v=a+b%26", true),
            ("v", is("a b&"), "%76=a%20b%26", true),
            ("v", is(""), "v", true),
            ("v", is(""), "v=", true),
            ("v", is("%zz"), "v=%zz", true),
            ("v", is("%4"), "v=%4", true),
            ("v", Test::Begins("be".into()), "v=%62eta", true),
            ("v", Test::Begins("be".into()), "v=b", false),
            ("v", Test::Matches("^2".parse().unwrap()), "v=2.1", true),
            ("v", Test::Matches("^ 2$".parse().unwrap()), "v=+%32", true),
            ("v", Test::Matches("^2".parse().unwrap()), "v=1.2", false),
            // To the end of a value, however long it is.
            (
                "v",
                Test::Matches("^a+$".parse().unwrap()),
                &format!("v=%61{}", "a".repeat(5_000)),
                true,
            ),
            (
                "v",
                Test::Matches("^a+$".parse().unwrap()),
                &format!("v=%61{}b", "a".repeat(5_000)),
                false,
            ),
            ("v", Test::Present, "v", true),
            ("v", Test::Present, "w=v", false),
            ("v", Test::Absent, "", true),
            ("v", Test::Absent, "%76", false),
            ("", Test::Present, "", false),
            ("", Test::Present, "=1", true),
        ] {
            assert_eq!(holds(name, test.clone(), query), expected, "{name}{test} {query}");
        }
    }

    #[test]
    fn methods() {
        let of = |methods: &[&str]| When {
            methods: methods.iter().map(|&method| method.to_owned()).collect(),
            ..When::default()
        };
        assert!(of(&[]).takes_method(b"ANY") && of(&["GET"]).takes_method(b"HEAD"));
        assert!(!of(&["GET"]).names_method(b"HEAD") && !of(&["HEAD"]).takes_method(b"GET"));
        assert!(!of(&["GET"]).takes_method(b"get"));
        assert!(of(&["GET"]).excludes(&of(&["HEAD", "POST"])));
        assert!(!of(&["GET"]).excludes(&of(&[])) && !of(&["GET", "PUT"]).excludes(&of(&["PUT"])));
    }

    #[test]
    fn what_excludes_each_other() {
        let when = |test: Test| When {
            headers: vec![Predicate { name: "x".into(), test }],
            ..When::default()
        };
        let is = |text: &str| Test::Is(text.into());
        let begins = |text: &str| Test::Begins(text.into());
        for (one, two, expected) in [
            (is("a"), is("b"), true),
            (is("a"), is("a"), false),
            (is("ab"), begins("a"), false),
            (is("b"), begins("a"), true),
            (begins("ab"), begins("a"), false),
            (begins("a"), begins("b"), true),
            (Test::Absent, Test::Present, true),
            (Test::Absent, Test::Absent, false),
            (Test::Present, is("a"), false),
        ] {
            assert_eq!(when(one.clone()).excludes(&when(two.clone())), expected, "{one} {two}");
            assert_eq!(when(two).excludes(&when(one)), expected);
        }
    }
}
