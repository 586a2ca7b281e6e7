//! Quotas over the admin listener: beside rates, and what the registry is asked of them.

use std::num::{NonZeroU32, NonZeroU64};

use coregate_core::policy::period::{Calendar, Every};
use coregate_core::policy::quota::Count;
use coregate_core::snapshot::plan::{
    ConsumerPlan, QuotaPer, QuotaPlan, RatePlan, RateTerms, RoutePolicies,
};
use coregate_core::snapshot::quotas::QuotaKey;

use super::*;
use crate::io::admin::report::{Refusal, Why};
use crate::registry::order::{Look, Seen};
use crate::registry::quotas::QuotasView;

/// A route `/a` with a rate `api` and a quota `month`: of each consumer, 5 for gold, a request costing 2.
fn stage() -> Stage {
    let stage = Stage::new();
    let some = |number| NonZeroU64::new(number).expect("some");
    let calendar = Calendar::new(Every::Month, "Europe/Berlin").expect("a zone");
    let month = QuotaPlan {
        per: vec![QuotaPer::Consumer],
        groups: vec![("gold".into(), some(5))],
        cost: NonZeroU32::new(2).expect("some"),
        ..QuotaPlan::named("month", some(1_000), calendar)
    };
    let terms = RateTerms { count: some(9), window: Duration::from_secs(1), burst: some(9) };
    let path = "/a".parse().expect("a path");
    let mut route = RoutePlan::to(HostPattern::Any, path, "upstream");
    route.policies = RoutePolicies {
        auth: Some("key".into()),
        rates: vec!["api".into()],
        quotas: vec!["month".into()],
        ..RoutePolicies::default()
    };
    let consumer = |name: &str, groups: &[&str]| ConsumerPlan {
        name: name.into(),
        groups: groups.iter().map(ToString::to_string).collect(),
        keys: Vec::new(),
    };
    *stage.process.policies.lock().expect("policies") = Plan {
        routes: vec![route],
        rates: vec![RatePlan::named("api", terms)],
        quotas: vec![month],
        consumers: vec![consumer("ann", &["gold"]), consumer("bob", &[])],
        ..Plan::default()
    };
    stage
}

fn seen(keys: usize, counts: Vec<Option<Count>>) -> Answer {
    let keys = [("month".to_owned(), keys), ("gone".to_owned(), 7)].into();
    Answer::Seen(Box::new(Seen::Quotas(QuotasView { keys, counts })))
}

const COUNT: Count = Count { limit: 5, granted: 4, left: 2, starts: 0, ends: 86_400, admits: true };

/// What the registry was asked of counts: whose, of how much.
#[track_caller]
fn asked_for(question: &Question) -> Vec<(QuotaKey, u64)> {
    let Question::Look(Look::Quotas { of, at }) = question else { panic!("{question:?}") };
    assert!(*at > 1_700_000_000, "{at}");
    of.iter().map(|one| (one.key.clone(), one.limit)).collect()
}

fn key_of(consumer: &str) -> QuotaKey {
    QuotaKey { consumer: Some(consumer.into()), ..QuotaKey::default() }
}

#[test]
fn quotas_are_listed_beside_rates() {
    let stage = stage();
    stage.process.will_answer(seen(3, Vec::new()));
    let json = stage.ask("GET /v1/limits").json();
    assert!(asked_for(&stage.process.asked()[0]).is_empty());
    let [api, month] = &json["limits"].as_array().expect("limits")[..] else { panic!("{json}") };
    assert_eq!(
        (&api["kind"], &api["keys"], &api["period"]),
        (&"rate".into(), &Value::Null, &Value::Null)
    );
    assert_eq!((&month["kind"], &month["keys"]), (&"quota".into(), &3.into()));
    assert_eq!(month["limit"], "1000 a month of Europe/Berlin");
    assert_eq!(month["period"], serde_json::json!({"every": "month", "zone": "Europe/Berlin"}));
    assert_eq!((&month["per"], &month["cost"]), (&serde_json::json!(["consumer"]), &"2".into()));
    let group = serde_json::json!([{"group": "gold", "limit": "5 a month of Europe/Berlin"}]);
    assert_eq!(month["groups"], group);
    let route = &month["routes"][0];
    assert_eq!((&route["route"], &route["admitted"]), (&"/a".into(), &Value::Null));
    // A page without a quota asks nobody.
    let page = stage.ask("GET /v1/limits?limit=1").json();
    assert_eq!((&page["next"], stage.process.asked().len()), (&"api".into(), 0));
}

#[test]
fn a_count_is_looked_at_and_begins_anew() {
    let stage = stage();
    stage.process.will_answer(seen(1, vec![Some(COUNT)]));
    let json = stage.ask("GET /v1/limits/month?consumer=ann").json();
    assert_eq!(asked_for(&stage.process.asked()[0]), [(key_of("ann"), 5)]);
    assert_eq!((&json["bucket"], &json["keys"]), (&Value::Null, &1.into()));
    let count = &json["count"];
    assert_eq!(
        (&count["limit"], &count["granted"], &count["left"]),
        (&5.into(), &4.into(), &2.into())
    );
    assert_eq!(
        (&count["ends"]["text"], &count["durable"]),
        (&"1970-01-02T00:00:00Z".into(), &Value::Null)
    );
    assert_eq!(
        (&count["of"], &count["admits"]),
        (&serde_json::json!(["consumer ann"]), &true.into())
    );

    stage.process.will_answer(Answer::Reset { durable: true });
    stage.process.will_answer(seen(0, vec![Some(COUNT)]));
    let json = stage.ask("POST /v1/limits/month/reset?consumer=bob").json();
    assert_eq!(json["count"]["durable"], true);
    let [reset, look] = &stage.process.asked()[..] else { panic!("{json}") };
    let quota = "month".to_owned();
    assert_eq!(*reset, Question::ResetQuota { quota, key: key_of("bob") });
    assert_eq!(asked_for(look), [(key_of("bob"), 1_000)]);
}

#[test]
fn what_cannot_be_looked_at() {
    let stage = stage();
    for (query, status, expected) in
        [("", 400, "is per consumer: say which"), ("?consumer=none", 404, "there is no consumer")]
    {
        let problem = stage.ask(&format!("GET /v1/limits/month{query}")).is_problem(status);
        let detail = problem["detail"].as_str().expect("a detail");
        assert!(detail.contains(expected), "{query}: {detail}");
    }
    stage.process.will_answer(seen(0, vec![None]));
    stage.ask("GET /v1/limits/month?consumer=ann").is_problem(404);
    let handed = Refusal { why: Why::Unavailable, detail: "not here".into(), revision: None };
    stage.process.will_answer(Answer::Refused(handed));
    stage.ask("POST /v1/limits/month/reset?consumer=ann").is_problem(503);
}
