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
//! A configuration of several files is a folder: the lines stand in its `main.toml`, and a place in another file has that
//! file's name before it, as in `team.toml:3:1`.
//!
//! `COREGATE_WRITE_EXPECTATIONS=1` writes what is found into the files, to be read before it is committed.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::data;
use crate::{Diagnostic, Loaded, load};

const MARK: &str = "# expect: ";

/// The file of each case, the main one where it has several.
fn files() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(data("config/broken")).unwrap();
    let main = |path: PathBuf| if path.is_dir() { path.join("main.toml") } else { path };
    let mut files: Vec<_> = folder.map(|file| main(file.unwrap().path())).collect();
    files.sort();
    files
}

/// A place as it is expected: with the name of its file where that is not the main one.
fn place(main: &Path, file: &str, line: usize, column: usize) -> String {
    let folder = main.parent().unwrap();
    match Path::new(file) {
        same if same == main => format!("{line}:{column}"),
        other => format!("{}:{line}:{column}", other.strip_prefix(folder).unwrap().display()),
    }
}

fn found(main: &Path, fault: &Diagnostic) -> String {
    let at = place(main, &fault.file, fault.line, fault.column);
    let mut line = format!("{MARK}{} {at}", fault.code);
    for other in &fault.related {
        write!(line, " also {}", place(main, &other.file, other.line, other.column)).unwrap();
    }
    if let Some(suggestion) = &fault.suggestion {
        // Where the file lies is of no interest.
        let folder = format!("{}/", main.parent().unwrap().display());
        let suggestion = suggestion.replace(&folder, "").replace('\n', "\\n");
        write!(line, " help: {suggestion}").unwrap();
    }
    line
}

/// The lines that a file's faults make.
fn said(path: &Path, loaded: &Loaded) -> Vec<String> {
    loaded.report.diagnostics().iter().map(|fault| found(path, fault)).collect()
}

#[test]
fn every_broken_file_says_what_it_should() {
    let files = files();
    assert!(files.len() >= 64, "{} files", files.len());
    let mut wrong = String::new();
    for path in &files {
        let loaded = load(path);
        let text = std::fs::read_to_string(path).unwrap();
        let said = said(path, &loaded);
        let expected: Vec<_> = text.lines().filter(|line| line.starts_with(MARK)).collect();
        // Whoever begins must be told what to type.
        let begins = path.file_name().unwrap().to_string_lossy().starts_with("newcomer-");
        let told = !begins || said.iter().all(|line| line.contains(" help: "));
        if said == expected && !said.is_empty() && told {
            continue;
        }
        if std::env::var_os("COREGATE_WRITE_EXPECTATIONS").is_some() {
            rewrite(path, &text);
        }
        let (said, expected) = (said.join("\n"), expected.join("\n"));
        let name = path.display();
        write!(wrong, "{name}\nfound:\n{said}\nexpected:\n{expected}\n\n").unwrap();
        writeln!(wrong, "{}", loaded.report.render(false)).unwrap();
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Puts what is found at the head of a file, where it moves the places that it tells: the lines are made before they are known.
fn rewrite(path: &Path, text: &str) {
    let rest: Vec<_> = text.split_inclusive('\n').filter(|line| !line.starts_with(MARK)).collect();
    let count = load(path).report.diagnostics().len();
    let (first, rest) = rest.split_at(1);
    let put = |lines: &[String]| {
        let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(path, first.concat() + &lines + &rest.concat()).unwrap();
    };
    put(&vec![MARK.to_owned(); count]);
    let lines = said(path, &load(path));
    assert_eq!(lines.len(), count, "{}", path.display());
    put(&lines);
}
