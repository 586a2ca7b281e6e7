//! An exchange: one request and its response, led through every stage in order.
//!
//! Exchanges run in recycled slots: a slot is one boxed future that serves job after job, so that a request allocates
//! nothing. Whoever holds the slot polls it; between jobs it waits for its next one. A slot whose exchange panicked is
//! dropped by the unwinding, never used again.

use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use coregate_core::http::head::Head;

use crate::proxy::connection::Downstream;
use crate::proxy::finish::{self, Next};
use crate::proxy::{forward, read, route};
use crate::worker::buffers::ReceiveCell;
use crate::worker::context::Worker;

/// A request that has begun to arrive.
#[derive(Debug)]
pub struct Job {
    /// The connection it arrives on.
    pub downstream: Downstream,
    /// Its first bytes.
    pub cell: ReceiveCell,
    /// How many.
    pub length: usize,
}

/// A recycled future for exchanges.
pub struct ExchangeSlot {
    desk: Rc<Desk>,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

/// Where a slot gets its job and leaves what is left of it.
#[derive(Default)]
struct Desk {
    job: Cell<Option<Job>>,
    ended: Cell<Option<Option<Downstream>>>,
}

impl fmt::Debug for ExchangeSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExchangeSlot")
    }
}

impl ExchangeSlot {
    /// A new slot; the only allocation that an exchange makes.
    pub fn new(worker: &Rc<Worker>) -> Self {
        let desk = Rc::<Desk>::default();
        Self { future: Box::pin(jobs(Rc::clone(worker), Rc::clone(&desk))), desk }
    }

    /// Hands the slot a job.
    pub fn begin(&mut self, job: Job) {
        self.desk.job.set(Some(job));
    }

    /// Runs the job. The connection comes back if it lives on.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Downstream>> {
        let _ = self.future.as_mut().poll(context);
        self.desk.ended.take().map_or(Poll::Pending, Poll::Ready)
    }
}

/// The size of an exchange's future, in bytes.
pub fn future_size(worker: &Rc<Worker>) -> usize {
    size_of_val(&jobs(Rc::clone(worker), Rc::default()))
}

#[expect(clippy::manual_async_fn, reason = "an async fn would hold its arguments twice")]
fn jobs(worker: Rc<Worker>, desk: Rc<Desk>) -> impl Future<Output = ()> {
    async move {
        loop {
            let job = poll_fn(|_| desk.job.take().map_or(Poll::Pending, Poll::Ready)).await;
            let (mut downstream, mut head) = begin(&worker, job);
            // What is in the page, and pipelined requests behind it, in order.
            let next = loop {
                match one(&worker, &mut downstream, &mut head).await {
                    Next::Again => {}
                    next => break next,
                }
            };
            worker.buffers.give_head(head);
            desk.ended.set(Some((next == Next::Wait).then_some(downstream)));
        }
    }
}

fn begin(worker: &Worker, job: Job) -> (Downstream, Head) {
    let mut head = worker.buffers.head();
    head.page.extend_from_slice(&job.cell[..job.length]);
    worker.buffers.give_cell(job.cell);
    (job.downstream, head)
}

/// One request, stage by stage.
#[expect(clippy::manual_async_fn, reason = "an async fn would hold its arguments twice")]
fn one(
    worker: &Rc<Worker>,
    downstream: &mut Downstream,
    head: &mut Head,
) -> impl Future<Output = Next> {
    async move {
        let request = match read::request(worker, downstream, head).await {
            Ok(request) => request,
            Err(read::Ended::Silently) => return Next::Close,
            Err(read::Ended::Refused(reject)) => {
                return finish::refuse(worker, downstream, head, None, reject).await;
            }
        };
        let routed = match route::route(worker, &downstream.listener, head, &request) {
            Ok(routed) => routed,
            Err(reject) => {
                return finish::refuse(worker, downstream, head, Some(&request), reject).await;
            }
        };
        forward::forward(worker, downstream, head, &request, &routed).await
    }
}
