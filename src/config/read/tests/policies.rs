//! `[consumers]`, `[auth]`, `[rates]`, and what routes say of them: what files mean.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use coregate_core::policy::credential::KeyDigest;
use coregate_core::policy::period::{Calendar, Every};
use coregate_core::snapshot::compile::compile;
use coregate_core::snapshot::plan::{
    AuthMethod, AuthPlan, Cost, KeyAuth, KeyPlace, KeyPlan, Per, Principal, QuotaPer, QuotaPlan,
    RateHeaders, RatePlan, RateTerms, RoutePolicies, Scope,
};

use super::{data, good};
use crate::changes::between;
use crate::{ConsumerKey, Secret, Settings, load, parse};

const REST: &str = "listen = '127.0.0.1:0'\n[services.users]\ninstances = ['127.0.0.1:1']\n[consumers.mobile]\ngroups = ['gold', 'beta']\nkeys = [{ env = 'MOBILE_KEY' }]\n";

fn terms(count: u64, seconds: u64, burst: u64) -> RateTerms {
    let number = |number| NonZeroU64::new(number).unwrap();
    let window = Duration::from_secs(seconds);
    RateTerms { count: number(count), window, burst: number(burst) }
}

/// The one route of a file with these lines.
fn route(lines: &str) -> (RoutePolicies, Settings) {
    let settings = good(&format!("{REST}{lines}\n"));
    compile(&settings.plan, 1).unwrap();
    (settings.plan.routes[0].policies.clone(), settings)
}

#[test]
fn consumers_and_their_keys() {
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let text = format!(
        "[consumers.web]\ngroups = 'gold'\nkeys = [{{ sha256 = '{digest}', expires = '2099-01-31T00:00:00Z' }}, {{ file = '/web.key', expires = '2098-01-01T00:00:00Z' }}]\n[routes]\n'/*' = {{ to = 'users', auth = 'key' }}"
    );
    let (_, settings) = route(&text);
    let [mobile, web] = &settings.plan.consumers[..] else { panic!("two consumers") };
    assert_eq!(
        (mobile.name.as_str(), &mobile.groups[..]),
        ("mobile", &["beta", "gold"].map(String::from)[..])
    );
    assert_eq!((mobile.keys.len(), &web.groups[..]), (0, &["gold".to_owned()][..]));
    let digest = KeyDigest::from_hex(digest).unwrap();
    assert_eq!(web.keys, [KeyPlan { digest, expires: Some(4_073_500_800) }]);
    let key = |consumer: &str, secret, expires| ConsumerKey {
        consumer: consumer.into(),
        secret,
        expires,
    };
    assert_eq!(
        settings.keys,
        [
            key("mobile", Secret::Env("MOBILE_KEY".into()), None),
            key("web", Secret::File("/web.key".into()), Some(4_039_372_800)),
        ]
    );
}

#[test]
fn ways_to_authenticate() {
    let text = "[auth.partners]\nkey = [{ header = 'X-Partner-Key' }, { query = 'api_key' }, { cookie = 'Key' }]\nrealm = 'the partners'\nforward = true\n[routes]\n'/*' = { to = 'users', auth = 'partners' }";
    let (policies, settings) = route(text);
    assert_eq!(policies.auth.as_deref(), Some("partners"));
    let places = vec![
        KeyPlace::Header("x-partner-key".into()),
        KeyPlace::Query("api_key".into()),
        KeyPlace::Cookie("Key".into()),
    ];
    let method = AuthMethod::Key(KeyAuth { places, forward: true });
    let expected = AuthPlan { name: "partners".into(), realm: "the partners".into(), method };
    assert_eq!(settings.plan.auths, [expected]);
    // The one that is built in, and what may stand in its place.
    let (policies, settings) = route("[routes]\n'/*' = { to = 'users', auth = 'key' }");
    assert_eq!((policies.auth.as_deref(), settings.plan.auths.len()), (Some("key"), 0));
    route(
        "[auth.key]\nkey = { header = 'x-key' }\n[routes]\n'/*' = { to = 'users', auth = 'key' }",
    );
}

#[test]
fn who_is_let_in() {
    let (policies, _) = route(
        "[routes]\n'/*' = { to = 'users', auth = 'key', allow = ['group:gold', 'mobile'], deny = 'group:beta' }",
    );
    let group = |name: &str| Principal::Group(name.into());
    assert_eq!(policies.access.allow, [group("gold"), Principal::Consumer("mobile".into())]);
    assert_eq!(policies.access.deny, [group("beta")]);
    let (policies, _) = route("[routes]\n'/*' = { to = 'users', auth = 'key', allow = [] }");
    assert!(policies.access.is_open());
}

#[test]
fn rates_with_all_that_they_say() {
    let (policies, settings) = route(
        "[rates.api]\nlimit = '100/s'\nburst = 200\nper = ['consumer', 'address/24', 'header:X-Tenant', 'route']\ncost = 5\nscope = 'worker'\ndry_run = true\ngroups = { gold = '1000/s', beta = { limit = '10/min', burst = 7 } }\n[routes]\n'/*' = { to = 'users', auth = 'key', rate = 'api' }",
    );
    assert_eq!(policies.rates, ["api"]);
    let expected = RatePlan {
        name: "api".into(),
        terms: terms(100, 1, 200),
        per: vec![
            Per::Consumer,
            Per::Address { v4: 24, v6: 64 },
            Per::Header("x-tenant".into()),
            Per::Route,
        ],
        scope: Scope::Worker,
        dry_run: true,
        cost: Cost::Fixed(NonZeroU64::new(5).unwrap()),
        groups: vec![("gold".into(), terms(1_000, 1, 1_000)), ("beta".into(), terms(10, 60, 7))],
    };
    assert_eq!(settings.plan.rates, [expected]);
}

#[test]
fn rates_of_a_route_are_called_after_it() {
    let (policies, settings) = route(
        "[rates]\nall = '5000/h'\n[routes]\n'GET /x/*' = { to = 'users', rate = ['50/s', 'all', { limit = '20/15min', cost = { answer = 'X-Cost' } }] }",
    );
    assert_eq!(policies.rates, ["GET /x/*#1", "all", "GET /x/*#2"]);
    let rates: Vec<_> =
        settings.plan.rates.iter().map(|rate| (rate.name.as_str(), rate.terms)).collect();
    assert_eq!(
        rates,
        [
            ("all", terms(5_000, 3_600, 5_000)),
            ("GET /x/*#1", terms(50, 1, 50)),
            ("GET /x/*#2", terms(20, 900, 20)),
        ]
    );
    assert_eq!(settings.plan.rates[2].cost, Cost::Answer("x-cost".into()));
}

#[test]
fn networks() {
    for (word, v4, v6) in [
        ("address", 32, 64),
        ("address/32", 32, 64),
        ("address/24", 24, 64),
        ("address/32/128", 32, 128),
        ("address/24/56", 24, 56),
        ("address/1/1", 1, 1),
    ] {
        let text = format!(
            "[routes]\n'/*' = {{ to = 'users', rate = {{ limit = '1/s', per = '{word}' }} }}"
        );
        assert_eq!(route(&text).1.plan.rates[0].per, [Per::Address { v4, v6 }], "{word}");
    }
}

#[test]
fn what_stands_in_defaults_holds_for_every_route() {
    let text = format!(
        "{REST}[rates]\nall = '5000/h'\n[defaults.route]\nauth = 'key'\nallow = ['mobile']\nrate = ['all', '10/s']\n[routes]\n'/a' = 'users'\n'/b' = {{ to = 'users', auth = false, rate = [] }}\n'/c' = {{ respond = 204 }}\n'/d' = {{ to = 'users', allow = [] }}\n"
    );
    let settings = good(&text);
    let names: Vec<_> = settings.plan.rates.iter().map(|rate| rate.name.as_str()).collect();
    assert_eq!(names, ["all", "/a#1", "/c#1", "/d#1"]);
    let [a, b, c, d] = [0, 1, 2, 3].map(|at| &settings.plan.routes[at].policies);
    let of = |one: &RoutePolicies| (one.auth.is_some(), one.access.allow.len(), one.rates.len());
    assert_eq!([a, b, c, d].map(of), [(true, 1, 2), (false, 0, 0), (true, 1, 2), (true, 0, 2)]);
}

#[test]
fn how_clients_are_told() {
    for (value, expected) in
        [("true", RateHeaders::Plain), ("false", RateHeaders::Off), ("'draft'", RateHeaders::Draft)]
    {
        let text = format!(
            "[listeners.l]\nbind = '127.0.0.1:0'\nrate_headers = {value}\n[routes]\n'/*' = 'users'\n[services.users]\ninstances = []\n"
        );
        assert_eq!(good(&text).plan.listeners[0].terms.rate_headers, expected);
    }
}

#[test]
fn no_key_is_ever_shown() {
    for name in ["consumers-keys-in-file", "consumers-syntax", "consumers-other-names"] {
        let report = load(&data(&format!("config/broken/{name}.toml"))).report;
        let shown = [report.render(false), report.render(true), report.to_json()].concat();
        assert!(!shown.contains("super"), "{shown}");
        assert!(shown.contains("...."), "{shown}");
    }
}

#[test]
fn changes_name_what_has_changed() {
    let text = |lines: &str| format!("{REST}{lines}\n");
    let old = text(
        "[auth.a]\nkey = { header = 'x-a' }\n[rates.r]\nlimit = '10/s'\n[routes]\n'/a' = { to = 'users', auth = 'a', rate = ['r', '5/s'] }",
    );
    let new = old
        .replace(
            "{ env = 'MOBILE_KEY' }",
            "{ env = 'MOBILE_KEY', expires = '2099-01-31T00:00:00Z' }",
        )
        .replace("['gold', 'beta']", "'gold'")
        .replace("{ header = 'x-a' }", "{ query = 'a' }\nforward = true")
        .replace("'10/s'", "'20/min'\nper = 'route'")
        .replace("'5/s'", "'6/s'")
        .replace("auth = 'a',", "auth = 'a', allow = 'mobile',");
    let parsed = |text: &str| parse("c.toml", text).settings.unwrap();
    let changes = between(&parsed(&old), &parsed(&new));
    assert_eq!(
        changes.to_string(),
        "~ consumer mobile: groups [beta, gold] -> [gold]; keys [environment variable MOBILE_KEY] -> [environment variable MOBILE_KEY until 2099-01-31T00:00:00Z]
~ auth a: key [header x-a] -> [query a]; forward false -> true
~ rate /a#1: limit 5/s -> 6/s; burst 5 -> 6
~ rate r: limit 10/s -> 20/min; per [] -> [route]; burst 10 -> 20
~ route /a: allow [] -> [mobile]"
    );
    let gone = between(&parsed(&new), &parsed(&text("[routes]\n'/a' = 'users'")));
    assert_eq!(
        gone.to_string().lines().take(4).collect::<Vec<_>>(),
        [
            "~ consumer mobile: groups [gold] -> [beta, gold]; keys [environment variable MOBILE_KEY until 2099-01-31T00:00:00Z] -> [environment variable MOBILE_KEY]",
            "- auth a",
            "- rate /a#1",
            "- rate r",
        ]
    );
    let json = gone.to_json();
    assert_eq!(json["rates"]["removed"][1]["name"], "r");
    assert_eq!(json["auth"]["removed"][0]["name"], "a");
}

#[test]
fn quotas_and_what_routes_say_of_them() {
    let text = "[quotas.month]\nlimit = 100_000\nevery = 'month'\nzone = 'europe/berlin'\nper = ['consumer', 'route']\ngroups = { gold = 1_000_000 }\ncost = 5\ndry_run = true\n[quotas]\nday = { limit = 10, every = 'day' }\n[routes]\n'/*' = { to = 'users', auth = 'key', quota = ['day', 'month'] }";
    let (policies, settings) = route(text);
    assert_eq!(policies.quotas, ["day", "month"]);
    let limit = |count| NonZeroU64::new(count).unwrap();
    let day = Calendar::new(Every::Day, "UTC").unwrap();
    let month = Calendar::new(Every::Month, "Europe/Berlin").unwrap();
    let month = QuotaPlan {
        per: vec![QuotaPer::Consumer, QuotaPer::Route],
        groups: vec![("gold".to_owned(), limit(1_000_000))],
        cost: NonZeroU32::new(5).unwrap(),
        dry_run: true,
        ..QuotaPlan::named("month", limit(100_000), month)
    };
    assert_eq!(settings.plan.quotas, [QuotaPlan::named("day", limit(10), day), month]);
    assert_eq!(settings.plan.quotas[1].calendar.zone(), "Europe/Berlin");

    let other = good(&format!("{REST}{}", text.replace("limit = 10,", "limit = 20,")));
    let changed = between(&settings, &other).to_json();
    let term = &changed["quotas"]["changed"][0]["terms"][0];
    assert_eq!(
        (&term["key"], &term["old"], &term["new"]),
        (&"limit".into(), &"10".into(), &"20".into())
    );
}
