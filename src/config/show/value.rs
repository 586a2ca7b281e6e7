//! Values as TOML and as JSON.

use std::fmt;

use coregate_core::base::limits;

use serde_json::{Map, Value, json};

use crate::node::{Kind, Node, is_bare};

/// A value to be printed as TOML.
pub(super) struct Shape<'n>(pub(super) &'n Kind);

impl fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::String(text) => f.write_str(&string(text)),
            Kind::Integer { digits, radix } => {
                f.write_str(match radix {
                    2 => "0b",
                    8 => "0o",
                    16 => "0x",
                    _ => "",
                })?;
                f.write_str(digits)
            }
            Kind::Float(text) | Kind::Datetime(text) => f.write_str(text),
            Kind::Boolean(value) => write!(f, "{value}"),
            Kind::Array(nodes) => array(nodes, f),
            Kind::Table(table) if table.is_empty() => f.write_str("{}"),
            Kind::Table(table) => {
                let mut entries: Vec<_> = table.iter().collect();
                entries.sort_by_key(|(_, entry)| entry.span.start);
                for (at, (name, entry)) in entries.into_iter().enumerate() {
                    let before = if at == 0 { "{ " } else { ", " };
                    write!(f, "{before}{} = {}", key(name), Shape(&entry.node.kind))?;
                }
                f.write_str(" }")
            }
        }
    }
}

fn array(nodes: &[Node], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let elements: Vec<_> = nodes.iter().map(|node| Shape(&node.kind).to_string()).collect();
    match elements.iter().map(|element| element.len() + 2).sum::<usize>() {
        length if length > limits::ARRAY_LINE_BYTES => {
            write!(f, "[\n    {},\n]", elements.join(",\n    "))
        }
        _ => write!(f, "[{}]", elements.join(", ")),
    }
}

impl Shape<'_> {
    /// Numbers that JSON's cannot hold are strings, and so are dates.
    pub(super) fn to_json(&self) -> Value {
        match self.0 {
            Kind::String(text) | Kind::Datetime(text) => json!(text),
            Kind::Integer { digits, radix } => match i64::from_str_radix(digits, *radix) {
                Ok(number) => json!(number),
                Err(_) => json!(self.to_string()),
            },
            Kind::Float(text) => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => json!(number),
                Ok(_) | Err(_) => json!(text),
            },
            Kind::Boolean(value) => json!(value),
            Kind::Array(nodes) => nodes.iter().map(|node| Shape(&node.kind).to_json()).collect(),
            Kind::Table(table) => {
                let pairs = table.iter();
                let pairs =
                    pairs.map(|(key, entry)| (key.clone(), Shape(&entry.node.kind).to_json()));
                Value::Object(Map::from_iter(pairs))
            }
        }
    }
}

/// A term of the settings, as a file writes it; none if it is that nothing is set.
pub(super) fn written(term: &str) -> Option<Kind> {
    if matches!(term, "none" | "default") {
        return None;
    }
    Some(match (term.parse::<u64>(), term.parse()) {
        (Ok(_), _) => Kind::Integer { digits: term.to_owned(), radix: 10 },
        (_, Ok(value)) => Kind::Boolean(value),
        (Err(_), Err(_)) => Kind::String(term.to_owned()),
    })
}

/// A key, in quotes where it needs them.
pub(super) fn key(key: &str) -> String {
    if is_bare(key) { key.to_owned() } else { string(key) }
}

/// A basic string of TOML.
fn string(text: &str) -> String {
    let mut shown = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => shown.extend(['\\', c]),
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            c if c.is_control() => shown.push_str(&format!("\\U{:08X}", u32::from(c))),
            c => shown.push(c),
        }
    }
    shown.push('"');
    shown
}
