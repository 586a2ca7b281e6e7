//! Services and listeners that change while a worker serves.

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
