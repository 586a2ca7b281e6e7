//! What tokens open over TCP.

use serde_json::json;

use super::Stage;
use crate::io::admin::guard::Guard;
use crate::io::admin::question::Question;
use crate::io::admin::report::{Answer, Refusal, Why};
use crate::io::admin::tokens::{NamedToken, Scope, Services, TokenTable, Tokens};
use crate::registry::directory::admission::{Caller, TokenCheck};
use crate::registry::directory::view::{AdmitsView, ServiceView, ServicesView};
use crate::registry::order::{Seen, What};

fn check(right: &'static str) -> TokenCheck {
    TokenCheck::new(move |given| given == right.as_bytes())
}

fn named(token: &'static str, service: &'static str, scope: Scope) -> NamedToken {
    let services = Services::new(move |name| service == "*" || name == service);
    NamedToken { token: check(token), services, scopes: vec![scope] }
}

fn tokens() -> Tokens {
    let tokens = Tokens::default();
    tokens.set(TokenTable {
        services: [("users".to_owned(), check("own"))].into(),
        named: vec![
            named("reader", "users", Scope::Read),
            named("registrar", "users", Scope::Register),
            named("operator", "users", Scope::Operate),
            named("all", "*", Scope::Read),
        ],
    });
    tokens
}

#[test]
fn each_scope_opens_what_is_its_own() {
    let tokens = tokens();
    let token = Some(check("secret"));
    let stage = Stage::guarded(Guard { token, tokens: tokens.clone() });
    let host = format!("Host: localhost:{}\r\n", stage.tcp.port());
    let ask = |line: &str, token: &str| {
        stage.process.will_answer(Answer::Refused(Refusal {
            why: Why::NotFound,
            detail: "asked".into(),
            revision: None,
        }));
        let heard = stage.ask_tcp(line, &format!("{host}Authorization: Bearer {token}\r\n"));
        stage.process.answers.lock().expect("answers").clear();
        stage.process.asked();
        heard.status
    };
    let one = "/v1/services/users/instances/a";
    // What is let through is asked, and is answered with 404 here.
    for (line, token, status) in [
        (format!("GET {one}"), "reader", 404),
        (format!("GET {one}"), "own", 404),
        (format!("GET {one}"), "all", 404),
        (format!("GET {one}"), "registrar", 403),
        (format!("GET {one}"), "operator", 403),
        (format!("GET {one}"), "wrong", 401),
        ("GET /v1/services/users/instances".into(), "reader", 404),
        ("GET /v1/services/other/instances".into(), "reader", 403),
        ("GET /v1/services/other/instances".into(), "own", 401),
        ("GET /v1/services/other/instances".into(), "all", 404),
        ("GET /v1/services".into(), "reader", 404),
        ("GET /v1/services".into(), "own", 401),
        ("GET /v1/services".into(), "registrar", 403),
        (format!("POST {one}/renew"), "registrar", 404),
        (format!("POST {one}/renew"), "reader", 403),
        (format!("DELETE {one}"), "registrar", 404),
        (format!("POST {one}/drain"), "operator", 404),
        (format!("POST {one}/drain"), "registrar", 403),
        (format!("POST {one}/drain"), "own", 403),
        (format!("POST {one}/drain"), "wrong", 401),
        (format!("POST {one}/enable"), "operator", 404),
        ("GET /v1/services/users/load".into(), "reader", 404),
        ("GET /v1/sd/prometheus".into(), "wrong", 401),
        ("GET /v1/sd/prometheus?service=users".into(), "own", 404),
        ("GET /v1/registry/watch".into(), "reader", 403),
        ("GET /v1/registry/watch?service=other".into(), "reader", 403),
        ("GET /v1/registry/watch?service=other".into(), "own", 401),
        ("GET /v1/config".into(), "all", 403),
        ("GET /v1/config".into(), "own", 401),
        ("GET /v1/nothing".into(), "all", 403),
        ("POST /v1/config/reload".into(), "operator", 403),
    ] {
        assert_eq!(ask(&line, token), status, "{line} with {token}");
    }
    // From the next request on.
    tokens.set(TokenTable::default());
    assert_eq!(ask(&format!("GET {one}"), "reader"), 401);
    assert_eq!(ask(&format!("GET {one}"), "secret"), 404);
}

#[test]
fn the_registry_is_told_who_asks() {
    let stage = Stage::guarded(Guard { token: Some(check("secret")), tokens: tokens() });
    let host = format!("Host: localhost:{}\r\n", stage.tcp.port());
    for (token, by) in [
        ("registrar", Caller::Holder),
        ("own", Caller::Bearer(b"own".into())),
        ("wrong", Caller::Bearer(b"wrong".into())),
        ("secret", Caller::Operator),
    ] {
        stage.process.will_answer(Answer::Refused(Refusal {
            why: Why::NotFound,
            detail: "asked".into(),
            revision: None,
        }));
        let fields = format!("{host}Authorization: Bearer {token}\r\n");
        stage.ask_tcp("POST /v1/services/users/instances/a/renew", &fields).is_problem(404);
        let asked = stage.process.asked();
        let [Question::Order(order)] = &asked[..] else { panic!("{asked:?}") };
        assert_eq!((&order.by, &order.what), (&by, &What::Renew));
    }
}

#[test]
fn an_instance_is_not_held_back_by_its_own_token() {
    let stage = Stage::guarded(Guard { token: None, tokens: tokens() });
    let port = stage.tcp.port();
    let put = |token: &str, status: &str| {
        let body = json!({ "status": status }).to_string();
        let fields = format!(
            "Host: localhost:{port}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        let line = "PUT /v1/services/users/instances/a/status";
        super::Heard::of(
            stage.tcp(),
            &format!("{line} HTTP/1.1\r\nConnection: close\r\n{fields}\r\n{body}"),
        )
    };
    put("own", "maintenance").is_problem(403);
    put("registrar", "maintenance").is_problem(403);
    assert!(stage.process.asked().is_empty());
}

/// Neither the names of others nor their number.
#[test]
fn a_list_is_of_what_the_token_is_for() {
    let stage = Stage::guarded(Guard { token: None, tokens: tokens() });
    let view = |names: &[&str], next: Option<&str>| {
        let service = |name: &&str| ServiceView {
            name: (*name).to_owned(),
            revision: 1,
            register: AdmitsView::Nobody,
            registered: 0,
            protected: false,
        };
        let services = names.iter().map(service).collect();
        let next = next.map(str::to_owned);
        Answer::Seen(Box::new(Seen::Services(ServicesView {
            revision: 7,
            count: 4,
            services,
            next,
        })))
    };
    let fields =
        format!("Host: localhost:{}\r\nAuthorization: Bearer reader\r\n", stage.tcp.port());
    for (query, names) in [("", &["users"][..]), ("?limit=1", &["users"]), ("?after=users", &[])] {
        stage.process.will_answer(view(&["a-secret", "orders"], Some("orders")));
        stage.process.will_answer(view(&["users", "z-secret"], None));
        let heard = stage.ask_tcp(&format!("GET /v1/services{query}"), &fields);
        let list: serde_json::Value = serde_json::from_str(&heard.body).expect("JSON");
        let listed = list["services"].as_array().expect("services").iter();
        let listed: Vec<_> = listed.map(|one| one["name"].as_str().expect("a name")).collect();
        assert_eq!(listed, names, "{query}");
        assert_eq!((&list["count"], &list["next"]), (&json!(1), &json!(null)), "{query}");
    }
}
