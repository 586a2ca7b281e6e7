//! The files of a configuration, one behind the other in one space of places.
//!
//! A place is an offset into that space, so that what is read from several files can be compared, merged and reported
//! without saying each time which file it is from.

use std::ops::Range;
use std::sync::Arc;

/// Where the lines of a text begin.
#[derive(Debug, Clone)]
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
        // One end and no more: a line may be nothing but carriage returns, and is asked for at every fault in it.
        let content = content.strip_suffix('\n').unwrap_or(content);
        start..start + content.strip_suffix('\r').unwrap_or(content).len()
    }
}

/// One file.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: Arc<str>,
    pub(crate) text: String,
    pub(crate) lines: Lines,
    /// Where it begins in the space of all.
    pub(crate) base: usize,
}

/// All files, the main one first, in the order in which they were included.
#[derive(Debug, Default)]
pub(crate) struct Sources(Vec<Source>);

impl Sources {
    /// Adds a file; gives its index.
    pub(crate) fn add(&mut self, name: &str, text: String) -> usize {
        // One more than its text has: the end of a file is a place of its own.
        let base = self.0.last().map_or(0, |last| last.base + last.text.len() + 1);
        let lines = Lines::of(&text);
        self.0.push(Source { name: name.into(), text, lines, base });
        self.0.len() - 1
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Source> {
        self.0.get(index)
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Source] {
        &self.0
    }

    pub(crate) fn all_mut(&mut self) -> &mut [Source] {
        &mut self.0
    }

    /// The index of the file that a place is in; 0 where there is none.
    pub(crate) fn index(&self, at: usize) -> usize {
        self.0.partition_point(|source| source.base <= at).saturating_sub(1)
    }

    /// The file that a span is in, the span there, and the line of its first byte, from 1.
    pub(crate) fn locate(&self, span: &Range<usize>) -> Option<(Arc<str>, Range<usize>, usize)> {
        let source = self.get(self.index(span.start))?;
        let span = source.within(span);
        let (line, _) = source.position(span.start);
        Some((Arc::clone(&source.name), span, line))
    }

    /// The name of the file that a place is in, and the line there, from 1.
    pub(crate) fn place(&self, at: usize) -> Option<(&str, usize)> {
        let source = self.get(self.index(at))?;
        Some((&source.name, source.lines.line(at - source.base) + 1))
    }
}

impl Source {
    /// A span of the space of all, as a span of this text: cut to it and to whole characters, so that slicing cannot fail
    /// whatever a parser said.
    pub(crate) fn within(&self, span: &Range<usize>) -> Range<usize> {
        let local = |at: usize| at.saturating_sub(self.base);
        let start = self.text.floor_char_boundary(local(span.start));
        start..self.text.ceil_char_boundary(local(span.end)).max(start)
    }

    /// The line and the column of a byte of this text, both from 1; columns count characters.
    pub(crate) fn position(&self, at: usize) -> (usize, usize) {
        let line = self.lines.line(at);
        let start = self.lines.range(&self.text, line).start;
        (line + 1, 1 + self.text.get(start..at).unwrap_or_default().chars().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_several_files() {
        let mut sources = Sources::default();
        sources.add("a", "one\ntwo".to_owned());
        sources.add("b", String::new());
        sources.add("c", "é\nb".to_owned());
        for (at, expected) in [
            (0, ("a", 1)),
            (4, ("a", 2)),
            (7, ("a", 2)),
            (8, ("b", 1)),
            (9, ("c", 1)),
            (12, ("c", 2)),
            (99, ("c", 2)),
        ] {
            assert_eq!(sources.place(at), Some(expected), "{at}");
        }
        let last = sources.get(2).unwrap();
        assert_eq!(last.within(&(10..13)), 0..4, "whole characters");
        assert_eq!(last.position(3), (2, 1));
        assert_eq!(Sources::default().place(0), None);
    }

    #[test]
    fn lines_end_once() {
        let text = "a\r\nb\n\r\r\nc\r";
        let lines = Lines::of(text);
        let found: Vec<_> = (0..5).map(|line| lines.text(text, line)).collect();
        assert_eq!(found, ["a", "b", "\r", "c", ""]);
    }
}
