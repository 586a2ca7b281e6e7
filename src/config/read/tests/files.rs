//! Broken files under `tests/data/config/broken`, each with what is expected of it in comments at its head:
//!
//! ```text
//! # expect: E0018 7:1 also 6:1 help: write priority = 1 for the one that is to be asked first
//! ```
//!
//! One line a diagnostic, in the order of the report: its code, line and column (`0:0` where it has no place), the places it
//! is about besides (`also LINE:COLUMN`, any number of them), and its whole suggestion behind `help:`, a line end written
//! `\n`; nothing where it has none. Another file is another case: no code changes.
//!
//! `COREGATE_WRITE_EXPECTATIONS=1` writes what is found into the files, to be read before it is committed.

use std::fmt::Write;
use std::path::PathBuf;

use super::data;
use crate::{Diagnostic, load};

const MARK: &str = "# expect: ";

fn files() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(data("config/broken")).unwrap();
    let paths = folder.map(|file| file.unwrap().path());
    let mut files: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    files.sort();
    files
}

/// A place in the text: line and column, from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

fn found(text: &str, fault: &Diagnostic) -> String {
    let mut line = format!("{MARK}{} {}:{}", fault.code, fault.line, fault.column);
    for other in &fault.related {
        let (at, column) = place(text, other.span.start);
        write!(line, " also {at}:{column}").unwrap();
    }
    if let Some(suggestion) = &fault.suggestion {
        write!(line, " help: {}", suggestion.replace('\n', "\\n")).unwrap();
    }
    line
}

#[test]
fn every_broken_file_says_what_it_should() {
    let files = files();
    assert!(files.len() >= 35, "{} files", files.len());
    let mut wrong = String::new();
    for path in &files {
        let loaded = load(path);
        let text = loaded.text.clone().unwrap();
        let said: Vec<_> =
            loaded.report.diagnostics().iter().map(|fault| found(&text, fault)).collect();
        let expected: Vec<_> = text.lines().filter(|line| line.starts_with(MARK)).collect();
        if said == expected && !said.is_empty() {
            continue;
        }
        if std::env::var_os("COREGATE_WRITE_EXPECTATIONS").is_some() {
            rewrite(path, &text, expected.len());
        }
        let (said, expected) = (said.join("\n"), expected.join("\n"));
        let name = path.display();
        write!(wrong, "{name}\nfound:\n{said}\nexpected:\n{expected}\n\n").unwrap();
        writeln!(wrong, "{}", loaded.report.render(false)).unwrap();
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Puts what is found at the head of a file, where it moves the places that it tells: the lines are made before they are known.
fn rewrite(path: &PathBuf, text: &str, known: usize) {
    let rest: Vec<_> = text.lines().filter(|line| !line.starts_with(MARK)).collect();
    let count = load(path).report.diagnostics().len();
    let (first, rest) = rest.split_at(1);
    let put = |lines: &[String]| {
        let lines = lines.iter().map(String::as_str);
        let all: Vec<_> = first.iter().copied().chain(lines).chain(rest.iter().copied()).collect();
        std::fs::write(path, all.join("\n") + "\n").unwrap();
    };
    put(&vec![MARK.to_owned(); count]);
    let loaded = load(path);
    let text = loaded.text.unwrap();
    let lines: Vec<_> =
        loaded.report.diagnostics().iter().map(|fault| found(&text, fault)).collect();
    assert_eq!(lines.len(), count, "{} ({known} before)", path.display());
    put(&lines);
}
