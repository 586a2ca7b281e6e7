//! The table against the readers: each key at its place, its default, its range.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{Builtin, Form, Key, Kind, Section, TOP};
use crate::schema::{schema, shown};
use crate::{Loaded, Settings, parse};

/// Whether the readers do not know arrays of tables yet, such as those behind a path.
const ARRAYS_AWAITED: bool = true;

/// What a key stands in, from the top: tables by their keys, arrays by the one element that they have.
#[derive(Debug, Clone)]
enum Step {
    Key(String),
    Element,
}

/// A key somewhere in the language.
struct Place {
    path: Vec<Step>,
    key: &'static Key,
    section: &'static Section,
    /// Whether the readers do not know it yet, or what it stands in.
    awaited: bool,
}

/// Calls `see` for every key of the language, with a place where it can stand.
fn walk(section: &'static Section, path: &[Step], awaited: bool, see: &mut impl FnMut(Place)) {
    for key in section.keys {
        let awaited = awaited || key.awaited;
        let mut path = path.to_vec();
        path.push(Step::Key(key.name.to_owned()));
        see(Place { path: path.clone(), key, section, awaited });
        within(&key.kind, &path, awaited, see);
    }
}

fn within(kind: &'static Kind, path: &[Step], awaited: bool, see: &mut impl FnMut(Place)) {
    let with = |step: Step| [path, &[step]].concat();
    match kind {
        Kind::Boolean
        | Kind::Integer(..)
        | Kind::Number(_)
        | Kind::Size(..)
        | Kind::Text(_)
        | Kind::Word(_) => {}
        Kind::Table(section) => walk(section, path, awaited, see),
        Kind::List(kind) | Kind::Some(kind) => {
            within(kind, &with(Step::Element), awaited || ARRAYS_AWAITED, see);
        }
        Kind::Any(kinds) => kinds.iter().for_each(|kind| within(kind, path, awaited, see)),
        Kind::Map(names) => {
            for (form, kind) in *names {
                let name = Step::Key(name(form, path).to_owned());
                within(kind, &with(name), awaited, see);
            }
        }
    }
}

/// A name of this form; that of a listener or service stands in [`base`].
fn name(form: &Form, path: &[Step]) -> &'static str {
    match (form.name, path) {
        ("name", [Step::Key(top), ..]) if top == "listeners" => "l",
        ("name", _) => "users",
        ("route-path", _) => "/x",
        ("host", _) => "a.example",
        ("field-name", _) => "x-beta",
        ("query-name", _) => "v",
        (other, _) => panic!("{other}: no example of such a name"),
    }
}

fn base() -> Value {
    json!({
        "listeners": { "l": { "bind": "127.0.0.1:0" } },
        "services": {
            "users": { "instances": ["127.0.0.1:1"] },
            "other": { "instances": ["127.0.0.1:2"] },
        },
        "routes": { "/x": "other", "/y": "users" },
    })
}

/// [`base`] with `value` at the place, without what cannot stand beside it, and with what must.
fn file(place: &Place, value: Value) -> Value {
    let mut file = base();
    let (last, tables) = place.path.split_last().unwrap();
    let mut at = &mut file;
    for step in tables {
        at = match step {
            Step::Key(key) => table(at).entry(key.clone()).or_insert(Value::Null),
            Step::Element => {
                if !at.is_array() {
                    *at = json!([null]);
                }
                &mut at[0]
            }
        };
    }
    let at = table(at);
    for row in place.section.apart.iter().filter(|row| row.contains(&place.key.name)) {
        row.iter().for_each(|key| drop(at.remove(*key)));
    }
    for key in place.section.keys.iter().filter(|key| key.must && !key.example.is_empty()) {
        at.insert(key.name.to_owned(), example(key));
    }
    let Step::Key(key) = last else { panic!("a key comes last") };
    at.insert(key.clone(), value);
    file
}

/// The table that stands here, or will.
fn table(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().unwrap()
}

fn example(key: &Key) -> Value {
    serde_json::from_str(key.example).unwrap_or_else(|error| panic!("{}: {error}", key.name))
}

/// As TOML with nothing but inline tables; strings and numbers are written as in JSON.
fn toml(file: &Value) -> String {
    fn inline(value: &Value) -> String {
        match value {
            Value::Object(table) => {
                let keys = table.iter();
                let keys: Vec<_> = keys
                    .map(|(key, value)| format!("{} = {}", json!(key), inline(value)))
                    .collect();
                format!("{{ {} }}", keys.join(", "))
            }
            Value::Array(items) => {
                format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", "))
            }
            other => other.to_string(),
        }
    }
    let keys = file.as_object().unwrap().iter();
    keys.map(|(key, value)| format!("{key} = {}\n", inline(value))).collect()
}

/// The settings of a file without errors.
fn settings(file: &Value) -> Settings {
    let text = toml(file);
    let Loaded { settings, report, .. } = parse("table.toml", &text);
    settings.unwrap_or_else(|| panic!("{text}\n{}", report.render(false)))
}

/// Every key that holds a value.
fn values(mut see: impl FnMut(&Place)) {
    walk(&TOP, &[], false, &mut |place| {
        if !place.key.example.is_empty() {
            see(&place);
        }
    });
}

#[test]
fn every_key_is_read() {
    let before = settings(&base());
    let mut seen = 0;
    values(|place| {
        let value = example(place.key);
        if shown(&place.key.default).as_ref() == Some(&value) {
            panic!("{}: the example is the default", place.key.name);
        }
        if !place.awaited {
            let file = file(place, value);
            assert_ne!(settings(&file), before, "no reader looks at this:\n{}", toml(&file));
            seen += 1;
        }
    });
    assert!(seen >= 30, "{seen}");
}

#[test]
fn defaults_are_what_holds_without_the_key() {
    let mut seen = 0;
    values(|place| {
        let Some(default) = shown(&place.key.default).filter(|_| !place.awaited) else { return };
        // The section stands there both times.
        let mut without = file(place, default.clone());
        let with = settings(&without);
        let mut at = &mut without;
        let (last, tables) = place.path.split_last().unwrap();
        for step in tables {
            at = match step {
                Step::Key(key) => &mut at[key.as_str()],
                Step::Element => &mut at[0],
            };
        }
        let Step::Key(key) = last else { panic!("a key comes last") };
        assert_eq!(at.as_object_mut().unwrap().remove(key), Some(default));
        assert_eq!(settings(&without), with, "{key}");
        seen += 1;
    });
    assert!(seen >= 20, "{seen}");
}

#[test]
fn ranges_are_those_of_the_readers() {
    let mut seen = 0;
    values(|place| {
        // The target is bounded by the head beside it.
        if place.awaited || place.key.name == "target" {
            return;
        }
        let (good, bad) = match &place.key.kind {
            Kind::Integer(least, most) | Kind::Any([Kind::Integer(least, most), ..]) => {
                (vec![json!(least), json!(most)], vec![json!(least - 1), json!(most + 1)])
            }
            Kind::Size(least, u64::MAX) => (vec![json!(least), json!(i64::MAX)], vec![json!(0)]),
            Kind::Size(least, most) => {
                let below = i64::try_from(*least).unwrap() - 1;
                (vec![json!(least), json!(most)], vec![json!(below), json!(most + 1)])
            }
            Kind::Text(form) if form.name == "time" => (vec![json!("1ms")], vec![json!("0s")]),
            Kind::Text(form) if form.name == "time-or-none" => {
                (vec![json!("0s")], vec![json!("-1s")])
            }
            Kind::Word(words) => {
                (words.iter().map(|word| json!(word)).collect(), vec![json!("elephant")])
            }
            _ => return,
        };
        good.into_iter().for_each(|value| drop(settings(&file(place, value))));
        for value in bad {
            let text = toml(&file(place, value));
            assert!(parse("table.toml", &text).settings.is_none(), "{text}");
        }
        seen += 1;
    });
    assert!(seen >= 20, "{seen}");
}

#[test]
fn every_name_stands_for_one_thing() {
    let mut sections = HashSet::new();
    walk(&TOP, &[], false, &mut |place| {
        sections.insert(place.section.name);
        for key in place.section.one_of.iter().chain(place.section.apart.iter().copied().flatten())
        {
            assert!(place.section.keys.iter().any(|known| known.name == *key), "{key}");
        }
        let sentence = place.key.doc.ends_with('.') && !place.key.doc.contains('\n');
        assert!(sentence, "{}: {}", place.key.name, place.key.doc);
        if matches!(place.key.default, Builtin::None) && place.key.must {
            assert!(!place.key.doc.contains("without it"), "{}", place.key.name);
        }
    });
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let parts = schema["$defs"].as_object().unwrap();
    // A form of the name of a section would have taken its place.
    for section in sections.iter().filter(|name| **name != TOP.name) {
        assert_eq!(parts[*section]["type"], "object", "{section}");
    }
    assert!(parts.values().all(Value::is_object));
}
