//! The admin listener end to end: probes, views, metrics, and who may ask over TCP.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::admin::{ask, json};
use crate::harness::gateway::{Folder, Gateway, Setup, config};
use crate::harness::origin::Origin;
use crate::harness::socket::Socket;

#[test]
fn probes_and_views() {
    let origin = Origin::named("o");
    let text = super::two_workers(&config("", "", &[origin.address()]));
    let gateway = Setup::run(&text).start();
    assert_eq!(gateway.client().get("/").status, 200);
    assert_eq!(gateway.admin("GET", "/livez").text(), "ok\n");
    assert_eq!(gateway.readiness(), (200, "ready".to_owned()));
    let status = gateway.view("/v1/status");
    assert_eq!(status["pid"], gateway.pid());
    assert_eq!(status["workers"], 2);
    assert_eq!(status["readiness"], "ready");
    assert_eq!(status["listeners"][0]["address"], gateway.address());
    assert_eq!(status["io"].as_str().unwrap(), gateway.driver());
    let workers = gateway.view("/v1/workers")["workers"].clone();
    let workers = workers.as_array().unwrap();
    assert_eq!(workers.len(), 2);
    for (number, worker) in workers.iter().enumerate() {
        assert_eq!(worker["worker"], number);
        assert_eq!(worker["generation"], status["generation"]);
        assert_eq!(worker["stuck"], false);
        let busy = worker["busy_ratio"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&busy), "{busy}");
    }
    for (target, status) in [("/", 404), ("/v1", 404), ("/v1/nothing", 404), ("/livez/", 404)] {
        let response = gateway.admin("GET", target);
        assert_eq!(response.status, status, "{target}");
        assert_eq!(response.head.get("content-type"), Some("application/problem+json"));
        assert_eq!(json(&response)["status"], status);
    }
    let response = gateway.admin("DELETE", "/v1/config/reload");
    assert_eq!((response.status, response.head.get("allow")), (405, Some("POST")));
    assert_eq!(gateway.admin("HEAD", "/readyz").status, 200);
    let text = gateway.done(&["status"]);
    assert!(text.contains(&format!("(pid {}), ready", gateway.pid())), "{text}");
}

/// Whatever the counters' file has is a metric too, with the same value.
#[test]
fn every_counter_is_a_metric() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    let mut client = gateway.client();
    (0..7).for_each(|_| assert_eq!(client.get("/").status, 200));
    gateway.client().send("nonsense\r\n\r\n").response();
    let stats = gateway.stats_when("all is counted", |stats| {
        stats.total("responses_2xx") == 7 && stats.total("connections_open") == 1
    });
    let response = gateway.admin("GET", "/metrics");
    assert_eq!(response.status, 200);
    let kind = response.head.get("content-type").unwrap();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let text = response.text();
    assert!(text.ends_with("# EOF\n"), "{text}");
    let view = gateway.view("/v1/workers")["workers"][0].clone();
    let total = stats.0["total"].as_object().unwrap();
    for (name, value) in total {
        if let Value::Object(reasons) = value {
            for (reason, count) in reasons {
                let line = text.lines().find(|line| {
                    line.starts_with("coregate_") && line.contains(&format!("\"{reason}\""))
                });
                let line = line.unwrap_or_else(|| panic!("no metric for {reason}:\n{text}"));
                assert!(line.ends_with(&format!(" {count}")), "{line}");
                assert_eq!(&view[name][reason], count);
            }
            continue;
        }
        assert_eq!(&view["counters"][name], value, "{name}");
        if ["connections_open", "connections_idle"].contains(&name.as_str()) {
            assert!(text.contains("coregate_worker_connections{"), "{name}");
            continue;
        }
        let names =
            [format!("coregate_worker_{name}_total{{"), format!("coregate_worker_{name}{{")];
        let line = text.lines().find(|line| names.iter().any(|name| line.starts_with(name)));
        let line = line.unwrap_or_else(|| panic!("no metric for {name}:\n{text}"));
        assert!(line.ends_with(&format!(" {value}")), "{name} = {value}: {line}");
    }
    let families: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    let different: BTreeSet<_> = families.iter().collect();
    assert_eq!(families.len(), different.len(), "each family once");
}

const TOKEN: &str = "a-token-of-some-length-0123456789";

/// A gateway with a TCP admin listener, and where that is.
fn over_tcp(runtime: &str, variables: &[(&str, &str)]) -> (Gateway, String) {
    let text = config("", "", &["127.0.0.1:1"]);
    let text = text.replace("cores = 1", &format!("cores = 1\n{runtime}"));
    let mut setup = Setup::run(&text).with(&["--admin", "127.0.0.1:0"]);
    for (name, value) in variables {
        setup = setup.variable(name, value);
    }
    let gateway = setup.start();
    let places = gateway.line("coregate: admin listener on ").unwrap();
    let place =
        places.split(", ").find(|place| place.starts_with("127.0.0.1:")).unwrap().to_owned();
    (gateway, place)
}

#[test]
fn over_tcp_with_a_token() {
    let by_env = "admin_token = { env = \"LIVE_TOKEN\" }";
    let (gateway, place) = over_tcp(by_env, &[("LIVE_TOKEN", TOKEN)]);
    let port = place.split(':').nth(1).unwrap().to_owned();
    let get = |fields: &str, target: &str| ask(&place, "GET", target, fields, "");
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    // Probes and metrics carry none.
    for target in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(get("", target).status, 200, "{target}");
    }
    for target in ["/v1/status", "/v1/workers", "/v1/routes", "/v1/config", "/v1/config/history"] {
        let response = get("", target);
        assert_eq!(response.status, 401, "{target}");
        assert!(response.head.get("www-authenticate").unwrap().starts_with("Bearer "));
        assert_eq!(get("Authorization: Bearer wrong\r\n", target).status, 401);
        assert_eq!(get("Authorization: Basic YTpi\r\n", target).status, 401);
        assert_eq!(get(&format!("{bearer}{bearer}"), target).status, 401);
        assert_eq!(get(&bearer, target).status, 200);
    }
    for target in ["/v1/config/reload", "/v1/explain"] {
        assert_eq!(ask(&place, "POST", target, "", "").status, 401, "{target}");
    }
    assert_eq!(gateway.view("/v1/status")["reloads"]["applied"], 0);
    // Whose name it is, and which page asks.
    for (host, status) in [
        (format!("localhost:{port}"), 200),
        (format!("[::1]:{port}"), 200),
        ("evil.example".to_owned(), 421),
        (format!("evil.example:{port}"), 421),
        (format!("127.0.0.1.evil.example:{port}"), 421),
        ("localhost:1".to_owned(), 421),
        (String::new(), 421),
    ] {
        assert_eq!(
            get(&format!("Host: {host}\r\n{bearer}"), "/v1/status").status,
            status,
            "{host}"
        );
        assert_eq!(get(&format!("Host: {host}\r\n"), "/readyz").status, status, "{host}");
    }
    for (origin, status) in [
        (format!("http://127.0.0.1:{port}"), 200),
        ("http://evil.example".to_owned(), 403),
        ("null".to_owned(), 403),
        (format!("https://localhost:{port}"), 403),
    ] {
        let fields = format!("Origin: {origin}\r\n{bearer}");
        assert_eq!(get(&fields, "/v1/status").status, status, "{origin}");
    }
    // A token does not run programs.
    let body = "{\"binary\": \"/bin/true\"}";
    assert_eq!(ask(&place, "POST", "/v1/upgrade", &bearer, body).status, 403);
    // Over the Unix socket nothing of that is asked.
    assert_eq!(gateway.admin("GET", "/v1/status").status, 200);

    // The commands.
    let status = |token: Option<&str>| {
        let mut setup = Setup::command(Folder::new(), &["status", "--admin", &place]);
        if let Some(token) = token {
            setup = setup.variable("COREGATE_ADMIN_TOKEN", token);
        }
        setup.output()
    };
    assert_eq!(status(Some(TOKEN)).code, Some(0));
    for token in [None, Some("wrong")] {
        let ended = status(token);
        assert_eq!((ended.code, ended.output.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.messages.contains("token") || ended.messages.contains("Bearer"), "{ended:?}");
    }
}

#[test]
fn a_token_in_a_file() {
    let folder = Folder::new();
    let file = folder.write("token", &format!("{TOKEN}\n"));
    let by_file = format!("admin_token = {{ file = \"{}\" }}", file.display());
    let (_gateway, place) = over_tcp(&by_file, &[]);
    let bearer = format!("Authorization: bearer {TOKEN}\r\n");
    assert_eq!(ask(&place, "GET", "/v1/status", &bearer, "").status, 200);
    assert_eq!(ask(&place, "GET", "/v1/status", "", "").status, 401);
}

/// Without one, only what anybody may know.
#[test]
fn over_tcp_without_a_token() {
    let (gateway, place) = over_tcp("", &[]);
    assert_eq!(ask(&place, "GET", "/readyz", "", "").status, 200);
    for (method, target) in [("GET", "/v1/status"), ("POST", "/v1/config/reload")] {
        let response = ask(&place, method, target, "Authorization: Bearer x\r\n", "");
        assert_eq!(response.status, 403, "{target}");
        assert!(response.text().contains("runtime.admin_token"), "{}", response.text());
    }
    assert_eq!(gateway.admin("GET", "/v1/status").status, 200);
}

/// A token that was asked for and cannot be had is an error, not a gateway without one.
#[test]
fn a_token_that_is_not_there() {
    let folder = Folder::new();
    let none = folder.path("none").display().to_string();
    for token in ["{ env = \"COREGATE_NOT_SET\" }".to_owned(), format!("{{ file = \"{none}\" }}")] {
        let text = config("", "", &["127.0.0.1:1"]);
        let text = text.replace("cores = 1", &format!("cores = 1\nadmin_token = {token}"));
        let ended = Setup::run(&text).with(&["--admin", "127.0.0.1:0"]).output();
        assert_eq!(ended.code, Some(78), "{ended:?}");
        assert!(ended.messages.contains("admin_token"), "{ended:?}");
    }
}

#[test]
fn none_at_all() {
    let text = config("", "", &["127.0.0.1:1"]);
    let gateway = Setup::run(&text).instead("--admin", "none").start();
    assert!(Socket::connect(&gateway.admin_address()).is_err());
    assert_eq!(gateway.command(&["status"]).code, Some(69));
    assert_eq!(gateway.client().get("/").status, 502);
}

/// Its socket is its owner's alone, and gone when it ends; a second process does not take it away.
#[test]
fn the_socket() {
    use std::os::unix::fs::PermissionsExt;
    let text = config("", "", &["127.0.0.1:1"]);
    let mut gateway = Setup::run(&text).start();
    let path = gateway.folder.path("admin.sock");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let second = Setup::run(&text).instead("--admin", &gateway.admin_address()).output();
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.messages.contains("address in use"), "{second:?}");
    assert_eq!(gateway.readiness().0, 200);
    gateway.signal(rustix::process::Signal::TERM);
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(!path.exists());
}
