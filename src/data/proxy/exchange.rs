//! An exchange: one request and its response, led through every stage in order.
//!
//! Exchanges run in recycled slots: a slot is one boxed future that serves job after job, so that a request allocates
//! nothing. Whoever holds the slot polls it; between jobs it waits for its next one. A slot whose exchange panicked is
//! dropped by the unwinding, never used again.

use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use coregate_core::base::limits;
use coregate_core::http::head::{Head, Request};
use futures_util::FutureExt;

use crate::proxy::act::{self, Way};
use crate::proxy::answer::Settled;
use crate::proxy::connection::Downstream;
use crate::proxy::finish::{self, Next};
use crate::proxy::outbound::Outbound;
use crate::proxy::quota::{self, Asking, Halt, Patience, Taken};
use crate::proxy::read::{self, Begun};
use crate::proxy::reject::Reject;
use crate::proxy::route::{self, Arrived};
use crate::proxy::{authenticate, forward, limit, tunnel};
use crate::worker::buffers::ReceiveCell;
use crate::worker::context::Worker;
use crate::worker::rest::breathe;

/// A request that has begun to arrive.
#[derive(Debug)]
pub struct Job {
    /// The connection it arrives on.
    pub downstream: Downstream,
    /// What there is of it.
    pub first: First,
}

/// The first bytes of a request.
#[derive(Debug)]
pub enum First {
    /// What an idle connection read: a cell, and how much of it.
    Cell(ReceiveCell, u16),
    /// A head that came in pieces, or behind something else.
    Begun(Box<Begun>),
}

/// What an exchange leaves of its connection.
pub enum Left {
    /// It is closed.
    Closed,
    /// It waits for a request.
    Waiting(Downstream),
    /// It is busy with something rare that needs no exchange: the rest of a head that is not whole, or a tunnel. A request
    /// may come of it.
    Busy(Rare),
}

/// A connection that lives on, and what has come of its next request.
pub type Kept = (Downstream, Option<First>);

/// Something rare that a connection does between exchanges. Boxed, so that what is not rare stays small.
pub struct Rare(Pin<Box<dyn Future<Output = Option<Kept>>>>);

impl Rare {
    /// It may live on.
    pub fn new(future: impl Future<Output = Option<Kept>> + 'static) -> Self {
        Self(Box::pin(future))
    }
}

impl fmt::Debug for Rare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rare")
    }
}

/// What a connection does with a request that has begun to arrive: an exchange, and what follows from it. One value for both,
/// so that the future that holds it stays small.
#[derive(Debug)]
pub enum Running {
    /// An exchange, in its slot.
    Exchange(ExchangeSlot),
    /// Something rare that the exchange left.
    Rare(Rare),
    /// Nothing more.
    Over,
}

impl Running {
    /// Begins an exchange.
    pub fn new(worker: &Rc<Worker>, job: Job) -> Self {
        let mut slot = worker.take_exchange().unwrap_or_else(|| ExchangeSlot::new(worker));
        slot.begin(job);
        Self::Exchange(slot)
    }

    /// Runs it. The connection comes back if it lives on, with what has come of its next request.
    pub fn poll(&mut self, worker: &Worker, context: &mut Context<'_>) -> Poll<Option<Kept>> {
        if let Self::Exchange(slot) = self {
            let left = ready!(slot.poll(context));
            if let Self::Exchange(slot) = mem::replace(self, Self::Over) {
                worker.give_exchange(slot);
            }
            match left {
                Left::Closed => return Poll::Ready(None),
                Left::Waiting(kept) => return Poll::Ready(Some((kept, None))),
                Left::Busy(rare) => *self = Self::Rare(rare),
            }
        }
        match self {
            Self::Rare(rare) => rare.0.as_mut().poll(context),
            Self::Exchange(_) | Self::Over => Poll::Ready(None),
        }
    }
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
    left: Cell<Option<Left>>,
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

    /// Runs the job; gives what it leaves of the connection.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Left> {
        let _ = self.future.as_mut().poll(context);
        self.desk.left.take().map_or(Poll::Pending, Poll::Ready)
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
            let Job { mut downstream, first } = job;
            let (mut head, mut begun) = begin(&worker, first);
            // What is in the page, and pipelined requests behind it, in order.
            let mut pipelined = 0;
            let next = loop {
                match one(&worker, &mut downstream, &mut head, &mut begun).await {
                    Next::Again => {
                        breathe(&worker, &mut pipelined, limits::PIPELINED_PER_TURN).await
                    }
                    next => break next,
                }
            };
            let left = match next {
                Next::Wait => Left::Waiting(downstream),
                Next::More => {
                    let begun = Begun::taken_out(begun, &worker.buffers, &mut head);
                    Left::Busy(Rare::new(read::more(downstream, begun)))
                }
                Next::Switch(switched) => {
                    let tunnel = switched.tunnel(downstream);
                    Left::Busy(Rare::new(tunnel::run(tunnel).map(|()| None)))
                }
                Next::Again | Next::Close => Left::Closed,
            };
            worker.buffers.give_head(head);
            desk.left.set(Some(left));
        }
    }
}

/// Puts the first bytes of a request where its head is looked for.
fn begin(worker: &Worker, first: First) -> (Head, Option<Box<Begun>>) {
    let mut head = worker.buffers.head();
    match first {
        First::Cell(cell, length) => {
            head.page.extend_from_slice(&cell[..usize::from(length)]);
            worker.buffers.give_cell(cell);
            (head, None)
        }
        First::Begun(mut begun) => {
            let page = mem::take(&mut begun.page);
            if page.capacity() > limits::PAGE_SMALL_BYTES {
                worker.buffers.give(mem::replace(&mut head.page, page));
            } else {
                head.page.extend_from_slice(&page);
                worker.buffers.give(page);
            }
            (head, Some(begun))
        }
    }
}

/// One request, stage by stage. `begun`: since when its head is awaited, if it did not come at once.
#[expect(clippy::manual_async_fn, reason = "an async fn would hold its arguments twice")]
fn one(
    worker: &Rc<Worker>,
    downstream: &mut Downstream,
    head: &mut Head,
    begun: &mut Option<Box<Begun>>,
) -> impl Future<Output = Next> {
    async move {
        if begun.as_ref().is_some_and(|begun| begun.late) {
            let refusal = Reject::HeadTimeout.into();
            return finish::refuse(worker, downstream, head, None, refusal).await;
        }
        let mut request = match read::request(worker, downstream, head) {
            Ok(Some(request)) => request,
            Ok(None) => return Next::More,
            Err(reject) => {
                return finish::refuse(worker, downstream, head, None, reject.into()).await;
            }
        };
        *begun = None;
        downstream.served += 1;
        let mut patience = Patience::default();
        let outbound = loop {
            match stages(worker, downstream, head, &mut request, patience) {
                Ok(outbound) => break outbound,
                Err(Stopped::Told(told)) => {
                    return finish::answer(worker, downstream, head, Some(&request), told).await;
                }
                Err(Stopped::Ask(asking)) => {
                    Box::pin(quota::wait(worker, *asking, &mut patience)).await;
                }
            }
        };
        forward::forward(worker, downstream, head, &request, outbound).await
    }
}

/// All that is decided of a request before anything is sent, by one snapshot: each stage's product is what the next demands. Else
/// what its client is told.
#[inline]
fn stages(
    worker: &Rc<Worker>,
    downstream: &Downstream,
    head: &mut Head,
    request: &mut Request,
    patience: Patience,
) -> Result<Outbound, Stopped> {
    let admitted = worker.with_snapshot(|snapshot| {
        let arrived = Arrived::new(worker, snapshot, downstream, (head, request));
        let routed = route::route(&arrived)?;
        let checked = limit::check(&arrived, routed)?;
        let authenticated = authenticate::authenticate(&arrived, checked)?;
        let taken = quota::take(&arrived, &authenticated, patience)?;
        let admitted = limit::spend(&arrived, authenticated)?;
        taken.into_iter().for_each(Taken::keep);
        Ok(admitted)
    });
    let refused = match admitted {
        Ok(admitted) => match act::act(worker, downstream, head, request, admitted) {
            Ok(Way::Forward(outbound)) => return Ok(outbound),
            Ok(Way::Answer(settled)) => return Err(Stopped::Told(Some(settled))),
            Err(refused) => refused,
        },
        Err(Halt::Refused(refused)) => refused,
        Err(Halt::Ask(asking)) => return Err(Stopped::Ask(asking)),
    };
    let refusal = refused.told(downstream.listener.terms.rate_headers);
    Err(Stopped::Told(finish::refused(worker, downstream, head, Some(request), &refusal)))
}

/// Why nothing is sent to a service, or not yet.
enum Stopped {
    /// Its client is told this.
    Told(Option<Settled>),
    /// Control must be asked first.
    Ask(Box<Asking>),
}
