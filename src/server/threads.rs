//! The life of a worker's thread: pin, build the ring, wait for the others, serve; and once more if it dies.
//!
//! A panic in one connection never gets here. One that leaves the runtime does: then the runtime is left where it is
//! (operations in flight own its buffers), its connections are shut down, and a new one takes the listeners.

use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

use coregate_core::base::cells::Cells;
use coregate_core::base::ids::WorkerId;
use coregate_data::worker::context::{Published, Reach, Worker};
use coregate_data::worker::post::Posts;
use coregate_data::worker::runtime::{self, BuildError, Built, Rung, Wanted};
use coregate_data::worker::serve::{self, Sockets};

use crate::server::topology;

/// What a worker's thread is given.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) id: WorkerId,
    pub(crate) cpu: usize,
    pub(crate) io: Wanted,
    pub(crate) sockets: Sockets,
    /// The worker's end of its doorbell.
    pub(crate) bell: OwnedFd,
    pub(crate) posts: Posts,
    pub(crate) cells: Cells,
    pub(crate) published: Published,
    /// What the process calls itself in `Via`.
    pub(crate) via: String,
}

/// What a worker's thread tells.
#[derive(Debug)]
pub(crate) enum Event {
    /// Its ring is built, on this rung, after these failed.
    Built { rung: Rung, tried: Vec<(Rung, io::Error)>, pinned: bool },
    /// It has no ring.
    NotBuilt(BuildError),
    /// It died and begins anew.
    Died,
    /// It cannot go on.
    Failed(io::Error),
    /// It was told to stop, and has; this many connections had not ended in time.
    Stopped { cut: u64 },
}

/// Starts a worker's thread. It serves once `go` is closed.
pub(crate) fn start(
    spec: Spec,
    tell: impl Fn(Event) + Send + 'static,
    go: mpsc::Receiver<()>,
) -> io::Result<thread::JoinHandle<()>> {
    let name = format!("worker-{}", spec.id.index());
    thread::Builder::new().name(name).spawn(move || live(&spec, &tell, &go))
}

fn live(spec: &Spec, tell: &impl Fn(Event), go: &mpsc::Receiver<()>) {
    let pinned = topology::pin(spec.cpu);
    #[cfg(feature = "faults")]
    if let Ok(Some(schedule)) = coregate_data::transport::faults::of_environment() {
        coregate_data::transport::faults::begin(&schedule, spec.id.index() as u16);
    }
    let mut first = true;
    loop {
        let Built { mut runtime, rung, tried } = match runtime::build(spec.io) {
            Ok(built) => built,
            Err(error) => return tell(Event::NotBuilt(error)),
        };
        if first {
            first = false;
            tell(Event::Built { rung, tried, pinned });
            // Closed, not sent: all workers begin at once.
            let _ = go.recv();
        }
        let worker = match worker(spec, rung) {
            Ok(worker) => worker,
            Err(error) => return tell(Event::Failed(error)),
        };
        let served = catch_unwind(AssertUnwindSafe(|| {
            // A copy, so that a second life has it too.
            let bell = spec.bell.try_clone()?;
            runtime.block_on(serve::serve(Rc::clone(&worker), &spec.sockets, bell))
        }));
        match served {
            Ok(Ok(cut)) => return tell(Event::Stopped { cut }),
            Ok(Err(error)) => return tell(Event::Failed(error)),
            Err(_) if worker.told_to_stop.get() => {
                // There is nothing to begin anew for.
                let cut = worker.stats().connections_open.get();
                spec.posts.all()[spec.id.index()].close();
                bury(&worker);
                std::mem::forget(worker);
                return tell(Event::Stopped { cut });
            }
            Err(_) => {
                bury(&worker);
                // Its tasks hold it, and the kernel may still write into their buffers.
                std::mem::forget(worker);
                tell(Event::Died);
            }
        }
    }
}

fn worker(spec: &Spec, rung: Rung) -> io::Result<Rc<Worker>> {
    let mut seed = [0; 8];
    rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty())?;
    let reach = Reach::Sockets { blocking: rung.wants_blocking() };
    let shared = (spec.posts.clone(), spec.cells.clone());
    let published = Published::clone(&spec.published);
    Worker::new(spec.id, shared, published, reach, (u64::from_ne_bytes(seed), &spec.via))
        .map(Rc::new)
}

/// Ends what a dead worker held: its connections, their permits, and the sockets that it was about to close.
fn bury(worker: &Worker) {
    worker.slots.shut_down_all();
    let stats = worker.stats();
    let open = stats.connections_open.get();
    worker.release_permits(open);
    stats.connections_open.sub(open);
    stats.connections_idle.set(0);
    worker.posts().readers()[worker.id.index()].end_all();
    worker.posts().bury(worker.id, &worker.cells);
    stats.worker_deaths.one();
    worker.leaving.let_all_go(worker);
}
