//! Pausing, resuming and ending.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::{SOON, Stage};
use crate::io::admin::report::{Answer, ReloadReport};

const RELOAD: &[u8] = b"POST /v1/config/reload HTTP/1.1\r\nHost: x\r\n\r\n";
const LIVE: &[u8] = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";

fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

/// Reads an answer with a status of 200 off a connection that stays open; both sizes fit one read here.
fn read_ok(stream: &mut UnixStream) {
    let mut buffer = [0; 4096];
    let count = stream.read(&mut buffer).expect("an answer");
    assert!(buffer[..count].starts_with(b"HTTP/1.1 200"));
}

#[test]
fn an_end_waits_for_what_is_in_flight() {
    let mut stage = Stage::new();
    let mut stream = stage.unix();
    stream.write_all(RELOAD).expect("sent");
    wait_until(|| !stage.process.waiting.lock().expect("waiting").is_empty());
    let mut idle = stage.unix();
    idle.write_all(LIVE).expect("sent");
    read_ok(&mut idle);

    let admin = stage.admin.take().expect("an admin listener");
    let ending = thread::spawn(move || admin.end(SOON));
    // The idle connection is closed first.
    assert_eq!(idle.read(&mut [0; 1]).ok(), Some(0));
    let asker = stage.process.waiting.lock().expect("waiting").pop().expect("an asker");
    assert!(!asker.is_gone());
    let report = ReloadReport { applied: true, ..ReloadReport::default() };
    asker.answer(Answer::Reload(report));
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("connection: close"), "{text}");
    assert!(ending.join().expect("the end"));
}

#[test]
fn an_end_cuts_what_takes_too_long() {
    let mut stage = Stage::new();
    let mut stream = stage.unix();
    stream.write_all(RELOAD).expect("sent");
    wait_until(|| !stage.process.waiting.lock().expect("waiting").is_empty());
    assert!(!stage.admin.take().expect("an admin listener").end(Duration::from_millis(10)));
    assert_eq!(stream.read(&mut [0; 1]).ok(), Some(0));
    assert!(stage.process.waiting.lock().expect("waiting").iter().all(super::Asker::is_gone));
}

#[test]
fn a_pause_leaves_the_sockets_to_others() {
    let stage = Stage::new();
    let admin = stage.admin.as_ref().expect("an admin listener");
    let mut idle = stage.unix();
    idle.write_all(LIVE).expect("sent");
    read_ok(&mut idle);
    admin.pause();
    // Once idle connections are closed, nothing is accepted any more.
    assert_eq!(idle.read(&mut [0; 1]).ok(), Some(0));
    let (unix, tcp) = &stage.copies;
    unix.set_nonblocking(false).expect("blocking");
    tcp.set_nonblocking(false).expect("blocking");
    let (path, address) = (stage.path.clone(), stage.tcp);
    let client = thread::spawn(move || {
        (UnixStream::connect(path).expect("unix"), TcpStream::connect(address).expect("tcp"))
    });
    // Another process takes them.
    let (mut theirs, _) = unix.accept().expect("a connection");
    tcp.accept().expect("a connection");
    let (mut ours, _tcp) = client.join().expect("connections");
    theirs.write_all(b"taken").expect("sent");
    let mut five = [0; 5];
    ours.read_exact(&mut five).expect("read");

    unix.set_nonblocking(true).expect("not blocking");
    tcp.set_nonblocking(true).expect("not blocking");
    // What comes meanwhile waits in the kernel.
    let mut waits = stage.unix();
    waits.write_all(LIVE).expect("sent");
    admin.resume();
    read_ok(&mut waits);
}

#[test]
fn sockets_outlive_the_listener_for_those_who_hold_copies() {
    let mut stage = Stage::new();
    assert_eq!(stage.ask("GET /livez").status, 200);
    assert!(stage.admin.take().expect("an admin listener").end(SOON));
    // Not shut down, and its path is still there.
    let _waits = UnixStream::connect(&stage.path).expect("a connection");
    let (unix, _) = &stage.copies;
    unix.set_nonblocking(false).expect("blocking");
    unix.accept().expect("a connection");
}

#[test]
fn dropped_it_lets_go_of_everything() {
    let mut stage = Stage::new();
    let mut stream = stage.unix();
    stream.write_all(RELOAD).expect("sent");
    wait_until(|| !stage.process.waiting.lock().expect("waiting").is_empty());
    drop(stage.admin.take());
    assert_eq!(stream.read(&mut [0; 1]).ok(), Some(0));
    wait_until(|| Arc::strong_count(&stage.process) == 1);
}
