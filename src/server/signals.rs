//! Signals come as events, from a thread of their own (door of signal-hook).
//!
//! SIGHUP, SIGUSR1 and SIGUSR2 are asked for once until they are heard, however often they come: carrying one out takes longer than
//! sending it, and a SIGTERM behind thousands of reloads would be obeyed a minute later.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Builder;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::server::events::{Event, Tell};

/// A signal, as it is told.
#[derive(Debug)]
pub(crate) struct Signal {
    number: i32,
    /// Set while it waits to be heard; none where each counts.
    waits: Option<Arc<AtomicBool>>,
}

impl Signal {
    /// Which one it is. Those that come from now on are told again, so it is to be asked before the signal is carried out.
    pub(crate) fn hear(self) -> i32 {
        if let Some(waits) = self.waits {
            waits.store(false, Ordering::SeqCst);
        }
        self.number
    }
}

/// From now on a file that may grow no more (`ulimit -f`) is a write that fails, and no reason to die: whoever writes says so.
pub(crate) fn outlive_full_files() -> io::Result<()> {
    signal_hook::flag::register(SIGXFSZ, Arc::default()).map(drop)
}

/// Tells of every signal from now on.
pub(crate) fn hear(tell: Tell) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2])?;
    let gate = Gate::default();
    let hear = move || {
        for number in signals.forever() {
            let Some(signal) = gate.pass(number) else { continue };
            if tell.send(Event::Signal(signal)).is_err() {
                return;
            }
        }
    };
    Builder::new().name("signals".into()).spawn(hear).map(drop)
}

/// A flag that is set once this process is told to end, for a command that has something to undo then. A second signal ends it.
pub(crate) fn told_to_end() -> io::Result<Arc<AtomicBool>> {
    let told = Arc::new(AtomicBool::new(false));
    for number in [SIGTERM, SIGINT] {
        // In this order: the first finds the flag down.
        signal_hook::flag::register_conditional_default(number, Arc::clone(&told))?;
        signal_hook::flag::register(number, Arc::clone(&told))?;
    }
    Ok(told)
}

/// Which signals wait to be heard.
#[derive(Debug)]
struct Gate([(i32, Arc<AtomicBool>); 3]);

impl Default for Gate {
    fn default() -> Self {
        Self([SIGHUP, SIGUSR1, SIGUSR2].map(|number| (number, Arc::default())))
    }
}

impl Gate {
    /// A signal that came; none, if the same one waits already.
    fn pass(&self, number: i32) -> Option<Signal> {
        let waits = self.0.iter().find(|(one, _)| *one == number).map(|(_, waits)| waits);
        let again = waits.is_some_and(|waits| waits.swap(true, Ordering::SeqCst));
        (!again).then(|| Signal { number, waits: waits.cloned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_not_told_again() {
        let gate = Gate::default();
        let first = gate.pass(SIGHUP).unwrap();
        assert!((0..1_000).all(|_| gate.pass(SIGHUP).is_none()));
        let other = gate.pass(SIGUSR2).unwrap();
        assert_eq!((first.hear(), other.hear()), (SIGHUP, SIGUSR2));
        // It came while the first was carried out, and may mean a newer file.
        assert_eq!(gate.pass(SIGHUP).map(Signal::hear), Some(SIGHUP));
    }

    /// The second one ends the process at once.
    #[test]
    fn each_order_to_stop_counts() {
        let gate = Gate::default();
        for number in [SIGTERM, SIGTERM, SIGINT, SIGTERM] {
            assert_eq!(gate.pass(number).map(Signal::hear), Some(number));
        }
    }
}
