//! Which probe is made when: an ordered queue, an interval with jitter, and one budget for all of them.
//!
//! ```text
//!              due, and the budget and those on their way leave room
//!   waiting ──────────────────────────────────────────────────────▶ on its way
//!      ▲                                                               │
//!      └───────────────────────────────────────────────────────────────┘ a result; or none in time: lost
//! ```
//!
//! - **Staggered**: the first probes of a service's instances are spread over its interval, each next one into the largest gap that
//!   those before have left (multiples of the golden ratio). An instance that has just registered is probed at once instead.
//! - **Jitter**: each interval is between 0.9 and 1.1 of what it should be, so that what began together does not stay so.
//! - **Budget**: [`limits::PROBES_PER_SECOND`] in all, of which two steps' worth may go at once, and at most
//!   [`limits::PROBES_AT_ONCE`] on their way. Where the intervals together ask for more, each is stretched by as much, for all alike.
//!
//! Times are rounded up to steps of [`limits::PROBE_STEP`], so that whoever carries this out wakes no more often.

use std::collections::BTreeSet;
use std::time::Duration;

use coregate_core::base::limits;

use super::random::{Random, part};

/// What one probe takes of the budget.
const COST: Duration = Duration::from_nanos(1_000_000_000 / limits::PROBES_PER_SECOND as u64);
/// What may be taken of it in advance.
const AHEAD: Duration = Duration::from_millis(2 * limits::PROBE_STEP.as_millis() as u64);
/// The budget, in probes in a million seconds, so that rare probes count too.
const BUDGET: u64 = limits::PROBES_PER_SECOND as u64 * MILLION;
const MILLION: u64 = 1_000_000;
/// The golden ratio's fraction, of 2^32: multiples of it fall far from each other.
const GOLDEN: u32 = 2_654_435_769;

/// All probes that are to come.
#[derive(Debug)]
pub(super) struct Schedule {
    queue: BTreeSet<(Duration, u32)>,
    on_way: usize,
    /// What all intervals together ask for, in the units of [`BUDGET`].
    demand: u64,
    /// When the budget is whole again.
    spent_until: Duration,
    random: Random,
}

impl Schedule {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            queue: BTreeSet::new(),
            on_way: 0,
            demand: 0,
            spent_until: Duration::ZERO,
            random: Random::new(seed),
        }
    }

    /// Instances are probed at this interval from now on: one more.
    pub(super) fn enter(&mut self, every: Duration) {
        self.demand += rate(every);
    }

    /// One less.
    pub(super) fn leave(&mut self, every: Duration) {
        self.demand -= rate(every);
    }

    /// Puts a slot in, to be looked at from `at` on; gives the step at which it is.
    pub(super) fn put(&mut self, at: Duration, slot: u32) -> Duration {
        let at = step_up(at);
        self.queue.insert((at, slot));
        at
    }

    /// Takes it out again.
    pub(super) fn take(&mut self, at: Duration, slot: u32) {
        let was_there = self.queue.remove(&(at, slot));
        debug_assert!(was_there, "a probe stands where its instance says");
    }

    /// The first slot that is due at `now`; it stays.
    pub(super) fn due(&self, now: Duration) -> Option<u32> {
        self.queue.first().filter(|(at, _)| *at <= now).map(|(_, slot)| *slot)
    }

    /// Takes one probe's worth of the budget at `now`; `false`: there is no room for it.
    pub(super) fn spend(&mut self, now: Duration) -> bool {
        let from = self.spent_until.max(now);
        if self.on_way >= limits::PROBES_AT_ONCE || from + COST > now + AHEAD {
            return false;
        }
        self.spent_until = from + COST;
        self.on_way += 1;
        true
    }

    /// What was spent last was spent on nothing.
    pub(super) fn refund(&mut self) {
        self.spent_until = self.spent_until.saturating_sub(COST);
    }

    /// One is on its way no more.
    pub(super) fn back(&mut self) {
        self.on_way -= 1;
    }

    /// When to look again, if at `now` all was done that could be.
    pub(super) fn next(&self, now: Duration) -> Option<Duration> {
        let (first, _) = *self.queue.first()?;
        // What is due and could not go waits for the budget, or for a result.
        Some(if first <= now { step_up(now + Duration::from_nanos(1)) } else { first })
    }

    /// By how much intervals are stretched, in thousandths: 1,000 where the budget is enough.
    pub(super) fn stretch(&self) -> u64 {
        (self.demand * 1_000 / BUDGET).max(1_000)
    }

    /// An interval, stretched and with its jitter.
    pub(super) fn interval(&mut self, every: Duration) -> Duration {
        let stretched = every.mul_f64(self.stretch() as f64 / 1_000.0);
        stretched * 9 / 10 + self.random.part_of(stretched / 5)
    }

    /// When the first probe of a service's instance number `number` comes, after it began to be probed.
    pub(super) fn stagger(&self, every: Duration, number: u32) -> Duration {
        let stretched = every.mul_f64(self.stretch() as f64 / 1_000.0);
        part(stretched, u64::from(number.wrapping_mul(GOLDEN)))
    }

    /// The second probe of an instance whose first came at once: what came together is spread.
    pub(super) fn spread(&mut self, every: Duration) -> Duration {
        let whole = self.interval(every);
        whole / 5 + self.random.part_of(whole * 4 / 5)
    }

    /// How many are on their way.
    pub(super) fn on_way(&self) -> usize {
        self.on_way
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    #[cfg(test)]
    pub(super) fn demand(&self) -> u64 {
        self.demand
    }
}

/// What an interval asks for, in the units of [`BUDGET`].
pub(super) fn rate(every: Duration) -> u64 {
    let per_probe = every.as_micros().max(1);
    u64::try_from(u128::from(MILLION * MILLION) / per_probe).unwrap_or(u64::MAX)
}

/// The first step at `at` or after it.
fn step_up(at: Duration) -> Duration {
    let steps = at.as_nanos().div_ceil(limits::PROBE_STEP.as_nanos());
    limits::PROBE_STEP.saturating_mul(steps.try_into().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(5);

    #[test]
    fn the_budget_holds_in_every_second() {
        let mut schedule = Schedule::new(7);
        let mut sent = Vec::new();
        let mut now = Duration::from_secs(3);
        while now < Duration::from_secs(6) {
            while schedule.spend(now) {
                sent.push(now);
                schedule.back();
            }
            now += limits::PROBE_STEP;
        }
        let most = limits::PROBES_PER_SECOND as usize;
        for from in (3_000..5_000).step_by(10).map(Duration::from_millis) {
            let within = sent.iter().filter(|at| (from..from + MILLION_US).contains(at)).count();
            assert!((most - 40..=most + 40).contains(&within), "{within} from {from:?}");
        }
    }

    const MILLION_US: Duration = Duration::from_secs(1);

    #[test]
    fn no_more_are_on_their_way_than_may_be() {
        let mut schedule = Schedule::new(7);
        let mut now = Duration::ZERO;
        for _ in 0..10_000 {
            now += limits::PROBE_STEP;
            while schedule.spend(now) {}
        }
        assert_eq!(schedule.on_way(), limits::PROBES_AT_ONCE);
    }

    #[test]
    fn intervals_stretch_where_the_budget_is_too_small() {
        let mut schedule = Schedule::new(7);
        for _ in 0..10_000 {
            schedule.enter(EVERY);
        }
        assert_eq!(schedule.stretch(), 1_000, "10,000 each 5 s are 2,000 a second");
        for _ in 0..10_000 {
            schedule.enter(EVERY);
        }
        assert_eq!(schedule.stretch(), 2_000);
        for _ in 0..1_000 {
            let interval = schedule.interval(EVERY);
            assert!((EVERY * 18 / 10..=EVERY * 22 / 10).contains(&interval), "{interval:?}");
        }
        for _ in 0..10_001 {
            schedule.leave(EVERY);
        }
        assert_eq!(schedule.stretch(), 1_000);
        schedule.enter(limits::LEASE_MAX);
        assert!(schedule.demand() > 9_999 * rate(EVERY), "the rarest counts");
    }

    #[test]
    fn first_probes_are_spread_over_the_interval() {
        let schedule = Schedule::new(7);
        let mut all: Vec<_> = (0..100).map(|number| schedule.stagger(EVERY, number)).collect();
        all.sort();
        assert!(all[0] < EVERY / 50 && all[99] < EVERY && all[99] > EVERY * 97 / 100);
        assert!(all.windows(2).all(|pair| pair[1] - pair[0] < EVERY / 40));
    }
}
