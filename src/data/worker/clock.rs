//! The worker's clock: read at few places, kept in between.
//!
//! `CLOCK_MONOTONIC_COARSE` costs a fifth of the precise clock and its grain (1 to 10 ms) is no coarser than a tick. The
//! wall clock serves the `Date` field and request ids only; it is read again when a quarter of a second has passed.
//!
//! In a world in memory time is played (`Clock::play`): it stands still but for what the world adds to it, so that a test of
//! ten thousand seconds is over at once, and the same on any machine.

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
    /// Time since the start, where it is played.
    #[cfg(feature = "memory")]
    played: Cell<Option<Duration>>,
}

impl Default for Clock {
    fn default() -> Self {
        let clock = Self {
            start: duration(clock_gettime(ClockId::MonotonicCoarse)),
            now: Cell::default(),
            wall: Cell::new(duration(clock_gettime(ClockId::Realtime))),
            wall_at: Cell::default(),
            date: RefCell::default(),
            #[cfg(feature = "memory")]
            played: Cell::default(),
        };
        clock.refresh();
        clock
    }
}

impl Clock {
    /// Reads the clock and gives the tick it is.
    pub fn refresh(&self) -> Tick {
        let since = duration(clock_gettime(ClockId::MonotonicCoarse)).saturating_sub(self.start);
        // Read and not looked at, so that what counts instructions in memory counts this one too.
        #[cfg(feature = "memory")]
        let since = self.played.get().unwrap_or(since);
        let now = Tick::at(since);
        self.now.set(now);
        if now.since(self.wall_at.get()).ticks() >= WALL_EVERY {
            self.wall.set(duration(clock_gettime(ClockId::Realtime)));
            self.wall_at.set(now);
        }
        now
    }

    /// From now on time stands still, until [`Clock::advance`] moves it.
    #[cfg(feature = "memory")]
    pub fn play(&self) {
        self.played.set(Some(TICK * self.now.get().0));
    }

    /// Moves time that is played, the wall clock with it.
    #[cfg(feature = "memory")]
    pub fn advance(&self, time: Duration) {
        let wall = self.wall() + time;
        self.played.set(self.played.get().map(|since| since + time));
        self.wall_at.set(self.refresh());
        self.wall.set(wall);
    }

    /// Nanoseconds of the host's monotonic clock, read now and to the nanosecond: what rates are counted by.
    pub fn precise(&self) -> u64 {
        let now = monotonic_ns();
        // Read and not looked at, as in `refresh`.
        #[cfg(feature = "memory")]
        let now = self.played.get().map_or(now, |since| (self.start + since).as_nanos() as u64);
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

/// The monotonic clock to the nanosecond, wherever it is played.
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(now.tv_sec), u64::try_from(now.tv_nsec));
    seconds.unwrap_or(0) * 1_000_000_000 + nanos.unwrap_or(0)
}

fn duration(time: Timespec) -> Duration {
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}
