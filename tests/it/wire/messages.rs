//! One message behind the other: keep-alive, pipelining, messages without bodies, HTTP/1.0, Unix sockets.

use std::sync::{Mutex, mpsc};

use coregate_strict::Framing;

use crate::harness::client::{Peer, get, post, post_chunked};
use crate::harness::clock::PATIENCE;
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::{Origin, Reply};

#[test]
fn connections_are_kept_on_both_sides() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    for at in 0..10 {
        assert_eq!(client.get(&format!("/{at}")).text(), format!("o GET /{at}"));
    }
    assert_eq!(origin.connections(), 1);
    assert_eq!(origin.take().len(), 10);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin =
        Origin::serving(|request| Reply::ok(format!("{} {}", request.target, request.body.len())));
    let gateway = Gateway::before(&[origin.address()]);
    let requests = [
        get("/1"),
        post("/2", "two"),
        format!("{}5\r\nthree\r\n0\r\n\r\n", post_chunked("/3")),
        get("/4"),
    ];
    let expected = ["/1 0", "/2 3", "/3 5", "/4 0"];
    for size in [1, 7, 64, 100_000] {
        let mut client = gateway.client();
        client.send_pieces(requests.concat(), size);
        for text in expected {
            assert_eq!(client.response().text(), text, "in pieces of {size}");
        }
    }
}

/// Long pipelines make room for others in between: on epoll nothing else would make them.
#[test]
fn a_long_pipeline_and_somebody_in_between() {
    let (reached, reaches) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    let gone = Mutex::new(gone);
    let origin = Origin::serving(move |request| {
        if request.target == "/20" {
            reached.send(()).unwrap();
            gone.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        }
        Reply::ok(&request.target)
    });
    let gateway = Gateway::before(&[origin.address()]);
    for size in [300, 100_000] {
        let mut client = gateway.client();
        let mut other = gateway.client();
        client.send_pieces((0..40).map(|at| get(&format!("/{at}"))).collect::<String>(), size);
        reaches.recv_timeout(PATIENCE).unwrap();
        assert_eq!(other.get("/other").text(), "/other");
        go.send(()).unwrap();
        for at in 0..40 {
            assert_eq!(client.response().text(), format!("/{at}"), "in pieces of {size}");
        }
    }
    // The same where no instance makes the pipeline wait.
    let text = config("", "", &[origin.address()]).replace("\"/*\"", "\"/known\"");
    let gateway = Setup::run(&text).start();
    let mut client = gateway.client();
    client.send(get("/unknown").repeat(40) + &get("/known"));
    for _ in 0..40 {
        assert_eq!(client.response().status, 404);
    }
    assert_eq!(client.response().text(), "/known");
}

/// `limits.requests`: the last answer says that it is the last, and what was pipelined behind it is nobody's.
#[test]
fn so_many_requests_on_one_connection() {
    let origin = Origin::named("o");
    let limits = "limits = { requests = 3 }";
    let text = config(limits, "", &[origin.address()]).replace("\"/*\"", "\"/known/*\"");
    let gateway = Setup::run(&text).start();
    for pipelined in [false, true] {
        // Answers of our own count like others.
        for path in ["/known/", "/unknown"] {
            let mut client = gateway.client();
            if pipelined {
                client.send(get(path).repeat(5));
            }
            for at in 1..=3 {
                if !pipelined {
                    client.send(get(path));
                }
                let response = client.response();
                assert_eq!(response.closes(), at == 3, "{path} {at}");
                assert_eq!(response.status, if path == "/unknown" { 404 } else { 200 });
            }
            client.expect_closed();
        }
    }
    assert_eq!(origin.take().len(), 6);
    let mut old = gateway.client();
    for at in 1..=3 {
        old.send("GET /known/ HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(old.response().closes(), at == 3);
    }
    old.expect_closed();
}

#[test]
fn a_connection_closes_when_the_client_asks() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let response = client.response();
    assert!(response.closes(), "{}", response.head.text());
    client.expect_closed();
}

#[test]
fn a_half_closed_client_still_gets_its_answer() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    assert_eq!(client.send(get("/x")).finish().response().text(), "o GET /x");
    client.expect_closed();
}

/// RFC 9110 §9.3.2, §15.3.5, §15.4.5: none of them has a body, whatever the fields say.
#[test]
fn messages_without_bodies() {
    let origin = Origin::serving(|request| match request.target.as_str() {
        "/204" => Reply::raw("HTTP/1.1 204 No Content\r\nX: y\r\n\r\n"),
        "/304" => {
            Reply::raw("HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\nContent-Length: 9\r\n\r\n")
        }
        "/chunked" => Reply::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        _ => Reply::ok("four"),
    });
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    for _ in 0..2 {
        let head = client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").response_to("HEAD");
        assert_eq!((head.status, head.head.get("content-length")), (200, Some("4")));
        client.send("HEAD /chunked HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.response_to("HEAD").status, 200);
        let empty = client.get("/204");
        assert_eq!((empty.status, empty.head.get("x")), (204, Some("y")));
        let unchanged = client.get("/304");
        assert_eq!((unchanged.status, unchanged.head.get("etag")), (304, Some("\"e\"")));
    }
    assert_eq!(origin.connections(), 1, "none of them costs a connection");
}

#[test]
fn http_1_0_clients() {
    let origin = Origin::serving(|request| match request.target.as_str() {
        "/chunked" => Reply::raw(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
        _ => Reply::ok("plain"),
    });
    let gateway = Gateway::before(&[origin.address()]);

    let mut client = gateway.client();
    assert_eq!(client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n").response().text(), "plain");
    client.expect_closed();

    // No transfer coding for one who cannot know it: the body ends with the connection.
    let mut client = gateway.client();
    let response = client.send("GET /chunked HTTP/1.0\r\nHost: a\r\n\r\n").response();
    assert_eq!((response.framing, response.text().as_str()), (Framing::Close, "hello"));

    let mut client = gateway.client();
    for _ in 0..3 {
        client.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
        let response = client.response();
        assert_eq!(response.head.get("connection"), Some("keep-alive"));
    }

    // CVE-2026-2835: without a length there is no body; what follows is not one.
    let mut client = gateway.client();
    client.send("POST / HTTP/1.0\r\nHost: a\r\n\r\nnot a body");
    assert_eq!(client.response().status, 200);
    client.expect_closed();

    let mut client = gateway.client();
    assert_eq!(client.send("GET / HTTP/1.0\r\n\r\n").response().status, 200);
    let seen = origin.take();
    assert!(seen.iter().all(|request| !request.http10 && request.body.is_empty()));
}

#[test]
fn unix_sockets_on_both_sides() {
    let setup = Setup::run("");
    let upstream = setup.folder().path("o.sock");
    let origin = Origin::serving_unix(&upstream, |request| Reply::ok(&request.body));
    let socket = format!("unix:{}", setup.folder().path("g.sock").display());
    let text = config("", "", &[origin.address()])
        .replace("\"127.0.0.1:0\"", &format!("[\"127.0.0.1:0\", {socket:?}]"));
    setup.folder().write("coregate.toml", &text);
    let gateway = setup.start();
    let addresses = gateway.addresses_of("default");
    assert_eq!(addresses.len(), 2, "{}", gateway.messages());
    assert!(addresses.contains(&socket.as_str()), "{addresses:?}");
    for address in addresses {
        let mut client = Peer::connect(address);
        for _ in 0..3 {
            assert_eq!(client.send(post("/", "hi")).response().text(), "hi");
        }
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn many_clients_at_once_get_their_own_answers() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let gateway = &gateway;
            scope.spawn(move || {
                let mut clients: Vec<_> = (0..8).map(|_| gateway.client()).collect();
                for round in 0..20 {
                    for (at, client) in clients.iter_mut().enumerate() {
                        client.send(get(&format!("/{thread}/{at}/{round}")));
                    }
                    for (at, client) in clients.iter_mut().enumerate() {
                        let expected = format!("o GET /{thread}/{at}/{round}");
                        assert_eq!(client.response().text(), expected);
                    }
                }
            });
        }
    });
    gateway.stats_when("every request is counted", |stats| stats.total("requests") == 8 * 8 * 20);
}
