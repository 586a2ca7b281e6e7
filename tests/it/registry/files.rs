//! Instances by file, in the form of Prometheus' `file_sd`, while the gateway runs.

use std::path::Path;

use super::served_by;
use crate::harness::clock::until;
use crate::harness::gateway::{Folder, Gateway, Setup, config};
use crate::harness::origin::Origin;

/// Writes a file beside and renames it.
fn write(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, path).unwrap();
}

fn targets(addresses: &[&str]) -> String {
    format!("[{{\"targets\": {addresses:?}, \"labels\": {{\"weight\": \"2\", \"env\": \"x\"}}}}]")
}

/// How often the only source was looked at in vain.
#[track_caller]
fn failures(gateway: &Gateway) -> u64 {
    let metrics = gateway.admin("GET", "/metrics").text();
    let line = metrics.lines().find(|line| line.starts_with("coregate_source_failures_total{"));
    let value = line.and_then(|line| line.rsplit_once(' ')).unwrap_or_else(|| panic!("{metrics}"));
    value.1.parse().unwrap()
}

#[test]
fn a_file_is_followed_while_the_gateway_runs() {
    let (one, two) = (Origin::named("one"), Origin::named("two"));
    let folder = Folder::new();
    let path = folder.write("users.json", &targets(&[one.address()]));
    let instances = format!("instances = \"file_sd:{}\"", path.display());
    let text = config("", "", &[]).replace("instances = []", &instances);
    let gateway = Setup::run(&text).start();
    assert_eq!(gateway.client().get("/").text(), "one GET /", "from the first request on");
    write(&path, &targets(&[two.address()]));
    served_by(&gateway, &["two"]);
    // Broken, then missing: what was stays, and it is said where it is broken.
    write(&path, "[{\"targets\":\n [1]}]");
    let said = gateway.says("line 2");
    assert!(said.contains("its instance is kept"), "{said}");
    served_by(&gateway, &["two"]);
    let before = failures(&gateway);
    std::fs::remove_file(&path).unwrap();
    until("it was looked for", || (failures(&gateway) > before + 1).then_some(()));
    served_by(&gateway, &["two"]);
    write(&path, "[]");
    gateway.says("answers again");
    served_by(&gateway, &["503"]);
    write(&path, &targets(&[one.address(), one.address()]));
    served_by(&gateway, &["one"]);
}
