//! Calls of a real process that fail, on the driver that the suite runs on.
//!
//! What the wire tests find with every byte alone, `tests/run` looks at: it runs them with `COREGATE_FAULTS` set.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::harness::client::{Peer, get, post};
use crate::harness::clock::{scale, until};
use crate::harness::gateway::{Folder, Gateway, Setup, config};
use crate::harness::origin::{Origin, Reply};
use crate::harness::process::{cpu_ticks, descriptors};
use crate::harness::socket::Socket;

/// A gateway whose calls meet these faults.
fn gateway(faults: &str, origin: &Origin) -> Gateway {
    let variable = format!("COREGATE_FAULTS={faults}");
    Setup::run(&config("", "", &[origin.address()])).under(&["env", &variable]).start()
}

/// An origin that answers with the request's body, or with its target.
fn origin() -> Origin {
    Origin::serving(|request| match request.body.is_empty() {
        true => Reply::ok(&request.target),
        false => Reply::ok(&request.body),
    })
}

/// Descriptors once every connection of clients has ended.
fn settled(gateway: &Gateway) -> usize {
    gateway.stats_when("all are closed", |stats| stats.total("connections_open") == 0);
    descriptors(gateway.pid())
}

#[test]
fn a_schedule_that_cannot_be_is_refused() {
    let folder = Folder::new();
    let file = folder.write("coregate.toml", &config("", "", &["127.0.0.1:1"]));
    let file = file.display().to_string();
    let setup = Setup::command(folder, &["run", "-c", &file]);
    let ended = setup.under(&["env", "COREGATE_FAULTS=read.emfile=1/2"]).output();
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(ended.messages.contains("read.emfile"), "{ended:?}");
}

#[test]
fn accepting_recovers_from_a_burst_and_costs_no_cpu_meanwhile() {
    let origin = origin();
    // Each failure rests for 100 ms: two seconds of them.
    let gateway = gateway("accept.emfile=1/1*20", &origin);
    let (start, ticks) = (Instant::now(), cpu_ticks(gateway.pid()));
    let mut waiting: Vec<Peer> = (0..10).map(|_| gateway.client()).collect();
    for client in &mut waiting {
        assert_eq!(client.get("/a").text(), "/a");
    }
    let (took, used) = (start.elapsed(), cpu_ticks(gateway.pid()) - ticks);
    println!("{used} ticks of CPU in {took:?} without descriptors");
    assert!(took > Duration::from_secs(1), "the burst was over in {took:?}");
    assert!(used <= 10, "{used} ticks of CPU in {took:?}");
    gateway.stats_when("they were counted", |stats| stats.total("accept_emfile") == 20);
}

#[test]
fn other_errors_of_accept_pass_too() {
    let origin = origin();
    let faults = "accept.enobufs=1/1*2,accept.enomem=1/1*2,accept.enfile=1/1*2,accept.again=1/3,\
                  accept.intr=1/3,accept.aborted=1/3,adopt.enomem=1/1*2,ready.enomem=1/1*2";
    let gateway = gateway(faults, &origin);
    // Those that could not be adopted were closed; who comes later is served.
    until("served", || {
        let mut client = Peer::new(Socket::connect(gateway.address()).ok()?);
        client.try_send(get("/a")).ok()?;
        client.try_response().ok().map(|answer| assert_eq!(answer.text(), "/a"))
    });
    let stats = gateway.stats();
    assert!(stats.total("accept_errors") >= 4 && stats.total("accept_emfile") == 2, "{stats:?}");
}

/// Everything fails now and then, and nothing is lost: not the process, not a descriptor, not a permit; and what is answered
/// is right.
#[test]
fn whatever_fails_the_process_lives_and_leaks_nothing() {
    let origin = origin();
    let grave = [
        "read.reset=1/20,write.reset=1/20",
        "read.enobufs=1/20,write.enobufs=1/20,read.enomem=1/20,write.enomem=1/20",
        "write.pipe=1/10,read.timeout=1/10,shutdown.reset=1/3,peek.reset=1/5",
        "connect.emfile=1/5,connect.refused=1/5,connect.enobufs=1/10,connect.again=1/10,connect.timeout=1/10",
        "ready.enomem=1/10,adopt.enomem=1/20,accept.intr=1/5,accept.aborted=1/5,read.intr=1/20,write.intr=1/20",
    ];
    for (seed, faults) in grave.iter().enumerate() {
        let more = "read.part=1/3,write.part=1/3,read.delay=1/5,write.delay=1/5,connect.delay=1/3,read.again=1/5";
        let gateway = gateway(&format!("seed={seed},{faults},{more}"), &origin);
        let right = AtomicUsize::new(0);
        let visit = |number: usize| {
            // The gateway may have reset it before we heard that there was one.
            let Ok(socket) = Socket::connect(gateway.address()) else { return };
            let mut client = Peer::new(socket);
            let body = "x".repeat(1 + number * 37 % 5_000);
            for (request, expected) in [(get("/a"), "/a"), (post("/b", &body), &body)] {
                if client.try_send(&request).is_err() {
                    return;
                }
                match client.try_response() {
                    Ok(answer) if answer.status == 200 => {
                        assert_eq!(answer.text(), expected, "{faults}");
                        right.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(answer) => assert!((500..505).contains(&answer.status), "{answer:?}"),
                    Err(fault) => assert!(fault.is_cut(), "{faults}: {fault}"),
                }
            }
        };
        (0..20).for_each(visit);
        let before = settled(&gateway);
        (0..scale(150, 1_000, 10_000)).for_each(visit);
        // Pooled connections come and go: as many as before or fewer, and never more than one exchange at a time needs.
        until("as many descriptors as before", || (settled(&gateway) <= before + 1).then_some(()));
        let stats = gateway.stats();
        assert_eq!((stats.total("panics"), stats.total("worker_deaths")), (0, 0), "{stats:?}");
        let right = right.into_inner();
        println!(
            "{faults}: {right} right, descriptors {before} and {}",
            descriptors(gateway.pid())
        );
        assert!(right > 100, "{faults}: {right} right");
    }
}
