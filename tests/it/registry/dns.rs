//! Instances by name: what dnsmasq says of them is what is served, and what it does not say changes nothing.

use std::net::{IpAddr, TcpListener};

use super::served_by;
use crate::harness::clock::until;
use crate::harness::dns::{Dnsmasq, Mood, Upstream, hosts};
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::Origin;

/// Origins at addresses of loopback that share a port.
fn origins<const N: usize>(named: [(&'static str, &str); N]) -> ([Origin; N], u16) {
    let listeners = until("a port that all addresses have", || {
        let mut port = 0;
        let bound = named.map(|(_, ip)| {
            let listener = TcpListener::bind((ip.parse::<IpAddr>().unwrap(), port)).ok()?;
            port = listener.local_addr().unwrap().port();
            Some(listener)
        });
        bound.iter().all(Option::is_some).then(|| bound.map(Option::unwrap))
    });
    let port = listeners[0].local_addr().unwrap().port();
    let mut names = named.iter();
    let origins = listeners.map(|listener| Origin::named_at(names.next().unwrap().0, listener));
    (origins, port)
}

/// A gateway whose service `s` is looked up at this server.
fn gateway(server: &Dnsmasq, source: &str) -> Gateway {
    gateway_with(server, &format!("instances = {source:?}"))
}

fn gateway_with(server: &Dnsmasq, instances: &str) -> Gateway {
    let dns = format!(
        "[dns]\nservers = \"{}\"\ntimeout = \"500ms\"\nmax_ttl = \"1s\"\n",
        server.address()
    );
    Setup::run(&format!("{dns}{}", config("", "", &[]).replace("instances = []", instances)))
        .start()
}

/// A gauge of the only source.
#[track_caller]
fn gauge(gateway: &Gateway, name: &str) -> f64 {
    let metrics = gateway.admin("GET", "/metrics").text();
    let start = format!("coregate_source_{name}{{");
    let line = metrics.lines().find(|line| line.starts_with(&start));
    let value = line.and_then(|line| line.rsplit_once(' ')).unwrap_or_else(|| panic!("{metrics}"));
    value.1.parse().unwrap()
}

#[test]
fn who_has_the_name_is_served_from_the_first_request_on() {
    let (_origins, port) = origins([("two", "127.0.0.2"), ("three", "127.0.0.3")]);
    let upstream = Upstream::start();
    let server = Dnsmasq::start("127.0.0.2 users.test\n", upstream.address(), &[]);
    let gateway = gateway(&server, &format!("dns:users.test:{port}"));
    assert_eq!(gateway.client().get("/").text(), "two GET /", "a start waits for the first answer");
    server.hosts("127.0.0.2 users.test\n127.0.0.3 users.test\n");
    served_by(&gateway, &["three", "two"]);
    server.hosts("127.0.0.3 users.test\n");
    served_by(&gateway, &["three"]);
    // The name is gone, which has to be said twice; then it comes back.
    server.hosts("127.0.0.3 other.test\n");
    served_by(&gateway, &["503"]);
    assert_eq!(gauge(&gateway, "failing"), 0.0);
    server.hosts("127.0.0.2 users.test\n");
    served_by(&gateway, &["two"]);
}

/// A name server that says nothing holds up nobody for longer than a second; that it has failed is an answer to that too.
#[test]
fn a_start_waits_only_so_long_for_first_answers() {
    let (_origins, port) = origins([("two", "127.0.0.2")]);
    let upstream = Upstream::start();
    upstream.is(Mood::Silent);
    let server = Dnsmasq::start("", upstream.address(), &[]);
    let gateway = gateway(&server, &format!("dns:app.up:{port}"));
    assert_eq!(gateway.client().get("/").status, 503);
    gateway.says("it has brought no instances yet");
    upstream.is(Mood::Well);
    served_by(&gateway, &["two"]);
}

#[test]
fn a_server_that_fails_changes_nothing() {
    let (_origins, port) = origins([("two", "127.0.0.2")]);
    let upstream = Upstream::start();
    let mut server = Dnsmasq::start("", upstream.address(), &[]);
    let gateway = gateway(&server, &format!("dns:app.up:{port}"));
    served_by(&gateway, &["two"]);
    let mut told = 0;
    for (mood, why) in [
        (Mood::Failing, "SERVFAIL; its instance is kept"),
        (Mood::Silent, "no answer within 0.5 s; its instance is kept"),
    ] {
        upstream.is(mood);
        gateway.says_after(told, why);
        assert_eq!(gauge(&gateway, "failing"), 1.0);
        upstream.was_asked(4);
        served_by(&gateway, &["two"]);
        upstream.is(Mood::Well);
        gateway.says_after(told, "answers again");
        told = gateway.told();
        assert!(gauge(&gateway, "answer_age_seconds") < 10.0);
    }
    server.kill();
    gateway.says_after(told, "its instance is kept");
    served_by(&gateway, &["two"]);
    assert_eq!(gauge(&gateway, "instances"), 1.0);
    drop(server);
}

#[test]
fn a_name_that_is_said_not_to_be_once_is_still_served() {
    let (_origins, port) = origins([("two", "127.0.0.2")]);
    let upstream = Upstream::start();
    let server = Dnsmasq::start("", upstream.address(), &[]);
    let gateway = gateway(&server, &format!("dns:app.up:{port}"));
    served_by(&gateway, &["two"]);
    let mut client = gateway.client();
    upstream.is(Mood::Empty);
    upstream.was_asked(1);
    assert_eq!(client.get("/").text(), "two GET /");
    served_by(&gateway, &["503"]);
}

#[test]
fn five_hundred_addresses_are_all_there() {
    let upstream = Upstream::start();
    let some = |from: u32, count: u32| {
        let all =
            (from..from + count).map(|n| std::net::Ipv4Addr::from(0x7f09_0000 + n).to_string());
        hosts("many.test", all)
    };
    let server = Dnsmasq::start(&some(1, 500), upstream.address(), &[]);
    let gateway = gateway(&server, "dns:many.test:9");
    assert_eq!(gauge(&gateway, "instances"), 500.0);
    server.hosts(&some(251, 500));
    until("all of the others", || {
        assert_eq!(gauge(&gateway, "instances"), 500.0);
        (gauge(&gateway, "looks_total") > 4.0).then_some(())
    });
    server.hosts(&some(1, 3));
    until("three are left", || (gauge(&gateway, "instances") == 3.0).then_some(()));
}

#[test]
fn records_of_a_service_have_ports_weights_and_priorities() {
    let (_origins, port) = origins([("two", "127.0.0.2"), ("three", "127.0.0.3")]);
    let (_others, spare) = origins([("spare", "127.0.0.4")]);
    let upstream = Upstream::start();
    let name = "_http._tcp.users.test";
    let records = [
        format!("--srv-host={name},two.test,{port},10,5"),
        format!("--srv-host={name},three.test,{port},10,5"),
        format!("--srv-host={name},four.test,{spare},20,5"),
    ];
    let records: Vec<_> = records.iter().map(String::as_str).collect();
    let hosts = "127.0.0.2 two.test\n127.0.0.3 three.test\n127.0.0.4 four.test\n";
    let server = Dnsmasq::start(hosts, upstream.address(), &records);
    let gateway = gateway(&server, &format!("srv:{name}"));
    served_by(&gateway, &["three", "two"]);
    server.hosts("127.0.0.3 three.test\n127.0.0.4 four.test\n");
    served_by(&gateway, &["three"]);
}

/// The configuration names one, a name brings another; a reload takes the name away, and brings it back.
#[test]
fn a_reload_adds_and_removes_sources() {
    let (_origins, port) = origins([("two", "127.0.0.2")]);
    let fixed = Origin::named("fixed");
    let upstream = Upstream::start();
    let server = Dnsmasq::start("127.0.0.2 users.test\n", upstream.address(), &[]);
    let both = format!("instances = [\"dns:users.test:{port}\", \"{}\"]", fixed.address());
    let gateway = gateway_with(&server, &both);
    served_by(&gateway, &["fixed", "two"]);
    let file = gateway.folder.path("coregate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let one = format!("instances = [\"{}\"]", fixed.address());
    std::fs::write(&file, text.replace(&both, &one)).unwrap();
    assert_eq!(gateway.command(&["reload"]).code, Some(0));
    for _ in 0..8 {
        assert_eq!(gateway.client().get("/").text(), "fixed GET /");
    }
    std::fs::write(&file, text).unwrap();
    assert_eq!(gateway.command(&["reload"]).code, Some(0));
    served_by(&gateway, &["fixed", "two"]);
}

/// The successor begins with what was known, though its server says nothing.
#[test]
fn an_upgrade_keeps_what_was_found() {
    let (_origins, port) = origins([("two", "127.0.0.2")]);
    let upstream = Upstream::start();
    let server = Dnsmasq::start("", upstream.address(), &[]);
    let mut gateway = gateway(&server, &format!("dns:app.up:{port}"));
    served_by(&gateway, &["two"]);
    upstream.is(Mood::Silent);
    gateway.says("its instance is kept");
    gateway.upgrade();
    for _ in 0..8 {
        assert_eq!(gateway.client().get("/").text(), "two GET /");
    }
    upstream.is(Mood::Empty);
    served_by(&gateway, &["503"]);
}
