//! Work that keeps a CPU busy whenever nobody else wants it, in runs with changes and in runs without.
//!
//! Virtual CPUs share the processors of their host: one that is busy makes its neighbour late, whatever runs there. Changes keep the load's CPU busy,
//! so without this a run with them differs from one without by what the host makes of that, beside what the changes do.

use std::hint::spin_loop;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};

use crate::{machine, sock};

/// Steps between two looks at whether it is to end: about a tenth of a ms.
const STEPS: u32 = 10_000;

/// A thread that is busy, and gives way to all others of its CPU at once; ends when dropped.
#[derive(Debug)]
pub struct Filler {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Filler {
    /// Keeps this CPU busy.
    pub fn begin(cpu: usize) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ends);
        let thread = spawn(move || {
            sock::pin(cpu)?;
            machine::run_last()?;
            while !told.load(Ordering::Relaxed) {
                (0..STEPS).for_each(|_| spin_loop());
            }
            Ok(())
        });
        Self { ends, thread: Some(thread) }
    }

    /// Whether it still fills; it does not where it may not give way.
    pub fn check(&self) -> io::Result<()> {
        match self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            true => Ok(()),
            false => Err(io::Error::other("the load's CPU could not be kept busy")),
        }
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        // What it could not do was told by `check`.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
