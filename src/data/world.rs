//! A world in memory: one worker on a plain executor, its clients and instances played by the caller.
//!
//! Whole exchanges run without a socket and without io_uring: for tests, for counting instructions, for fuzzing. Nothing
//! happens until [`World::run`] is called, and then everything that can: a run with the same inputs is the same run. Time stands
//! still but for [`World::later`].

use std::cell::RefCell;
use std::collections::HashSet;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use coregate_core::base::cells::{Cells, ConnectionPermits};
use coregate_core::base::ids::{InstanceSlot, ListenerId, WorkerId};
use coregate_core::base::time::{Span, TICK};
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::instances::Instance;
use coregate_core::snapshot::plan::Address;
use coregate_core::snapshot::reader::Reader;
use futures_executor::{LocalPool, LocalSpawner};
use futures_util::task::LocalSpawnExt;

use crate::proxy::bulkhead;
use crate::proxy::connection::{self, Downstream};
use crate::transport::Stream;
use crate::transport::memory::{self, End, Network};
use crate::worker::context::{Reach, Worker, publish};
use crate::worker::counted::Counted;
use crate::worker::post::{Post, Posts, doorbell};
use crate::worker::slots::PeerText;
use crate::worker::stats::WorkerStats;
use crate::worker::sweep::Sweep;

/// One worker, and everything around it played by the caller.
#[derive(Debug)]
pub struct World {
    worker: Rc<Worker>,
    pool: RefCell<LocalPool>,
    spawner: LocalSpawner,
}

impl World {
    /// A world with this snapshot, whose first listener takes the clients.
    pub fn new(snapshot: Snapshot) -> io::Result<Self> {
        // Slots are given from 0 on.
        let slots = instances(&snapshot).count();
        Self::with_slots(snapshot, slots)
    }

    /// The same with so many instance slots, for snapshots to come.
    pub fn with_slots(snapshot: Snapshot, slots: usize) -> io::Result<Self> {
        let (ring, _) = doorbell()?;
        let cells = Cells::owned(slots);
        begin(&cells, &snapshot);
        let permits = ConnectionPermits::new(cells.clone(), 0, u64::MAX);
        let post = Post::new(ring);
        let posts = Posts::new(vec![post], [Reader::new(slots)].into(), permits);
        let reach = Reach::Memory(Network::default());
        let shared = (posts, cells);
        let worker = Worker::new(WorkerId(0), shared, publish(snapshot), reach, (1, "coregate"))?;
        worker.clock.play();
        let pool = LocalPool::new();
        Ok(Self { worker: Rc::new(worker), spawner: pool.spawner(), pool: RefCell::new(pool) })
    }

    /// Another snapshot is the one of now. The instances that it does not have any more are gone.
    pub fn publish(&self, snapshot: Snapshot) {
        let cells = &self.worker.cells;
        self.worker.with_snapshot(|before| {
            let still: HashSet<_> = instances(&snapshot).map(use_of).collect();
            for gone in instances(before).filter(|one| !still.contains(&use_of(one))) {
                let _ = cells.verdict(gone.slot).remove(gone.generation);
            }
        });
        begin(cells, &snapshot);
        self.worker.publish(snapshot);
    }

    /// A client connects: its end of the connection.
    pub fn client(&self) -> End {
        self.client_at("10.0.0.9")
    }

    /// The same from another address.
    pub fn client_at(&self, address: &str) -> End {
        let (ours, theirs) = memory::pair();
        let taken = self.worker.acquire_permit();
        debug_assert!(taken, "there are permits without end here");
        let peer = PeerText::new(address);
        let Some(listener) = self.worker.listener(ListenerId(0)) else { return ours };
        let downstream = Downstream::new(
            &self.worker,
            Stream::memory(theirs),
            (peer, Counted::default()),
            listener,
        );
        let serving = connection::serve(Rc::clone(&self.worker), downstream);
        let spawned = self.spawner.spawn_local(serving);
        debug_assert!(spawned.is_ok(), "the executor lives as long as the world");
        ours
    }

    /// An instance waits at `address` for one connection: its end of it.
    pub fn instance(&self, address: &Address) -> End {
        match &self.worker.reach {
            Reach::Memory(network) => network.listen(address),
            Reach::Sockets { .. } => memory::pair().0,
        }
    }

    /// From now on calls meet faults by this schedule, until the world ends; delays last for some calls of [`World::run`].
    /// One world of a thread at a time.
    #[cfg(feature = "faults")]
    pub fn meet(&self, schedule: &crate::transport::faults::Schedule) {
        crate::transport::faults::begin(schedule, 0);
        crate::transport::faults::by_turns();
    }

    /// Runs everything that can run now.
    pub fn run(&self) {
        #[cfg(feature = "faults")]
        crate::transport::faults::turn();
        self.pool.borrow_mut().run_until_stalled();
    }

    /// Lets time pass, in whole ticks of 10 ms: each deadline fires in its turn, and what follows from it happens then.
    ///
    /// Bytes that were put in and not run yet come with the next deadline, and are late for it if they were waited for.
    pub fn later(&self, time: Duration) {
        let Worker { clock, slots, .. } = &*self.worker;
        let end =
            clock.refresh().after(Span::of_ticks((time.as_millis() / TICK.as_millis()) as u32));
        loop {
            let now = clock.now();
            let next = slots.fire(now).filter(|next| next.is_due(end)).unwrap_or(end);
            clock.advance(TICK * next.since(now).ticks());
            let _ = slots.fire(next);
            bulkhead::let_all_in(&self.worker);
            self.run();
            if next == end {
                return;
            }
        }
    }

    /// Closes pooled connections that have ended, as the worker does each second; how many are left.
    pub fn sweep(&self) -> usize {
        let mut sweep = Sweep::default();
        while sweep.go_on(&self.worker) {}
        sweep.left()
    }

    /// The worker.
    pub fn worker(&self) -> &Rc<Worker> {
        &self.worker
    }

    /// Its counters.
    pub fn stats(&self) -> &WorkerStats {
        self.worker.stats()
    }
}

fn instances(snapshot: &Snapshot) -> impl Iterator<Item = &Instance> {
    snapshot.services().flat_map(|service| service.instances.iter())
}

fn use_of(instance: &Instance) -> (InstanceSlot, u16) {
    (instance.slot, instance.generation)
}

/// The instances of a snapshot are there; those that were before are left as they are.
fn begin(cells: &Cells, snapshot: &Snapshot) {
    for instance in instances(snapshot) {
        let _ = cells.verdict(instance.slot).begin(instance.generation);
    }
}

impl Drop for World {
    /// Free exchanges and pooled connections hold the worker that holds them.
    fn drop(&mut self) {
        while self.worker.take_exchange().is_some() {}
        self.worker.locals.for_each_pool(|pool| while pool.shed() > 0 {});
        #[cfg(feature = "faults")]
        crate::transport::faults::end();
    }
}

#[cfg(test)]
mod tests;
