//! The native API: what is expected of instances, many at once, drain and weight, watching, tokens, and what others are told.

use serde_json::{Value, json};

use crate::harness::admin::{ask, json};
use crate::harness::client::Peer;
use crate::harness::clock::until;
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::Origin;
use coregate_strict::Response;

const ONE: &str = "/v1/services/s/instances/a";

/// A gateway whose service takes whoever comes by the Unix socket.
fn open() -> Gateway {
    Setup::run(&config("", "register = true", &[])).start()
}

/// A request to the Unix socket with these header lines.
fn with(gateway: &Gateway, method: &str, target: &str, fields: &str, body: &Value) -> Response {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    ask(&gateway.admin_address(), method, target, fields, &body)
}

fn body(port: u16) -> Value {
    json!({ "address": format!("127.0.0.1:{port}") })
}

/// A watcher of a running gateway.
struct Watcher(Peer, String);

impl Watcher {
    fn new(gateway: &Gateway, target: &str) -> Self {
        let mut peer = Peer::connect(&gateway.admin_address());
        peer.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        Self(peer, String::new())
    }

    /// The texts of what it hears, until one has this in it.
    #[track_caller]
    fn until(&mut self, text: &str) -> &str {
        use std::io::Read;
        while !self.1.contains(text) {
            let mut bytes = [0; 4096];
            let count = self.0.reader.stream.read(&mut bytes).expect("more");
            assert!(count > 0, "it ended: {}", self.1);
            self.1.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        &self.1
    }
}

#[test]
fn what_has_changed_meanwhile_is_not_overwritten() {
    let gateway = open();
    let new = with(&gateway, "PUT", ONE, "If-None-Match: *\r\n", &body(1));
    assert_eq!(new.status, 201);
    let tag = new.head.get("etag").unwrap().to_owned();
    assert_eq!(with(&gateway, "PUT", ONE, "If-None-Match: *\r\n", &body(1)).status, 412);
    let renew = format!("{ONE}/renew");
    assert_eq!(gateway.admin("POST", &renew).head.get("etag"), Some(tag.as_str()), "no change");
    let fields = format!("If-Match: {tag}\r\n");
    let changed = with(&gateway, "PUT", ONE, &fields, &body(2));
    assert_eq!(changed.status, 200);
    let now = changed.head.get("etag").unwrap().to_owned();
    assert_ne!(now, tag);
    let weight = json!({ "weight": 5 });
    for (method, target, body) in [
        ("PUT", ONE.to_owned(), body(3)),
        ("DELETE", ONE.to_owned(), Value::Null),
        ("PUT", format!("{ONE}/status"), json!({ "status": "down" })),
        ("PUT", format!("{ONE}/weight"), weight.clone()),
        ("POST", format!("{ONE}/drain"), Value::Null),
    ] {
        let refused = with(&gateway, method, &target, &fields, &body);
        assert_eq!(refused.status, 412, "{method} {target}: {}", refused.text());
        assert_eq!(format!("\"{}\"", json(&refused)["revision"]), now);
    }
    let view = gateway.view(ONE);
    assert_eq!((&view["address"], &view["weight"]), (&"127.0.0.1:2".into(), &1.into()));
    let fields = format!("If-Match: \"1\", {now}\r\n");
    assert_eq!(with(&gateway, "PUT", &format!("{ONE}/weight"), &fields, &weight).status, 200);
    assert_eq!(gateway.view(ONE)["weight"], 5);
    assert_eq!(with(&gateway, "DELETE", ONE, "If-Match: *\r\n", &Value::Null).status, 200);
    assert_eq!(with(&gateway, "DELETE", ONE, "If-Match: *\r\n", &Value::Null).status, 412);
    // Whoever wants no body gets none.
    assert_eq!(with(&gateway, "PUT", ONE, "", &body(1)).status, 201);
    let brief = with(&gateway, "POST", &renew, "Prefer: return=minimal\r\n", &Value::Null);
    assert_eq!((brief.status, brief.text().as_str()), (204, ""));
}

#[test]
fn many_at_once() {
    let gateway = open();
    let register =
        |id: &str, port: u16| json!({ "service": "s", "id": id, "instance": body(port) });
    let bulk = |body: Value| gateway.admin_with("POST", "/v1/registry/bulk", &body);
    let done = bulk(json!({ "register": [register("a", 1), register("b", 2)] }));
    assert_eq!(done.status, 200, "{}", done.text());
    let report = json(&done);
    assert_eq!((&report["done"], &report["results"][1]["code"]), (&2.into(), &201.into()));
    let mixed = bulk(json!({
        "register": [register("c", 3), register("d", 0), { "service": "t", "id": "x", "instance": body(4) }],
        "renew": [{ "service": "s", "id": "a" }, { "service": "s", "id": "nobody" }],
        "deregister": [{ "service": "s", "id": "b" }],
    }));
    assert_eq!(mixed.status, 409);
    assert_eq!(mixed.head.get("content-type"), Some("application/problem+json"));
    let report = json(&mixed);
    let codes: Vec<_> =
        report["results"].as_array().unwrap().iter().map(|one| &one["code"]).collect();
    assert_eq!(codes, [201, 400, 404, 200, 404, 200]);
    assert_eq!((&report["done"], &report["refused"]), (&3.into(), &3.into()));
    let view = gateway.view("/v1/services/s/instances");
    let ids: Vec<_> = view["instances"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, ["a", "c"]);
    let many: Vec<_> =
        (0..1_001).map(|id| json!({ "service": "s", "id": id.to_string() })).collect();
    for wrong in
        [json!({}), json!({ "renew": many }), json!({ "renew": [{}] }), json!({ "more": [] })]
    {
        assert_eq!(bulk(wrong).status, 400);
    }
}

#[test]
fn an_id_goes_before_an_address() {
    let (one, two) = (Origin::named("one"), Origin::named("two"));
    let gateway = open();
    // An id that is another's address.
    for (id, origin) in [(two.address(), &one), ("b", &two)] {
        let target = format!("/v1/services/s/instances/{id}");
        let body = json!({ "address": origin.address() });
        assert_eq!(gateway.admin_with("PUT", &target, &body).status, 201);
    }
    let said = gateway.done(&["registry", "drain", "s", two.address(), "--deadline", "5s"]);
    assert!(said.starts_with(&format!("s {}: gets no new requests", one.address())), "{said}");
    let mut client = gateway.client();
    (0..4).for_each(|_| assert_eq!(client.get("/").text(), "two GET /"));
    gateway.done(&["registry", "enable", "s", two.address()]);
    gateway.done(&["registry", "drain", "s", "b"]);
    (0..4).for_each(|_| assert_eq!(client.get("/").text(), "one GET /"));
    assert_eq!(gateway.admin("POST", "/v1/services/s/instances/nobody/drain").status, 404);
    let said = gateway.done(&["registry", "weight", "s", "b", "7"]);
    assert!(said.starts_with("instance b of service s: weight 7"), "{said}");
    assert_eq!(gateway.view("/v1/services/s/instances/b")["weight"], 7);
}

/// A list at revision R, then watching from R: nothing is missed, nothing told twice.
#[test]
fn a_list_and_what_comes_after() {
    let gateway = open();
    let put = |id: usize| {
        let target = format!("/v1/services/s/instances/i{id}");
        let body = json!({ "address": format!("127.0.0.1:{}", id + 1), "status": "down" });
        assert_eq!(gateway.admin_with("PUT", &target, &body).status, 201);
    };
    for round in 0..20 {
        put(2 * round);
        let list = gateway.view("/v1/services/s/instances");
        let revision = list["revision"].as_u64().unwrap();
        put(2 * round + 1);
        let target = format!("/v1/registry/watch?service=s&from={revision}");
        let mut watcher = Watcher::new(&gateway, &target);
        let heard = watcher.until(&format!("\"id\":\"i{}\"", 2 * round + 1));
        assert_eq!(heard.matches("event: instance").count(), 1, "{heard}");
    }
    // A process before this one may have had more.
    let mut watcher = Watcher::new(&gateway, "/v1/registry/watch?from=99999");
    watcher.until("event: compacted");
}

#[test]
fn watching_by_command() {
    let gateway = Setup::run(&config("", "register = true", &[])).start();
    assert_eq!(gateway.admin_with("PUT", ONE, &body(1)).status, 201);
    let folder = crate::harness::gateway::Folder::new();
    let told = folder.path("told");
    let words = ["registry", "watch", "s", "--from", "0", "--admin", &gateway.admin_address()];
    let mut watch = std::process::Command::new(crate::harness::gateway::binary())
        .args(words)
        .stdout(std::fs::File::create(&told).unwrap())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let line = |text: &str| {
        until(text, || {
            let all = std::fs::read_to_string(&told).unwrap();
            all.lines().find(|line| line.contains(text)).map(str::to_owned)
        })
    };
    assert!(line("said").contains("127.0.0.1:1"));
    gateway.done(&["registry", "deregister", "s", "a"]);
    line("gone (deregistered)");
    let _ = watch.kill();
    let _ = watch.wait();
}

/// Registered as long as a command runs, which ends as it is told to.
#[test]
fn a_command_that_keeps_a_lease() {
    let origin = Origin::named("o");
    let gateway = open();
    let admin = gateway.admin_address();
    let mut keep = keeping(&admin, &origin, &["--check-tcp", "--check-every", "200ms"]);
    until("it is there", || (gateway.admin("GET", ONE).status == 200).then_some(()));
    assert_eq!(gateway.view(ONE)["check"]["every_ms"], 200);
    // Somebody takes it away: the next renewal says so, and it registers again.
    gateway.done(&["registry", "deregister", "s", "a"]);
    until("it is there again", || (gateway.admin("GET", ONE).status == 200).then_some(()));
    let pid = rustix::process::Pid::from_raw(keep.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(keep.wait().unwrap().code(), Some(0));
    assert_eq!(gateway.admin("GET", ONE).status, 404);
}

/// A command that keeps instance `a` at an origin.
fn keeping(admin: &str, origin: &Origin, more: &[&str]) -> std::process::Child {
    std::process::Command::new(crate::harness::gateway::binary())
        .args(["registry", "register", "s", origin.address(), "--id", "a", "--ttl", "1s"])
        .args(["--keep", "--admin", admin])
        .args(more)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

/// Who has its address leaves the place to its successor, and does not take it away again.
#[test]
fn a_command_whose_instance_was_replaced_ends() {
    let origin = Origin::named("o");
    let gateway = open();
    let mut keep = keeping(&gateway.admin_address(), &origin, &[]);
    until("it is there", || (gateway.admin("GET", ONE).status == 200).then_some(()));
    gateway.done(&["registry", "register", "s", origin.address(), "--id", "b"]);
    assert_eq!(keep.wait().unwrap().code(), Some(1));
    let there = gateway.view("/v1/services/s/instances");
    assert_eq!((there["count"].as_u64(), &there["instances"][0]["id"]), (Some(1), &json!("b")));
}

/// What is not taken in any more can still be held back, and taken away.
#[test]
fn instances_of_a_service_that_takes_no_more() {
    let origin = Origin::named("o");
    let gateway = open();
    gateway.done(&["registry", "register", "s", origin.address(), "--id", "a"]);
    gateway.done(&["registry", "status", "s", "a", "maintenance"]);
    let said = gateway.refused(&["registry", "enable", "s", "a"]);
    assert!(said.contains("by its status (maintenance, down or starting)"), "{said}");
    gateway.reload(&config("", "", &[origin.address()]));
    let said = gateway.refused(&["registry", "renew", "s", "a"]);
    assert!(said.contains("takes no registrations"), "{said}");
    gateway.done(&["registry", "status", "s", "a", "up"]);
    gateway.done(&["registry", "deregister", "s", "a"]);
    assert_eq!(gateway.admin("GET", ONE).status, 404);
}

#[test]
fn tokens_open_what_they_are_for_and_change_by_reload() {
    const READ: &str = "a-token-of-some-length-to-read";
    const OTHER: &str = "another-token-of-some-length";
    let text = config("", "register = true", &[]);
    let grant = |token: &str, scopes: &str| {
        format!(
            "{text}[tokens.team]\ntoken.env = '{token}'\nservices = ['s*']\nscopes = {scopes}\n"
        )
    };
    let setup = Setup::run(&grant("READ", "['read']")).with(&["--admin", "127.0.0.1:0"]);
    let gateway = setup.variable("READ", READ).variable("OTHER", OTHER).start();
    let places = gateway.line("coregate: admin listener on ").unwrap();
    let place = places.split(", ").find(|place| place.starts_with("127.0.0.1:")).unwrap();
    let ask = |method: &str, target: &str, token: &str| {
        let fields = format!("Authorization: Bearer {token}\r\n");
        let body = if method == "PUT" { body(1).to_string() } else { String::new() };
        ask(place, method, target, &fields, &body).status
    };
    let list = "/v1/services/s/instances";
    assert_eq!(
        [ask("GET", list, READ), ask("PUT", ONE, READ), ask("GET", list, OTHER)],
        [200, 403, 401]
    );
    gateway.reload(&grant("OTHER", "['read', 'register', 'operate']"));
    assert_eq!(
        [ask("GET", list, READ), ask("PUT", ONE, OTHER), ask("GET", list, OTHER)],
        [401, 201, 200]
    );
    assert_eq!(ask("POST", &format!("{ONE}/drain"), OTHER), 200);
    assert_eq!(ask("GET", "/v1/config", OTHER), 403);
}

#[test]
fn what_others_are_told() {
    let origin = Origin::named("o");
    let gateway = open();
    let about = json!({ "address": origin.address(), "zone": "z-1", "tags": ["a b"], "metadata": { "k.x": "v" } });
    assert_eq!(gateway.admin_with("PUT", ONE, &about).status, 201);
    let down = json!({ "address": "127.0.0.1:1", "status": "down" });
    assert_eq!(gateway.admin_with("PUT", "/v1/services/s/instances/b", &down).status, 201);
    let told = gateway.admin("GET", "/v1/sd/prometheus");
    let groups = json(&told);
    assert_eq!(groups.as_array().unwrap().len(), 1, "{groups:#}");
    assert_eq!(groups[0]["targets"], json!([origin.address()]));
    let labels = &groups[0]["labels"];
    for (label, value) in [
        ("__meta_coregate_service", "s"),
        ("__meta_coregate_id", "a"),
        ("__meta_coregate_zone", "z-1"),
        ("__meta_coregate_status", "up"),
        ("__meta_coregate_tag_a_b", "true"),
        ("__meta_coregate_metadata_k_x", "v"),
    ] {
        assert_eq!(labels[label], value, "{labels:#}");
    }
    let tag = told.head.get("etag").unwrap();
    let fields = format!("If-None-Match: {tag}\r\n");
    let again = with(&gateway, "GET", "/v1/sd/prometheus", &fields, &Value::Null);
    assert_eq!((again.status, again.text().as_str()), (304, ""));
    let all = gateway.view("/v1/sd/prometheus?all=true");
    assert_eq!(all.as_array().unwrap().len(), 2);
    let mut client = gateway.client();
    (0..10).for_each(|_| assert_eq!(client.get("/").status, 200));
    let load = gateway.view("/v1/services/s/load");
    assert_eq!((&load["serving"], &load["requests"]), (&1.into(), &10.into()), "{load:#}");
    assert!(load["requests_per_second"].is_number() && load["in_flight_per_instance"].is_number());
}

/// Whether or not anybody has registered with their service.
#[test]
fn instances_of_the_file_are_scraped_too() {
    let origin = Origin::named("o");
    let gateway = Setup::run(&config("", "", &[origin.address()])).start();
    let groups = gateway.view("/v1/sd/prometheus");
    assert_eq!(groups[0]["targets"], json!([origin.address()]), "{groups:#}");
}
