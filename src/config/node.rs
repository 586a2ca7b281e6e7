//! What stands in files as a tree of our own: values with their places, which can be merged and inherited before they are
//! read.
//!
//! A place is a span of bytes in the one space that all files share ([`Sources`](crate::sources::Sources)). Values are
//! shared: a service that inherits thousands of instances holds a pointer to them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    String(String),
    /// The digits, with their sign and without what stands before them.
    Integer {
        digits: String,
        radix: u32,
    },
    Float(String),
    Boolean(bool),
    Datetime(String),
    Array(Vec<Node>),
    Table(Table),
}

/// A table by its keys.
pub(crate) type Table = BTreeMap<String, Entry>;

/// What a key holds.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The key's place.
    pub(crate) span: Range<usize>,
    pub(crate) node: Rc<Node>,
    /// Where it comes from, if it was not written here; that holds for all within it too.
    pub(crate) heritage: Option<Rc<Heritage>>,
}

/// Where an inherited key is written.
#[derive(Debug)]
pub(crate) struct Heritage {
    /// The table that it stands in, as in `defaults.service.timeout`.
    pub(crate) parent: String,
    /// The service that it was taken from; none for `[defaults]`.
    pub(crate) service: Option<String>,
}

impl Node {
    pub(crate) fn as_table(&self) -> Option<&Table> {
        let Kind::Table(table) = &self.kind else { return None };
        Some(table)
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        let Kind::String(text) = &self.kind else { return None };
        Some(text)
    }

    /// How many values it is made of, itself included.
    pub(crate) fn count(&self) -> usize {
        1 + match &self.kind {
            Kind::Array(array) => array.iter().map(Self::count).sum(),
            Kind::Table(table) => table.values().map(|entry| entry.node.count()).sum(),
            Kind::String(_)
            | Kind::Integer { .. }
            | Kind::Float(_)
            | Kind::Boolean(_)
            | Kind::Datetime(_) => 0,
        }
    }

    pub(crate) fn type_str(&self) -> &'static str {
        match &self.kind {
            Kind::String(_) => "string",
            Kind::Integer { .. } => "integer",
            Kind::Float(_) => "float",
            Kind::Boolean(_) => "boolean",
            Kind::Datetime(_) => "datetime",
            Kind::Array(_) => "array",
            Kind::Table(_) => "table",
        }
    }
}

impl Entry {
    /// One that is written where it stands.
    pub(crate) fn new(span: Range<usize>, node: Node) -> Self {
        Self { span, node: Rc::new(node), heritage: None }
    }

    /// The table that the key holds, to be changed here and nowhere else.
    pub(crate) fn table_mut(&mut self) -> Option<&mut Table> {
        // What is no table is not copied for it.
        self.node.as_table()?;
        let Kind::Table(table) = &mut Rc::make_mut(&mut self.node).kind else { return None };
        Some(table)
    }

    /// Adds the elements of another, if both are arrays.
    pub(crate) fn append(&mut self, other: &Self) -> bool {
        let Kind::Array(more) = &other.node.kind else { return false };
        let Kind::Array(array) = &mut Rc::make_mut(&mut self.node).kind else { return false };
        array.extend_from_slice(more);
        true
    }
}

/// A key below a path, in quotes where it needs them.
pub(crate) fn joined(parent: &str, key: &str) -> String {
    let dot = if parent.is_empty() { "" } else { "." };
    if is_bare(key) { format!("{parent}{dot}{key}") } else { format!("{parent}{dot}\"{key}\"") }
}

/// Whether a key needs no quotes.
pub(crate) fn is_bare(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}
