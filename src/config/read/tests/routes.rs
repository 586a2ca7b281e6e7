//! Routes and tests: what each way to write them means.

use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::snapshot::compile::compile;
use coregate_core::snapshot::plan::{Action, Forward, Redirect, Respond, RoutePlan};

use super::{example, good, routes};
use crate::{Expectation, RouteTest, parse};

const START: &str =
    "listen = '127.0.0.1:0'\nservices.a.instances = []\nservices.b.instances = []\n";
/// So that nothing is unused.
const USED: &str = "'/used' = { split = { a = '0%', b = '100%' } }\n";

/// The routes of a file with these lines under `[routes]`, but the one that uses all services.
fn plans(lines: &str) -> Vec<RoutePlan> {
    let settings = good(&format!("{START}[routes]\n{USED}{lines}"));
    compile(&settings.plan, 1).unwrap();
    settings.plan.routes.into_iter().filter(|route| route.name() != "/used").collect()
}

/// One route: its name, and what becomes of its requests.
fn check(line: &str, name: &str, action: &str) {
    let plans = plans(line);
    let [plan] = plans.as_slice() else { panic!("{line}: {plans:?}") };
    assert_eq!((plan.name().as_str(), plan.action.to_string().as_str()), (name, action), "{line}");
}

fn only(line: &str) -> RoutePlan {
    plans(line).pop().unwrap()
}

#[test]
fn keys() {
    for (key, name) in [
        ("/a", "/a"),
        ("GET /a", "GET /a"),
        ("POST,GET,POST /a", "GET,POST /a"),
        ("/a/{id}", "/a/{id}"),
        ("M-SEARCH /a", "M-SEARCH /a"),
        ("PURGE /a/{id}/{rest*}", "PURGE /a/{id}/{rest*}"),
        ("/*", "/*"),
    ] {
        check(&format!("'{key}' = 'a'"), name, "a");
        let hosted = format!("[routes.'A.example']\n'{key}' = {{ to = 'a' }}");
        let (method, path) = name.split_once(' ').map_or(("", name), |(m, p)| (m, p));
        let space = if method.is_empty() { "" } else { " " };
        check(&hosted, &format!("{method}{space}a.example{path}"), "a");
    }
    check("[routes.'*.a.example'.'GET /x']\nto = 'a'", "GET *.a.example/x", "a");
    check("'/a' = { to = 'a', name = 'one' }", "one", "a");
}

#[test]
fn actions() {
    for (value, shown) in [
        ("'a'", "a"),
        ("{ to = 'b' }", "b"),
        ("{ split = { a = '99.95%', b = '0.05%' } }", "a 99.95%, b 0.05%"),
        ("{ split = { a = '100%' } }", "a"),
        ("{ redirect = '/n' }", "redirect 307 /n"),
        (
            "{ redirect = { to = 'https://{host}/{id}/{*}', status = 301 } }",
            "redirect 301 https://{host}/{id}/{*}",
        ),
        ("{ redirect = 'https://{host}{path}' }", "redirect 307 https://{host}{path}"),
        ("{ respond = 204 }", "respond 204"),
        ("{ to = 'a', strip_prefix = '/x' }", "a, without /x"),
        ("{ to = 'a', strip_prefix = '/%78' }", "a, without /x"),
        ("{ to = 'a', rewrite = '/v2/{id}/{*}' }", "a, as /v2/{id}/{*}"),
        ("{ split = { a = '50%', b = '50%' }, rewrite = '/y/{*}' }", "a 50%, b 50%, as /y/{*}"),
    ] {
        check(&format!("'/x/{{id}}/*' = {value}"), "/x/{id}/*", shown);
    }
    let Action::Forward(Forward { to, .. }) =
        only("'/x' = { split = { a = '5%', b = '95%' } }").action
    else {
        panic!("forwards")
    };
    assert_eq!(to.iter().map(|share| share.weight).collect::<Vec<_>>(), [500, 9_500]);
    let redirect = only("'/x' = { redirect = { to = '/y', status = 303 } }").action;
    assert!(matches!(redirect, Action::Redirect(Redirect { status: 303, .. })));
}

#[test]
fn fixed_answers() {
    let text = ("content-type", "text/plain; charset=utf-8");
    for (value, status, headers, body) in [
        ("204", 204, vec![], ""),
        ("'hello'", 200, vec![text], "hello"),
        ("{ status = 404 }", 404, vec![], ""),
        ("{ body = 'x' }", 200, vec![text], "x"),
        (
            "{ body = '{}', content_type = 'application/json' }",
            200,
            vec![("content-type", "application/json")],
            "{}",
        ),
        (
            "{ body = '.', headers = { Content-Type = 'a/b', x = '' } }",
            200,
            vec![("Content-Type", "a/b"), ("x", "")],
            ".",
        ),
        ("{ status = 204, body = '' }", 204, vec![], ""),
        ("{ status = 599, headers = { server = 'me' } }", 599, vec![("server", "me")], ""),
    ] {
        let Action::Respond(found) = only(&format!("'/x' = {{ respond = {value} }}")).action else {
            panic!("{value}")
        };
        let headers =
            headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        assert_eq!(found, Respond { status, headers, body: body.into() }, "{value}");
    }
    let most = "x".repeat(limits::RESPOND_BYTES);
    only(&format!("'/x' = {{ respond = '{most}' }}"));
    let text = format!("{START}[routes]\n'/x' = {{ respond = '{most}x' }}");
    assert_eq!(parse("large.toml", &text).report.diagnostics()[0].code, "E0009");
    let header = "y".repeat(limits::RESPOND_HEADER_BYTES);
    let text =
        format!("{START}[routes]\n'/x' = {{ respond = {{ headers = {{ x = '{header}' }} }} }}");
    assert_eq!(parse("large.toml", &text).report.diagnostics()[0].code, "E0009");
}

#[test]
fn predicates() {
    for (when, shown) in [
        ("{}", "/x"),
        ("{ method = 'PUT' }", "PUT /x"),
        ("{ method = ['PUT', 'GET', 'PUT'] }", "GET,PUT /x"),
        ("{ header = { X-Beta = '1' } }", "/x [x-beta=1]"),
        ("{ header = { b = { prefix = 'v' }, a = { present = true } } }", "/x [a b^=v]"),
        ("{ header = { a = { prefix = 'Bearer ' } } }", "/x [a^=Bearer ]"),
        ("{ header = { a = { present = false }, b = '' } }", "/x [a=absent b=]"),
        ("{ query = { v = { regex = '^2' }, 'a b' = '1' } }", "/x [?a b=1 ?v~^2]"),
        ("{ method = 'GET', header.h = '1', query.q = '2' }", "GET /x [h=1 ?q=2]"),
    ] {
        check(&format!("'/x' = {{ to = 'a', when = {when} }}"), shown, "a");
    }
    // The same said twice is no contradiction.
    check("'GET /x' = { to = 'a', when = { method = 'GET' } }", "GET /x", "a");
    // The order in the file is in no name.
    let one = only("'/x' = { to = 'a', when = { header = { a = '1', b = '2' } } }");
    assert_eq!(one, only("'/x' = { to = 'a', when = { header = { b = '2', a = '1' } } }"));
}

#[test]
fn alternatives() {
    let inline =
        "'/x' = [{ to = 'a' }, { to = 'b', priority = -1, name = 'b', when.method = 'GET' }]";
    let tables = "[[routes.'/x']]\nto = 'a'\n[[routes.'/x']]\nto = 'b'\npriority = -1\nname = 'b'\nwhen.method = 'GET'";
    assert_eq!(plans(inline), plans(tables));
    assert_eq!(plans(inline).iter().map(|plan| plan.priority).collect::<Vec<_>>(), [0, -1]);
    // Keys that differ in their methods alone, and predicates that exclude each other.
    assert_eq!(plans("'GET /x' = 'a'\n'POST /x' = 'b'\n'/x' = 'a'").len(), 3);
    let apart = "'/x' = [{ to = 'a', when.header.h = '1' }, { to = 'b', when.header.h = '2' }]";
    assert_eq!(plans(apart).len(), 2);
    let lines = "'/*' = { path_regex = '^/[0-9]+$', priority = 3, to = 'a', rewrite = '/n' }";
    check(lines, "~^/[0-9]+$", "a, as /n");
    check(
        "[routes.'h.example']\n'GET /*' = { path_regex = 'x', priority = 0, to = 'a' }",
        "GET h.example~x",
        "a",
    );
}

#[test]
fn terms() {
    let route = only(
        "'/x' = { to = 'a', limits.body = '1KiB', timeout = { connect = '1s', first_byte = '2s', body = '3s', tunnel = '4s' } }",
    );
    let second = |seconds| Some(Duration::from_secs(seconds));
    let terms = route.terms;
    assert_eq!(terms.body_bytes, Some(1024));
    assert_eq!((terms.connect, terms.first_byte), (second(1), second(2)));
    assert_eq!((terms.body, terms.tunnel), (second(3), second(4)));
    assert_eq!(only("'/x' = { respond = 204, limits.body = 1 }").terms.body_bytes, Some(1));
}

/// The codes and lines of what is said of routes.
fn said(lines: &str) -> Vec<(&'static str, usize)> {
    let text = format!("{START}[routes]\n{USED}{lines}");
    let report = parse("said.toml", &text).report;
    report.diagnostics().iter().map(|fault| (fault.code, fault.line - 5)).collect()
}

#[test]
fn circles_of_redirects() {
    for (lines, expected) in [
        ("'/a' = { redirect = '/a' }", vec![("W0011", 1)]),
        ("'/a' = { redirect = '/b' }\n'/b' = 'a'", vec![]),
        ("'/a/*' = { redirect = '/b/{*}' }\n'/b/*' = { redirect = '/a/{*}' }", vec![("W0011", 1)]),
        ("'/{lang}/x' = { redirect = '/en/x' }", vec![("W0011", 1)]),
        ("'/{lang}/x' = { redirect = '/en/x' }\n'/en/x' = 'a'", vec![]),
        ("'/*' = { redirect = 'https://{host}{path}' }", vec![]),
        ("'/*' = { redirect = 'http://{host}{path}' }", vec![("W0011", 1)]),
        ("'/*' = { redirect = 'http://{host}:8080{path}' }", vec![]),
        ("'/*' = { redirect = 'http://www.a.example{path}' }", vec![("W0011", 1)]),
        (
            "[routes.'a.example']\n'/*' = { redirect = 'http://www.a.example{path}' }\n[routes.'www.a.example']\n'/*' = 'a'",
            vec![],
        ),
        (
            "[routes.'a.example']\n'/*' = { redirect = 'http://www.a.example{path}' }\n[routes.'*.a.example']\n'/*' = { redirect = 'http://a.example{path}' }",
            vec![("W0011", 2)],
        ),
        // Who follows a 303 asks with GET.
        ("'POST /a' = { redirect = { to = '/a', status = 303 } }", vec![]),
        ("'POST /a' = { redirect = { to = '/a', status = 307 } }", vec![("W0011", 1)]),
        // The query goes along, unless there is one.
        ("'/a' = { redirect = '/a', when.query.v = '1 2' }", vec![("W0011", 1)]),
        ("'/a' = { redirect = '/a?v=2', when.query.v = '1' }", vec![]),
        ("'/a' = { redirect = '/a', when.header.x = { present = false } }", vec![("W0011", 1)]),
        // Not known to be one.
        ("'/a' = { redirect = '/a', when.header.x = { regex = 'y' } }", vec![]),
        ("'/b' = { redirect = '/a' }\n'/a' = { redirect = '/a' }", vec![("W0011", 2)]),
    ] {
        assert_eq!(said(lines), expected, "{lines}");
    }
}

/// Where the file does not tell whether an address leads back, the warning does not either.
#[test]
fn circles_by_address_are_circles_if_the_address_leads_here() {
    for (port, to, expected) in [
        (80, "/a", ""),
        (0, "/a", ""),
        (80, "http://{host}/a", ""),
        (0, "http://{host}/a#x", " if port 80 of its host leads here"),
        (80, "http://b.example/a", " if port 80 of `b.example` leads here"),
        (0, "http://b.example/a", " if port 80 of `b.example` leads here"),
    ] {
        let listen = format!("127.0.0.1:{port}");
        let text = format!("listen = '{listen}'\n[routes]\n'/a' = {{ redirect = '{to}' }}\n");
        let report = parse("circle.toml", &text).report;
        let messages: Vec<_> =
            report.diagnostics().iter().map(|one| one.message.as_str()).collect();
        let expected = format!("route `/a` redirects to itself, over and over{expected}");
        assert_eq!(messages, [expected], "{port} {to}");
    }
}

#[test]
fn routes_that_are_never_reached() {
    for (lines, expected) in [
        (
            "'/a' = [{ to = 'a', when.method = 'GET', priority = 1 }, { to = 'b', name = 'n', when.method = 'GET' }]",
            vec![("W0010", 1)],
        ),
        ("'HEAD /a' = 'a'\n'GET /a' = 'b'", vec![]),
        ("'HEAD /a' = 'a'\n'GET /a' = { to = 'b', priority = 1 }", vec![("W0010", 1)]),
        ("'/*' = 'a'\n'/a/*' = 'b'", vec![]),
        ("'GET /*' = [{ path_regex = 'a', priority = 1, to = 'b' }, { to = 'a' }]", vec![]),
    ] {
        assert_eq!(said(lines), expected, "{lines}");
    }
}

#[test]
fn too_many() {
    let many: String = (0..=limits::ROUTES_AT_ONE_PLACE)
        .map(|n| format!("[[routes.'/a']]\nto = 'a'\nwhen.header.x = '{n}'\n"))
        .collect();
    assert_eq!(said(&many), [("E0022", 1)]);
    let headers: String = (0..=limits::ROUTE_PREDICATES).map(|n| format!("h{n} = '1', ")).collect();
    let headers = headers.trim_end_matches(", ");
    assert_eq!(
        said(&format!("'/a' = {{ to = 'a', when.header = {{ {headers} }} }}")),
        [("E0022", 1)]
    );
    let methods: String = (0..limits::ROUTE_METHODS).map(|n| format!("M{n}-,")).collect();
    assert_eq!(said(&format!("'{methods}GET /a' = 'a'")), [("E0022", 1)]);
    let fields: String = (0..=limits::RESPOND_FIELDS).map(|n| format!("h{n} = '1', ")).collect();
    let fields = fields.trim_end_matches(", ");
    assert_eq!(said(&format!("'/a' = {{ respond.headers = {{ {fields} }} }}")), [("E0022", 1)]);
    let services: String = (0..=limits::SPLIT_SERVICES).map(|n| format!("s{n} = '1%', ")).collect();
    let found = said(&format!("'/a' = {{ split = {{ {} }} }}", services.trim_end_matches(", ")));
    assert!(found.contains(&("E0022", 1)), "{found:?}");
}

#[test]
fn long_names() {
    let route = |length: usize, name: &str| {
        let key = "x".repeat(length - "/ [x=1]".len());
        said(&format!("'/{key}' = {{ to = 'a', when.header.x = '1'{name} }}"))
    };
    assert_eq!(route(limits::ROUTE_NAME_BYTES, ""), []);
    assert_eq!(route(limits::ROUTE_NAME_BYTES + 1, ""), [("E0017", 1)]);
    assert_eq!(route(limits::ROUTE_NAME_BYTES + 1, ", name = 'short'"), []);
}

#[test]
fn the_example() {
    let settings = example("routes.toml");
    let names: Vec<_> = routes(&settings).into_iter().map(|(name, _)| name).collect();
    for name in [
        "/shop/{item}",
        "GET,POST shop.example.com/orders",
        "order",
        "shop.example.com/search [x-beta=1]",
        "shop.example.com/search [?v~^2(\\.|$)]",
        "GET shop.example.com/search [cookie=absent user-agent^=bot/]",
        "*.example.com~^/[a-z]{2}/docs(/|$)",
    ] {
        assert!(names.contains(&name.to_owned()), "{name} is not in {names:?}");
    }
    let [first, second, third, fourth] = settings.tests.as_slice() else { panic!("four tests") };
    let expected = RouteTest {
        request: "GET https://shop.example.com/orders/7".into(),
        method: "GET".into(),
        url: "https://shop.example.com/orders/7".into(),
        headers: vec![],
        expect: Expectation {
            route: Some("order".into()),
            services: vec!["orders".into()],
            ..Expectation::default()
        },
        ..first.clone()
    };
    assert_eq!(*first, expected);
    let text = include_str!("../../../../tests/data/examples/routes.toml");
    assert_eq!(text.lines().nth(first.line - 1), Some("[[tests]]"));
    assert_eq!(second.expect.route.as_deref(), Some("shop.example.com/users/*"));
    assert_eq!(second.expect.services, ["users", "users-next"]);
    assert_eq!(second.expect.path.as_deref(), Some("/users/7"));
    assert_eq!(third.headers.len(), 2);
    assert_eq!(fourth.expect.status, Some(307));
    assert_eq!(fourth.expect.location.as_deref(), Some("/new/a?b=1"));
}

/// Files with as many regular expressions as there may be, and more; equal ones are one.
#[test]
fn regular_expressions_are_bounded_together() {
    let routes = |count: usize, regex: &dyn Fn(usize) -> String| -> String {
        let line =
            |n| format!("'/{n}' = {{ to = 'a', when.query.v = {{ regex = '{}' }} }}\n", regex(n));
        (0..count).map(line).collect()
    };
    assert_eq!(said(&routes(2 * limits::REGEXES, &|_| "^a+$".into())), []);
    assert_eq!(said(&routes(limits::REGEXES, &|n| format!("^{n}$"))), []);
    assert_eq!(
        said(&routes(2 * limits::REGEXES, &|n| format!("^{n}$"))),
        [("E0022", limits::REGEXES + 1)]
    );
    // Each takes as long as one may, whether it is refused or not; those behind the last are not compiled.
    let hostile = routes(1_000, &|n| format!("({n}|a|b)*a(a|b){{20}}"));
    let most = limits::REGEX_AUTOMATA_BYTES / limits::REGEX_AUTOMATON_BYTES;
    let found = said(&hostile);
    let mut expected: Vec<_> = (1..=most).map(|line| ("E0042", line)).collect();
    expected.push(("E0022", most + 1));
    assert_eq!(found, expected);
}
