//! The drivers: io_uring with the best flags there are, rung by rung down to epoll, each forced.
//!
//! strace refuses the system call (`-D` keeps the pid that of the gateway); it counts calls per thread, and the one worker
//! here makes its ring on its own thread.

use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::Origin;
use crate::harness::process::{is_root, need};

/// Starts one worker whose calls of `io_uring_setup` fail as `injected` says, and sees that it serves.
fn refused(injected: &str) -> Gateway {
    need("strace", "strace");
    let origin = Origin::echo();
    let inject = format!("inject=io_uring_setup:{injected}");
    let gateway = Setup::run(&config("", "", &[origin.address()]))
        .io("auto")
        .under(&["strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null"])
        .under(&["-e", "trace=io_uring_setup", "-e", &inject])
        .start();
    serves(&gateway);
    gateway
}

fn serves(gateway: &Gateway) {
    let mut client = gateway.client();
    for _ in 0..3 {
        let body = "x".repeat(100_000);
        let request = crate::harness::client::post("/", &body);
        assert_eq!(client.send(request).response().text(), body);
    }
}

#[track_caller]
fn says(gateway: &Gateway, parts: &[&str]) {
    let messages = gateway.messages();
    let found = messages.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(found, "no line has {parts:?}:\n{messages}");
}

#[test]
fn the_first_rung() {
    let origin = Origin::echo();
    let gateway = Setup::run(&config("", "", &[origin.address()])).io("uring").start();
    serves(&gateway);
    assert_eq!(gateway.driver(), "uring (defer-taskrun, single-issuer)");
}

#[test]
fn without_deferred_task_run() {
    let gateway = refused("error=EINVAL:when=1");
    assert_eq!(gateway.driver(), "uring (coop-taskrun, single-issuer)");
    says(&gateway, &["uring (defer-taskrun", "os error 22", "trying", "coop-taskrun"]);
}

#[test]
fn without_any_task_run_flag() {
    let gateway = refused("error=EINVAL:when=1..2");
    assert!(gateway.driver().starts_with("uring"), "{}", gateway.driver());
    assert!(!gateway.driver().contains("taskrun"), "{}", gateway.driver());
    says(&gateway, &["uring (coop-taskrun", "os error 22", "trying"]);
}

#[test]
fn without_memory_for_large_rings() {
    let gateway = refused("error=ENOMEM:when=1");
    assert!(gateway.driver().starts_with("uring"), "{}", gateway.driver());
    says(&gateway, &["os error 12", "trying"]);
}

#[test]
fn without_io_uring() {
    for (error, number) in [("EPERM", 1), ("ENOSYS", 38), ("EACCES", 13), ("ENOMEM", 12)] {
        let gateway = refused(&format!("error={error}"));
        assert!(gateway.driver().starts_with("epoll"), "{error}: {}", gateway.driver());
        says(&gateway, &[&format!("os error {number}"), "epoll"]);
    }
}

#[test]
fn asked_for_and_refused() {
    need("strace", "strace");
    let ended = Setup::run(&config("", "", &["127.0.0.1:1"]))
        .io("uring")
        .under(&["strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null"])
        .under(&["-e", "trace=io_uring_setup", "-e", "inject=io_uring_setup:error=EPERM"])
        .output();
    assert_eq!(ended.code, Some(1), "`--io uring` is no wish: {ended:?}");
    assert!(ended.messages.contains("uring") && ended.messages.contains("os error 1"), "{ended:?}");
}

#[test]
fn epoll_when_asked_for() {
    let origin = Origin::echo();
    let gateway = Setup::run(&config("", "", &[origin.address()])).io("epoll").start();
    serves(&gateway);
    assert_eq!(gateway.driver(), "epoll");
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", gateway.pid())).unwrap();
    let rings = descriptors.filter_map(Result::ok).filter_map(|fd| fd.path().read_link().ok());
    assert!(rings.into_iter().all(|link| !link.to_string_lossy().contains("io_uring")));
}

/// Rings are charged to locked memory on some kernels, unless the process may lock as it likes.
#[test]
fn without_locked_memory() {
    need("prlimit", "util-linux");
    need("setpriv", "util-linux");
    let origin = Origin::echo();
    let setup = Setup::run(&config("", "", &[origin.address()])).io("auto").readable_copy();
    let setup = setup.under(&["prlimit", "--memlock=0:0"]);
    let setup = if is_root() {
        let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        setup.under(&nobody).under(&["--inh-caps=-all", "--bounding-set=-all"])
    } else {
        setup
    };
    let gateway = setup.start();
    serves(&gateway);
    println!("without locked memory: {}", gateway.driver());
}
