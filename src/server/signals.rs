//! Signals come as events, from a thread of their own (door of signal-hook).

use std::io;
use std::thread::Builder;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use crate::server::events::{Event, Tell};

/// Tells of every signal from now on.
pub(crate) fn hear(tell: Tell) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2])?;
    let hear = move || {
        for signal in signals.forever() {
            if tell.send(Event::Signal(signal)).is_err() {
                return;
            }
        }
    };
    Builder::new().name("signals".into()).spawn(hear).map(drop)
}
