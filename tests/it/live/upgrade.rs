//! `coregate upgrade`: another process goes on where this one was, and nobody notices.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::process::Signal;
use serde_json::json;

use super::{Slow, is_the_last, stays, two_workers};
use crate::harness::client::{Peer, get};
use crate::harness::clock::{PATIENCE, scale, until};
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::Origin;
use crate::harness::tunnel::{agreeing, echo, says, switched};

/// Clients that retry nothing, and come again only after an answer that says that it is the last; how often they came.
fn under_load(gateway: &mut Gateway, change: impl FnOnce(&mut Gateway)) -> usize {
    let address = gateway.address().to_owned();
    let (stop, came, served) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = Peer::connect(&address);
                    while !stop.load(Ordering::SeqCst) {
                        let response = client.allow(PATIENCE).get("/");
                        assert_eq!(response.status, 200, "{}", response.text());
                        served.fetch_add(1, Ordering::SeqCst);
                        if response.closes() {
                            client.expect_end();
                            came.fetch_add(1, Ordering::SeqCst);
                            client = Peer::connect(&address);
                        }
                    }
                })
            })
            .collect();
        until("all are at it", || (served.load(Ordering::SeqCst) > 80).then_some(()));
        change(gateway);
        let now = served.load(Ordering::SeqCst);
        until("all go on", || (served.load(Ordering::SeqCst) > now + 80).then_some(()));
        stop.store(true, Ordering::SeqCst);
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
    came.into_inner()
}

#[test]
fn clients_notice_nothing() {
    let origin = Origin::named("o");
    let text = two_workers(&config("", "", &[origin.address()]));
    let mut gateway = Setup::run(&text).start();
    gateway.reload(&format!("{text}\"/more\" = \"s\"\n"));
    let first = gateway.pid();
    let rounds = scale(3, 10, 50);
    let came = under_load(&mut gateway, |gateway| {
        for round in 0..rounds {
            let before = gateway.pid();
            let report = gateway.upgrade();
            assert_eq!(report["cells_kept"], true, "{report:#}");
            assert_eq!(report["errors"].as_array().unwrap().len(), 0);
            assert_eq!(gateway.view("/v1/status")["pid"], gateway.pid());
            assert_ne!(gateway.pid(), before);
            assert_eq!(gateway.wait_for_predecessor(1), Some(0), "round {round}");
        }
    });
    assert!(came >= 8, "every client was told to come again: {came}");
    assert_ne!(gateway.pid(), first);
    // Its history goes on: the file says what ran, so nothing was applied.
    let history = gateway.view("/v1/config/history")["history"].clone();
    assert_eq!(history.as_array().unwrap().len(), 2, "{history:#}");
    assert_eq!((&history[0]["number"], &history[0]["origin"]), (&2.into(), &"reload".into()));
    // What was gone back to is not undone by an upgrade.
    gateway.done(&["rollback"]);
    let said = gateway.refused(&["upgrade"]);
    assert!(said.contains("was gone back to"), "{said}");
    gateway.done(&["reload"]);
    stays(&mut gateway.client(), "/more", "o GET /more");
    // It is a gateway like any other.
    gateway.reload(&text);
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait_for_last(), Some(0));
    assert!(!gateway.folder.path("admin.sock").exists());
}

#[test]
fn what_the_command_says() {
    let origin = Origin::named("o");
    let mut gateway = Gateway::before(&[origin.address()]);
    let generation = gateway.generation();
    let report = gateway.upgrade();
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert!(gateway.generation() > generation, "generations go on");
    gateway.says(&format!("process {} goes on after ", gateway.pid()));
    assert_eq!(gateway.wait().code(), Some(0));
    gateway.says("handed over: ");
}

#[test]
fn addresses_and_socket_files_survive() {
    let origin = Origin::named("o");
    let text = config("", "", &[origin.address()]);
    let folder = crate::harness::gateway::Folder::new();
    let socket = folder.path("g.sock");
    let unix = format!("unix:{}", socket.display());
    let text = text.replace("\"127.0.0.1:0\"", &format!("[\"127.0.0.1:0\", {unix:?}]"));
    let mut gateway = Setup::run(&text).start();
    let places = gateway.places("default");
    let inode = |path: &Path| std::fs::metadata(path).unwrap().ino();
    let admin = gateway.folder.path("admin.sock");
    let files = (inode(&socket), inode(&admin));
    for _ in 0..2 {
        gateway.upgrade();
        assert_eq!(gateway.wait_for_predecessor(1), Some(0));
        assert_eq!(gateway.places("default"), places);
        assert_eq!((inode(&socket), inode(&admin)), files);
        for place in &places {
            stays(&mut Peer::connect(place), "/", "o GET /");
        }
    }
    // What it has taken over it also gives away: a listener that goes takes its file along, as the end does.
    gateway.reload(&config("", "", &[origin.address()]));
    assert!(!socket.exists());
    gateway.reload(&text);
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait_for_last(), Some(0));
    assert!(!socket.exists() && !gateway.folder.path("admin.sock").exists());
}

#[test]
fn registered_and_drained_instances_survive() {
    let (file, one, other) = (Origin::named("file"), Origin::named("one"), Origin::named("other"));
    let mut gateway = Gateway::before(&[file.address()]);
    let change = |gateway: &Gateway, action: &str, address: &str| {
        let change = json!({ "action": action, "service": "s", "address": address });
        let body = json!({ "changes": [change] });
        assert_eq!(gateway.admin_with("POST", "/v1/registry/changes", &body).status, 200);
    };
    change(&gateway, "register", one.address());
    change(&gateway, "register", other.address());
    gateway.done(&["drain", "s", file.address(), "--deadline", "1h"]);
    gateway.done(&["drain", "s", other.address()]);
    for _ in 0..2 {
        gateway.upgrade();
        assert_eq!(gateway.wait_for_predecessor(1), Some(0));
        let mut client = gateway.client();
        (0..4).for_each(|_| stays(&mut client, "/", "one GET /"));
    }
    gateway.done(&["enable", "s", file.address()]);
    change(&gateway, "deregister", one.address());
    let mut client = gateway.client();
    (0..4).for_each(|_| stays(&mut client, "/", "file GET /"));
    gateway.done(&["enable", "s", other.address()]);
    let mut seen = [client.get("/").text(), client.get("/").text()];
    seen.sort();
    assert_eq!(seen, ["file GET /", "other GET /"]);
}

/// What is in flight ends in the process in which it began, which leaves when it is through.
#[test]
fn what_has_begun_ends_in_the_old_process() {
    let (slow, ws) = (Slow::named("o"), agreeing(echo));
    let text = config("", "", &[slow.address()]);
    let text = format!("{text}\"/ws\" = \"t\"\n[services.t]\ninstances = [{:?}]\n", ws.address());
    let mut gateway = Setup::run(&text).start();
    let (mut idle, mut busy) = (gateway.client(), gateway.client());
    stays(&mut idle, "/", "o /");
    busy.send(get("/slow"));
    slow.arrived();
    let mut tunnel = switched(gateway.client());
    says(&mut tunnel, "before");
    gateway.upgrade();
    // The old one may have accepted a connection before it heard that it is to stop; that one says so.
    until("the new process answers", || {
        let response = gateway.client().get("/");
        assert_eq!((response.status, response.text().as_str()), (200, "o /"));
        (!response.closes()).then_some(())
    });
    says(&mut tunnel, "after");
    // One that waits for a request has the time to send one.
    is_the_last(&mut idle, "/", "o /");
    // Two generations of processes are enough.
    let said = gateway.refused(&["upgrade"]);
    assert!(said.contains("still finishes"), "{said}");
    // The new one changes what it likes meanwhile.
    gateway.reload(&text.replace("\"/ws\"", "\"/wss\""));
    says(&mut tunnel, "and on");
    slow.answer();
    let response = busy.response();
    assert_eq!((response.status, response.closes()), (200, true));
    assert!(!gateway.has_ended(), "the tunnel is there still");
    tunnel.finish().expect_end();
    assert_eq!(gateway.wait().code(), Some(0));
    until("it can be replaced again", || {
        let ended = gateway.command(&["history"]);
        (ended.code == Some(0)).then_some(())
    });
    gateway.upgrade();
    stays(&mut gateway.client(), "/", "o /");
}

/// Keys that a reload refuses.
#[test]
fn what_needs_a_restart_is_taken_over() {
    let origin = Origin::named("o");
    let text = |workers: usize| {
        let workers = format!("cores = 1\nworkers = {workers}");
        config("", "", &[origin.address()]).replace("cores = 1", &workers)
    };
    let mut gateway = Setup::run(&text(1)).start();
    for workers in [2, 1, 3, 2] {
        gateway.write(&text(workers));
        assert!(gateway.refused(&["reload"]).contains("runtime.workers"));
        under_load(&mut gateway, |gateway| {
            gateway.upgrade();
            assert_eq!(gateway.wait_for_predecessor(1), Some(0));
        });
        assert_eq!(gateway.view("/v1/status")["workers"], workers);
        // Every socket is served: wherever the kernel puts one.
        for _ in 0..32 {
            stays(&mut gateway.client(), "/", "o GET /");
        }
    }
}

/// A new file in the place of the binary.
#[test]
fn another_file_of_the_same_name() {
    let origin = Origin::named("o");
    let setup = Setup::run(&config("", "", &[origin.address()])).readable_copy();
    let mut gateway = setup.start();
    let path = gateway.folder.path("coregate");
    let beside = gateway.folder.path("coregate.new");
    std::fs::copy(&path, &beside).unwrap();
    std::fs::rename(&beside, &path).unwrap();
    let inode = std::fs::metadata(&path).unwrap().ino();
    let report = gateway.upgrade();
    assert_eq!(report["binary"].as_str().unwrap(), path.to_str().unwrap());
    let running = std::fs::metadata(format!("/proc/{}/exe", gateway.pid())).unwrap();
    assert_eq!(running.ino(), inode, "the new one runs");
    assert_eq!(gateway.wait().code(), Some(0));
    stays(&mut gateway.client(), "/", "o GET /");
}
