//! A configuration of several files: watched, reloaded, compared and gone back to as one.

use super::stays;
use crate::harness::clock::until;
use crate::harness::gateway::{Folder, Gateway, Setup, config};
use crate::harness::origin::Origin;

/// The main file: the service, and no route but those of others.
fn main_file(origin: &Origin) -> String {
    let text = config("", "", &[origin.address()]);
    let (rest, _) = text.split_once("[routes]").unwrap();
    format!("include = ['teams/*.toml']\n{rest}")
}

/// A file with one route.
fn team(folder: &Folder, name: &str, path: &str) {
    std::fs::create_dir_all(folder.path("teams")).unwrap();
    // As editors do: a reader sees the one or the other.
    let beside = folder.write("beside", &format!("[routes]\n'{path}' = 's'\n"));
    std::fs::rename(beside, folder.path(&format!("teams/{name}.toml"))).unwrap();
}

#[track_caller]
fn check_routes(gateway: &Gateway, has: &[&str], has_not: &[&str]) {
    let mut client = gateway.client();
    has.iter().for_each(|path| stays(&mut client, path, &format!("o GET {path}")));
    has_not.iter().for_each(|path| assert_eq!(client.get(path).status, 404, "{path}"));
}

#[test]
fn rollback_brings_back_what_every_file_said() {
    let origin = Origin::named("o");
    let setup = Setup::run(&main_file(&origin));
    team(setup.folder(), "a", "/one");
    let gateway = setup.start();
    check_routes(&gateway, &["/one"], &["/two"]);
    let same = gateway.done(&["reload"]);
    assert!(same.contains("nothing changed"), "{same}");
    team(&gateway.folder, "a", "/two");
    team(&gateway.folder, "b", "/three");
    gateway.done(&["reload"]);
    check_routes(&gateway, &["/two", "/three"], &["/one"]);
    let diff = gateway.done(&["diff"]);
    for line in ["-'/one' = 's'", "+'/two' = 's'", "+# ==== \"teams/b.toml\"", "+'/three' = 's'"] {
        assert!(diff.contains(line), "{line} is not in\n{diff}");
    }
    gateway.done(&["rollback"]);
    check_routes(&gateway, &["/one"], &["/two", "/three"]);
    // The files say what they said before.
    gateway.done(&["reload"]);
    check_routes(&gateway, &["/two", "/three"], &["/one"]);
    // What stands in two files is refused, and both are named.
    team(&gateway.folder, "c", "/three");
    let refused = gateway.refused(&["reload"]);
    assert!(refused.contains("teams/b.toml") && refused.contains("teams/c.toml"), "{refused}");
    check_routes(&gateway, &["/two", "/three"], &["/one"]);
}

#[test]
fn included_files_are_watched() {
    let origin = Origin::named("o");
    let setup = Setup::run(&main_file(&origin)).with(&["--watch"]);
    team(setup.folder(), "a", "/one");
    let gateway = setup.start();
    let told = gateway.told();
    team(&gateway.folder, "a", "/two");
    gateway.says_after(told, "reloaded: generation ");
    check_routes(&gateway, &["/two"], &["/one"]);
    // One more that the pattern takes, and one less.
    let told = gateway.told();
    team(&gateway.folder, "b", "/three");
    gateway.says_after(told, "reloaded: generation ");
    check_routes(&gateway, &["/two", "/three"], &[]);
    std::fs::remove_file(gateway.folder.path("teams/b.toml")).unwrap();
    until("it is gone", || (gateway.client().get("/three").status == 404).then_some(()));
}
