//! Broken files: text in; codes, places and words out.

use crate::words::{LATER, MINIMAL};
use crate::{Report, parse};

const LISTEN: &str = "listen = '127.0.0.1:0'\n";
const LISTENER: &str = "[listeners.l]\nbind = '127.0.0.1:0'\n";
const SERVICE: &str = "[services.users]\ninstances = ['127.0.0.1:1']\n";
const ROUTE: &str = "[routes]\n'/*' = 'users'\n";

/// Code, line, column, and a part of the message or the suggestion.
type Expected<'e> = (&'e str, usize, usize, &'e str);

fn check(text: &str, expected: &[Expected<'_>]) {
    let report = parse("broken.toml", text).report;
    let shown = report.render(false);
    let found: Vec<_> =
        report.diagnostics().iter().map(|fault| (fault.code, fault.line, fault.column)).collect();
    let places: Vec<_> =
        expected.iter().map(|(code, line, column, _)| (*code, *line, *column)).collect();
    assert_eq!(found, places, "\n{text}\n{shown}");
    for (fault, (_, _, _, part)) in report.diagnostics().iter().zip(expected) {
        let said = format!("{} | {}", fault.message, fault.suggestion.as_deref().unwrap_or(""));
        assert!(said.contains(part), "{part:?} is not in {said:?}");
        // The rules of style: lower case, no full stop.
        assert!(!fault.message.ends_with('.'), "{said}");
        let first = fault.message.chars().next().unwrap();
        assert!(!first.is_uppercase() || fault.message.starts_with("CPU"), "{said}");
    }
}

/// Checks a text that the rest of a good file follows.
fn with(rest: &[&str], cases: &[(&str, &[Expected<'_>])]) {
    for (text, expected) in cases {
        check(&format!("{text}\n{}", rest.concat()), expected);
    }
}

#[test]
fn the_file_itself() {
    check("", &[("E0008", 0, 0, MINIMAL)]);
    check("# later", &[("E0008", 0, 0, MINIMAL)]);
    check(MINIMAL, &[]);
    with(
        &[SERVICE, ROUTE],
        &[
            ("", &[("E0008", 0, 0, "nothing to listen on")]),
            ("[listeners]", &[("E0008", 1, 2, "nothing to listen on")]),
            ("listen = []", &[("E0008", 1, 10, "at least one address")]),
            ("listen = 8080", &[("E0007", 1, 10, "write \"0.0.0.0:8080\"")]),
            ("listen = ['127.0.0.1:1', 2]", &[("E0007", 1, 26, "found an integer")]),
            ("listen = 'localhost:80'", &[("E0014", 1, 10, "write \"127.0.0.1:80\"")]),
            (
                "[listen]\nbind = 1",
                &[("E0007", 1, 2, "write listen = \"127.0.0.1:8080\" at the top")],
            ),
            ("listne = '127.0.0.1:0'", &[("E0005", 1, 1, "did you mean `listen`?")]),
            ("listen = ':80'", &[("E0014", 1, 10, "write \"0.0.0.0:80\"")]),
            ("listen = 'unix:a'", &[("E0014", 1, 10, "absolute")]),
            (
                "listen = '127.0.0.1:1'\n[listeners.a]\nbind = '127.0.0.1:2'",
                &[("E0021", 1, 1, "cannot stand together")],
            ),
            ("listen = '127.0.0.1:0'\nlistne = 1", &[("E0005", 2, 1, "did you mean `listen`?")]),
            (
                "listen = '127.0.0.1:0'\nelephant = 1",
                &[("E0005", 2, 1, "the keys here are listen")],
            ),
            ("listen = '127.0.0.1:0'\ncros = 1", &[("E0005", 2, 1, "not supported yet")]),
            ("listen = '127.0.0.1:0'\nautg = 1", &[("E0005", 2, 1, "did you mean `auth`?")]),
            (
                "listen = '127.0.0.1:0'\n[tls]\n[cors]",
                &[("E0006", 2, 2, "`tls` is not supported yet"), ("E0006", 3, 2, "`cors`")],
            ),
            ("listen = '127.0.0.1:0'\nruntime = 1", &[("E0007", 2, 11, "expected a table")]),
        ],
    );
    let many: Vec<_> = (1..=65).map(|port| format!("'127.0.0.1:{port}'")).collect();
    let text = format!("listen = [{}]\n{SERVICE}{ROUTE}", many.join(","));
    check(&text, &[("E0022", 1, 1, "65 addresses to listen on: expected at most 64")]);
}

#[test]
fn runtime() {
    let cases: &[(&str, Expected<'_>)] = &[
        ("cores = 'all'", ("E0013", 2, 9, "\"isolated\", a count such as 4")),
        ("cores = 0", ("E0013", 2, 9, "0 cores: expected 1 to 1024")),
        ("cores = -1", ("E0013", 2, 9, "expected \"auto\"")),
        ("cores = '3-1'", ("E0013", 2, 9, "the lower CPU first | write \"1-3\"")),
        ("cores = '0,4-2'", ("E0013", 2, 9, "write \"0,2-4\"")),
        ("cores = 'eight'", ("E0013", 2, 9, "write \"auto\", \"isolated\", 4 or \"0-3,6\"")),
        ("cores = '0-2,1'", ("E0013", 2, 9, "CPU 1 stands twice")),
        ("cores = '2000-2001'", ("E0013", 2, 9, "expected 0 to 1023")),
        ("cores = true", ("E0007", 2, 9, "found a boolean")),
        ("workers = 0", ("E0009", 2, 11, "`runtime.workers` = 0: expected 1 to 1024")),
        ("workers = 1025", ("E0009", 2, 11, "expected 1 to 1024")),
        ("workers = '2'", ("E0007", 2, 11, "write 2")),
        ("workers = 99999999999999999999999", ("E0009", 2, 11, "expected 1 to 1024")),
        ("io = 'urnig'", ("E0012", 2, 6, "did you mean \"uring\"?")),
        ("io = 'io_uring'", ("E0012", 2, 6, "did you mean \"uring\"?")),
        ("io = 3", ("E0007", 2, 6, "expected \"auto\", \"uring\" or \"epoll\"")),
        ("connections = 0", ("E0009", 2, 15, "expected 1 to")),
        ("drain = '0s'", ("E0009", 2, 9, "`runtime.drain` = 0s: expected more than 0 and at most")),
        ("drain = 30", ("E0007", 2, 9, "write \"30s\"")),
        ("drain = '25h'", ("E0009", 2, 9, "at most 24h")),
        (
            "drain_delay = '25h'",
            ("E0009", 2, 15, "`runtime.drain_delay` = 25h: expected at most 24h"),
        ),
        ("drain_delay = '5sec'", ("E0010", 2, 15, "write \"5s\"")),
        ("shutdown_timeout = '5s'", ("E0005", 2, 1, "did you mean `drain`?")),
        ("wokers = 1", ("E0005", 2, 1, "unknown key `wokers` in `runtime`")),
    ];
    for (line, expected) in cases {
        let text = format!("[runtime]\n{line}\n{LISTENER}{SERVICE}{ROUTE}");
        check(&text, &[*expected]);
    }
}

#[test]
fn admin() {
    let cases: &[(&str, Expected<'_>)] = &[
        ("admin = '0.0.0.0:9900'", ("E0024", 2, 9, "can be reached from other hosts")),
        ("admin = '[::]:9900'", ("E0024", 2, 9, "write \"[::1]:9900\", and from elsewhere")),
        ("admin = '10.0.0.1:9'", ("E0024", 2, 9, "write \"127.0.0.1:9\", and from elsewhere")),
        ("admin = '[::ffff:127.0.0.1]:9'", ("E0024", 2, 9, "write \"127.0.0.1:9\"")),
        ("admin = ['unix:/a', '192.0.2.1:0']", ("E0024", 2, 21, "`runtime.admin`: 192.0.2.1:0")),
        ("admin = 9900", ("E0007", 2, 9, "write \"127.0.0.1:9900\"")),
        ("admin = true", ("E0007", 2, 9, "an address such as \"127.0.0.1:9900\" or an array")),
        ("admin = { bind = 'unix:/a' }", ("E0007", 2, 1, "write admin = \"127.0.0.1:9900\"")),
        ("admin = 'localhost:9900'", ("E0014", 2, 9, "write \"127.0.0.1:9900\"")),
        ("admin = '/run/a.sock'", ("E0014", 2, 9, "write \"unix:/run/a.sock\"")),
        ("admin = 'unix:a'", ("E0014", 2, 9, "absolute")),
        ("admin = ['unix:/a', 'unix:/a']", ("E0019", 2, 21, "unix:/a stands twice")),
        ("admin = ['unix:/a', 3]", ("E0007", 2, 21, "found an integer")),
        ("amdin = []", ("E0005", 2, 1, "did you mean `admin`?")),
    ];
    for (line, expected) in cases {
        let text = format!("[runtime]\n{line}\n{LISTENER}{SERVICE}{ROUTE}");
        check(&text, &[*expected]);
    }
    let many: Vec<_> = (1..=5).map(|at| format!("'unix:/{at}'")).collect();
    let text = format!("[runtime]\nadmin = [{}]\n{LISTENER}{SERVICE}{ROUTE}", many.join(","));
    check(&text, &[("E0022", 2, 1, "5 admin addresses: expected at most 4")]);
    // Nobody can listen where another does.
    let listener = "[listeners.l]\nbind = '127.0.0.1:1'\n";
    let runtime = "[runtime]\nadmin = '127.0.0.1:1'\n";
    check(
        &format!("{runtime}{listener}{SERVICE}{ROUTE}"),
        &[("E0019", 4, 8, "127.0.0.1:1 stands twice")],
    );
    check(
        &format!("{LISTEN}admin = []\n{SERVICE}{ROUTE}"),
        &[("E0005", 2, 1, "write [runtime] and below it admin = ...")],
    );
    check(
        &format!("{LISTENER}admin = []\n{SERVICE}{ROUTE}"),
        &[("E0005", 3, 1, "the keys here are bind")],
    );
}

#[test]
fn secrets() {
    const WRITE: &str = "write admin_token = { env = \"COREGATE_ADMIN_TOKEN\" }";
    let cases: &[(&str, Expected<'_>)] = &[
        ("admin_token = 's3cret-value'", ("E0025", 2, 15, WRITE)),
        ("admin_token = 's3cret-value'", ("E0025", 2, 15, "does not belong in a file that is")),
        ("admin_token = \"\"\"\n s3cret-value \"\"\"", ("E0025", 2, 15, WRITE)),
        ("admin_token = 12345678901234", ("E0025", 2, 15, WRITE)),
        ("admin_token = ['s3cret-value']", ("E0025", 2, 15, WRITE)),
        ("admin_token = {}", ("E0025", 2, 1, "expected `env` or `file`")),
        (
            "admin_token = { value = 's3cret-value' }",
            ("E0005", 2, 17, "the keys here are env, file"),
        ),
        ("admin_token = { fiel = '/s3cret-value' }", ("E0005", 2, 17, "did you mean `file`?")),
        ("admin_token = { env = 's3cret-value' }", ("E0025", 2, 23, "such as \"COREGATE_ADMIN")),
        ("admin_token = { env = '$s3cret' }", ("E0025", 2, 23, "write the name without `$`")),
        ("admin_token = { env = '3s3cret' }", ("E0025", 2, 23, "no digit first")),
        ("admin_token = { env = '' }", ("E0025", 2, 23, "expected 1 to 255 letters")),
        ("admin_token = { env = 3 }", ("E0007", 2, 23, "the name of an environment variable")),
        ("admin_token = { file = 'a/b' }", ("E0025", 2, 24, "\"a/b\": expected an absolute path")),
        ("admin_token = { file = 'a/b' }", ("E0025", 2, 24, "write file = \"/etc/")),
        (
            "admin_token = { file = \"/a\\u0000\" }",
            ("E0025", 2, 24, "absolute path of at most 4095"),
        ),
        ("admin_token = { file = 3 }", ("E0007", 2, 24, "expected the path of a file")),
        ("admin_token = { env = 'A', file = '/a' }", ("E0021", 2, 23, "cannot stand together")),
        ("admin_tokn = 's3cret-value'", ("E0005", 2, 1, "did you mean `admin_token`?")),
        ("token = 's3cret-value'", ("E0005", 2, 1, "did you mean `admin_token`?")),
    ];
    for (line, expected) in cases {
        let text = format!("[runtime]\n{line}\n{LISTENER}{SERVICE}{ROUTE}");
        check(&text, &[*expected]);
        let report = parse("broken.toml", &text).report;
        for shown in [report.render(false), report.to_json(), format!("{report:?}")] {
            assert!(!shown.contains("s3cret") && !shown.contains("12345678901234"), "{shown}");
        }
    }
    // Nor where something else on the line is wrong, or where it stands in the wrong place.
    for text in [
        "runtime = { admin_token = 's3cret', wokers = 1 }",
        "runtime = { admin_token = { env = 's3cret-value' }, wokers = 1 }",
        "admin_token = 's3cret'",
        "[runtime.admin]\nadmin_token = 's3cret'",
        "[runtime]\nadmin_token = s3cret",
        "[runtime]\nadmin_token = 's3cret",
        "runtime = { admin_token = s3cret, workers = 1 }",
        "[listeners.a]\nbind = 'unix:/a'\nadmin_token = { a = { b = 's3cret' } }",
    ] {
        let shown = parse("broken.toml", text).report.render(false);
        assert!(!shown.contains("s3cret"), "{shown}");
    }
    let shown = parse("broken.toml", "runtime.admin_token = 'é3cret'").report.render(false);
    assert!(shown.contains("1 | runtime.admin_token = .........\n"), "{shown}");
    assert!(shown.contains("  |                       ^^^^^^^^^\n"), "{shown}");
}

#[test]
fn listeners() {
    let cases: &[(&str, Expected<'_>)] = &[
        ("", ("E0008", 1, 12, "listener `a` has no `bind`")),
        ("bnd = '127.0.0.1:1'", ("E0005", 2, 1, "did you mean `bind`?")),
        ("bind = ['127.0.0.1:1', '127.0.0.1:1']", ("E0019", 2, 24, "127.0.0.1:1 stands twice")),
        ("bind = '127.0.0.1:99999'", ("E0014", 2, 8, "port 99999: expected 1 to 65535")),
        ("bind = '::1'", ("E0014", 2, 8, "write \"[::1]:8080\"")),
        ("timeout.head = '10'", ("E0010", 2, 16, "write \"10s\"")),
        ("timeout.head = 10", ("E0007", 2, 16, "write \"10s\"")),
        ("timeout.head = 1.5", ("E0007", 2, 16, "found a float")),
        ("timeout.head = '1m30s'", ("E0010", 2, 16, "found \"1m30s\"")),
        ("timeout.idle = '0s'", ("E0009", 2, 16, "more than 0 and at most 24h")),
        ("timeout.body = '25h'", ("E0009", 2, 16, "`listeners.a.timeout.body` = 25h")),
        ("timeout.total = '1s'", ("E0005", 2, 9, "unknown key `total` in `listeners.a.timeout`")),
        ("timeout = '1s'", ("E0007", 2, 11, "write timeout = { head = \"5s\" }")),
        ("limits = '1MiB'", ("E0007", 2, 10, "write limits = { body")),
        ("limits.head = '16'", ("E0011", 2, 15, "write \"16B\"")),
        ("limits.head = '16k'", ("E0011", 2, 15, "write \"16KiB\"")),
        ("limits.head = 1000", ("E0009", 2, 15, "expected 1KiB to 64KiB")),
        ("limits.head = '1MiB'", ("E0009", 2, 15, "expected 1KiB to 64KiB")),
        ("limits.target = '16KiB'", ("E0009", 2, 17, "expected 1B to 16383B")),
        ("limits.fields = 101", ("E0009", 2, 17, "expected 1 to 100")),
        ("limits.body = 0", ("E0009", 2, 15, "expected at least 1B")),
        ("limits.body = -5", ("E0009", 2, 15, "= -5: expected at least 1B")),
        ("limits.body = true", ("E0007", 2, 15, "expected a size")),
        ("limits.requests = 0", ("E0009", 2, 19, "expected 1 to 4294967295")),
        ("limits.requests = 4294967296", ("E0009", 2, 19, "expected 1 to 4294967295")),
        ("limits.body_rate = '1KiB/s'", ("E0011", 2, 20, "write \"1KiB\"")),
        ("limits.body_rate = '2GiB'", ("E0009", 2, 20, "expected 0B to 100MiB")),
        ("limits.body_rate = -1", ("E0009", 2, 20, "expected 0B to 100MiB")),
        ("limits.connections = 0", ("E0009", 2, 22, "expected 1 to 100000000")),
        ("limits.connections_per_address = 65536", ("E0009", 2, 34, "expected 1 to 65535")),
        ("proxy_protocol = true", ("E0007", 2, 18, "write proxy_protocol = { from = [")),
        ("proxy_protocol = 'v2'", ("E0007", 2, 18, "expected a table")),
        ("proxy_protocol = {}", ("E0008", 2, 1, "write from = [\"10.0.0.0/8\"]")),
        ("proxy_protocol = { form = ['unix'] }", ("E0005", 2, 20, "did you mean `from`?")),
        ("proxy_protocol.from = []", ("E0008", 2, 23, "expected at least one network")),
        ("proxy_protocol.from = '::1'", ("E0007", 2, 23, "write [\"::1\"]")),
        ("proxy_protocol.from = 1", ("E0007", 2, 23, "expected an array of networks")),
        ("proxy_protocol.from = [1]", ("E0007", 2, 24, "or \"unix\", found an integer")),
        ("proxy_protocol.from = ['10.1.2.3/8']", ("E0023", 2, 24, "write \"10.0.0.0/8\"")),
        ("proxy_protocol.from = ['2001:db8::1/32']", ("E0023", 2, 24, "write \"2001:db8::/32\"")),
        ("proxy_protocol.from = ['10.0.0.0/33']", ("E0023", 2, 24, "prefix 33: expected 0 to 32")),
        ("proxy_protocol.from = ['10.0.0.0/08']", ("E0023", 2, 24, "\"10.0.0.0/08\": expected an")),
        ("proxy_protocol.from = ['::1', '10.0.0.1:80']", ("E0023", 2, 31, "write \"10.0.0.1\"")),
        ("proxy_protocol.from = ['unix:/a']", ("E0023", 2, 24, "write \"unix\"")),
        ("proxy_protocol.from = ['localhost']", ("E0023", 2, 24, "write \"127.0.0.1\"")),
        ("proxy_protocol.from = ['lb.example']", ("E0023", 2, 24, "expected an address or a")),
        ("expose_reasons = 'true'", ("E0007", 2, 18, "write true")),
        ("expose_reasons = 1", ("E0007", 2, 18, "expected true or false")),
    ];
    for (line, expected) in cases {
        let bind = if line.contains("bind") || line.is_empty() { "" } else { "\nbind = 'unix:/a'" };
        check(&format!("[listeners.a]\n{line}{bind}\n{SERVICE}{ROUTE}"), &[*expected]);
    }
    let many: Vec<_> = (0..=256).map(|at| format!("'10.0.{}.{}'", at / 256, at % 256)).collect();
    let text = format!("{LISTENER}proxy_protocol.from = [{}]\n{SERVICE}{ROUTE}", many.join(","));
    check(&text, &[("E0022", 3, 16, "257 trusted networks: expected at most 256")]);
    with(
        &[SERVICE, ROUTE],
        &[
            ("listeners = 3", &[("E0007", 1, 13, "expected a table")]),
            ("listeners.a = 'b'", &[("E0007", 1, 15, "write a = { bind = ")]),
            ("[listeners.'a b']\nbind = 'unix:/a'", &[("E0017", 1, 12, "listener \"a b\"")]),
            (
                "[listeners.b]\nbind = '[::]:1'\n[listeners.a]\nbind = '[0::0]:1'",
                &[("E0019", 4, 8, "[::]:1 stands twice")],
            ),
        ],
    );
}

#[test]
fn tcp_listeners() {
    let start = format!("{LISTENER}tcp = 'users'\n");
    let tunnel = "how long a connection may be silent is `timeout.tunnel` of its service";
    for (line, expected) in [
        (
            "limits.body = '1MiB'",
            ("E0021", 4, 8, "`listeners.l.limits.body` is for requests, and with"),
        ),
        ("limits.requests = 5", ("E0021", 4, 8, "remove it, or `tcp`")),
        ("expose_reasons = false", ("E0021", 4, 1, "`listeners.l.expose_reasons`")),
        ("timeout.head = '1s'", ("E0021", 4, 9, tunnel)),
        ("timeout.idle = '1s'", ("E0021", 4, 9, tunnel)),
        ("proxy_protocol.from = ['unix']\ntimeout.body = '1s'", ("E0021", 5, 9, tunnel)),
    ] {
        check(&format!("{start}{line}\n{SERVICE}"), &[expected]);
    }
    check(
        &format!("{LISTENER}tcp = 3\nlimits.body = 0\n{SERVICE}"),
        &[
            ("E0007", 3, 7, "expected the name of a service"),
            ("E0021", 4, 8, "none are read"),
            ("E0009", 4, 15, "expected at least 1B"),
        ],
    );
    for (name, said) in
        [("usres", "did you mean \"users\"?"), ("elephant", "no service \"elephant\"")]
    {
        check(&format!("{LISTENER}tcp = '{name}'\n{SERVICE}"), &[("E0020", 3, 7, said)]);
    }
    // Routes are needed only where requests are read, and used only there.
    check(&format!("{start}{SERVICE}"), &[]);
    check(&format!("{start}{SERVICE}[routes]\n"), &[]);
    check(&format!("{start}{SERVICE}{ROUTE}"), &[("W0004", 6, 2, "every listener has `tcp`")]);
    check(&format!("{start}[listeners.m]\nbind = 'unix:/a'\n{SERVICE}{ROUTE}"), &[]);
    check(
        &format!("{start}[listeners.m]\nbind = 'unix:/a'\n{SERVICE}"),
        &[("E0008", 0, 0, "no routes")],
    );
    check(
        &format!("{start}{SERVICE}[services.b]\ninstances = []"),
        &[("W0001", 6, 11, "service `b`: nothing uses it")],
    );
    check(
        &format!("{LISTENER}tcp = 'a'\n[servics.a]\ninstances = []"),
        &[("E0005", 4, 2, "did you mean `services`?")],
    );
}

#[test]
fn services() {
    let cases: &[(&str, Expected<'_>)] = &[
        ("", ("E0008", 4, 11, "service `users` has no `instances`")),
        ("instances = '10.0.0.1:1'", ("E0007", 5, 13, "write [\"10.0.0.1:1\"]")),
        ("instances = 'dns:users'", ("E0060", 5, 13, "write \"dns:users:9000\"")),
        ("instances = ['srv:10.0.0.1']", ("E0060", 5, 14, "such as srv:_http._tcp.users.internal")),
        ("instances = 'file_sd:x.json'", ("E0060", 5, 13, "\"file_sd:/etc/coregate/x.json\"")),
        ("instances = 3", ("E0007", 5, 13, "expected an array of addresses")),
        ("instances = [3]", ("E0007", 5, 14, "expected an address")),
        ("instances = ['10.0.0.1:1 weight=0']", ("E0009", 5, 14, "weight=1 to weight=65535")),
        (
            "instances = ['10.0.0.1:1 wait=2']",
            ("E0014", 5, 14, "nothing but weight=N behind an address"),
        ),
        ("instances = ['10.0.0.1']", ("E0014", 5, 14, "write \"10.0.0.1:9000\"")),
        ("instances = ['a.example:1']", ("E0014", 5, 14, "write \"dns:a.example:1\"")),
        ("instances = ['a.example']", ("E0014", 5, 14, "write \"dns:a.example:9000\"")),
        ("instances = ['10.0.0.1:99000']", ("E0014", 5, 14, "port 99000: expected 1 to 65535")),
        ("instances = ['http://10.0.0.1:1']", ("E0014", 5, 14, "write \"10.0.0.1:1\"")),
        ("instances = ['10.0.0.1:0']", ("E0014", 5, 14, "port 0: expected 1 to 65535")),
        ("instances = ['10.0.0.1:1', '10.0.0.1:1']", ("E0019", 5, 28, "10.0.0.1:1 stands twice")),
        ("instances = []\nhealth = {}", ("E0008", 6, 1, "`services.users.health` asks nothing")),
        ("register = 'true'", ("E0007", 5, 12, "write true")),
        ("register = {}", ("E0008", 5, 1, "`register` has no `token`")),
        ("register.tokn = {}", ("E0005", 5, 10, "did you mean `token`?")),
        ("register.token = 's3cret'", ("E0025", 5, 18, "write token = { env = \"REGISTER_TOKEN\"")),
        ("register.token.env = '$A'", ("E0025", 5, 22, "write the name without `$`")),
        ("extends = 'x'", ("E0020", 5, 11, "there is no service \"x\"")),
        ("instances = []\nhelth = {}", ("E0005", 6, 1, "did you mean `health`?")),
        ("instances = []\ntimeout.connect = '1 s'", ("E0010", 6, 19, "write \"1s\"")),
        ("instances = []\ntimeout.connct = '1s'", ("E0005", 6, 9, "did you mean `connect`?")),
        ("instances = []\npool.idle_per_worker = -1", ("E0009", 6, 24, "expected 0 to 65535")),
        ("instances = []\npool.age = '2d'", ("E0010", 6, 12, "`services.users.pool.age`")),
        ("instances = []\npool = []", ("E0007", 6, 8, "write pool = { idle")),
        ("instances = []\ntimeout = '5s'", ("E0007", 6, 11, "write timeout = { first_byte")),
        ("instances = []\ntimeout.tunnel = '25h'", ("E0009", 6, 18, "at most 24h")),
        ("instances = []\nproxy_protocol = 2", ("E0007", 6, 18, "write \"v2\"")),
        ("instances = []\nproxy_protocol = 'V1'", ("E0012", 6, 18, "write \"v1\"")),
        ("instances = []\nproxy_protocol = '2'", ("E0012", 6, 18, "write \"v2\"")),
        ("instances = []\nproxy_protocol = 'v3'", ("E0012", 6, 18, "expected \"v1\" or \"v2\"")),
        ("instances = []\nproxy_protocol = {}", ("E0007", 6, 1, "expected \"v1\" or \"v2\"")),
        ("instanses = ['127.0.0.1:1']", ("E0005", 5, 1, "did you mean `instances`?")),
        ("servers = ['127.0.0.1:1']", ("E0005", 5, 1, "did you mean `instances`?")),
    ];
    for (line, expected) in cases {
        check(&format!("{LISTEN}{ROUTE}[services.users]\n{line}"), &[*expected]);
    }
    let start = [LISTEN, ROUTE, SERVICE].concat();
    check(
        &format!("{start}[services.spare]\ninstances = []"),
        &[("W0001", 6, 11, "service `spare`: nothing uses it")],
    );
    check(
        &format!("{start}[services.'a\\b']\ninstances = []"),
        &[("E0017", 6, 11, "letters, digits"), ("W0001", 6, 11, "nothing")],
    );
    check(
        &format!("{LISTEN}services = 1\n{ROUTE}"),
        &[("E0007", 2, 12, "expected a table"), ("E0020", 4, 8, "write [services.")],
    );
}

#[test]
fn routes() {
    let cases: &[(&str, &[Expected<'_>])] = &[
        ("", &[("E0008", 4, 2, "\"/*\" = \"users\"")]),
        ("'/*' = 'usres'", &[("E0020", 5, 8, "did you mean \"users\"?")]),
        ("'/*' = 'elephant'", &[("E0020", 5, 8, "there is no service \"elephant\"")]),
        ("'/*' = 3", &[("E0007", 5, 8, "the name of a service or a table")]),
        ("'/*' = { to = 3 }", &[("E0007", 5, 15, "the name of a service")]),
        ("'/*' = {}", &[("E0008", 5, 1, "write to = \"users\"")]),
        ("'/*' = { to = 'users', cors = '*' }", &[("E0006", 5, 24, "`cors` is not supported")]),
        ("'/*' = { too = 'users' }", &[("E0005", 5, 10, "did you mean `to`?")]),
        ("'/*' = { service = 'users' }", &[("E0005", 5, 10, "did you mean `to`?")]),
        ("'GET /a' = 'users'", &[]),
        ("'/a/{id}' = 'users'", &[]),
        ("'/a/:id' = 'users'", &[("E0016", 5, 1, "write \"/a/{id}\"")]),
        ("'/a/b:c' = 'users'", &[]),
        ("'get /a' = 'users'", &[("E0041", 5, 1, "write \"GET /a\"")]),
        ("'/a b' = 'users'", &[("E0016", 5, 1, "write \"/a%20b\"")]),
        ("'/a b/*' = 'users'", &[("E0016", 5, 1, "write \"/a%20b/*\"")]),
        ("'/é' = 'users'", &[("E0016", 5, 1, "write \"/%C3%A9\"")]),
        ("'~ ^/users' = 'users'", &[("E0016", 5, 1, "regular expressions stand in `path_regex`")]),
        ("'~* \\.php$' = 'users'", &[("E0016", 5, 1, "regular expressions stand in `path_regex`")]),
        ("'/a/.*' = 'users'", &[("E0016", 5, 1, "write \"/a/*\"")]),
        ("'/users/' = 'users'", &[("W0002", 5, 1, "for all below write \"/users/*\"")]),
        ("'/users/' = 'users'", &[("W0002", 5, 1, "\"/users/\" matches only \"/users/\"")]),
        ("'/' = 'users'", &[("W0002", 5, 1, "for all below write \"/*\"")]),
        ("'/' = { redirect = '/a' }\n'/*' = 'users'", &[]),
        ("'/users/' = 'users'\n'/users/*' = 'users'", &[]),
        ("[routes.'a.b']\n'/c/' = 'users'", &[("W0002", 6, 1, "write \"/c/*\"")]),
        ("'/a/../x' = 'users'", &[("W0003", 5, 1, "\"/a/../x\" is \"/x\"")]),
        ("'/%61/*' = 'users'", &[("W0003", 5, 1, "write \"/a/*\"")]),
        (
            "[routes.'shop.com/x']\n'/*' = 'users'",
            &[("E0015", 5, 9, "write [routes.\"shop.com\"]")],
        ),
        ("'shop.com/x' = 'users'", &[("E0015", 5, 1, "and below it \"/x\" = ...")]),
        (
            "[routes.'https://x.com']\n'/*' = 'users'",
            &[("E0015", 5, 9, "write [routes.\"x.com\"]")],
        ),
        (
            "[routes.'http://x.com:80/']\nto = 'users'",
            &[("E0015", 5, 9, "write [routes.\"x.com\"]")],
        ),
        ("[routes.'shop.*.com']\n'/*' = 'users'", &[("E0015", 5, 9, "`*` stands first only")]),
        ("[routes.'bücher.de']\n'/*' = 'users'", &[("E0015", 5, 9, "begins with xn--")]),
        ("'/a*' = 'users'", &[("E0016", 5, 1, "write \"/a/*\"")]),
        ("'/a?b' = 'users'", &[("E0016", 5, 1, "no query or fragment")]),
        ("'/../a' = 'users'", &[("E0016", 5, 1, "expected a path")]),
        ("'users/*' = 'users'", &[("E0016", 5, 1, "write \"/users/*\"")]),
        ("'/a' = 'users'\n'/b/../a' = 'users'", &[("E0018", 6, 1, "route `/a` stands twice")]),
        ("'/a' = 'users'\n'/a' = 'users'", &[("E0004", 6, 1, "stands twice")]),
        ("'/a' = 'users'\n\"/a\" = 'users'", &[("E0004", 6, 1, "stands twice")]),
        ("'/a' = 'users'\n[routes.'*']\n'/a' = 'users'", &[("E0018", 7, 1, "`/a`")]),
        (
            "[routes.'A.b']\n'/a' = 'users'\n[routes.'a.B']\n'/a' = 'users'",
            &[("E0018", 8, 1, "route `a.b/a` stands twice")],
        ),
        ("[[routes.'/a']]\nto = 'users'", &[]),
        ("[routes.'a.b:80']\n'/a' = 'users'", &[("E0015", 5, 9, "write \"a.b\"")]),
        (
            "[routes.'a.*.b']\n'/a' = 'nobody'",
            &[("E0015", 5, 9, "expected a host"), ("E0020", 6, 8, "nobody")],
        ),
        ("'a.b' = 'users'", &[("E0007", 5, 9, "expected a table of paths")]),
        (
            "[routes.shop.example.com]\n'/*' = 'users'",
            &[("E0016", 5, 14, "[routes.\"shop.example.com\"]")],
        ),
        ("[routes.'a.b']\nto = 'users'", &[("E0016", 6, 1, "write \"/*\" = \"users\"")]),
    ];
    for (line, expected) in cases {
        check(&format!("{LISTEN}{SERVICE}[routes]\n{line}"), expected);
    }
    check(&format!("{LISTEN}routes = 'x'\n{SERVICE}"), &[("E0007", 2, 10, "expected a table")]);
}

#[test]
fn later_everywhere() {
    let rest = format!("{SERVICE}{ROUTE}");
    for word in LATER {
        let said = format!("`{word}` is not supported yet");
        check(&format!("{LISTEN}{word} = 1\n{rest}"), &[("E0006", 2, 1, &said)]);
        check(&format!("{LISTENER}{word} = 1\n{rest}"), &[("E0006", 3, 1, &said)]);
        check(&format!("{LISTEN}[runtime]\n{word} = 1\n{rest}"), &[("E0006", 3, 1, &said)]);
        check(&format!("{LISTEN}{ROUTE}{SERVICE}{word} = 1"), &[("E0006", 6, 1, &said)]);
        let route = format!("'/a' = {{ to = 'users', {word} = {{}} }}");
        check(&format!("{LISTEN}{rest}{route}"), &[("E0006", 6, 24, &said)]);
        check(&format!("{LISTEN}{rest}{word} = 1"), &[("E0006", 6, 1, &said)]);
        let host = format!("[routes.'a.b']\n{word} = 1");
        check(&format!("{LISTEN}{rest}{host}"), &[("E0006", 7, 1, &said)]);
    }
}

#[test]
fn below_the_wrong_table() {
    let top = "put it at the top, before the first [table]";
    for (start, line) in [
        (ROUTE.to_owned() + SERVICE, 5),
        (SERVICE.to_owned() + ROUTE, 5),
        (format!("{SERVICE}{ROUTE}[routes.'a.b']\n"), 6),
        (format!("{SERVICE}{ROUTE}[routes.'a.b'.'/x']\nto = 'users'\n"), 7),
        (format!("{SERVICE}{ROUTE}[runtime]\n"), 6),
    ] {
        check(&format!("{start}{LISTEN}"), &[("E0005", line, 1, top)]);
    }
    check(&format!("[services]\n{LISTEN}users.instances = []\n{ROUTE}"), &[("E0005", 2, 1, top)]);
    // What no reader looks into says nothing of it.
    check(
        &format!("[server]\n{LISTEN}{SERVICE}{ROUTE}"),
        &[("E0008", 0, 0, "nothing to listen on"), ("E0005", 1, 2, "the keys here are")],
    );
    let text = format!("{LISTEN}{ROUTE}{SERVICE}[services.users.runtime]");
    check(&text, &[("E0005", 6, 17, "write [runtime]")]);
}

#[test]
fn tables_of_another_shape() {
    for (text, expected) in [
        (format!("{LISTEN}routes = ['/a']\n{SERVICE}"), ("E0007", 2, 10, "write [routes] and")),
        (format!("{LISTEN}services.a = 'b'\n"), ("E0007", 2, 14, "write a = { instances = ")),
        (format!("{LISTEN}[[services]]\n"), ("E0007", 2, 1, "write [services.users] and")),
        (format!("{LISTEN}[servics.users]\n{ROUTE}"), ("E0005", 2, 2, "did you mean `services`?")),
        (format!("{LISTEN}[route]\n{SERVICE}"), ("E0005", 2, 2, "did you mean `routes`?")),
    ] {
        let report = parse("broken.toml", &text).report;
        let at = report.diagnostics().iter().position(|fault| fault.code == expected.0);
        let fault = &report.diagnostics()[at.unwrap()];
        assert_eq!((fault.line, fault.column), (expected.1, expected.2), "{text}");
        assert!(fault.suggestion.as_deref().unwrap().contains(expected.3), "{fault:?}");
    }
}

#[test]
fn not_toml() {
    with(
        &[],
        &[
            ("listen = ", &[("E0003", 1, 10, "not TOML")]),
            ("listen", &[("E0003", 1, 7, "not TOML")]),
            ("[routes\n'/*' = 'users'", &[("E0003", 1, 8, "not TOML")]),
            ("listen = 127.0.0.1:80", &[("E0003", 1, 15, "write \"127.0.0.1:80\"")]),
            ("listen=[127.0.0.1:80]", &[("E0003", 1, 14, "write \"127.0.0.1:80\"")]),
            ("listen = localhost:80 # mine", &[("E0003", 1, 10, "write \"localhost:80\"")]),
            (
                "[routes]\n/users/* = users\n'/a' = users",
                &[
                    ("E0003", 2, 1, "write \"/users/*\" = \"users\""),
                    ("E0003", 3, 8, "write \"users\""),
                ],
            ),
            ("[routes]\n/a b = 'users'", &[("E0003", 2, 1, "write \"/a b\" = ")]),
            ("[routes]\nGET /a = 'users'", &[("E0003", 2, 1, "write \"GET /a\" = ")]),
            ("routes = { /a = 'users' }", &[("E0003", 1, 12, "write \"/a\" = ...")]),
            (
                "# old\n\nserver {\n  listen 80;\n}",
                &[("E0003", 3, 1, "looks like the language of nginx")],
            ),
            ("user nginx;\nhttp {\n}", &[("E0003", 1, 1, "looks like the language of nginx")]),
            ("---\nlisten: 80", &[("E0003", 1, 1, "this looks like YAML")]),
            (
                "listen: 127.0.0.1:80\nroutes:\n  /a: users",
                &[("E0003", 1, 1, "this looks like YAML")],
            ),
            ("\n{ \"listen\": 80 }", &[("E0003", 2, 1, MINIMAL)]),
            // Several, and the line between them is still read.
            (
                "a = \nworkers = 1\nb = 'c",
                &[
                    ("E0003", 1, 5, "not TOML"),
                    ("E0005", 2, 1, "unknown key `workers`"),
                    ("E0003", 3, 7, "not TOML"),
                ],
            ),
        ],
    );
}

#[test]
fn both_places_are_shown() {
    let shown = |text: &str| parse("broken.toml", text).report.render(false);
    for (text, first, second) in [
        ("[routes]\n'/a' = 'x'\n'/a' = 'y'", "'/a' = 'x'", "'/a' = 'y'"),
        ("[routes]\n'/a' = 'x'\n'/%61' = 'y'", "'/a' = 'x'", "'/%61' = 'y'"),
        ("[services.a]\n[runtime]\n[services.'a']", "[services.a]", "[services.'a']"),
        ("[a]\nx = 1\n[b]\nx = 1\ny = 1\nx = 2", "4 | x = 1", "6 | x = 2"),
        ("x = [{ k = 1,\n k = 2 }]", "k = 1", "k = 2"),
        ("listen = ['unix:/a',\n'unix:/a']", "listen = ['unix:/a'", "2 | 'unix:/a'"),
    ] {
        let shown = shown(text);
        let fault = shown.split("\n\n").find(|fault| fault.contains("twice")).unwrap();
        assert!(fault.contains(first) && fault.contains(second), "{shown}");
    }
}

#[test]
fn all_at_once() {
    let text = include_str!("../../../../tests/data/config/many.toml");
    check(
        text,
        &[
            ("E0021", 2, 1, "cannot stand together"),
            ("E0014", 2, 10, "names are not looked up"),
            ("E0013", 5, 9, "the lower CPU first"),
            ("E0005", 6, 1, "did you mean `workers`?"),
            ("E0019", 9, 25, "stands twice"),
            ("E0007", 10, 20, "write \"10s\""),
            ("E0009", 13, 32, "weight=0: expected weight=1"),
            ("E0005", 14, 11, "did you mean `attempts`?"),
            ("E0020", 20, 14, "did you mean \"users\"?"),
            ("E0018", 21, 1, "stands twice"),
        ],
    );
    let text = include_str!("../../../../tests/data/config/syntax.toml");
    let report = parse("syntax.toml", text).report;
    let said: Vec<_> = report.diagnostics().iter().map(|fault| (fault.code, fault.line)).collect();
    assert!(said.starts_with(&[("E0003", 1), ("E0004", 4), ("E0003", 5), ("E0003", 8)]));
    // What follows the array that was left open is lost, so nothing is said to be missing.
    assert!(report.diagnostics().iter().all(|fault| matches!(fault.code, "E0003" | "E0004")));
}

#[test]
fn what_a_report_looks_like() {
    let text = "listen = '127.0.0.1:0'\nruntime = { wokers = 2 }\n[services.spare]\ninstances = []\n\
                [routes]\n'/a' = 'spare'\n'/./a' = 'spare'\n[services.b]\ninstances = []\n";
    let report = parse("broken.toml", text).report;
    let expected = r#"error[E0005]: unknown key `wokers` in `runtime`
 --> broken.toml:2:13
  |
2 | runtime = { wokers = 2 }
  |             ^^^^^^
  |
  = help: did you mean `workers`?

error[E0018]: route `/a` stands twice
 --> broken.toml:7:1
  |
7 | '/./a' = 'spare'
  | ^^^^^^
  |
 ::: broken.toml:6:1
  |
6 | '/a' = 'spare'
  | ---- takes the same requests
  |
  = help: remove one of them, or tell them apart by `when`

2 errors
"#;
    assert_eq!(report.render(false), expected);
    assert!(report.render(true).contains("\u{1b}["));
    let json = serde_json::from_str::<serde_json::Value>(&report.to_json()).unwrap();
    assert_eq!(
        json[0],
        serde_json::json!({
            "code": "E0005", "severity": "error", "file": "broken.toml", "line": 2, "column": 13,
            "end_line": 2, "end_column": 19,
            "message": "unknown key `wokers` in `runtime`", "suggestion": "did you mean `workers`?", "related": [],
        })
    );
    // What is missing as a whole has no place.
    let json = parse("empty.toml", "").report.to_json();
    assert!(json.contains("\"line\":null"), "{json}");
    assert_eq!(closing(&parse("w.toml", "x = 1\ny = 1\nlisten = 'unix:/a'").report), "3 errors");
    let text = [LISTEN, SERVICE, ROUTE, "[services.s]\ninstances = []"].concat();
    let loaded = parse("warned.toml", &text);
    assert_eq!(closing(&loaded.report), "1 warning");
    assert!(loaded.settings.is_some() && !loaded.report.has_errors());
}

fn closing(report: &Report) -> String {
    report.render(false).lines().last().unwrap().to_owned()
}

#[test]
fn quotas() {
    const USED: &str = "\n[routes]\n'/*' = { to = 'users', auth = 'key', quota = 'q' }\n";
    with(
        &[USED, SERVICE],
        &[
            (
                "listen = '127.0.0.1:0'\n[quotas.q]\nlimit = 10",
                &[("E0008", 2, 9, "every = \"month\"")],
            ),
            (
                "listen = '127.0.0.1:0'\n[quotas.q]\nlimit = 10\nevery = 'week'",
                &[("E0012", 4, 9, "of a shorter time a rate speaks")],
            ),
            (
                "listen = '127.0.0.1:0'\n[quotas.q]\nlimit = 10\nevery = 'daily'",
                &[("E0012", 4, 9, "did you mean \"day\"?")],
            ),
            (
                "listen = '127.0.0.1:0'\n[quotas.q]\nlimit = 10\nevery = 'day'\nzone = 'Europe/Bonn'",
                &[("E0012", 5, 8, "there is no time zone \"Europe/Bonn\"")],
            ),
            (
                "listen = '127.0.0.1:0'\n[quotas.q]\nlimit = 10\nevery = 'day'\nper = 'address/24'",
                &[("E0072", 5, 7, "strangers would fill the table")],
            ),
            (
                "listen = '127.0.0.1:0'\n[quotas.q]\nlimit = 10\nevery = 'day'\ngroups = { gold = 20 }",
                &[("E0021", 5, 1, "write per = \"consumer\""), ("W0021", 5, 12, "gold")],
            ),
            (
                "listen = '127.0.0.1:0'\n[quotas.q]\nlimit = 10\nevery = 'day'\ncost = 11",
                &[("E0077", 5, 8, "write cost = 10 or less")],
            ),
            (
                "listen = '127.0.0.1:0'\n[quotas.p]\nlimit = 10\nevery = 'day'",
                &[("E0070", 7, 46, "write [quotas.q]")],
            ),
        ],
    );
    check(
        &format!(
            "{LISTENER}{SERVICE}[quotas.q]\nlimit = 10\nevery = 'day'\nper = 'consumer'\n[routes]\n'/*' = {{ to = 'users', quota = 'q' }}\n"
        ),
        &[("E0076", 10, 32, "asks who calls")],
    );
}
