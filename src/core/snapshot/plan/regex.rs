//! Regular expressions as automata that are whole before the first request (door of regex-automata).
//!
//! A search reads the automaton and the text and writes nothing: no cache is shared between workers, nothing is allocated,
//! and it takes a time that grows with the text alone, whoever wrote the expression. The price is memory, which is
//! limited.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use regex_automata::dfa::{Automaton, dense, sparse};
use regex_automata::nfa::thompson;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, Input};

use crate::base::limits;
use crate::base::plain::Plain;

/// A regular expression over bytes. It is searched for, so `^` and `$` say where it must begin and end.
#[derive(Clone)]
pub struct Regex {
    text: Arc<str>,
    automaton: Arc<sparse::DFA<Vec<u8>>>,
    made_of: usize,
}

/// Why a text is no regular expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegexError {
    /// It is no regular expression.
    #[error("not a regular expression: {0}")]
    Syntax(String),
    /// It takes more memory than it may.
    #[error("the regular expression is too large; fewer or shorter repetitions make it smaller")]
    TooLarge,
}

impl Regex {
    /// Whether it is found in the text.
    pub fn is_in(&self, text: &[u8]) -> bool {
        // An automaton over bytes with no quit bytes and both ways to begin gives up on nothing.
        self.automaton
            .try_search_fwd(&Input::new(text).earliest(true))
            .is_ok_and(|found| found.is_some())
    }

    /// Whether it is found in a text that comes byte by byte, however long that is.
    pub fn is_in_bytes(&self, text: impl Iterator<Item = u8>) -> bool {
        let automaton = &*self.automaton;
        let begin = start::Config::new().anchored(Anchored::No);
        let Ok(mut state) = automaton.start_state(&begin) else { return false };
        for byte in text {
            // A match shows a byte behind its end, since what follows may be looked at.
            state = automaton.next_state(state, byte);
            if automaton.is_match_state(state) {
                return true;
            }
            if automaton.is_dead_state(state) || automaton.is_quit_state(state) {
                return false;
            }
        }
        automaton.is_match_state(automaton.next_eoi_state(state))
    }

    /// The memory that it took to make it, in bytes; what it keeps is less, and how long it took grows with it.
    pub fn made_of_bytes(&self) -> usize {
        self.made_of
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Regex {
    type Err = RegexError;

    fn from_str(text: &str) -> Result<Self, RegexError> {
        if text.len() > limits::REGEX_BYTES {
            return Err(RegexError::TooLarge);
        }
        let syntax = syntax::Config::new().unicode(false).utf8(false);
        if let Err(error) = syntax::parse_with(text, &syntax) {
            // The last line says what is wrong; those above draw where.
            let error = error.to_string();
            let last = error.lines().last().unwrap_or_default();
            return Err(RegexError::Syntax(last.trim_start_matches("error: ").to_owned()));
        }
        let most = Some(limits::REGEX_AUTOMATON_BYTES);
        let dense = dense::Builder::new()
            .syntax(syntax)
            .thompson(thompson::Config::new().utf8(false).nfa_size_limit(most))
            .configure(dense::Config::new().dfa_size_limit(most).determinize_size_limit(most))
            .build(text)
            .map_err(|_| RegexError::TooLarge)?;
        let made_of = dense.memory_usage();
        let automaton = dense.to_sparse().map_err(|_| RegexError::TooLarge)?;
        Ok(Self { text: text.into(), automaton: Arc::new(automaton), made_of })
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Regex {}

impl Hash for Regex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl PartialOrd for Regex {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Regex {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Regex({:?})", self.text)
    }
}

impl fmt::Display for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Plain(&self.text).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found() {
        for (regex, text, found) in [
            ("^2", "2.1", true),
            ("^2", "1.2", false),
            ("b+", "abc", true),
            ("^/a/[0-9]+$", "/a/12", true),
            ("^/a/[0-9]+$", "/a/12/", false),
            ("", "", true),
            (r"\bcat\b", "a cat", true),
            (r"\bcat\b", "a catalogue", false),
            ("(?i)chrome", "CHROME", true),
            ("^.$", "\u{e9}", false),
        ] {
            let regex: Regex = regex.parse().unwrap();
            assert_eq!(regex.is_in(text.as_bytes()), found, "{regex} {text}");
            assert_eq!(regex.is_in_bytes(text.bytes()), found, "{regex} {text}, byte by byte");
        }
        let regex: Regex = "^x.y$".parse().unwrap();
        assert!(regex.is_in(b"x\xffy") && regex.is_in_bytes(b"x\xffy".iter().copied()));
    }

    #[test]
    fn what_is_none() {
        for bad in ["(", "[a", "a{3,2}", "*", r"\p{Greek}", "(?=a)"] {
            assert!(matches!(bad.parse::<Regex>(), Err(RegexError::Syntax(_))), "{bad}");
        }
        for large in ["(a|b)*a(a|b){20}", "a{100000}", &"a".repeat(10_000)] {
            assert!(large.parse::<Regex>().is_err(), "{large:.20}");
        }
    }
}
