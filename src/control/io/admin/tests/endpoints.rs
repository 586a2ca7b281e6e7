//! Every endpoint: what it asks, and what it answers.

use std::path::PathBuf;
use std::time::Duration;

use coregate_core::base::limits;
use serde_json::json;

use super::Stage;
use crate::io::admin::explain::RoutesView;
use crate::io::admin::question::{Change, ChangeAction, Question};
use crate::io::admin::report::{
    Acknowledged, Answer, ConfigReport, DiffReport, EntryState, HistoryEntry, InstanceReport,
    InstanceState, MembershipReport, Origin, Refusal, RefusedChange, ReloadReport, UpgradeReport,
    Verdict, Why,
};
use crate::io::admin::view::{Readiness, Status};
use crate::io::moment::Moment;
use crate::registry::directory::admission::Caller;
use crate::registry::order::{Expected, Order, What};

fn moment() -> Moment {
    Moment { unix: 1, text: "1970-01-01T00:00:01Z".into() }
}

#[test]
fn probes_say_how_it_is() {
    let stage = Stage::new();
    let live = stage.ask("GET /livez");
    assert_eq!((live.status, live.body.as_str()), (200, "ok\n"));
    assert!(live.head.contains("content-type: text/plain"));
    assert!(live.head.contains("cache-control: no-store"));
    for (readiness, status, body) in [
        (Readiness::Starting, 503, "starting\n"),
        (Readiness::Ready, 200, "ready\n"),
        (Readiness::Draining, 503, "draining\n"),
    ] {
        *stage.process.readiness.lock().expect("readiness") = readiness;
        let ready = stage.ask("GET /readyz");
        assert_eq!((ready.status, ready.body.as_str()), (status, body));
    }
    *stage.process.ailing.lock().expect("ailing") = Some("the registry has ended");
    let ailing = stage.ask("GET /livez");
    assert_eq!((ailing.status, ailing.body.as_str()), (503, "the registry has ended\n"));
    *stage.process.ailing.lock().expect("ailing") = None;
    let head = stage.ask("HEAD /livez");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[test]
fn status_and_workers_are_shown() {
    let stage = Stage::new();
    let status = stage.ask("GET /v1/status");
    assert_eq!(status.status, 200);
    assert!(status.head.contains("content-type: application/json"));
    let read: Status = serde_json::from_str(&status.body).expect("a status");
    assert_eq!(read, super::status());
    assert_eq!(status.json()["readiness"], "ready");

    let workers = stage.ask("GET /v1/workers").json();
    assert_eq!(
        workers["workers"][1],
        json!({
            "worker": 1, "cpu": 1, "generation": 8, "stuck": true, "stuck_ms": 1500,
            "busy_ratio": 0.25, "connections": 4, "idle": 1, "requests": 101,
            "lateness": {
                "count": 100, "sum_us": 12000, "p50_us": 100, "p99_us": 300, "p999_us": 2_000_000,
                "max_us": 2_000_000, "buckets": [[100, 90], [300, 9], [null, 1]],
            },
            "counters": {
                "requests": 101, "connections_open": 4, "connections_idle": 1, "tunnels_open": 2,
            },
            "rejected": { "no_route": 4, "bad_request": 1 },
            "authentications": { "known": 5, "missing": 1 },
        })
    );
    assert_eq!(workers["workers"].as_array().map(Vec::len), Some(2));
    assert!(stage.process.asked().is_empty());
}

#[test]
fn routes_stand_in_order_of_precedence() {
    let stage = Stage::new();
    let routes = stage.ask("GET /v1/routes");
    assert_eq!(routes.status, 200);
    let read: RoutesView = serde_json::from_str(&routes.body).expect("routes");
    let named: Vec<_> = read.routes.iter().map(|route| route.name.as_str()).collect();
    assert_eq!((read.generation, named), (9, vec!["/health", "/*"]));
    assert_eq!(
        routes.json()["routes"][1],
        json!({
            "name": "/*", "host": "*", "methods": [], "path": "/*", "predicates": [],
            "priority": 0, "action": "upstream", "services": ["upstream"],
        })
    );
    assert_eq!((read.total, read.next), (2, None));
    assert!(stage.process.asked().is_empty());
}

#[test]
fn routes_come_in_pages() {
    let stage = Stage::new();
    let page = |query: &str| {
        let read: RoutesView =
            serde_json::from_str(&stage.ask(&format!("GET /v1/routes{query}")).body)
                .expect("routes");
        let names: Vec<_> = read.routes.into_iter().map(|route| route.name).collect();
        (names.join(" "), read.total, read.next, read.edition)
    };
    let (all, _, _, edition) = page("");
    assert_eq!(all, "/health /*");
    assert_eq!(page("?limit=1"), ("/health".into(), 2, Some(1), edition.clone()));
    assert_eq!(page("?from=1&limit=1"), ("/*".into(), 2, None, edition.clone()));
    assert_eq!(page(&format!("?from={}", usize::MAX)), (String::new(), 2, None, edition));
    for bad in ["limit=0", "limit=10001", "limit=x", "from=-1", "to=1"] {
        stage.ask(&format!("GET /v1/routes?{bad}")).is_problem(400);
    }
}

#[test]
fn a_request_is_explained() {
    let stage = Stage::new();
    let explained = |body: &str| stage.ask_with("POST /v1/explain", body);
    let heard =
        explained(r#"{"method": "GET", "url": "https://a.com/x?y", "headers": [["x", "1"]]}"#);
    assert_eq!(heard.status, 200, "{heard:?}");
    let read = heard.json();
    assert_eq!((&read["outcome"], &read["route"]), (&json!("forward"), &json!("/*")));
    assert_eq!((&read["chosen"], &read["target"]), (&json!("upstream"), &json!("/x?y")));
    assert_eq!(
        read["request"],
        json!({ "method": "GET", "host": "a.com", "path": "/x", "query": "y" })
    );
    assert_eq!(
        read["services"],
        json!([{
            "service": "upstream", "percent": 100.0, "instances": ["10.0.0.1:80"], "instance_count": 1,
            "timeout_ms": { "connect": 1000, "first_byte": 60000, "body": 60000, "tunnel": 3600000 },
        }])
    );
    assert_eq!(read["candidates"][0]["standing"], "lost");
    assert_eq!(read["lines"][1], "route     /*");
    let refused = explained(r#"{"method": "GET", "url": "/%zz"}"#).json();
    assert_eq!((&refused["outcome"], &refused["status"]), (&json!("refused"), &json!(400)));
    for (body, status) in [
        (r#"{"method": "GET", "url": "/", "listener": "x"}"#, 400),
        (r#"{"method": "GET", "url": "/\r\na: b"}"#, 400),
        (r#"{"method": "GET", "url": "/", "more": 1}"#, 400),
        (r#"{"url": "/"}"#, 400),
        ("", 400),
    ] {
        assert_eq!(explained(body).status, status, "{body}");
    }
    assert_eq!(stage.ask("GET /v1/explain").status, 405);
    let long =
        format!(r#"{{"method": "GET", "url": "/{}"}}"#, "x".repeat(limits::ADMIN_BODY_BYTES));
    assert_eq!(explained(&long).status, 413);
    assert!(stage.process.asked().is_empty());
}

#[test]
fn metrics_are_openmetrics() {
    let heard = Stage::new().ask("GET /metrics");
    assert_eq!(heard.status, 200);
    assert!(heard.head.contains("content-type: application/openmetrics-text; version=1.0.0"));
    assert!(heard.body.contains("coregate_worker_requests_total{worker=\"1\"} 101\n"));
    assert!(heard.body.ends_with("# EOF\n"));
}

#[test]
fn questions_are_asked_as_they_were_put() {
    let stage = Stage::new();
    let secs = Duration::from_secs;
    let report = || Answer::Reload(ReloadReport { applied: true, ..ReloadReport::default() });
    let users = |what| {
        let (service, id) = ("users/a b".into(), "unix:/run/a.sock".into());
        let (by, expected) = (Caller::Socket, Expected::Anything);
        Question::Operate(Box::new(Order { service, id, by, expected, what }))
    };
    let instance = "/v1/services/users%2Fa%20b/instances/unix:%2Frun%2Fa.sock";
    for (line, question) in [
        ("POST /v1/config/reload".into(), Question::Reload { confirm: None }),
        ("POST /v1/config/reload?confirm=60s".into(), Question::Reload { confirm: Some(secs(60)) }),
        ("POST /v1/config/confirm".into(), Question::Confirm),
        ("POST /v1/config/rollback".into(), Question::Rollback { to: None }),
        ("POST /v1/config/rollback?to=3".into(), Question::Rollback { to: Some(3) }),
        ("GET /v1/config/history".into(), Question::History),
        ("GET /v1/config/diff".into(), Question::Diff { from: None, to: None }),
        ("GET /v1/config/diff?to=4&from=2".into(), Question::Diff { from: Some(2), to: Some(4) }),
        ("GET /v1/config".into(), Question::Config),
        ("POST /v1/upgrade".into(), Question::Upgrade { binary: None }),
        (format!("POST {instance}/drain?deadline=5s"), users(What::Drain { deadline: secs(5) })),
        (format!("POST {instance}/drain"), users(What::Drain { deadline: limits::SHUTDOWN_TIME })),
        (format!("POST {instance}/enable"), users(What::Enable)),
    ] {
        stage.process.will_answer(report());
        let heard = stage.ask(&line);
        assert_eq!(heard.status, 200, "{line}: {heard:?}");
        assert_eq!(stage.process.asked(), [question], "{line}");
    }
    stage.process.will_answer(report());
    stage.ask_with("POST /v1/upgrade", r#"{"binary": "/opt/coregate"}"#);
    let binary = Some(PathBuf::from("/opt/coregate"));
    assert_eq!(stage.process.asked(), [Question::Upgrade { binary }]);
}

#[test]
fn a_batch_of_changes_is_bounded() {
    let stage = Stage::new();
    let change = r#"{"action": "register", "service": "users", "address": "10.0.0.1:9000"}"#;
    let batch = |count| format!(r#"{{"changes": [{}]}}"#, vec![change; count].join(","));
    for (count, status) in [(0, 400), (1, 200), (1_000, 200), (1_001, 400)] {
        stage.process.will_answer(Answer::Membership(MembershipReport::default()));
        let heard = stage.ask_with("POST /v1/registry/changes", &batch(count));
        assert_eq!(heard.status, status, "{count}: {heard:?}");
        let asked = stage.process.asked();
        stage.process.answers.lock().expect("answers").clear();
        match asked.as_slice() {
            [] => assert_eq!(status, 400),
            [Question::Membership(changes)] => {
                assert_eq!(changes.len(), count);
                let address = "10.0.0.1:9000".parse().expect("an address");
                let action = ChangeAction::Register;
                assert_eq!(changes[0], Change { action, service: "users".into(), address });
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn answers_become_responses() {
    let stage = Stage::new();
    let verdict = Verdict {
        at: moment(),
        origin: Origin::Watch,
        applied: false,
        errors: vec!["no".into()],
        warnings: vec![],
    };
    let config = ConfigReport {
        generation: 4,
        workers: vec![Acknowledged { worker: 0, generation: 3 }],
        file: None,
        hash: "ab".into(),
        number: 2,
        since: moment(),
        last: verdict,
        pending: None,
    };
    let entry = HistoryEntry {
        number: 2,
        generation: 4,
        at: moment(),
        origin: Origin::Start,
        hash: "ab".into(),
        state: EntryState::Pending { until: moment() },
    };
    let instance = InstanceReport {
        service: "users".into(),
        address: "10.0.0.1:9000".parse().expect("an address"),
        state: InstanceState::Draining,
        in_flight: Some(3),
        deadline: None,
        durable: true,
    };
    let diff = DiffReport { from: 1, to: 2, lines: vec![], changes: json!({}) };
    let at = json!({ "unix": 1, "text": "1970-01-01T00:00:01Z" });
    for (answer, name, value) in [
        (
            Answer::Config(config),
            "last",
            json!({
                "at": at, "origin": "watch", "applied": false, "errors": ["no"], "warnings": [],
            }),
        ),
        (
            Answer::History(vec![entry]),
            "history",
            json!([{
                "number": 2, "generation": 4, "at": at, "origin": "start", "hash": "ab",
                "state": { "is": "pending", "until": at },
            }]),
        ),
        (Answer::Instance(instance), "address", json!("10.0.0.1:9000")),
        (Answer::Diff(diff), "to", json!(2)),
        (
            Answer::Upgrade(UpgradeReport { upgraded: true, ..UpgradeReport::default() }),
            "upgraded",
            json!(true),
        ),
    ] {
        stage.process.will_answer(answer);
        let heard = stage.ask("GET /v1/config");
        assert_eq!(heard.status, 200);
        assert_eq!(heard.json()[name], value);
    }
}

#[test]
fn what_is_refused_is_409_with_the_report() {
    let stage = Stage::new();
    let report =
        ReloadReport { errors: vec!["line 3".into()], generation: 8, ..Default::default() };
    stage.process.will_answer(Answer::Reload(report.clone()));
    let heard = stage.ask("POST /v1/config/reload");
    let problem = heard.is_problem(409);
    assert_eq!((&problem["applied"], &problem["errors"]), (&json!(false), &json!(["line 3"])));
    let read: ReloadReport = serde_json::from_str(&heard.body).expect("a report");
    assert_eq!(read, report);

    stage.process.will_answer(Answer::Upgrade(UpgradeReport::default()));
    assert_eq!(stage.ask("POST /v1/upgrade").is_problem(409)["upgraded"], false);
    let refused = vec![RefusedChange { index: 1, reason: "full".into() }];
    let report = MembershipReport { applied: 1, refused, ..Default::default() };
    stage.process.will_answer(Answer::Membership(report));
    let change = r#"{"changes":[{"action":"deregister","service":"a","address":"[::1]:1"}]}"#;
    let problem = stage.ask_with("POST /v1/registry/changes", change).is_problem(409);
    assert_eq!(problem["refused"], json!([{ "index": 1, "reason": "full" }]));
}

#[test]
fn refusals_have_a_status_each() {
    let stage = Stage::new();
    for (why, status) in
        [(Why::NotFound, 404), (Why::Conflict, 409), (Why::Invalid, 400), (Why::Unavailable, 503)]
    {
        stage.process.will_answer(Answer::Refused(Refusal {
            why,
            detail: "so it is".into(),
            revision: None,
        }));
        let heard = stage.ask("POST /v1/config/confirm");
        assert_eq!(heard.is_problem(status)["detail"], "so it is");
        assert_eq!(heard.head.contains("retry-after: 1"), status == 503);
    }
}

#[test]
fn a_full_queue_and_an_ending_process_are_503() {
    let stage = Stage::new();
    *stage.process.busy.lock().expect("busy") = true;
    let heard = stage.ask("POST /v1/config/reload");
    heard.is_problem(503);
    assert!(heard.head.contains("retry-after: 1"));

    *stage.process.busy.lock().expect("busy") = false;
    let process = std::sync::Arc::clone(&stage.process);
    let dropper = std::thread::spawn(move || {
        // The asker is there as soon as the question is.
        while process.waiting.lock().expect("waiting").pop().is_none() {
            std::thread::yield_now();
        }
    });
    stage.ask("GET /v1/config").is_problem(503);
    dropper.join().expect("the thread that drops the asker");
}

#[test]
fn what_is_not_there_is_said_in_json() {
    let stage = Stage::new();
    for path in
        ["/", "/v1", "/v1/", "/livez/", "//livez", "/v1/../livez", "/%6civez", "/v1/services/a"]
    {
        stage.ask(&format!("GET {path}")).is_problem(404);
    }
    for (line, allow) in [
        ("POST /livez", "allow: get,head"),
        ("DELETE /v1/config", "allow: get,head"),
        ("GET /v1/config/reload", "allow: post"),
        ("OPTIONS /v1/upgrade", "allow: post"),
        ("PUT /v1/services/a/instances/10.0.0.1:1/drain", "allow: post"),
    ] {
        let heard = stage.ask(line);
        heard.is_problem(405);
        assert!(heard.head.contains(allow), "{heard:?}");
    }
    assert!(stage.process.asked().is_empty());
}
