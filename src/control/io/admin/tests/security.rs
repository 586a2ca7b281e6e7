//! What the guard lets through, and what not.

use std::sync::Arc;

use super::Stage;
use crate::io::admin::guard::Guard;
use crate::io::admin::question::Question;
use crate::io::admin::report::{Answer, ReloadReport};
use crate::io::admin::{AdminSocket, start};

const READ: &str = "GET /v1/status";

#[test]
fn a_unix_socket_asks_for_nothing() {
    let stage = Stage::guarded(Guard::default());
    assert_eq!(stage.ask(READ).status, 200);
}

#[test]
fn tcp_needs_the_token() {
    let stage = Stage::new();
    let port = stage.tcp.port();
    let host = format!("Host: 127.0.0.1:{port}\r\n");
    let ask = |headers: &str| stage.ask_tcp(READ, &format!("{host}{headers}"));
    let heard = ask("");
    heard.is_problem(401);
    assert!(heard.head.contains("www-authenticate: bearer realm=\"coregate\"\r\n"));
    for wrong in ["Bearer wrong", "Bearer secretx", "Bearer ", "Bearer", "Basic secret", "secret"] {
        let heard = ask(&format!("Authorization: {wrong}\r\n"));
        heard.is_problem(401);
        assert!(heard.head.contains("www-authenticate: bearer"));
    }
    ask("Authorization: Bearer secret\r\nAuthorization: Bearer secret\r\n").is_problem(401);
    ask("Cookie: token=secret\r\n").is_problem(401);
    stage.ask_tcp("GET /v1/status?token=secret", &host).is_problem(401);
    for right in ["Bearer secret", "bearer secret"] {
        assert_eq!(ask(&format!("Authorization: {right}\r\n")).status, 200);
    }
    // What is not there is nobody's to learn either.
    stage.ask_tcp("GET /v1/nothing", &host).is_problem(401);
    stage.ask_tcp("GET /", &host).is_problem(401);
    for open in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(stage.ask_tcp(&format!("GET {open}"), &host).status, 200, "{open}");
        stage.ask_tcp(&format!("GET {open}/../v1/status"), &host).is_problem(401);
    }
}

#[test]
fn without_a_token_nothing_is_told_over_tcp() {
    let stage = Stage::guarded(Guard::default());
    let host = format!("Host: localhost:{}\r\n", stage.tcp.port());
    let problem =
        stage.ask_tcp(READ, &format!("{host}Authorization: Bearer secret\r\n")).is_problem(403);
    assert!(
        problem["detail"].as_str().is_some_and(|detail| detail.contains("runtime.admin_token"))
    );
    assert_eq!(stage.ask_tcp("GET /livez", &host).status, 200);
}

#[test]
fn a_name_that_was_made_to_point_here_is_refused() {
    let stage = Stage::new();
    let port = stage.tcp.port();
    let with = |line: &str, host: &str| {
        let headers = format!("Host: {host}\r\nAuthorization: Bearer secret\r\n");
        stage.ask_tcp(line, &headers)
    };
    for line in [READ, "GET /livez", "GET /metrics", "POST /v1/config/reload", "POST /v1/explain"] {
        let hosts = [
            "evil.example",
            "localhost",
            "127.0.0.1",
            "localhost:1",
            "0.0.0.0:PORT",
            "evil.example:PORT",
            "localhost.evil.example:PORT",
            "evil.example@localhost:PORT",
            "",
            "a b",
            "/",
        ];
        for host in hosts {
            let host = host.replace("PORT", &port.to_string());
            with(line, &host).is_problem(421);
        }
    }
    for host in ["localhost", "LocalHost", "127.0.0.1", "127.1.2.3", "[::1]"] {
        assert_eq!(with(READ, &format!("{host}:{port}")).status, 200, "{host}");
    }
    stage.ask_tcp("GET /livez", "").is_problem(400);
    let twice = format!("Host: localhost:{port}\r\nHost: localhost:{port}\r\n");
    stage.ask_tcp("GET /livez", &twice).is_problem(400);
    // A target in absolute form stands above Host.
    with("GET http://evil.example/livez", &format!("localhost:{port}")).is_problem(421);
    let absolute = format!("GET http://localhost:{port}/livez");
    with(&absolute, "evil.example").is_problem(421);
    assert_eq!(with(&absolute, &format!("localhost:{port}")).status, 200);
    assert!(stage.process.asked().is_empty());
}

#[test]
fn pages_of_other_sites_are_refused() {
    let stage = Stage::new();
    let port = stage.tcp.port();
    let with = |line: &str, origin: &str| {
        let headers = format!(
            "Host: localhost:{port}\r\nOrigin: {origin}\r\nAuthorization: Bearer secret\r\n"
        );
        stage.ask_tcp(line, &headers)
    };
    for line in [READ, "GET /metrics", "POST /v1/config/reload"] {
        for origin in [
            "null",
            "",
            "http://evil.example",
            "https://localhost:PORT",
            "http://localhost",
            "http://localhost:1",
            "http://localhost:PORT/",
            "http://localhost:PORT.evil.example",
            "file://",
        ] {
            with(line, &origin.replace("PORT", &port.to_string())).is_problem(403);
        }
    }
    assert!(stage.process.asked().is_empty());
    assert_eq!(with(READ, &format!("http://localhost:{port}")).status, 200);
    assert_eq!(with(READ, &format!("http://127.0.0.1:{port}")).status, 200);
}

#[test]
fn no_page_is_ever_allowed_to_read() {
    let stage = Stage::new();
    let port = stage.tcp.port();
    let preflight = stage.ask_tcp(
        "OPTIONS /v1/config/reload",
        &format!("Host: localhost:{port}\r\nOrigin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n"),
    );
    preflight.is_problem(403);
    for heard in [preflight, stage.ask(READ), stage.ask("GET /nothing")] {
        assert!(!heard.head.contains("access-control"));
        assert!(heard.head.contains("x-content-type-options: nosniff"));
        assert!(heard.head.contains("cache-control: no-store"));
    }
}

#[test]
fn over_tcp_nobody_names_a_binary() {
    let stage = Stage::new();
    let body = r#"{"binary":"/tmp/evil"}"#;
    let headers = |length: usize| {
        format!(
            "Host: localhost:{}\r\nAuthorization: Bearer secret\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n",
            stage.tcp.port()
        )
    };
    let text = format!("{}\r\n{body}", headers(body.len()));
    let heard = super::Heard::of(
        stage.tcp(),
        &format!("POST /v1/upgrade HTTP/1.1\r\nConnection: close\r\n{text}"),
    );
    heard.is_problem(403);
    assert!(stage.process.asked().is_empty());
    let report = ReloadReport { applied: true, ..ReloadReport::default() };
    stage.process.will_answer(Answer::Reload(report));
    assert_eq!(stage.ask_tcp("POST /v1/upgrade", &headers(0)).status, 200);
    assert_eq!(stage.process.asked(), [Question::Upgrade { binary: None }]);
    stage.ask_with("POST /v1/upgrade", r#"{"binary":"coregate"}"#).is_problem(400);
}

#[test]
fn only_loopback_is_served() {
    let all = std::net::TcpListener::bind("0.0.0.0:0").expect("a socket");
    let process = super::Fake::new();
    let error = start(
        vec![AdminSocket::Tcp(all)],
        Guard::default(),
        Arc::<super::Fake>::clone(&process),
        super::ROOM,
    )
    .expect_err("it must be refused");
    assert!(error.to_string().contains("loopback"), "{error}");
}
