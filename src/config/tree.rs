//! A text as a tree of values that know their places: the only door of `toml`.
//!
//! The recoverable parser goes on after a mistake, and what it makes of a broken line is a guess. [`Doubts::settle`] takes
//! back what the readers said because of such a guess.

use std::collections::HashSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use coregate_core::base::limits;

use crate::codes;
use crate::foreign::foreign;
use crate::item::{quoted, shown};
use crate::node::{Entry, Kind, Node, Table};
use crate::report::{Diagnostic, Faults};
use crate::slips::{CURLY, repaired};
use crate::sources::{Lines, Source, Sources};
use crate::words::{ADMIN_TOKEN, KEYS};

/// Stands in for a duplicate key while its place in the tree is looked for.
const PROBE: &str = "coregate-duplicate-key-probe";

/// A parsed text.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// The keys and tables outside any table.
    pub(crate) root: Table,
    pub(crate) doubts: Doubts,
}

/// What the parser could not read of a text, so that what follows from it is in doubt.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    /// The lines that are not TOML, and those below a broken header, which stand in no table or in the wrong one.
    broken: HashSet<usize>,
    /// Whether keys or tables may be lost.
    lossy: bool,
}

impl Tree {
    /// Parses a text, and reports all that is not TOML.
    pub(crate) fn parse(source: &Source, faults: &mut Faults) -> Self {
        let mut own = Faults::default();
        let tree = Self::parse_text(source, &mut own);
        faults.absorb(own, source.base);
        tree
    }

    /// The same, with faults whose places are those of the text.
    fn parse_text(source: &Source, faults: &mut Faults) -> Self {
        let (text, lines) = (source.text.as_str(), &source.lines);
        let (root, mut errors) = DeTable::parse_recoverable(text);
        errors.sort_by_key(|error| error.span().map_or(text.len(), |span| span.start));
        let mut doubts = Doubts::default();
        if let (false, Some(fault)) = (errors.is_empty(), foreign(text)) {
            faults.push(fault);
            return Self { doubts: Doubts { lossy: true, ..doubts }, ..Self::default() };
        }
        let mut last = None;
        let mut traced = 0;
        let mut settled = None;
        let mut left_open = false;
        for error in &errors {
            // Without a span the parser means the end of what it read.
            let span = error.span().unwrap_or(text.len()..text.len());
            // Some mistakes are reported twice over.
            if last.replace((span.clone(), error.message()))
                == Some((span.clone(), error.message()))
            {
                continue;
            }
            let duplicate_key = error.message().starts_with("duplicate key");
            let line = lines.line(span.start);
            // What else is said of a line that is put right as a whole follows from that; so does all that stands within
            // an array that has no end.
            if (settled == Some(line) || left_open) && !duplicate_key {
                continue;
            }
            let first_on_line = doubts.broken.insert(line);
            if first_on_line && !duplicate_key && is_header(lines.text(text, line)) {
                let below = (line + 1..lines.count())
                    .take_while(|line| !is_header(lines.text(text, *line)));
                doubts.broken.extend(below);
            }
            if duplicate_key {
                // The tables of a header that stands twice are not both kept.
                doubts.lossy |= is_header(lines.text(text, line));
                traced += text.len();
                let first = (traced <= limits::TRACED_BYTES).then(|| first_place(text, &span));
                faults.push(duplicate(text, span, first.flatten()));
            } else {
                doubts.lossy = true;
                let slip =
                    slip(text, lines, &span, error.message(), first_on_line && !faults.is_full());
                settled = slip.as_ref().filter(|slip| slip.settles).map(|_| line).or(settled);
                left_open |= slip.as_ref().is_some_and(|slip| slip.left_open);
                syntax(text, lines, slip.unwrap_or(Slip::at(span)), error.message(), faults);
            }
        }
        Self { root: table(root.get_ref(), source.base), doubts }
    }
}

impl Doubts {
    /// Notes that keys or tables may be lost.
    pub(crate) fn lose(&mut self) {
        self.lossy = true;
    }

    /// Takes back what was said of lines that are not TOML, and that something is missing where it may have been lost. The
    /// doubts are those of the sources, in order.
    pub(crate) fn settle(all: &[Self], sources: &Sources, faults: &mut Faults) {
        let lossy = all.iter().any(|doubts| doubts.lossy);
        let broken = |at: usize| {
            let index = sources.index(at);
            let (Some(doubts), Some(source)) = (all.get(index), sources.get(index)) else {
                return false;
            };
            doubts.broken.contains(&source.lines.line(at - source.base))
        };
        faults.retain(|fault| match (fault.code, &fault.span) {
            (codes::SYNTAX | codes::DUPLICATE_KEY, _) => true,
            (codes::MISSING | codes::UNKNOWN_SERVICE | codes::UNUSED_SERVICE, _) if lossy => false,
            (_, Some(span)) => !broken(span.start),
            (_, None) => true,
        });
    }
}

/// What the parser read, with places in the space of all files.
fn table(table: &DeTable<'_>, base: usize) -> Table {
    let entries = table.iter().map(|(key, value)| {
        let entry = Entry::new(moved(key.span(), base), node(value, base));
        (key.get_ref().to_string(), entry)
    });
    entries.collect()
}

fn node(value: &Spanned<DeValue<'_>>, base: usize) -> Node {
    let kind = match value.get_ref() {
        DeValue::String(text) => Kind::String(text.to_string()),
        DeValue::Integer(integer) => {
            Kind::Integer { digits: integer.as_str().to_owned(), radix: integer.radix() }
        }
        DeValue::Float(float) => Kind::Float(float.as_str().to_owned()),
        DeValue::Boolean(value) => Kind::Boolean(*value),
        DeValue::Datetime(moment) => Kind::Datetime(moment.to_string()),
        DeValue::Array(array) => Kind::Array(array.iter().map(|value| node(value, base)).collect()),
        DeValue::Table(inner) => Kind::Table(table(inner, base)),
    };
    Node { span: moved(value.span(), base), kind }
}

fn moved(span: Range<usize>, base: usize) -> Range<usize> {
    span.start + base..span.end + base
}

/// What to say of a place that is not TOML.
struct Slip {
    span: Range<usize>,
    suggestion: Option<String>,
    /// Whether nothing else on the line need be said.
    settles: bool,
    /// Whether an array that began above has no end.
    left_open: bool,
}

impl Slip {
    fn at(span: Range<usize>) -> Self {
        Self { span, suggestion: None, settles: false, left_open: false }
    }

    fn write(span: Range<usize>, what: &str) -> Self {
        Self { suggestion: Some(format!("write {what}")), ..Self::at(span) }
    }
}

/// Reports a place that is not TOML, and hides what may be a secret there.
fn syntax(text: &str, lines: &Lines, slip: Slip, why: &str, faults: &mut Faults) {
    let secret = secret_on(text, lines, lines.line(slip.span.start));
    let suggestion = slip.suggestion.filter(|_| secret.is_none());
    if let Some(secret) = secret {
        faults.hide(secret);
    }
    let fault = Diagnostic::error(codes::SYNTAX, slip.span, format!("not TOML: {why}"));
    faults.push(fault.suggest(suggestion));
}

/// What was perhaps meant where the parser stumbled; `first` is whether it was the first
/// time on that line, and what is said will be shown.
fn slip(text: &str, lines: &Lines, span: &Range<usize>, why: &str, first: bool) -> Option<Slip> {
    let line = lines.text(text, lines.line(span.start));
    if line.len() > limits::REPAIRED_LINE_BYTES {
        return None;
    }
    if why.starts_with("missing comma") {
        // A line that means something by itself is hardly an element.
        let left_open = first && !line.trim().is_empty() && is_toml(line);
        let suggestion = match left_open {
            true => "write ] where the array above ends".to_owned(),
            false => comma(text.get(..span.start)?),
        };
        return Some(Slip { suggestion: Some(suggestion), left_open, ..Slip::at(span.clone()) });
    }
    let bare = unquoted(text, lines, span, why);
    if let Some(Unquoted::Value(value)) = &bare {
        return Some(Slip::write(span.clone(), &quoted(value)));
    }
    // Each attempt costs passes over the line.
    let whole = first.then(|| repaired(line, is_toml)).flatten();
    match (bare, whole) {
        (Some(Unquoted::Key(span)), None) => {
            let key = quoted(text.get(span.clone())?);
            Some(Slip { settles: true, ..Slip::write(span, &format!("{key} = ...")) })
        }
        (Some(Unquoted::Key(span)), Some(whole)) => {
            Some(Slip { settles: true, ..Slip::write(span, &whole) })
        }
        (_, Some(whole)) => Some(Slip { settles: true, ..Slip::write(span.clone(), &whole) }),
        (_, None) if why.starts_with("unclosed array") => {
            let suggestion = Some("write ] where the array ends".to_owned());
            Some(Slip { suggestion, ..Slip::at(span.clone()) })
        }
        (_, None) if line.trim_end().ends_with('=') => {
            Some(Slip::write(span.clone(), "a value behind ="))
        }
        (_, None) => None,
    }
}

/// Where a comma is missing, behind this text.
fn comma(before: &str) -> String {
    let last = before.trim_end().rsplit(['[', ',', '\n']).next().unwrap_or_default().trim();
    let whole = |quote| last.len() > 1 && last.starts_with(quote) && last.ends_with(quote);
    match whole('"') || whole('\'') {
        true => format!("write {last}, with a comma"),
        false => "write a comma between them".to_owned(),
    }
}

fn is_toml(text: &str) -> bool {
    DeTable::parse_recoverable(text).1.is_empty()
}

/// What follows the key of a secret on a line, which may be the secret and no TOML.
fn secret_on(text: &str, lines: &Lines, line: usize) -> Option<Range<usize>> {
    let range = lines.range(text, line);
    let content =
        text.get(range.clone()).filter(|line| line.len() <= limits::REPAIRED_LINE_BYTES)?;
    let value = |key: &str| {
        let ends = content.match_indices(key).map(|(at, _)| at + key.len());
        let mut values = ends.filter_map(|end| {
            let rest = content.get(end..)?.trim_start_matches(['"', '\'', ' ', '\t']);
            rest.strip_prefix('=').map(|value| content.len() - value.len())
        });
        values.next()
    };
    let first = [ADMIN_TOKEN, KEYS].into_iter().filter_map(value).min()?;
    Some(range.start + first..range.end)
}

/// What should stand in quotes.
enum Unquoted<'t> {
    Key(Range<usize>),
    Value(&'t str),
}

/// What the parser stumbled over at `span`, if it only lacks quotes.
fn unquoted<'t>(
    text: &'t str,
    lines: &Lines,
    span: &Range<usize>,
    message: &str,
) -> Option<Unquoted<'t>> {
    let range = lines.range(text, lines.line(span.start));
    if range.len() > limits::REPAIRED_LINE_BYTES {
        return None;
    }
    let (before, after) = (text.get(range.start..span.start)?, text.get(span.start..range.end)?);
    let starts = |starts: &[&str]| starts.iter().any(|start| message.starts_with(start));
    if starts(&["invalid unquoted key", "key with no value"]) {
        let start = before.rfind(['{', ',']).map_or(0, |at| at + 1);
        let end = before.len() + after.find('=')?;
        let line = text.get(range.clone())?;
        let key = line.get(start..end)?.trim();
        let start = range.start + start + line.get(start..end)?.find(key)?;
        let whole = !key.is_empty() && !key.contains(['"', '\'', '=']) && !is_header(line);
        return whole.then(|| Unquoted::Key(start..start + key.len()));
    }
    if starts(&["string values must be quoted", "invalid float", "invalid integer", "invalid date"])
    {
        const ENDS: [char; 8] = [' ', '\t', ',', '[', ']', '{', '}', '#'];
        let start = before.rfind(ENDS).or(before.rfind('=')).map_or(0, |at| at + 1);
        let end = before.len() + after.find(ENDS).unwrap_or(after.len());
        let value = text.get(range)?.get(start..end)?;
        let whole = !value.is_empty() && !value.contains(['"', '\'', '=']);
        let whole = whole && !value.contains(CURLY) && !value.ends_with(';');
        return whole.then_some(Unquoted::Value(value));
    }
    None
}

fn is_header(line: &str) -> bool {
    line.trim_start().starts_with('[')
}

fn duplicate(text: &str, span: Range<usize>, first: Option<Range<usize>>) -> Diagnostic {
    let key = text.get(span.clone()).unwrap_or_default();
    let fault =
        Diagnostic::error(codes::DUPLICATE_KEY, span, format!("key {} stands twice", shown(key)));
    match first {
        Some(first) => fault.also(first, "first here"),
        None => fault,
    }
}

/// Where the key that stands again at `second` stood first. The parser does not tell, so the file is parsed once more with
/// another name there, and the key is looked for beside it.
fn first_place(text: &str, second: &Range<usize>) -> Option<Range<usize>> {
    let written = text.get(second.clone())?;
    let probed = [text.get(..second.start)?, PROBE, text.get(second.end..)?].concat();
    let (tree, _) = DeTable::parse_recoverable(&probed);
    let key = format!("{written} = 0");
    let (key, errors) = DeTable::parse_recoverable(&key);
    let (key, _) = key.get_ref().iter().next().filter(|_| errors.is_empty())?;
    let siblings = table_with(tree.get_ref(), PROBE)?;
    let (first, _) = siblings.get_key_value(key.get_ref().as_ref())?;
    // Only a place before the probe has not been moved by it.
    Some(first.span()).filter(|first| first.end <= second.start)
}

fn table_with<'v, 't>(table: &'v DeTable<'t>, key: &str) -> Option<&'v DeTable<'t>> {
    if table.contains_key(key) {
        return Some(table);
    }
    table.values().find_map(|value| within_value(value.get_ref(), key))
}

fn within_value<'v, 't>(value: &'v DeValue<'t>, key: &str) -> Option<&'v DeTable<'t>> {
    match value {
        DeValue::Table(table) => table_with(table, key),
        DeValue::Array(array) => array.iter().find_map(|value| within_value(value.get_ref(), key)),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => None,
    }
}
