//! A time that stands still while its thread was late.
//!
//! Who judges others by the time that has passed must not count its own delays: after a pause (a suspended machine, a starved
//! thread) nobody has had the chance to renew anything, and every deadline would come at once. So time goes on by what the
//! thread meant to wait, at most; what it waited beyond that is lateness, and is nobody's fault.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use coregate_core::base::limits;

/// The registry's time, since it began.
#[derive(Debug)]
pub struct FairTime {
    now: Duration,
    looked: Instant,
    late: Duration,
}

impl FairTime {
    /// Begins now.
    pub fn new(now: Instant) -> Self {
        Self { now: Duration::ZERO, looked: now, late: Duration::ZERO }
    }

    /// It is `now`; the thread had meant to come back after `planned`. Gives the time.
    pub fn advance(&mut self, now: Instant, planned: Duration) -> Duration {
        let passed = now.saturating_duration_since(self.looked);
        let counted = passed.min(planned + limits::REGISTRY_SLACK);
        self.looked = now;
        self.late += passed - counted;
        self.now += counted;
        self.now
    }

    /// The time, as it was when it was last advanced.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// All that was not counted.
    pub fn late(&self) -> Duration {
        self.late
    }
}

/// The wall clock now, in seconds of Unix time; 0 where it stands before 1970.
pub fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_does_not_count() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let ms = Duration::from_millis;
        let mut time = FairTime::new(start);
        assert_eq!(time.advance(at(100), ms(100)), ms(100));
        assert_eq!(time.advance(at(103), ms(1_000)), ms(103), "woken early");
        let after = time.advance(at(90_103), ms(100));
        assert_eq!(after, ms(203) + limits::REGISTRY_SLACK, "90 s in which nobody was heard");
        assert_eq!(time.late(), ms(89_900) - limits::REGISTRY_SLACK);
        assert_eq!(time.advance(at(90_000), ms(0)), after, "never backwards");
    }
}
