//! A worker's own view of listeners: the terms on which its clients' connections are served.
//!
//! A connection keeps the terms that it came in on until its next request begins; when a reload has changed them meanwhile,
//! that request is served on the new ones. A listener that is gone leaves its connections their last answer, which says
//! `Connection: close`, and a time to ask for it.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;

use coregate_core::base::ids::{ListenerId, SocketId};
use coregate_core::base::limits;
use coregate_core::base::pace::Pace;
use coregate_core::base::time::{Span, Tick};
use coregate_core::snapshot::{self, Snapshot};

use crate::worker::kept::{Kept, Reads};
use crate::worker::slots::PeerText;

/// What a worker knows of a listener.
#[derive(Debug)]
pub struct Listener {
    /// Its id.
    pub id: ListenerId,
    /// Which listener of this id it is: one that went and came again is another. New terms make no other.
    pub incarnation: u32,
    data: Kept<snapshot::listeners::Listener>,
    /// Time for a head.
    pub head: Span,
    /// Time without a request.
    pub idle: Span,
    /// Time between two pieces of a body.
    pub body: Span,
    /// There are newer terms.
    outdated: Cell<bool>,
    /// Of all terms of this incarnation.
    gone: Rc<Cell<bool>>,
}

impl Deref for Listener {
    type Target = snapshot::listeners::Listener;

    fn deref(&self) -> &Self::Target {
        &self.data
    }
}

impl Listener {
    fn new(
        id: ListenerId,
        (incarnation, gone): (u32, Rc<Cell<bool>>),
        data: Kept<snapshot::listeners::Listener>,
    ) -> Self {
        let terms = data.terms;
        Self {
            id,
            incarnation,
            data,
            head: Span::of(terms.head_timeout),
            idle: Span::of(terms.idle_timeout),
            body: Span::of(terms.body_timeout),
            outdated: Cell::new(false),
            gone,
        }
    }

    /// Whether there is more to a connection than requests.
    pub fn has_preface(&self) -> bool {
        self.trusted.is_some() || self.tcp.is_some()
    }

    /// Whether this peer must begin with a PROXY protocol header.
    pub fn must_say(&self, peer: &PeerText) -> bool {
        self.trusted.as_ref().is_some_and(|trusted| trusted.trusts(peer.address()))
    }

    /// Whether there are newer terms.
    #[inline]
    pub fn is_outdated(&self) -> bool {
        self.outdated.get()
    }

    /// Whether it takes no more connections, and those that it has are to end.
    #[inline]
    pub fn is_gone(&self) -> bool {
        self.gone.get()
    }

    /// An account of the time that a client may take for a body, in one direction.
    pub fn pace(&self) -> Pace {
        // No more can be configured; see `limits::BODY_RATE_MAX`.
        let rate = u32::try_from(self.terms.body_rate).unwrap_or(u32::MAX / 10);
        Pace::new(rate, const { Span::of(limits::BODY_RATE_GRACE) }, self.body)
    }
}

/// A socket that clients come in by, and whose it was last: a worker that closes it goes on with that.
#[derive(Debug)]
pub struct Door {
    socket: SocketId,
    last: Cell<ListenerId>,
}

impl Door {
    /// A socket that was made for this listener.
    pub fn new(socket: SocketId, listener: ListenerId) -> Self {
        Self { socket, last: Cell::new(listener) }
    }

    /// Whose it is in this snapshot.
    pub fn listener(&self, snapshot: &Snapshot) -> ListenerId {
        if let Some(listener) = snapshot.doors().listener(self.socket) {
            self.last.set(listener);
        }
        self.last.get()
    }
}

/// All listeners, by id.
#[derive(Debug)]
pub struct Listeners {
    reads: Rc<Reads>,
    all: RefCell<Vec<Option<Rc<Listener>>>>,
    incarnations: Cell<u32>,
    /// Those that are gone, whose connections may be there still, and since when; the last to go at the end.
    gone: RefCell<Vec<(Rc<Listener>, Tick)>>,
}

impl Listeners {
    /// None is known yet.
    pub fn new(reads: &Rc<Reads>) -> Self {
        Self {
            reads: Rc::clone(reads),
            all: RefCell::default(),
            incarnations: Cell::default(),
            gone: RefCell::default(),
        }
    }

    /// A listener, if it is there now.
    pub fn get(&self, id: ListenerId) -> Option<Rc<Listener>> {
        self.all.borrow().get(id.index()).and_then(Clone::clone)
    }

    /// The same, or what was there last: by its sockets some may come who connected before it was gone.
    pub fn get_last(&self, id: ListenerId) -> Option<Rc<Listener>> {
        self.get(id).or_else(|| {
            let gone = self.gone.borrow();
            gone.iter()
                .rev()
                .find(|(listener, _)| listener.id == id)
                .map(|(last, _)| Rc::clone(last))
        })
    }

    /// Makes the table what this snapshot says. Connections find out by themselves. Whether any listener is gone.
    pub fn mend(&self, snapshot: &Snapshot, now: Tick) -> bool {
        let mut all = self.all.borrow_mut();
        for (id, data) in snapshot.listeners() {
            if all.len() <= id.index() {
                all.resize_with(id.index() + 1, || None);
            }
            let known = &mut all[id.index()];
            if known.as_ref().is_some_and(|known| known.data.is(data)) {
                continue;
            }
            let incarnation = match known {
                Some(known) => (known.incarnation, Rc::clone(&known.gone)),
                None => {
                    self.incarnations.set(self.incarnations.get().wrapping_add(1));
                    (self.incarnations.get(), Rc::default())
                }
            };
            let fresh = Rc::new(Listener::new(id, incarnation, Kept::new(data, &self.reads)));
            if let Some(old) = known.replace(fresh) {
                old.outdated.set(true);
            }
        }
        let mut any = false;
        for (id, known) in all.iter_mut().enumerate() {
            if snapshot.listener(ListenerId(id as u16)).is_none()
                && let Some(old) = known.take()
            {
                old.gone.set(true);
                self.gone.borrow_mut().push((old, now));
                any = true;
            }
        }
        any
    }

    /// Takes those out that have been gone for `time` now, and says of each incarnation that its connections end. Whether
    /// more are to come.
    pub fn bury(&self, now: Tick, time: Span, mut end: impl FnMut(u32)) -> bool {
        let mut gone = self.gone.borrow_mut();
        gone.retain(|(listener, since)| {
            let over = since.after(time).is_due(now);
            if over {
                end(listener.incarnation);
            }
            !over
        });
        !gone.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use coregate_core::snapshot::compile::Compiler;
    use coregate_core::snapshot::plan::{ListenerPlan, Plan};

    use super::*;

    #[test]
    fn sockets_change_hands_with_the_snapshot() {
        let listener = |name: &str| ListenerPlan { name: name.into(), ..ListenerPlan::default() };
        let plan = Plan { listeners: vec![listener("a"), listener("b")], ..Plan::default() };
        let mut compiler = Compiler::new(1);
        compiler.configure(plan).unwrap();
        let [a, b] = [0, 1].map(ListenerId);
        let [one, other] = [Door::new(SocketId(7), a), Door::new(SocketId(3), b)];
        let first = compiler.snapshot(1);
        assert_eq!([&one, &other].map(|door| door.listener(&first)), [a, b]);
        let names =
            |of: [&str; 2]| [(SocketId(7), of[0].to_owned()), (SocketId(3), of[1].to_owned())];
        compiler.assign(&names(["b", "a"]), Duration::from_secs(1));
        let swapped = compiler.snapshot(2);
        assert_eq!([&one, &other].map(|door| door.listener(&swapped)), [b, a]);
        // What was read before is as it was.
        assert_eq!(one.listener(&first), b, "it goes on with what it was last");
        compiler.assign(&names(["b", "a"])[..1], Duration::from_secs(1));
        let gone = compiler.snapshot(3);
        assert_eq!([&one, &other].map(|door| door.listener(&gone)), [b, a]);
        assert_eq!(gone.doors().drain, Duration::from_secs(1));
    }
}
