//! `coregate demo`: its story, told in a moment, and that none of its toys outlives it.

use rustix::process::Signal;

use crate::harness::clock::until;
use crate::harness::gateway::{Folder, Gateway, Setup};

/// A demo whose story is over.
fn told() -> Gateway {
    let folder = Folder::new();
    let admin = format!("unix:{}", folder.path("admin.sock").display());
    let words = ["demo", "--listen", "127.0.0.1:0", "--scene", "100ms", "--admin", &admin];
    let gateway = Setup::command(folder, &words).start();
    until("the end of the story", || {
        let messages = gateway.messages();
        assert!(!messages.contains("coregate: demo: "), "{messages}");
        gateway.output().contains("that was the story").then_some(())
    });
    gateway
}

/// The toys' processes: `users-1 (pid 7) has registered`.
fn toys(output: &str) -> Vec<u32> {
    let pids = output.lines().filter(|line| line.contains("has registered"));
    let pid = |line: &str| line.split_once("(pid ")?.1.split_once(')')?.0.parse().ok();
    pids.map(|line| pid(line).expect("a pid")).collect()
}

fn all_gone(pids: &[u32]) {
    let is_gone = |pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        // Whoever adopted it may take its time to reap it.
        status.is_empty() || status.contains("\nState:\tZ")
    };
    until("no toy is left", || pids.iter().all(is_gone).then_some(()));
}

#[test]
fn an_instance_is_killed_and_comes_back() {
    let mut gateway = told();
    let output = gateway.output();
    let mut rest = output.as_str();
    for expected in [
        "register = true",
        "users-2 (pid ",
        "-> serving",
        "curl ",
        "kill -9 ",
        "users-2 is given no requests any more",
        "-> not serving",
        "users-2 is started again",
        "users-2 (pid ",
        "has registered",
        "users-2 ",
        "failed 0",
    ] {
        let at = rest.find(expected).unwrap_or_else(|| panic!("no {expected} in: {output}"));
        rest = &rest[at + expected.len()..];
    }
    let toys = toys(&output);
    assert_eq!(toys.len(), 5, "four, and the one that came back: {output}");
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait().code(), Some(0));
    all_gone(&toys);
}

#[test]
fn a_demo_that_is_killed_leaves_nobody_behind() {
    let mut gateway = told();
    let toys = toys(&gateway.output());
    gateway.signal(Signal::KILL);
    gateway.wait();
    all_gone(&toys);
}
