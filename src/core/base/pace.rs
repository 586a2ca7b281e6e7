//! Pace: how long a peer may keep us waiting, all in all, for the bytes it moves.
//!
//! A deadline between two pieces alone lets a peer hold a connection for hours with a byte a minute. So a peer has an
//! account of time: some to begin with, more for every byte that it moves, and all that we wait for it is taken off. An
//! account never holds more than the timeout between two pieces: who was fast for long may not stop for long.
//!
//! ```text
//!  left  = min(timeout, left + bytes / rate)     when bytes have moved
//!  left -= waited                                 when we waited
//! ```

use crate::base::time::{Span, TICK};

/// The account of one peer in one direction.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// What is left, in ticks.
    left: u32,
    /// The most that the account may hold, in ticks.
    most: u32,
    /// Bytes a second; 0: none are asked for.
    rate: u32,
    /// Bytes that have not bought a whole tick yet.
    odd: u32,
}

impl Pace {
    /// An account for a peer that must move `rate` bytes a second (0: whatever it likes) after `grace`, and may never stop for
    /// longer than `timeout`.
    pub fn new(rate: u32, grace: Span, timeout: Span) -> Self {
        let most = timeout.ticks();
        let left = if rate == 0 { most } else { most.min(grace.ticks()) };
        Self { left, most, rate, odd: 0 }
    }

    /// How long the next wait may be; at least a tick.
    pub fn patience(&self) -> Span {
        Span::of_ticks(self.left.max(1))
    }

    /// We waited so long for the peer.
    pub fn waited(&mut self, span: Span) {
        if self.rate > 0 {
            self.left = self.left.saturating_sub(span.ticks());
        }
    }

    /// The peer moved so many bytes.
    pub fn moved(&mut self, bytes: usize) {
        if self.rate == 0 {
            return;
        }
        let per_tick = u64::from(self.rate) * TICK.as_millis() as u64;
        // In thousandths of bytes, so that a slow rate buys whole ticks exactly.
        let total = u64::from(self.odd) + (bytes as u64).saturating_mul(1_000);
        let earned = u32::try_from(total / per_tick).unwrap_or(u32::MAX);
        self.odd = (total % per_tick) as u32;
        self.left = self.left.saturating_add(earned).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: u32 = 100;

    fn pace(rate: u32) -> Pace {
        Pace::new(rate, Span::of_ticks(10 * SECOND), Span::of_ticks(60 * SECOND))
    }

    #[test]
    fn a_byte_a_second_ends_after_the_grace() {
        let mut pace = pace(1024);
        let mut waited = 0;
        while pace.patience().ticks() > SECOND {
            pace.waited(Span::of_ticks(SECOND));
            pace.moved(1);
            waited += 1;
        }
        assert!((9..=10).contains(&waited), "{waited}");
    }

    #[test]
    fn the_rate_itself_never_ends() {
        let mut pace = pace(1024);
        for _ in 0..10_000 {
            pace.waited(Span::of_ticks(SECOND));
            pace.moved(1024);
        }
        assert_eq!(pace.patience().ticks(), 10 * SECOND);
    }

    #[test]
    fn speed_buys_no_more_than_the_timeout() {
        let mut pace = pace(1024);
        pace.moved(usize::MAX);
        assert_eq!(pace.patience().ticks(), 60 * SECOND);
        pace.waited(Span::of(Duration::from_secs(3600)));
        assert_eq!(pace.patience().ticks(), 1);
    }

    #[test]
    fn no_rate_is_the_timeout_alone() {
        let mut pace = pace(0);
        pace.waited(Span::of_ticks(59 * SECOND));
        assert_eq!(pace.patience().ticks(), 60 * SECOND);
    }
}
