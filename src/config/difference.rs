//! What differs between two files, line by line, as a unified diff. The only door of similar.

use std::fmt::{self, Write};

use coregate_core::base::limits;
use similar::{Algorithm, TextDiff};

use crate::item::plain;

/// The unified diff that leads from `old` to `new`, which the first two lines name; empty where they are the same.
///
/// It is at most [`limits::DIFFERENCE_BYTES`] long: what is beyond is left out, and a last line says so. A shortest one is
/// looked for as long as [`limits::DIFFERENCE_TIME`]; files with more than [`limits::DIFFERENCE_LINES`] lines are named as
/// different and not compared.
pub fn textdiff(old_name: &str, old: &str, new_name: &str, new: &str) -> String {
    if old == new {
        return String::new();
    }
    let (old_name, new_name) = (plain(old_name), plain(new_name));
    let mut text = format!("--- {old_name}\n+++ {new_name}\n");
    for (name, lines) in [(&old_name, lines(old)), (&new_name, lines(new))] {
        if lines > limits::DIFFERENCE_LINES {
            text.push_str(&format!(
                "... not compared: {name} has {lines} lines, expected at most {}\n",
                limits::DIFFERENCE_LINES
            ));
            return text;
        }
    }
    let mut configuration = TextDiff::configure();
    configuration.algorithm(Algorithm::Myers).timeout(limits::DIFFERENCE_TIME);
    let difference = configuration.diff_lines(old, new);
    let mut unified = difference.unified_diff();
    unified.context_radius(limits::DIFFERENCE_CONTEXT);
    let mut bounded = Bounded { text, most: limits::DIFFERENCE_BYTES - REST.len() };
    // It fails where the bound is reached, and nowhere else.
    let whole = unified.iter_hunks().try_for_each(|hunk| write!(bounded, "{hunk}"));
    let Bounded { mut text, .. } = bounded;
    if whole.is_err() {
        let end = text.rfind('\n').map_or(0, |at| at + 1);
        text.truncate(end);
        text.push_str(REST);
    }
    text
}

/// The last line of a difference that was cut.
const REST: &str = "... the rest is left out\n";

/// How many lines a text is compared in; a carriage return ends one too.
fn lines(text: &str) -> usize {
    text.split("\r\n").map(|part| 1 + part.matches(['\r', '\n']).count()).sum()
}

/// A text that takes no more than it may hold.
struct Bounded {
    text: String,
    most: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.text.len() + piece.len() > self.most {
            return Err(fmt::Error);
        }
        self.text.push_str(piece);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unified_diff() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n";
        let new = old.replace("e\n", "E\ne2\n");
        let expected =
            "--- 1 (before)\n+++ 2\n@@ -2,7 +2,8 @@\n b\n c\n d\n-e\n+E\n+e2\n f\n g\n h\n";
        assert_eq!(textdiff("1 (before)", old, "2", &new), expected);
        assert_eq!(textdiff("1", old, "2", old), "");
        assert_eq!(textdiff("1", "", "2", "a\n"), "--- 1\n+++ 2\n@@ -0,0 +1 @@\n+a\n");
        let unended = textdiff("1", "a\n", "2", "a");
        assert!(unended.ends_with("-a\n+a\n\\ No newline at end of file\n"), "{unended}");
        // A name cannot end its line.
        assert!(textdiff("a\n+b", "a", "2", "b").starts_with("--- a\\n+b\n+++ 2\n"));
    }

    /// Nothing alike, each line of its own: what costs the most to compare.
    #[test]
    fn it_ends_and_is_bounded() {
        let file = |start: usize| -> String {
            (start..start + 100_000).map(|at| format!("instance = \"{at}\"\n")).collect()
        };
        let text = textdiff("1", &file(0), "2", &file(1_000_000));
        assert!(text.len() <= limits::DIFFERENCE_BYTES);
        assert!(text.len() > limits::DIFFERENCE_BYTES - 100);
        assert!(text.ends_with("\"\n... the rest is left out\n"));
        // One long line.
        let text = textdiff("1", "a", "2", &"é".repeat(limits::DIFFERENCE_BYTES));
        assert!(text.ends_with("... the rest is left out\n") && text.len() < 200, "{text}");
        // Every other line.
        let old: String = (0..50_000).map(|at| format!("{}\n", at % 7)).collect();
        let new: String = (0..50_000).map(|at| format!("{}\n", at * 3 % 11)).collect();
        assert!(textdiff("1", &old, "2", &new).len() <= limits::DIFFERENCE_BYTES);
    }

    #[test]
    fn too_many_lines() {
        let many = "\n".repeat(limits::DIFFERENCE_LINES);
        let text = textdiff("1", "", "2", &many);
        let said = "... not compared: 2 has 1000001 lines, expected at most 1000000\n";
        assert_eq!(text, format!("--- 1\n+++ 2\n{said}"));
    }
}
