//! Which configurations a client may see at a moment, and when a connect may be refused.
//!
//! Configurations have ages: 0 is the first, each one that is applied is one older. An age has *begun* before it is asked for, and
//! is *settled* once the gateway has said that it holds. A request that is sent while `s` is settled, and answered while `b` has
//! begun, must be answered as one of the ages `s..=b` says: nothing older, since every worker has it by then.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What is right at which age.
pub trait World: Send + Sync {
    /// The origins that may answer this target.
    fn names(&self, age: u64, target: &str) -> &[&'static str];

    /// Whether somebody listens where the clients that come and go connect to.
    fn listens(&self, age: u64) -> bool;
}

/// One world that never changes: every answer is by one of these.
pub struct Steady(pub &'static [&'static str]);

impl World for Steady {
    fn names(&self, _: u64, _: &str) -> &[&'static str] {
        self.0
    }

    fn listens(&self, _: u64) -> bool {
        true
    }
}

/// Where a run stands; the driver writes it and the crowd reads it.
#[derive(Debug)]
pub struct Stage {
    settled: AtomicU64,
    begun: AtomicU64,
    start: Instant,
    /// From when on a refused connect is the end of a client, in µs since the start; `u64::MAX`: never.
    over_from_us: AtomicU64,
    leave: AtomicBool,
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            settled: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            start: Instant::now(),
            over_from_us: AtomicU64::new(u64::MAX),
            leave: AtomicBool::new(false),
        }
    }
}

impl Stage {
    /// The next age is about to be asked for; gives it.
    pub fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The age that was begun last holds.
    pub fn settle(&self) {
        self.settled.store(self.begun.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// The oldest age that something which begins now may see.
    pub fn oldest(&self) -> u64 {
        self.settled.load(Ordering::SeqCst)
    }

    /// The ages that something may have seen which began at `oldest` and ends now.
    pub fn since(&self, oldest: u64) -> RangeInclusive<u64> {
        oldest..=self.begun.load(Ordering::SeqCst)
    }

    /// From `after` from now on, a refused connect is the end of its client.
    pub fn over_after(&self, after: Duration) {
        let from = (self.start.elapsed() + after).as_micros() as u64;
        self.over_from_us.store(from, Ordering::SeqCst);
    }

    /// Whether a refused connect is the end of its client by now.
    pub fn is_over(&self) -> bool {
        self.start.elapsed().as_micros() as u64 >= self.over_from_us.load(Ordering::SeqCst)
    }

    /// Clients end with the answer that they wait for.
    pub fn leave(&self) {
        self.leave.store(true, Ordering::SeqCst);
    }

    /// Whether they are to.
    pub fn is_left(&self) -> bool {
        self.leave.load(Ordering::SeqCst)
    }
}

/// Whether this is the body of an answer that is right at one of these ages.
pub fn is_right(world: &dyn World, ages: RangeInclusive<u64>, target: &str, body: &[u8]) -> bool {
    let by = |name: &str| {
        body.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b" "))
            == Some(target.as_bytes())
    };
    ages.into_iter().any(|age| world.names(age, target).iter().any(|name| by(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Alternating;

    impl World for Alternating {
        fn names(&self, age: u64, _: &str) -> &[&'static str] {
            if age.is_multiple_of(2) { &["a", "b"] } else { &["c"] }
        }

        fn listens(&self, age: u64) -> bool {
            age.is_multiple_of(2)
        }
    }

    #[test]
    fn an_answer_is_right_at_an_age_that_was_there() {
        let stage = Stage::default();
        let right =
            |oldest, body: &str| is_right(&Alternating, stage.since(oldest), "/x", body.as_bytes());
        let sent = stage.oldest();
        assert!(right(sent, "a /x") && right(sent, "b /x"));
        assert!(
            !right(sent, "c /x")
                && !right(sent, "a /y")
                && !right(sent, "a /x ")
                && !right(sent, "")
        );
        stage.begin();
        assert!(right(sent, "a /x") && right(sent, "c /x"));
        stage.settle();
        // What was sent before may have been routed before; what is sent now may not.
        assert!(right(sent, "a /x") && !right(stage.oldest(), "a /x"));
        assert!(right(stage.oldest(), "c /x"));
    }

    #[test]
    fn a_stage_is_over_from_then_on() {
        let stage = Stage::default();
        assert!(!stage.is_over());
        stage.over_after(Duration::from_secs(3600));
        assert!(!stage.is_over());
        stage.over_after(Duration::ZERO);
        assert!(stage.is_over());
    }
}
