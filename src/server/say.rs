//! Messages: lines on standard error that begin with the program's name. Standard output is data.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "the one door to the terminal")]

use std::io::Write;

/// A message to the operator.
pub(crate) fn message(text: impl std::fmt::Display) {
    // In one piece: in an upgrade another process writes to the same place.
    diagnostics(&format!("coregate: {text}\n"));
}

/// Text that may have lines, to the operator: the first begins as a message does, unless it is a diagnostic with an excerpt.
pub(crate) fn paragraph(text: &str) {
    match text.contains("\n") {
        true => diagnostics(&format!("{}\n", text.trim_end())),
        false => message(text),
    }
}

/// Text as it is, to standard error: diagnostics with excerpts.
pub(crate) fn diagnostics(text: &str) {
    // A closed terminal is no reason to stop serving.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Data, to standard output.
pub(crate) fn data(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Data that has its own line ends, to standard output.
pub(crate) fn lines(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
