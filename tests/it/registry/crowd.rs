//! More than is good: watchers that never read, instances without end, bodies that are bombs. Memory is bounded, and nothing is lost.

use serde_json::{Value, json};

use crate::harness::client::Peer;
use crate::harness::clock::{PATIENCE, until};
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::Origin;

fn open() -> Gateway {
    Setup::run(&config("", "register = true", &[])).start()
}

/// So many, as `COREGATE_TEST_SCALE` says.
fn scaled(quick: usize, full: usize) -> usize {
    match std::env::var("COREGATE_TEST_SCALE").as_deref() {
        Ok("full" | "long") => full,
        _ => quick,
    }
}

/// Resident memory, in KiB.
fn resident(gateway: &Gateway) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// One in ten never reads. All others hear of everything, and the process does not grow with those that do not.
#[test]
fn watchers_that_never_read() {
    let count = scaled(200, 10_000);
    // What connections leave of the descriptors is the admin listener's.
    let text = config("", "register = true", &[]);
    let gateway = Setup::run(&text.replace("cores = 1", "cores = 1\nconnections = 1000")).start();
    let before = resident(&gateway);
    let admin = gateway.admin_address();
    let mut watchers: Vec<_> = (0..count)
        .map(|_| {
            let mut peer = Peer::connect(&admin);
            peer.allow(10 * PATIENCE);
            peer.send("GET /v1/registry/watch?service=s HTTP/1.1\r\nHost: localhost\r\n\r\n");
            peer
        })
        .collect();
    let deaf = watchers.split_off(count - count / 10);
    until("all watch", || {
        let metrics = gateway.admin("GET", "/metrics").text();
        let count_of = |line: &str| line.strip_prefix("process_open_fds{} ")?.parse::<f64>().ok();
        (metrics.lines().find_map(count_of)? >= count as f64).then_some(())
    });
    let held = resident(&gateway);
    let big: Value = (0..60)
        .map(|at| (at.to_string(), "x".repeat(500).into()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let changes = 64;
    for at in 0..changes {
        let target = format!("/v1/services/s/instances/i{at}");
        let body = json!({ "address": format!("127.0.0.1:{}", at + 1), "status": "down", "metadata": big });
        assert_eq!(gateway.admin_with("PUT", &target, &body).status, 201);
    }
    for watcher in &mut watchers {
        let mut heard = Vec::new();
        let last = format!("\"id\":\"i{}\"", changes - 1);
        while !contains(&heard, last.as_bytes()) {
            let mut bytes = vec![0; 256 * 1024];
            let count = std::io::Read::read(&mut watcher.reader.stream, &mut bytes).unwrap();
            assert!(count > 0);
            // The end is enough to find the last in.
            heard.drain(..heard.len().saturating_sub(64));
            heard.extend_from_slice(&bytes[..count]);
        }
    }
    let after = resident(&gateway);
    println!(
        "{count} watchers, {} of which never read: {before} KiB before, {held} KiB held, {after} KiB after {changes} changes of 32 KiB",
        deaf.len()
    );
    let each = 48;
    assert!(after < before + count * each + 64 * 1024, "{before} {held} {after}");
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

#[test]
fn a_crowd_in_one_service() {
    let (count, batch) = (scaled(5_000, 100_000), 500);
    let origin = Origin::named("o");
    let gateway = open();
    let own = json!({ "address": origin.address() });
    assert_eq!(gateway.admin_with("PUT", "/v1/services/s/instances/z", &own).status, 201);
    let address =
        |at: usize| format!("127.{}.{}.{}:9", 1 + at / 62_500, at / 250 % 250, 1 + at % 250);
    for from in (0..count).step_by(batch) {
        let register: Vec<_> = (from..from + batch)
            .map(|at| {
                let instance = json!({ "address": address(at), "status": "down" });
                json!({ "service": "s", "id": format!("i{at:06}"), "instance": instance })
            })
            .collect();
        let done =
            gateway.admin_with("POST", "/v1/registry/bulk", &json!({ "register": register }));
        assert_eq!(done.status, 200, "{}", done.text());
    }
    let (mut seen, mut after) = (0, String::new());
    loop {
        let page = gateway.view(&format!("/v1/services/s/instances{after}"));
        assert_eq!(page["count"], count + 1);
        let instances = page["instances"].as_array().unwrap();
        assert!(instances.len() <= 1_000);
        for one in instances.iter().filter(|one| one["id"] != "z") {
            assert_eq!(one["id"], format!("i{seen:06}"));
            seen += 1;
        }
        match page["next"].as_str() {
            Some(next) => after = format!("?after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, count);
    let targets = gateway.view("/v1/sd/prometheus?all=true");
    assert_eq!(targets.as_array().unwrap().len(), count + 1);
    assert_eq!(gateway.client().get("/").text(), "o GET /");
    println!("{count} instances: {} KiB", resident(&gateway));
}

/// Whatever is sent, a problem comes back, and the next request is answered.
#[test]
fn bodies_that_are_bombs() {
    let gateway = open();
    let deep = |open: &str, count: usize| open.repeat(count);
    let one = "/v1/services/s/instances/a";
    let twice = r#"{"address":"127.0.0.1:1","address":"127.0.0.1:2"}"#.to_owned();
    let pairs = (0..20_000).map(|at| format!("\"{at}\":\"\"")).collect::<Vec<_>>().join(",");
    let long = format!(r#"{{"address":"127.0.0.1:1","zone":"{}"}}"#, "x".repeat(900_000));
    let tags = format!(r#"{{"address":"127.0.0.1:1","tags":[{}""]}}"#, "\"\",".repeat(100_000));
    let bodies = [
        deep("[", 500_000),
        deep("{\"a\":", 100_000),
        format!(r#"{{"metadata":{}"#, deep("{\"a\":", 100_000)),
        format!(r#"{{"address":"127.0.0.1:1","metadata":{{{pairs}}}}}"#),
        twice,
        long,
        tags,
        r#"{"address":"127.0.0.1:1","weight":1e999}"#.to_owned(),
        r#"{"address":"127.0.0.1:1","weight":4294967296}"#.to_owned(),
        "\u{feff}{}".to_owned(),
        "nul".to_owned(),
        "\0".repeat(1_000),
        format!(
            r#"{{"address":"127.0.0.1:1","check":{{"get":"/","status":[{}"200"]}}}}"#,
            "\"200\",".repeat(50_000)
        ),
        format!(r#"{{"address":"127.0.0.1:1","check":{{"get":"/","headers":{{{pairs}}}}}}}"#),
    ];
    for body in &bodies {
        for (method, target) in [
            ("PUT", one),
            ("POST", "/v1/registry/bulk"),
            ("PUT", "/v1/services/s/instances/a/weight"),
        ] {
            let answer =
                crate::harness::admin::ask(&gateway.admin_address(), method, target, "", body);
            let start: String = body.chars().take(60).collect();
            assert_eq!(answer.status, 400, "{method} {target} {start}: {}", answer.text());
            assert_eq!(answer.head.get("content-type"), Some("application/problem+json"));
        }
    }
    for id in ["a%2Fb", "%25", "%2e%2e", "..%2F..", "h:app:80"] {
        let target = format!("/v1/services/s/instances/{id}");
        let answer = gateway.admin_with(
            "PUT",
            &target,
            &json!({ "address": "127.0.0.1:1", "status": "down" }),
        );
        assert_eq!(answer.status, 201, "{id}: {}", answer.text());
        assert_eq!(gateway.admin("DELETE", &target).status, 200, "{id}");
    }
    for id in ["%00", "%0a", "%ff", "a%7f"] {
        let target = format!("/v1/services/s/instances/{id}");
        let answer = gateway.admin_with("PUT", &target, &json!({ "address": "127.0.0.1:1" }));
        assert_eq!(answer.status, 400, "{id}: {}", answer.text());
    }
    assert_eq!(gateway.view("/v1/services/s/instances")["count"], 0);
}
