//! Connecting to an instance, under a deadline.

use std::future::{Future, poll_fn};
use std::io;
use std::mem;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use coregate_core::base::ids::InstanceSlot;
use coregate_core::base::limits;
use coregate_core::base::time::Span;
use coregate_core::snapshot::plan::Address;
use rustix::io::Errno;

use crate::proxy::pick::Picked;
use crate::transport::{Stream, Ways};
use crate::upstream::Upstream;
use crate::worker::context::Worker;
use crate::worker::rest::sleep;
use crate::worker::slots::{PeerText, Wait};
use crate::worker::wire::{OpenSlot, Wire};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The deadline came first.
    #[error("no connection in time")]
    Timeout,
    /// There are as many connections to the instance as there may be.
    #[error("as many connections as there may be")]
    Full,
    /// The kernel says no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl ConnectError {
    /// Whether it is this host that is short of something: that says nothing of the instance.
    pub fn is_ours(&self) -> bool {
        let error = match self {
            Self::Timeout => return false,
            Self::Full => return true,
            Self::Io(error) => error,
        };
        let short = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::ADDRNOTAVAIL];
        Errno::from_io_error(error).is_some_and(|errno| short.contains(&errno))
    }
}

/// How long a connect that cannot be made now is left alone.
const PAUSE: Span = Span::of(limits::DESCRIPTOR_PAUSE);

fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// Closes idle connections of every pool; how many.
pub fn shed(worker: &Worker) -> usize {
    let mut shed = 0;
    worker.locals.for_each_pool(|pool| shed += pool.shed());
    shed
}

/// A full backlog makes TCP wait by itself; a Unix socket says EAGAIN, and we wait.
async fn patiently(worker: &Rc<Worker>, address: &Address) -> io::Result<Stream> {
    loop {
        match worker.connect(address).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                sleep(worker, PAUSE).await;
            }
            // Descriptors that wait in pools are worth less than one that is needed now. The ring closes them soon.
            Err(error) if is_out_of_descriptors(&error) && shed(worker) > 0 => {
                sleep(worker, PAUSE).await;
            }
            other => return other,
        }
    }
}

/// Connects to an address within `limit`.
async fn within(
    worker: &Rc<Worker>,
    address: &Address,
    limit: Span,
) -> Result<Stream, ConnectError> {
    let slot = OpenSlot::new(worker, None, PeerText::new(""));
    worker.arm(slot.id(), Wait::Read, limit, Ways::Both);
    let mut connecting = pin!(patiently(worker, address));
    poll_fn(|context| {
        if let Poll::Ready(result) = connecting.as_mut().poll(context) {
            return Poll::Ready(result.map_err(ConnectError::Io));
        }
        if worker.slots.expired(slot.id(), Wait::Read) {
            return Poll::Ready(Err(ConnectError::Timeout));
        }
        worker.slots.wake_at_deadline(slot.id(), context.waker());
        Poll::Pending
    })
    .await
}

/// A connection that is counted before it is made.
struct Counted<'w>(&'w Worker, InstanceSlot);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.disconnected(self.1);
    }
}

/// Connects to an instance within `limit`; gives it back if that fails. `most`: so many connections to it there may be.
pub async fn connect(
    worker: &Rc<Worker>,
    picked: Picked,
    limit: Span,
    most: Option<u64>,
) -> Result<Upstream, (Picked, ConnectError)> {
    let slot = picked.slot();
    let counted = match most {
        Some(most) if !worker.connecting(slot, most) => return Err((picked, ConnectError::Full)),
        most => most.map(|_| Counted(worker, slot)),
    };
    let result = within(worker, &picked.instance().instance.address, limit).await;
    worker.clock.refresh();
    match result {
        Ok(stream) => {
            worker.stats().upstream_connects.one();
            let wire = Wire::new(worker, stream, PeerText::new(""));
            let instance = &picked.instance().instance;
            worker.slots.set_instance(wire.slot.id(), instance.slot, instance.generation);
            if let Some(counted) = counted {
                // From now on the connection's slot sees to it.
                mem::forget(counted);
                let id = wire.slot.id();
                let kept = worker.slots.set_counted(id, |counted| counted.instance = Some(slot));
                debug_assert!(kept, "it was opened just now");
            }
            Ok(Upstream { wire, reused: false, picked, born: worker.clock.now() })
        }
        Err(error) => {
            worker.stats().upstream_connect_errors.one();
            Err((picked, error))
        }
    }
}
