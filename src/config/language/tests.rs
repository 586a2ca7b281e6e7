//! The table against the readers: each key at its place, its default, its range.

use std::collections::HashSet;

use coregate_core::base::limits;
use serde_json::{Map, Value, json};

use super::{Form, Key, Kind, Section, TOP};
use crate::schema::{schema, shown};
use crate::{Loaded, Settings, parse};

/// What a key stands in, from the top: tables by their keys, arrays by the one element that they have.
#[derive(Debug, Clone)]
enum Step {
    Key(String),
    Element,
}

/// Somewhere in the language.
#[derive(Clone)]
struct Place {
    path: Vec<Step>,
    /// The sections on the way, the innermost last, and how many steps lead to each.
    sections: Vec<(usize, &'static Section)>,
}

impl Place {
    fn top() -> Self {
        Self { path: Vec::new(), sections: Vec::new() }
    }

    fn with(&self, step: Step) -> Self {
        Self { path: [&self.path[..], &[step]].concat(), ..self.clone() }
    }

    fn section(&self) -> &'static Section {
        self.sections.last().unwrap().1
    }

    /// The name of the key and the table that holds it, in a file where both are.
    fn find<'f>(&self, file: &'f mut Value) -> (&str, &'f mut Map<String, Value>) {
        let Some((Step::Key(key), tables)) = self.path.split_last() else {
            panic!("a key comes last")
        };
        (key, descend(file, tables))
    }
}

/// Calls `see` for every key of a section, and of those in it, with a place where it can stand.
fn walk(section: &'static Section, at: &Place, see: &mut impl FnMut(&Place, &'static Key)) {
    let mut at = at.clone();
    at.sections.push((at.path.len(), section));
    for key in section.keys() {
        let mut place = at.with(Step::Key(key.name.to_owned()));
        if key.name == "path_regex" {
            // The key takes all paths then.
            let all = |step: &mut Step| {
                if matches!(step, Step::Key(key) if key == "/x") {
                    *step = Step::Key("/*".to_owned())
                }
            };
            place.path.iter_mut().for_each(all);
        }
        see(&place, key);
        within(&key.kind, &place, see);
    }
}

fn within(kind: &'static Kind, at: &Place, see: &mut impl FnMut(&Place, &'static Key)) {
    match kind {
        Kind::Boolean
        | Kind::Constant(_)
        | Kind::Integer(..)
        | Kind::Number(_)
        | Kind::Size(..)
        | Kind::Text(_)
        | Kind::Word(_) => {}
        Kind::Table(section) => walk(section, at, see),
        Kind::List(kind) | Kind::Some(kind) => within(kind, &at.with(Step::Element), see),
        Kind::Any(kinds) => kinds.iter().for_each(|kind| within(kind, at, see)),
        Kind::Map(names) => {
            for (form, kind) in *names {
                let name = Step::Key(name(form, &at.path).to_owned());
                within(kind, &at.with(name), see);
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
        ("consumer-name", _) => "mobile",
        ("group", _) => "gold",
        ("query-name", _) => "v",
        (other, _) => panic!("{other}: no example of such a name"),
    }
}

/// What `other` has besides instances is there to be taken over.
fn base() -> Value {
    json!({
        "listeners": { "l": { "bind": "127.0.0.1:0" } },
        "services": {
            "users": { "instances": ["127.0.0.1:1"] },
            "other": { "instances": ["127.0.0.1:2"], "timeout": { "connect": "3s" } },
        },
        "quotas": { "api": { "limit": 100_000, "every": "month" } },
        "routes": { "/x": "other", "/y": "users" },
    })
}

/// [`base`] with `value` at the place, without what cannot stand beside it, and with what must.
fn file(place: &Place, value: Value) -> Value {
    let mut file = base();
    let (key, table) = place.find(&mut file);
    for row in place.section().apart.iter().filter(|row| row.contains(&key)) {
        row.iter().for_each(|key| drop(table.remove(*key)));
    }
    table.insert(key.to_owned(), value);
    for (depth, section) in &place.sections {
        complete(section, descend(&mut file, &place.path[..*depth]));
    }
    file
}

/// Puts in what must stand in a section.
fn complete(section: &Section, table: &mut Map<String, Value>) {
    let lacks = |keys: &[&str]| !keys.iter().any(|key| table.contains_key(*key));
    let one_of = section.one_of.first().filter(|_| lacks(section.one_of)).copied();
    // What `[defaults]` could supply is no part of the table.
    let action = section.name == "route" && lacks(&["to", "split", "redirect", "respond"]);
    let question = section.name == "health" && lacks(&["get", "request", "tcp"]);
    let rate = section.name == "outlier" && !lacks(&["min_requests", "window"]);
    let limit = section.name == "bulkhead" && !lacks(&["queue", "wait", "priority"]);
    let regex = table.contains_key("path_regex");
    // Who is let in must be known, and what a request costs must fit in the burst.
    let asks =
        ["route", "default-route"].contains(&section.name) && !lacks(&["allow", "deny", "rate"]);
    let counts = section.name == "quota" && !lacks(&["groups"]);
    let fits = section.name == "rate" && !lacks(&["cost"]);
    let wanted = [
        one_of,
        action.then_some("to"),
        question.then_some("get"),
        rate.then_some("errors"),
        limit.then_some("service"),
        regex.then_some("priority"),
        asks.then_some("auth"),
        counts.then_some("per"),
    ];
    if fits {
        table.entry("burst").or_insert(json!(limits::RATE_TOKENS));
    }
    for key in section.keys() {
        if key.must || wanted.contains(&Some(key.name)) {
            let value = match &key.kind {
                Kind::Table(section) => {
                    let mut inner = json!({});
                    complete(section, self::table(&mut inner));
                    inner
                }
                _ => example(key),
            };
            table.entry(key.name).or_insert(value);
        }
    }
}

/// The table at the end of a path, which is made where there is none.
fn descend<'f>(mut at: &'f mut Value, path: &[Step]) -> &'f mut Map<String, Value> {
    for step in path {
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
    table(at)
}

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
fn values(mut see: impl FnMut(&Place, &Key)) {
    walk(&TOP, &Place::top(), &mut |place, key| {
        if !key.example.is_empty() {
            see(place, key);
        }
    });
}

#[test]
fn every_key_is_read() {
    let before = settings(&base());
    let mut seen = 0;
    values(|place, key| {
        let value = example(key);
        assert_ne!(shown(&key.default).as_ref(), Some(&value), "{}: its default", key.name);
        // A text that is no file includes none; `include` has tests of its own.
        if key.name == "include" {
            return;
        }
        let file = file(place, value);
        assert_ne!(settings(&file), before, "no reader looks at this:\n{}", toml(&file));
        seen += 1;
    });
    assert!(seen >= 30, "{seen}");
}

#[test]
fn defaults_are_what_holds_without_the_key() {
    let mut seen = 0;
    values(|place, key| {
        let Some(default) = shown(&key.default) else { return };
        let mut file = file(place, default.clone());
        let with = settings(&file);
        // Its table stays.
        let (key, table) = place.find(&mut file);
        assert_eq!(table.remove(key), Some(default));
        assert_eq!(settings(&file), with, "{key}");
        seen += 1;
    });
    assert!(seen >= 20, "{seen}");
}

#[test]
fn ranges_are_those_of_the_readers() {
    let mut seen = 0;
    values(|place, key| {
        // The target is bounded by the head beside it.
        if key.name == "target" {
            return;
        }
        let (good, bad) = match &key.kind {
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
    walk(&TOP, &Place::top(), &mut |place, key| {
        let section = place.section();
        sections.insert(section.name);
        for key in section.one_of.iter().chain(section.apart.iter().copied().flatten()) {
            assert!(section.keys().any(|known| known.name == *key), "{key}");
        }
        assert!(key.doc.ends_with('.') && !key.doc.contains('\n'), "{}: {}", key.name, key.doc);
    });
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let parts = schema["$defs"].as_object().unwrap();
    // A form of the name of a section would have taken its place.
    for section in sections.iter().filter(|name| **name != TOP.name) {
        assert_eq!(parts[*section]["type"], "object", "{section}");
    }
    assert!(parts.values().all(Value::is_object));
}
