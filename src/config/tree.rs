//! The file as a tree of values that know their places; with the items in it, the door of `toml`.
//!
//! The recoverable parser goes on after a mistake, and what it makes of a broken line is a guess. [`Tree::settle`] takes
//! back what the readers said because of such a guess.

use std::collections::HashSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::codes;
use crate::item::{Fields, shown};
use crate::report::{Diagnostic, Faults, Lines};

/// What may be parsed again, in bytes, to find where duplicate keys stood first; each costs a pass over the file.
const TRACED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Stands in for a duplicate key while its place in the tree is looked for.
const PROBE: &str = "coregate-duplicate-key-probe";

/// A parsed file.
#[derive(Debug)]
pub(crate) struct Tree<'t> {
    root: Spanned<DeTable<'t>>,
    lines: Lines,
    /// The lines that are not TOML, and those below a broken header, which stand in no table or in the wrong one.
    broken: HashSet<usize>,
    /// Whether the parser may have dropped keys or tables.
    lossy: bool,
}

impl<'t> Tree<'t> {
    /// Parses `text`, and reports all that is not TOML.
    pub(crate) fn parse(text: &'t str, faults: &mut Faults) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut tree = Self { root, lines: Lines::of(text), broken: HashSet::new(), lossy: false };
        let mut last = None;
        let mut traced = 0;
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
            let line = tree.lines.line(span.start);
            let first_on_line = tree.broken.insert(line);
            if first_on_line && !duplicate_key && is_header(tree.lines.text(text, line)) {
                let below = (line + 1..tree.lines.count())
                    .take_while(|line| !is_header(tree.lines.text(text, *line)));
                tree.broken.extend(below);
            }
            if duplicate_key {
                // The tables of a header that stands twice are not both kept.
                tree.lossy |= is_header(tree.lines.text(text, line));
                traced += text.len();
                let first = (traced <= TRACED_BYTES_MAX).then(|| first_place(text, &span));
                faults.push(duplicate(text, span, first.flatten()));
            } else {
                tree.lossy = true;
                let message = format!("not TOML: {}", error.message());
                let bare = ["invalid float", "invalid integer", "invalid date"]
                    .iter()
                    .any(|start| error.message().starts_with(start));
                let suggestion = bare.then(|| "addresses and times stand in quotes".to_owned());
                faults.push(Diagnostic::error(codes::SYNTAX, span, message).suggest(suggestion));
            }
        }
        tree
    }

    /// The keys and tables outside any table.
    pub(crate) fn root(&self) -> Fields<'_> {
        Fields::root(self.root.get_ref())
    }

    /// Takes back what was said of lines that are not TOML, and that something is missing where it may have been lost.
    pub(crate) fn settle(&self, faults: &mut Faults) {
        faults.retain(|fault| match (fault.code, &fault.span) {
            (codes::SYNTAX | codes::DUPLICATE_KEY, _) => true,
            (codes::MISSING | codes::UNKNOWN_SERVICE | codes::UNUSED_SERVICE, _) if self.lossy => {
                false
            }
            (_, Some(span)) => !self.broken.contains(&self.lines.line(span.start)),
            (_, None) => true,
        });
    }
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
