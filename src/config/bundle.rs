//! The files of a configuration as one text, so that the history can keep and compare what was served, and apply it again
//! without looking at the disk.
//!
//! A file that includes none is its text as it stands. Others stand below each other, each below a line with its name:
//!
//! ```text
//! # coregate: files below lines of ====
//! # ==== "gateway.toml"
//! include = ["teams/*.toml"]
//! # ==== "teams/users.toml"
//! [routes]
//! ```
//!
//! No line of the files begins as those lines do: there are as many `=` as it takes.

use crate::sources::Sources;

const HEAD: &str = "# coregate: files below lines of ";

/// So many `=` at least.
const FENCE_MIN: usize = 4;

/// A file's name and its text.
pub(crate) type File<'t> = (String, &'t str);

/// All files as one text; the main one alone as it stands, unless it includes others.
pub(crate) fn pack(sources: &Sources, includes: bool) -> Option<String> {
    let main = sources.get(0)?;
    if !includes && !main.text.starts_with(HEAD) {
        return Some(main.text.clone());
    }
    let texts = || sources.all().iter().map(|source| source.text.as_str());
    let longest = texts().flat_map(str::lines).filter_map(signs).max().unwrap_or(0);
    let fence = "=".repeat(FENCE_MIN.max(longest + 1));
    let mut packed = format!("{HEAD}{fence}\n");
    // What is read by another path to it is the same.
    let folder = main.name.rfind('/').map_or(0, |at| at + 1);
    let folder = main.name.get(..folder).unwrap_or_default();
    for source in sources.all() {
        let name = source.name.strip_prefix(folder).unwrap_or(&source.name).escape_debug();
        packed.push_str(&format!("# {fence} \"{name}\"\n{}", source.text));
        if !source.text.ends_with('\n') {
            packed.push('\n');
        }
    }
    Some(packed)
}

/// The files of a text that was packed, the main one first; none if it was not.
pub(crate) fn unpack(packed: &str) -> Option<Vec<File<'_>>> {
    let (head, mut rest) = packed.split_once('\n')?;
    let fence = head.strip_prefix(HEAD).filter(|fence| fence.len() >= FENCE_MIN)?;
    let mark = format!("# {fence} ");
    let mut files = Vec::new();
    while !rest.is_empty() {
        let (name, below) = rest.strip_prefix(&mark)?.split_once('\n')?;
        // The next line that begins so, from the end of the one before it.
        let end = match below.starts_with(&mark) {
            true => 0,
            false => below.find(&format!("\n{mark}")).map_or(below.len(), |at| at + 1),
        };
        let (text, after) = below.split_at(end);
        files.push((name.trim_matches('"').to_owned(), text));
        rest = after;
    }
    (!files.is_empty()).then_some(files)
}

/// How many `=` a line has that looks like one above a file.
fn signs(line: &str) -> Option<usize> {
    let line = line.strip_prefix("# ")?;
    Some(line.len() - line.trim_start_matches('=').len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_below_the_main_file() {
        let pack_in = |folder: &str| {
            let mut sources = Sources::default();
            for name in ["main.toml", "teams/a.toml"] {
                sources.add(&format!("{folder}{name}"), String::new());
            }
            pack(&sources, true).unwrap()
        };
        assert_eq!(pack_in("/etc/coregate/"), pack_in(""));
    }

    fn packed(files: &[&str], includes: bool) -> String {
        let mut sources = Sources::default();
        for (at, text) in files.iter().enumerate() {
            sources.add(&format!("{at} \"quoted\".toml"), (*text).to_owned());
        }
        pack(&sources, includes).unwrap()
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        assert_eq!(packed(&["a = 1"], false), "a = 1");
        assert_eq!(unpack("a = 1\n"), None);
        let head = format!("{HEAD}====\n# ==== \"x\"\na = 1\n");
        for files in [
            &["a = 1\n"][..],
            &["", "", "\n"],
            &["a = 1\n", "# ==== \"b\"\nb = 1\n", "# ======\n# ===== c\n"],
            &[&head, "c = 1\n"],
        ] {
            let packed = packed(files, true);
            let found = unpack(&packed).unwrap();
            let texts: Vec<_> = found.iter().map(|(_, text)| *text).collect();
            // A file has an end of line at its end.
            assert_eq!(texts.len(), files.len(), "{packed}");
            for (text, file) in texts.iter().zip(files) {
                assert_eq!(text.trim_end(), file.trim_end(), "{packed}");
            }
        }
        // A text that only looks packed is packed, so that it is not taken apart.
        let found = packed(&[&head], false);
        assert_eq!(unpack(&found).unwrap()[0].1, head);
    }
}
