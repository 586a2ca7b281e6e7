//! Plans and changes, and what they share with the versions before.

use super::*;
use crate::http::head::Head;
use crate::snapshot::plan::{HostPattern, TrustedPeers};
use crate::snapshot::router::Asked;

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
    Plan { routes: routes.collect(), services, listeners: vec![listener("l", None)] }
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
