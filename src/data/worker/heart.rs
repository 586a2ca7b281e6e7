//! A worker's heart: it beats every tick while requests come, so that it is known how late the worker is.
//!
//! Deadlines are far apart and say little of that. A beat costs a timer; a worker without requests has none and sleeps. While requests
//! wait for services it beats on, and looks at those with each tick ([`bulkhead`](crate::proxy::bulkhead)).

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use coregate_core::base::time::Span;

use crate::proxy::bulkhead;
use crate::worker::context::Worker;
use crate::worker::rest::sleep;

/// Whether it beats, and who makes it.
#[derive(Debug, Default)]
pub struct Heart {
    beats: Cell<bool>,
    resting: RefCell<Option<Waker>>,
}

impl Heart {
    /// A request begins.
    #[inline]
    pub fn beat(&self) {
        if !self.beats.get() {
            self.begin();
        }
    }

    #[cold]
    fn begin(&self) {
        self.beats.set(true);
        if let Some(resting) = self.resting.take() {
            resting.wake();
        }
    }

    async fn until_request(&self) {
        poll_fn(|context| {
            if self.beats.get() {
                return Poll::Ready(());
            }
            *self.resting.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Beats for as long as requests come.
pub async fn run(worker: Rc<Worker>) {
    loop {
        worker.heart().until_request().await;
        let mut seen = None;
        while seen.replace(worker.stats().requests.get()) != Some(worker.stats().requests.get())
            || !worker.lines.is_empty()
        {
            sleep(&worker, Span::of_ticks(1)).await;
            bulkhead::let_all_in(&worker);
        }
        worker.heart().beats.set(false);
    }
}
