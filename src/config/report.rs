//! What is wrong with a file, and where: collected, put in order, shown as text. Programs get it by [`formats`](crate::formats).
//!
//! The only door of annotate-snippets. It is given one line a place and not the whole file: it looks through all it is
//! given for every diagnostic, which would take a large file with many faults a time that grows with the square.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
/// Diagnostics kept of one file; the rest are only counted.
const DIAGNOSTICS_MAX: usize = 1_000;

/// Messages longer than this lose their middle, where they quote the file.
const MESSAGE_CHARS_MAX: usize = 400;

/// Lines longer than this are named but not shown.
const EXCERPT_BYTES_MAX: usize = 2_000;

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
    /// The file that it is in.
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
        let related =
            Related { file, span, line: 0, column: 0, end_line: 0, end_column: 0, message };
        self.related.push(related);
        self
    }
}

/// Collects diagnostics while a file is read.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    list: Vec<Diagnostic>,
    /// What is not shown of the file, in bytes.
    hidden: Vec<Range<usize>>,
    errors: usize,
    warnings: usize,
}

impl Faults {
    pub(crate) fn push(&mut self, mut diagnostic: Diagnostic) {
        match diagnostic.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        if !self.is_full() {
            let suggestion = diagnostic.suggestion.iter_mut();
            suggestion.chain([&mut diagnostic.message]).for_each(shorten);
            self.list.push(diagnostic);
        }
    }

    /// Whether what comes now is only counted.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= DIAGNOSTICS_MAX
    }

    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// Has these bytes of the file shown as dots, as a secret must be.
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

/// Where the lines of a text begin.
#[derive(Debug)]
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        Self(std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect())
    }

    /// The line of a byte, from 0.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.0.partition_point(|start| *start <= at).saturating_sub(1)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn text<'t>(&self, text: &'t str, line: usize) -> &'t str {
        text.get(self.range(text, line)).unwrap_or_default()
    }

    /// The bytes of a line, without its end.
    pub(crate) fn range(&self, text: &str, line: usize) -> Range<usize> {
        let start = self.0.get(line).copied().unwrap_or(text.len());
        let end = self.0.get(line + 1).copied().unwrap_or(text.len());
        let content = text.get(start..end).unwrap_or_default();
        start..start + content.trim_end_matches(['\n', '\r']).len()
    }
}

/// All that is wrong with one file, in the order of the file.
#[derive(Debug)]
pub struct Report {
    name: String,
    text: String,
    lines: Lines,
    diagnostics: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
}

impl Report {
    pub(crate) fn new(name: &str, text: &str, faults: Faults) -> Self {
        let lines = Lines::of(text);
        let Faults { list: mut diagnostics, hidden, errors, warnings } = faults;
        let file: Arc<str> = name.into();
        let position = |at: usize| {
            let line = lines.line(at);
            let start = lines.range(text, line).start;
            (line + 1, 1 + text[start..at].chars().count())
        };
        for diagnostic in &mut diagnostics {
            diagnostic.file = Arc::clone(&file);
            if let Some(span) = &mut diagnostic.span {
                *span = within(text, span);
                (diagnostic.line, diagnostic.column) = position(span.start);
                (diagnostic.end_line, diagnostic.end_column) = position(span.end);
            }
            for related in &mut diagnostic.related {
                related.file = Arc::clone(&file);
                related.span = within(text, &related.span);
                (related.line, related.column) = position(related.span.start);
                (related.end_line, related.end_column) = position(related.span.end);
            }
        }
        diagnostics.sort_by_key(|diagnostic| diagnostic.span.as_ref().map(|span| span.start));
        let text = dotted(text, &hidden);
        Self { name: name.into(), text, lines, diagnostics, errors, warnings }
    }

    /// What is wrong, in the order of the file; what is missing as a whole comes first.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Whether the file cannot be used.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// The report as text, with a closing line such as `2 errors, 1 warning`; empty if there is nothing to say.
    pub fn render(&self, color: bool) -> String {
        if self.errors + self.warnings == 0 {
            return String::new();
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for diagnostic in &self.diagnostics {
            text.push_str(&renderer.render(&[self.group(diagnostic)]));
            text.push_str("\n\n");
        }
        let count = |count, what| match count {
            0 => None,
            1 => Some(format!("1 {what}")),
            _ => Some(format!("{count} {what}s")),
        };
        let left_out = self.errors + self.warnings - self.diagnostics.len();
        let counts = [
            count(self.errors, "error"),
            count(self.warnings, "warning"),
            (left_out > 0).then(|| format!("{left_out} of them not shown")),
        ];
        text.push_str(&counts.into_iter().flatten().collect::<Vec<_>>().join(", "));
        text.push('\n');
        text
    }

    fn group<'r>(&'r self, diagnostic: &'r Diagnostic) -> Group<'r> {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code);
        let mut group = Group::with_title(title);
        group = match &diagnostic.span {
            Some(span) => self.place(group, span, AnnotationKind::Primary, None),
            None => group.element(Origin::path(self.name.as_str())),
        };
        for related in &diagnostic.related {
            let label = Some(related.message.as_str());
            group = self.place(group, &related.span, AnnotationKind::Context, label);
        }
        match &diagnostic.suggestion {
            Some(suggestion) => group.element(Level::HELP.message(suggestion.as_str())),
            None => group,
        }
    }

    /// Adds the first line of a span, underlined.
    fn place<'r>(
        &'r self,
        group: Group<'r>,
        span: &Range<usize>,
        kind: AnnotationKind,
        label: Option<&'r str>,
    ) -> Group<'r> {
        let line = self.lines.line(span.start);
        let range = self.lines.range(&self.text, line);
        let excerpt = &self.text[range.clone()];
        if excerpt.len() > EXCERPT_BYTES_MAX {
            return group.element(Origin::path(self.name.as_str()).line(line + 1));
        }
        let start = span.start.clamp(range.start, range.end) - range.start;
        let end = span.end.clamp(range.start, range.end) - range.start;
        group.element(
            Snippet::source(excerpt)
                .path(self.name.as_str())
                .line_start(line + 1)
                .annotation(kind.span(start..end.max(start)).label(label)),
        )
    }
}

/// The span cut to the text and to whole characters, so that slicing cannot fail whatever the parser said.
fn within(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start);
    start..text.ceil_char_boundary(span.end).max(start)
}

/// The text with dots for the bytes that are hidden, but for line ends: so lines and columns in bytes stay what they are.
fn dotted(text: &str, hidden: &[Range<usize>]) -> String {
    let mut shown = text.to_owned();
    for span in hidden.iter().map(|span| within(text, span)) {
        let dots = text[span.clone()].bytes();
        let dots: String =
            dots.map(|b| if b"\r\n".contains(&b) { b as char } else { '.' }).collect();
        shown.replace_range(span, &dots);
    }
    shown
}

fn shorten(message: &mut String) {
    let half = MESSAGE_CHARS_MAX / 2;
    let count = message.chars().count();
    if count > MESSAGE_CHARS_MAX {
        let start: String = message.chars().take(half).collect();
        let end: String = message.chars().skip(count - half).collect();
        *message = format!("{start} ... {end}");
    }
}
