//! Descriptors: none is lost, and running out of them costs no CPU.

use std::time::{Duration, Instant};

use crate::harness::client::Peer;
use crate::harness::clock::{scale, until};
use crate::harness::gateway::Gateway;
use crate::harness::origin::{Origin, Reply};
use crate::harness::process::{cpu_ticks, descriptors, need, tool};

#[test]
fn no_descriptor_is_lost_over_many_connections() {
    let origin = Origin::serving(|request| match request.target.as_str() {
        "/close" => Reply::Close(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbye".to_vec()),
        _ => Reply::ok("fine"),
    });
    let gateway = Gateway::before(&[origin.address()]);
    let visit = |kind: usize| {
        let mut client = gateway.client();
        match kind % 5 {
            0 => assert_eq!(client.get("/").status, 200),
            1 => assert_eq!(client.get("/close").text(), "bye"),
            2 => assert_eq!(client.send("nonsense\r\n\r\n").response().status, 400),
            3 => {
                client.send("GET / HTTP/1.1\r\nHo").reset_on_close();
            }
            _ => {}
        }
    };
    let settled = || {
        gateway.stats_when("all are closed", |stats| stats.total("connections_open") == 0);
        descriptors(gateway.pid())
    };
    (0..20).for_each(visit);
    let before = settled();
    (0..scale(2_000, 20_000, 1_000_000)).for_each(visit);
    until("as many descriptors as before", || (settled() <= before).then_some(()));
}

/// A bare accept loop burns a core here. Ours pauses, says so in a counter, and goes on when it can.
#[test]
fn running_out_of_descriptors_costs_no_cpu() {
    need("prlimit", "util-linux");
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    let pid = gateway.pid();
    let mut first = gateway.client();
    assert_eq!(first.get("/").status, 200);
    let room = descriptors(pid) + 10;
    tool(&["prlimit", "--pid", &pid.to_string(), &format!("--nofile={room}:")]);
    // Hogs are busy: idle ones would be closed for the next.
    let mut hogs: Vec<Peer> = Vec::new();
    for _ in 0..40 {
        let mut hog = gateway.client();
        // One that is accepted before its first byte comes may be closed in between.
        let _ = hog.try_send("GET / HTTP/1.1\r\nHost: a\r\n");
        hogs.push(hog);
    }
    // An ask for the counters opens a file, so it is made only when there is room again.
    until("descriptors have run out", || (descriptors(pid) >= room).then_some(()));

    let (start, ticks) = (Instant::now(), cpu_ticks(pid));
    let window = Duration::from_secs(1);
    while start.elapsed() < window {
        std::thread::sleep(window.saturating_sub(start.elapsed()));
    }
    let used = cpu_ticks(pid) - ticks;
    println!("{used} ticks of CPU in {window:?} without descriptors");
    assert!(used <= 5, "{used} ticks of CPU in {window:?}");
    first.expect_closed();

    let hard = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let hard = hard.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let hard = hard.split_whitespace().nth(4).unwrap().to_owned();
    tool(&["prlimit", "--pid", &pid.to_string(), &format!("--nofile={hard}:")]);
    let answers = hogs.iter_mut().map(|hog| {
        hog.try_send("\r\n").ok()?;
        hog.try_response().ok().map(|response| response.status)
    });
    let served = answers.filter(|status| *status == Some(200)).count() as u64;
    gateway.stats_when("those who waited are served, but for those who were closed", |stats| {
        let shed = stats.total("connections_shed");
        stats.total("accept_emfile") >= 1 && shed >= 1 && served + shed >= 41
    });
}
