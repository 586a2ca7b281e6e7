//! The worker's clock: read at few places, kept in between.
//!
//! `CLOCK_MONOTONIC_COARSE` costs a fifth of the precise clock and its grain (1 to 10 ms) is no coarser than a tick. The
//! wall clock serves the `Date` field and request ids only; it is read again when a quarter of a second has passed.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use coregate_core::base::time::{Span, TICK, Tick};
use coregate_core::http::date::DateCache;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// How often the wall clock is read.
const WALL_EVERY: u32 = 25;

/// A worker's clock.
#[derive(Debug)]
pub struct Clock {
    start: Duration,
    now: Cell<Tick>,
    wall: Cell<Duration>,
    wall_at: Cell<Tick>,
    date: RefCell<DateCache>,
}

impl Default for Clock {
    fn default() -> Self {
        let clock = Self {
            start: duration(clock_gettime(ClockId::MonotonicCoarse)),
            now: Cell::default(),
            wall: Cell::new(duration(clock_gettime(ClockId::Realtime))),
            wall_at: Cell::default(),
            date: RefCell::default(),
        };
        clock.refresh();
        clock
    }
}

impl Clock {
    /// Reads the clock and gives the tick it is.
    pub fn refresh(&self) -> Tick {
        let since = duration(clock_gettime(ClockId::MonotonicCoarse)).saturating_sub(self.start);
        let now = Tick::at(since);
        self.now.set(now);
        if now.since(self.wall_at.get()).ticks() >= WALL_EVERY {
            self.wall.set(duration(clock_gettime(ClockId::Realtime)));
            self.wall_at.set(now);
        }
        now
    }

    /// The tick as it was when the clock was last read.
    pub fn now(&self) -> Tick {
        self.now.get()
    }

    /// The moment `span` from now.
    pub fn after(&self, span: Span) -> Tick {
        self.now.get().after(span)
    }

    /// The time until `at`; at least one tick.
    pub fn until(&self, at: Tick) -> Duration {
        TICK * at.since(self.now.get()).ticks().max(1)
    }

    /// The wall clock, since 1970, to a quarter of a second and the ticks passed since it was read.
    pub fn wall(&self) -> Duration {
        self.wall.get() + TICK * self.now.get().since(self.wall_at.get()).ticks()
    }

    /// Uses the `Date` of the current second.
    pub fn with_date<R>(&self, then: impl FnOnce(&[u8; 29]) -> R) -> R {
        then(self.date.borrow_mut().at(self.wall()))
    }
}

fn duration(time: Timespec) -> Duration {
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}
