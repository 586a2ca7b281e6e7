//! Whole files: good ones, what they mean, and that no text panics.

mod broken;
mod files;
mod policies;
mod routes;
mod services;

use std::path::{Path, PathBuf};
use std::time::Duration;

use coregate_core::base::ids::{ListenerId, ServiceId};
use coregate_core::base::limits;
use coregate_core::http::head::Head;
use coregate_core::proxy_protocol::ProxyVersion;
use coregate_core::snapshot::compile::compile;
use coregate_core::snapshot::plan::{
    Admission, DnsTerms, HealthCheck, HttpProbe, OutlierRate, OutlierTerms, Probe,
};
use coregate_core::snapshot::router::Asked;
use proptest::prelude::*;

use crate::changes::between;
use crate::language;
use crate::show::tests::same_when_expanded;
use crate::{
    Cores, Io, Loaded, RuntimeSettings, Scope, Secret, Settings, Severity, StatePlace, load, parse,
};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data").join(name)
}

fn example(name: &str) -> Settings {
    let loaded = load(&data("examples").join(name));
    assert_eq!(loaded.report.render(false), "", "{name}");
    assert_eq!(loaded.report.to_json(), "[]");
    let settings = loaded.settings.unwrap();
    compile(&settings.plan, 1).unwrap();
    assert_eq!(settings.listeners.len(), settings.plan.listeners.len());
    settings
}

fn good(text: &str) -> Settings {
    let loaded = parse("good.toml", text);
    assert_eq!(loaded.report.render(false), "", "{text}");
    loaded.settings.unwrap()
}

fn routes(settings: &Settings) -> Vec<(String, &str)> {
    let routes = settings.plan.routes.iter();
    routes.map(|route| (route.name(), route.services().next().unwrap_or_default())).collect()
}

fn names(settings: &Settings) -> Vec<(&str, Vec<String>)> {
    let shown = |bind: &Vec<_>| bind.iter().map(ToString::to_string).collect();
    settings.listeners.iter().map(|one| (one.name.as_str(), shown(&one.bind))).collect()
}

#[test]
fn the_smallest_file() {
    let text = std::fs::read_to_string(data("examples/minimal.toml")).unwrap();
    assert_eq!(text.lines().count(), 5);
    let settings = example("minimal.toml");
    assert_eq!(settings.runtime, RuntimeSettings::default());
    assert_eq!(names(&settings), [("default", vec!["127.0.0.1:8080".to_owned()])]);
    assert_eq!(routes(&settings), [("/users/*".to_owned(), "users")]);
    let service = &settings.plan.services[0];
    assert_eq!(service.instances.len(), 2);
    assert_eq!(service.timeout, Default::default());
    assert_eq!(service.pool, Default::default());
    let terms = settings.plan.listeners[0].terms;
    assert_eq!(terms.request.head_bytes, limits::REQUEST_HEAD_BYTES);
    assert_eq!((terms.body_bytes, terms.expose_reasons), (None, false));
}

#[test]
fn every_key() {
    let settings = example("full.toml");
    let runtime = &settings.runtime;
    assert_eq!((&runtime.cores, runtime.io), (&Cores::Auto, Io::Auto));
    assert_eq!((runtime.workers, runtime.connections), (Some(2), Some(10_000)));
    let admin: Vec<_> = runtime.admin.iter().flatten().map(ToString::to_string).collect();
    assert_eq!(admin, ["unix:/run/coregate/admin.sock", "127.0.0.1:9900"]);
    assert_eq!(runtime.admin_token, Some(Secret::Env("COREGATE_ADMIN_TOKEN".into())));
    assert_eq!((runtime.drain, runtime.drain_delay), (limits::SHUTDOWN_TIME, limits::DRAIN_DELAY));
    assert_eq!(settings.listeners[0].name, "public");
    assert_eq!(settings.listeners[0].bind.len(), 2);
    assert_eq!(settings.listeners[1].name, "local");
    assert_eq!(settings.listeners[2].name, "mysql");
    let [public, local, mysql] = &settings.plan.listeners[..] else { panic!("three listeners") };
    assert_eq!((public.name.as_str(), public.tcp.as_deref()), ("public", None));
    let trusted = public.proxy_protocol.as_ref().unwrap();
    assert!(
        ["10.1.2.3", "192.0.2.7", "2001:db8::1", "::ffff:10.1.2.3"]
            .iter()
            .all(|peer| trusted.trusts(Some(peer.parse().unwrap())))
    );
    assert!(!trusted.trusts(Some("192.0.2.8".parse().unwrap())) && trusted.trusts(None));
    assert_eq!((mysql.tcp.as_deref(), &mysql.proxy_protocol), (Some("mysql"), &None));
    let [public, local] = [public.terms, local.terms];
    assert_eq!(public.body_bytes, Some(1 << 30));
    assert_eq!((public.expose_reasons, local.expose_reasons), (false, true));
    for terms in [public, local] {
        assert_eq!(terms.head_timeout, limits::HEAD_TIMEOUT);
        assert_eq!(terms.idle_timeout, limits::IDLE_TIMEOUT);
        assert_eq!(terms.body_timeout, limits::BODY_TIMEOUT);
        assert_eq!(terms.request.head_bytes, limits::REQUEST_HEAD_BYTES);
        assert_eq!(terms.request.target_bytes, limits::REQUEST_TARGET_BYTES);
        assert_eq!(terms.request.fields, limits::REQUEST_FIELDS);
        assert_eq!(terms.requests, limits::REQUESTS_PER_CONNECTION);
        assert_eq!(terms.body_rate, limits::BODY_RATE);
    }
    assert_eq!(runtime.state, Some(StatePlace::Memory));
    assert_eq!(settings.dns.servers.len(), 1);
    assert_eq!(
        settings.dns,
        DnsTerms { servers: settings.dns.servers.clone(), ..DnsTerms::default() }
    );
    assert!(Scope::ALL.iter().all(|scope| settings.grants["deploy"].allows(*scope, "sessions")));
    assert!(!settings.grants["deploy"].allows(Scope::Read, "monolith"));
    let sessions = &settings.plan.services[3];
    assert_eq!((sessions.sources.len(), sessions.register), (2, Admission::Token));
    let probe = Probe::Http(Box::new(HttpProbe {
        host: Some("sessions.internal".into()),
        headers: vec![("x-from".into(), "coregate".into())],
        body: Some("ok".into()),
        ..HttpProbe::get("/healthz")
    }));
    let health = HealthCheck { port: Some(9001), ..HealthCheck::of(probe) };
    assert_eq!(sessions.health, Some(health));
    let rate = OutlierRate {
        errors_percent: 50,
        min_requests: limits::OUTLIER_MIN_REQUESTS,
        window: limits::OUTLIER_WINDOW,
    };
    assert_eq!(sessions.outlier, OutlierTerms { rate: Some(rate), ..OutlierTerms::default() });
    // The comments of the file say that these are the defaults.
    assert_eq!(settings.plan.services[0].outlier, OutlierTerms::default());
    for service in &settings.plan.services {
        assert_eq!((service.slow_start, service.attempts), (limits::SLOW_START, limits::ATTEMPTS));
        assert_eq!(service.timeout, Default::default());
        assert_eq!(service.pool, Default::default());
    }
    let versions = settings.plan.services.iter().map(|service| service.proxy_protocol);
    assert_eq!(versions.collect::<Vec<_>>(), [None, None, Some(ProxyVersion::V2), None]);
    assert_eq!(settings.plan.services[0].instances.len(), 4);
    let expected = [
        ("/sessions/*", "sessions"),
        ("/users/*", "users"),
        ("/users", "users"),
        ("shop.example.com/*", "monolith"),
        ("shop.example.com/api/users/*", "users"),
        ("*.example.com/api/*", "users"),
    ];
    assert_eq!(routes(&settings), expected.map(|(route, service)| (route.to_owned(), service)));
}

#[test]
fn hosts_and_unix_sockets() {
    let hosts = example("hosts.toml");
    assert_eq!(routes(&hosts).len(), 5);
    assert!(routes(&hosts).contains(&("/*".to_owned(), "static")));
    let unix = example("unix.toml");
    assert_eq!(unix.listeners[0].bind[0].to_string(), "unix:/run/coregate/http.sock");
    assert_eq!(unix.plan.services[0].timeout.connect, Duration::from_millis(50));
}

#[test]
fn several_teams() {
    let teams = example("teams.toml");
    let services: Vec<_> = teams.plan.services.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(services, ["website", "orders", "users", "users-next"]);
    for service in &teams.plan.services {
        assert_eq!(service.timeout.connect, Duration::from_millis(250), "{}", service.name);
    }
    let next = &teams.plan.services[3];
    assert_eq!((next.instances.len(), next.pool.idle), (1, Duration::from_secs(30)));
    assert_eq!(teams.plan.listeners[0].terms.body_bytes, Some(1 << 20));
}

#[test]
fn other_ways_to_write_it() {
    let rest = "[routes]\n'/*' = 'users'\n[services]\nusers.instances = ['127.0.0.1:1']\n";
    for (cores, expected) in [
        ("4", Cores::Count(4)),
        ("0x10", Cores::Count(16)),
        ("'4'", Cores::Count(4)),
        ("'3-3'", Cores::List(vec![3])),
        ("'isolated'", Cores::Isolated),
    ] {
        let text =
            format!("listen = ['127.0.0.1:0', '127.0.0.1:0']\nruntime.cores = {cores}\n{rest}");
        assert_eq!(good(&text).runtime.cores, expected);
    }
    for (admin, expected) in [
        ("[]", vec![]),
        ("'unix:/a'", vec!["unix:/a"]),
        ("'127.9.9.9:1'", vec!["127.9.9.9:1"]),
        (
            "['[::1]:0', '127.0.0.1:0', '127.0.0.1:0']",
            vec!["[::1]:0", "127.0.0.1:0", "127.0.0.1:0"],
        ),
    ] {
        let text = format!("listen = '127.0.0.1:0'\nruntime.admin = {admin}\n{rest}");
        let found = good(&text).runtime.admin.unwrap();
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    }
    let token = "runtime = { admin_token.file = '/a b', drain_delay = '0s', drain = '1ms' }";
    let runtime = good(&format!("listen = '127.0.0.1:0'\n{token}\n{rest}")).runtime;
    assert_eq!(runtime.admin_token, Some(Secret::File("/a b".into())));
    assert_eq!((runtime.drain_delay, runtime.drain), (Duration::ZERO, Duration::from_millis(1)));
    assert_eq!(runtime.admin, None);
    // With a small head and no word about the target, the target shrinks too.
    let text = format!("[listeners.l]\nbind = '127.0.0.1:0'\nlimits.head = '4KiB'\n{rest}");
    let request = good(&text).plan.listeners[0].terms.request;
    assert_eq!((request.head_bytes, request.target_bytes), (4096, 2048));
    let listener = |lines: &str| {
        let text = format!("[listeners.l]\nbind = 'unix:/a'\n{lines}\n{rest}");
        good(&text).plan.listeners[0].clone()
    };
    let terms = listener("limits = { requests = 1, body_rate = 0 }").terms;
    assert_eq!((terms.requests, terms.body_rate), (1, 0));
    assert_eq!(listener("limits.body_rate = '64KiB'").terms.body_rate, 65_536);
    assert_eq!((terms.connections, terms.connections_per_address), (None, None));
    let terms =
        listener("limits = { connections = 100_000_000, connections_per_address = 1 }").terms;
    assert_eq!((terms.connections, terms.connections_per_address), (Some(100_000_000), Some(1)));
    let passed_on = "[listeners.l]\nbind = 'unix:/a'\ntcp = 'users'\nlimits.connections = 5\n\
                     [services]\nusers.instances = ['127.0.0.1:1']\n";
    assert_eq!(good(passed_on).plan.listeners[0].terms.connections, Some(5));
    let trusted = listener("proxy_protocol.from = ['::ffff:10.0.0.0/104']").proxy_protocol;
    assert_eq!(trusted.unwrap().networks[0].to_string(), "10.0.0.0/8");
    // Windows' line ends and a byte order mark.
    good(&format!("\u{feff}listen = '127.0.0.1:0'\n{rest}").replace('\n', "\r\n"));
}

#[test]
fn who_may_register() {
    let read = |register: &str| {
        let text = format!("listen = '127.0.0.1:0'\nroutes.'/*' = 's'\n[services.s]\n{register}\n");
        let settings = good(&text);
        let service = &settings.plan.services[0];
        assert!(service.instances.is_empty());
        (service.register, settings.tokens.get("s").cloned())
    };
    assert_eq!(read("register = true"), (Admission::Socket, None));
    assert_eq!(read("register = false"), (Admission::Nobody, None));
    let token = |secret| (Admission::Token, Some(secret));
    assert_eq!(read("register.token.env = 'T'"), token(Secret::Env("T".into())));
    let file = "register = { token = { file = '/run/t' } }";
    assert_eq!(read(file), token(Secret::File("/run/t".into())));
}

#[test]
fn without_requests() {
    let services = "[services.a]\ninstances = []\nproxy_protocol = 'v1'\ntimeout.tunnel = '5m'\n";
    let tcp = "bind = '127.0.0.1:0'\ntcp = 'a'\n";
    let settings = good(&format!("[listeners.l]\n{tcp}{services}"));
    assert!(settings.plan.routes.is_empty());
    let service = &settings.plan.services[0];
    assert_eq!(service.proxy_protocol, Some(ProxyVersion::V1));
    assert_eq!(service.timeout.tunnel, Duration::from_secs(300));
    let snapshot = compile(&settings.plan, 1).unwrap();
    assert_eq!(snapshot.listener(ListenerId(0)).unwrap().tcp, Some(ServiceId(0)));
    // The deadline of a head is that of a PROXY protocol header too.
    let header = "proxy_protocol.from = ['unix']\ntimeout.head = '1s'\n";
    let listener = &good(&format!("[listeners.l]\n{tcp}{header}{services}")).plan.listeners[0];
    assert_eq!(listener.terms.head_timeout, Duration::from_secs(1));
}

#[test]
fn without_a_file() {
    let address = |text: &str| text.parse().unwrap();
    let settings = Settings::to_instances(
        &[address("127.0.0.1:0")],
        &[address("unix:/a"), address("[::1]:1")],
    );
    assert_eq!(names(&settings), [("default", vec!["127.0.0.1:0".to_owned()])]);
    assert_eq!(routes(&settings), [("/*".to_owned(), "upstream")]);
    let snapshot = compile(&settings.plan, 1).unwrap();
    let head = Head::default();
    let (host, path) = (&b"any.example"[..], &b"/x"[..]);
    let asked = Asked { method: b"GET", host, path, query: None, head: &head };
    assert!(snapshot.find(&asked).is_ok());
}

#[test]
fn files_that_cannot_be_read() {
    let check = |loaded: Loaded, code: &str, line: usize, column: usize| {
        assert!(loaded.settings.is_none() && loaded.report.has_errors() && loaded.text.is_none());
        let fault = &loaded.report.diagnostics()[0];
        assert_eq!((fault.code, fault.line, fault.column), (code, line, column));
        assert!(loaded.report.render(false).ends_with("1 error\n"));
    };
    check(load(&data("nothing-here.toml")), "E0001", 0, 0);
    check(load(&data("examples")), "E0001", 0, 0);
    check(load(&data("config/latin1.toml")), "E0002", 2, 12);
}

#[test]
fn the_text_is_kept() {
    let path = data("examples/minimal.toml");
    assert_eq!(load(&path).text, Some(std::fs::read_to_string(path).unwrap()));
    // So it is where it is of no use.
    assert_eq!(parse("bad.toml", "x = ").text.as_deref(), Some("x = "));
}

#[test]
fn the_docs_list_every_code() {
    for code in crate::codes::ALL {
        assert!(include_str!("../lib.rs").contains(&format!("//! | {code} | ")), "{code}");
    }
}

#[test]
fn the_docs_list_every_key_of_runtime() {
    let example = include_str!("../../../tests/data/examples/full.toml");
    for key in crate::words::RUNTIME {
        assert!(example.contains(&format!("\n{key} = ")), "{key} in full.toml");
        assert!(include_str!("../../../tuning.md").contains(&format!("| `{key}` |")), "{key}");
    }
}

#[test]
fn tuning_lists_every_key_of_services_tokens_and_names() {
    let tuning = include_str!("../../../tuning.md");
    let sections = [
        (&language::HEALTH, "health."),
        (&language::OUTLIER, "outlier."),
        (&language::RETRY, "retry."),
        (&language::BULKHEAD, "bulkhead."),
        (&language::SERVICE_TIMEOUT, "timeout."),
        (&language::POOL, "pool."),
        (&language::DNS, ""),
        (&language::GRANT, ""),
        (&language::CONSUMER, ""),
        (&language::AUTH, ""),
        (&language::RATE, ""),
    ];
    for (section, within) in sections {
        for key in section.keys() {
            assert!(
                tuning.contains(&format!("| `{within}{}` |", key.name)),
                "{within}{}",
                key.name
            );
        }
    }
    for key in [
        "health",
        "outlier",
        "bulkhead",
        "slow_start",
        "register",
        "proxy_protocol",
        "auth",
        "allow",
        "deny",
        "rate",
        "rate_headers",
    ] {
        assert!(tuning.contains(&format!("| `{key}` |")), "{key}");
    }
}

#[test]
fn a_report_is_bounded() {
    let text: String = (0..5_000).map(|at| format!("key{at} = 1\n")).collect();
    let report = parse("many.toml", &text).report;
    assert_eq!(report.diagnostics().len(), 1_000);
    let closing = "5002 errors, 4002 of them not shown\n";
    assert!(report.render(false).ends_with(closing), "{}", report.render(false));
    // A line too long to show is named.
    let text = format!("listen = \"{}\"", "x".repeat(100_000));
    let shown = parse("long.toml", &text).report.render(false);
    assert!(shown.contains("long.toml:1") && shown.len() < 2_000, "{shown}");
}

#[test]
fn nesting_does_not_exhaust_the_stack() {
    let key = ["a"; 79].join(".");
    for text in [
        format!("{}x = 1", "a.".repeat(100_000)),
        format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("a = {}1{}", format!("{{{key}=").repeat(78), "}".repeat(78)),
        format!("[{key}]\nb = {}1{}\nb = 2", format!("{{{key}=").repeat(78), "}".repeat(78)),
        format!("[routes.{key}]\nb = {}1{}", format!("{{{key}=").repeat(78), "}".repeat(78)),
    ] {
        never_panics(&text);
    }
}

/// Whatever the text, reading and showing it ends; and what passes compiles.
fn never_panics(text: &str) {
    let Loaded { settings, report, .. } = parse("any.toml", text);
    report.render(true);
    assert!(report.to_json().starts_with('['));
    assert_eq!(settings.is_none(), report.has_errors());
    for fault in report.diagnostics() {
        let Some(span) = &fault.span else { continue };
        // Places are those of the file, of which a text may hold several.
        let single = *fault.file == *"any.toml";
        assert!(!single || text.get(span.clone()).is_some(), "{fault:?}");
        assert!(fault.line > 0 && fault.column > 0);
    }
    if let Some(settings) = settings {
        let empty = Settings::to_instances(&[], &[]);
        assert!(!between(&empty, &settings).to_string().is_empty());
        assert!(between(&settings, &settings).is_empty());
        assert!(report.diagnostics().iter().all(|fault| fault.severity == Severity::Warning));
        compile(&settings.plan, 1).unwrap();
        same_when_expanded(text, settings);
    }
}

/// With what tables take over.
const HEIRS: &str = "listen = '127.0.0.1:0'\n[defaults]\nservice = { timeout.connect = '5s', pool = { idle = '1m' } }\n\
                     [defaults.listener]\nlimits = { body = '1MiB' }\n[routes]\n'/*' = 'b'\n'/a' = { to = 'a' }\n\
                     [services.a]\ninstances = ['127.0.0.1:1']\n[services.b]\nextends = 'a'\ntimeout.body = '1s'\n";

/// Two files as the history keeps them.
const BUNDLE: &str = "# coregate: files below lines of ====\n# ==== \"main.toml\"\ninclude = 'a.toml'\n\
                      listen = '127.0.0.1:0'\n[routes]\n'/*' = 's'\n# ==== \"a.toml\"\n[services.s]\ninstances = []\n\
                      [routes]\n'/a' = 's'\n";

fn mutated() -> impl Strategy<Value = String> {
    let mut files = [
        "minimal.toml",
        "hosts.toml",
        "unix.toml",
        "full.toml",
        "routes.toml",
        "registry.toml",
        "health.toml",
        "discovery.toml",
        "api-keys.toml",
        "login.toml",
    ]
    .map(|name| std::fs::read_to_string(data("examples").join(name)).unwrap())
    .to_vec();
    files.extend([HEIRS, BUNDLE].map(str::to_owned));
    let edit = (any::<prop::sample::Index>(), 0..12_usize, "[\\[\\]{}=.\"'#,\\n a-z0-9*/é]{0,4}");
    (prop::sample::select(files), prop::collection::vec(edit, 1..6)).prop_map(
        |(mut text, edits)| {
            for (at, cut, put) in edits {
                let start = text.floor_char_boundary(at.index(text.len().max(1)));
                let end = text.ceil_char_boundary(start + cut);
                text.replace_range(start..end, &put);
            }
            text
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        never_panics(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn random_tokens_do_not_panic(text in "([\\[\\]{}=.\"',#\\n ]|a|b|routes|services|/\\*|1|true){0,60}") {
        never_panics(&text);
    }

    #[test]
    fn mutations_do_not_panic(text in mutated()) {
        never_panics(&text);
    }
}
