//! Something that happens once, and the tasks of this worker that wait for it.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Poll, Waker};

/// Set once; tasks of the same thread wait for it.
#[derive(Debug, Default)]
pub struct Event {
    set: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

impl Event {
    /// Whether it has happened.
    pub fn is_set(&self) -> bool {
        self.set.get()
    }

    /// It happens: everyone who waits is woken.
    pub fn set(&self) {
        self.set.set(true);
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// Runs `wait` until it ends or the event happens, which drops it: for polls only (rule 11).
    pub async fn or<F: Future>(&self, wait: F) -> Option<F::Output> {
        let mut wait = pin!(wait);
        poll_fn(|context| {
            if self.set.get() {
                return Poll::Ready(None);
            }
            if let Poll::Ready(output) = wait.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}
