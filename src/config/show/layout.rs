//! The tree as headers and lines: a table of the second rank has a header, and so has a path below a host; what stands in it
//! are lines with dotted keys, so that each value has a line, and a place, of its own.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Value, json};

use crate::node::{Entry, Heritage, Kind, Table};
use crate::read::is_path;
use crate::sources::Sources;

/// The sections in the order in which they are shown.
const ORDER: [&str; 11] = [
    "include",
    "runtime",
    "dns",
    "tokens",
    "consumers",
    "auth",
    "rates",
    "listeners",
    "defaults",
    "services",
    "routes",
];

/// A header and the lines below it.
#[derive(Debug)]
pub(super) struct Section<'n> {
    /// The keys of the header; none for what stands above all.
    pub(super) path: Vec<String>,
    pub(super) leaves: Vec<Leaf<'n>>,
}

/// A line: a key and what it holds.
#[derive(Debug)]
pub(super) struct Leaf<'n> {
    /// The key, below that of the section.
    pub(super) path: Vec<String>,
    pub(super) kind: Cow<'n, Kind>,
    came: Came<'n>,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy)]
enum Came<'n> {
    /// It is written here, at this place.
    Written(usize),
    /// It is written there, and was taken over.
    Inherited(usize, &'n Heritage),
    BuiltIn,
}

/// The whole tree.
pub(super) fn sections(root: &Table) -> Vec<Section<'_>> {
    let mut sections = Vec::new();
    section(Vec::new(), root, None, &mut sections);
    sections
}

/// A table with a header, and those below it; `came` is where the whole was taken over from.
fn section<'n>(
    path: Vec<String>,
    table: &'n Table,
    came: Option<&'n Heritage>,
    sections: &mut Vec<Section<'n>>,
) {
    let mut entries: Vec<_> = table.iter().collect();
    let rank = |key: &str| ORDER.iter().position(|section| *section == key);
    entries.sort_by_key(|(key, entry)| (rank(key).filter(|_| path.is_empty()), entry.span.start));
    let mut leaves = Vec::new();
    let mut below = Vec::new();
    for (key, entry) in entries {
        let came = entry.heritage.as_deref().or(came);
        match entry.node.as_table() {
            Some(table) if has_header(&path) => {
                below.push(([&path[..], std::slice::from_ref(key)].concat(), table, came));
            }
            _ => leaf(vec![key.clone()], entry, came, &mut leaves),
        }
    }
    // What is written here comes first.
    leaves.sort_by_key(|leaf| leaf.rank());
    if !leaves.is_empty() || (below.is_empty() && !path.is_empty()) {
        sections.push(Section { path, leaves });
    }
    for (path, table, came) in below {
        section(path, table, came, sections);
    }
}

/// Whether a table in the table at a path has a header of its own.
fn has_header(path: &[String]) -> bool {
    match path {
        [] => true,
        [section] => !["runtime", "dns"].contains(&section.as_str()),
        [section, host] => section == "routes" && !is_path(host),
        _ => false,
    }
}

/// A value, or the values of a table that has no header.
fn leaf<'n>(
    path: Vec<String>,
    entry: &'n Entry,
    came: Option<&'n Heritage>,
    leaves: &mut Vec<Leaf<'n>>,
) {
    match entry.node.as_table() {
        Some(table) if !table.is_empty() => {
            for (key, entry) in table {
                let came = entry.heritage.as_deref().or(came);
                leaf([&path[..], std::slice::from_ref(key)].concat(), entry, came, leaves);
            }
        }
        _ => {
            let at = entry.span.start;
            let came = came.map_or(Came::Written(at), |heritage| Came::Inherited(at, heritage));
            leaves.push(Leaf { path, kind: Cow::Borrowed(&entry.node.kind), came });
        }
    }
}

impl Section<'_> {
    /// Adds a built-in value, unless something stands under its key.
    pub(super) fn add_built_in(&mut self, key: &str, kind: Kind) {
        let path: Vec<_> = key.split('.').map(str::to_owned).collect();
        // A value says all that a table in its place would, as `outlier = false` does.
        let says = |leaf: &Leaf<'_>| path.starts_with(&leaf.path) && !leaf.is_empty_table();
        if self.leaves.iter().any(|leaf| leaf.path.starts_with(&path) || says(leaf)) {
            return;
        }
        // An empty table is there as soon as something stands in it.
        self.leaves.retain(|leaf| !path.starts_with(&leaf.path));
        self.leaves.push(Leaf { path, kind: Cow::Owned(kind), came: Came::BuiltIn });
    }
}

impl Leaf<'_> {
    fn is_empty_table(&self) -> bool {
        matches!(&*self.kind, Kind::Table(table) if table.is_empty())
    }

    fn rank(&self) -> (u8, usize) {
        match self.came {
            Came::Written(at) => (0, at),
            Came::Inherited(at, heritage) => (if heritage.service.is_some() { 1 } else { 2 }, at),
            Came::BuiltIn => (3, 0),
        }
    }

    /// Where it comes from, in words.
    pub(super) fn origin(&self, sources: &Sources) -> impl fmt::Display {
        let place = |at: usize| match sources.place(at) {
            Some((file, line)) => format!("{}:{line}", file.escape_debug()),
            None => String::new(),
        };
        match self.came {
            Came::Written(at) => place(at),
            Came::Inherited(at, heritage) => match &heritage.service {
                Some(service) => format!("extends {}, {}", service.escape_debug(), place(at)),
                None => format!("[defaults] {}", place(at)),
            },
            Came::BuiltIn => "built in".to_owned(),
        }
    }

    /// The value and where it comes from: `value`, `origin` (`file`, `defaults`, `extends`, `built in`), `service` that it was
    /// taken from, `file` and `line`.
    pub(super) fn with_origin(&self, value: Value, sources: &Sources) -> Value {
        let (origin, at, service) = match self.came {
            Came::Written(at) => ("file", Some(at), None),
            Came::Inherited(at, heritage) => match &heritage.service {
                Some(service) => ("extends", Some(at), Some(service)),
                None => ("defaults", Some(at), None),
            },
            Came::BuiltIn => ("built in", None, None),
        };
        let place = at.and_then(|at| sources.place(at));
        json!({
            "value": value,
            "origin": origin,
            "service": service,
            "file": place.map(|(file, _)| file),
            "line": place.map(|(_, line)| line),
        })
    }
}
