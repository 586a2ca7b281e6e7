//! Connections to upstreams: kept, used again, given up, and what is tried when one fails.

use std::sync::{Mutex, mpsc};

use crate::harness::client::{get, post};
use crate::harness::clock::{PATIENCE, until};
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::{Origin, Reply, blackhole, refusing};

const DONE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";

#[test]
fn use_is_counted() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    for _ in 0..5 {
        let mut client = gateway.client();
        for _ in 0..4 {
            assert_eq!(client.get("/").status, 200);
        }
    }
    let stats = gateway.stats_when("20 requests", |stats| stats.total("requests") == 20);
    assert_eq!(stats.total("upstream_connects"), 1);
    assert_eq!(stats.total("upstream_reused"), 19);
    assert_eq!(stats.total("responses_2xx"), 20);
    assert_eq!(stats.total("retries"), 0);
    assert_eq!(stats.total("connections_accepted"), 5);
    gateway.stats_when("none is left", |stats| stats.total("connections_open") == 0);
}

/// An origin whose first connection serves one request and dies at the next, before a byte of its answer.
fn dying(resets: bool) -> Origin {
    Origin::scripted(move |peer, number| {
        let mut served = 0;
        while peer.reader.request().is_ok() {
            if number == 0 && served == 1 {
                if resets {
                    peer.reset_on_close();
                }
                return;
            }
            peer.send(DONE);
            served += 1;
        }
    })
}

#[test]
fn a_get_on_a_connection_that_died_is_tried_again() {
    for resets in [false, true] {
        let origin = dying(resets);
        let gateway = Gateway::before(&[origin.address()]);
        let mut client = gateway.client();
        for _ in 0..3 {
            assert_eq!(client.get("/").text(), "done");
        }
        assert_eq!(origin.connections(), 2);
        gateway.stats_when("one retry", |stats| stats.total("retries") == 1);
    }
}

#[test]
fn a_post_that_was_sent_is_not_tried_again() {
    let origin = dying(false);
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    assert_eq!(client.get("/").text(), "done");
    let response = client.send(post("/", "body")).response();
    let reason = response.head.get("x-coregate-reason");
    assert_eq!((response.status, reason), (502, Some("upstream_closed")));
    assert_eq!(origin.connections(), 1);
    assert_eq!(gateway.stats().total("retries"), 0);
}

#[test]
fn a_fresh_connection_that_dies_is_not_tried_again() {
    let origin = Origin::scripted(|peer, _| drop(peer.reader.request()));
    let gateway = Gateway::before(&[origin.address()]);
    let response = gateway.client().get("/");
    let reason = response.head.get("x-coregate-reason");
    assert_eq!((response.status, reason), (502, Some("upstream_closed")));
    assert_eq!(origin.connections(), 1);
}

/// Once a retry failed too, that is the answer: at most two attempts.
#[test]
fn a_retry_happens_once() {
    let origin = Origin::scripted(|peer, number| {
        if number == 0 && peer.reader.request().is_ok() {
            peer.send(DONE);
        }
        let _ = peer.reader.request();
    });
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    assert_eq!(client.get("/").text(), "done");
    assert_eq!(client.get("/").status, 502);
    assert_eq!(origin.connections(), 2);
}

#[test]
fn an_idle_connection_that_its_upstream_closed_costs_no_request() {
    let origin = Origin::serving(|_| Reply::Close(DONE.into()));
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    for round in 1..=20 {
        assert_eq!(client.get("/").text(), "done");
        until("the origin has closed", || (origin.closed() == round).then_some(()));
    }
}

#[test]
fn bytes_on_an_idle_connection_are_nobodys_answer() {
    let (told, speak) = mpsc::channel::<()>();
    let (spoke, spoken) = mpsc::channel::<()>();
    let speak = Mutex::new(speak);
    let origin = Origin::scripted(move |peer, number| {
        if peer.reader.request().is_err() {
            return;
        }
        peer.send(DONE);
        if number == 0 {
            speak.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
            spoke.send(()).unwrap();
        }
        let _ = peer.reader.rest();
    });
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    assert_eq!(client.get("/1").text(), "done");
    told.send(()).unwrap();
    spoken.recv_timeout(PATIENCE).unwrap();
    assert_eq!(client.get("/2").text(), "done");
    assert_eq!(origin.connections(), 2);
}

#[test]
fn a_refused_connect_goes_to_the_next_instance() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[&refusing(), origin.address()]);
    let mut client = gateway.client();
    for at in 0..10 {
        let path = format!("/{at}");
        assert_eq!(client.get(&path).text(), format!("o GET {path}"));
        assert_eq!(client.send(post(&path, "x")).response().status, 200, "no byte was sent yet");
    }
}

#[test]
fn an_unanswered_connect_goes_to_the_next_instance() {
    let origin = Origin::named("o");
    let hole = blackhole();
    let service = "timeout = { connect = \"100ms\" }";
    let gateway = Setup::run(&config("", service, &[&hole.address, origin.address()])).start();
    let mut client = gateway.client();
    for _ in 0..4 {
        assert_eq!(client.get("/").text(), "o GET /");
    }
}

#[test]
fn no_instance_that_can_be_reached() {
    let gateway = Gateway::before(&[&refusing(), &refusing()]);
    let mut client = gateway.client();
    let response = client.get("/");
    let reason = response.head.get("x-coregate-reason");
    assert_eq!((response.status, reason), (502, Some("connect_failed")));
    assert_eq!(client.get("/").status, 502, "the client's connection lives on");
}

/// `pool.idle_per_worker`: what is more is closed when it is put back.
#[test]
fn at_most_so_many_idle_connections_are_kept() {
    let (arrived, arrivals) = mpsc::channel();
    let (answer, answers) = mpsc::channel::<()>();
    let answers = Mutex::new(answers);
    let origin = Origin::serving(move |_| {
        arrived.send(()).unwrap();
        answers.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        Reply::ok("")
    });
    let service = "pool = { idle_per_worker = 1 }";
    let gateway = Setup::run(&config("", service, &[origin.address()])).start();
    let mut clients: Vec<_> = (0..4).map(|_| gateway.client()).collect();
    for client in &mut clients {
        client.send(get("/"));
        arrivals.recv_timeout(PATIENCE).unwrap();
    }
    for client in &mut clients {
        answer.send(()).unwrap();
        let _ = client;
    }
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
    until("three of four are closed", || (origin.closed() == 3).then_some(()));
    answer.send(()).unwrap();
    assert_eq!(clients[0].get("/").status, 200);
    assert_eq!(origin.connections(), 4, "the fourth is used again");
}

#[test]
fn old_connections_are_given_up() {
    let origin = Origin::named("o");
    let service = "pool = { age = \"1ms\" }";
    let gateway = Setup::run(&config("", service, &[origin.address()])).start();
    let mut client = gateway.client();
    until("a second connection", || {
        assert_eq!(client.get("/").status, 200);
        (origin.connections() >= 2).then_some(())
    });
}

/// A client that leaves takes the exchange with it, and the connection that was waiting for the answer.
#[test]
fn a_client_that_leaves_frees_its_upstream_connection() {
    let (arrived, arrivals) = mpsc::channel();
    let origin = Origin::scripted(move |peer, _| {
        if peer.reader.request().is_ok() {
            arrived.send(()).unwrap();
            let body = "x".repeat(1 << 20);
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            let mut open = peer.try_send(head).is_ok();
            while open {
                open = peer.try_send(format!("{:x}\r\n{body}\r\n", body.len())).is_ok();
            }
        }
    });
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    client.send(get("/"));
    arrivals.recv_timeout(PATIENCE).unwrap();
    drop(client);
    until("the endless answer is cut", || (origin.closed() == 1).then_some(()));
    gateway.stats_when("nothing is left", |stats| stats.total("connections_open") == 0);
}
