//! Two files in, lines and JSON out; and what a large case costs.

use std::net::{Ipv4Addr, SocketAddr};

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{Action, Address, Forward, HostPattern, RoutePlan};
use serde_json::json;

use super::{Changes, between};
use crate::{Settings, parse};

const OLD: &str = "\
[runtime]
drain = '30s'
[listeners.public]
bind = ['127.0.0.1:80', '127.0.0.1:81']
[listeners.old]
bind = 'unix:/old'
[services.users]
instances = ['10.0.0.1:9000', '10.0.0.2:9000']
[services.spare]
instances = []
[routes]
'/users/*' = 'users'
'/old/*' = 'users'
'/spare' = 'spare'
";

fn settings(text: &str) -> Settings {
    let loaded = parse("test.toml", text);
    assert!(!loaded.report.has_errors(), "{}", loaded.report.render(false));
    loaded.settings.unwrap()
}

fn changes(old: &str, new: &str) -> Changes {
    between(&settings(old), &settings(new))
}

/// What becomes of [`OLD`] when these parts of it are replaced.
fn check(replace: &[(&str, &str)], expected: &[&str]) {
    let mut new = OLD.to_owned();
    for (from, to) in replace {
        assert!(new.contains(from), "{from:?} is not in the file");
        new = new.replacen(from, to, 1);
    }
    let changes = changes(OLD, &new);
    assert_eq!(changes.to_string(), expected.join("\n"), "{replace:?}");
    assert_eq!(changes.list().len(), expected.len());
    assert_eq!(changes.is_empty(), expected.is_empty());
}

#[test]
fn nothing() {
    check(&[], &[]);
    let order = "['10.0.0.2:9000', '10.0.0.1:9000']";
    check(&[("['10.0.0.1:9000', '10.0.0.2:9000']", order)], &[]);
    check(&[("['127.0.0.1:80', '127.0.0.1:81']", "['127.0.0.1:81', '127.0.0.1:80']")], &[]);
    check(&[("'/users/*' = 'users'\n", ""), ("'/spare'", "'/users/*' = 'users'\n'/spare'")], &[]);
    // A default that is written down, another unit, another way to write a path.
    check(&[("drain = '30s'", "drain = '30000ms'\ncores = 'auto'")], &[]);
    check(&[("'/users/*'", "'/./users/*'")], &[]);
    let nothing = changes(OLD, OLD).to_json();
    let empty = json!({ "added": [], "removed": [], "changed": [] });
    assert_eq!(
        nothing,
        json!({
            "runtime": [], "tokens": empty, "consumers": empty, "auth": empty, "rates": empty, "quotas": empty, "listeners": empty, "services": empty, "routes": empty,
        })
    );
}

#[test]
fn who_may_register() {
    let spare = |register: &str| format!("[services.spare]\n{register}\n");
    let line = "[services.spare]\ninstances = []\n";
    let changed = |register: &str, said: &[&str]| check(&[(line, &spare(register))], said);
    changed("register = true", &["~ service spare: register false -> true"]);
    changed(
        "register.token.env = 'A'",
        &[
            "~ service spare: register false -> with a token; register.token none -> environment variable A",
        ],
    );
    changed("instances = []\nregister = false", &[]);
}

#[test]
fn what_becomes_of_a_failing_instance() {
    let users = |keys: &str, said: &[&str]| {
        check(&[("[services.spare]", &format!("{keys}\n[services.spare]"))], said);
    };
    users("outlier = true\nslow_start = '10s'\nretry.attempts = 2\nhealth = false", &[]);
    users(
        "health = '/healthz'",
        &[
            "~ service users: health none -> GET /healthz; health.every none -> 5s; health.timeout none -> 2s; \
           health.rise none -> 2; health.fall none -> 3; health.status none -> 200-299; \
           health.instance_id none -> false",
        ],
    );
    users(
        "health = { tcp = true, port = 9001 }",
        &[
            "~ service users: health none -> tcp; health.every none -> 5s; health.timeout none -> 2s; \
           health.rise none -> 2; health.fall none -> 3; health.port none -> 9001",
        ],
    );
    users(
        "outlier = { errors = '30%', ejected = '10s..1m', most = '20%' }",
        &[
            "~ service users: outlier.errors none -> 30%; outlier.min_requests none -> 20; outlier.window none -> 10s; \
           outlier.ejected 30s..5m -> 10s..1m; outlier.most 50% -> 20%",
        ],
    );
    users("outlier = false", &["~ service users: outlier.failures 5 -> 0"]);
    users(
        "slow_start = '0s'\nretry.attempts = 1",
        &["~ service users: slow_start 10s -> 0s; retry.attempts 2 -> 1"],
    );
    let probe = "health = { request = 'HEAD /a', headers.x-a = '1', status = [204, '300-399'], host = 'b' }";
    let other = "health = { request = 'HEAD /b', headers.x-a = '2', status = 204, host = 'c' }";
    let [old, new] = [probe, other]
        .map(|line| OLD.replace("[services.spare]", &format!("{line}\n[services.spare]")));
    assert_eq!(
        changes(&old, &new).to_string(),
        "~ service users: health HEAD /a -> HEAD /b; health.host b -> c; \
         health.headers [x-a: 1] -> [x-a: 2]; health.status [204, 300-399] -> [204]"
    );
}

#[test]
fn weights_and_sources() {
    check(
        &[("'10.0.0.2:9000'", "'10.0.0.2:9000 weight=3', 'dns:users:9000'")],
        &["~ service users: instances none -> [10.0.0.2:9000 weight=3, dns:users:9000]"],
    );
    let sources = "[services.new]\ninstances = ['srv:_http._tcp.new', 'unix:/n', 'file_sd:/n.json']\n[services.spare]";
    check(
        &[("[services.spare]", sources), ("'/spare' = 'spare'", "'/spare' = 'new'")],
        &[
            "+ service new with unix:/n, srv:_http._tcp.new, file_sd:/n.json",
            "~ route /spare: to spare -> new",
        ],
    );
}

#[test]
fn tokens_and_names() {
    let token = "[tokens.ci]\ntoken.env = 'CI'\nservices = ['users', 's*']\nscopes = 'read'\n";
    check(&[("[runtime]", &format!("{token}[runtime]"))], &["+ token ci"]);
    let old = format!("{token}{OLD}");
    let said = |new: &str| changes(&old, new).to_string();
    assert_eq!(said(OLD), "- token ci");
    let new = old
        .replace("'read'", "['register', 'read']")
        .replace("'s*'", "'*'")
        .replace("'CI'", "'CD'");
    assert_eq!(
        said(&new),
        "~ token ci: token environment variable CI -> environment variable CD; \
         services [users, s*] -> [users, *]; scopes [read] -> [read, register]"
    );
    assert_eq!(changes(&old, &new).to_json()["tokens"]["changed"][0]["name"], "ci");
    check(
        &[(
            "[runtime]",
            "[dns]\nservers = '127.0.0.1:53'\nmax_ttl = '1m'\n[runtime]\nstate = '/var/lib/coregate'",
        )],
        &[
            "~ runtime: state default -> /var/lib/coregate; dns.servers default -> [127.0.0.1:53]; dns.max_ttl 30s -> 1m",
        ],
    );
}

#[test]
fn routes() {
    check(
        &[("'/old/*' = 'users'\n", "[routes.'shop.example.com']\n'/users/*' = 'users'\n")],
        &[
            "- route /old/*",
            "- route /spare",
            "+ route shop.example.com/spare -> spare",
            "+ route shop.example.com/users/* -> users",
        ],
    );
    check(&[("'/spare' = 'spare'", "'/spare' = 'users'")], &["~ route /spare: to spare -> users"]);
}

#[test]
fn services() {
    check(
        &[
            ("10.0.0.1:9000", "10.0.0.3:9000"),
            ("[services.spare]", "timeout.connect = '250ms'\n[services.spare]"),
        ],
        &["~ service users: + 10.0.0.3:9000, - 10.0.0.1:9000; timeout.connect 1s -> 250ms"],
    );
    check(
        &[
            ("[services.spare]", "[services.new]\ninstances = ['unix:/n']\n[services.none]"),
            ("'/spare' = 'spare'\n", ""),
        ],
        &[
            "+ service new with unix:/n",
            "+ service none without instances",
            "- service spare",
            "- route /spare",
        ],
    );
    check(
        &[(
            "[services.spare]\n",
            "[services.spare]\ntimeout = { first_byte = '1m', body = '1s', tunnel = '2m' }\n\
             pool = { idle_per_worker = 0, idle = '10s', age = '10m' }\nproxy_protocol = 'v2'\n",
        )],
        &[
            "~ service spare: timeout.body 1m -> 1s; timeout.tunnel 1h -> 2m; pool.idle_per_worker 1024 -> 0; \
           pool.idle 1m -> 10s; pool.age 1h -> 10m; proxy_protocol none -> v2",
        ],
    );
}

#[test]
fn listeners() {
    check(
        &[("[listeners.old]\nbind = 'unix:/old'", "[listeners.admin]\nbind = '127.0.0.1:9000'")],
        &["+ listener admin on 127.0.0.1:9000", "- listener old"],
    );
    check(
        &[
            ("'127.0.0.1:80', '127.0.0.1:81'", "'127.0.0.1:81', '127.0.0.1:82'"),
            (
                "bind = 'unix:/old'",
                "bind = 'unix:/old'\ntcp = 'users'\nproxy_protocol.from = ['unix', '10.0.0.0/8']",
            ),
        ],
        &[
            "~ listener old: tcp none -> users; proxy_protocol none -> [10.0.0.0/8, unix]",
            "~ listener public: + 127.0.0.1:82, - 127.0.0.1:80",
        ],
    );
    check(
        &[(
            "bind = 'unix:/old'",
            "bind = 'unix:/old'\ntimeout = { head = '5s', idle = '1s', body = '1h' }\n\
          limits = { head = '4KiB', fields = 9, body = '1MiB', requests = 1, body_rate = 0, connections = 9, connections_per_address = 2 }\nexpose_reasons = true",
        )],
        &["~ listener old: timeout.head 10s -> 5s; timeout.idle 1m -> 1s; timeout.body 1m -> 1h; \
           limits.head 16KiB -> 4KiB; limits.target 8KiB -> 2KiB; limits.fields 100 -> 9; limits.body none -> 1MiB; \
           limits.requests 10000 -> 1; limits.body_rate 1KiB -> 0B; limits.connections none -> 9; \
           limits.connections_per_address none -> 2; expose_reasons false -> true"],
    );
    check(
        &[("bind = 'unix:/old'", "bind = ['127.0.0.1:0', '127.0.0.1:0']")],
        &["~ listener old: + 127.0.0.1:0, + 127.0.0.1:0, - unix:/old"],
    );
    check(
        &[("listeners.old]", "listeners.db]\ntcp = 'users'")],
        &["+ listener db on unix:/old -> users", "- listener old"],
    );
}

#[test]
fn runtime() {
    check(
        &[("drain = '30s'", "drain = '1m'\ndrain_delay = '0s'")],
        &["~ runtime: drain 30s -> 1m; drain_delay 5s -> 0s"],
    );
    check(
        &[(
            "drain = '30s'",
            "cores = '0-1'\nworkers = 2\nio = 'epoll'\nconnections = 9\n\
          admin = ['unix:/a', '127.0.0.1:1']\nadmin_token.env = 'T'",
        )],
        &[
            "~ runtime: cores auto -> 0-1; workers default -> 2; io auto -> epoll; connections default -> 9; \
           admin default -> [127.0.0.1:1, unix:/a]; admin_token none -> environment variable T",
        ],
    );
    check(&[("drain = '30s'", "admin = []")], &["~ runtime: admin default -> []"]);
}

#[test]
fn json() {
    let new = OLD
        .replace("drain = '30s'", "drain = '1m'")
        .replace("10.0.0.1:9000", "10.0.0.3:9000")
        .replace("[listeners.old]\n", "[listeners.db]\ntcp = 'users'\n")
        .replace("'/old/*' = 'users'", "'/new' = 'spare'")
        .replace("'/spare' = 'spare'", "'/spare' = 'users'");
    let changes = changes(OLD, &new);
    assert_eq!(
        changes.to_json(),
        json!({
            "runtime": [{ "key": "drain", "old": "30s", "new": "1m" }],
            "tokens": { "added": [], "removed": [], "changed": [] },
            "consumers": { "added": [], "removed": [], "changed": [] },
            "auth": { "added": [], "removed": [], "changed": [] },
            "rates": { "added": [], "removed": [], "changed": [] },
            "quotas": { "added": [], "removed": [], "changed": [] },
            "listeners": {
                "added": [{ "name": "db", "bind": ["unix:/old"], "service": "users" }],
                "removed": [{ "name": "old" }],
                "changed": [],
            },
            "services": {
                "added": [],
                "removed": [],
                "changed": [{
                    "name": "users", "added": ["10.0.0.3:9000"], "removed": ["10.0.0.1:9000"], "terms": [],
                }],
            },
            "routes": {
                "added": [{ "name": "/new", "service": "spare" }],
                "removed": [{ "name": "/old/*" }],
                "changed": [{
                    "name": "/spare", "terms": [{ "key": "to", "old": "spare", "new": "users" }],
                }],
            },
        })
    );
}

/// `count` addresses from this one on.
fn addresses(from: u32, count: u32) -> Vec<Address> {
    let at = |bits| Address::Tcp(SocketAddr::from((Ipv4Addr::from_bits(bits), 9000)));
    (from..from + count).map(at).collect()
}

#[test]
fn a_hundred_thousand_instances() {
    let mut old = settings(OLD);
    let first = u32::from_be_bytes([10, 0, 0, 0]);
    // All in one service, of which nothing is where it was; and 65,000 routes, every second of them another.
    old.plan.services[0].instances = addresses(first, 100_000);
    old.plan.routes = routes_to("users", 65_000);
    let mut new = old.clone();
    new.plan.services[0].instances = addresses(first + 1_234, 100_000);
    new.plan.services[0].instances.reverse();
    for route in new.plan.routes.iter_mut().step_by(2) {
        route.action = Action::Forward(Forward::to("spare"));
    }
    new.plan.routes.reverse();
    let changes = between(&old, &new);
    assert_eq!(changes.list().len(), 1 + 32_500);
    let shown = changes.to_string();
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines.len(), limits::CHANGES_SHOWN + 1);
    let start = "~ service users: + 10.1.134.160:9000, + 10.1.134.161:9000, ";
    assert!(lines[0].starts_with(start), "{}", lines[0]);
    assert!(lines[0].contains(", + 1,214 more, - 10.0.0.0:9000, "), "{}", lines[0]);
    assert!(lines[0].ends_with(", - 10.0.0.19:9000, - 1,214 more"), "{}", lines[0]);
    assert_eq!(lines[limits::CHANGES_SHOWN], "... and 32,301 more");
    let json = changes.to_json();
    assert_eq!(json["services"]["changed"][0]["added"].as_array().unwrap().len(), 1_234);
    assert_eq!(json["routes"]["changed"].as_array().unwrap().len(), 32_500);
    assert!(between(&new, &new).is_empty());
}

fn routes_to(service: &str, count: usize) -> Vec<RoutePlan> {
    let path = |at| format!("/{at}").parse().unwrap();
    (0..count).map(|at| RoutePlan::to(HostPattern::Any, path(at), service)).collect()
}

#[test]
fn a_line_is_one_line() {
    let long = "x".repeat(1_000);
    let new = OLD.replace("unix:/old", "unix:/a\\u001b\\nb").replace("'unix:", "\"unix:");
    let new = new.replace("b'", "b\"").replace("'/old/*'", &format!("'/{long}'"));
    let shown = changes(OLD, &new).to_string();
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines[0], "~ listener old: + unix:/a\\u{1b}\\nb, - unix:/old");
    assert_eq!(lines.len(), 3, "{shown}");
    assert!(lines.iter().all(|line| line.len() < 500), "{shown}");
}
