//! The line of those who wait for a service, on one worker: a [`Queue`] of seats.
//!
//! Who waits is counted twice: in the service's word, for the host, and in the worker's holdings, by class. A place in the line sees to
//! both, however it ends.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use coregate_core::base::ids::ServiceId;
use coregate_core::policy::queue::{Class, Queue, Ticket};

use crate::proxy::bulkhead;
use crate::proxy::pick::Picked;
use crate::proxy::reject::Reject;
use crate::worker::context::Worker;

/// Those who wait for one service.
#[derive(Debug, Default)]
pub struct Line(RefCell<Queue<Rc<Seat>>>);

/// The lines of a worker, of services for which somebody waits.
#[derive(Debug, Default)]
pub struct Lines(RefCell<BTreeMap<ServiceId, Rc<Line>>>);

impl Lines {
    /// Whether nobody waits for anything.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// The services for which somebody waits.
    pub fn services(&self) -> Vec<ServiceId> {
        self.0.borrow().keys().copied().collect()
    }

    /// The line of a service, if there is one.
    pub fn get(&self, service: ServiceId) -> Option<Rc<Line>> {
        self.0.borrow().get(&service).cloned()
    }

    fn line(&self, service: ServiceId) -> Rc<Line> {
        Rc::clone(self.0.borrow_mut().entry(service).or_default())
    }

    /// Somebody has left a line.
    fn left(&self, service: ServiceId) {
        let mut lines = self.0.borrow_mut();
        if lines.get(&service).is_some_and(|line| line.0.borrow().is_empty()) {
            lines.remove(&service);
        }
    }
}

/// Who is next in a line.
#[derive(Debug)]
pub struct First {
    ticket: Ticket,
    class: Class,
}

impl Line {
    /// The class of who is next.
    pub fn best(&self) -> Option<Class> {
        self.0.borrow().best()
    }

    /// Who is next.
    pub fn first(&self) -> Option<First> {
        let queue = self.0.borrow();
        let (ticket, seat) = queue.next()?;
        Some(First { ticket, class: seat.class })
    }

    /// Whoever is next takes a step out, or is told why not; its word has been counted in already.
    pub fn call(&self, worker: &Worker, service: ServiceId, first: First, told: Told) {
        let seat = self.0.borrow_mut().leave(first.ticket);
        worker.lines.left(service);
        if let Some(seat) = seat {
            seat.tell(told);
        }
    }

    /// Refuses who has waited too long.
    pub fn refuse_late(
        &self,
        worker: &Rc<Worker>,
        service: ServiceId,
        wait: Duration,
        now: Duration,
    ) {
        loop {
            let late = self.0.borrow_mut().late(wait, now);
            let Some((class, seat)) = late else { break };
            worker.holdings().wait_no_more(service, class);
            worker.lines.left(service);
            worker.cells.bulkhead(service).give_up();
            seat.tell(Told::No(Reject::BulkheadFull));
        }
    }

    /// In a full queue, whoever must go for one of this class is refused; whether there was one, whose place in the count is free.
    pub fn displace(&self, worker: &Worker, service: ServiceId, class: Class) -> bool {
        let displaced = self.0.borrow_mut().displace(class);
        let Some((class, seat)) = displaced else { return false };
        worker.holdings().wait_no_more(service, class);
        seat.tell(Told::No(Reject::BulkheadFull));
        true
    }
}

impl First {
    /// Its class.
    pub fn class(&self) -> Class {
        self.class
    }
}

/// What one who waits is told in the end.
#[derive(Debug)]
pub enum Told {
    /// It is let in, to this instance.
    In(Promised),
    /// It is refused.
    No(Reject),
}

/// An instance for a request that has not begun yet.
#[derive(Debug)]
pub struct Promised {
    /// There until it is kept.
    picked: Option<Picked>,
}

impl Promised {
    /// To one who waits.
    pub fn new(picked: Picked) -> Self {
        let promised = &picked.instance().promised;
        promised.set(promised.get() + 1);
        Self { picked: Some(picked) }
    }

    /// It begins.
    fn kept(mut self) -> Picked {
        match self.broken() {
            Some(picked) => picked,
            None => unreachable!("only keeping or dropping it takes it"),
        }
    }

    fn broken(&mut self) -> Option<Picked> {
        let picked = self.picked.take()?;
        let promised = &picked.instance().promised;
        promised.set(promised.get() - 1);
        Some(picked)
    }
}

impl Drop for Promised {
    fn drop(&mut self) {
        drop(self.broken());
    }
}

/// Where one waits.
#[derive(Debug)]
struct Seat {
    class: Class,
    told: RefCell<Option<Told>>,
    waker: RefCell<Option<Waker>>,
}

impl Seat {
    fn tell(&self, told: Told) {
        self.told.replace(Some(told));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Told> {
        if let Some(told) = self.told.take() {
            return Poll::Ready(told);
        }
        self.waker.replace(Some(context.waker().clone()));
        Poll::Pending
    }
}

/// A place in a line. Whoever drops it leaves the line, and what it was given meanwhile is given back.
#[must_use = "whoever drops it waits no more"]
#[derive(Debug)]
pub struct Place {
    worker: Rc<Worker>,
    service: ServiceId,
    line: Rc<Line>,
    ticket: Ticket,
    seat: Rc<Seat>,
}

impl Place {
    /// One of this class, which was counted as waiting in the service's word, joins the line.
    pub fn join(worker: &Rc<Worker>, service: ServiceId, class: Class, now: Duration) -> Self {
        let line = worker.lines.line(service);
        let seat = Rc::new(Seat { class, told: RefCell::default(), waker: RefCell::default() });
        let ticket = line.0.borrow_mut().push(class, Rc::clone(&seat), now);
        worker.holdings().wait(service, class);
        worker.beat();
        Self { worker: Rc::clone(worker), service, line, ticket, seat }
    }

    /// Waits until it is let in or refused. Cancel safety: may be dropped, as the place may.
    pub async fn wait(self) -> Result<Picked, Reject> {
        match poll_fn(|context| self.seat.poll(context)).await {
            Told::In(promised) => Ok(promised.kept()),
            Told::No(reject) => Err(reject),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(seat) = self.line.0.borrow_mut().leave(self.ticket) else { return };
        let (worker, service) = (&self.worker, self.service);
        worker.lines.left(service);
        worker.holdings().wait_no_more(service, seat.class);
        if worker.cells.bulkhead(service).give_up().waiting() > 0 {
            bulkhead::freed(worker, service);
        }
    }
}
