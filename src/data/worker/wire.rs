//! A connection as its task holds it: a slot of the worker's table, and a stream.

use std::rc::Rc;

use crate::transport::{Handle, Stream};
use crate::worker::context::Worker;
use crate::worker::slots::{PeerText, SlotId};

/// A slot of a worker's table, closed when this is dropped.
#[derive(Debug)]
pub struct OpenSlot {
    worker: Rc<Worker>,
    id: SlotId,
}

impl OpenSlot {
    /// Opens a slot; see [`Slots::open`].
    pub fn new(worker: &Rc<Worker>, handle: Option<Handle>, peer: PeerText) -> Self {
        Self { worker: Rc::clone(worker), id: worker.slots.open(handle, peer) }
    }

    /// Its id.
    pub fn id(&self) -> SlotId {
        self.id
    }

    /// The worker it belongs to.
    pub fn worker(&self) -> &Rc<Worker> {
        &self.worker
    }
}

impl Drop for OpenSlot {
    fn drop(&mut self) {
        self.worker.slots.close(self.id).give_back(&self.worker);
    }
}

/// A connection: its stream, and its slot, which is closed before the stream is dropped (so they stand in this order).
#[derive(Debug)]
pub struct Wire {
    /// Its slot.
    pub slot: OpenSlot,
    /// Its stream.
    pub stream: Stream,
}

impl Drop for Wire {
    /// The peer sees the end now: the ring closes the socket by an operation that leaves with its next turn, and a worker
    /// that dies has none.
    fn drop(&mut self) {
        self.slot.worker.slots.leave(self.slot.id);
    }
}

impl Wire {
    /// A connection with a slot of its own.
    pub fn new(worker: &Rc<Worker>, stream: Stream, peer: PeerText) -> Self {
        Self { slot: OpenSlot::new(worker, Some(stream.handle()), peer), stream }
    }
}
