//! Probes of servers that behave, and of those that do not: there is always a verdict, and what it costs is bounded.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::Duration;

use coregate_core::base::ids::{InstanceSlot, ServiceId};
use coregate_core::snapshot::plan::{Address, HealthCheck, HttpProbe};

use super::*;
use crate::registry::log::{self, Command, Log, Proposer};
use crate::registry::probe::Probed;

/// A prober, and the log that its verdicts come to.
struct Bench {
    prober: Prober,
    log: Log,
    _proposer: Proposer,
}

impl Bench {
    fn new(most: usize) -> Self {
        let (proposer, log) = log::in_memory();
        let prober = start(proposer.waker(), most, Voice::new(|_| {})).unwrap();
        Self { prober, log, _proposer: proposer }
    }

    #[track_caller]
    fn results(&mut self) -> Vec<Probed> {
        let next = self.log.next(Duration::from_secs(30)).unwrap();
        match next.expect("no verdict").1.command {
            Command::Probed(probed) => probed,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn finding(&mut self, order: ProbeOrder) -> Finding {
        self.prober.probe(order).unwrap();
        let [probed] = <[Probed; 1]>::try_from(self.results()).unwrap();
        probed.finding
    }
}

fn order(address: Address, check: HealthCheck) -> ProbeOrder {
    let (service, check) = (ServiceId(1), Arc::new(check));
    ProbeOrder { service, slot: InstanceSlot(3), generation: 7, address, id: None, check }
}

fn failed(why: &str) -> Finding {
    Finding::Failed(why.into())
}

fn get(edit: impl FnOnce(&mut HttpProbe)) -> HealthCheck {
    let mut probe = HttpProbe::get("/health?a=1");
    edit(&mut probe);
    HealthCheck::of(Probe::Http(Box::new(probe)))
}

/// Does this with each connection, on a thread of its own, until the test ends.
fn server(serve: impl Fn(TcpStream) + Send + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Answers each request with these bytes, and closes.
fn answering(answer: &'static [u8]) -> Address {
    Address::Tcp(server(move |mut stream| {
        head(&mut stream);
        let _ = stream.write_all(answer);
    }))
}

fn head(stream: &mut impl Read) -> String {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        read.push(byte[0]);
    }
    String::from_utf8(read).unwrap()
}

#[track_caller]
fn shows(answer: &'static [u8], check: HealthCheck, expected: Finding) {
    let finding = Bench::new(8).finding(order(answering(answer), check));
    assert_eq!(finding, expected, "{}", String::from_utf8_lossy(&answer[..answer.len().min(200)]));
}

#[test]
fn a_connect_is_enough_over_tcp_and_unix() {
    let mut bench = Bench::new(8);
    // It greets, and sees an end and no reset.
    let (tell, told) = std::sync::mpsc::channel();
    let greeting = server(move |mut stream| {
        stream.write_all(b"220 hello\r\n").unwrap();
        let end = stream.read(&mut [0; 8]).map_err(|error| error.kind());
        tell.send(end).unwrap();
    });
    let tcp = HealthCheck::of(Probe::Tcp);
    assert_eq!(bench.finding(order(Address::Tcp(greeting), tcp.clone())), Finding::Passed);
    assert_eq!(told.recv_timeout(Duration::from_secs(10)).unwrap(), Ok(0));
    let path = std::env::temp_dir().join(format!("coregate-probe-{}", std::process::id()));
    let socket = UnixListener::bind(&path).unwrap();
    assert_eq!(bench.finding(order(Address::Unix(path.clone()), tcp.clone())), Finding::Passed);
    drop(socket);
    let refused = bench.finding(order(Address::Unix(path.clone()), tcp.clone()));
    assert_eq!(refused, failed("connection refused"));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(bench.finding(order(Address::Unix(path), tcp.clone())), failed("no such socket"));
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let finding = bench.finding(order(Address::Tcp(nobody), tcp.clone()));
    assert_eq!(finding, failed("connection refused"));
    // Another port of the same address.
    let port = Some(greeting.port());
    let other = HealthCheck { port, ..tcp };
    assert_eq!(bench.finding(order(Address::Tcp(nobody), other)), Finding::Passed);
}

#[test]
fn it_says_who_it_is_and_what_it_wants() {
    let (tell, told) = std::sync::mpsc::channel();
    let address = server(move |mut stream| {
        tell.send(head(&mut stream)).unwrap();
        let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
    });
    let mut bench = Bench::new(8);
    let mut asked = |check: HealthCheck| {
        assert_eq!(bench.finding(order(Address::Tcp(address), check)), Finding::Passed);
        told.recv_timeout(Duration::from_secs(10)).unwrap().to_lowercase()
    };
    let plain = asked(get(|_| {}));
    assert!(plain.starts_with("get /health?a=1 http/1.1\r\n"), "{plain}");
    let version = env!("CARGO_PKG_VERSION");
    for line in [
        format!("host: {address}\r\n"),
        "connection: close\r\n".into(),
        format!("user-agent: coregate/{version} (health check)\r\n"),
    ] {
        assert!(plain.contains(&line), "{line:?} in {plain}");
    }
    let own = asked(get(|probe| {
        probe.method = "HEAD".into();
        probe.host = Some("app.example".into());
        probe.headers = vec![("x-a".into(), "1".into()), ("user-agent".into(), "me".into())];
    }));
    assert!(own.starts_with("head /health?a=1 http/1.1\r\n"), "{own}");
    for line in ["host: app.example\r\n", "x-a: 1\r\n", "user-agent: me\r\n"] {
        assert!(own.contains(line), "{line:?} in {own}");
    }
}

#[test]
fn answers_are_judged() {
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";
    shows(ok, get(|_| {}), Finding::Passed);
    shows(ok, get(|probe| probe.statuses = vec![204..=204, 301..=302]), failed("status 200"));
    shows(ok, get(|probe| probe.body = Some("ine".into())), Finding::Passed);
    let other = failed("body without the expected text");
    shows(ok, get(|probe| probe.body = Some("fined".into())), other);
    let moved = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n";
    shows(moved, get(|_| {}), failed("status 302"));
    shows(moved, get(|probe| probe.statuses = vec![200..=399]), Finding::Passed);
    let busy = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n";
    shows(busy, get(|_| {}), Finding::Warned);
    shows(busy, get(|probe| probe.statuses = vec![400..=499]), Finding::Passed);
    let early = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil the end";
    shows(early, get(|probe| probe.body = Some("the end".into())), Finding::Passed);
    let chunked =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3\r\nay!\r\n0\r\n\r\n";
    shows(chunked, get(|probe| probe.body = Some("okay!".into())), Finding::Passed);
}

#[test]
fn who_answers_must_be_who_is_meant() {
    let asks = || get(|probe| probe.instance_id = true);
    let one = answering(b"HTTP/1.1 200 OK\r\nX-Instance-Id: a-1\r\nContent-Length: 0\r\n\r\n");
    let mut bench = Bench::new(8);
    let with = |id: &str| ProbeOrder { id: Some(id.into()), ..order(one.clone(), asks()) };
    assert_eq!(bench.finding(with("a-1")), Finding::Passed);
    assert_eq!(bench.finding(with("a-2")), failed("instance id is another"));
    assert_eq!(bench.finding(order(one, asks())), failed("instance id is another"), "its address");
    shows(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", asks(), failed("no instance id"));
}

/// What an instance may do to a probe, and what is said of it. Nothing of it takes long or much.
#[test]
fn whatever_it_sends_there_is_a_verdict() {
    let quick = |mut check: HealthCheck| {
        check.timeout = Duration::from_millis(500);
        check
    };
    let text = || get(|probe| probe.body = Some("never".into()));
    shows(b"", get(|_| {}), failed("connection closed without an answer"));
    shows(b"HTTP/1.1 200", get(|_| {}), failed("connection closed without an answer"));
    shows(b"SSH-2.0-x\r\n\r\n", get(|_| {}), failed("answer is not HTTP/1.1"));
    shows(&[0xff; 64], get(|_| {}), failed("answer is not HTTP/1.1"));
    let huge = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx";
    shows(huge, get(|_| {}), Finding::Passed);
    shows(huge, text(), failed("answer broken off"));
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nno";
    shows(cut, text(), failed("answer broken off"));
    type Play = fn(TcpStream);
    let endless: [(Play, HealthCheck, &str); 8] = [
        (|_stream| thread::park(), get(|_| {}), "no answer within 0.5 s"),
        (
            |mut stream| repeat(&mut stream, b"HTTP/1.1 200 OK\r\n", b"x-a: bbbbbbbbbbbbbb\r\n"),
            get(|_| {}),
            "head of the answer too large",
        ),
        (
            |mut stream| repeat(&mut stream, b"HTTP/1.1 200 OK\r\nx-a: ", b"aaaaaaaaaaaaaaaaa"),
            get(|_| {}),
            "head of the answer too large",
        ),
        (
            |mut stream| repeat(&mut stream, b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
            get(|_| {}),
            "answer without an end",
        ),
        (
            |mut stream| drip(&mut stream, b"HTTP/1.1 200 OK\r\nx: "),
            get(|_| {}),
            "no answer within 0.5 s",
        ),
        (
            |mut stream| drip(&mut stream, b"HTTP/1.1 200 OK\r\n\r\n"),
            text(),
            "no whole body within 0.5 s",
        ),
        (
            |mut stream| repeat(&mut stream, b"HTTP/1.1 200 OK\r\n\r\n", b"neve neve neve"),
            text(),
            "body without the expected text",
        ),
        (
            |mut stream| {
                let begin = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;";
                repeat(&mut stream, begin, b"extension");
            },
            text(),
            "answer broken off",
        ),
    ];
    for (play, check, why) in endless {
        let address = server(move |mut stream| {
            head(&mut stream);
            play(stream);
        });
        let finding = Bench::new(8).finding(order(Address::Tcp(address), quick(check)));
        assert_eq!(finding, failed(why));
    }
    // The verdict does not wait for the end of a body that nobody asked for.
    let drips = server(|mut stream| {
        head(&mut stream);
        drip(&mut stream, b"HTTP/1.1 200 OK\r\n\r\n");
    });
    assert_eq!(Bench::new(8).finding(order(Address::Tcp(drips), get(|_| {}))), Finding::Passed);
}

fn repeat(stream: &mut TcpStream, first: &[u8], then: &[u8]) {
    let mut sent = stream.write_all(first);
    while sent.is_ok() {
        sent = stream.write_all(then);
    }
}

fn drip(stream: &mut TcpStream, first: &[u8]) {
    let mut sent = stream.write_all(first);
    while sent.is_ok() {
        thread::sleep(Duration::from_millis(20));
        sent = stream.write_all(b"x");
    }
}

#[test]
fn a_reset_is_told_from_an_end() {
    let address = server(|stream| {
        // Unread bytes make the kernel reset it.
        let mut peeked = [0];
        stream.peek(&mut peeked).unwrap();
    });
    let finding = Bench::new(8).finding(order(Address::Tcp(address), get(|_| {})));
    assert_eq!(finding, failed("connection reset"));
}

#[test]
fn no_more_than_so_many_are_on_their_way() {
    let (gate, go) = std::sync::mpsc::sync_channel::<()>(0);
    let go = Arc::new(std::sync::Mutex::new(go));
    let address = server(move |mut stream| {
        head(&mut stream);
        let _ = go.lock().unwrap().recv();
        let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
    });
    let mut bench = Bench::new(2);
    let order = || order(Address::Tcp(address), get(|_| {}));
    bench.prober.probe(order()).unwrap();
    bench.prober.probe(order()).unwrap();
    let back = bench.prober.probe(order()).expect_err("a third");
    let Unprobed::Share(back) = back else { panic!("{back:?}") };
    assert_eq!((back.slot, back.generation), (InstanceSlot(3), 7));
    assert_eq!(bench.prober.stats().on_their_way(), 2);
    drop(gate);
    let mut results = bench.results();
    while results.len() < 2 {
        results.extend(bench.results());
    }
    let begun = Instant::now();
    while bench.prober.probe(order()).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10), "there is no room again");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The log is full for a while: every verdict comes all the same.
#[test]
fn a_full_log_loses_nothing() {
    let (proposer, mut log) = log::in_memory();
    let filler = || Command::Probed(Vec::new());
    while proposer.waker().offer(filler()).is_ok() {}
    let prober = start(proposer.waker(), 64, Voice::new(|_| {})).unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let order = || order(Address::Tcp(nobody), HealthCheck::of(Probe::Tcp));
    let of = |number| ProbeOrder { service: ServiceId(number), ..order() };
    (0..64).for_each(|number| prober.probe(of(number % 4)).unwrap());
    let begun = Instant::now();
    while prober.stats().failed.get() < 1 {
        assert!(begun.elapsed() < Duration::from_secs(10));
        thread::sleep(Duration::from_millis(1));
    }
    assert!(prober.probe(order()).is_err(), "they have their places until they are in the log");
    let mut count = 0;
    while count < 64 {
        let next = log.next(Duration::from_secs(10)).unwrap().expect("a verdict is lost");
        let Command::Probed(probed) = next.1.command else { panic!() };
        count += probed.len();
    }
}

/// Instances that let every probe wait leave places for those of other services.
#[test]
fn one_service_does_not_take_all_places() {
    let silent = Address::Tcp(server(|mut stream| {
        drop(stream.read(&mut [0; 4096]).map(|_| thread::park()))
    }));
    let slow = || {
        let (every, timeout) = (Duration::from_secs(60), Duration::from_secs(60));
        order(silent.clone(), HealthCheck { every, timeout, ..get(|_| {}) })
    };
    let mut bench = Bench::new(8);
    for _ in 0..6 {
        bench.prober.probe(slow()).unwrap();
    }
    assert!(matches!(bench.prober.probe(slow()), Err(Unprobed::Share(_))));
    let well = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let other = || ProbeOrder { service: ServiceId(2), ..order(well.clone(), get(|_| {})) };
    assert_eq!(bench.finding(other()), Finding::Passed);
    assert_eq!(bench.prober.stats().held_back.get(), 1);
    for _ in 0..2 {
        let order = ProbeOrder { service: ServiceId(2), ..slow() };
        until_taken(&bench, order);
    }
    assert!(matches!(bench.prober.probe(other()), Err(Unprobed::Full(_))));
}

/// A place is free a moment after the verdict.
fn until_taken(bench: &Bench, order: ProbeOrder) {
    let begun = Instant::now();
    while bench.prober.probe(order.clone()).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        thread::sleep(Duration::from_millis(5));
    }
}
