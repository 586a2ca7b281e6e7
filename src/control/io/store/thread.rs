//! The store's thread: commits what waits, again and again; and what it does where it cannot.
//!
//! ```text
//!            a commit fails                    1 s, 2 s, … 30 s                  all of it comes
//!  open ───────────────────▶ failed ────────────────────▶ begun anew ──────────────────▶ written, adopted: open
//!   │ close ▲ open             ▲───────────── fails ───────────┘──────── fails ───────────┘
//!   └▶ closed ─────────────────┘ cannot be opened
//! ```

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use coregate_core::base::limits;

use super::Disk;
use super::book::{Book, Fault};
use crate::registry::keep::{Ask, Asked, Batch, Progress};
use crate::registry::log::Waker;

/// The store as its thread has it.
pub(super) struct Thread<D> {
    disk: D,
    mode: Mode,
    asks: Receiver<Ask>,
    progress: Arc<Progress>,
    waker: Waker,
    tell: Box<dyn Fn(&str) + Send>,
}

/// How it stands.
#[derive(Debug)]
enum Mode {
    /// It is written to.
    Open(Book),
    /// It cannot be: then it is tried again, and after that once more after so long.
    Failed { again: Instant, pause: Duration },
    /// It was begun anew, and all of it was asked for.
    Anew { book: Book, pause: Duration },
    /// Another process has it; whether nothing might be written before either.
    Closed { sealed: bool },
    /// Nothing may be written: what is there must not be lost.
    Sealed,
}

impl<D: Disk> Thread<D> {
    pub(super) fn new(
        disk: D,
        book: Result<Book, Fault>,
        sealed: bool,
        asked: Asked,
        waker: Waker,
        tell: Box<dyn Fn(&str) + Send>,
    ) -> Self {
        let Asked { asks, progress } = asked;
        let mode = match book {
            Ok(book) => Mode::Open(book),
            // That was said by whoever opened it.
            Err(fault) => {
                progress.errors.one();
                progress.set_fault(Some(fault.to_string()));
                if sealed { Mode::Sealed } else { failed(limits::STORE_AGAIN) }
            }
        };
        Self { disk, mode, asks, progress, waker, tell }
    }

    pub(super) fn start(mut self) -> io::Result<JoinHandle<()>> {
        Builder::new().name("store".into()).spawn(move || self.run())
    }

    #[cfg(test)]
    pub(super) fn is_sealed(&self) -> bool {
        matches!(self.mode, Mode::Sealed)
    }

    pub(super) fn run(&mut self) {
        let mut next = None;
        loop {
            let ask = match next.take() {
                Some(ask) => ask,
                None => match self.wait() {
                    Ok(Some(ask)) => ask,
                    Ok(None) => {
                        self.look();
                        continue;
                    }
                    Err(Ended) => return,
                },
            };
            match ask {
                Ask::Write(first) => next = self.write(first),
                Ask::Whole(batch) => self.whole(&batch),
                Ask::Close(number) => self.close(number),
                Ask::Open => self.open(),
            }
            self.waker.wake();
        }
    }

    /// What is asked next; none: it is time to look at the disk.
    fn wait(&self) -> Result<Option<Ask>, Ended> {
        let most = match self.mode {
            Mode::Open(_) => limits::STORE_LOOK,
            Mode::Failed { again, .. } => again.saturating_duration_since(Instant::now()),
            Mode::Anew { .. } | Mode::Closed { .. } | Mode::Sealed => {
                return self.asks.recv().map(Some).map_err(|_| Ended);
            }
        };
        match self.asks.recv_timeout(most) {
            Ok(ask) => Ok(Some(ask)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Ended),
        }
    }

    /// Commits a batch with all that waits behind it; gives back what is no batch.
    fn write(&mut self, first: Batch) -> Option<Ask> {
        let mut changes = first.writes.len();
        let mut batches = vec![first];
        let mut next = None;
        while changes < limits::STORE_COMMIT && next.is_none() {
            match self.asks.try_recv() {
                Ok(Ask::Write(batch)) => {
                    changes += batch.writes.len();
                    batches.push(batch);
                }
                Ok(other) => next = Some(other),
                Err(_) => break,
            }
        }
        let number = batches.last().map_or(0, |batch| batch.number);
        let Mode::Open(book) = &self.mode else {
            self.progress.settle(number, false);
            return next;
        };
        let written = self.committed(book.write(&batches)).and_then(|()| self.disk.look());
        self.progress.settle(number, written.is_ok());
        if let Err(fault) = written {
            self.fail(&fault, limits::STORE_AGAIN);
        }
        next
    }

    fn committed(&self, written: Result<u64, Fault>) -> Result<(), Fault> {
        let bytes = written?;
        self.progress.commits.one();
        self.progress.bytes.add(bytes);
        Ok(())
    }

    /// Writes everything to what was begun anew, which takes the place of what was there.
    fn whole(&mut self, batch: &Batch) {
        let (book, pause) = match std::mem::replace(&mut self.mode, Mode::Closed { sealed: false })
        {
            Mode::Anew { book, pause } => (book, pause),
            // It was closed meanwhile.
            other => {
                self.mode = other;
                return self.progress.settle(batch.number, false);
            }
        };
        let written = self.committed(book.write(std::slice::from_ref(batch)));
        match written.and_then(|()| self.disk.adopt()) {
            Ok(()) => {
                self.mode = Mode::Open(book);
                self.well();
                self.progress.settle(batch.number, true);
            }
            Err(fault) => {
                drop(book);
                self.progress.settle(batch.number, false);
                self.fail(&fault, (2 * pause).min(limits::STORE_AGAIN_MAX));
            }
        }
    }

    fn well(&self) {
        if self.progress.fault().is_some() {
            self.progress.set_fault(None);
            (self.tell)("the state directory can be written again: all registrations are in it");
        }
    }

    fn fail(&mut self, fault: &dyn std::fmt::Display, pause: Duration) {
        let fault = fault.to_string();
        self.progress.errors.one();
        if self.progress.fault().as_ref() != Some(&fault) {
            (self.tell)(&format!(
                "the state directory cannot be written: {fault}: registrations are kept in memory alone until it can, and lost at a restart"
            ));
        }
        self.progress.set_fault(Some(fault));
        self.mode = failed(pause);
    }

    /// Nothing was asked for a while.
    fn look(&mut self) {
        match self.mode {
            Mode::Open(_) => {
                if let Err(fault) = self.disk.look() {
                    self.fail(&fault, limits::STORE_AGAIN);
                }
            }
            Mode::Failed { .. } => self.begin_anew(),
            Mode::Anew { .. } | Mode::Closed { .. } | Mode::Sealed => {}
        }
    }

    /// It is time to see whether it can be written to.
    fn begin_anew(&mut self) {
        let Mode::Failed { pause, .. } = self.mode else { return };
        match self.disk.fresh() {
            Ok(book) => {
                self.mode = Mode::Anew { book, pause };
                self.progress.want_all();
                self.waker.wake();
            }
            Err(fault) => self.fail(&fault, (2 * pause).min(limits::STORE_AGAIN_MAX)),
        }
    }

    fn close(&mut self, number: u64) {
        self.mode = Mode::Closed { sealed: matches!(self.mode, Mode::Sealed) };
        self.disk.release();
        self.progress.settle(number, self.progress.fault().is_none());
    }

    fn open(&mut self) {
        let Mode::Closed { sealed } = self.mode else { return };
        let claimed = self.disk.claim();
        if let Err(error) = claimed {
            return self.unclaimed(&error);
        }
        if sealed {
            self.mode = Mode::Sealed;
            return;
        }
        if self.progress.fault().is_some() {
            self.mode = failed(limits::STORE_AGAIN);
            return;
        }
        match self.disk.open() {
            // What is in it is what was when it was closed: nobody else has served meanwhile.
            Ok((book, _)) => self.mode = Mode::Open(book),
            Err(fault @ Fault::Held) => self.unclaimed(&fault),
            Err(fault) => self.fail(&fault, limits::STORE_AGAIN),
        }
    }

    /// Somebody else has it and will not give it back: it is theirs.
    fn unclaimed(&mut self, error: &dyn std::fmt::Display) {
        self.fail(error, limits::STORE_AGAIN);
        self.mode = Mode::Sealed;
    }
}

/// Nobody asks any more.
struct Ended;

fn failed(pause: Duration) -> Mode {
    Mode::Failed { again: Instant::now() + pause, pause }
}
