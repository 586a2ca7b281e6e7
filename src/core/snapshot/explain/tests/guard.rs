//! What is said of who calls and of limits, and that nothing is taken by saying it.

use std::cell::RefCell;
use std::num::{NonZeroU32, NonZeroU64};

use super::super::guard::{Found, Says};
use super::super::inquiry::Whence;
use super::*;
use crate::base::cells::Cells;
use crate::policy::credential::KeyDigest;
use crate::policy::period::{Calendar, Every};
use crate::policy::quota::{Count, Question};
use crate::policy::rate::{self, Buckets, Facts};
use crate::snapshot::limits::Limit;
use crate::snapshot::plan::{
    Access, AuthMethod, AuthPlan, ConsumerPlan, KeyAuth, KeyPlace, KeyPlan, Per, Principal,
    QuotaPer, QuotaPlan, RatePlan, RateTerms, Scope,
};

const SECOND: u64 = 1_000_000_000;

fn terms(count: u64, burst: u64) -> RateTerms {
    let number = |number| NonZeroU64::new(number).unwrap();
    RateTerms { count: number(count), window: Duration::from_secs(1), burst: number(burst) }
}

fn consumer(name: &str, group: &str, expires: Option<u64>) -> ConsumerPlan {
    let digest = KeyDigest::of(format!("key of {name}").as_bytes());
    let keys = vec![KeyPlan { digest, expires }];
    ConsumerPlan { name: name.into(), groups: vec![group.into()], keys }
}

/// A route that asks for keys in a query, lets group gold in, and has three limits.
fn guarded_plan() -> Plan {
    let mut plan = shop();
    let policies = &mut plan.routes[1].policies;
    policies.auth = Some("apps".into());
    policies.access = Access { allow: vec![Principal::Group("gold".into())], deny: Vec::new() };
    policies.rates = vec!["login".into(), "api".into(), "local".into()];
    let places = vec![KeyPlace::Query("key".into()), KeyPlace::Header("x-key".into())];
    let method = AuthMethod::Key(KeyAuth { places, forward: false });
    plan.auths = vec![AuthPlan { name: "apps".into(), realm: "apps".into(), method }];
    plan.consumers = vec![
        consumer("ann", "gold", None),
        consumer("bob", "tin", None),
        consumer("cat", "gold", Some(100)),
    ];
    let login = RatePlan {
        per: vec![Per::Address { v4: 24, v6: 64 }, Per::Header("x-key".into())],
        ..RatePlan::named("login", terms(2, 2))
    };
    let api = RatePlan {
        per: vec![Per::Consumer, Per::Route],
        groups: vec![("gold".into(), terms(5, 3))],
        ..RatePlan::named("api", terms(1, 1))
    };
    let scope = Scope::Worker;
    let local = RatePlan { scope, dry_run: true, ..RatePlan::named("local", terms(1, 1)) };
    plan.rates = vec![login, api, local];
    plan
}

fn inquiry(key: &str, from: &str) -> Inquiry {
    Inquiry {
        from: from.parse().unwrap(),
        shown: 0,
        ..Inquiry::new("GET", &format!("a.com/m?key={key}&b=1"))
    }
}

fn of_guard(explanation: &Explanation) -> Vec<String> {
    let lines = explanation.lines();
    let is =
        |line: &&String| ["auth ", "limit ", "answer "].iter().any(|word| line.starts_with(word));
    lines.iter().filter(is).cloned().collect()
}

#[test]
fn of_a_file() {
    let snapshot = compile(&guarded_plan(), 7).unwrap();
    let said = |key: &str, now| {
        let around = Surroundings::unspent(now);
        let said = explain(&snapshot, &inquiry(key, "192.0.2.7"), &around).unwrap();
        // No key is ever shown, wherever it stands.
        assert!(
            key.is_empty() || !format!("{said:?} {:?}", said.lines()).contains(key),
            "{said:?}"
        );
        of_guard(&said)
    };
    let login = "limit     login: 2/s, per address/24 192.0.2.7/24, header:x-key ••••••••: as if nobody had spent anything";
    let local = "limit     local: 1/s on each worker, one bucket for all, a dry run: counted and not refused: as if nobody had spent anything";
    assert_eq!(
        said("key+of+ann", 0),
        [
            "auth      apps (query key, header x-key): consumer ann, by its key",
            login,
            "limit     api: 5/s, burst 3, for group gold, per consumer ann, route GET,PUT a.com/m: as if nobody had spent anything",
            local,
        ]
    );
    let asked = |auth: &str, answer: &str| {
        [
            format!("auth      apps (query key, header x-key): {auth}"),
            login.to_owned(),
            "limit     api: 1/s, per consumer not known, route GET,PUT a.com/m: not asked, since the request is refused before".to_owned(),
            local.to_owned(),
            format!("answer    {answer}"),
        ]
    };
    assert_eq!(
        said("", 0),
        asked("no key", "401 unauthenticated: it shows no key, and the route asks who calls")
    );
    assert_eq!(
        said("not+a+key", 0),
        asked("a key that is nobody's", "401 unauthenticated: the key that it shows is nobody's")
    );
    assert_eq!(
        said("key+of+bob", 0),
        asked(
            "consumer bob, who is not let in",
            "403 forbidden: the route does not let consumer bob in: allow group:gold"
        )
    );
    assert_eq!(
        said("key+of+cat", 100),
        asked(
            "a key of cat that has expired",
            "401 unauthenticated: the key that it shows has expired"
        )
    );
    assert_eq!(said("key+of+cat", 99).len(), 4);
}

#[test]
fn of_buckets_and_nothing_is_taken() {
    let snapshot = compile(&guarded_plan(), 7).unwrap();
    let (cells, at) = (Cells::owned(0), 50 * SECOND);
    let buckets = Buckets::new(cells.clone(), 1);
    let said = |key: &str, from: &str| {
        let look = |limit: &Limit, facts: &Facts<'_>| rate::look(&cells, limit, facts, at);
        let around = Surroundings { now: 0, look: Some(&look), stands: None };
        explain(&snapshot, &inquiry(key, from), &around).unwrap()
    };
    let routed = |said: &Explanation| match &said.outcome {
        Outcome::Routed(routed) => routed.guard.clone(),
        Outcome::Refused(refused) => panic!("{refused:?}"),
    };
    let left = |said: &Explanation, at: usize| match routed(said).limits[at].says {
        Says::Left(left) => (left.admits, left.remaining, left.most),
        ref other => panic!("{other:?}"),
    };
    let first = said("key+of+ann", "192.0.2.7");
    assert_eq!((left(&first, 0), left(&first, 1)), ((true, 1, 2), (true, 2, 3)));
    assert_eq!(first, said("key+of+ann", "192.0.2.7"), "looking takes nothing");
    assert!(first.lines().iter().any(|line| line.contains("each worker counts by itself")));
    // As the gateway would: a request of ann, as often as there are tokens.
    let route = snapshot.routes().find(|route| &*route.name == "GET,PUT a.com/m").unwrap();
    let head = Head::default();
    let who = snapshot.consumers().named("ann");
    let spend = |at_limit: usize, address: &str| {
        let facts = Facts {
            consumer: who.map(|who| &**who),
            address: Some(address.parse().unwrap()),
            head: &head,
            route: &route.name,
            service: "users",
        };
        buckets.spend(&route.guard.limits[at_limit], &facts, || at).admitted
    };
    assert!((0..3).all(|_| spend(1, "192.0.2.7")) && !spend(1, "192.0.2.7"));
    let spent = said("key+of+ann", "192.0.2.7");
    let guard = routed(&spent);
    assert_eq!((left(&spent, 1), guard.refused.unwrap().status), ((false, 0, 3), 429));
    assert_eq!(
        of_guard(&spent)[2],
        "limit     api: 5/s, burst 3, for group gold, per consumer ann, route GET,PUT a.com/m: 0 of 3 left, refused, again in 200.0ms"
    );
    // What needs not know who calls refuses before anybody looks at the key.
    assert!((0..2).all(|_| spend(0, "192.0.2.9")));
    let refused = routed(&said("nobody's", "192.0.2.7"));
    assert_eq!(refused.identity.unwrap().found, Found::Unasked);
    assert_eq!(refused.refused.unwrap().why, "limit login is used up");
    // Another network has spent nothing, and where it comes from may be left unsaid.
    assert_eq!(routed(&said("nobody's", "198.51.100.1")).refused.unwrap().status, 401);
    let unsaid = Inquiry { from: Whence::Unsaid, ..inquiry("nobody's", "unix") };
    let look = |limit: &Limit, facts: &Facts<'_>| rate::look(&cells, limit, facts, at);
    let around = Surroundings { now: 0, look: Some(&look), stands: None };
    let unsaid = explain(&snapshot, &unsaid, &around).unwrap();
    assert!(unsaid.lines().iter().any(|line| line.ends_with("depends on where it comes from")));
    // An address that guessed too often.
    let failures = Limit::of_failures();
    let facts = Facts {
        consumer: None,
        address: Some("198.51.100.1".parse().unwrap()),
        head: &head,
        route: "",
        service: "",
    };
    while buckets.spend(&failures, &facts, || at).admitted {}
    assert_eq!(routed(&said("nobody's", "198.51.100.1")).refused.unwrap().status, 429);
    assert_eq!(
        routed(&said("key+of+ann", "198.51.100.1")).refused.unwrap().status,
        429,
        "api is used up"
    );
    assert_eq!(routed(&said("", "198.51.100.1")).refused.unwrap().status, 401);
}

#[test]
fn what_a_test_expects() {
    let snapshot = compile(&guarded_plan(), 7).unwrap();
    let said = |key: &str| explain(&snapshot, &inquiry(key, "unix"), &NOBODY).unwrap();
    let missed = |expected: Expected, key: &str| {
        let missed = expected.missed(&said(key));
        missed
            .iter()
            .map(|one| format!("{} {} {}", one.what, one.expected, one.seen))
            .collect::<Vec<_>>()
    };
    let auth = |auth: Option<&str>| Expected {
        auth: Some(auth.map(str::to_owned)),
        ..Expected::default()
    };
    let status = |status| Expected { status: Some(status), ..Expected::default() };
    assert_eq!(missed(auth(Some("apps")), ""), [""; 0]);
    assert_eq!(missed(auth(Some("key")), ""), ["auth key apps"]);
    assert_eq!(missed(auth(None), ""), ["auth none apps"]);
    assert_eq!(missed(status(401), ""), [""; 0]);
    assert_eq!(missed(status(403), "key+of+bob"), [""; 0]);
    assert_eq!(missed(status(401), "key+of+ann"), ["status 401 none"]);
    let service = Expected { services: vec!["users".into()], ..Expected::default() };
    assert_eq!(missed(service, ""), [""; 0], "where it would go is said without a key");
}

/// The plan with a quota of each consumer, 5 for gold, and behind it one that is per service.
fn counted_plan() -> Plan {
    let calendar = Calendar::new(Every::Month, "Europe/Berlin").unwrap();
    let some = |number| NonZeroU64::new(number).unwrap();
    let mut plan = guarded_plan();
    plan.routes[1].policies.quotas = vec!["month".into(), "each".into()];
    let month = QuotaPlan {
        per: vec![QuotaPer::Consumer, QuotaPer::Service],
        groups: vec![("gold".into(), some(5))],
        cost: NonZeroU32::new(2).unwrap(),
        ..QuotaPlan::named("month", some(9), calendar.clone())
    };
    plan.quotas = vec![month, QuotaPlan::named("each", some(7), calendar)];
    plan
}

fn quota_lines(said: &Explanation) -> Vec<String> {
    let is = |line: &&String| ["quota ", "limit ", "answer "].iter().any(|it| line.starts_with(it));
    said.lines().iter().filter(is).cloned().collect()
}

#[test]
fn of_counts_and_nobody_is_asked_behind_a_refusal() {
    let snapshot = compile(&counted_plan(), 7).unwrap();
    let cells = Cells::owned(0);
    let look = |limit: &Limit, facts: &Facts<'_>| rate::look(&cells, limit, facts, SECOND);
    let said = |key: &str, count: Option<Count>| {
        let asked = RefCell::new(Vec::new());
        let stands = |question: Question| {
            asked.borrow_mut().push((question.quota.to_string(), question.key.to_string()));
            count
        };
        let around = Surroundings { now: 0, look: Some(&look), stands: Some(&stands) };
        let said = explain(&snapshot, &inquiry(key, "192.0.2.7"), &around).unwrap();
        (quota_lines(&said), asked.into_inner())
    };
    let count = Count { limit: 5, granted: 4, left: 3, starts: 0, ends: 86_400, admits: true };
    let month = "quota     month: 5 a month of Europe/Berlin, for group gold, cost 2, per consumer ann, service users";
    let each = "quota     each: 7 a month of Europe/Berlin, one count for all";
    let both = [
        ("month".to_owned(), "consumer ann, service users".to_owned()),
        ("each".to_owned(), "all".to_owned()),
    ];

    let (lines, asked) = said("key+of+ann", Some(count));
    assert_eq!(lines[0], format!("{month}: 3 of 5 left, anew 1970-01-02T00:00:00Z"));
    assert_eq!(lines[1], format!("{each}: 3 of 5 left, anew 1970-01-02T00:00:00Z"));
    assert_eq!((lines.len(), asked), (5, both.to_vec()), "no answer of our own");

    let spent = Count { left: 1, admits: false, ..count };
    let (lines, asked) = said("key+of+ann", Some(spent));
    let unasked = "not asked, since the request is refused before";
    assert_eq!(lines[0], format!("{month}: 1 of 5 left, refused, anew 1970-01-02T00:00:00Z"));
    assert_eq!(lines[1], format!("{each}: {unasked}"));
    assert!(!lines[2].ends_with(unasked), "before it is known who calls: {}", lines[2]);
    assert!(lines[3].ends_with(unasked), "{}", lines[3]);
    let answer = "answer    429 quota_exceeded: quota month is used up until 1970-01-02T00:00:00Z";
    assert_eq!((lines[5].as_str(), asked.len()), (answer, 1));

    let full = Count { admits: false, ..count };
    let (lines, _) = said("key+of+ann", Some(full));
    let answer = "answer    429 quota_exceeded: quota month has no room for one more count";
    assert_eq!(lines[5], answer);

    let (lines, _) = said("key+of+ann", None);
    assert_eq!(lines[1], format!("{each}: how much is left could not be found out"));
    let (lines, asked) = said("", Some(count));
    assert_eq!((lines[1].as_str(), asked.len()), (&*format!("{each}: {unasked}"), 0));

    let around = Surroundings::unspent(0);
    let said = explain(&snapshot, &inquiry("key+of+ann", "unix"), &around).unwrap();
    assert_eq!(quota_lines(&said)[0], format!("{month}: as if nobody had spent anything"));
}

#[test]
fn a_quota_that_only_counts_is_no_answer() {
    let mut plan = counted_plan();
    plan.quotas[0].dry_run = true;
    let snapshot = compile(&plan, 7).unwrap();
    let stands = |question: Question| {
        let admits = &*question.quota != "month";
        Some(Count { limit: 5, granted: 5, left: 0, starts: 0, ends: 0, admits })
    };
    let around = Surroundings { now: 0, look: None, stands: Some(&stands) };
    let said = explain(&snapshot, &inquiry("key+of+ann", "unix"), &around).unwrap();
    let lines = quota_lines(&said);
    let tail = "a dry run: counted and not refused: 0 of 5 left, would be refused, anew 1970-01-01T00:00:00Z";
    assert!(lines[0].ends_with(tail), "{}", lines[0]);
    assert!(lines.iter().all(|line| !line.starts_with("answer")), "{lines:?}");
}
