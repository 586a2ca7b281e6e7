//! A worker's life: its tasks, and its end.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use coregate_core::base::ids::ListenerId;
use coregate_core::base::limits;
use coregate_core::base::time::{Span, TICK};
use rustix::net::Shutdown;

use crate::proxy::accept;
use crate::proxy::connection::Listener;
use crate::transport::Waitable;
use crate::worker::context::{Worker, sleep};
use crate::worker::post::Message;

/// A listening socket of one worker.
#[derive(Debug)]
pub struct Listening {
    /// Which listener it belongs to.
    pub listener: ListenerId,
    /// The socket: bound, listening, non-blocking.
    pub socket: OwnedFd,
}

/// Runs a worker until it is told to stop and its connections have ended, or [`limits::SHUTDOWN_TIME`] has passed. Gives how
/// many connections had not ended then.
///
/// Must run on the worker's runtime. `bell`: the worker's end of its doorbell. `sockets` are copied, so that a worker that
/// dies leaves them to the next; they are taken and closed when the worker stops: a socket listens as long as anyone holds it.
pub async fn serve(
    worker: Rc<Worker>,
    sockets: &RefCell<Vec<Listening>>,
    bell: OwnedFd,
) -> io::Result<u64> {
    let bell = Waitable::new(bell)?;
    if let Some(timer) = worker.timer()? {
        monoio::spawn(tick(Rc::clone(&worker), Waitable::new(timer)?));
    }
    monoio::spawn(sweep(Rc::clone(&worker)));
    let mut listeners: Vec<Rc<Listener>> = Vec::new();
    let mut accepting = Vec::new();
    for listening in sockets.borrow().iter() {
        let known = listeners.iter().find(|listener| listener.id == listening.listener);
        let listener = known.map(Rc::clone).unwrap_or_else(|| {
            let id = listening.listener;
            let listener =
                worker.with_snapshot(|snapshot| Rc::new(Listener::new(id, snapshot.listener(id))));
            listeners.push(Rc::clone(&listener));
            listener
        });
        let socket = Waitable::new(listening.socket.try_clone()?)?;
        accepting.push(monoio::spawn(accept::accept(Rc::clone(&worker), socket, listener)));
    }
    hear(&worker, &bell, &listeners).await?;
    worker.stopping.set();
    for listening in sockets.take() {
        if worker.stats().worker_deaths.get() > 0 {
            // The runtime of a worker that died still holds a copy.
            #[expect(clippy::disallowed_methods, reason = "of a listener, not of a connection")]
            let _ = rustix::net::shutdown(&listening.socket, Shutdown::Both);
        }
    }
    // To the end, so that the copies of the sockets are closed: a socket listens as long as anyone holds it.
    for task in accepting {
        task.await;
    }
    let post = &worker.posts().all()[worker.id.index()];
    post.close();
    // Connections handed over a moment ago have no request yet; they end like idle ones.
    while let Some(message) = post.next() {
        if let Message::Adopt(_) = message {
            worker.release_permits(1);
        }
    }
    worker.slots.shut_down_idle();
    if worker.stats().connections_open.get() > 0 {
        worker.drained.or(sleep(&worker, Span::of(limits::SHUTDOWN_TIME))).await;
        worker.slots.shut_down_all();
    }
    // One more turn: the ring closes sockets by operations, which leave with it. Nobody runs it after this.
    sleep(&worker, TICK_MORE).await;
    Ok(worker.stats().connections_open.get())
}

/// Hears messages until one says stop.
async fn hear(worker: &Rc<Worker>, bell: &Waitable, listeners: &[Rc<Listener>]) -> io::Result<()> {
    let post = &worker.posts().all()[worker.id.index()];
    loop {
        while let Some(message) = post.next() {
            match message {
                Message::Stop => return Ok(()),
                Message::Shed => drop(accept::shed(worker)),
                Message::Adopt(adopted) => {
                    match listeners.iter().find(|listener| listener.id == adopted.listener) {
                        Some(listener) => accept::adopt_foreign(worker, adopted, listener),
                        None => worker.release_permits(1),
                    }
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
        let now = worker.clock.refresh();
        if let Some(next) = worker.slots.fire(now) {
            worker.set_timer(next);
        }
    }
}

/// Closes idle upstream connections that have waited too long or have ended, and frees memory that nobody uses, once a second
/// while there are any.
async fn sweep(worker: Rc<Worker>) {
    loop {
        worker.until_untidy().await;
        sleep(&worker, Span::of(limits::SWEEP_EVERY)).await;
        let mut left = 0;
        worker.locals.for_each_service(|local| {
            left +=
                local.pools.iter().map(|pool| pool.sweep(&worker, &local.service)).sum::<usize>();
        });
        if worker.trim() || left > 0 {
            worker.untidy();
        }
    }
}
