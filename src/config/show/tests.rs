//! What is shown says the same as the files it was read from.

use std::path::{Path, PathBuf};

use crate::folder::Folder;
use crate::{Settings, Wish, parse, show};

const EXPANDED: Wish = Wish { expanded: true, origin: false, json: false };

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/examples");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    assert!(files.len() > 3);
    files
}

/// What a text says, whatever it warns of.
fn read(text: &str) -> Settings {
    let loaded = parse("shown.toml", text);
    loaded.settings.unwrap_or_else(|| panic!("{text}\n{}", loaded.report.render(false)))
}

/// The same settings, in whatever order their parts are.
fn sorted(mut settings: Settings) -> Settings {
    settings.listeners.sort_by(|a, b| a.name.cmp(&b.name));
    settings.plan.listeners.sort_by(|a, b| a.name.cmp(&b.name));
    settings.plan.services.sort_by(|a, b| a.name.cmp(&b.name));
    settings.plan.routes.sort_by_key(|route| format!("{route:?}"));
    // Where they stand is another place.
    for test in &mut settings.tests {
        (test.file, test.span, test.line) = ("".into(), 0..0, 0);
    }
    settings
}

/// What a text says is what is shown of it, expanded.
pub(crate) fn same_when_expanded(text: &str, settings: Settings) {
    let expanded = crate::show_text(text, EXPANDED).unwrap();
    assert_eq!(sorted(read(&expanded)), sorted(settings), "{text}\n{expanded}");
}

/// Every way to show a file says what the file does; gives the expanded one.
fn same(path: &Path) -> String {
    let settings = sorted(crate::load(path).settings.unwrap());
    for origin in [false, true] {
        for expanded in [false, true] {
            let wish = Wish { expanded, origin, json: false };
            let text = show(path, wish).text.unwrap();
            assert_eq!(sorted(read(&text)), settings, "{wish:?}\n{text}");
        }
        let json = show(path, Wish { origin, json: true, ..EXPANDED }).text.unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&json).unwrap().is_object());
    }
    show(path, EXPANDED).text.unwrap()
}

#[test]
fn every_example_means_the_same_when_it_is_shown() {
    for path in examples() {
        let expanded = same(&path);
        // What is expanded once is expanded.
        let folder = Folder::with(&[("main.toml", &expanded)]);
        assert_eq!(same(&folder.path("main.toml")), expanded, "{}", path.display());
    }
}

const MAIN: &str = r#"include = ["more.toml"]
listen = "127.0.0.1:0"

[defaults.service]
timeout = { connect = "250ms" }

[defaults.listener]
limits.body = "1MiB"

[runtime]
admin_token = { env = "TOKEN" }

[services.users]
instances = ["127.0.0.1:1"]
timeout.body = "1s"
"#;

const MORE: &str = r#"[services.next]
extends = "users"
instances = ["127.0.0.1:2", "unix:/tmp/\"é\""]

[routes]
"/*" = "users"
[routes."x.example"]
"/next" = { to = "next" }
"#;

fn folder() -> Folder {
    Folder::with(&[("main.toml", MAIN), ("more.toml", MORE)])
}

#[test]
fn as_it_was_put_together() {
    let folder = folder();
    let path = folder.path("main.toml");
    same(&path);
    let text = show(&path, Wish::default()).text.unwrap();
    let expected = r#"listen = "127.0.0.1:0"

[runtime]
admin_token.env = "TOKEN"

[defaults.service]
timeout.connect = "250ms"

[defaults.listener]
limits.body = "1MiB"

[services.users]
instances = ["127.0.0.1:1"]
timeout.body = "1s"

[services.next]
extends = "users"
instances = ["127.0.0.1:2", "unix:/tmp/\"é\""]

[routes]
"/*" = "users"

[routes."x.example"."/next"]
to = "next"
"#;
    assert_eq!(text, expected);
}

#[test]
fn with_the_origin_of_each_value() {
    let folder = folder();
    let path = folder.path("main.toml");
    let shown = show(&path, Wish { origin: true, ..EXPANDED }).text.unwrap();
    let shown = folder.bare(&shown);
    let lines: Vec<_> = shown.lines().collect();
    for line in [
        r#"admin_token.env = "TOKEN"  # main.toml:11"#,
        r#"drain = "30s"  # built in"#,
        r#"bind = "127.0.0.1:0"  # main.toml:2"#,
        r#"limits.body = "1MiB"  # [defaults] main.toml:8"#,
        r#"limits.requests = 10000  # built in"#,
        r#"expose_reasons = false  # built in"#,
        r#"timeout.body = "1s"  # main.toml:15"#,
        r#"timeout.body = "1s"  # extends users, main.toml:15"#,
        r#"timeout.connect = "250ms"  # [defaults] main.toml:5"#,
        r#"pool.idle_per_worker = 1024  # built in"#,
        r#""/*" = "users"  # more.toml:6"#,
        r#"to = "next"  # more.toml:8"#,
    ] {
        assert!(lines.contains(&line), "{line} is not in\n{shown}");
    }
    assert!(!shown.contains("[defaults]\n") && !shown.contains("extends ="), "{shown}");
    let json = show(&path, Wish { origin: true, expanded: true, json: true }).text.unwrap();
    let json: serde_json::Value = serde_json::from_str(&folder.bare(&json)).unwrap();
    assert_eq!(
        json["services"]["next"]["timeout"]["body"],
        serde_json::json!({
            "value": "1s", "origin": "extends", "service": "users", "file": "main.toml", "line": 15,
        })
    );
    assert_eq!(json["runtime"]["io"]["origin"], "built in");
}

#[test]
fn listeners_without_requests_and_empty_tables() {
    let text = "[defaults.listener]\nlimits.body = '1MiB'\ntimeout = { idle = '1s', head = '2s' }\n\
                [listeners.a]\nbind = '127.0.0.1:1'\ntcp = 'a'\ntimeout = {}\n\
                [listeners.b]\nbind = '127.0.0.1:2'\ntcp = 'a'\nproxy_protocol.from = ['unix']\n\
                [services.a]\ninstances = []\npool = {}\ntimeout = { tunnel = '5m' }\n[runtime]\ncores = 0x2\n";
    let folder = Folder::with(&[("main.toml", text)]);
    let expanded = same(&folder.path("main.toml"));
    assert!(!expanded.contains("limits") && expanded.contains("cores = 0x2"), "{expanded}");
    assert_eq!(expanded.matches("timeout.head").count(), 1, "{expanded}");
}

#[test]
fn what_is_broken_is_not_shown() {
    let folder = Folder::with(&[("main.toml", "[runtime]\nadmin_token = 'hunter2'\n")]);
    let shown = show(&folder.path("main.toml"), EXPANDED);
    assert!(shown.text.is_none() && shown.report.has_errors());
    assert!(!shown.report.render(false).contains("hunter2"));
}
