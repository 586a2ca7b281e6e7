//! Accepting: a poll, then `accept4` until there is nothing more or enough was taken (64 a wake).
//!
//! Never an accept in flight: one that is dropped leaks a descriptor, and closing its listener does not end it. Stopping
//! drops the poll. When descriptors have run out, accepting rests for 100 ms: a bare loop would burn the core.

use std::mem;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use coregate_core::base::limits;
use coregate_core::base::time::{Span, TICK};
use coregate_core::http::answer::{self, Answer};
use coregate_core::http::encode::Persistence;
use rustix::io::Errno;
use rustix::net::SocketAddrAny;

use crate::proxy::answer::refusal_lines;
use crate::proxy::connection::{self, Downstream};
use crate::proxy::record;
use crate::proxy::reject::Reject;
use crate::transport::accept::acceptable;
use crate::transport::{self, Handle, Stream, Waitable};
use crate::upstream::connect;
use crate::worker::context::{Reach, Worker};
use crate::worker::counted::Counted;
use crate::worker::event::Event;
use crate::worker::listeners::{Door, Listener};
use crate::worker::post::{Adopted, Message};
use crate::worker::rest::{breathe, sleep};
use crate::worker::slots::PeerText;

const BACKOFF: Span = Span::of(limits::ACCEPT_BACKOFF);

/// Accepts connections from one listening socket until it is to be closed. Those that wait in it then are served, and those whose
/// handshakes have begun: closing it would reset them. The main thread has seen to it that no others begin. Where another process
/// goes on with it, whatever comes next is for that one.
pub async fn accept(worker: Rc<Worker>, socket: Waitable, door: Door, stop: Rc<Event>) {
    accept_until(&worker, &socket, &door, &stop).await;
    if worker.handed_over.get() {
        return;
    }
    worker.clock.refresh();
    let until = worker.clock.after(const { Span::of(limits::ACCEPT_LAST) });
    // A queue holds no more than the backlog.
    for _ in 0..limits::BACKLOG as usize / limits::ACCEPTS_PER_WAKE {
        let more = accept_waiting(&worker, &socket, &door).await;
        if until.is_due(worker.clock.now()) && !more {
            return;
        }
        sleep(&worker, Span::of_ticks(1)).await;
    }
}

/// Accepts what waits, and no more than in any wake; whether there may be more.
async fn accept_waiting(worker: &Rc<Worker>, socket: &Waitable, door: &Door) -> bool {
    for _ in 0..limits::ACCEPTS_PER_WAKE {
        match accept_one(worker, socket) {
            Ok(accepted) => take(worker, accepted, door, &mut false).await,
            Err(Errno::CONNABORTED | Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    true
}

async fn accept_until(worker: &Rc<Worker>, socket: &Waitable, door: &Door, stop: &Event) {
    let (mut full, mut empty) = (0, 0);
    while let Some(ready) = stop.or(acceptable(socket)).await {
        if ready.is_err() {
            worker.stats().accept_errors.one();
            let _ = stop.or(sleep(worker, BACKOFF)).await;
            continue;
        }
        let (mut fresh, mut taken) = (false, 0);
        for _ in 0..limits::ACCEPTS_PER_WAKE {
            match accept_one(worker, socket) {
                Ok(accepted) => {
                    taken += 1;
                    take(worker, accepted, door, &mut fresh).await;
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::CONNABORTED | Errno::INTR) => {}
                Err(error) => {
                    let stats = worker.stats();
                    let mut rest = BACKOFF;
                    match error {
                        Errno::MFILE | Errno::NFILE => {
                            stats.accept_emfile.one();
                            if connect::shed(worker) + shed(worker) > 0 {
                                rest = Span::of(TICK);
                            }
                        }
                        _ => stats.accept_errors.one(),
                    }
                    let _ = stop.or(sleep(worker, rest)).await;
                    break;
                }
            }
        }
        // A socket can be ready always: connections come faster than they are accepted, or it was shut down elsewhere.
        match taken {
            limits::ACCEPTS_PER_WAKE => breathe(worker, &mut full, 1).await,
            0 => breathe(worker, &mut empty, limits::ACCEPTS_OF_NOTHING).await,
            _ => {}
        }
    }
}

fn accept_one(worker: &Worker, socket: &Waitable) -> Result<(OwnedFd, PeerText), Errno> {
    // The ring waits on blocking sockets; epoll needs the others.
    let blocking = matches!(worker.reach, Reach::Sockets { blocking: true });
    let (connection, address) = transport::accept::accept(socket, blocking)?;
    Ok((connection, peer_text(address)))
}

/// The client's address as text: without port, an IPv4 address in IPv6 clothes as what it is, `unix` for a Unix socket.
fn peer_text(address: Option<SocketAddrAny>) -> PeerText {
    match address.map(SocketAddr::try_from) {
        Some(Ok(address)) => PeerText::of(address.ip().to_canonical()),
        _ => PeerText::new("unix"),
    }
}

/// Serves a fresh connection here, or hands it to a worker that has clearly less to do.
///
/// `fresh`: connections were accepted in this wake, whose tasks have not run yet.
async fn take(
    worker: &Rc<Worker>,
    (socket, peer): (OwnedFd, PeerText),
    door: &Door,
    fresh: &mut bool,
) {
    worker.stats().connections_accepted.one();
    let Some(listener) = worker.listener_at(door) else { return };
    if !worker.acquire_permit() && !permit_of_another(worker, fresh).await {
        worker.stats().connections_refused.one();
        turn_away(worker, &Handle::of(&socket), &listener, Reject::Overloaded);
        return;
    }
    let adopted = Adopted { socket, listener: listener.id, peer };
    if let Some(adopted) = hand_over(worker, adopted) {
        adopt(worker, adopted, &listener);
        *fresh = true;
    }
}

/// Closes the connections that have been idle for longest; how many.
pub fn shed(worker: &Worker) -> usize {
    if worker.stats().connections_idle.get() == 0 {
        return 0;
    }
    let now = worker.clock.refresh();
    let (last, count) = worker.last_shed.get();
    let again = !last.after(const { Span::of(limits::SHED_TIME) }).is_due(now);
    let most = if again { (2 * count).min(limits::SHED_AT_ONCE) } else { 1 };
    worker.last_shed.set((now, most));
    let shed = worker.slots.shed_idle(most, now);
    worker.stats().connections_shed.add(shed as u64);
    shed
}

/// The host has as many connections as it may: the permit of one that is idle, which is closed for it. Whether there was
/// one. New connections wait behind this one meanwhile.
async fn permit_of_another(worker: &Rc<Worker>, fresh: &mut bool) -> bool {
    let mut shed_here = shed(worker);
    if shed_here == 0 && mem::take(fresh) {
        // They are idle once they have run.
        sleep(worker, Span::of(TICK)).await;
        shed_here = shed(worker);
    }
    if shed_here == 0 && !others_shed(worker) {
        return false;
    }
    let until = worker.clock.after(const { Span::of(limits::SHED_TIME) });
    while !until.is_due(worker.clock.now()) && !worker.stopping.is_set() {
        sleep(worker, Span::of(TICK)).await;
        if worker.acquire_permit() {
            return true;
        }
        shed(worker);
    }
    worker.ask_again_at.set(Some(worker.clock.after(const { Span::of(limits::SHED_PAUSE) })));
    false
}

/// Asks the worker with the most idle connections to close some, unless that was of no use a moment ago.
fn others_shed(worker: &Worker) -> bool {
    let now = worker.clock.now();
    if worker.ask_again_at.get().is_some_and(|at| !at.is_due(now)) {
        return false;
    }
    worker.ask_again_at.set(None);
    let idlest = worker.posts().idlest_but(worker.id);
    idlest.is_some_and(|post| post.tell(Message::Shed).is_ok())
}

/// Serves a connection that another worker accepted, whose driver may be another one.
pub fn adopt_foreign(worker: &Rc<Worker>, adopted: Adopted) {
    let Some(listener) = worker.last_listener(adopted.listener) else {
        return worker.release_permits(1);
    };
    let blocking = matches!(worker.reach, Reach::Sockets { blocking: true });
    match rustix::io::ioctl_fionbio(&adopted.socket, !blocking) {
        Ok(()) => adopt(worker, adopted, &listener),
        Err(_) => worker.release_permits(1),
    }
}

/// Serves a connection for which a permit was taken, unless its listener or its address has as many as it may.
fn adopt(worker: &Rc<Worker>, adopted: Adopted, listener: &Rc<Listener>) {
    let counted = match Counted::client(worker, listener, &adopted.peer) {
        Ok(counted) => counted,
        Err(reject) => {
            worker.release_permits(1);
            let handle = Handle::of(&adopted.socket);
            return turn_away(worker, &handle, listener, reject);
        }
    };
    match Stream::socket(adopted.socket) {
        Ok(stream) => {
            let listener = Rc::clone(listener);
            let downstream = Downstream::new(worker, stream, (adopted.peer, counted), listener);
            monoio::spawn(connection::serve(Rc::clone(worker), downstream));
        }
        Err(_) => {
            counted.give_back(worker);
            worker.release_permits(1);
            worker.stats().accept_errors.one();
        }
    }
}

/// The kernel spreads connections by a hash, so a few of them can all land on one worker. Gives the connection back
/// where it should stay.
fn hand_over(worker: &Worker, adopted: Adopted) -> Option<Adopted> {
    let Some((index, least)) = worker.posts().least_busy() else { return Some(adopted) };
    let mine = worker.stats().connections_open.get();
    if index == worker.id.index() || mine < least + limits::HAND_OVER_GAP + least / 8 {
        return Some(adopted);
    }
    match worker.posts().all()[index].tell(Message::Adopt(adopted)) {
        Ok(()) => {
            worker.stats().connections_handed_over.one();
            None
        }
        Err(Message::Adopt(adopted)) => Some(adopted),
        // Another message that a worker on its way out left unread; the connection lies in its closed mailbox.
        Err(_) => None,
    }
}

/// There are as many connections as there may be: a 503 as far as the socket takes it, before a close. Where nobody speaks HTTP, the
/// close alone.
pub fn turn_away(worker: &Worker, client: &Handle, listener: &Listener, reject: Reject) {
    let row = reject.row();
    if reject != Reject::Overloaded {
        worker.stats().connections_limited.one();
    }
    record::rejected(worker, reject);
    if listener.tcp.is_some() {
        return;
    }
    let answer = Answer {
        status: row.status,
        body: None,
        detail: "",
        request_id: b"",
        to_head: false,
        persistence: Persistence::Close,
    };
    let mut page = worker.buffers.page_for(limits::HEAD_EXTRAS_BYTES);
    let lines = |out: &mut _| refusal_lines(out, row, listener.terms.expose_reasons);
    worker.clock.with_date(|date| answer::write(&mut page, &answer, date, lines));
    client.say_last(&page);
    worker.buffers.give(page);
}
