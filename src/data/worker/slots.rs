//! The slot table: every connection of a worker, what it waits for, and how to end that wait.
//!
//! A task owns its stream; the table holds a handle to it under an index and a generation. Rule 11: whoever must stop a
//! read or write shuts the stream down through here, and the operation then completes. Deadlines work the same way: the
//! wheel fires, the stream is shut down, the read ends, and its task asks [`Slots::expired`] why.
//!
//! The table outlives a panic that kills its worker: [`Slots::shut_down_all`] then ends every connection it still holds.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::net::IpAddr;
use std::task::Waker;

use coregate_core::base::time::{Span, Tick};

use crate::transport::{Handle, Pulse, Ways};
use crate::worker::clock::Clock;
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

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    handle: Option<Handle>,
    open: bool,
    /// Whether it waits for a request: such connections end first when the worker stops.
    idle: bool,
    /// What is shut down when the deadline comes; `None`: no deadline.
    ways: Option<Ways>,
    deadline: Tick,
    expired: bool,
    waker: Option<Waker>,
    link: Link,
    peer: PeerText,
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
                idle: false,
                ways: None,
                deadline: Tick::default(),
                expired: false,
                waker: None,
                link: Link::default(),
                peer,
            });
            (table.slots.len() - 1) as u32
        });
        let slot = &mut table.slots[index as usize];
        slot.handle = handle;
        slot.open = true;
        slot.idle = false;
        slot.ways = None;
        slot.expired = false;
        slot.peer = peer;
        SlotId { index, generation: slot.generation }
    }

    /// Closes a slot: from now on its id means nothing. Called before the stream is dropped.
    pub fn close(&self, id: SlotId) {
        let mut table = self.table.borrow_mut();
        let Some(slot) = table.slot(id) else { return };
        slot.open = false;
        slot.generation = slot.generation.wrapping_add(1);
        slot.handle = None;
        slot.waker = None;
        slot.ways = None;
        table.open -= 1;
        self.wheel.borrow_mut().remove(&mut *table, id.index);
        table.free.push(id.index);
    }

    /// How many slots are open.
    pub fn open_count(&self) -> usize {
        self.table.borrow().open
    }

    /// Sets the deadline of a slot to `span` from the clock's last reading: then its stream is shut down in these ways.
    ///
    /// Replaces the deadline before it. Gives the tick that the kernel's timer must be set to, if it is not.
    #[must_use = "the timer may have to be set"]
    pub fn arm(&self, id: SlotId, clock: &Clock, span: Span, ways: Ways) -> Option<Tick> {
        let deadline = clock.after(span);
        let mut table = self.table.borrow_mut();
        let slot = table.slot(id)?;
        slot.deadline = deadline;
        slot.ways = Some(ways);
        match slot.link.at() {
            // Looked at early enough: moved then.
            Some(at) if at.is_due(deadline) => return None,
            _ => {}
        }
        let mut wheel = self.wheel.borrow_mut();
        wheel.remove(&mut *table, id.index);
        let at = wheel.insert(&mut *table, id.index, deadline);
        match self.armed.get() {
            Some(armed) if armed.is_due(at) => None,
            _ => {
                self.armed.set(Some(at));
                Some(at)
            }
        }
    }

    /// Takes the deadline away. The entry stays linked until it is looked at.
    pub fn disarm(&self, id: SlotId) {
        if let Some(slot) = self.table.borrow_mut().slot(id) {
            slot.ways = None;
        }
    }

    /// Says whether the slot's connection waits for a request.
    pub fn set_idle(&self, id: SlotId, idle: bool) {
        if let Some(slot) = self.table.borrow_mut().slot(id) {
            slot.idle = idle;
            if !idle {
                slot.ways = None;
            }
        }
    }

    /// Ends every connection that waits for a request.
    pub fn shut_down_idle(&self) {
        let table = self.table.borrow();
        let idle = table.slots.iter().filter(|slot| slot.open && slot.idle);
        idle.filter_map(|slot| slot.handle.as_ref())
            .for_each(|handle| handle.shut_down(Ways::Read));
    }

    /// Whether the slot's deadline has come.
    pub fn expired(&self, id: SlotId) -> bool {
        self.table.borrow_mut().slot(id).is_some_and(|slot| slot.expired)
    }

    /// Ends a slot's connection so that its peer sees an error, not an end; see [`Handle::abort`].
    pub fn abort(&self, id: SlotId) {
        if let Some(slot) = self.table.borrow_mut().slot(id)
            && let Some(handle) = &slot.handle
        {
            handle.abort();
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

    /// Fires what is due at `now`: streams are shut down, waiting tasks woken. Gives the tick to set the timer to next.
    pub fn fire(&self, now: Tick) -> Option<Tick> {
        let mut table = self.table.borrow_mut();
        let mut wheel = self.wheel.borrow_mut();
        while let Some(index) = wheel.due(&mut *table, now) {
            let slot = &mut table.slots[index as usize];
            let Some(ways) = slot.ways else { continue };
            if slot.deadline.is_due(now) {
                slot.ways = None;
                slot.expired = true;
                if let Some(handle) = &slot.handle {
                    handle.shut_down(ways);
                }
                if let Some(waker) = slot.waker.take() {
                    waker.wake();
                }
            } else {
                let deadline = slot.deadline;
                wheel.insert(&mut *table, index, deadline);
            }
        }
        let next = wheel.next();
        self.armed.set(next);
        next
    }

    /// Ends every connection; for a worker that died.
    pub fn shut_down_all(&self) {
        // A panic may have happened while the table was borrowed: then its connections are left to their peers.
        if let Ok(table) = self.table.try_borrow() {
            table
                .slots
                .iter()
                .filter_map(|slot| slot.handle.as_ref())
                .for_each(|h| h.shut_down(Ways::Both));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_old_id_means_nothing() {
        let clock = Clock::default();
        let slots = Slots::new(clock.now());
        let first = slots.open(None, PeerText::new("10.0.0.1"));
        slots.close(first);
        let second = slots.open(None, PeerText::new("10.0.0.2"));
        assert_eq!(first.index, second.index);
        assert_eq!(slots.arm(first, &clock, Span::of(Duration::ZERO), Ways::Both), None);
        assert_eq!(slots.peer(first).as_bytes(), b"");
        assert_eq!(slots.peer(second).as_bytes(), b"10.0.0.2");
        slots.close(first);
        assert_eq!(slots.open_count(), 1);
    }

    #[test]
    fn a_deadline_that_moves_away_is_looked_at_once_and_moved() {
        let clock = Clock::default();
        let slots = Slots::new(clock.now());
        let id = slots.open(None, PeerText::new(""));
        let near = Span::of(Duration::from_secs(1));
        let far = Span::of(Duration::from_secs(200));
        let first = slots.arm(id, &clock, near, Ways::Both).expect("the timer is not set yet");
        assert_eq!(first, clock.after(near));
        assert_eq!(slots.arm(id, &clock, far, Ways::Both), None, "it is looked at soon enough");
        let moved = slots.fire(first).expect("moved, within the horizon");
        assert!(!slots.expired(id));
        let last = slots.fire(moved);
        let last = last.map_or(moved, |later| slots.fire(later).unwrap_or(later));
        let _ = slots.fire(clock.after(far).after(near));
        assert!(slots.expired(id), "{last:?}");
    }
}
