//! Every file of `tests/data/examples`: checked, tested, then served and asked for real what its `[[tests]]` ask. Another
//! file there is another case: no code changes.

mod ask;
mod stage;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use coregate_config::{ConsumerKey, Expectation, RouteTest, Secret, Settings};
use coregate_core::snapshot::plan::{AuthMethod, AuthPlan, KeyPlace};

use self::ask::{ask, doctored, missed};
use self::stage::{Stage, secret_of};
use crate::harness::gateway::{Folder, Setup};
use crate::harness::run::Ended;
use crate::harness::told::v1;

/// The smallest useful file stays the smallest: it has no tests.
const WITHOUT_TESTS: &str = "minimal.toml";

/// Whom a proxy in front names as the client.
const CLIENT: &str = "192.0.2.7:51234";
const SERVER: &str = "198.51.100.1:443";

/// The main files, in the order of their names; what they include lies in folders.
fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/examples");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    files.sort();
    assert!(files.len() >= 12, "{files:?}");
    files
}

fn command(word: &str, file: &Path) -> Ended {
    let keys = settings(file).keys;
    let command = Setup::command(Folder::new(), &[word, &file.display().to_string()]);
    let with = |setup: Setup, key: &ConsumerKey| match &key.secret {
        Secret::Env(name) => setup.variable(name, &secret_of(name)),
        Secret::File(path) => panic!("{}: no example reads a file", path.display()),
    };
    keys.iter().fold(command, with).output()
}

fn settings(file: &Path) -> Settings {
    let loaded = coregate_config::load(file);
    loaded.settings.unwrap_or_else(|| panic!("{}", loaded.report.render(false)))
}

#[test]
fn nothing_is_wrong_with_them() {
    for file in examples() {
        let checked = command("check", &file);
        assert_eq!((checked.code, checked.messages.as_str()), (Some(0), ""), "{checked:?}");
        assert!(checked.output.contains("ok"), "{checked:?}");
    }
}

#[test]
fn their_tests_pass() {
    for file in examples() {
        let count = settings(&file).tests.len();
        assert_eq!(count == 0, file.ends_with(WITHOUT_TESTS), "{count} tests: {}", file.display());
        let tested = command("test", &file);
        assert_eq!((tested.code, tested.messages.as_str()), (Some(0), ""), "{tested:?}");
        assert_eq!(tested.output.matches("ok    ").count(), count, "{tested:?}");
    }
}

#[test]
fn they_do_what_their_tests_say() {
    let mut asked = 0;
    for file in examples() {
        let stage = Stage::set(&file, settings(&file));
        for at in 0..stage.settings.plan.listeners.len() {
            asked += ask_all(&stage, at, &file);
        }
    }
    assert!(asked >= 50, "{asked} requests");
}

/// Asks one listener whatever the file's tests ask; gives how many requests these were.
fn ask_all(stage: &Stage, listener: usize, file: &Path) -> usize {
    let plan = &stage.settings.plan.listeners[listener];
    let mut asked = 0;
    for address in stage.gateway.addresses_of(&plan.name) {
        let peer = (!address.starts_with("unix:")).then_some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let trusted = plan.proxy_protocol.as_ref().is_some_and(|peers| peers.trusts(peer));
        let preface = if trusted { v1(CLIENT, SERVER) } else { Vec::new() };
        if let Some(service) = &plan.tcp {
            // What its instance speaks is what clients hear, and here that is HTTP.
            let response = ask(address, &preface, "GET", "/", &[]);
            let expect = Expectation { services: vec![service.clone()], ..Expectation::default() };
            assert_eq!(missed(&expect, &response, &[]), [""; 0], "{}", file.display());
            asked += 1;
            continue;
        }
        for test in &stage.settings.tests {
            let response = ask(address, &preface, &test.method, &test.url, &test.headers);
            let missed = |expect: &Expectation| missed(expect, &response, &stage.without_instances);
            let place = format!("{}:{} on {address}: {}", test.file, test.line, test.request);
            assert_eq!(missed(&test.expect), [""; 0], "{place}\n{}", response.head.text());
            for wrong in doctored(&test.expect) {
                assert!(!missed(&wrong).is_empty(), "{place}: {wrong:?}");
            }
            asked += 1 + with_keys(stage, address, &preface, test);
        }
    }
    asked
}

/// Asks the same with the keys of all consumers, where the test says that one is asked for: each is known, and some are let in. Gives how
/// many requests these were.
fn with_keys(stage: &Stage, address: &str, preface: &[u8], test: &RouteTest) -> usize {
    let Some(Some(auth)) = &test.expect.auth else { return 0 };
    let declared = stage.settings.plan.auths.iter().find(|one| one.name == *auth);
    let AuthMethod::Key(key) = declared.cloned().unwrap_or_else(AuthPlan::key).method;
    let [KeyPlace::Header(header), ..] = &key.places[..] else { panic!("{auth}: no header first") };
    let mut let_in = 0;
    for ConsumerKey { secret, .. } in &stage.settings.keys {
        let Secret::Env(name) = secret else { panic!("{secret}: no example reads a file") };
        let headers = vec![(header.clone(), secret_of(name))];
        let response = ask(address, preface, &test.method, &test.url, &headers);
        assert!(matches!(response.status, 200 | 403), "{name}: {}", response.head.text());
        let_in += usize::from(response.status == 200);
    }
    assert!(let_in > 0, "{}: nobody is let in", test.request);
    stage.settings.keys.len()
}
