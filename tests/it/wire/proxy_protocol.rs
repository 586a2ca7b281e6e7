//! The PROXY protocol: who may say who the client is, what comes of it, and what instances are told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use crate::harness::client::{Peer, get, post};
use crate::harness::clock::until;
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::{Origin, Reply, refusing};
use crate::harness::told::{SIGNATURE, Told, block, v1, v2};
use coregate_strict::Fault;

const CLIENT: &str = "192.0.2.7:51234";
const SERVER: &str = "198.51.100.1:443";
const CLIENT_6: &str = "[2001:db8::7]:51234";
const SERVER_6: &str = "[2001:db8::1]:443";
const TRUSTED: &str = "proxy_protocol = { from = [\"127.0.0.1\"] }";

fn trusting(origin: &Origin) -> Gateway {
    Setup::run(&config(TRUSTED, "", &[origin.address()])).start()
}

/// A request that claims to be another's.
fn claiming(target: &str) -> String {
    let claims = "X-Forwarded-For: 203.0.113.66\r\nForwarded: for=203.0.113.66";
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n{claims}\r\nX-Forwarded-For: 203.0.113.67\r\n\r\n")
}

/// Headers from a proxy, and whom the instance hears of.
fn headers() -> Vec<(Vec<u8>, &'static str)> {
    let tlvs = |own: Vec<u8>| [&own[..], b"\x01\0\x02h2", b"\xE0\0\0"].concat();
    vec![
        (v1(CLIENT, SERVER), "192.0.2.7"),
        (v1(CLIENT_6, SERVER_6), "2001:db8::7"),
        (v1("[::ffff:192.0.2.8]:1", SERVER_6), "192.0.2.8"),
        (b"PROXY UNKNOWN\r\n".into(), "127.0.0.1"),
        (b"PROXY UNKNOWN ffff:: ffff:: 1 2 and whatever\r\n".into(), "127.0.0.1"),
        (v2(0x21, 0x11, &block(CLIENT, SERVER)), "192.0.2.7"),
        (v2(0x21, 0x21, &block(CLIENT_6, SERVER_6)), "2001:db8::7"),
        (v2(0x21, 0x21, &block("[::ffff:192.0.2.8]:1", SERVER_6)), "192.0.2.8"),
        (v2(0x21, 0x11, &tlvs(block(CLIENT, SERVER))), "192.0.2.7"),
        (v2(0x21, 0x00, b"anything"), "127.0.0.1"),
        (v2(0x21, 0x31, &[b'/'; 216]), "127.0.0.1"),
        (v2(0x20, 0x00, b""), "127.0.0.1"),
        (v2(0x20, 0x11, &block(CLIENT, SERVER)), "127.0.0.1"),
        (v2(0x20, 0x00, &[0xFF; 536]), "127.0.0.1"),
    ]
}

#[test]
fn a_trusted_peer_says_who_the_client_is() {
    let origin = Origin::named("o");
    let gateway = trusting(&origin);
    for (header, expected) in headers() {
        let request = claiming("/first");
        let all = [&header[..], request.as_bytes()].concat();
        // Each cut: byte by byte, the header alone, all in one write, and a few in between.
        for cut in [1, header.len(), all.len(), header.len() - 1, header.len() + 1] {
            let mut client = gateway.client();
            if cut == 1 {
                client.send_pieces(&all, 1);
            } else {
                client.send(&all[..cut]).send(&all[cut..]);
            }
            assert_eq!(client.response().text(), "o GET /first");
            // The header stands once, and counts for all that follows.
            for at in 0..3 {
                client.send(claiming(&format!("/{at}")));
                assert_eq!(client.response().text(), format!("o GET /{at}"));
            }
            let seen = origin.take();
            assert_eq!(seen.len(), 4);
            for request in seen {
                assert_eq!(request.head.get("x-forwarded-for"), Some(expected), "{header:?}");
                assert!(!request.head.has("forwarded"));
            }
        }
    }
    assert_eq!(gateway.stats().total("proxy_header_errors"), 0);
}

#[test]
fn requests_may_be_pipelined_behind_a_header() {
    let origin = Origin::named("o");
    let gateway = trusting(&origin);
    let mut client = gateway.client();
    let all: String = (0..20).map(|at| get(&format!("/{at}"))).collect();
    client.send([v1(CLIENT, SERVER), post("/", &"x".repeat(10_000)).into(), all.into()].concat());
    assert_eq!(client.response().text(), "o POST /");
    for at in 0..20 {
        assert_eq!(client.response().text(), format!("o GET /{at}"));
    }
    let named =
        |seen: &coregate_strict::Request| seen.head.get("x-forwarded-for") == Some("192.0.2.7");
    assert!(origin.take().iter().all(named));
}

/// Nobody can tell whose connection it is, so nothing is answered, and nothing reaches an instance.
#[test]
fn a_trusted_peer_without_a_good_header_is_closed() {
    let origin = Origin::named("o");
    let gateway = trusting(&origin);
    let tcp4 = block(CLIENT, SERVER);
    let with = |tail: &[u8]| v2(0x21, 0x11, &[&tcp4[..], tail].concat());
    let v1 = |line: &str| line.as_bytes().to_vec();
    let broken = [
        get("/").into(),
        b"\0".to_vec(),
        b"\x16\x03\x01\x02\0\x01".to_vec(),
        v1("PROXY\r\n"),
        v1("PROXY \r\n"),
        v1("proxy TCP4 192.0.2.7 198.51.100.1 51234 443\r\n"),
        v1(" PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n"),
        v1("PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\n"),
        v1("PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\r\n"),
        v1("PROXY  TCP4 192.0.2.7 198.51.100.1 51234 443\r\n"),
        v1("PROXY TCP4 192.0.2.7 198.51.100.1 51234\r\n"),
        v1("PROXY TCP4 192.0.2.7 198.51.100.1 51234 443 \r\n"),
        v1("PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n"),
        v1("PROXY TCP4 192.0.2.7 198.51.100.1 051 443\r\n"),
        v1("PROXY TCP4 2001:db8::7 2001:db8::1 51234 443\r\n"),
        v1("PROXY TCP6 192.0.2.7 198.51.100.1 51234 443\r\n"),
        v1("PROXY UDP4 192.0.2.7 198.51.100.1 51234 443\r\n"),
        v1(&format!("PROXY UNKNOWN {}", "x".repeat(200))),
        v2(0x11, 0x11, &tcp4),
        v2(0x22, 0x11, &tcp4),
        v2(0x21, 0x12, &tcp4),
        v2(0x21, 0x41, &tcp4),
        v2(0x21, 0x11, &tcp4[..11]),
        v2(0x21, 0x21, &tcp4),
        v2(0x21, 0x11, &[0; 537]),
        v2(0x20, 0x00, &[0; 65_535]),
        with(b"\x01"),
        with(b"\x01\0\x05h2"),
        with(b"\x03\0\x04\0\0\0\0"),
    ];
    // Not even a whole one: the peer ends within it, or says nothing.
    let cut = [v2(0x21, 0x11, &tcp4)[..27].to_vec(), v1("PROXY TCP4 192.0.2.7"), Vec::new()];
    for bytes in &broken {
        let mut client = gateway.client();
        // It may be closed before all of it is sent.
        let _ = client.try_send(bytes).and_then(|()| client.try_send(get("/evil")));
        client.expect_closed();
    }
    for bytes in &cut {
        gateway.client().send(bytes).finish().expect_closed();
    }
    let all = (broken.len() + cut.len()) as u64;
    let stats = gateway.stats_when("each is counted", |s| s.total("proxy_header_errors") == all);
    assert_eq!((stats.total("requests"), stats.total("responses_4xx")), (0, 0));
    assert_eq!(origin.connections(), 0);
    gateway.stats_when("nothing is left", |stats| stats.total("connections_open") == 0);
}

/// To the tick in `world/preface`.
#[test]
fn a_header_that_is_never_finished_is_closed() {
    let origin = Origin::named("o");
    let terms = format!("{TRUSTED}\ntimeout = {{ head = \"200ms\" }}");
    let gateway = Setup::run(&config(&terms, "", &[origin.address()])).start();
    let beginnings = [&b""[..], b"P", b"PROXY TCP4 192.0.2.7", b"\r\n\r\n", &SIGNATURE[..]];
    for begun in beginnings {
        gateway.client().send(begun).expect_closed();
    }
    let all = beginnings.len() as u64;
    gateway.stats_when("each is counted", |stats| stats.total("proxy_header_errors") == all);
    assert_eq!(gateway.stats().total("responses_4xx"), 0);
}

/// One header and no more: a second one is a request like any other, and not a good one.
#[test]
fn a_header_from_anyone_else_is_a_malformed_request() {
    let origin = Origin::named("o");
    let own = "proxy_protocol = { from = [\"10.0.0.0/8\", \"::/0\", \"unix\", \"127.0.0.2\"] }";
    for (listener, before) in [(own, Vec::new()), ("", Vec::new()), (TRUSTED, v1(CLIENT, SERVER))] {
        let gateway = Setup::run(&config(listener, "", &[origin.address()])).start();
        for header in [v1(CLIENT, SERVER), v2(0x21, 0x11, &block(CLIENT, SERVER))] {
            let mut client = gateway.client();
            let _ = client.try_send([&before[..], &header, get("/").as_bytes()].concat());
            assert_eq!(client.response().status, 400, "{listener}");
            client.expect_closed();
        }
        let mut client = gateway.client();
        assert_eq!(client.send(&before).send(claiming("/")).response().status, 200);
        let expected = if before.is_empty() { "127.0.0.1" } else { "192.0.2.7" };
        assert_eq!(origin.take_one().head.get("x-forwarded-for"), Some(expected));
        // Nor later on.
        let _ = client.try_send([v1(CLIENT_6, SERVER_6), get("/").into()].concat());
        assert_eq!(client.response().status, 400);
        assert_eq!(gateway.stats().total("proxy_header_errors"), 0);
    }
    assert!(origin.take().is_empty());
}

#[test]
fn a_trusted_unix_socket() {
    let origin = Origin::named("o");
    for (from, named) in [("unix", true), ("127.0.0.1", false)] {
        let listener = format!("proxy_protocol = {{ from = [{from:?}] }}");
        let folder = crate::harness::gateway::Folder::new();
        let socket = format!("unix:{}", folder.path("g.sock").display());
        let text = config(&listener, "", &[origin.address()]).replace("127.0.0.1:0", &socket);
        let gateway = Setup::run(&text).start();
        let mut client = gateway.client();
        if !named {
            assert_eq!(client.get("/").status, 200);
            let _ = origin.take();
            continue;
        }
        client.send([v1(CLIENT, SERVER), get("/").into()].concat());
        assert_eq!(client.response().status, 200);
        assert_eq!(origin.take_one().head.get("x-forwarded-for"), Some("192.0.2.7"));
        gateway.client().send(get("/")).expect_closed();
        gateway.stats_when("it is counted", |stats| stats.total("proxy_header_errors") == 1);
    }
}

/// What instances were told and asked: the connection, the header's version and what it says, the target, and how often
/// the client is named as in the header.
type Log = Arc<Mutex<Vec<(usize, u8, Told, String)>>>;

/// An instance that expects a header at the front of each connection. Its connections end after `most` requests each.
fn told(most: usize) -> (Origin, Log) {
    let log = Log::default();
    let shared = Arc::clone(&log);
    let origin = Origin::scripted(move |peer, number| {
        let Some((version, told)) = peer.told() else { return };
        for _ in 0..most {
            let request = match peer.reader.request() {
                Ok(request) => request,
                Err(fault @ Fault::Malformed(_)) => panic!("{fault:?}"),
                Err(_) => return,
            };
            if let Told::Client(client, _) = told {
                let named = request.head.get("x-forwarded-for").unwrap().to_owned();
                assert_eq!(named, client.ip().to_canonical().to_string());
            }
            shared.lock().unwrap().push((number, version, told, request.target));
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        }
        // The next one is read, and dies with its connection.
        let _ = peer.reader.request();
    });
    (origin, log)
}

fn taken(log: &Log) -> Vec<(usize, u8, Told, String)> {
    std::mem::take(&mut *log.lock().unwrap())
}

fn telling(listener: &str, version: u8, instances: &[&str]) -> Gateway {
    let service = format!("proxy_protocol = \"v{version}\"");
    Setup::run(&config(listener, &service, instances)).start()
}

/// What the instance must be told of a client that says nothing itself.
fn own(client: &Peer) -> Told {
    let (own, gateway) = client.reader.stream.addresses();
    Told::Client(own, gateway)
}

#[test]
fn instances_are_told_who_the_client_is() {
    for version in [1, 2] {
        let (origin, log) = told(usize::MAX);
        let gateway = telling("", version, &[origin.address()]);
        for round in 0..3 {
            let mut client = gateway.client();
            let expected = own(&client);
            for at in 0..3 {
                assert_eq!(client.get(&format!("/{at}")).text(), "hi");
            }
            let seen = taken(&log);
            let all = (0..3).map(|at| (round, version, expected, format!("/{at}")));
            assert_eq!(seen, all.collect::<Vec<_>>(), "one connection, and no other's");
            drop(client);
            until("it is closed with its client", || (origin.closed() == round + 1).then_some(()));
        }
        let stats = gateway.stats();
        assert_eq!((stats.total("upstream_connects"), stats.total("upstream_reused")), (3, 6));
    }
}

/// What an inbound header said is passed on; where it said nothing, the connection's own addresses are.
#[test]
fn instances_are_told_what_we_were_told() {
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    for version in [1, 2] {
        let (origin, log) = told(usize::MAX);
        let gateway = telling(TRUSTED, version, &[origin.address()]);
        let mapped = address("[::ffff:192.0.2.8]:1");
        for (header, expected) in [
            (v1(CLIENT, SERVER), Some((address(CLIENT), address(SERVER)))),
            (v2(0x21, 0x11, &block(CLIENT, SERVER)), Some((address(CLIENT), address(SERVER)))),
            (v1(CLIENT_6, SERVER_6), Some((address(CLIENT_6), address(SERVER_6)))),
            (
                v2(0x21, 0x21, &block(CLIENT_6, SERVER_6)),
                Some((address(CLIENT_6), address(SERVER_6))),
            ),
            // Both ends in one family: where one is IPv4 in IPv6 clothes, it keeps them.
            (v1("[::ffff:192.0.2.8]:1", SERVER_6), Some((mapped, address(SERVER_6)))),
            (b"PROXY UNKNOWN\r\n".into(), None),
            (v2(0x20, 0, b""), None),
        ] {
            let mut client = gateway.client();
            let expected = expected.map_or_else(|| own(&client), |(a, b)| Told::Client(a, b));
            client.send(&header);
            assert_eq!(client.get("/").text(), "hi");
            let [(_, of, told, _)] = &taken(&log)[..] else { panic!("one request") };
            assert_eq!((*of, *told), (version, expected), "{header:?}");
        }
    }
}

#[test]
fn a_client_without_an_address_is_told_as_unknown() {
    for version in [1, 2] {
        let (origin, log) = told(usize::MAX);
        let folder = crate::harness::gateway::Folder::new();
        let socket = format!("unix:{}", folder.path("g.sock").display());
        let service = format!("proxy_protocol = \"v{version}\"");
        let text = config("", &service, &[origin.address()]).replace("127.0.0.1:0", &socket);
        let gateway = Setup::run(&text).start();
        assert_eq!(gateway.client().get("/").text(), "hi");
        assert_eq!(taken(&log), [(0, version, Told::Nothing, "/".into())]);
    }
}

/// A connection that has named a client carries that client's requests only, however they come.
#[test]
fn clients_never_share_a_connection() {
    let (origin, log) = told(usize::MAX);
    let gateway = telling("", 2, &[origin.address()]);
    let mut clients: Vec<_> = (0..10).map(|_| gateway.client()).collect();
    for round in 0..5 {
        // Not in the order in which their connections came back.
        clients.rotate_left(3);
        for client in &mut clients {
            // Each says which client it is, for comparison with what its connection has said.
            let own = client.reader.stream.addresses().0;
            client.send(get(&format!("/{own}/{round}")));
        }
        for client in &mut clients {
            assert_eq!(client.response().text(), "hi");
        }
    }
    let mut connections = BTreeMap::<_, BTreeSet<_>>::new();
    for (connection, _, told, target) in taken(&log) {
        let Told::Client(client, _) = told else { panic!("{told:?}") };
        assert!(target.starts_with(&format!("/{client}/")), "{told:?}: {target}");
        connections.entry(client).or_default().insert(connection);
    }
    assert_eq!(connections.len(), 10);
    assert!(connections.values().all(|own| own.len() == 1), "each uses its own again");
    drop(clients);
    until("all are closed with their clients", || (origin.closed() == 10).then_some(()));
}

/// A new client in the slot of one that has left does not get its connection, though no sweep has been by yet.
#[test]
fn a_new_client_gets_no_connection_of_an_old_one() {
    let (origin, log) = told(usize::MAX);
    let gateway = telling("", 1, &[origin.address()]);
    for round in 0..50 {
        let mut client = gateway.client();
        let expected = own(&client);
        assert_eq!(client.get("/").text(), "hi");
        assert_eq!(taken(&log), [(round, 1, expected, "/".into())]);
    }
}

/// A retry goes to a fresh connection, which begins with the header like any other.
#[test]
fn a_retry_has_the_header_again() {
    for version in [1, 2] {
        for (dies, most) in [(true, 2), (false, usize::MAX)] {
            let (origin, log) = told(most);
            let refusing = refusing();
            let instances =
                if dies { vec![origin.address()] } else { vec![&*refusing, origin.address()] };
            let gateway = telling("", version, &instances);
            let mut client = gateway.client();
            let expected = own(&client);
            for at in 0..12 {
                assert_eq!(client.get(&format!("/{at}")).text(), "hi", "{at}, {dies}");
            }
            let seen = taken(&log);
            assert!(seen.iter().all(|(_, of, told, _)| (*of, *told) == (version, expected)));
            let targets: Vec<_> = seen.iter().map(|(.., target)| target.clone()).collect();
            assert_eq!(targets, (0..12).map(|at| format!("/{at}")).collect::<Vec<_>>());
            assert_eq!(origin.connections(), if dies { 6 } else { 1 });
            gateway.stats_when("they are counted", |stats| stats.total("retries") >= 5);
        }
    }
}

/// An answer of our own needs no instance, and a header makes no other request of it.
#[test]
fn bodies_behind_a_header() {
    let origin = Origin::scripted(|peer, _| {
        let Some((2, Told::Client(..))) = peer.told() else { panic!("no header") };
        while let Ok(request) = peer.reader.request() {
            let Reply::Keep(reply) = Reply::ok(&request.body) else { return };
            peer.send(reply);
        }
    });
    let gateway = telling("", 2, &[origin.address()]);
    let mut client = gateway.client();
    for size in [0, 1, 5_000, 1 << 20] {
        let body = "x".repeat(size);
        let mut writer = Peer::new(client.reader.stream.try_clone());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                writer.send(post("/", &body));
            });
            assert!(client.response().text() == body, "{size}");
        });
    }
    assert_eq!(origin.connections(), 1);
}

/// A connection without a byte waits for a request like any other: proxies keep some open.
#[test]
fn a_gentle_stop_does_not_wait_for_headers() {
    let origin = Origin::named("o");
    let terms = format!("{TRUSTED}\ntimeout = {{ head = \"1h\" }}");
    let mut gateway = Setup::run(&config(&terms, "", &[origin.address()])).start();
    let mut silent = gateway.client();
    let mut served = gateway.client();
    served.send([v1(CLIENT, SERVER), get("/").into()].concat());
    assert_eq!(served.response().status, 200);
    gateway.stats_when("both are there", |stats| stats.total("connections_open") == 2);
    gateway.signal(rustix::process::Signal::TERM);
    silent.expect_closed();
    served.expect_closed();
    assert_eq!(gateway.wait().code(), Some(0));
}
