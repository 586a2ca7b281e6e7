//! What is wrong with a configuration's files, and where: put in order, shown as text. Programs get it by
//! [`formats`](crate::formats).
//!
//! The only door of annotate-snippets. It is given one line a place and not the whole file: it looks through all it is
//! given for every diagnostic, which would take a large file with many faults a time that grows with the square.

use std::ops::Range;
use std::sync::Arc;

use coregate_core::base::limits;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

pub(crate) use crate::faults::Faults;
pub use crate::faults::{Diagnostic, Related, Severity};

use crate::sources::{Source, Sources};

/// All that is wrong with a configuration, in the order of its files.
#[derive(Debug)]
pub struct Report {
    sources: Sources,
    diagnostics: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
}

impl Report {
    pub(crate) fn new(mut sources: Sources, faults: Faults) -> Self {
        let Faults { list: mut diagnostics, hidden, errors, warnings, .. } = faults;
        diagnostics.sort_by_key(|diagnostic| diagnostic.span.as_ref().map(|span| span.start));
        for diagnostic in &mut diagnostics {
            let at = diagnostic.span.as_ref().map_or(0, |span| span.start);
            diagnostic.source = sources.index(at);
            let Some(source) = sources.get(diagnostic.source) else { continue };
            diagnostic.file = Arc::clone(&source.name);
            if let Some(span) = &mut diagnostic.span {
                *span = source.within(span);
                (diagnostic.line, diagnostic.column) = source.position(span.start);
                (diagnostic.end_line, diagnostic.end_column) = source.position(span.end);
            }
            for related in &mut diagnostic.related {
                related.source = sources.index(related.span.start);
                let Some(source) = sources.get(related.source) else { continue };
                related.file = Arc::clone(&source.name);
                related.span = source.within(&related.span);
                (related.line, related.column) = source.position(related.span.start);
                (related.end_line, related.end_column) = source.position(related.span.end);
            }
        }
        for span in hidden {
            let index = sources.index(span.start);
            if let Some(source) = sources.all_mut().get_mut(index) {
                hide(source, &span);
            }
        }
        Self { sources, diagnostics, errors, warnings }
    }

    /// What is wrong, in the order of the files; what is missing as a whole comes first.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Whether the configuration cannot be used.
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
            Some(span) => self.place(group, diagnostic.source, span, AnnotationKind::Primary, None),
            None => group.element(Origin::path(&*diagnostic.file)),
        };
        for related in &diagnostic.related {
            let label = Some(related.message.as_str());
            let span = &related.span;
            group = self.place(group, related.source, span, AnnotationKind::Context, label);
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
        source: usize,
        span: &Range<usize>,
        kind: AnnotationKind,
        label: Option<&'r str>,
    ) -> Group<'r> {
        let Some(source) = self.sources.get(source) else { return group };
        let line = source.lines.line(span.start);
        let range = source.lines.range(&source.text, line);
        let excerpt = &source.text[range.clone()];
        if excerpt.len() > limits::EXCERPT_BYTES {
            return group.element(Origin::path(&*source.name).line(line + 1));
        }
        let start = span.start.clamp(range.start, range.end) - range.start;
        let end = span.end.clamp(range.start, range.end) - range.start;
        group.element(
            Snippet::source(excerpt)
                .path(&*source.name)
                .line_start(line + 1)
                .annotation(kind.span(start..end.max(start)).label(label)),
        )
    }
}

/// Puts dots for the bytes that are hidden, but for line ends: so lines and columns in bytes stay what they are.
fn hide(source: &mut Source, span: &Range<usize>) {
    let span = source.within(span);
    let Some(hidden) = source.text.get(span.clone()) else { return };
    let dots = hidden.bytes().map(|b| if b"\r\n".contains(&b) { b as char } else { '.' });
    let dots: String = dots.collect();
    source.text.replace_range(span, &dots);
}
