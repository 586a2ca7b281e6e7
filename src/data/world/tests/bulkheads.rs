//! Bulkheads: who is in, who waits, who is refused; and that nothing of it is left in the end.

use std::time::Duration;

use coregate_core::base::cells::BulkheadWord;
use coregate_core::base::ids::{InstanceSlot, ServiceId};
use coregate_core::policy::queue::Class;
use coregate_core::snapshot::plan::BulkheadPlan;

use futures_util::FutureExt;

use super::*;
use crate::proxy::bulkhead::{Comer, Entrance, Place, enter};

const SERVICE: ServiceId = ServiceId(0);
const UPGRADE: &str = "GET /a HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
const SWITCHED: &str = "HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";

/// A world whose service has so many instances, and this bulkhead.
fn limited(instances: u16, change: impl FnOnce(&mut BulkheadPlan)) -> World {
    let addresses: Vec<_> = (0..instances).map(numbered).collect();
    let mut plan = Plan::to_instances(&addresses);
    let mut bulkhead = BulkheadPlan::default();
    change(&mut bulkhead);
    plan.services[0].bulkhead = Some(bulkhead);
    World::new(compile(&plan, 1).unwrap()).unwrap()
}

impl World {
    fn word(&self) -> BulkheadWord {
        self.worker().cells.bulkhead(SERVICE).load()
    }

    /// How many are in, how many wait.
    fn crowd(&self) -> (u64, u64) {
        (self.word().taken(), self.word().waiting())
    }

    /// A client that has asked.
    fn asking(&self) -> End {
        let client = self.client();
        self.said(&client, GET);
        client
    }

    #[track_caller]
    fn is_left_clean(&self) {
        assert_eq!(self.crowd(), (0, 0));
        assert!(self.worker().lines.is_empty());
        let holdings = self.worker().holdings();
        assert_eq!(holdings.in_flight(SERVICE), 0);
        assert_eq!(Class::ALL.map(|class| holdings.waiting(SERVICE, class)), [0; 3]);
        let slots = (0..self.worker().cells.instances() as u32).map(InstanceSlot);
        let taken: Vec<_> =
            slots.map(|slot| self.worker().cells.instance_permits(slot).taken()).collect();
        assert!(taken.iter().all(|taken| *taken == 0), "{taken:?}");
    }
}

#[track_caller]
fn refused(client: &End) {
    let answer = text(client);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("\r\nRetry-After: 1\r\n"), "{answer}");
}

#[test]
fn beyond_the_limit_one_waits_and_the_next_is_refused() {
    let world = limited(1, |bulkhead| (bulkhead.service, bulkhead.queue) = (Some(1), 1));
    let instance = world.instance(&numbered(0));
    let [first, second, third] = [(); 3].map(|()| world.asking());
    assert_eq!(request_at(&instance), GET);
    assert_eq!(world.crowd(), (1, 1));
    refused(&third);
    let rejected = world.stats().rejected[Reject::BulkheadFull as usize].get();
    assert_eq!((rejected, text(&second).as_str()), (1, ""));
    world.said(&instance, OK);
    assert_eq!(text(&first), RELAYED);
    assert_eq!(request_at(&instance), GET, "the second, by the connection of the first");
    assert_eq!(world.crowd(), (1, 0));
    world.said(&instance, OK);
    assert_eq!(text(&second), RELAYED);
    world.is_left_clean();
}

#[test]
fn who_has_waited_too_long_is_refused() {
    let world = limited(1, |bulkhead| bulkhead.service = Some(1));
    let instance = world.instance(&numbered(0));
    let (first, second) = (world.asking(), world.asking());
    world.later(Duration::from_millis(90));
    assert_eq!(text(&second), "");
    world.later(Duration::from_millis(20));
    refused(&second);
    assert_eq!(world.crowd(), (1, 0));
    world.said(&instance, OK);
    assert_eq!(text(&first), RELAYED);
    world.is_left_clean();
}

#[test]
fn without_a_queue_nobody_waits() {
    let world = limited(1, |bulkhead| (bulkhead.service, bulkhead.queue) = (Some(1), 0));
    let instance = world.instance(&numbered(0));
    let (_first, second) = (world.asking(), world.asking());
    refused(&second);
    world.said(&instance, OK);
    world.is_left_clean();
}

#[test]
fn an_instance_at_its_limit_is_passed_over_and_where_all_are_one_waits() {
    let world = limited(2, |bulkhead| bulkhead.instance = Some(1));
    let instances = [0, 1].map(|at| world.instance(&numbered(at)));
    let first = world.asking();
    let at = instances.iter().position(|one| !text(one).is_empty()).unwrap();
    // Two turns of round robin would bring the next but one here.
    let second = world.asking();
    assert_eq!(request_at(&instances[1 - at]), GET);
    world.said(&instances[1 - at], OK);
    assert_eq!(text(&second), RELAYED);
    world.said(&second, GET);
    assert_eq!(request_at(&instances[1 - at]), GET, "whosever turn it was");
    let third = world.asking();
    assert_eq!(world.crowd(), (2, 1));
    world.said(&instances[at], OK);
    assert_eq!((text(&first).as_str(), request_at(&instances[at]).as_str()), (RELAYED, GET));
    world.said(&instances[at], OK);
    world.said(&instances[1 - at], OK);
    assert_eq!([text(&second), text(&third)], [RELAYED, RELAYED]);
    world.is_left_clean();
}

#[test]
fn a_tunnel_holds_its_permit_until_it_ends() {
    let world = limited(1, |bulkhead| (bulkhead.service, bulkhead.instance) = (Some(1), Some(1)));
    let (instance, other) = (world.instance(&numbered(0)), world.instance(&numbered(0)));
    let client = world.client();
    world.said(&client, UPGRADE);
    world.said(&instance, SWITCHED);
    assert!(text(&client).starts_with("HTTP/1.1 101 "));
    let next = world.asking();
    assert_eq!(world.crowd(), (1, 1));
    client.end();
    instance.end();
    world.run();
    world.said(&other, OK);
    assert_eq!(text(&next), RELAYED);
    world.is_left_clean();
}

#[test]
fn a_further_attempt_keeps_its_place_and_leaves_its_instance() {
    // The first of the two takes no connection.
    let limits = |bulkhead: &mut BulkheadPlan| {
        (bulkhead.service, bulkhead.instance, bulkhead.queue) = (Some(1), Some(1), 0);
    };
    let world = limited(2, limits);
    let instance = world.instance(&numbered(1));
    for _ in 0..3 {
        let client = world.asking();
        assert_eq!((request_at(&instance).as_str(), world.crowd()), (GET, (1, 0)));
        world.said(&instance, OK);
        assert_eq!(text(&client), RELAYED);
        world.is_left_clean();
    }
    assert!(world.stats().retries.get() > 0);
}

#[test]
fn a_client_that_leaves_while_it_waits_leaves_nothing() {
    let world = limited(1, |bulkhead| bulkhead.service = Some(1));
    let instance = world.instance(&numbered(0));
    let (first, second) = (world.asking(), world.asking());
    second.end();
    world.run();
    world.said(&instance, OK);
    assert_eq!(text(&first), RELAYED);
    world.said(&instance, OK);
    world.later(Duration::from_secs(1));
    world.is_left_clean();
}

#[test]
fn connections_are_counted_until_they_are_closed() {
    let world = limited(1, |bulkhead| bulkhead.connections = 1);
    let instance = world.instance(&numbered(0));
    let connections = || world.worker().cells.instance_connections(InstanceSlot(0)).taken();
    let [first, second, third] = [(); 3].map(|()| world.asking());
    assert_eq!((request_at(&instance).as_str(), connections(), world.crowd()), (GET, 1, (1, 2)));
    world.said(&instance, OK);
    assert_eq!((text(&first).as_str(), request_at(&instance).as_str()), (RELAYED, GET));
    let other = world.instance(&numbered(0));
    world.said(&instance, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    assert!(text(&second).starts_with("HTTP/1.1 200 "));
    // What closed says nothing to those who wait: the next tick looks.
    world.later(Duration::from_millis(20));
    assert_eq!((request_at(&other).as_str(), connections()), (GET, 1));
    world.said(&other, OK);
    assert_eq!(text(&third), RELAYED);
    world.is_left_clean();
    other.end();
    world.later(Duration::from_secs(2));
    assert_eq!((world.sweep(), connections()), (0, 0));
}

#[test]
fn a_connect_that_comes_to_nothing_is_not_counted() {
    let world = limited(1, |bulkhead| bulkhead.connections = 1);
    let client = world.asking();
    assert!(text(&client).starts_with("HTTP/1.1 502 "));
    assert_eq!(world.worker().cells.instance_connections(InstanceSlot(0)).taken(), 0);
    world.is_left_clean();
}

/// One of a class comes, where all places are taken.
#[track_caller]
fn waits(world: &World, class: Class) -> Place {
    let worker = world.worker();
    let service = worker.with_snapshot(|snapshot| worker.locals.service(snapshot, SERVICE));
    let mut comer = Comer { class, ..Comer::default() };
    match enter(worker, &service.unwrap(), &mut comer) {
        Entrance::Waits(place) => place,
        entrance => panic!("{entrance:?}"),
    }
}

#[test]
fn the_highest_class_is_let_in_first_and_takes_the_place_of_the_lowest() {
    let world = limited(1, |bulkhead| (bulkhead.service, bulkhead.queue) = (Some(1), 3));
    let instance = world.instance(&numbered(0));
    let _first = world.asking();
    let [low, normal, lower] =
        [Class::Low, Class::Normal, Class::Low].map(|class| waits(&world, class));
    let high = waits(&world, Class::High);
    assert_eq!(world.crowd(), (1, 3));
    assert!(matches!(low.wait().now_or_never(), Some(Err(Reject::BulkheadFull))));
    world.said(&instance, OK);
    let picked = high.wait().now_or_never().unwrap().unwrap();
    assert_eq!(world.crowd(), (1, 2));
    drop(picked);
    assert_eq!(world.crowd(), (1, 1), "the next is in");
    drop(normal);
    assert_eq!(world.crowd(), (1, 0), "what it was given has gone on");
    drop(lower);
    world.is_left_clean();
}

#[test]
fn what_a_worker_had_that_died_is_given_back() {
    let world = limited(1, |bulkhead| (bulkhead.service, bulkhead.instance) = (Some(1), Some(9)));
    let _instance = world.instance(&numbered(0));
    let (_first, _second) = (world.asking(), world.asking());
    assert_eq!(world.crowd(), (1, 1));
    let worker = world.worker();
    worker.posts().bury(worker.id, &worker.cells);
    assert_eq!(world.crowd(), (0, 0));
    assert_eq!(worker.cells.instance_permits(InstanceSlot(0)).taken(), 0);
    // Its tasks are never run again.
    std::mem::forget(world);
}

#[test]
fn whatever_clients_and_instances_do_nothing_is_left() {
    for seed in 0..200_u64 {
        let world = limited(2, |bulkhead| {
            bulkhead.service = Some(1 + seed % 3);
            bulkhead.instance = (seed % 2 == 0).then_some(1);
            bulkhead.queue = seed % 4;
            bulkhead.connections = 1 + seed % 5;
        });
        let connections = || {
            let slots = [0, 1].map(InstanceSlot);
            slots.map(|slot| world.worker().cells.instance_connections(slot).taken())
        };
        let mut state = seed;
        let mut random = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let mut clients: Vec<End> = Vec::new();
        let mut instances: Vec<End> = (0..2).map(|at| world.instance(&numbered(at))).collect();
        for _ in 0..60 {
            match random(8) {
                0..=2 => clients.push(world.asking()),
                3 if !clients.is_empty() => {
                    let at = random(clients.len());
                    clients.swap_remove(at).end();
                    world.run();
                }
                4 => instances.push(world.instance(&numbered(random(2) as u16))),
                5 => {
                    let at = random(instances.len());
                    instances[at].end();
                    world.run();
                }
                6 => world.later(Duration::from_millis(10 * random(8) as u64)),
                _ => {
                    let at = random(instances.len());
                    if !text(&instances[at]).is_empty() {
                        world.said(&instances[at], OK);
                    }
                }
            }
            assert!(world.word().taken() <= 1 + seed % 3, "seed {seed}");
            assert!(world.word().waiting() <= seed % 4, "seed {seed}");
            assert!(connections().iter().all(|count| *count <= 1 + seed % 5), "seed {seed}");
        }
        clients.iter().for_each(End::end);
        instances.iter().for_each(End::end);
        world.later(Duration::from_secs(200));
        world.is_left_clean();
        assert_eq!((world.sweep(), connections()), (0, [0, 0]), "seed {seed}");
    }
}
