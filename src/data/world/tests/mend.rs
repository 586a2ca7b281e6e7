//! Services and listeners that change while a worker serves.

use coregate_core::base::cells::Mark;
use coregate_core::base::ids::ServiceId;
use coregate_core::snapshot::compile::Compiler;

use super::*;

/// Instance slots of these worlds.
const SLOTS: usize = 1_000;

/// A world whose configuration changes.
struct Changing {
    world: World,
    compiler: Compiler,
    generation: u64,
}

impl Changing {
    fn new(plan: Plan) -> Self {
        let mut compiler = Compiler::new(SLOTS);
        compiler.configure(plan).unwrap();
        let world = World::with_slots(compiler.snapshot(1), SLOTS).unwrap();
        Self { world, compiler, generation: 1 }
    }

    fn change(&mut self, plan: Plan) {
        self.compiler.configure(plan).unwrap();
        self.generation += 1;
        self.world.publish(self.compiler.snapshot(self.generation));
    }

    /// How many hold the worker's view of the one service, but for its table.
    fn holders(&self) -> usize {
        let worker = self.world.worker();
        let find = |snapshot: &_| worker.locals.service(snapshot, ServiceId(0)).unwrap();
        Rc::strong_count(&worker.with_snapshot(find)) - 2
    }
}

fn plan_of(instances: impl IntoIterator<Item = u16>) -> Plan {
    Plan::to_instances(&instances.into_iter().map(numbered).collect::<Vec<_>>())
}

#[test]
fn a_tunnel_holds_its_instance_alone() {
    for tcp in [false, true] {
        let mut plan = plan_of(0..1);
        plan.listeners[0].tcp = tcp.then(|| "upstream".to_owned());
        let changing = Changing::new(plan);
        let world = &changing.world;
        let (client, instance) = (world.client(), world.instance(&numbered(0)));
        world.said(&client, ASKS);
        if !tcp {
            assert_eq!(changing.holders(), 1, "the exchange");
            world.said(&instance, SWITCHES);
        }
        assert_eq!(world.stats().tunnels_open.get(), 1);
        assert_eq!(changing.holders(), 0);
    }
}

/// As many clients as there are `instances` have their requests at them, at the same time and `rounds` times over; all are
/// answered then. The instances' ends.
fn fill(world: &World, instances: std::ops::Range<u16>, rounds: usize) -> Vec<End> {
    let asked = |at| {
        let (client, instance) = (world.client(), world.instance(&numbered(at)));
        world.said(&client, GET);
        assert_eq!(request_at(&instance), GET);
        (client, instance)
    };
    let asked: Vec<_> = (0..rounds).flat_map(|_| instances.clone().map(asked)).collect();
    let answered = asked.into_iter().map(|(client, instance)| {
        world.said(&instance, OK);
        assert_eq!(text(&client), RELAYED);
        client.end();
        instance
    });
    let answered = answered.collect();
    world.run();
    answered
}

fn ended<'e>(ends: impl IntoIterator<Item = &'e End>) -> usize {
    ends.into_iter().filter(|end| end.is_ended()).count()
}

/// A sweep: how many of these end in each part.
fn swept(world: &World, ends: &[End]) -> Vec<usize> {
    let mut sweep = Sweep::default();
    let mut parts = Vec::new();
    let mut more = true;
    while more {
        let before = ended(ends);
        more = sweep.go_on(world.worker());
        parts.push(ended(ends) - before);
    }
    parts
}

/// Connections that a part of a sweep closes.
const PART: usize = limits::SWEEP_AT_ONCE / limits::SWEEP_CLOSE_COST;

#[test]
fn a_service_whose_instances_are_replaced_is_tidied_up_by_the_sweep() {
    for by_request in [true, false] {
        let mut changing = Changing::new(plan_of(0..50));
        let old = fill(&changing.world, 0..50, 20);
        changing.change(plan_of(50..100));
        let world = &changing.world;
        if by_request {
            let fresh = fill(world, 50..51, 1);
            assert_eq!(ended(&old) + ended(&fresh), 0, "no request waits for that");
        }
        let parts = swept(world, &old);
        assert!(parts.iter().all(|closed| *closed <= PART), "{parts:?}");
        assert_eq!(ended(&old), 1_000);
        assert!(parts.len() <= 1_000 / PART + 10, "{} parts", parts.len());
        assert_eq!(world.sweep(), usize::from(by_request));
    }
}

#[test]
fn a_service_that_is_gone_is_tidied_up_by_the_sweep() {
    let mut changing = Changing::new(plan_of(0..50));
    let old = fill(&changing.world, 0..50, 20);
    changing.change(Plan { services: Vec::new(), routes: Vec::new(), ..plan_of([]) });
    let parts = swept(&changing.world, &old);
    assert!(parts.iter().all(|closed| *closed <= PART), "{parts:?}");
    assert_eq!((ended(&old), changing.world.sweep()), (1_000, 0));
}

/// Whether its instance is gone or its whole service, and whoever finds out.
#[test]
fn an_exchange_with_an_instance_that_is_gone_keeps_no_connection() {
    let gone = Plan { services: Vec::new(), routes: Vec::new(), ..plan_of([]) };
    for plan in [plan_of(1..2), gone] {
        let mut changing = Changing::new(plan_of(0..1));
        let idle = fill(&changing.world, 0..1, 2);
        let (client, instance) = (changing.world.client(), &idle[1]);
        changing.world.said(&client, GET);
        assert_eq!(request_at(instance), GET, "the last put in");
        changing.change(plan);
        assert_eq!(changing.world.sweep(), 0);
        let world = &changing.world;
        assert_eq!(ended(&idle), 1, "not the one that is in use");
        world.said(instance, OK);
        assert_eq!(text(&client), RELAYED);
        assert_eq!(ended(&idle), 2);
    }
}

/// An exchange that began before its service was mended tries another instance, which nobody had picked until then.
#[test]
fn a_further_attempt_keeps_no_connection_that_nobody_would_find() {
    let mut changing = Changing::new(plan_of(0..3));
    let mark = |world: &World, drains: bool| {
        let verdict = world.worker().cells.verdict(InstanceSlot(1));
        let _ = match drains {
            true => verdict.mark(1, Mark::Draining),
            false => verdict.clear(1, Mark::Draining),
        };
    };
    mark(&changing.world, true);
    let first = fill(&changing.world, 0..1, 1);
    let _third = fill(&changing.world, 2..3, 1);
    let client = changing.world.client();
    changing.world.said(&client, GET);
    assert_eq!(request_at(&first[0]), GET);
    mark(&changing.world, false);
    changing.change(plan_of(0..2));
    assert_eq!(changing.world.sweep(), 0, "the third is gone, the first is in use");

    let world = &changing.world;
    let second = world.instance(&numbered(1));
    first[0].end();
    world.run();
    assert_eq!(request_at(&second), GET);
    world.said(&second, OK);
    assert_eq!(text(&client), RELAYED);
    assert!(second.is_ended());
    let again = fill(world, 1..2, 1);
    assert_eq!((ended(&again), world.sweep()), (0, 1));
}

/// Even where a chunk became empty, so that the next, from which another is gone, has its place.
#[test]
fn the_instances_that_stay_keep_their_connections() {
    let mut changing = Changing::new(plan_of(0..600));
    let connected = fill(&changing.world, 0..600, 1);
    changing.change(plan_of((256..300).chain(301..600)));
    assert_eq!(changing.world.sweep(), 343);
    assert_eq!((ended(&connected[..256]), ended(&connected[256..])), (256, 1));
    assert!(connected[300].is_ended());
    changing.change(plan_of((301..600).rev()));
    assert_eq!(changing.world.sweep(), 299);
    assert_eq!(ended(&connected[301..]), 0);
}

#[test]
fn expired_connections_are_closed_in_parts() {
    let changing = Changing::new(plan_of(0..1));
    let world = &changing.world;
    let connected = fill(world, 0..1, 10 * PART);
    world.later(limits::POOL_IDLE + SECOND);
    let fresh = fill(world, 0..1, 1);
    assert_eq!(ended(&connected), limits::POOL_CLOSES, "by the request");
    let parts = swept(world, &connected);
    assert!(parts.iter().all(|closed| *closed <= PART), "{parts:?}");
    assert_eq!((ended(&connected), ended(&fresh)), (connected.len(), 0));
    assert_eq!(world.sweep(), 1);
}
