//! A worker's life: its tasks, and its end.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use coregate_core::base::ids::SocketId;
use coregate_core::base::limits;
use coregate_core::base::time::{Span, TICK};

use crate::proxy::{accept, bulkhead};
use crate::transport::Waitable;
use crate::worker::context::Worker;
use crate::worker::event::Event;
use crate::worker::listeners::Door;
use crate::worker::post::{Listening, Message, Stop};
use crate::worker::rest::sleep;
use crate::worker::slots::Whose;
use crate::worker::{ending, heart, sweep};

/// The listening sockets of one worker: what its next life begins with, should it die.
#[derive(Debug, Default)]
pub struct Sockets(RefCell<Vec<Listening>>);

impl Sockets {
    /// These, to begin with.
    pub fn new(sockets: Vec<Listening>) -> Self {
        Self(sockets.into())
    }

    fn take(&self, socket: SocketId) -> Vec<Listening> {
        self.0.borrow_mut().extract_if(.., |one| one.id == socket).collect()
    }
}

/// The tasks that accept.
#[derive(Default)]
struct Accepting(Vec<Acceptor>);

/// A task that accepts, and what stops it.
struct Acceptor {
    id: SocketId,
    stop: Rc<Event>,
    task: monoio::task::JoinHandle<()>,
}

/// Runs a worker until it is told to stop and its connections have ended, or their time has passed. Gives how many
/// connections had not ended then.
///
/// Must run on the worker's runtime. `bell`: the worker's end of its doorbell. `sockets` are copied, so that a worker that
/// dies leaves them to the next; they are taken and closed when the worker stops: a socket listens as long as anyone holds it.
pub async fn serve(worker: Rc<Worker>, sockets: &Sockets, bell: OwnedFd) -> io::Result<u64> {
    let bell = Waitable::new(bell)?;
    worker.post().thread.set(rustix::thread::gettid().as_raw_nonzero().get() as u64);
    if let Some(timer) = worker.timer()? {
        monoio::spawn(tick(Rc::clone(&worker), Waitable::new(timer)?));
    }
    monoio::spawn(sweep::run(Rc::clone(&worker)));
    monoio::spawn(heart::run(Rc::clone(&worker)));
    worker.look();
    let mut accepting = Accepting::default();
    for listening in sockets.0.borrow_mut().iter_mut() {
        accepting.begin(&worker, listening)?;
    }
    let stop = hear(&worker, &bell, sockets, &mut accepting).await?;
    worker.handed_over.set(stop.handed_over);
    worker.told_to_stop.set(true);
    worker.leaving.take_in(sockets.0.take());
    accepting.end(|_| true).await;
    // Only now: a client that is told to come back finds out at once that nobody listens.
    worker.stopping.set();
    let post = worker.post();
    post.close();
    // Connections handed over a moment ago.
    while let Some(message) = post.next() {
        if let Message::Adopt(adopted) = message {
            accept::adopt_foreign(&worker, adopted);
        }
    }
    let cut = drain(&worker, stop).await;
    // One more turn: the ring closes sockets by operations, which leave with it. Nobody runs it after this.
    sleep(&worker, TICK_MORE).await;
    Ok(cut)
}

impl Accepting {
    fn begin(&mut self, worker: &Rc<Worker>, listening: &mut Listening) -> io::Result<()> {
        let copy = listening.copy.take().map_or_else(|| listening.socket.try_clone(), Ok);
        let socket = Waitable::new(copy?)?;
        let stop = Rc::<Event>::default();
        let (worker, id) = (Rc::clone(worker), listening.id);
        let door = Door::new(id, listening.listener);
        let accept = accept::accept(Rc::clone(&worker), socket, door, Rc::clone(&stop));
        let task = async move {
            accept.await;
            worker.leaving.let_go(&worker, id);
        };
        self.0.push(Acceptor { id, stop, task: monoio::spawn(task) });
        Ok(())
    }

    /// Stops tasks, which end by themselves a little later.
    fn let_end(&mut self, which: impl Fn(SocketId) -> bool) {
        let ending = self.0.extract_if(.., |acceptor| which(acceptor.id));
        ending.for_each(|acceptor| acceptor.stop.set());
    }

    /// To the end, so that the copies of the sockets are closed: a socket listens as long as anyone holds it.
    async fn end(&mut self, which: impl Fn(SocketId) -> bool) {
        let ending: Vec<_> = self.0.extract_if(.., |acceptor| which(acceptor.id)).collect();
        ending.iter().for_each(|acceptor| acceptor.stop.set());
        for acceptor in ending {
            acceptor.task.await;
        }
    }
}

/// Waits until every connection has ended, or its time has: those in flight first; those that wait for a request last, since
/// one may be on its way, whose answer then says that it is the last. Gives how many were cut off in what they did.
async fn drain(worker: &Rc<Worker>, stop: Stop) -> u64 {
    let begun = worker.clock.refresh();
    let stats = worker.stats();
    while stats.connections_open.get() > 0 {
        // Its mailbox is closed.
        worker.hear_answers();
        let now = worker.clock.refresh();
        // Tunnels may last for as long as there is.
        let busy =
            stats.connections_open.get() > stats.connections_idle.get() + stats.tunnels_open.get();
        let over = begun.after(stop.time).is_due(now);
        if over || (!busy && begun.after(stop.grace).is_due(now)) {
            worker.closing.set();
            worker.slots.shut_down_idle();
        }
        if over {
            let cut = stats.connections_open.get().saturating_sub(stats.connections_idle.get());
            worker.slots.shut_down_all();
            return cut;
        }
        sleep(worker, TICK_MORE).await;
        // Nobody hears knocks any more.
        bulkhead::let_all_in(worker);
    }
    0
}

/// Hears messages until one says stop.
async fn hear(
    worker: &Rc<Worker>,
    bell: &Waitable,
    sockets: &Sockets,
    accepting: &mut Accepting,
) -> io::Result<Stop> {
    let post = worker.post();
    loop {
        while let Some(message) = post.next() {
            match message {
                Message::Stop(stop) => return Ok(stop),
                Message::Shed => drop(accept::shed(worker)),
                Message::Adopt(adopted) => accept::adopt_foreign(worker, adopted),
                Message::Look => worker.look(),
                Message::Answered => worker.hear_answers(),
                Message::Free => bulkhead::let_all_in(worker),
                Message::Ping => post.pongs.one(),
                Message::Cut(slot, generation) => {
                    // It begins when all that lie here have been heard.
                    if worker.ending.name([Whose::Instance(slot, generation)]) {
                        monoio::spawn(ending::run(Rc::clone(worker)));
                    }
                }
                Message::Listen(mut listening) => {
                    // Connections come to this socket whether or not it is waited for.
                    while accepting.begin(worker, &mut listening).is_err() {
                        worker.stats().accept_errors.one();
                        sleep(worker, Span::of(limits::ACCEPT_BACKOFF)).await;
                    }
                    sockets.0.borrow_mut().push(listening);
                }
                Message::Unlisten(socket) => {
                    worker.leaving.take_in(sockets.take(socket));
                    accepting.let_end(|id| id == socket);
                }
            }
        }
        if post.may_sleep() {
            bell.readable().await?;
            let mut rings = [0; 64];
            let _: Result<usize, _> = rustix::io::read(bell.as_fd(), &mut rings);
        }
    }
}

/// The shortest wait there is.
const TICK_MORE: Span = Span::of(TICK);

/// A worker whose timer fails has no deadlines: it dies, and begins anew.
#[expect(clippy::panic, reason = "the one way for a task to end its worker")]
fn timer_failed(error: &io::Error) -> ! {
    panic!("the worker's timer cannot be waited for: {error}")
}

/// Fires deadlines whenever the kernel's timer does. The timer is set to the next one only, so an idle worker sleeps.
async fn tick(worker: Rc<Worker>, timer: Waitable) {
    loop {
        if let Err(error) = timer.readable().await {
            timer_failed(&error);
        }
        let mut expirations = [0; 8];
        let _: Result<usize, _> = rustix::io::read(timer.as_fd(), &mut expirations);
        worker.timer_fired();
        let now = worker.clock.refresh();
        if let Some(next) = worker.slots.fire(now) {
            worker.set_timer(next);
        }
    }
}
