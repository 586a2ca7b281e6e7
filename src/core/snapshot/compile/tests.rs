//! Plans and changes, and what they share with the versions before.

use std::num::{NonZeroU32, NonZeroU64};

use super::*;
use crate::http::head::Head;
use crate::policy::credential::KeyDigest;
use crate::policy::period::{Calendar, Every};
use crate::snapshot::consumers::Presented;
use crate::snapshot::plan::{
    Access, AuthPlan, ConsumerPlan, HostPattern, KeyPlan, Per, Principal, QuotaPer, QuotaPlan,
    RatePlan, RateTerms, RoutePolicies, TrustedPeers,
};
use crate::snapshot::router::Asked;
use crate::snapshot::routes::Guard;

/// The route that takes a GET of this path.
fn find(snapshot: &Snapshot, path: &str) -> Option<RouteId> {
    let head = Head::default();
    let asked =
        Asked { method: b"GET", host: b"", path: path.as_bytes(), query: None, head: &head };
    snapshot.find(&asked).ok()
}

fn route(path: &str, service: &str) -> RoutePlan {
    RoutePlan::to(HostPattern::Any, path.parse().unwrap(), service)
}

fn service(name: &str) -> ServicePlan {
    ServicePlan::named(name)
}

fn address(port: u16) -> Address {
    Address::Tcp(([10, 0, 0, 1], port).into())
}

fn service_of(name: &str, ports: &[u16]) -> ServicePlan {
    ServicePlan { instances: ports.iter().copied().map(address).collect(), ..service(name) }
}

fn listener(name: &str, tcp: Option<&str>) -> ListenerPlan {
    ListenerPlan { name: name.into(), tcp: tcp.map(String::from), ..ListenerPlan::default() }
}

fn plan(services: Vec<ServicePlan>) -> Plan {
    let routes =
        services.iter().map(|service| route(&format!("/{}/*", service.name), &service.name));
    let routes = routes.collect();
    Plan { routes, services, listeners: vec![listener("l", None)], ..Plan::default() }
}

/// The ports of a service's instances, and whether it is there.
fn ports(snapshot: &Snapshot, id: u16) -> Option<Vec<u16>> {
    let service = snapshot.service(ServiceId(id))?;
    let port = |one: &Instance| match &one.address {
        Address::Tcp(address) => address.port(),
        Address::Unix(_) => 0,
    };
    Some(service.instances.iter().map(port).collect())
}

#[test]
fn all_faults_come_at_once() {
    let plan = Plan {
        routes: vec![route("/a", "x"), route("/a", "s"), route("/b", "s")],
        services: vec![service("s"), service("s")],
        listeners: vec![listener("l", Some("t")), listener("m", None), listener("m", None)],
        ..Plan::default()
    };
    let mut errors: Vec<_> =
        compile(&plan, 1).unwrap_err().iter().map(ToString::to_string).collect();
    errors.sort();
    let expected = [
        "listener \"l\": there is no service \"t\"",
        "listener \"m\" stands twice",
        "route /a stands twice",
        "route /a: there is no service \"x\"",
        "service \"s\" stands twice",
    ];
    assert_eq!(errors, expected);
}

#[test]
fn a_plan_becomes_a_snapshot() {
    let plan = Plan {
        routes: vec![route("/b/*", "t"), route("/a/*", "s")],
        services: vec![service("s"), service("t")],
        listeners: vec![
            listener("http", None),
            ListenerPlan {
                proxy_protocol: Some(TrustedPeers { networks: Vec::new(), unix: true }),
                ..listener("tcp", Some("t"))
            },
        ],
        ..Plan::default()
    };
    let snapshot = compile(&plan, 7).unwrap();
    let found = find(&snapshot, "/b/c").and_then(|id| snapshot.route(id)).unwrap();
    assert_eq!(&*found.name, "/b/*");
    let service = found.service(|| 0).and_then(|id| snapshot.service(id));
    assert_eq!(service.map(|service| &*service.name), Some("t"));
    assert_eq!(snapshot.generation(), 7);
    let [http, tcp] = [0, 1].map(|id| snapshot.listener(ListenerId(id)).unwrap());
    assert!(http.tcp.is_none() && http.trusted.is_none());
    assert_eq!(tcp.tcp.and_then(|id| snapshot.service(id)).map(|one| &*one.name), Some("t"));
    assert!(tcp.trusted.as_ref().is_some_and(|trusted| trusted.trusts(None)));
}

#[test]
fn what_a_plan_does_not_change_stays_the_same_object() {
    let mut compiler = Compiler::new(100);
    compiler.configure(plan(vec![service_of("s", &[1, 2]), service_of("t", &[3])])).unwrap();
    let before = compiler.snapshot(1);
    let effects =
        compiler.configure(plan(vec![service_of("t", &[3]), service_of("s", &[2, 4])])).unwrap();
    let after = compiler.snapshot(2);
    assert_eq!((effects.given.len(), effects.gone.len()), (1, 1));
    assert_eq!(ports(&after, 0), Some(vec![2, 4]), "ids follow names, not places");
    let same = |id| Arc::ptr_eq(before.service(id).unwrap(), after.service(id).unwrap());
    assert_eq!([ServiceId(0), ServiceId(1)].map(same), [false, true]);
    assert!(Arc::ptr_eq(before.route(RouteId(0)).unwrap(), after.route(RouteId(0)).unwrap()));
    assert!(before.has_listeners_of(&after));
    assert_eq!(ports(&before, 0), Some(vec![1, 2]), "an old snapshot is what it was");
}

#[test]
fn a_plan_is_taken_whole_or_not_at_all() {
    let mut compiler = Compiler::new(2);
    compiler.configure(plan(vec![service_of("s", &[1])])).unwrap();
    let before = compiler.snapshot(1);
    let errors = compiler.configure(plan(vec![service_of("s", &[2, 3]), service("new")]));
    assert_eq!(
        errors.unwrap_err(),
        [CompileError::NoSlots { fresh: 2, available: 1, most: 2 }],
        "one is free, and that of instance 1 comes free too late"
    );
    let after = compiler.snapshot(2);
    assert!(before.services.is_same(&after.services) && before.routes.is_same(&after.routes));
    assert_eq!(compiler.plan(), &plan(vec![service_of("s", &[1])]));
    compiler.configure(plan(vec![service_of("s", &[2])])).unwrap();
}

#[test]
fn names_that_come_back_have_their_ids_again() {
    let mut compiler = Compiler::new(10);
    for generation in 1..5 {
        let name = if generation % 2 == 0 { "even" } else { "odd" };
        compiler.configure(plan(vec![service_of(name, &[1])])).unwrap();
        let snapshot = compiler.snapshot(generation);
        let id = u16::from(generation % 2 == 0);
        assert_eq!(ports(&snapshot, id), Some(vec![1]));
        assert_eq!(ports(&snapshot, 1 - id), None);
        assert!(snapshot.route(RouteId(1 - id)).is_none());
        assert_eq!(find(&snapshot, &format!("/{name}/")), Some(RouteId(id)));
        compiler.slots().reclaim(generation, 10, |_| false);
    }
}

#[test]
fn names_run_out_before_ids_do() {
    let mut compiler = Compiler::new(1);
    for name in 0..limits::LISTENER_NAMES {
        compiler.listener_names.id(&name.to_string());
    }
    let errors = compiler.configure(plan(vec![service("s")])).unwrap_err();
    let most = limits::LISTENER_NAMES;
    let expected = CompileError::TooManyNames { what: "listeners", fresh: 1, known: most, most };
    assert_eq!(errors, [expected]);
}

#[test]
fn the_registered_survive_a_plan_and_the_file_keeps_its_own() {
    let mut compiler = Compiler::new(10);
    compiler.configure(plan(vec![service_of("s", &[1])])).unwrap();
    let given = compiler.register("s", address(5)).unwrap();
    let [given] = &given.given[..] else { panic!("{given:?}") };
    assert_eq!((given.slot, given.generation), (InstanceSlot(1), 1));
    assert_eq!(compiler.register("s", address(5)), Ok(Effects::default()), "it is there");
    assert_eq!(
        compiler.deregister("s", &address(1)).unwrap_err().to_string(),
        "instance 10.0.0.1:1 of service \"s\" stands in the configuration: remove it there"
    );
    compiler.configure(plan(vec![service_of("s", &[2, 5])])).unwrap();
    assert_eq!(ports(&compiler.snapshot(1), 0), Some(vec![5, 2]));
    compiler.configure(plan(vec![service_of("s", &[2])])).unwrap();
    let member = compiler.member("s", &address(5)).unwrap();
    assert!(member.registered && !member.of_file);
    let gone = compiler.deregister("s", &address(5)).unwrap();
    let service = ServiceId(0);
    assert_eq!(gone.gone, [Gone { slot: InstanceSlot(1), generation: 1, service }]);
    assert_eq!(ports(&compiler.snapshot(2), 0), Some(vec![2]));
    let unknown = compiler.deregister("s", &address(5)).unwrap_err();
    assert_eq!(unknown.to_string(), "service \"s\" has no instance 10.0.0.1:5");
    assert!(matches!(compiler.register("s", address(0)), Err(ChangeError::NoPort(_))));
    let unknown = compiler.register("t", address(5)).unwrap_err();
    assert_eq!(unknown.to_string(), "there is no service \"t\"");
}

#[test]
fn a_slot_goes_round() {
    let mut compiler = Compiler::new(1);
    compiler.configure(plan(vec![service("s")])).unwrap();
    let mut generation = 0;
    for round in 0..3 {
        let given = compiler.register("s", address(round + 1)).unwrap().given;
        let given: Vec<_> = given.iter().map(|one| (one.slot, one.generation)).collect();
        assert_eq!(given, [(InstanceSlot(0), round + 1)]);
        assert_eq!(compiler.register("s", address(100)), Err(ChangeError::NoSlots));
        let gone = compiler.deregister("s", &address(round + 1)).unwrap().gone;
        let gone: Vec<_> = gone.iter().map(|one| (one.slot, one.generation)).collect();
        assert_eq!(gone, given);
        generation += 1;
        compiler.snapshot(generation);
        assert_eq!(compiler.slots().reclaim(generation, 10, |_| false), 1);
    }
}

#[test]
fn a_successor_goes_on_with_ids_slots_and_the_registered() {
    let mut before = Compiler::new(10);
    before.configure(plan(vec![service_of("a", &[1, 2]), service_of("b", &[3])])).unwrap();
    before.register("b", address(9)).unwrap();
    let names = before.names().map(|names| names.into_iter().map(String::from).collect());
    let members: Vec<_> = before
        .members()
        .map(|(service, address, member)| (service.to_owned(), address.clone(), member))
        .collect();
    let mut after = Compiler::new(10);
    assert_eq!(after.inherit(names, members.into_iter(), vec![1, 1, 1, 1]), 0);
    let effects = after.configure(plan(vec![service_of("b", &[3, 4])])).unwrap();
    assert_eq!(effects.given.len(), 1, "instance 4");
    assert_eq!(effects.gone.len(), 2, "those of a");
    let snapshot = after.snapshot(1);
    assert_eq!(ports(&snapshot, 1), Some(vec![3, 4, 9]), "b keeps its id");
    for port in [3, 9] {
        assert_eq!(after.member("b", &address(port)), before.member("b", &address(port)));
    }
}

/// Slots of a table that lies about itself.
#[test]
fn nothing_that_cannot_be_is_taken_over() {
    let mut compiler = Compiler::new(2);
    let names = [vec![], vec!["s".to_owned()], vec![]];
    let member = |slot| Member { of_file: true, ..Member::fresh(InstanceSlot(slot), 3) };
    let members = [("s", 1, 0), ("s", 2, 0), ("s", 3, 7), ("t", 4, 1), ("s", 5, 1)];
    let members =
        members.map(|(service, port, slot)| (service.to_owned(), address(port), member(slot)));
    assert_eq!(compiler.inherit(names, members.into_iter(), vec![3, 2]), 4);
}

mod discovered;

fn quota(name: &str, limit: u64) -> QuotaPlan {
    let calendar = Calendar::new(Every::Day, "UTC").unwrap();
    QuotaPlan::named(name, NonZeroU64::new(limit).unwrap(), calendar)
}

#[test]
fn policies_are_shared_and_a_change_of_one_changes_the_routes_that_have_it() {
    let rate = |name: &str, count| {
        let count = NonZeroU64::new(count).unwrap();
        RatePlan::named(name, RateTerms { count, window: Duration::from_secs(1), burst: count })
    };
    let mut guarded = route("/a", "s");
    guarded.policies = RoutePolicies {
        auth: Some(AuthPlan::KEY.into()),
        access: Access { allow: vec![Principal::Group("gold".into())], deny: Vec::new() },
        rates: vec!["r".into()],
        quotas: vec!["q".into()],
    };
    let consumer = ConsumerPlan {
        name: "mobile".into(),
        groups: vec!["gold".into()],
        keys: vec![KeyPlan { digest: KeyDigest::of(b"k"), expires: None }],
    };
    let mut plan = plan(vec![service("s")]);
    plan.routes = vec![guarded, route("/b", "s")];
    (plan.rates, plan.consumers) = (vec![rate("r", 10), rate("unused", 1)], vec![consumer]);
    plan.quotas = vec![quota("q", 1_000)];
    let mut compiler = Compiler::new(8);
    compiler.configure(plan.clone()).unwrap();
    let before = compiler.snapshot(1);
    let of = |snapshot: &Snapshot, path| {
        Arc::clone(find(snapshot, path).and_then(|id| snapshot.route(id)).unwrap())
    };
    let a = of(&before, "/a");
    assert_eq!((&*a.guard.limits[0].name, a.guard.limits[0].terms.burst()), ("r", 10));
    assert!(a.guard.auth.is_some() && of(&before, "/b").guard == Guard::default());
    let Presented::Of(mobile) = before.consumers().by_key(&KeyDigest::of(b"k"), 0) else {
        panic!("a key that is there")
    };
    assert!(a.guard.access.admits(mobile));

    plan.rates[0] = rate("r", 20);
    compiler.configure(plan.clone()).unwrap();
    let after = compiler.snapshot(2);
    assert_eq!(of(&after, "/a").guard.limits[0].terms.burst(), 20);
    assert!(Arc::ptr_eq(&of(&before, "/b"), &of(&after, "/b")));
    assert_eq!(a.guard.limits[0].tag, of(&after, "/a").guard.limits[0].tag);

    assert_eq!(a.guard.quotas[0].limit_for(None), 1_000);
    plan.quotas[0] = quota("q", 2_000);
    compiler.configure(plan.clone()).unwrap();
    let after = compiler.snapshot(3);
    assert_eq!(of(&after, "/a").guard.quotas[0].limit_for(None), 2_000);
    assert_eq!(a.guard.quotas[0].tag, of(&after, "/a").guard.quotas[0].tag);

    compiler.change_consumers().revoked.insert(KeyDigest::of(b"k"), 0);
    let last = compiler.snapshot(4);
    assert!(matches!(last.consumers().by_key(&KeyDigest::of(b"k"), 0), Presented::Unknown));
    assert!(Arc::ptr_eq(&of(&after, "/a"), &of(&last, "/a")));
}

#[test]
fn policies_that_name_what_is_not_there() {
    let mut guarded = route("/a", "s");
    guarded.policies = RoutePolicies {
        auth: None,
        access: Access { allow: vec![Principal::Group("gold".into())], deny: Vec::new() },
        rates: vec!["none".into(), "each".into()],
        quotas: vec!["none".into(), "each".into(), "big".into()],
    };
    let mut other = route("/b", "s");
    other.policies.auth = Some("none".into());
    let terms = RateTerms {
        count: NonZeroU64::MIN,
        window: Duration::from_secs(1),
        burst: NonZeroU64::MIN,
    };
    let key = KeyPlan { digest: KeyDigest::of(b"abc"), expires: None };
    let consumer = |name: &str| ConsumerPlan {
        name: name.into(),
        groups: Vec::new(),
        keys: vec![key.clone()],
    };
    let plan = Plan {
        routes: vec![guarded, other],
        rates: vec![RatePlan { per: vec![Per::Consumer], ..RatePlan::named("each", terms) }],
        quotas: vec![
            QuotaPlan { per: vec![QuotaPer::Consumer], ..quota("each", 1) },
            QuotaPlan { cost: NonZeroU32::new(9).unwrap(), ..quota("big", 8) },
        ],
        consumers: vec![consumer("a"), consumer("b"), consumer("b")],
        ..plan(vec![service("s")])
    };
    let mut errors: Vec<_> =
        compile(&plan, 1).unwrap_err().iter().map(ToString::to_string).collect();
    errors.sort();
    let expected = [
        "\"each\" is a rate and a quota: each limit has a name of its own",
        "consumer \"b\" stands twice",
        "key ba7816bf is that of \"a\" and of \"b\"",
        "key ba7816bf is that of \"a\" and of \"b\"",
        "quota \"big\": `cost` 9 is above the limit 8: no request would ever be let in",
        "route /a: `allow` or `deny` needs to know who calls, and the route has no `auth`",
        "route /a: quota \"each\" needs to know who calls, and the route has no `auth`",
        "route /a: rate \"each\" needs to know who calls, and the route has no `auth`",
        "route /a: there is no quota \"none\"",
        "route /a: there is no rate \"none\"",
        "route /b: there is no auth \"none\"",
    ];
    assert_eq!(errors, expected);
}
