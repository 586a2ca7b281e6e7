//! What services say of health, outliers, weights and sources; tokens and name servers.

use std::ops::RangeInclusive;
use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::policy::queue::Class;
use coregate_core::snapshot::plan::{
    BulkheadPlan, DnsTerms, HealthCheck, HttpProbe, OutlierTerms, Probe, ServicePlan, Source,
};

use super::good;
use crate::{Scope, Secret, StatePlace, parse};

const REST: &str = "listen = '127.0.0.1:0'\nroutes.'/*' = 's'\n";

/// The service of a file that says this of it.
fn service(lines: &str) -> ServicePlan {
    good(&format!("{REST}[services.s]\n{lines}\n")).plan.services.remove(0)
}

fn health(value: &str) -> Option<HealthCheck> {
    service(&format!("register = true\nhealth = {value}")).health
}

fn http(value: &str) -> HttpProbe {
    match health(value).unwrap().probe {
        Probe::Http(probe) => *probe,
        Probe::Tcp => panic!("{value}: a request"),
    }
}

/// The codes of what is said of a file.
fn codes(text: &str) -> Vec<&'static str> {
    let report = parse("said.toml", text).report;
    report.diagnostics().iter().map(|fault| fault.code).collect()
}

#[test]
fn short_and_long_forms_of_health() {
    let get = |target: &str| Some(HealthCheck::of(Probe::Http(Box::new(HttpProbe::get(target)))));
    for (value, expected) in [
        ("'/healthz'", get("/healthz")),
        ("{ get = '/healthz' }", get("/healthz")),
        ("{ request = 'GET /healthz?deep=1' }", get("/healthz?deep=1")),
        ("'tcp'", Some(HealthCheck::of(Probe::Tcp))),
        ("{ tcp = true }", Some(HealthCheck::of(Probe::Tcp))),
        ("false", None),
    ] {
        assert_eq!(health(value), expected, "{value}");
    }
    let check = health("{ tcp = true, every = '1s', rise = 1, fall = 100, port = 65535 }").unwrap();
    let second = Duration::from_secs(1);
    assert_eq!((check.every, check.timeout), (second, second), "the timeout gives way");
    assert_eq!((check.rise, check.fall, check.port), (1, 100, Some(65_535)));
    let check = health("{ tcp = true, every = '100ms', timeout = '100ms' }").unwrap();
    assert_eq!(check.timeout, limits::PROBE_EVERY_MIN);
    assert_eq!(http("{ request = 'HEAD /' }").method, "HEAD");
}

#[test]
fn what_a_probe_sends_and_expects() {
    let statuses = |value: &str| http(&format!("{{ get = '/', status = {value} }}")).statuses;
    let ranges = |ranges: &[RangeInclusive<u16>]| ranges.to_vec();
    for (value, expected) in [
        ("204", ranges(&[204..=204])),
        ("'200-399'", ranges(&[200..=399])),
        ("['300-399', 200, 200]", ranges(&[200..=200, 300..=399])),
    ] {
        assert_eq!(statuses(value), expected, "{value}");
    }
    let probe = http(
        "{ get = '/', host = 'a:80', headers = { X-B = '2', x-a = '1' }, body = 'é', instance_id = true }",
    );
    let headers = [("x-a", "1"), ("x-b", "2")].map(|(name, value)| (name.into(), value.into()));
    assert_eq!((probe.host.as_deref(), probe.headers), (Some("a:80"), headers.to_vec()));
    assert_eq!((probe.body.as_deref(), probe.instance_id), (Some("é"), true));
}

#[test]
fn outliers() {
    let outlier = |value: &str| service(&format!("instances = []\noutlier = {value}")).outlier;
    assert_eq!(outlier("true"), OutlierTerms::default());
    assert_eq!(outlier("{}"), OutlierTerms::default());
    let never = outlier("false");
    assert_eq!((never.failures, never.rate), (0, None));
    let terms = outlier(
        "{ failures = 0, errors = '100%', min_requests = 1, window = '60s', ejected = '1ms..24h', most = '1%' }",
    );
    let rate = terms.rate.unwrap();
    assert_eq!((rate.errors_percent, rate.min_requests), (100, 1));
    assert_eq!((rate.window, terms.failures), (limits::OUTLIER_WINDOW_MAX, 0));
    assert_eq!((terms.ejected, terms.ejected_max), (Duration::from_millis(1), limits::TIMEOUT_MAX));
    assert_eq!(terms.most_percent, 1);
    let alone = outlier("{ ejected = '10s' }");
    assert_eq!((alone.ejected, alone.ejected_max), (Duration::from_secs(10), limits::EJECTED_MAX));
    let hour = Duration::from_secs(3600);
    let long = outlier("{ ejected = '1h' }");
    assert_eq!((long.ejected, long.ejected_max), (hour, hour));
    let one = service("instances = []\nretry = { attempts = 10 }\nslow_start = '0s'");
    assert_eq!((one.attempts, one.slow_start), (10, Duration::ZERO));
}

#[test]
fn bulkheads() {
    let consumers = "listen = '127.0.0.1:0'\nroutes.'/*' = { to = 's', auth = 'key' }\n\
        [consumers.a]\ngroups = ['gold', 'bots']\n\
        keys = [{ sha256 = '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef' }]\n";
    let bulkhead = |value: &str| {
        let service = format!("[services.s]\ninstances = []\nbulkhead = {value}\n");
        good(&format!("{consumers}{service}")).plan.services.remove(0).bulkhead
    };
    assert_eq!(bulkhead("false"), None);
    assert_eq!(bulkhead("true"), Some(BulkheadPlan::default()));
    assert_eq!(bulkhead("{}"), Some(BulkheadPlan::default()));
    let plan = bulkhead(
        "{ service = 1000000, instance = 1, connections = 7, queue = 0, wait = '1m', priority = { gold = 'high', bots = 'low' } }",
    );
    let plan = plan.unwrap();
    assert_eq!((plan.service, plan.instance, plan.connections), (Some(1_000_000), Some(1), 7));
    assert_eq!((plan.queue, plan.wait), (0, limits::BULKHEAD_WAIT_MAX));
    let priority = [("bots", Class::Low), ("gold", Class::High)];
    assert_eq!(plan.priority, priority.map(|(group, class)| (group.to_owned(), class)).into());
}

#[test]
fn weights_and_sources() {
    let one = service(
        "instances = ['10.0.0.1:9000 weight=1', '[::1]:9000  weight=65535', 'unix:/run/a b.sock weight=2', 'unix:/c weight', \
         'dns:users.internal.:9000', 'srv:_http._tcp.users', 'file_sd:/etc/a b.json']",
    );
    let addresses: Vec<_> = one.instances.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["10.0.0.1:9000", "[::1]:9000", "unix:/run/a b.sock", "unix:/c weight"]);
    let weights: Vec<_> =
        one.weights.iter().map(|(address, weight)| (address.to_string(), *weight)).collect();
    let expected = [("[::1]:9000", 65_535), ("unix:/run/a b.sock", 2)];
    assert_eq!(weights, expected.map(|(address, weight)| (address.to_owned(), weight)));
    let sources = [
        Source::Dns { host: "users.internal".into(), port: 9000 },
        Source::Srv { name: "_http._tcp.users".into() },
        Source::File("/etc/a b.json".into()),
    ];
    assert_eq!(one.sources, sources);
    let alone = service("instances = 'dns:users:9000'");
    assert_eq!((alone.sources.len(), alone.instances.len()), (1, 0));
}

/// `a` extends nothing, `b` extends `a`; both have defaults.
fn heirs(defaults: &str, a: &str, b: &str) -> [Option<HealthCheck>; 2] {
    let text = format!(
        "listen = '127.0.0.1:0'\n[routes]\n'/a' = 'a'\n'/b' = 'b'\n[defaults.service]\n{defaults}\n\
         [services.a]\ninstances = []\n{a}\n[services.b]\nextends = 'a'\n{b}\n"
    );
    let services = good(&text).plan.services;
    [services[0].health.clone(), services[1].health.clone()]
}

#[test]
fn health_is_inherited_key_by_key() {
    let base = "health = { get = '/a', every = '3s', status = 204, headers = { x-a = '1' } }";
    let [a, b] = heirs("", base, "health = { fall = 7, headers = { x-b = '2' } }");
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!((a.fall, b.fall, b.every), (limits::PROBE_FALL, 7, Duration::from_secs(3)));
    let Probe::Http(probe) = &b.probe else { panic!("{b:?}") };
    assert_eq!((probe.target.as_str(), probe.headers.len()), ("/a", 2));
    // Another question takes over the pace; a connection nothing that is for requests.
    let [_, b] = heirs("", base, "health = '/b'");
    let b = b.unwrap();
    let Probe::Http(probe) = &b.probe else { panic!("{b:?}") };
    assert_eq!((probe.target.as_str(), &probe.statuses), ("/b", &vec![204..=204]));
    assert_eq!(b.every, Duration::from_secs(3));
    for short in ["health = 'tcp'", "health = { tcp = true }"] {
        let [_, b] = heirs("", base, short);
        let b = b.unwrap();
        assert_eq!((b.probe, b.every), (Probe::Tcp, Duration::from_secs(3)));
    }
    let [a, b] = heirs("health = '/d'", "health = 'tcp'", "health = { request = 'HEAD /' }");
    assert_eq!(a.unwrap().probe, Probe::Tcp);
    assert!(matches!(b.unwrap().probe, Probe::Http(probe) if probe.method == "HEAD"));
    // A base in short takes nothing from its heir.
    let [a, b] = heirs("health = '/d'", "", "health = { every = '1s' }");
    assert_eq!(a.unwrap().every, limits::PROBE_EVERY);
    assert_eq!(b.unwrap().every, Duration::from_secs(1));
    assert_eq!(heirs("health = '/d'", "health = false", ""), [None, None]);
    let [a, b] = heirs("health = '/d'", "health = false", "health = 'tcp'");
    assert_eq!((a, b), (None, Some(HealthCheck::of(Probe::Tcp))));
}

#[test]
fn tokens() {
    let text = format!(
        "{REST}[services.s]\ninstances = []\n[tokens.a]\ntoken.env = 'A'\nservices = ['s', 't*', 's*']\n\
         scopes = ['operate', 'read', 'read']\n[tokens.b]\ntoken.file = '/b'\nservices = '*'\nscopes = 'register'\n"
    );
    assert_eq!(codes(&text), ["W0018"]);
    let grants = parse("tokens.toml", &text).settings.unwrap().grants;
    let a = &grants["a"];
    assert_eq!((&a.token, a.services.len()), (&Secret::Env("A".into()), 3));
    assert_eq!(Vec::from_iter(&a.scopes), [&Scope::Read, &Scope::Operate]);
    assert!(
        grants["b"].allows(Scope::Register, "whatever") && !grants["b"].allows(Scope::Read, "s")
    );
}

#[test]
fn name_servers_and_the_directory() {
    let settings = good(&format!(
        "{REST}services.s.instances = []\ndns.servers = ['127.0.0.1:53', '[::1]:5353']\ndns.min_ttl = '10m'\n\
         runtime.state = '/var/lib/coregate'\n"
    ));
    let dns = &settings.dns;
    let ten = Duration::from_secs(600);
    assert_eq!((dns.servers.len(), dns.min_ttl, dns.max_ttl), (2, ten, ten), "the most gives way");
    assert_eq!(settings.runtime.state, Some(StatePlace::Folder("/var/lib/coregate".into())));
    let short = good(&format!("{REST}services.s.instances = []\ndns.max_ttl = '1s'\n")).dns;
    let second = Duration::from_secs(1);
    assert_eq!(short, DnsTerms { min_ttl: second, max_ttl: second, ..DnsTerms::default() });
}

#[test]
fn more_probes_than_are_sent() {
    let probed = |count: usize, every: &str| {
        let all: Vec<_> =
            (0..count).map(|at| format!("'10.0.{}.{}:1'", at / 250, at % 250)).collect();
        let all = all.join(",");
        codes(&format!(
            "{REST}[services.s]\ninstances = [{all}]\nhealth = {{ tcp = true, every = '{every}' }}\n"
        ))
    };
    assert_eq!(probed(200, "100ms"), [""; 0]);
    assert_eq!(probed(201, "100ms"), ["W0016"]);
    assert_eq!(probed(4_000, "2s"), [""; 0]);
}
