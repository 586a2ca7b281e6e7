//! The language as a JSON Schema (draft 2020-12), for editors: written from the table of the language, key by key.
//!
//! It refuses nothing that the readers take. What it cannot say (that a service exists, that two routes are not alike) is
//! theirs alone, so a file that it takes may still be wrong.

use serde_json::{Map, Value, json};

use crate::language::{Builtin, Form, Key, Kind, Section, TOP};
use crate::units::{show_duration, show_size};

/// What the schema calls itself: a name, not a place.
const ID: &str = "urn:coregate:schema:configuration";

/// The schema as text.
pub fn schema() -> String {
    let mut parts = Parts::default();
    let mut top = parts.section(&TOP);
    let entries = [
        ("$schema", json!("https://json-schema.org/draft/2020-12/schema")),
        ("$id", json!(ID)),
        ("title", json!("coregate")),
        ("$defs", Value::Object(parts.0)),
    ];
    top.extend(entries.map(|(key, value)| (key.to_owned(), value)));
    format!("{:#}", Value::Object(top))
}

/// What is referred to: sections and forms by their names.
#[derive(Default)]
struct Parts(Map<String, Value>);

impl Parts {
    /// A reference to what `make` gives, which is made once.
    fn refer(
        &mut self,
        name: &str,
        make: impl FnOnce(&mut Self) -> Map<String, Value>,
    ) -> Map<String, Value> {
        if !self.0.contains_key(name) {
            // Taken before it is made, so that a section may hold itself.
            self.0.insert(name.to_owned(), Value::Null);
            let made = make(self);
            self.0.insert(name.to_owned(), Value::Object(made));
        }
        object([("$ref", json!(format!("#/$defs/{name}")))])
    }

    fn section(&mut self, section: &Section) -> Map<String, Value> {
        let keys = section.keys();
        let properties = keys.map(|key| (key.name.to_owned(), Value::Object(self.key(key))));
        let properties = Value::Object(properties.collect());
        let mut schema = object([
            ("type", json!("object")),
            ("description", json!(section.doc)),
            ("properties", properties),
            ("additionalProperties", json!(false)),
        ]);
        let must: Vec<_> = section.keys().filter(|key| key.must).map(|key| key.name).collect();
        if !must.is_empty() {
            schema.insert("required".to_owned(), json!(must));
        }
        if !section.one_of.is_empty() {
            let any = section.one_of.iter().map(|key| json!({ "required": [key] }));
            schema.insert("anyOf".to_owned(), any.collect());
        }
        let pairs = section.apart.iter().flat_map(|row| pairs(row));
        let apart: Vec<_> = pairs.map(|pair| json!({ "not": { "required": pair } })).collect();
        if !apart.is_empty() {
            schema.insert("allOf".to_owned(), Value::Array(apart));
        }
        schema
    }

    fn key(&mut self, key: &Key) -> Map<String, Value> {
        let mut schema = self.kind(&key.kind);
        schema.insert("description".to_owned(), json!(key.doc));
        if let Some(default) = shown(&key.default) {
            schema.insert("default".to_owned(), default);
        }
        if let Ok(example) = serde_json::from_str::<Value>(key.example) {
            schema.insert("examples".to_owned(), json!([example]));
        }
        schema
    }

    fn kind(&mut self, kind: &Kind) -> Map<String, Value> {
        match kind {
            Kind::Boolean => object([("type", json!("boolean"))]),
            Kind::Constant(value) => object([("const", json!(value))]),
            Kind::Integer(least, most) => integer(json!(least), *most),
            Kind::Number(numbers) => object([("enum", json!(numbers))]),
            Kind::Size(least, most) => {
                let text = self.refer("size", |_| size());
                either([integer(json!(least), *most), text])
            }
            Kind::Text(form) => self.refer(form.name, |_| text(form)),
            Kind::Word(words) => object([("enum", json!(words))]),
            Kind::Table(section) => self.refer(section.name, |parts| parts.section(section)),
            Kind::Map(names) => {
                let names = names.iter();
                let names = names
                    .map(|(form, kind)| (form.pattern.to_owned(), Value::Object(self.kind(kind))));
                let names = Value::Object(names.collect());
                object([
                    ("type", json!("object")),
                    ("patternProperties", names),
                    ("additionalProperties", json!(false)),
                ])
            }
            Kind::List(kind) => {
                let items = Value::Object(self.kind(kind));
                object([("type", json!("array")), ("items", items)])
            }
            Kind::Some(kind) => {
                let items = Value::Object(self.kind(kind));
                object([("type", json!("array")), ("items", items), ("minItems", json!(1))])
            }
            Kind::Any(kinds) => either(kinds.iter().map(|kind| self.kind(kind))),
        }
    }
}

fn object<const N: usize>(entries: [(&str, Value); N]) -> Map<String, Value> {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn either(schemas: impl IntoIterator<Item = Map<String, Value>>) -> Map<String, Value> {
    object([("anyOf", schemas.into_iter().map(Value::Object).collect())])
}

/// TOML has no integers beyond those of 64 bits with a sign.
fn integer(least: Value, most: u64) -> Map<String, Value> {
    let mut schema = object([("type", json!("integer")), ("minimum", least)]);
    if i64::try_from(most).is_ok() {
        schema.insert("maximum".to_owned(), json!(most));
    }
    schema
}

fn text(form: &Form) -> Map<String, Value> {
    let mut schema = object([("type", json!("string")), ("description", json!(form.doc))]);
    if !form.pattern.is_empty() {
        schema.insert("pattern".to_owned(), json!(form.pattern));
    }
    schema
}

fn size() -> Map<String, Value> {
    object([
        ("type", json!("string")),
        ("description", json!("A size: a whole number and B, KiB, MiB, GiB, KB, MB or GB.")),
        ("pattern", json!("^[0-9]+(B|[KMG]i?B)$")),
    ])
}

/// All pairs of a row.
fn pairs<'k>(row: &'k [&'k str]) -> impl Iterator<Item = [&'k str; 2]> {
    let firsts = row.iter().enumerate();
    firsts.flat_map(|(at, first)| row[at + 1..].iter().map(|second| [*first, *second]))
}

/// A default as it is written in a file.
pub(crate) fn shown(default: &Builtin) -> Option<Value> {
    Some(match default {
        Builtin::None => return None,
        Builtin::Boolean(value) => json!(value),
        Builtin::Integer(number) => json!(number),
        Builtin::Text(text) => json!(text),
        Builtin::Time(time) => json!(show_duration(*time)),
        Builtin::Size(bytes) => json!(show_size(*bytes)),
    })
}
