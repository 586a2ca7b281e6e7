//! Instances that register, and are believed while they renew their leases: `/v1/services/NAME/instances/ID`.

use serde_json::{Value, json};

use super::{Slow, stays};
use crate::harness::admin::{ask, json as body_of};
use crate::harness::client::get;
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::Origin;

/// A gateway whose service `s` takes registrations by the Unix socket.
fn open(instances: &[&str]) -> Gateway {
    Setup::run(&config("", "register = true", instances)).start()
}

fn path(id: &str) -> String {
    format!("/v1/services/s/instances/{id}")
}

/// Registers an instance of `s`; gives the status and the answer.
#[track_caller]
fn register(gateway: &Gateway, id: &str, body: &Value) -> (u16, Value) {
    let response = gateway.admin_with("PUT", &path(id), body);
    (response.status, body_of(&response))
}

#[track_caller]
fn renew(gateway: &Gateway, id: &str) -> u16 {
    gateway.admin("POST", &format!("{}/renew", path(id))).status
}

#[test]
fn who_registers_is_given_requests_at_once() {
    let (one, two) = (Origin::named("one"), Origin::named("two"));
    let gateway = open(&[]);
    let mut client = gateway.client();
    assert_eq!(client.get("/").status, 503);
    let about = json!({
        "address": one.address(), "ttl": "1h", "zone": "z1", "version": "1.2", "weight": 5,
        "tags": ["blue"], "metadata": { "port": "80" },
    });
    let (status, view) = register(&gateway, "a", &about);
    assert_eq!((status, &view["status"]), (201, &"up".into()), "{view:#}");
    stays(&mut client, "/", "one GET /");
    assert_eq!(view["lease"]["ttl_ms"], 3_600_000);
    assert_eq!(view["lease"]["renew_ms"], 1_200_000);
    let fields = ["address", "zone", "version", "weight", "tags", "metadata"];
    fields.iter().for_each(|key| assert_eq!(view[key], about[key], "{key}"));
    // Again is the same instance; renewals and repetitions leave the revision as it is.
    let (status, again) = register(&gateway, "a", &about);
    assert_eq!((status, &again["revision"]), (200, &view["revision"]));
    assert_eq!(renew(&gateway, "a"), 200);
    assert_eq!(gateway.view(&path("a"))["revision"], view["revision"]);
    // An instance may move; who comes later has the address.
    assert_eq!(register(&gateway, "a", &json!({ "address": two.address() })).0, 200);
    stays(&mut client, "/", "two GET /");
    assert_eq!(register(&gateway, "b", &json!({ "address": two.address() })).0, 201);
    assert_eq!(gateway.admin("GET", &path("a")).status, 404);
    assert_eq!(renew(&gateway, "a"), 404, "who was replaced has to register");
    stays(&mut client, "/", "two GET /");
    let list = gateway.view("/v1/services/s/instances");
    assert_eq!((&list["count"], &list["instances"][0]["id"]), (&1.into(), &"b".into()));
    let services = gateway.view("/v1/services");
    assert_eq!(services["services"][0]["register"], "socket");
    assert_eq!(gateway.admin("DELETE", &path("b")).status, 200);
    assert_eq!(client.get("/").status, 503);
    assert_eq!(gateway.admin("DELETE", &path("b")).status, 404);
}

/// Its lease runs out: it gets no more requests, and what it has goes on.
#[test]
fn who_falls_silent_is_gone() {
    let (slow, kept) = (Slow::named("slow"), Origin::named("kept"));
    let gateway = open(&[]);
    let body = json!({ "address": slow.address(), "ttl": "1s" });
    assert_eq!(register(&gateway, "silent", &body).0, 201);
    let mut busy = gateway.client();
    busy.send(get("/slow"));
    slow.arrived();
    let body = json!({ "address": kept.address(), "ttl": "1h" });
    assert_eq!(register(&gateway, "kept", &body).0, 201);
    let mut client = gateway.client();
    // Whoever is asked meanwhile answers: no request fails.
    let list = || gateway.view("/v1/services/s/instances");
    while list()["count"] == 2 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(list()["instances"][0]["id"], "kept");
    for _ in 0..4 {
        stays(&mut client, "/", "kept GET /");
    }
    slow.answer();
    assert_eq!(busy.response().text(), "slow /slow");
    assert_eq!(renew(&gateway, "silent"), 404);
    let metrics = gateway.admin("GET", "/metrics").text();
    assert!(metrics.contains("coregate_registry_expirations_total{} 1"), "{metrics}");
}

#[test]
fn its_status_decides() {
    let origin = Origin::named("o");
    let gateway = open(&[]);
    let mut client = gateway.client();
    let status = |word: &str| {
        let target = format!("{}/status", path("a"));
        let response = gateway.admin_with("PUT", &target, &json!({ "status": word }));
        assert_eq!(response.status, 200, "{}", response.text());
        body_of(&response)["status"].as_str().unwrap().to_owned()
    };
    let body = json!({ "address": origin.address(), "status": "starting" });
    assert_eq!(register(&gateway, "a", &body).1["status"], "starting");
    assert_eq!(client.get("/").status, 503);
    assert_eq!(status("up"), "up");
    stays(&mut client, "/", "o GET /");
    assert_eq!(status("maintenance"), "maintenance");
    assert_eq!(client.get("/").status, 503);
    // It cannot talk its way out of that.
    let (code, view) = register(&gateway, "a", &json!({ "address": origin.address() }));
    assert_eq!((code, &view["status"]), (200, &"maintenance".into()));
    assert_eq!(client.get("/").status, 503);
    assert_eq!(status("up"), "up");
    gateway.done(&["drain", "s", origin.address()]);
    assert_eq!(gateway.view(&path("a"))["status"], "draining");
    gateway.done(&["enable", "s", origin.address()]);
    stays(&mut client, "/", "o GET /");
    let view = gateway.view(&path("a"));
    let was: Vec<_> =
        view["transitions"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(was, ["starting", "up", "maintenance", "up", "draining", "up"]);
}

/// What a reload changes of its service it goes on with; without `register` it is not heard any more.
#[test]
fn reloads_and_those_who_registered() {
    let origin = Origin::named("o");
    let gateway = open(&[]);
    assert_eq!(register(&gateway, "a", &json!({ "address": origin.address() })).0, 201);
    let lines = gateway.reload(&config("", "register = true\ntimeout.connect = '2s'", &[]));
    assert!(lines.join("\n").contains("timeout.connect 1s -> 2s"), "{lines:?}");
    stays(&mut gateway.client(), "/", "o GET /");
    let lines = gateway.reload(&config("", "", &[]));
    assert!(lines.join("\n").contains("register true -> false"), "{lines:?}");
    let (status, problem) = register(&gateway, "b", &json!({ "address": "127.0.0.1:1" }));
    assert_eq!(status, 403);
    assert!(problem["detail"].as_str().unwrap().contains("takes no registrations"), "{problem:#}");
    assert_eq!(renew(&gateway, "a"), 403);
    stays(&mut gateway.client(), "/", "o GET /");
    gateway.reload(&config("", "register = true", &[]));
    assert_eq!(renew(&gateway, "a"), 200);
}

#[test]
fn who_may_register_over_tcp() {
    const ADMIN: &str = "an-admin-token-of-some-length";
    const TOKEN: &str = "a-service-token-of-some-length";
    let origin = Origin::named("o");
    let text = config("", "register.token.env = 'S_TOKEN'", &[]);
    let text = text.replace("cores = 1", "cores = 1\nadmin_token.env = 'A_TOKEN'")
        + "'/t/*' = 't'\n[services.t]\nregister = true\n";
    let setup = Setup::run(&text).with(&["--admin", "127.0.0.1:0"]);
    let gateway = setup.variable("A_TOKEN", ADMIN).variable("S_TOKEN", TOKEN).start();
    let places = gateway.line("coregate: admin listener on ").unwrap();
    let place = places.split(", ").find(|place| place.starts_with("127.0.0.1:")).unwrap();
    let put = |service: &str, token: &str| {
        let fields = match token {
            "" => String::new(),
            token => format!("Authorization: Bearer {token}\r\n"),
        };
        let body = json!({ "address": origin.address() }).to_string();
        ask(place, "PUT", &format!("/v1/services/{service}/instances/a"), &fields, &body)
    };
    for (service, token, status) in [
        ("s", "", 401),
        ("s", "wrong", 401),
        ("s", TOKEN, 201),
        ("s", ADMIN, 200),
        ("t", TOKEN, 401),
        ("t", ADMIN, 403),
        // Who has no token is not told which services there are.
        ("u", TOKEN, 401),
        ("u", ADMIN, 404),
    ] {
        let response = put(service, token);
        assert_eq!(response.status, status, "{service} {token}: {}", response.text());
        assert_eq!(response.head.get("www-authenticate").is_some(), status == 401);
    }
    stays(&mut gateway.client(), "/", "o GET /");
    // It opens what concerns instances of its service, but what operators do, and nothing else.
    let fields = format!("Authorization: Bearer {TOKEN}\r\n");
    for (method, target, status) in [
        ("POST", "/v1/services/s/instances/a/renew", 200),
        ("GET", "/v1/services/s/instances/a", 200),
        ("GET", "/v1/services", 401),
        ("GET", "/v1/config", 401),
        ("POST", "/v1/services/s/instances/a/drain", 403),
        ("POST", "/v1/config/reload", 401),
        ("DELETE", "/v1/services/s/instances/a", 200),
    ] {
        let response = ask(place, method, target, &fields, "");
        assert_eq!(response.status, status, "{method} {target}: {}", response.text());
    }
    // The admin listener's own socket would believe the gateway: nobody leads requests there over TCP.
    let socket = gateway.admin_address();
    for token in [TOKEN, ADMIN] {
        let fields = format!("Authorization: Bearer {token}\r\n");
        let body = json!({ "address": socket }).to_string();
        assert_eq!(ask(place, "PUT", &path("a"), &fields, &body).status, 403, "{token}");
    }
    let fields = format!("Authorization: Bearer {ADMIN}\r\n");
    let change = json!({ "action": "register", "service": "s", "address": socket });
    let body = json!({ "changes": [change] }).to_string();
    assert_eq!(ask(place, "POST", "/v1/registry/changes", &fields, &body).status, 403);
    // By the Unix socket nobody is asked for one.
    let body = json!({ "address": origin.address() });
    assert_eq!(register(&gateway, "a", &body).0, 201);
    // A token that cannot be had is no configuration.
    gateway.write(&text.replace("S_TOKEN", "NOT_SET"));
    let said = gateway.refused(&["reload"]);
    assert!(said.contains("services.s.register.token: environment variable NOT_SET"), "{said}");
}

#[test]
fn what_cannot_be_registered() {
    let gateway = open(&[]);
    let long = "x".repeat(256);
    let many: Vec<_> = (0..65).map(|at| at.to_string()).collect();
    let bomb: serde_json::Map<_, _> = (0..65).map(|at| (at.to_string(), "".into())).collect();
    for body in [
        json!({ "address": "nonsense" }),
        json!({ "address": "127.0.0.1:0" }),
        json!({}),
        json!([]),
        json!({ "address": "127.0.0.1:1", "adress": 1 }),
        json!({ "address": "127.0.0.1:1", "ttl": "0s" }),
        json!({ "address": "127.0.0.1:1", "ttl": "999ms" }),
        json!({ "address": "127.0.0.1:1", "ttl": "25h" }),
        json!({ "address": "127.0.0.1:1", "ttl": 30 }),
        json!({ "address": "127.0.0.1:1", "status": "maintenance" }),
        json!({ "address": "127.0.0.1:1", "weight": 0 }),
        json!({ "address": "127.0.0.1:1", "weight": -1 }),
        json!({ "address": "127.0.0.1:1", "zone": long }),
        json!({ "address": "127.0.0.1:1", "tags": many }),
        json!({ "address": "127.0.0.1:1", "metadata": bomb }),
        json!({ "address": "127.0.0.1:1", "metadata": { "k": "a\nb" } }),
        json!({ "address": "127.0.0.1:1", "metadata": { "k": 1 } }),
    ] {
        let response = gateway.admin_with("PUT", &path("a"), &body);
        assert_eq!(response.status, 400, "{body}: {}", response.text());
        assert_eq!(response.head.get("content-type"), Some("application/problem+json"));
    }
    let right = json!({ "address": "127.0.0.1:1" });
    for (target, status) in [
        (path(&long), 400),
        (path("%00"), 400),
        (path("%ff"), 400),
        ("/v1/services/nobody/instances/a".to_owned(), 404),
        (path("a/b"), 404),
        (path(""), 404),
    ] {
        let response = gateway.admin_with("PUT", &target, &right);
        assert_eq!(response.status, status, "{target}: {}", response.text());
    }
    assert_eq!(gateway.admin("PUT", &format!("{}/status", path("a"))).status, 400);
    assert_eq!(gateway.admin_with("POST", &format!("{}/renew", path("a")), &right).status, 400);
    assert_eq!(gateway.admin("POST", &path("a")).status, 405);
    for query in ["?limit=0", "?limit=1001", "?limit=x", "?more=1"] {
        let response = gateway.admin("GET", &format!("/v1/services/s/instances{query}"));
        assert_eq!(response.status, 400, "{query}");
    }
    assert_eq!(gateway.admin("GET", "/v1/services/nobody/instances").status, 404);
    assert_eq!(gateway.view("/v1/services/s/instances")["count"], 0);
}

/// An id may hold what a path may not; without an address it is one.
#[test]
fn ids_are_escaped() {
    let origin = Origin::named("o");
    let gateway = open(&[]);
    let body = json!({ "address": origin.address() });
    for (escaped, id) in
        [("a%2Fb", "a/b"), ("%25", "%"), ("h%C3%A9", "hé"), ("h:app:80", "h:app:80")]
    {
        let (status, view) = register(&gateway, escaped, &body);
        assert_eq!((status, &view["id"]), (201, &id.into()));
        assert_eq!(gateway.view(&path(escaped))["id"], id);
        assert_eq!(gateway.done(&["registry", "show", "s", id]).lines().count(), 10);
        assert_eq!(renew(&gateway, escaped), 200);
    }
    stays(&mut gateway.client(), "/", "o GET /");
    assert_eq!(gateway.admin("PUT", &path(origin.address())).status, 201);
    assert_eq!(gateway.admin("PUT", &path("unix:%2Frun%2Fnobody.sock")).status, 201);
    assert_eq!(gateway.view("/v1/services/s/instances")["count"], 2);
}

#[test]
fn a_thousand_that_come_and_go() {
    let origin = Origin::named("o");
    let gateway = open(&[]);
    assert_eq!(register(&gateway, "o", &json!({ "address": origin.address() })).0, 201);
    let id = |at: usize| format!("i{at:04}");
    for at in 0..1_000 {
        let address = format!("127.0.{}.{}:9", 1 + at / 250, 1 + at % 250);
        let body =
            json!({ "address": address, "status": "down", "metadata": { "at": at.to_string() } });
        assert_eq!(register(&gateway, &id(at), &body).0, 201);
    }
    let first = gateway.view("/v1/services/s/instances?limit=400");
    assert_eq!((&first["count"], &first["next"]), (&1_001.into(), &id(399).into()));
    let rest = gateway.view(&format!("/v1/services/s/instances?after={}", id(399)));
    assert_eq!((rest["instances"].as_array().unwrap().len(), &rest["next"]), (601, &Value::Null));
    for at in 0..1_000 {
        assert_eq!(gateway.admin("DELETE", &path(&id(at))).status, 200);
    }
    assert_eq!(gateway.view("/v1/services/s/instances")["count"], 1);
    stays(&mut gateway.client(), "/", "o GET /");
}

#[test]
fn by_command() {
    let origin = Origin::named("o");
    let gateway = open(&[]);
    let words = ["registry", "register", "s", origin.address(), "--id", "a", "--ttl", "60s"];
    let about =
        ["--zone", "z1", "--version", "1.2", "--tag", "blue", "--meta", "k=v", "--weight", "7"];
    let said = gateway.done(&[&words[..], &about].concat());
    assert_eq!(said, "instance a of service s: up, to be renewed every 20.0 s");
    stays(&mut gateway.client(), "/", "o GET /");
    let list = gateway.done(&["registry", "list", "s"]);
    assert!(list.contains("lease=ok(") && list.contains(origin.address()), "{list}");
    assert!(gateway.done(&["registry", "list"]).contains("socket"));
    let shown = gateway.done(&["registry", "show", "s", "a"]);
    for part in ["version   1.2", "zone      z1", "tags      blue", "metadata  k=v", "weight    7"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(gateway.command_json(&["registry", "renew", "s", "a"], 0)["id"], "a");
    let said = gateway.done(&["registry", "status", "s", "a", "maintenance"]);
    assert!(said.contains("maintenance"), "{said}");
    let said = gateway.done(&["registry", "deregister", "s", "a"]);
    assert_eq!(said, "instance a of service s is gone");
    let said = gateway.refused(&["registry", "renew", "s", "a"]);
    assert!(said.contains("has no registered instance \"a\""), "{said}");
    assert_eq!(gateway.command_json(&["registry", "show", "s", "a"], 1)["status"], 404);
}

/// Leases travel to a new process, each with a full term; so does what was said of the instances.
#[test]
fn an_upgrade_takes_them_along() {
    let (one, held) = (Origin::named("one"), Origin::named("held"));
    let mut gateway = open(&[]);
    let body = json!({ "address": one.address(), "ttl": "1h", "metadata": { "k": "v" } });
    assert_eq!(register(&gateway, "a", &body).0, 201);
    assert_eq!(register(&gateway, "b", &json!({ "address": held.address() })).0, 201);
    gateway.done(&["registry", "status", "s", "b", "maintenance"]);
    gateway.upgrade();
    assert_eq!(gateway.wait_for_predecessor(1), Some(0));
    let mut client = gateway.client();
    (0..4).for_each(|_| stays(&mut client, "/", "one GET /"));
    let view = gateway.view(&path("a"));
    assert_eq!(
        (&view["metadata"]["k"], &view["lease"]["ttl_ms"]),
        (&"v".into(), &3_600_000.into())
    );
    assert_eq!(gateway.view(&path("b"))["status"], "maintenance");
    assert_eq!(renew(&gateway, "a"), 200);
    gateway.done(&["registry", "status", "s", "b", "up"]);
    gateway.done(&["registry", "deregister", "s", "a"]);
    (0..4).for_each(|_| stays(&mut client, "/", "held GET /"));
}
