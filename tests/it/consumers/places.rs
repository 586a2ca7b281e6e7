//! Keys that lie in the environment or in files: read at the start and at each reload, as tokens are.

use super::{call, config, consumer};
use crate::harness::gateway::{Folder, Setup};
use crate::harness::origin::Origin;
use crate::harness::run::run;

const KEY: &str = "a-key-of-the-environment";
const OTHER: &str = "a-key-that-lies-in-a-file";

#[test]
fn they_are_read_at_the_start_and_at_each_reload() {
    let origin = Origin::named("o");
    let folder = Folder::new();
    let path = folder.write("key", OTHER);
    let place = path.display();
    let tables = format!(
        "[consumers.mobile]\nkeys = [{{ env = \"MOBILE_KEY\" }}, {{ file = \"{place}\" }}]"
    );
    let text = config(&tables, "", origin.address());
    let gateway = Setup::run(&text).variable("MOBILE_KEY", KEY).start();
    assert_eq!([KEY, OTHER, "none"].map(|key| call(&gateway, key)), [200, 200, 401]);
    assert_eq!(consumer(&gateway, "mobile")["keys"].as_array().unwrap().len(), 2);
    // What lies there has changed, and the file that names it has not.
    folder.write("key", "another-key-in-the-file\n");
    gateway.done(&["reload"]);
    assert_eq!(
        [KEY, OTHER, "another-key-in-the-file"].map(|key| call(&gateway, key)),
        [200, 401, 200]
    );
    // What cannot be had is refused, and all is as it was.
    std::fs::remove_file(&path).unwrap();
    let said = gateway.refused(&["reload"]);
    assert!(said.contains("consumers.mobile.keys") && said.contains(&place.to_string()), "{said}");
    assert_eq!(call(&gateway, "another-key-in-the-file"), 200);
    // One key for two, which nobody sees before it is read.
    folder.write("key", OTHER);
    let same = folder.write("same", KEY);
    let same = same.display();
    let two = format!("{tables}\n[consumers.web]\nkeys = [{{ file = \"{same}\" }}]");
    gateway.write(&config(&two, "", origin.address()));
    let said = gateway.refused(&["reload"]);
    assert!(said.contains("\"mobile\"") && said.contains("\"web\""), "{said}");
    assert!(!said.contains(KEY), "{said}");
}

#[test]
fn without_them_nothing_starts() {
    let text =
        config("[consumers.mobile]\nkeys = [{ env = \"NOBODY_SETS_THIS\" }]", "", "127.0.0.1:1");
    let ended = Setup::run(&text).output();
    assert_eq!(ended.code, Some(78), "{ended:?}");
    let why = "consumers.mobile.keys: environment variable NOBODY_SETS_THIS: it is not set";
    assert!(ended.messages.contains(why), "{ended:?}");
    // Where it is checked it need not be.
    let folder = Folder::new();
    let file = folder.write("coregate.toml", &text).display().to_string();
    let binary = crate::harness::gateway::binary().display().to_string();
    let checked = run(&[&binary, "check", &file], &[]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.messages.contains(&format!("missing here: {why}")), "{checked:?}");
    let checked =
        run(&[&binary, "check", &file], &[("NOBODY_SETS_THIS".into(), "0123456789abcdef".into())]);
    assert_eq!((checked.code, checked.messages.as_str()), (Some(0), ""), "{checked:?}");
}
