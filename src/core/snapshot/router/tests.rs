//! The router against the slow and obvious way, over random routes and requests; and examples that a reader can follow.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::judge::{Verdict, judge};
use super::order::Places;
use super::*;
use crate::base::ids::{RouteId, ServiceId};
use crate::base::limits;
use crate::http::parse::{self, RequestLimits};
use crate::snapshot::plan::{PathPattern, Predicate, RoutePlan, Segment, Segments, Tail, Test};
use crate::snapshot::routes::{Guard, Route};

fn router(plans: &[RoutePlan]) -> Router {
    let id = |at: usize| RouteId(at as u16);
    let routes: Vec<_> = plans
        .iter()
        .enumerate()
        .map(|(at, plan)| {
            Route::new((id(at), &plan.name()), plan, |_| ServiceId(0), Guard::default())
        })
        .collect();
    Router::new(&routes)
}

/// Parses a request's head and asks about it.
fn ask<R>(text: &str, then: impl FnOnce(&Asked<'_>) -> R) -> R {
    let mut head = Head::default();
    head.page.extend_from_slice(text.as_bytes());
    let request = parse::request(&mut head, &RequestLimits::default()).unwrap().unwrap();
    then(&Asked::of(&head, &request))
}

fn plan(key: &str) -> RoutePlan {
    let (method, rest) =
        key.split_once(' ').map_or((None, key), |(method, rest)| (Some(method), rest));
    let (host, path) = rest.split_at(rest.find('/').unwrap());
    let host = if host.is_empty() { "*" } else { host };
    let mut plan = RoutePlan::to(host.parse().unwrap(), path.parse().unwrap(), "s");
    plan.when.methods =
        method.into_iter().flat_map(|names| names.split(',')).map(str::to_owned).collect();
    plan
}

fn found(plans: &[RoutePlan], request: &str) -> Result<String, Missed> {
    let (method, rest) = request.split_once(' ').unwrap();
    let (host, target) = rest.split_at(rest.find('/').unwrap());
    let text = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nX-Beta: 1\r\n\r\n");
    ask(&text, |asked| router(plans).find(asked).map(|id| plans[id.index()].name()))
}

#[test]
fn the_most_precise_wins_whatever_the_order() {
    let keys = [
        "/*",
        "/users/*",
        "/users",
        "/users/admin/*",
        "/users/{id}",
        "/users/{id}/orders",
        "/users/{id}/*",
        "a.com/x/*",
        "*.com/*",
        "*.a.com/x/*",
        "GET a.com/m",
        "POST a.com/m",
        "GET a.com/users",
        "HEAD a.com/h",
        "GET a.com/h",
    ];
    let mut plans: Vec<_> = keys.iter().map(|key| plan(key)).collect();
    let cases = [
        ("GET b.org/", "/*"),
        ("GET b.org/users", "/users"),
        ("GET b.org/users/", "/users/*"),
        ("GET b.org/usersx", "/*"),
        ("GET b.org/users/admin", "/users/admin/*"),
        ("GET b.org/users/admin/7", "/users/admin/*"),
        ("GET b.org/users/7", "/users/{id}"),
        ("GET b.org/users/7/orders", "/users/{id}/orders"),
        ("GET b.org/users/7/orders/", "/users/{id}/*"),
        // A literal that leads nowhere is gone back on.
        ("GET b.org/users/adminx/y", "/users/{id}/*"),
        ("GET a.com/x", "a.com/x/*"),
        ("GET a.com/y", "*.com/*"),
        ("GET q.a.com/x/1", "*.a.com/x/*"),
        ("GET q.a.com/y", "*.com/*"),
        ("GET com/y", "/*"),
        ("GET a.com/m", "GET a.com/m"),
        ("HEAD a.com/m", "GET a.com/m"),
        ("POST a.com/m", "POST a.com/m"),
        ("PUT a.com/m", "*.com/*"),
        ("POST a.com/users", "*.com/*"),
        ("HEAD a.com/h", "HEAD a.com/h"),
        ("BREW a.com/h", "*.com/*"),
    ];
    for _ in 0..plans.len() {
        plans.rotate_left(1);
        for (request, expected) in cases {
            assert_eq!(found(&plans, request).as_deref(), Ok(expected), "{request}");
        }
    }
}

#[test]
fn what_nobody_takes() {
    let plans = ["GET a.com/m", "BREW,POST a.com/{x}", "a.com/n/*"].map(plan);
    assert_eq!(found(&plans, "PUT a.com/m"), Err(Missed::Method));
    assert_eq!(found(&plans, "GET a.com/x/y"), Err(Missed::Route));
    assert_eq!(found(&plans, "GET b.com/m"), Err(Missed::Route));
    assert_eq!(found(&plans, "BREW a.com/m").unwrap(), "BREW,POST a.com/{x}");
    assert_eq!(found(&[], "GET a.com/"), Err(Missed::Route));
    let text = "PUT /m HTTP/1.1\r\nHost: a.com\r\n\r\n";
    ask(text, |asked| {
        assert_eq!(router(&plans).allowed(asked), ["BREW", "GET", "HEAD", "POST"]);
    });
}

#[test]
fn predicates_and_priorities() {
    let mut plans = vec![plan("/*"), plan("/*"), plan("/*"), plan("/{x}")];
    let beta = |value: &str| Predicate { name: "x-beta".into(), test: Test::Is(value.into()) };
    plans[1].when.headers = vec![beta("1")];
    plans[2].when.headers = vec![Predicate { name: "x-beta".into(), test: Test::Present }];
    plans[2].priority = -1;
    plans[3].when.headers = vec![beta("2")];
    assert_eq!(found(&plans, "GET a/b").unwrap(), "/* [x-beta=1]");
    plans[2].priority = 1;
    assert_eq!(found(&plans, "GET a/b").unwrap(), "/* [x-beta]");
    plans[3].path = PathPattern::Regex("^/b$".parse().unwrap());
    plans[3].when = When::default();
    assert_eq!(found(&plans[3..], "GET a/b").unwrap(), "/~^/b$".trim_start_matches('/'));
    assert_eq!(found(&plans[3..], "GET a/bc"), Err(Missed::Route));
}

/// Two values of one header are held for apart, and a request may bring both: the same route has it whatever the order.
#[test]
fn what_is_held_for_apart_and_is_not() {
    let beta = |value: &str| Predicate { name: "x-beta".into(), test: Test::Is(value.into()) };
    let mut plans = [plan("/a"), plan("/a")];
    for (plan, value) in plans.iter_mut().zip(["1", "2"]) {
        plan.when.headers = vec![beta(value)];
    }
    assert_eq!(Places::of(&plans.iter().collect::<Vec<_>>()).ties(), []);
    for _ in 0..2 {
        plans.swap(0, 1);
        let text = "GET /a HTTP/1.1\r\nHost: a\r\nX-Beta: 2\r\nX-Beta: 1\r\n\r\n";
        ask(text, |asked| {
            let id = router(&plans).find(asked).unwrap();
            assert_eq!(plans[id.index()].name(), "/a [x-beta=1]");
            assert_eq!(oracle(&plans, asked), Ok(id.index()));
        });
    }
}

#[test]
fn ties_and_what_is_never_reached() {
    let pairs = |keys: &[&str], of: fn(&Places<'_, '_>) -> Vec<(usize, usize)>| {
        let plans: Vec<_> = keys.iter().map(|key| plan(key)).collect();
        of(&Places::of(&plans.iter().collect::<Vec<_>>()))
    };
    let ties = |keys: &[&str]| pairs(keys, |places| places.ties());
    assert_eq!(ties(&["/{a}", "/{b}"]), [(1, 0)]);
    assert_eq!(ties(&["/a/*", "/a/{x*}", "/a/*"]), [(1, 0), (2, 0)]);
    assert_eq!(ties(&["GET /a", "POST /a", "/a", "GET,PUT /a"]), [(3, 0)]);
    assert_eq!(ties(&["GET /a", "HEAD /a", "a.com/a", "*.com/a"]), []);
    let hidden = |keys: &[&str]| pairs(keys, |places| places.hidden());
    assert_eq!(hidden(&["GET,PUT /a", "/a", "PUT /b"]), []);
    let mut plans = vec![plan("GET,PUT /a"), plan("PUT /a"), plan("/*")];
    plans[0].priority = 1;
    plans.push(RoutePlan { path: PathPattern::Regex("a".parse().unwrap()), ..plan("/x") });
    for all in ["/*", "/{rest*}"] {
        plans[2] = plan(all);
        assert_eq!(Places::of(&plans.iter().collect::<Vec<_>>()).hidden(), [(1, 0), (3, 2)]);
    }
}

#[test]
fn expressions_at_one_place() {
    let regex =
        |at: usize| Predicate { name: format!("x{at}"), test: Test::Matches(REGEXES[0].clone()) };
    let mut plans: Vec<_> = (0..2).map(|_| plan("/a")).collect();
    plans.push(plan("/b"));
    let most = limits::REGEXES_AT_ONE_PLACE;
    plans[0].when.headers = (0..most).map(regex).collect();
    plans[2].when.query = plans[0].when.headers.clone();
    let crowds = |plans: &[RoutePlan]| Places::of(&plans.iter().collect::<Vec<_>>()).regex_crowds();
    assert_eq!(crowds(&plans), []);
    plans[1].path = PathPattern::Regex(REGEXES[1].clone());
    assert_eq!(crowds(&plans), []);
    plans[1] =
        RoutePlan { when: When { headers: vec![regex(0)], ..When::default() }, ..plan("/a") };
    plans[2].when.headers.push(regex(1));
    assert_eq!(crowds(&plans), [(0, most + 1), (2, most + 1)]);
}

fn segment() -> impl Strategy<Value = Segment> {
    let word =
        prop_oneof![Just("a"), Just("b"), Just("users"), Just("a-segment-that-is-long"), Just("")];
    prop_oneof![
        3 => word.prop_map(|word| Segment::Literal(word.to_owned())),
        1 => Just(Segment::Param("x".into()))
    ]
}

/// Expressions of paths, and one of values; made once, since that is what takes long.
static REGEXES: LazyLock<[Regex; 4]> =
    LazyLock::new(|| ["a", "^/users/[ab]$", "/$", "^.2$"].map(|text| text.parse().unwrap()));

fn path() -> impl Strategy<Value = PathPattern> {
    let segments = proptest::collection::vec(segment(), 0..4);
    prop_oneof![
        8 => (segments, any::<bool>()).prop_map(|(mut segments, tail)| {
            if segments.is_empty() && !tail {
                segments.push(Segment::Literal(String::new()));
            }
            PathPattern::Segments(Segments { segments, tail: if tail { Tail::Any } else { Tail::None } })
        }),
        1 => (0..3_usize).prop_map(|at| PathPattern::Regex(REGEXES[at].clone()))
    ]
}

fn test() -> impl Strategy<Value = Test> {
    prop_oneof![
        Just(Test::Is("1".into())),
        Just(Test::Is("12".into())),
        Just(Test::Begins("1".into())),
        Just(Test::Present),
        Just(Test::Absent),
        Just(Test::Matches(REGEXES[3].clone())),
    ]
}

fn predicates() -> impl Strategy<Value = Vec<Predicate>> {
    let name = prop_oneof![Just("x"), Just("y")];
    let one = (name, test()).prop_map(|(name, test)| Predicate { name: name.into(), test });
    proptest::collection::vec(one, 0..2)
}

const METHODS: [&str; 4] = ["GET", "HEAD", "PUT", "BREW"];

fn route() -> impl Strategy<Value = RoutePlan> {
    let host =
        prop_oneof![Just("*"), Just("a.com"), Just("b.a.com"), Just("*.a.com"), Just("*.com")];
    let methods = proptest::collection::btree_set(proptest::sample::select(&METHODS[..]), 0..3);
    (host, path(), methods, predicates(), predicates(), -1..2).prop_map(
        |(host, path, methods, headers, query, priority)| {
            let mut plan = RoutePlan::to(host.parse().unwrap(), path, "s");
            let methods = methods.into_iter().map(str::to_owned).collect();
            plan.when = When { methods, headers, query };
            plan.priority = priority;
            plan
        },
    )
}

/// Routes of which no two tie.
fn routes() -> impl Strategy<Value = Vec<RoutePlan>> {
    proptest::collection::vec(route(), 0..24).prop_map(|plans| {
        let gone: BTreeSet<_> = Places::of(&plans.iter().collect::<Vec<_>>())
            .ties()
            .into_iter()
            .map(|(at, _)| at)
            .collect();
        let kept = plans.into_iter().enumerate().filter(|(at, _)| !gone.contains(at));
        kept.map(|(_, plan)| plan).collect()
    })
}

fn request() -> impl Strategy<Value = String> {
    let host =
        prop_oneof![Just("a.com"), Just("b.a.com"), Just("c.b.a.com"), Just("com"), Just("d.org")];
    let word =
        prop_oneof![Just("a"), Just("b"), Just("users"), Just("a-segment-that-is-long"), Just("")];
    let path = proptest::collection::vec(word, 1..5);
    let value = prop_oneof![Just(""), Just("1"), Just("12"), Just("3")];
    let header =
        proptest::collection::vec((prop_oneof![Just("x"), Just("Y")], value.clone()), 0..3);
    let query = proptest::collection::vec((prop_oneof![Just("x"), Just("%79")], value), 0..3);
    (proptest::sample::select(&METHODS[..]), host, path, header, query).prop_map(
        |(method, host, path, headers, query)| {
            let mut text = format!("{method} /{}", path.join("/"));
            for (at, (name, value)) in query.iter().enumerate() {
                text += &format!("{}{name}={value}", if at == 0 { '?' } else { '&' });
            }
            text += &format!(" HTTP/1.1\r\nHost: {host}\r\n");
            for (name, value) in headers {
                text += &format!("{name}: {value}\r\n");
            }
            text + "\r\n"
        },
    )
}

/// How precise a route is about a path, segment by segment: 3 for a literal, 2 for a parameter, 1 for the end, 0 for a tail.
fn ranks(plan: &RoutePlan) -> Vec<u8> {
    let Some(path) = plan.path.segments() else { return Vec::new() };
    let mut ranks: Vec<_> = path
        .segments
        .iter()
        .map(|segment| match segment {
            Segment::Literal(_) => 3,
            Segment::Param(_) => 2,
        })
        .collect();
    ranks.push(if path.tail == Tail::None { 1 } else { 0 });
    ranks
}

/// How precise a route is; of two that both take a request the greater one has it.
fn precise(plan: &RoutePlan) -> impl Ord {
    let host = match &plan.host {
        HostPattern::Exact(_) => (2, 0),
        HostPattern::Below(suffix) => (1, suffix.len()),
        HostPattern::Any => (0, 0),
    };
    let is_regex = plan.path.segments().is_none();
    let (first, second) = match is_regex {
        true => (i64::from(plan.priority), plan.when.count() as i64),
        false => (plan.when.count() as i64, i64::from(plan.priority)),
    };
    let names_head = plan.when.names_method(b"HEAD");
    // What is held for apart may meet in one request, by two lines of a field: then its name decides.
    let name = (Reverse(&plan.when), Reverse(&plan.path));
    (host, !is_regex, ranks(plan), first, second, names_head, name)
}

/// The winner by the words of the design, without any table.
fn oracle(plans: &[RoutePlan], asked: &Asked<'_>) -> Result<usize, Missed> {
    let takes = plans.iter().enumerate().filter(|(_, plan)| judge(plan, asked) == Verdict::Takes);
    takes.max_by_key(|(_, plan)| precise(plan)).map(|(at, _)| at).ok_or_else(|| {
        let by_method = |plan: &RoutePlan| judge(plan, asked) == Verdict::When(Unmet::Method);
        if plans.iter().any(by_method) { Missed::Method } else { Missed::Route }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_tables_are_the_oracle(
        plans in routes(),
        requests in proptest::collection::vec(request(), 8),
        seed in any::<u64>(),
    ) {
        let table = router(&plans);
        let mut shuffled: Vec<_> = plans.clone();
        shuffled.sort_by_key(|plan| {
            plan.name().bytes().fold(seed, |sum, b| sum.wrapping_mul(31).wrapping_add(u64::from(b)))
        });
        let other_table = router(&shuffled);
        for text in &requests {
            ask(text, |asked| {
                let expected = oracle(&plans, asked);
                prop_assert_eq!(table.find(asked).map(RouteId::index), expected);
                let other = other_table.find(asked).map(|id| shuffled[id.index()].name());
                prop_assert_eq!(other, expected.map(|at| plans[at].name()));
                if expected == Err(Missed::Method) {
                    for name in table.allowed(asked) {
                        let again = Asked { method: name.as_bytes(), ..*asked };
                        prop_assert!(table.find(&again).is_ok());
                    }
                }
                Ok(())
            })?;
        }
    }

    #[test]
    fn precedence_is_a_total_order(plans in routes(), text in request()) {
        for a in &plans {
            for b in &plans {
                prop_assert_eq!(order::precedence(a, b), order::precedence(b, a).reverse());
                prop_assert_eq!(order::precedence(a, b) == Ordering::Equal, a == b || (a.name() == b.name() && a.priority == b.priority));
            }
        }
        let mut sorted = plans;
        sorted.sort_by(order::precedence);
        // Who is asked first among those that take a request is who wins.
        ask(&text, |asked| {
            let first = sorted.iter().position(|plan| judge(plan, asked) == Verdict::Takes);
            prop_assert_eq!(first, oracle(&sorted, asked).ok());
            Ok(())
        })?;
    }

    #[test]
    fn what_is_hidden_is_never_found(plans in routes(), requests in proptest::collection::vec(request(), 4)) {
        let hidden = Places::of(&plans.iter().collect::<Vec<_>>()).hidden();
        let table = router(&plans);
        for text in &requests {
            ask(text, |asked| {
                if let Ok(id) = table.find(asked) {
                    prop_assert!(hidden.iter().all(|(at, _)| *at != id.index()));
                }
                Ok(())
            })?;
        }
    }
}

#[test]
fn a_node_is_a_cache_line() {
    assert_eq!(size_of::<Node>(), 64);
}
