//! Look-ups at a name server that says what a test wants, over UDP and TCP; families that fail alone, as data.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use hickory_resolver::proto::op::{Message, MessageType, OpCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME};

use super::*;
use crate::io::discover::keeper::Instances;

/// What the toy answers.
#[derive(Clone)]
enum Reply {
    Records(Vec<Record>),
    /// Answers, and what goes with them.
    Both(Vec<Record>, Vec<Record>),
    Code(ResponseCode),
    Silence,
}

type Play = dyn Fn(&str, RecordType) -> Reply + Send + Sync;

/// A name server. What it does not answer in 512 bytes over UDP it answers over TCP.
struct Toy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Toy {
    fn new(play: impl Fn(&str, RecordType) -> Reply + Send + Sync + 'static) -> Self {
        let play: Arc<Play> = Arc::new(play);
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (seen, told) = (Arc::clone(&play), Arc::clone(&asked));
        thread::spawn(move || {
            let mut buffer = [0; 2_048];
            while let Ok((count, from)) = udp.recv_from(&mut buffer) {
                let Some(mut answer) = answer(&buffer[..count], &*seen, &told, "udp") else {
                    continue;
                };
                if answer.to_vec().unwrap().len() > 512 {
                    answer.answers.clear();
                    answer.metadata.truncation = true;
                }
                udp.send_to(&answer.to_vec().unwrap(), from).unwrap();
            }
        });
        let told = Arc::clone(&asked);
        thread::spawn(move || {
            for mut stream in tcp.incoming().flatten() {
                let mut length = [0; 2];
                while stream.read_exact(&mut length).is_ok() {
                    let mut query = vec![0; u16::from_be_bytes(length).into()];
                    stream.read_exact(&mut query).unwrap();
                    let Some(answer) = answer(&query, &*play, &told, "tcp") else { continue };
                    let bytes = answer.to_vec().unwrap();
                    stream.write_all(&(bytes.len() as u16).to_be_bytes()).unwrap();
                    stream.write_all(&bytes).unwrap();
                }
            }
        });
        Self { address, asked }
    }

    fn resolver(&self) -> Resolver {
        let timeout = Duration::from_millis(300);
        Resolver::new(DnsTerms { servers: vec![self.address], timeout, ..DnsTerms::default() })
    }

    /// What was asked so far.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn answer(query: &[u8], play: &Play, asked: &Mutex<Vec<String>>, over: &str) -> Option<Message> {
    let query = Message::from_vec(query).unwrap();
    let question = query.queries[0].clone();
    let (name, kind) = (question.name().to_ascii(), question.query_type());
    asked.lock().unwrap().push(format!("{over} {kind} {name}"));
    let mut message = Message::response(query.metadata.id, OpCode::Query);
    debug_assert_eq!(message.metadata.message_type, MessageType::Response);
    message.add_query(question);
    match play(&name, kind) {
        Reply::Records(records) => drop(message.add_answers(records)),
        Reply::Both(records, more) => drop(message.add_answers(records).add_additionals(more)),
        Reply::Code(code) => message.metadata.response_code = code,
        Reply::Silence => return None,
    }
    Some(message)
}

fn name(name: &str) -> Name {
    Name::from_ascii(name).unwrap()
}

fn a(of: &str, last: u8) -> Record {
    Record::from_rdata(name(of), 20, RData::A(A(Ipv4Addr::new(10, 0, 0, last))))
}

fn aaaa(of: &str, last: u16) -> Record {
    Record::from_rdata(name(of), 10, RData::AAAA(AAAA(Ipv6Addr::new(0xfd, 0, 0, 0, 0, 0, 0, last))))
}

fn srv(of: &str, (priority, weight, port): (u16, u16, u16), target: &str) -> Record {
    Record::from_rdata(name(of), 30, RData::SRV(SRV::new(priority, weight, port, name(target))))
}

fn nothing() -> Reply {
    Reply::Records(Vec::new())
}

/// Runs a look-up where discovery would.
fn on_runtime<F: Future>(future: F) -> F::Output {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().unwrap();
    runtime.block_on(future)
}

fn addresses_of(toy: &Toy, host: &str) -> Answer {
    on_runtime(toy.resolver().addresses(host, 80, &mut Memory::default()))
}

fn services_of(toy: &Toy, name: &str) -> Answer {
    on_runtime(toy.resolver().services(name, &mut Memory::default()))
}

fn instances(all: &[(&str, u32)]) -> Instances {
    all.iter().map(|(address, weight)| (address.parse().unwrap(), *weight)).collect()
}

fn found(all: &[(&str, u32)], ttl: u64) -> Answer {
    let ttl = Duration::from_secs(ttl);
    Answer::Found { instances: instances(all), ttl, lacking: None }
}

#[test]
fn a_name_is_all_its_addresses() {
    let toy = Toy::new(|host, kind| match (host, kind) {
        ("users.test.", RecordType::A) => Reply::Records(vec![
            Record::from_rdata(name("users.test."), 7, RData::CNAME(CNAME(name("other.test.")))),
            a("other.test.", 1),
            a("other.test.", 2),
            Record::from_rdata(name("other.test."), 20, RData::A(A(Ipv4Addr::UNSPECIFIED))),
        ]),
        ("users.test.", RecordType::AAAA) => Reply::Records(vec![aaaa("users.test.", 3)]),
        _ => Reply::Code(ResponseCode::NXDomain),
    });
    let expected = found(&[("10.0.0.1:80", 1), ("10.0.0.2:80", 1), ("[fd::3]:80", 1)], 7);
    assert_eq!(addresses_of(&toy, "users.test"), expected);
    let none = Answer::Nothing { ttl: Duration::ZERO };
    assert_eq!(addresses_of(&toy, "nobody.test"), none);
    let long = format!("{}.test", "x".repeat(64));
    assert!(matches!(addresses_of(&toy, &long), Answer::Failed(_)), "no name at all");
}

#[test]
fn what_fails_says_so() {
    let toy = Toy::new(|name, _| match name {
        "broken.test." => Reply::Code(ResponseCode::ServFail),
        "refused.test." => Reply::Code(ResponseCode::Refused),
        "silent.test." => Reply::Silence,
        _ => nothing(),
    });
    let failed = |why: &str| Answer::Failed(why.to_owned());
    assert_eq!(addresses_of(&toy, "broken.test"), failed("A: SERVFAIL"));
    assert_eq!(addresses_of(&toy, "refused.test"), failed("A: REFUSED"));
    assert_eq!(addresses_of(&toy, "silent.test"), failed("A: no answer within 0.3 s"));
    assert_eq!(services_of(&toy, "broken.test"), failed("SERVFAIL"));
    assert_eq!(addresses_of(&toy, "nodata.test"), Answer::Nothing { ttl: Duration::ZERO });
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let terms = DnsTerms { servers: vec![nobody], ..DnsTerms::default() };
    let resolver = Resolver::new(terms);
    let answer = on_runtime(resolver.addresses("a.test", 80, &mut Memory::default()));
    assert!(matches!(answer, Answer::Failed(_)), "{answer:?}");
}

#[test]
fn five_hundred_addresses_come_over_tcp() {
    let toy = Toy::new(|host, kind| match kind {
        RecordType::A => {
            let ip = |n: u32| Ipv4Addr::from(0x0a00_0000 + n);
            let record = |n| Record::from_rdata(name(host), 5, RData::A(A(ip(n))));
            Reply::Records((1..=500).map(record).collect())
        }
        _ => nothing(),
    });
    let Answer::Found { instances, lacking: None, .. } = addresses_of(&toy, "many.test") else {
        panic!("not found");
    };
    assert_eq!(instances.len(), 500);
    let asked = toy.asked();
    assert!(asked.contains(&"tcp A many.test.".to_owned()), "{asked:?}");
}

#[test]
fn the_best_targets_have_ports_and_weights() {
    let service = "_http._tcp.test.";
    let toy = Toy::new(move |name, kind| match (name, kind) {
        ("_http._tcp.test.", RecordType::SRV) => Reply::Both(
            vec![
                srv(service, (10, 5, 8001), "one.test."),
                srv(service, (10, 0, 8002), "two.test."),
                srv(service, (10, 9, 0), "one.test."),
                srv(service, (20, 1, 8003), "backup.test."),
            ],
            vec![a("one.test.", 1)],
        ),
        ("two.test.", RecordType::A) => Reply::Records(vec![a("two.test.", 2)]),
        ("two.test.", RecordType::AAAA) => Reply::Records(vec![aaaa("two.test.", 2)]),
        ("none._tcp.test.", RecordType::SRV) => {
            Reply::Records(vec![srv("none._tcp.test.", (0, 0, 0), ".")])
        }
        ("lost._tcp.test.", RecordType::SRV) => Reply::Records(vec![
            srv("lost._tcp.test.", (1, 1, 1), "two.test."),
            srv("lost._tcp.test.", (1, 1, 1), "broken.test."),
        ]),
        ("broken.test.", _) => Reply::Code(ResponseCode::ServFail),
        _ => Reply::Code(ResponseCode::NXDomain),
    });
    let expected = [("10.0.0.1:8001", 5), ("10.0.0.2:8002", 1), ("[fd::2]:8002", 1)];
    assert_eq!(services_of(&toy, "_http._tcp.test"), found(&expected, 10));
    let asked = toy.asked();
    assert!(
        !asked.iter().any(|one| one.contains("one.test") || one.contains("backup")),
        "{asked:?}"
    );
    let nothing = |ttl| Answer::Nothing { ttl: Duration::from_secs(ttl) };
    assert_eq!(services_of(&toy, "none._tcp.test"), nothing(30));
    assert_eq!(services_of(&toy, "nobody.test"), nothing(0));
    assert_eq!(services_of(&toy, "lost._tcp.test"), Answer::Failed("A: SERVFAIL".to_owned()));
}

#[test]
fn a_family_that_fails_keeps_what_it_had() {
    let seconds = Duration::from_secs;
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let four = |last: u8| Ok((vec![IpAddr::from([10, 0, 0, last])], seconds(5)));
    let six = || Ok((vec![ip("fd::1")], seconds(9)));
    let failed = || Err(Missing::Failed("x".into()));
    let none = |no_name| Err(Missing::Nothing { ttl: seconds(3), no_name });
    let host = name("h.");
    let mut memory = Memory::default();
    let mut judge = |families| {
        let host = families::judge(&host, families, &mut memory);
        if matches!(host, Host::Found { .. }) {
            memory.keep();
        }
        host
    };
    let found = |all: &[&str], ttl, lacking: Option<&str>| Host::Found {
        addresses: all.iter().map(|text| ip(text)).collect(),
        ttl: seconds(ttl),
        lacking: lacking.map(str::to_owned),
    };
    assert_eq!(judge([four(1), failed()]), found(&["10.0.0.1"], 5, Some("AAAA: x")));
    assert_eq!(judge([four(1), six()]), found(&["10.0.0.1", "fd::1"], 5, None));
    assert_eq!(judge([four(2), failed()]), found(&["10.0.0.2", "fd::1"], 5, Some("AAAA: x")));
    assert_eq!(judge([failed(), six()]), found(&["10.0.0.2", "fd::1"], 9, Some("A: x")));
    assert_eq!(judge([failed(), none(false)]), Host::Failed("A: x".into()));
    assert_eq!(judge([failed(), none(true)]), Host::Nothing { ttl: seconds(3) });
    assert_eq!(judge([none(false), none(false)]), Host::Nothing { ttl: seconds(3) });
    assert_eq!(judge([four(2), none(false)]), found(&["10.0.0.2"], 3, None));
    assert_eq!(judge([four(2), failed()]), found(&["10.0.0.2"], 5, Some("AAAA: x")));
}

#[test]
fn search_domains_hold_as_in_the_c_library() {
    let toy = Toy::new(|_, _| nothing());
    let servers = Servers::new(toy.resolver().terms().clone());
    let asker = servers.asker().unwrap();
    let tried = |asker: &Asker, name: &str| {
        let names = asker.names(name).unwrap();
        names.iter().map(Name::to_ascii).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(tried(&asker, "users"), "users.", "servers of the configuration search nothing");
    let kubernetes = asker.searching(&["prod.svc.k.", "svc.k."], 5);
    let expected = "users.x.prod.svc.k. users.x.svc.k. users.x.";
    assert_eq!(tried(&kubernetes, "users.x"), expected);
    assert_eq!(
        tried(&kubernetes, "a.b.c.d.e.f"),
        "a.b.c.d.e.f. a.b.c.d.e.f.prod.svc.k. a.b.c.d.e.f.svc.k."
    );
    assert_eq!(tried(&kubernetes, "users.x."), "users.x.");
}
