//! Coarse time: ticks of 10 ms since the process began.
//!
//! Deadlines of connections need no more than that, and a tick fits in 32 bits for 497 days; comparisons are made with
//! wrapping arithmetic, so that the wrap itself is harmless. The clock is read by the callers (rule 5).

use std::time::Duration;

/// The length of a tick.
pub const TICK: Duration = Duration::from_millis(10);

/// A moment, in ticks of 10 ms since the process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tick(pub u32);

impl Tick {
    /// The tick that a moment lies in, `since_start` being measured on the monotonic clock.
    pub fn at(since_start: Duration) -> Self {
        Self((since_start.as_millis() / TICK.as_millis()) as u32)
    }

    /// This moment and `span` more.
    #[must_use]
    pub fn after(self, span: Span) -> Self {
        Self(self.0.wrapping_add(span.0))
    }

    /// Whether this moment lies at `now` or before it.
    pub fn is_due(self, now: Self) -> bool {
        now.0.wrapping_sub(self.0) < u32::MAX / 2
    }

    /// The ticks from `earlier` to this moment; none if `earlier` is later.
    pub fn since(self, earlier: Self) -> Span {
        if earlier.is_due(self) { Span(self.0.wrapping_sub(earlier.0)) } else { Span(0) }
    }
}

/// A length of time, in whole ticks of 10 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(u32);

impl Span {
    /// A duration in ticks, rounded up, and one more: a deadline never comes early. At most 30 days.
    pub const fn of(duration: Duration) -> Self {
        let limit = Duration::from_secs(30 * 24 * 3600).as_millis();
        let millis = duration.as_millis();
        let millis = if millis > limit { limit } else { millis };
        Self(millis.div_ceil(TICK.as_millis()) as u32 + 1)
    }

    /// So many ticks.
    pub const fn of_ticks(ticks: u32) -> Self {
        Self(ticks)
    }

    /// The number of ticks.
    pub const fn ticks(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_never_comes_early_and_survives_the_wrap() {
        let now = Tick(u32::MAX - 2);
        let deadline = now.after(Span::of(Duration::from_millis(45)));
        assert_eq!(deadline, Tick(3));
        assert!(!deadline.is_due(now));
        assert!(!deadline.is_due(Tick(2)));
        assert!(deadline.is_due(Tick(3)));
        assert_eq!(Tick(3).since(now).ticks(), 6);
        assert_eq!(now.since(Tick(3)).ticks(), 0);
    }
}
