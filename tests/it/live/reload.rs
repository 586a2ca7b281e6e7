//! `coregate reload`: what it takes, what it refuses, and what it says either way.

use std::os::unix::fs::PermissionsExt;

use super::{stays, two_services};
use crate::harness::admin::json;
use crate::harness::gateway::{Folder, Gateway, Setup, config};
use crate::harness::origin::{Origin, refusing};
use crate::harness::process::is_root;

#[test]
fn routes_services_instances_and_terms_change() {
    let (one, other) = (Origin::named("one"), Origin::named("other"));
    let gateway = Setup::run(&two_services(one.address(), other.address())).start();
    let mut client = gateway.client();
    stays(&mut client, "/", "one GET /");
    stays(&mut client, "/b/x", "other GET /b/x");

    let third = Origin::named("third");
    let (was, is) = (other.address(), third.address());
    let text = two_services(one.address(), is)
        .replace("\"/b/*\" = \"b\"", "\"/c/*\" = \"b\"")
        .replace("[services.b]", "[services.b]\ntimeout = { first_byte = \"7s\" }")
        .replace("expose_reasons = true", "expose_reasons = true\nlimits = { requests = 500 }");
    let mut lines = gateway.reload(&text);
    lines.sort();
    let expected = [
        "+ route /c/* -> b".to_owned(),
        "- route /b/*".to_owned(),
        "~ listener default: limits.requests 10000 -> 500".to_owned(),
        format!("~ service b: + {is}, - {was}; timeout.first_byte 1m -> 7s"),
    ];
    assert_eq!(lines, expected);
    stays(&mut client, "/c/x", "third GET /c/x");
    stays(&mut client, "/b/x", "one GET /b/x");

    // A service that goes, with its route; and one that comes in the same breath.
    let text = config("", "", &[one.address()]).replace("\"s\"", "\"a\"").replace(".s]", ".a]");
    let text = format!("{text}\"/d\" = \"d\"\n[services.d]\ninstances = [{was:?}]\n");
    let mut lines = gateway.reload(&text);
    lines.sort();
    assert_eq!(lines[0], "+ route /d -> d");
    assert_eq!(lines[1], format!("+ service d with {was}"));
    assert_eq!(lines[2..4], ["- route /c/*", "- service b"]);
    stays(&mut client, "/d", "other GET /d");
    stays(&mut client, "/c/x", "one GET /c/x");
    assert_eq!(gateway.stats().total("connections_accepted"), 1);
}

#[test]
fn a_broken_file_changes_nothing() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    stays(&mut client, "/", "o GET /");
    let generation = gateway.generation();

    let broken = config("", "", &[origin.address()])
        .replace("\"/*\" = \"s\"", "\"/*\" = \"t\"")
        .replace("expose_reasons", "expose_raisins");
    gateway.write(&broken);
    let said = gateway.refused(&["reload"]);
    // Both faults, where they stand, the lines themselves, and what to write.
    let place = gateway.folder.path("coregate.toml").display().to_string();
    for word in [
        "there is no service",
        "\"/*\" = \"t\"",
        "expose_raisins",
        "expose_reasons",
        "still runs",
        &place,
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(said.contains(":5:"), "the line: {said}");
    stays(&mut client, "/", "o GET /");
    stays(&mut gateway.client(), "/", "o GET /");
    let config = gateway.view("/v1/config");
    assert_eq!(config["generation"], generation);
    assert_eq!(config["last"]["applied"], false);
    assert_eq!(config["last"]["origin"], "reload");
    assert!(config["last"]["errors"][0].as_str().unwrap().contains("expose_raisins"), "{config:#}");
    let status = gateway.done(&["status"]);
    assert!(status.contains("the last reload was refused"), "{status}");
    assert_eq!(gateway.view("/v1/status")["reloads"]["refused"], 1);

    // Not even TOML; then gone; then a folder; then right again.
    gateway.write("[routes\n");
    assert!(gateway.refused(&["reload"]).contains("[routes"));
    let path = gateway.folder.path("coregate.toml");
    std::fs::remove_file(&path).unwrap();
    assert!(gateway.refused(&["reload"]).contains(&place));
    std::fs::create_dir(&path).unwrap();
    assert!(gateway.refused(&["reload"]).contains(&place));
    std::fs::remove_dir(&path).unwrap();
    gateway.write("\u{feff}\0\u{1b}[2Jnonsense");
    assert!(!gateway.refused(&["reload"]).contains('\u{1b}'), "a terminal is not told what to do");
    stays(&mut client, "/", "o GET /");
    gateway.reload(&config_of(&origin));
    stays(&mut client, "/", "o GET /");
    assert_eq!(gateway.view("/v1/status")["reloads"]["refused"], 5);
    assert_eq!(gateway.view("/v1/config")["last"]["applied"], true);
}

fn config_of(origin: &Origin) -> String {
    config("", "", &[origin.address()])
}

#[test]
fn an_unreadable_file() {
    if is_root() {
        // Root reads everything; what a missing one does is above.
        return;
    }
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    let path = gateway.folder.path("coregate.toml");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o0)).unwrap();
    assert!(gateway.refused(&["reload"]).contains("ermission"));
    assert_eq!(gateway.client().get("/").status, 200);
}

#[test]
fn what_needs_a_restart_is_refused_whole_by_its_name() {
    let origin = Origin::named("o");
    let text = config_of(&origin);
    let gateway = Setup::run(&text).start();
    let changed = format!("{text}\"/new\" = \"s\"\n");
    for (key, old, new) in [
        ("runtime.workers", "cores = 1", "cores = 1\nworkers = 2"),
        ("runtime.cores", "cores = 1", "cores = \"0-0\""),
        ("runtime.io", "cores = 1", "cores = 1\nio = \"epoll\""),
        ("runtime.connections", "cores = 1", "cores = 1\nconnections = 77"),
        ("runtime.admin", "cores = 1", "cores = 1\nadmin = [\"127.0.0.1:1\"]"),
        ("runtime.admin_token", "cores = 1", "cores = 1\nadmin_token = { env = \"SOME\" }"),
    ] {
        gateway.write(&changed.replace(old, new));
        let said = gateway.refused(&["reload"]);
        assert!(said.contains(&format!("{key}: a change needs a restart")), "{said}");
        assert!(said.contains("coregate upgrade"), "it says what helps: {said}");
        let history = gateway.view("/v1/config/history");
        assert_eq!(history["history"].as_array().unwrap().len(), 1, "{history:#}");
    }
    // Both at once, and both are named.
    gateway.write(&changed.replace("cores = 1", "cores = \"0-0\"\nworkers = 2"));
    let said = gateway.refused(&["reload"]);
    assert!(said.contains("runtime.cores, runtime.workers"), "{said}");
    // What does not need one.
    let lines = gateway
        .reload(&text.replace("cores = 1", "cores = 1\ndrain = \"3s\"\ndrain_delay = \"1s\""));
    assert_eq!(lines, ["~ runtime: drain 30s -> 3s; drain_delay 5s -> 1s"]);
}

#[test]
fn what_says_the_same_changes_nothing() {
    let origin = Origin::named("o");
    let text = config_of(&origin);
    let gateway = Setup::run(&text).start();
    let mut client = gateway.client();
    stays(&mut client, "/", "o GET /");
    gateway.write(&text);
    let output = gateway.done(&["reload"]);
    assert!(output.starts_with("nothing changed; generation "), "{output}");
    let history = |gateway: &Gateway| gateway.view("/v1/config/history")["history"].clone();
    assert_eq!(history(&gateway).as_array().unwrap().len(), 1);
    // Another text that means the same is another entry, so that what stands there can be gone back to.
    gateway.write(&format!("# said anew\n{text}"));
    let output = gateway.done(&["reload"]);
    assert!(output.starts_with("nothing changed; generation "), "{output}");
    assert_eq!(history(&gateway).as_array().unwrap().len(), 2);
    stays(&mut client, "/", "o GET /");
    assert_eq!(origin.connections(), 1, "the instance's connection was kept");
}

#[test]
fn as_json() {
    let origin = Origin::named("o");
    let text = config_of(&origin);
    let gateway = Setup::run(&text).start();
    gateway.write(&format!("{text}\"/new\" = \"s\"\n"));
    let report = gateway.command_json(&["reload"], 0);
    assert_eq!(report["applied"], true, "{report:#}");
    assert_eq!(report["number"], 2);
    assert_eq!(report["lines"][0], "+ route /new -> s");
    assert_eq!(report["changes"]["routes"]["added"][0]["name"], "/new");
    assert_eq!(report["errors"].as_array().unwrap().len(), 0);
    assert_eq!(report["generation"], gateway.generation());
    gateway.write("nonsense = 1\n");
    let report = gateway.command_json(&["reload"], 1);
    assert_eq!(report["applied"], false, "{report:#}");
    assert!(report["errors"][0].as_str().unwrap().contains("nonsense"));
    assert_eq!(report["status"], 409);
    assert_eq!(json(&gateway.admin("POST", "/v1/config/reload"))["applied"], false);
    // Every worker has the generation that a reload answers with.
    gateway.write(&text);
    let report = gateway.command_json(&["reload"], 0);
    let config = gateway.command_json(&["status"], 0);
    assert_eq!(config["generation"], report["generation"]);
    for worker in gateway.view("/v1/config")["workers"].as_array().unwrap() {
        assert_eq!(worker["generation"], report["generation"]);
    }
}

#[test]
fn nobody_there() {
    let folder = Folder::new();
    let socket = format!("unix:{}", folder.path("none.sock").display());
    let refusing = refusing();
    for admin in [socket.as_str(), &refusing] {
        for words in [
            &["reload"][..],
            &["status"],
            &["confirm"],
            &["rollback"],
            &["history"],
            &["diff"],
            &["upgrade"],
            &["drain", "s", "127.0.0.1:1"],
            &["enable", "s", "127.0.0.1:1"],
        ] {
            let words = [words, &["--admin", admin]].concat();
            let ended = Setup::command(Folder::new(), &words).output();
            assert_eq!(ended.code, Some(69), "{words:?}: {ended:?}");
            assert!(ended.messages.contains(admin), "{ended:?}");
            assert_eq!(ended.output, "");
        }
    }
    let by_variable =
        Setup::command(Folder::new(), &["status"]).variable("COREGATE_ADMIN", &socket).output();
    assert_eq!(by_variable.code, Some(69));
    assert!(by_variable.messages.contains(&socket), "{by_variable:?}");
}

#[test]
fn a_process_without_a_file_has_nothing_to_reload() {
    let origin = Origin::named("o");
    let folder = Folder::new();
    let admin = format!("unix:{}", folder.path("admin.sock").display());
    let to = ["proxy", "--listen", "127.0.0.1:0", "--to", origin.address(), "--admin", &admin];
    let gateway = Setup::command(folder, &to).with(&["--cores", "1"]).start();
    let said = gateway.refused(&["reload"]);
    assert!(said.contains("without a file"), "{said}");
    assert_eq!(gateway.client().get("/").status, 200);
    let status = gateway.done(&["status"]);
    assert!(status.contains("no file"), "{status}");
}
