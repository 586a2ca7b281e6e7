//! The examples, each checked, tested by its own tests, and run: what its tests say of answers of the gateway's own is what a
//! client then gets.

use std::path::PathBuf;

use coregate_config::{RouteTest, Settings};
use coregate_core::snapshot::explain::inquiry::Inquiry;

use crate::harness::gateway::{Folder, Gateway, Setup};

/// The smallest useful file has five lines, and none for a test.
const WITHOUT_TESTS: &str = "minimal.toml";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/examples")
}

/// The names and the texts of those in a folder, in order.
fn files(folder: PathBuf) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.is_file());
    let mut files: Vec<_> = files
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// The same with listeners on ports that are free.
fn elsewhere(text: &str) -> String {
    let mut hosts = 1..;
    let mut line = |line: &str| match line.split_once('=') {
        Some((key, _)) if matches!(key.trim(), "listen" | "bind") => {
            format!("{key}= \"127.0.0.{}:0\"\n", hosts.next().unwrap())
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(&mut line).collect()
}

fn start(text: &str) -> Gateway {
    let setup = Setup::run(&elsewhere(text)).variable("COREGATE_ADMIN_TOKEN", &"x".repeat(32));
    std::fs::create_dir_all(setup.folder().path("teams")).unwrap();
    for (name, text) in files(folder().join("teams")) {
        setup.folder().write(&format!("teams/{name}"), &text);
    }
    setup.start()
}

/// Sends what a test asks for, if the gateway answers it itself; whether it does.
fn try_it(gateway: &Gateway, test: &RouteTest) -> bool {
    let Some(status) = test.expect.status else { return false };
    let headers = test.headers.clone();
    let text = Inquiry { headers, ..Inquiry::new(&test.method, &test.url) }.text().unwrap();
    let response = gateway.client().send(text).response_to(&test.method);
    assert_eq!(response.status, status, "{}: {}", test.request, response.head.text());
    if let Some(location) = &test.expect.location {
        assert_eq!(response.head.get("location"), Some(location.as_str()), "{}", test.request);
    }
    true
}

#[test]
fn every_example_is_checked_tested_and_run() {
    let all = files(folder());
    assert!(all.len() >= 12, "{} examples", all.len());
    let mut tried = 0;
    for (name, text) in all {
        let path = folder().join(&name);
        let checked = Setup::command(Folder::new(), &["check", path.to_str().unwrap()]).output();
        assert_eq!((checked.code, checked.messages.as_str()), (Some(0), ""), "{name}");
        let ended = Setup::command(Folder::new(), &["test", path.to_str().unwrap()]).output();
        assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
        let Settings { tests, .. } = coregate_config::load(&path).settings.unwrap();
        assert_eq!(tests.is_empty(), name == WITHOUT_TESTS, "{name}");
        let gateway = start(&text);
        tried += tests.iter().filter(|test| try_it(&gateway, test)).count();
    }
    assert!(tried >= 8, "{tried} answers of the gateway's own");
}
