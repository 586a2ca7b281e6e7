//! Instances that sources bring.

use super::*;
use crate::snapshot::plan::Source;

fn dns(host: &str) -> Source {
    Source::Dns { host: host.into(), port: 80 }
}

fn looking(name: &str, ports: &[u16], sources: &[&str]) -> ServicePlan {
    let sources = sources.iter().map(|host| dns(host)).collect();
    ServicePlan { sources, ..service_of(name, ports) }
}

/// A compiler whose service `s` has instance 1 of the file, and these sources.
fn compiler(slots: usize, sources: &[&str]) -> Compiler {
    let mut compiler = Compiler::new(slots);
    compiler.configure(plan(vec![looking("s", &[1], sources)])).unwrap();
    compiler
}

/// What a source says: how many slots were given, and how many are gone.
#[track_caller]
fn says(compiler: &mut Compiler, source: &str, ports: &[u16]) -> (usize, usize) {
    let instances = ports.iter().map(|port| (address(*port), 1)).collect();
    let effects = compiler.discover("s", &dns(source), instances).unwrap();
    (effects.given.len(), effects.gone.len())
}

#[track_caller]
fn has(compiler: &mut Compiler, expected: &[u16]) {
    let mut ports = ports(&compiler.snapshot(1), 0).unwrap();
    ports.sort_unstable();
    assert_eq!(ports, expected);
}

#[test]
fn each_source_replaces_what_it_brought_itself() {
    let mut compiler = compiler(100, &["a", "b"]);
    assert_eq!(says(&mut compiler, "a", &[2, 3]), (2, 0));
    assert_eq!(says(&mut compiler, "b", &[3, 4]), (1, 0));
    has(&mut compiler, &[1, 2, 3, 4]);
    assert_eq!(says(&mut compiler, "a", &[2, 3]), (0, 0), "the same again");
    assert_eq!(says(&mut compiler, "a", &[1]), (0, 1), "the other source holds 3, the file 1");
    has(&mut compiler, &[1, 3, 4]);
    assert_eq!(says(&mut compiler, "b", &[]), (0, 2));
    has(&mut compiler, &[1]);
    assert_eq!(says(&mut compiler, "a", &[]), (0, 0));
    has(&mut compiler, &[1]);
}

#[test]
fn an_instance_goes_when_nobody_holds_it() {
    let mut compiler = compiler(100, &["a"]);
    compiler.register("s", address(2)).unwrap();
    let slot = compiler.member("s", &address(2)).unwrap().slot;
    assert_eq!(says(&mut compiler, "a", &[2, 3]), (1, 0));
    compiler.deregister("s", &address(2)).unwrap();
    assert_eq!(compiler.member("s", &address(2)).unwrap().slot, slot, "it is the same instance");
    let refused = compiler.deregister("s", &address(2)).unwrap_err();
    assert!(matches!(refused, ChangeError::OfASource { .. }), "{refused}");
    compiler.register("s", address(3)).unwrap();
    assert_eq!(says(&mut compiler, "a", &[]), (0, 1));
    has(&mut compiler, &[1, 3]);
}

#[test]
fn what_a_source_brought_goes_with_it() {
    let mut compiler = compiler(100, &["a", "b"]);
    says(&mut compiler, "a", &[2, 3]);
    says(&mut compiler, "b", &[3]);
    let effects = compiler.configure(plan(vec![looking("s", &[], &["b"])])).unwrap();
    assert_eq!(effects.gone.len(), 2, "1 and 2");
    has(&mut compiler, &[3]);
    let unknown = compiler.discover("s", &dns("a"), vec![(address(9), 1)]).unwrap_err();
    assert_eq!(unknown.to_string(), "service \"s\" does not look for instances at dns:a:80");
    let effects = compiler.configure(plan(vec![looking("s", &[], &["a", "b"])])).unwrap();
    assert_eq!(effects, Effects::default(), "a source that comes again has to say all of it again");
    compiler.configure(plan(vec![looking("t", &[], &["a"])])).unwrap();
    assert_eq!(compiler.instances(), 0);
    assert!(compiler.discover("s", &dns("b"), Vec::new()).is_err(), "no such service");
    compiler.configure(plan(vec![looking("s", &[], &["b"])])).unwrap();
    assert_eq!(compiler.discovered().count(), 0);
}

#[test]
fn too_much_is_cut_and_what_finds_no_room_changes_nothing() {
    let mut compiler = compiler(limits::INSTANCES_PER_SOURCE + 1, &["a", "b"]);
    let all: Vec<_> = (0..=u16::MAX).rev().collect();
    let most = limits::INSTANCES_PER_SOURCE;
    // Port 0 is left out, and 1 stands in the file.
    assert_eq!(says(&mut compiler, "a", &all), (most - 1, 0));
    assert_eq!(compiler.instances(), most);
    let none = compiler.discover("s", &dns("b"), vec![(address(60_000), 1), (address(60_001), 1)]);
    assert_eq!(none, Err(ChangeError::NoSlots));
    assert_eq!(compiler.discovered().count(), 1);
    assert_eq!(says(&mut compiler, "b", &[60_000]), (1, 0));
}

#[test]
fn weights_follow_the_source() {
    let mut compiler = compiler(10, &["a", "b"]);
    let id = compiler.service_named("s").unwrap();
    let say = |compiler: &mut Compiler, source, weight| {
        compiler.discover("s", &dns(source), vec![(address(2), weight), (address(2), 7)]).unwrap()
    };
    assert_eq!(say(&mut compiler, "a", 0).given.len(), 1);
    assert_eq!(compiler.discovered_weight(id, &address(2)), Some(1), "never none at all");
    assert_eq!(say(&mut compiler, "a", 5), Effects::default());
    say(&mut compiler, "b", 3);
    assert_eq!(compiler.discovered_weight(id, &address(2)), Some(5));
    assert_eq!(compiler.discovered_weight(id, &address(1)), None);
}

#[test]
fn a_successor_keeps_them_until_the_source_speaks() {
    let mut before = compiler(10, &["a", "b"]);
    says(&mut before, "a", &[2, 3]);
    says(&mut before, "b", &[4]);
    let names = before.names().map(|names| names.into_iter().map(String::from).collect());
    let members = before.members().map(|(service, address, member)| {
        (service.to_owned(), address.clone(), Member { discovered: false, ..member })
    });
    let mut after = Compiler::new(10);
    assert_eq!(after.inherit(names, members.collect::<Vec<_>>().into_iter(), vec![1; 4]), 0);
    for found in before.discovered() {
        let mut instances: Vec<_> =
            found.instances.iter().map(|(address, weight)| (address.clone(), *weight)).collect();
        instances.push((address(99), 1));
        after.inherit_discovered(found.service, found.source.clone(), instances);
    }
    let effects = after.configure(plan(vec![looking("s", &[1], &["a"])])).unwrap();
    assert_eq!((effects.given.len(), effects.gone.len()), (0, 1), "that of b");
    has(&mut after, &[1, 2, 3]);
    assert_eq!(says(&mut after, "a", &[3]), (0, 1));
    has(&mut after, &[1, 3]);
}
