//! `explain` says what the gateway then does: over random routes and requests, live, and of the file alone.

use std::collections::BTreeMap;

use coregate_config::Settings;
use coregate_control::io::admin::explain::{ExplainBody, explanation};
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::compile::compile;
use coregate_core::snapshot::explain::explain;
use coregate_core::snapshot::explain::guard::Surroundings;
use coregate_strict::Response;
use serde_json::{Value, json};

use super::random::{self, Dice, Request};
use crate::harness::admin;
use crate::harness::client::Peer;
use crate::harness::clock::scale;
use crate::harness::gateway::{Folder, Gateway, Setup};
use crate::harness::origin::{Origin, Reply};

/// Of a file: nobody has spent anything.
const UNSPENT: Surroundings<'_> = Surroundings::unspent(0);

/// Answers to whatever comes, and says by whom and as what it was heard.
fn origin(name: &'static str) -> Origin {
    Origin::serving(move |request| {
        let seen = format!("X-Seen: {name} {} {}\r\n", request.method, request.target);
        Reply::with("200 OK", &seen, "")
    })
}

fn settings(text: &str) -> Settings {
    let loaded = coregate_config::parse("random.toml", text);
    loaded.settings.unwrap_or_else(|| panic!("{}\n{text}", loaded.report.render(false)))
}

/// What is said of a file.
fn of_the_file(snapshot: &Snapshot, body: &ExplainBody) -> Value {
    explanation(&explain(snapshot, &body.clone().try_into().unwrap(), &UNSPENT).unwrap())
}

/// What a running gateway says, without what a file does not have.
fn of_the_gateway(gateway: &Gateway, body: &ExplainBody) -> Value {
    let response = gateway.admin_with("POST", "/v1/explain", &json!(body));
    assert_eq!(response.status, 200, "{body:?}: {}", response.text());
    let mut said = admin::json(&response);
    assert!(said["generation"].as_u64().unwrap() > 0);
    said["generation"] = json!(0);
    said
}

/// What an answer shows of what became of the request, in the words of an explanation.
fn is_so(said: &Value, request: &Request, response: &Response) -> bool {
    let header = |name: &str| response.head.get(name).unwrap_or_default();
    let is_status = said["status"] == response.status;
    match said["outcome"].as_str().unwrap() {
        "refused" => {
            let allow: Vec<_> =
                said["allow"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            is_status
                && said["reason"] == header("x-coregate-reason")
                && allow.join(", ") == header("allow")
        }
        "redirect" => is_status && said["location"] == header("location"),
        "respond" => {
            let own = said["headers"].as_array().unwrap();
            let stands = |one: &Value| one[1] == header(one[0].as_str().unwrap());
            is_status && own.iter().all(stands) && response.head.get("x-seen").is_none()
        }
        "forward" => {
            let mut services = said["services"].as_array().unwrap().iter();
            let target = said["target"].as_str().unwrap();
            let seen =
                |name: &str| header("x-seen") == format!("{name} {} {target}", request.method);
            match said["chosen"].as_str() {
                Some(chosen) => seen(chosen),
                None => services.any(|one| seen(one["service"].as_str().unwrap())),
            }
        }
        other => panic!("{other}"),
    }
}

#[test]
fn explain_says_what_the_gateway_then_does() {
    let origins = ["s0", "s1", "s2", "s3"].map(origin);
    let addresses = origins.each_ref().map(Origin::address);
    let mut outcomes = BTreeMap::<String, usize>::new();
    for seed in 0..scale(6, 30, 300) {
        let mut dice = Dice::new(seed);
        let routes = 2 + dice.below(60);
        let text = random::config(&mut dice, routes, &addresses);
        let gateway = Setup::run(&text).start();
        let snapshot = compile(&settings(&text).plan, 0).unwrap();
        let (mut client, mut tests) = (gateway.client(), String::new());
        for _ in 0..250 {
            let request = Request::random(&mut dice);
            let body = ExplainBody {
                method: request.method.into(),
                url: request.url(),
                headers: request.fields(),
                ..ExplainBody::default()
            };
            let said = of_the_gateway(&gateway, &body);
            assert_eq!(said, of_the_file(&snapshot, &body), "seed {seed}: {request:?}\n{text}");
            let response = answer(&mut client, &gateway, &request);
            assert!(
                is_so(&said, &request, &response),
                "seed {seed}: {request:?}\n{said:#}\n{}\n{text}",
                response.head.text()
            );
            assert!(!is_so(&doctored(&said), &request, &response), "{said:#}");
            let outcome = said["reason"].as_str().or(said["outcome"].as_str()).unwrap();
            *outcomes.entry(outcome.to_owned()).or_default() += 1;
            tests += &as_test(&request, &said, &response).unwrap_or_default();
        }
        gateway.write(&(text + &tests));
        let file = gateway.folder.path("coregate.toml").display().to_string();
        let ended = Setup::command(Folder::new(), &["test", &file]).output();
        let passed = format!("{0} tests: {0} passed, 0 failed", tests.matches("[[tests]]").count());
        assert_eq!(
            (ended.code, ended.output.lines().last()),
            (Some(0), Some(&*passed)),
            "{ended:?}"
        );
    }
    // Each kind was there, and most requests came through.
    let of = |outcome: &str| outcomes.get(outcome).copied().unwrap_or_default();
    let all = [
        "forward",
        "redirect",
        "respond",
        "no_route",
        "method_not_allowed",
        "bad_request",
        "body_too_large",
    ];
    assert!(all.iter().all(|outcome| of(outcome) > 0), "{outcomes:?}");
    assert!(of("forward") >= 400, "{outcomes:?}");
}

/// An explanation that is wrong: a judge that never objects proves nothing.
fn doctored(said: &Value) -> Value {
    let mut said = said.clone();
    match said["outcome"] == "forward" {
        true => said["target"] = format!("{}x", said["target"].as_str().unwrap()).into(),
        false => said["status"] = (said["status"].as_u64().unwrap() + 1).into(),
    }
    said
}

/// What became of a request, as a test of the file; none where its head alone was refused, which tests are not for.
fn as_test(request: &Request, said: &Value, response: &Response) -> Option<String> {
    let seen = response.head.get("x-seen").map(|seen| {
        let mut words = seen.split(' ');
        (words.next().unwrap(), words.nth(1).unwrap().split('?').next().unwrap())
    });
    let status = response.status;
    let expect = match (seen, response.head.get("location")) {
        // A file has no word for it.
        _ if request.target == "*" => return None,
        // A split may have chosen any.
        (Some((_, path)), _) if said["chosen"].is_null() => format!("path = {path:?}"),
        (Some((service, path)), _) => format!("service = {service:?}, path = {path:?}"),
        (None, Some(location)) => format!("status = {status}, location = {location:?}"),
        (None, None) if said["outcome"] == "respond" => format!("status = {status}"),
        (None, None) if matches!(status, 404 | 405) => format!("status = {status}"),
        (None, None) => return None,
    };
    let route = said["route"].as_str().map(|name| format!(", route = {name:?}"));
    let mut fields = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in request.fields() {
        fields.entry(name).or_default().push(value);
    }
    let fields: Vec<_> =
        fields.iter().map(|(name, values)| format!("{name} = {values:?}")).collect();
    let (headers, line) = (fields.join(", "), format!("{} {}", request.method, request.url()));
    let expect = expect + &route.unwrap_or_default();
    Some(format!(
        "[[tests]]\nrequest = {line:?}\nheaders = {{ {headers} }}\nexpect = {{ {expect} }}\n"
    ))
}

/// Sends a request; the next one finds a connection that lives.
fn answer(client: &mut Peer, gateway: &Gateway, request: &Request) -> Response {
    let response = client.send(request.bytes()).response_to(request.method);
    if response.closes() || request.host.is_none() {
        *client = gateway.client();
    }
    response
}
