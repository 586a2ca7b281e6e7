//! The sweep over many idle connections.

use super::*;

const INSTANCES: u16 = 300;
/// Connections that one part of a sweep looks at.
const PART: usize = limits::SWEEP_AT_ONCE / limits::SWEEP_LOOK_COST;

/// Each part looks at few, and together they look at all, once.
#[test]
fn a_sweep_goes_in_parts() {
    let address = |at| Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 9000 + at)));
    let addresses: Vec<_> = (0..INSTANCES).map(address).collect();
    let plan = Plan::to_instances(&addresses);
    let world = World::new(compile(&plan, 1).unwrap()).unwrap();
    let client = world.client();
    let connected = addresses.iter().map(|address| {
        let instance = world.instance(address);
        world.said(&client, GET);
        world.said(&instance, OK);
        assert_eq!(text(&client), RELAYED);
        instance
    });
    let connected: Vec<_> = connected.collect();

    let mut sweep = Sweep::default();
    let (mut parts, mut seen) = (1, 0);
    while sweep.go_on(world.worker()) {
        parts += 1;
        assert!(sweep.left() - seen <= PART, "{} in one part", sweep.left() - seen);
        seen = sweep.left();
    }
    assert_eq!(sweep.left(), connected.len());
    assert!(parts >= connected.len().div_ceil(PART), "{parts} parts");

    connected.iter().step_by(2).for_each(End::end);
    assert_eq!(world.sweep(), connected.len() / 2);
}
