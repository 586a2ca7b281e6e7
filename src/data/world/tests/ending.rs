//! Connections that are ended because of what they have to do with.

use coregate_core::base::cells::Mark;
use coregate_core::base::time::Tick;

use super::*;
use crate::transport::Handle;
use crate::worker::ending::{self, Named};
use crate::worker::slots::{SlotId, Slots, Whose};

#[test]
fn a_pass_ends_what_is_named_in_parts_and_all_that_was_open_when_it_began() {
    let slots = Slots::new(Tick(0));
    let open = |whose: fn(&Slots, SlotId)| {
        let (ours, theirs) = memory::pair();
        whose(&slots, slots.open(Some(Handle::Memory(theirs)), PeerText::new("")));
        ours
    };
    let of_instance: fn(&Slots, SlotId) = |slots, id| slots.set_instance(id, InstanceSlot(7), 2);
    let of_client: fn(&Slots, SlotId) = |slots, id| slots.set_client(id, 5);
    let others: [fn(&Slots, SlotId); 3] = [
        |slots, id| slots.set_instance(id, InstanceSlot(7), 1),
        |slots, id| slots.set_client(id, 4),
        |_, _| {},
    ];
    let meant: Vec<_> =
        (0..3 * limits::END_AT_ONCE).flat_map(|_| [open(of_instance), open(of_client)]).collect();
    let spared: Vec<_> = others.map(open).into();
    let passed: Vec<_> =
        (0..limits::END_LOOKS).map(|_| slots.open(None, PeerText::new(""))).collect();
    let last = open(of_client);

    let instance = Whose::Instance(InstanceSlot(7), 2);
    let named = Named::new(vec![Whose::Client(5), instance, Whose::Client(5)]);
    let ended = || meant.iter().filter(|end| end.is_ended()).count();
    let (mut from, mut before, mut parts) = (0, 0, 1);
    while let Some(next) = slots.end_part(&named, from) {
        assert!(next > from && next - from <= limits::END_LOOKS);
        assert!(ended() - before <= limits::END_AT_ONCE);
        (from, before, parts) = (next, ended(), parts + 1);
        let _ = slots.close(passed[parts]);
    }
    assert_eq!(parts, 6 + 2);
    assert_eq!(ended(), meant.len());
    assert!(last.is_ended() && !spared.iter().any(End::is_ended));
}

/// However many are named before a pass begins or while it goes on, each connection ends, and the instance's name is all that
/// counts.
#[test]
fn what_was_cut_is_ended_and_what_was_enabled_again_is_not() {
    const MANY: u16 = 3 * limits::END_AT_ONCE as u16;
    let addresses: Vec<_> = (0..MANY + 1).map(numbered).collect();
    let world = World::new(compile(&Plan::to_instances(&addresses), 1).unwrap()).unwrap();
    let connected: Vec<_> = (0..MANY + 1)
        .map(|at| {
            let (client, instance) = (world.client(), world.instance(&numbered(at)));
            world.said(&client, GET);
            assert_eq!(request_at(&instance), GET);
            (client, instance)
        })
        .collect();
    let ended = || connected.iter().filter(|(_, instance)| instance.is_ended()).count();

    let worker = world.worker();
    let cut = |at: u16| {
        let (slot, generation) = (InstanceSlot(u32::from(at)), 1);
        let _ = worker.cells.verdict(slot).mark(generation, Mark::Draining);
        worker.ending.name([Whose::Instance(slot, generation)])
    };
    assert!(cut(0), "there is none yet");
    assert!(!(1..MANY - 1).any(cut), "one pass for all");
    world.spawner.spawn_local(ending::run(Rc::clone(worker))).unwrap();
    world.run();
    assert_eq!(ended(), limits::END_AT_ONCE);
    // One that the pass has not come to.
    let _ = worker.cells.verdict(InstanceSlot(u32::from(MANY - 2))).clear(1, Mark::Draining);
    assert!(!cut(MANY - 1), "the pass under way looks again when it is through");
    world.later(SECOND);
    assert_eq!(ended(), usize::from(MANY - 1));
    let left = [MANY - 2, MANY].map(|at| connected[usize::from(at)].1.is_ended());
    assert_eq!(left, [false, false]);
    assert!(cut(MANY), "it is over");
}
