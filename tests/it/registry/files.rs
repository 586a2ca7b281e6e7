//! Instances by file, in the form of Prometheus' `file_sd`, while the gateway runs.

use std::path::Path;

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

#[track_caller]
fn serves(gateway: &Gateway, name: &str) {
    let mut client = gateway.client();
    until(&format!("{name} alone serves"), || {
        let seen: Vec<_> = (0..8)
            .map(|_| {
                let answer = client.get("/");
                if answer.status == 200 { answer.text() } else { answer.status.to_string() }
            })
            .collect();
        seen.iter().all(|text| text.starts_with(name)).then_some(())
    });
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
    serves(&gateway, "two");
    // Broken, then missing: what was stays, and it is said where it is broken.
    write(&path, "[{\"targets\":\n [1]}]");
    let said = gateway.says("line 2");
    assert!(said.contains("its instance is kept"), "{said}");
    serves(&gateway, "two");
    std::fs::remove_file(&path).unwrap();
    serves(&gateway, "two");
    write(&path, "[]");
    gateway.says("answers again");
    serves(&gateway, "503");
    write(&path, &targets(&[one.address(), one.address()]));
    serves(&gateway, "one");
}
