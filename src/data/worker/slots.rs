//! The slot table: every connection of a worker, what it waits for, and how to end that wait.
//!
//! A task owns its stream; the table holds a handle to it under an index and a generation. Rule 11: whoever must stop a
//! read or write shuts the stream down through here, and the operation then completes. Deadlines work the same way: the
//! wheel fires, the stream is shut down, the read ends, and its task asks [`Slots::expired`] why.
//!
//! A slot has two deadlines, because a connection is read and written at the same time: one for the read that waits, one
//! for the write. Each is armed before its operation and disarmed behind it, by whoever waits for that operation.
//!
//! The table outlives a panic that kills its worker: [`Slots::shut_down_all`] then ends every connection it still holds.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::io::Write;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::task::Waker;

use coregate_core::base::ids::InstanceSlot;
use coregate_core::base::limits;
use coregate_core::base::time::Tick;

use crate::transport::{Handle, Pulse, Ways};
use crate::worker::counted::Counted;
use crate::worker::ending::Named;
use crate::worker::wheel::{Link, Links, Wheel};

/// A slot and which of its uses is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotId {
    index: u32,
    generation: u32,
}

/// A client's address as text, kept with its connection.
#[derive(Debug, Clone, Copy)]
pub struct PeerText {
    length: u8,
    bytes: [u8; 45],
}

impl PeerText {
    /// At most 45 bytes of text: the longest IPv6 address.
    pub fn new(text: &str) -> Self {
        let mut bytes = [0; 45];
        let length = text.len().min(bytes.len());
        bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        Self { length: length as u8, bytes }
    }

    /// An IP address as text.
    pub fn of(address: IpAddr) -> Self {
        let mut peer = Self::new("");
        let mut room = &mut peer.bytes[..];
        let before = room.len();
        // The longest address fits: see the size of `bytes`.
        let written = write!(room, "{address}");
        debug_assert!(written.is_ok());
        peer.length = (before - room.len()) as u8;
        peer
    }

    /// The address; `None`: a Unix socket's client has none.
    pub fn address(&self) -> Option<IpAddr> {
        std::str::from_utf8(self.as_bytes()).ok()?.parse().ok()
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// Which of a connection's two operations a deadline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The read that waits for the peer; also any wait that has no stream.
    Read,
    /// The write that waits for the peer.
    Write,
}

/// A deadline of a slot.
#[derive(Debug, Clone, Copy, Default)]
struct Deadline {
    at: Tick,
    /// What is shut down when it comes; `None`: there is none.
    ways: Option<Ways>,
    /// It came, since it was last set.
    expired: bool,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    handle: Option<Handle>,
    open: bool,
    /// Whether its peer would take an end for the end of something that is not whole.
    breaks: bool,
    /// Since when it waits for a request: such connections end first when the worker stops, or has too many.
    idle: Option<Tick>,
    deadlines: [Deadline; 2],
    waker: Option<Waker>,
    link: Link,
    peer: PeerText,
    whose: Whose,
    /// What its connection is counted among.
    counted: Counted,
}

/// What a slot's connection has to do with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// Nothing that anyone names.
    Nobody,
    /// A client that came by this incarnation of a listener.
    Client(u32),
    /// This use of an instance's slot.
    Instance(InstanceSlot, u16),
}

impl Slot {
    fn end(&self, ways: Ways) {
        match &self.handle {
            Some(handle) if self.breaks => handle.abort(),
            Some(handle) => handle.shut_down(ways),
            None => {}
        }
    }
}

#[derive(Debug, Default)]
struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    open: usize,
}

impl Links for Table {
    fn link(&mut self, index: u32) -> &mut Link {
        &mut self.slots[index as usize].link
    }
}

impl Table {
    fn slot(&mut self, id: SlotId) -> Option<&mut Slot> {
        self.slots
            .get_mut(id.index as usize)
            .filter(|slot| slot.generation == id.generation && slot.open)
    }
}

/// All slots of a worker, and its wheel.
#[derive(Debug)]
pub struct Slots {
    table: RefCell<Table>,
    wheel: RefCell<Wheel>,
    /// The earliest tick that the kernel's timer was set to, if it is set.
    armed: Cell<Option<Tick>>,
}

impl Slots {
    /// An empty table.
    pub fn new(now: Tick) -> Self {
        Self {
            table: RefCell::default(),
            wheel: RefCell::new(Wheel::new(now)),
            armed: Cell::new(None),
        }
    }

    /// Opens a slot: for a stream, or without one for something that only waits.
    pub fn open(&self, handle: Option<Handle>, peer: PeerText) -> SlotId {
        let mut table = self.table.borrow_mut();
        table.open += 1;
        let index = table.free.pop().unwrap_or_else(|| {
            table.slots.push(Slot {
                generation: 0,
                handle: None,
                open: false,
                breaks: false,
                idle: None,
                deadlines: [Deadline::default(); 2],
                waker: None,
                link: Link::default(),
                peer,
                whose: Whose::Nobody,
                counted: Counted::default(),
            });
            (table.slots.len() - 1) as u32
        });
        let slot = &mut table.slots[index as usize];
        slot.handle = handle;
        slot.open = true;
        slot.breaks = false;
        slot.idle = None;
        slot.deadlines = [Deadline::default(); 2];
        slot.peer = peer;
        slot.whose = Whose::Nobody;
        SlotId { index, generation: slot.generation }
    }

    /// Closes a slot: from now on its id means nothing. Called before the stream is dropped. Gives what its
    /// connection was counted among.
    #[must_use = "it is one less"]
    pub fn close(&self, id: SlotId) -> Counted {
        let mut table = self.table.borrow_mut();
        let Some(slot) = table.slot(id) else { return Counted::default() };
        let counted = mem::take(&mut slot.counted);
        slot.open = false;
        slot.idle = None;
        slot.generation = slot.generation.wrapping_add(1);
        slot.handle = None;
        slot.waker = None;
        table.open -= 1;
        self.wheel.borrow_mut().remove(&mut *table, id.index);
        table.free.push(id.index);
        counted
    }

    /// How many slots are open.
    pub fn open_count(&self) -> usize {
        self.table.borrow().open
    }

    /// Sets a deadline of a slot: when it comes, its stream is shut down in these ways. Replaces the one before it.
    ///
    /// Gives the tick that the kernel's timer must be set to, if it is not.
    #[must_use = "the timer may have to be set"]
    pub fn arm(&self, id: SlotId, wait: Wait, at: Tick, ways: Ways) -> Option<Tick> {
        let mut table = self.table.borrow_mut();
        let slot = table.slot(id)?;
        slot.deadlines[wait as usize] = Deadline { at, ways: Some(ways), expired: false };
        match slot.link.at() {
            // Looked at early enough: moved then.
            Some(linked) if linked.is_due(at) => return None,
            _ => {}
        }
        let mut wheel = self.wheel.borrow_mut();
        wheel.remove(&mut *table, id.index);
        let linked = wheel.insert(&mut *table, id.index, at);
        match self.armed.get() {
            Some(armed) if armed.is_due(linked) => None,
            _ => {
                self.armed.set(Some(linked));
                Some(linked)
            }
        }
    }

    /// Takes a deadline away. The entry stays linked until it is looked at.
    pub fn disarm(&self, id: SlotId, wait: Wait) {
        if let Some(slot) = self.table.borrow_mut().slot(id) {
            slot.deadlines[wait as usize].ways = None;
        }
    }

    /// Says since when the slot's connection waits for a request, if it does.
    pub fn set_idle(&self, id: SlotId, since: Option<Tick>) {
        if let Some(slot) = self.table.borrow_mut().slot(id) {
            slot.idle = since;
        }
    }

    /// Says that the slot's connection goes to an instance.
    pub fn set_instance(&self, id: SlotId, instance: InstanceSlot, generation: u16) {
        if let Some(slot) = self.table.borrow_mut().slot(id) {
            slot.whose = Whose::Instance(instance, generation);
        }
    }

    /// Says what else the slot's connection is counted among. Whether there is such a slot: else it is not.
    #[must_use = "what nobody keeps is never given back"]
    pub fn set_counted(&self, id: SlotId, say: impl FnOnce(&mut Counted)) -> bool {
        let mut table = self.table.borrow_mut();
        table.slot(id).map(|slot| say(&mut slot.counted)).is_some()
    }

    /// Says that the slot's connection is that of a client, and which incarnation of a listener it came by.
    pub fn set_client(&self, id: SlotId, listener: u32) {
        if let Some(slot) = self.table.borrow_mut().slot(id) {
            slot.whose = Whose::Client(listener);
        }
    }

    /// Ends every connection that waits for a request.
    pub fn shut_down_idle(&self) {
        let table = self.table.borrow();
        let idle = table.slots.iter().filter(|slot| slot.open && slot.idle.is_some());
        idle.filter_map(|slot| slot.handle.as_ref())
            .for_each(|handle| handle.shut_down(Ways::Read));
    }

    /// Ends connections of those that are named, from the slot at `from` on, for as long as a part may last; where to go on,
    /// if there is more. See [`ending`](crate::worker::ending).
    pub fn end_part(&self, named: &Named, from: usize) -> Option<usize> {
        let table = self.table.borrow();
        let mut ended = 0;
        for (at, slot) in table.slots.iter().enumerate().skip(from) {
            if at - from == limits::END_LOOKS || ended == limits::END_AT_ONCE {
                return Some(at);
            }
            if slot.open && named.has(&slot.whose) {
                slot.end(Ways::Both);
                ended += 1;
            }
        }
        None
    }

    /// Ends the `most` connections that have waited longest for a request; how many that were. Looks at every slot.
    pub fn shed_idle(&self, most: usize, now: Tick) -> usize {
        let mut table = self.table.borrow_mut();
        let waiting = |(index, slot): (usize, &Slot)| Some((now.since(slot.idle?), index));
        let mut idle: Vec<_> = table.slots.iter().enumerate().filter_map(waiting).collect();
        let most = most.min(idle.len());
        if most < idle.len() {
            idle.select_nth_unstable_by_key(most, |(waited, _)| Reverse(*waited));
        }
        for (_, index) in &idle[..most] {
            let slot = &mut table.slots[*index];
            // Not once more by the next look: its task ends it in its own turn.
            slot.idle = None;
            if let Some(handle) = &slot.handle {
                handle.shut_down(Ways::Read);
            }
        }
        most
    }

    /// Whether a slot's deadline has come since it was last set.
    pub fn expired(&self, id: SlotId, wait: Wait) -> bool {
        self.table.borrow_mut().slot(id).is_some_and(|slot| slot.deadlines[wait as usize].expired)
    }

    /// Ends a slot's connection so that its peer sees an error, not an end; see [`Handle::abort`].
    pub fn abort(&self, id: SlotId) {
        if let Some(slot) = self.table.borrow_mut().slot(id)
            && let Some(handle) = &slot.handle
        {
            handle.abort();
        }
    }

    /// Says whether the peer would take an end of the connection for the end of something that is not whole: then it is only
    /// ever reset.
    pub fn set_breaks(&self, id: SlotId, breaks: bool) {
        if let Some(slot) = self.table.borrow_mut().slot(id) {
            slot.breaks = breaks;
        }
    }

    /// Ends our half of a slot's connection, because nobody uses it any more.
    pub fn leave(&self, id: SlotId) {
        if let Some(slot) = self.table.borrow_mut().slot(id) {
            slot.end(Ways::Write);
        }
    }

    /// Wakes this task when the slot's deadline comes; for waits that have no stream to shut down.
    pub fn wake_at_deadline(&self, id: SlotId, waker: &Waker) {
        if let Some(slot) = self.table.borrow_mut().slot(id)
            && slot.waker.as_ref().is_none_or(|known| !known.will_wake(waker))
        {
            slot.waker = Some(waker.clone());
        }
    }

    /// Shuts the slot's stream down.
    pub fn shut_down(&self, id: SlotId, ways: Ways) {
        if let Some(slot) = self.table.borrow_mut().slot(id)
            && let Some(handle) = &slot.handle
        {
            handle.shut_down(ways);
        }
    }

    /// Looks at an idle stream; see [`Handle::pulse`].
    pub fn pulse(&self, id: SlotId) -> Pulse {
        let mut table = self.table.borrow_mut();
        let handle = table.slot(id).and_then(|slot| slot.handle.as_ref());
        handle.map_or(Pulse::Ended, Handle::pulse)
    }

    /// The address of the client on a slot's connection.
    pub fn peer(&self, id: SlotId) -> PeerText {
        self.table.borrow_mut().slot(id).map_or_else(|| PeerText::new(""), |slot| slot.peer)
    }

    /// Sets the address of the client: a PROXY protocol header has named another.
    pub fn set_peer(&self, id: SlotId, peer: PeerText) {
        if let Some(slot) = self.table.borrow_mut().slot(id) {
            slot.peer = peer;
        }
    }

    /// The addresses of a slot's connection; see [`Handle::addresses`].
    pub fn addresses(&self, id: SlotId) -> Option<(SocketAddr, SocketAddr)> {
        self.table.borrow_mut().slot(id)?.handle.as_ref()?.addresses()
    }

    /// Whether the slot is open.
    pub fn is_open(&self, id: SlotId) -> bool {
        self.table.borrow_mut().slot(id).is_some()
    }

    /// Fires what is due at `now`: streams are shut down, waiting tasks woken. Gives the tick to set the timer to next.
    pub fn fire(&self, now: Tick) -> Option<Tick> {
        let mut table = self.table.borrow_mut();
        let mut wheel = self.wheel.borrow_mut();
        while let Some(index) = wheel.due(&mut *table, now) {
            let slot = &mut table.slots[index as usize];
            for (wait, deadline) in slot.deadlines.iter_mut().enumerate() {
                let Some(ways) = deadline.ways.filter(|_| deadline.at.is_due(now)) else {
                    continue;
                };
                deadline.ways = None;
                deadline.expired = true;
                match &slot.handle {
                    // What was not taken in time breaks off.
                    Some(handle) if slot.breaks && wait == Wait::Write as usize => handle.abort(),
                    Some(handle) => handle.shut_down(ways),
                    None => {}
                }
                if let Some(waker) = slot.waker.take() {
                    waker.wake();
                }
            }
            let later = slot.deadlines.iter().filter(|deadline| deadline.ways.is_some());
            if let Some(at) =
                later.map(|deadline| deadline.at).min_by_key(|at| at.since(now).ticks())
            {
                wheel.insert(&mut *table, index, at);
            }
        }
        let next = wheel.next();
        self.armed.set(next);
        next
    }

    /// Ends every connection; for a worker that died, or waits no longer.
    pub fn shut_down_all(&self) {
        // A panic may have happened while the table was borrowed: then its connections are left to their peers.
        if let Ok(table) = self.table.try_borrow() {
            table.slots.iter().for_each(|slot| slot.end(Ways::Both));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: fn() -> PeerText = || PeerText::new("");

    #[test]
    fn an_old_id_means_nothing() {
        let slots = Slots::new(Tick(0));
        let first = slots.open(None, PeerText::new("10.0.0.1"));
        assert_eq!(slots.close(first), Counted::default());
        let second = slots.open(None, PeerText::new("10.0.0.2"));
        assert_eq!(first.index, second.index);
        assert_eq!(slots.arm(first, Wait::Read, Tick(5), Ways::Both), None);
        assert_eq!(slots.peer(first).as_bytes(), b"");
        assert_eq!(slots.peer(second).as_bytes(), b"10.0.0.2");
        assert_eq!(slots.close(first), Counted::default());
        assert_eq!(slots.open_count(), 1);
    }

    #[test]
    fn a_deadline_that_moves_away_is_looked_at_once_and_moved() {
        let slots = Slots::new(Tick(0));
        let id = slots.open(None, NOBODY());
        assert_eq!(slots.arm(id, Wait::Read, Tick(100), Ways::Both), Some(Tick(100)));
        assert_eq!(
            slots.arm(id, Wait::Read, Tick(20_000), Ways::Both),
            None,
            "it is looked at in time"
        );
        let mut now = Tick(100);
        while let Some(next) = slots.fire(now) {
            assert!(!slots.expired(id, Wait::Read), "{now:?}");
            now = next;
        }
        assert_eq!(now, Tick(20_000), "beyond the wheel's horizon, in steps");
        assert!(slots.expired(id, Wait::Read));
        assert_eq!(slots.arm(id, Wait::Read, Tick(20_005), Ways::Both), Some(Tick(20_005)));
        assert!(!slots.expired(id, Wait::Read), "set anew");
    }

    #[test]
    fn the_longest_idle_go_first() {
        let slots = Slots::new(Tick(0));
        let ids: Vec<_> = (0..6).map(|_| slots.open(None, NOBODY())).collect();
        for (id, since) in ids.iter().zip([50, 10, 40, 20, 30]) {
            slots.set_idle(*id, Some(Tick(since)));
        }
        let idle = |slots: &Slots| {
            let table = slots.table.borrow();
            table.slots.iter().filter_map(|slot| slot.idle.map(|at| at.0)).collect::<Vec<_>>()
        };
        assert_eq!(slots.shed_idle(2, Tick(60)), 2);
        assert_eq!(idle(&slots), [50, 40, 30]);
        assert_eq!(slots.close(ids[0]), Counted::default());
        assert_eq!(slots.shed_idle(9, Tick(60)), 2, "neither closed ones nor busy ones");
        assert_eq!(slots.shed_idle(9, Tick(60)), 0);
    }

    #[test]
    fn reads_and_writes_have_deadlines_of_their_own() {
        let slots = Slots::new(Tick(0));
        let id = slots.open(None, NOBODY());
        let _ = slots.arm(id, Wait::Write, Tick(50), Ways::Both);
        let _ = slots.arm(id, Wait::Read, Tick(20), Ways::Read);
        slots.disarm(id, Wait::Read);
        assert_eq!(slots.fire(Tick(20)), Some(Tick(50)));
        assert!(!slots.expired(id, Wait::Read));
        assert_eq!(slots.fire(Tick(50)), None);
        assert!(slots.expired(id, Wait::Write) && !slots.expired(id, Wait::Read));
    }
}
