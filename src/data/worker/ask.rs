//! Asking: the one way a request waits for another thread.
//!
//! ```text
//!  request ── question, ticket ──▶ desk ──▶ the registry's thread        whoever reads the desk is rung for
//!     ▲ waker, deadline of a slot                │
//!     └── asks, by ticket ◀── post ◀── answer ───┘                       the worker is rung for
//! ```
//!
//! Nothing here blocks: the desk is a bounded queue, and a question for which it has no room is not asked. An answer that nobody waits
//! for any more is dropped: a ticket is given once in a worker's life, and a new life begins at a random number.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use coregate_core::base::limits;
use coregate_core::base::mailbox::Ticket;
use coregate_core::base::time::Tick;
use coregate_core::policy::quota::{Answer, Question};

use crate::transport::Ways;
use crate::worker::context::Worker;
use crate::worker::slots::{PeerText, Wait};
use crate::worker::wire::OpenSlot;

/// What a worker's requests wait for.
#[derive(Debug)]
pub struct Asks {
    next: Cell<u64>,
    waiting: RefCell<HashMap<u64, Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    waker: Option<Waker>,
    answer: Option<Answer>,
}

impl Asks {
    /// None yet; tickets begin at this number, which no other life of the worker begins near.
    pub fn new(first: u64) -> Self {
        Self { next: Cell::new(first), waiting: RefCell::default() }
    }

    /// An answer has come: whoever waits for it goes on.
    pub fn hear(&self, ticket: Ticket, answer: Answer) {
        let mut waiting = self.waiting.borrow_mut();
        let Some(asked) = waiting.get_mut(&ticket.0) else { return };
        asked.answer = Some(answer);
        let waker = asked.waker.take();
        drop(waiting);
        waker.into_iter().for_each(Waker::wake);
    }

    /// A ticket, if not too many wait.
    fn ticket(&self) -> Option<Ticket> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= limits::ASKERS {
            return None;
        }
        let ticket = self.next.get();
        self.next.set(ticket.wrapping_add(1));
        waiting.insert(ticket, Waiting::default());
        Some(Ticket(ticket))
    }

    /// The answer, if it has come; whoever asks for it is woken by it otherwise.
    fn poll(&self, ticket: Ticket, waker: &Waker) -> Option<Answer> {
        let mut waiting = self.waiting.borrow_mut();
        let asked = waiting.get_mut(&ticket.0)?;
        if asked.answer.is_none() {
            asked.waker = Some(waker.clone());
        }
        asked.answer
    }
}

/// A ticket that is given back when nobody waits any more.
struct Held<'w>(&'w Worker, Ticket);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.asks.waiting.borrow_mut().remove(&self.1.0);
    }
}

/// Asks, and waits for the answer until the deadline; `None`: there is none. Cancel safety: may be dropped.
pub async fn ask(worker: &Rc<Worker>, question: Question, until: Tick) -> Option<Answer> {
    let held = Held(worker, worker.asks.ticket()?);
    worker.stats().questions.one();
    if !worker.posts().ask(worker.id, Some(held.1), question) {
        return None;
    }
    let slot = OpenSlot::new(worker, None, PeerText::new(""));
    worker.arm_at(slot.id(), Wait::Read, until, Ways::Both);
    poll_fn(|context| {
        if let Some(answer) = worker.asks.poll(held.1, context.waker()) {
            return Poll::Ready(Some(answer));
        }
        if worker.slots.expired(slot.id(), Wait::Read) {
            return Poll::Ready(None);
        }
        worker.slots.wake_at_deadline(slot.id(), context.waker());
        Poll::Pending
    })
    .await
}
