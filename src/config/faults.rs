//! Diagnostics, and how they are collected while files are read.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::Arc;

use coregate_core::base::limits;

use crate::item::plain;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but hardly means what it says.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// Which kind it is; the crate's docs list them.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong and what was expected.
    pub message: String,
    /// The file that it is in; the main one where something is missing as a whole.
    pub file: Arc<str>,
    /// Where it is, in bytes of the file; none where something is missing as a whole.
    pub span: Option<Range<usize>>,
    /// The line of its first byte, from 1; 0 without a span.
    pub line: usize,
    /// The column of its first byte, from 1, in characters; 0 without a span.
    pub column: usize,
    /// The line of the byte behind its last, from 1; 0 without a span.
    pub end_line: usize,
    /// The column of the byte behind its last, from 1, in characters; 0 without a span.
    pub end_column: usize,
    /// What to write instead.
    pub suggestion: Option<String>,
    /// The other places that it is about.
    pub related: Vec<Related>,
    /// Which of the sources it is in.
    pub(crate) source: usize,
}

/// Another place that a diagnostic is about.
#[derive(Debug, Clone)]
pub struct Related {
    /// The file that it is in.
    pub file: Arc<str>,
    /// Where it is, in bytes of the file.
    pub span: Range<usize>,
    /// The line of its first byte, from 1.
    pub line: usize,
    /// The column of its first byte, from 1, in characters.
    pub column: usize,
    /// The line of the byte behind its last, from 1.
    pub end_line: usize,
    /// The column of the byte behind its last, from 1, in characters.
    pub end_column: usize,
    /// What it has to do with it.
    pub message: String,
    /// Which of the sources it is in.
    pub(crate) source: usize,
}

impl Diagnostic {
    pub(crate) fn error(
        code: &'static str,
        span: impl Into<Option<Range<usize>>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            file: "".into(),
            span: span.into(),
            line: 0,
            column: 0,
            end_line: 0,
            end_column: 0,
            suggestion: None,
            related: Vec::new(),
            source: 0,
        }
    }

    pub(crate) fn warning(
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message) }
    }

    pub(crate) fn suggest(mut self, suggestion: impl Into<Option<String>>) -> Self {
        self.suggestion = suggestion.into();
        self
    }

    pub(crate) fn also(mut self, span: Range<usize>, message: impl Into<String>) -> Self {
        let (file, message) = ("".into(), message.into());
        let (line, column, end_line, end_column) = (0, 0, 0, 0);
        let source = 0;
        self.related.push(Related {
            file,
            span,
            line,
            column,
            end_line,
            end_column,
            message,
            source,
        });
        self
    }
}

/// Collects diagnostics while files are read. Their places are those of the space of all files; [`Report::new`] makes them
/// places of a file.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) list: Vec<Diagnostic>,
    /// The list was found to hold no warnings, so that it need not be looked through again.
    only_errors: bool,
    /// Marks of all that was said, so that what is wrong with an inherited value is said once, not once an heir.
    said: HashSet<u64>,
    marks: RandomState,
    /// What is not shown, in bytes.
    pub(crate) hidden: Vec<Range<usize>>,
    pub(crate) errors: usize,
    pub(crate) warnings: usize,
}

impl Faults {
    pub(crate) fn push(&mut self, mut diagnostic: Diagnostic) {
        let Diagnostic { code, span, message, .. } = &diagnostic;
        if span.is_some() && !self.said.insert(self.marks.hash_one((code, span, message))) {
            return;
        }
        match diagnostic.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        if self.is_full() && !self.only_errors && diagnostic.severity == Severity::Error {
            // Why the file cannot be used is worth more than one of many warnings.
            match self.list.iter().rposition(|one| one.severity == Severity::Warning) {
                Some(at) => drop(self.list.remove(at)),
                None => self.only_errors = true,
            }
        }
        if !self.is_full() {
            let suggestion = diagnostic.suggestion.iter_mut();
            suggestion.chain([&mut diagnostic.message]).for_each(shorten);
            diagnostic.message = plain(&diagnostic.message);
            // An example in a suggestion has lines of its own.
            let lines = |text: &str| text.split('\n').map(plain).collect::<Vec<_>>().join("\n");
            diagnostic.suggestion = diagnostic.suggestion.as_deref().map(lines);
            for related in &mut diagnostic.related {
                related.message = plain(&related.message);
            }
            self.only_errors &= diagnostic.severity == Severity::Error;
            self.list.push(diagnostic);
        }
    }

    /// Takes over what was said of a text that begins at `base`.
    pub(crate) fn absorb(&mut self, own: Self, base: usize) {
        let moved = |span: &mut Range<usize>| *span = span.start + base..span.end + base;
        let (errors, warnings) = (self.errors + own.errors, self.warnings + own.warnings);
        for mut diagnostic in own.list {
            diagnostic.span.iter_mut().for_each(moved);
            diagnostic.related.iter_mut().for_each(|related| moved(&mut related.span));
            self.push(diagnostic);
        }
        // Those that were only counted are.
        (self.errors, self.warnings) = (errors, warnings);
        self.hidden.extend(own.hidden.into_iter().map(|span| span.start + base..span.end + base));
    }

    /// Whether what comes now is only counted.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= limits::DIAGNOSTICS
    }

    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// Has these bytes shown as dots, as a secret must be.
    pub(crate) fn hide(&mut self, span: Range<usize>) {
        self.hidden.push(span);
    }

    /// Keeps only those that `keep` wants. Those beyond the bound are not asked about and stay counted.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&Diagnostic) -> bool) {
        let (errors, warnings) = (&mut self.errors, &mut self.warnings);
        self.list.retain(|diagnostic| {
            let kept = keep(diagnostic);
            if !kept {
                match diagnostic.severity {
                    Severity::Error => *errors -= 1,
                    Severity::Warning => *warnings -= 1,
                }
            }
            kept
        });
    }
}

fn shorten(message: &mut String) {
    let half = limits::DIAGNOSTIC_CHARS / 2;
    let count = message.chars().count();
    if count > limits::DIAGNOSTIC_CHARS {
        let start: String = message.chars().take(half).collect();
        let end: String = message.chars().skip(count - half).collect();
        *message = format!("{start} ... {end}");
    }
}
