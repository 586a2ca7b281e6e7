//! Descriptors: none is lost, and running out of them costs no CPU.

use std::time::{Duration, Instant};

use crate::harness::client::{Peer, get};
use crate::harness::clock::{scale, until};
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::{Origin, Reply};
use crate::harness::process::{cpu_ticks, descriptors, need, tool};
use crate::harness::socket::Socket;

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

    let used = ticks_in(pid, Duration::from_secs(1));
    assert!(used <= 5, "{used} ticks of CPU in a second");
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

/// CPU that a process uses in this time, in ticks of 10 ms.
fn ticks_in(pid: u32, window: Duration) -> u64 {
    let (start, ticks) = (Instant::now(), cpu_ticks(pid));
    while start.elapsed() < window {
        std::thread::sleep(window.saturating_sub(start.elapsed()));
    }
    let used = cpu_ticks(pid) - ticks;
    println!("{used} ticks of CPU in {window:?} without descriptors");
    used
}

/// More clients than there are descriptors, be it known from the start or not: no CPU goes into what cannot be, and who comes
/// once they have left is served at once.
#[test]
fn a_hundred_hogs_and_sixty_descriptors() {
    need("prlimit", "util-linux");
    let origin = Origin::named("o");
    for known in [true, false] {
        let setup = Setup::run(&config("", "", &[origin.address()]));
        let gateway = match known {
            true => setup.under(&["prlimit", "--nofile=60"]).start(),
            false => setup.start(),
        };
        let pid = gateway.pid();
        if !known {
            tool(&["prlimit", "--pid", &pid.to_string(), "--nofile=60:"]);
        }
        // Those that are told to go away hold on to their end all the same.
        let mut hogs: Vec<Peer> = Vec::new();
        for _ in 0..100 {
            let mut hog = gateway.client();
            // Busy: idle ones would be closed for the next.
            let _ = hog.try_send("GET / HTTP/1.1\r\nHost: a\r\n");
            hogs.push(hog);
        }
        if !known {
            until("descriptors have run out", || (descriptors(pid) >= 60).then_some(()));
        }
        let used = ticks_in(pid, Duration::from_secs(2));
        assert!(used < 10, "{used} ticks of CPU in two seconds: 5 % are 10");

        let left = Instant::now();
        drop(hogs);
        until("a polite client is served", || {
            let mut client = Peer::new(Socket::connect(gateway.address()).ok()?);
            client.try_send(get("/")).ok()?;
            (client.try_response().ok()?.status == 200).then_some(())
        });
        let waited = left.elapsed();
        println!("known {known}: a polite client was served {waited:?} after the hogs left");
        assert!(waited < Duration::from_secs(1), "{waited:?}");
        let name = if known { "connections_refused" } else { "accept_emfile" };
        gateway.stats_when("it was counted", |stats| stats.total(name) >= 1);
    }
}

/// Connects that bring no data, ended every way that there is: nothing of them is left.
#[test]
fn churn_leaves_no_descriptor_behind() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    let settled = || {
        gateway.stats_when("all are closed", |stats| stats.total("connections_open") == 0);
        descriptors(gateway.pid())
    };
    assert_eq!(gateway.client().get("/").status, 200);
    let before = settled();
    let visits = scale(20_000, 100_000, 1_000_000);
    for visit in 0..visits {
        let mut client = gateway.client();
        if visit % 4 == 1 {
            let _ = client.try_send("GET / HT");
        }
        match visit % 4 {
            0 | 1 => client.reset_on_close(),
            2 => {
                client.finish();
            }
            _ => {}
        }
    }
    // One that was reset while it waited to be accepted may never be seen.
    let least = visits as u64 / 2;
    let stats = gateway.stats_when("they were seen", |s| s.total("connections_accepted") > least);
    println!("{visits} connects, {} accepted", stats.total("connections_accepted"));
    until("as many descriptors as before", || (settled() <= before).then_some(()));
    assert_eq!(gateway.client().get("/").status, 200);
}
