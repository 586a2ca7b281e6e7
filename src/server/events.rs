//! What the server's own thread hears: workers, signals, questions, an upgrade on its way.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use coregate_control::io::admin::question::{Asker, Busy, Question};
use coregate_control::io::admin::report::InstanceReport;
use coregate_control::registry::notice::Notice;
use coregate_core::base::ids::WorkerId;
use coregate_core::base::limits;

use crate::server::signals::Signal;
use crate::server::threads;
use crate::server::upgrade::Attempt;

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A worker's thread says something.
    Worker(WorkerId, threads::Event),
    /// A signal came.
    Signal(Signal),
    /// Somebody asks something by the admin listener.
    Asked(Question, Asker),
    /// The registry has something to say to operators.
    Noticed(Notice),
    /// An operator's order was carried out.
    Operated(Box<InstanceReport>),
    /// An upgrade has come as far as it can by itself.
    Upgraded(Box<Attempt>),
}

/// Where events are told.
pub(crate) type Tell = mpsc::Sender<Event>;

/// Where questions are asked: so many wait and no more.
#[derive(Debug, Clone)]
pub(crate) struct Questions {
    tell: Tell,
    waiting: Arc<AtomicUsize>,
}

impl Questions {
    /// Before the server's thread.
    pub(crate) fn new(tell: Tell) -> Self {
        Self { tell, waiting: Arc::default() }
    }

    /// Asks, unless too many wait.
    pub(crate) fn ask(&self, question: Question, asker: Asker) -> Result<(), Busy> {
        let room = |waiting| (waiting < limits::QUESTIONS).then_some(waiting + 1);
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).map_err(|_| Busy)?;
        // A thread that has gone answers nobody, and the asker is told so.
        let _ = self.tell.send(Event::Asked(question, asker));
        Ok(())
    }

    /// A question was taken.
    pub(crate) fn taken(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
