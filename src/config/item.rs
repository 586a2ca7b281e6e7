//! Typed readers: what a key holds, or a diagnostic that says what was expected there.
//!
//! The sections see items and fields, never the nodes behind them. A reader that fails has said why; its caller goes on with
//! a default, so that one run finds all that is wrong.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::base::plain::Plain;

use crate::codes;
use crate::fields::Fields;
use crate::node::{Entry, Kind, Node, is_bare, joined};
use crate::report::{Diagnostic, Faults};
use crate::units::{self, UnitFault};
use crate::words;

/// The shortest time that is not none.
pub(crate) const ABOVE_ZERO: Duration = Duration::from_millis(1);

/// A value and the key that holds it.
#[derive(Debug, Clone)]
pub(crate) struct Item<'t> {
    /// The key, as it reads without quotes.
    pub(crate) key: &'t str,
    path: String,
    key_span: Range<usize>,
    node: &'t Node,
    /// Whether it was written elsewhere, and taken over.
    inherited: bool,
}

/// The types that sections tell apart.
pub(crate) enum Value<'t> {
    String(&'t str),
    Table(Fields<'t>),
    Array(Vec<Item<'t>>),
    Other,
}

impl<'t> Item<'t> {
    /// What stands under `key` of the table at `parent`, which is `inherited` or not.
    pub(crate) fn new(parent: &str, key: &'t str, entry: &'t Entry, inherited: bool) -> Self {
        // What is wrong with a value is said of the place where it is written.
        let path = match &entry.heritage {
            Some(heritage) => joined(&heritage.parent, key),
            None => joined(parent, key),
        };
        let inherited = inherited || entry.heritage.is_some();
        Self { key, path, key_span: entry.span.clone(), node: &entry.node, inherited }
    }

    /// The key's place.
    pub(crate) fn span(&self) -> Range<usize> {
        self.key_span.clone()
    }

    /// The value's place; the key's for tables, whose own is spread over the file.
    pub(crate) fn value_span(&self) -> Range<usize> {
        let own = self.node.as_table().is_none() && !self.node.span.is_empty();
        if own { self.node.span.clone() } else { self.span() }
    }

    /// The key with its tables, as in `services.users.pool`.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn value(&self) -> Value<'t> {
        match &self.node.kind {
            Kind::String(text) => Value::String(text),
            Kind::Table(table) => {
                Value::Table(Fields::of(&self.path, self.span(), self.inherited, table))
            }
            // An element is named after the array: its place tells which it is.
            Kind::Array(array) => Value::Array(
                array
                    .iter()
                    .map(|node| Self { node, key_span: node.span.clone(), ..self.clone() })
                    .collect(),
            ),
            Kind::Integer { .. } | Kind::Float(_) | Kind::Boolean(_) | Kind::Datetime(_) => {
                Value::Other
            }
        }
    }

    /// The table that the key holds, if it is one.
    pub(crate) fn fields(&self) -> Option<Fields<'t>> {
        let Value::Table(fields) = self.value() else { return None };
        Some(fields)
    }

    pub(crate) fn string(&self, expected: &str, faults: &mut Faults) -> Option<&'t str> {
        match self.node.as_str() {
            Some(text) => Some(text),
            None => self.wrong_type(expected, None, faults),
        }
    }

    /// Whether it is a table with this key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.node.as_table().is_some_and(|table| table.contains_key(key))
    }

    pub(crate) fn table(&self, faults: &mut Faults) -> Option<Fields<'t>> {
        match self.value() {
            Value::Table(fields) => Some(fields),
            Value::String(_) | Value::Array(_) | Value::Other => {
                if let Some(fault) = self.elsewhere() {
                    faults.push(fault);
                    return None;
                }
                let top = self.path.split('.').next().unwrap_or_default();
                self.wrong_type("a table", words::example(top, self.key), faults)
            }
        }
    }

    /// What is wrong with a word of the language that is nowhere read, or only at the top and not here.
    pub(crate) fn elsewhere(&self) -> Option<Diagnostic> {
        if words::LATER.contains(&self.key) {
            return Some(not_supported(self.span(), &format!("`{}`", self.key)));
        }
        let misplaced = words::TOP.contains(&self.key) && self.path != self.key;
        misplaced.then(|| {
            self.unknown().suggest(match self.value() {
                Value::Table(_) => format!("write [{}]", self.key),
                Value::String(_) | Value::Array(_) | Value::Other => {
                    "put it at the top, before the first [table]".to_owned()
                }
            })
        })
    }

    /// The path without the key.
    fn parent(&self) -> &str {
        let quotes = if is_bare(self.key) { 0 } else { 2 };
        let end = self.path.len().saturating_sub(self.key.len() + quotes);
        self.path.get(..end).unwrap_or_default().trim_end_matches('.')
    }

    /// The fault that nobody knows the key.
    pub(crate) fn unknown(&self) -> Diagnostic {
        let key = shown(self.key);
        let message = match self.parent() {
            "" => format!("unknown key {key}"),
            parent => format!("unknown key {key} in {}", shown(parent)),
        };
        Diagnostic::error(codes::UNKNOWN_KEY, self.span(), message)
    }

    pub(crate) fn boolean(&self, faults: &mut Faults) -> Option<bool> {
        if let Kind::Boolean(value) = self.node.kind {
            return Some(value);
        }
        let quoted = self.node.as_str().filter(|text| matches!(*text, "true" | "false"));
        let suggestion = quoted.map(|text| format!("write {text}"));
        self.wrong_type("true or false", suggestion, faults)
    }

    /// Whether it is `true`.
    pub(crate) fn is_true(&self) -> bool {
        matches!(self.node.kind, Kind::Boolean(true))
    }

    /// Whether it is `false`.
    pub(crate) fn is_false(&self) -> bool {
        matches!(self.node.kind, Kind::Boolean(false))
    }

    /// A date or a time of TOML's own, as it is written.
    pub(crate) fn datetime(&self) -> Option<&'t str> {
        let Kind::Datetime(text) = &self.node.kind else { return None };
        Some(text)
    }

    /// An integer as it is written in decimal; none if the value is of another type.
    pub(crate) fn decimal(&self) -> Option<String> {
        let Kind::Integer { digits, radix } = &self.node.kind else { return None };
        Some(match i128::from_str_radix(digits, *radix) {
            Ok(number) => number.to_string(),
            Err(_) => digits.clone(),
        })
    }

    pub(crate) fn integer(&self, range: RangeInclusive<u64>, faults: &mut Faults) -> Option<u64> {
        let expected = format!("{} to {}", range.start(), range.end());
        let Some(decimal) = self.decimal() else {
            let number = self.node.as_str().and_then(|text| text.parse().ok());
            let suggestion = number.map(|n: u64| format!("write {n}"));
            return self.wrong_type(&format!("an integer, {expected}"), suggestion, faults);
        };
        match decimal.parse().ok().filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => self.out_of_range(&decimal, &expected, faults),
        }
    }

    /// A time above 0 and at most [`limits::TIMEOUT_MAX`].
    pub(crate) fn duration(&self, faults: &mut Faults) -> Option<Duration> {
        self.duration_in(ABOVE_ZERO..=limits::TIMEOUT_MAX, faults)
    }

    /// The same, or 0.
    pub(crate) fn duration_or_none(&self, faults: &mut Faults) -> Option<Duration> {
        self.duration_in(Duration::ZERO..=limits::TIMEOUT_MAX, faults)
    }

    pub(crate) fn duration_in(
        &self,
        range: RangeInclusive<Duration>,
        faults: &mut Faults,
    ) -> Option<Duration> {
        const EXPECTED: &str = "a time such as \"250ms\", \"5s\", \"1m\" or \"2h\"";
        let text = match (self.node.as_str(), self.decimal()) {
            (Some(text), _) => text,
            (None, Some(number)) => {
                let suggestion = format!("write \"{number}s\"");
                return self.wrong_type(EXPECTED, Some(suggestion), faults);
            }
            (None, None) => return self.wrong_type(EXPECTED, None, faults),
        };
        match units::duration(text) {
            Ok(duration) => self.time_in(duration, text, &range, faults),
            Err(fault) => self.unit_fault(codes::TIME, text, EXPECTED, fault, faults),
        }
    }

    /// A time that is written so, if it lies in the range.
    pub(crate) fn time_in(
        &self,
        time: Duration,
        written: &str,
        range: &RangeInclusive<Duration>,
        faults: &mut Faults,
    ) -> Option<Duration> {
        if range.contains(&time) {
            return Some(time);
        }
        let most = units::show_duration(*range.end());
        let expected = match *range.start() {
            Duration::ZERO => format!("at most {most}"),
            ABOVE_ZERO => format!("more than 0 and at most {most}"),
            least => format!("{} to {most}", units::show_duration(least)),
        };
        self.out_of_range(written, &expected, faults)
    }

    /// A size in bytes: an integer, or text such as `"16KiB"`.
    pub(crate) fn size(&self, range: RangeInclusive<u64>, faults: &mut Faults) -> Option<u64> {
        const EXPECTED: &str = "a size such as 4096, \"16KiB\", \"1MiB\" or \"1GB\"";
        let (number, written) = match (self.node.as_str(), self.decimal()) {
            (Some(text), _) => match units::size(text) {
                Ok(number) => (Some(number), text.to_string()),
                Err(fault) => return self.unit_fault(codes::SIZE, text, EXPECTED, fault, faults),
            },
            (None, Some(decimal)) => (decimal.parse().ok(), decimal),
            (None, None) => return self.wrong_type(EXPECTED, None, faults),
        };
        match number.filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => {
                let (least, most) = (range.start(), range.end());
                let least = units::show_size(*least);
                let expected = match *most {
                    u64::MAX => format!("at least {least}"),
                    most => format!("{least} to {}", units::show_size(most)),
                };
                self.out_of_range(&written, &expected, faults)
            }
        }
    }

    /// Has what stands here shown as dots, with all that stands within.
    pub(crate) fn hide(&self, faults: &mut Faults) {
        match self.value() {
            Value::Table(fields) => fields.items().iter().for_each(|item| item.hide(faults)),
            Value::String(_) | Value::Array(_) | Value::Other => {
                faults.hide(self.node.span.clone())
            }
        }
    }

    /// Reports a value of the wrong type.
    pub(crate) fn wrong_type<T>(
        &self,
        expected: &str,
        suggestion: Option<String>,
        faults: &mut Faults,
    ) -> Option<T> {
        let found = self.node.type_str();
        let article = if matches!(found, "array" | "integer") { "an" } else { "a" };
        let message =
            format!("{}: expected {expected}, found {article} {found}", shown(&self.path));
        let fault = Diagnostic::error(codes::WRONG_TYPE, self.value_span(), message);
        faults.push(fault.suggest(suggestion));
        None
    }

    /// Reports a value that its type refuses.
    pub(crate) fn refuse<T>(
        &self,
        code: &'static str,
        why: impl Display,
        suggestion: Option<String>,
        faults: &mut Faults,
    ) -> Option<T> {
        let message = format!("{}: {why}", shown(&self.path));
        faults.push(Diagnostic::error(code, self.value_span(), message).suggest(suggestion));
        None
    }

    /// Reports a value beyond what may stand here.
    pub(crate) fn out_of_range<T>(
        &self,
        written: &str,
        expected: &str,
        faults: &mut Faults,
    ) -> Option<T> {
        let written = written.chars().take(limits::NUMBER_CHARS).collect::<String>();
        let why = format!("{}: expected {expected}", written.escape_debug());
        let message = format!("{} = {why}", shown(&self.path));
        faults.push(Diagnostic::error(codes::OUT_OF_RANGE, self.value_span(), message));
        None
    }

    /// Reports a text that is no number with a unit.
    pub(crate) fn unit_fault<T>(
        &self,
        code: &'static str,
        text: &str,
        expected: &str,
        fault: UnitFault,
        faults: &mut Faults,
    ) -> Option<T> {
        let why = format!("expected {expected}, found {}", quoted(text));
        let suggestion = fault.meant.map(|meant| format!("write \"{meant}\""));
        self.refuse(code, why, suggestion, faults)
    }
}

/// A part of the language that this build lacks.
pub(crate) fn not_supported(span: Range<usize>, what: &str) -> Diagnostic {
    Diagnostic::error(codes::NOT_SUPPORTED, span, format!("{what} is not supported yet"))
}

/// A name in backticks, cut where it is too long to read.
pub(crate) fn shown(name: &str) -> String {
    format!("`{}`", cut(name))
}

/// A value in quotes, cut where it is too long to read.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", cut(text).escape_debug())
}

/// A text on one line, with nothing in it that a terminal obeys.
pub(crate) fn plain(text: &str) -> String {
    Plain(text).to_string()
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(limits::QUOTED_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
