//! What live requests show of one instance.
//!
//! Workers count requests and failures of each slot, and set an instance aside themselves once enough have failed in a row: the registry
//! only looks, once every [`limits::SAMPLE_EVERY`], and then knows
//!
//! - when a request last succeeded, and whether one failed after that: what a late lease without a probe is kept by;
//! - that an instance was set aside, and when it is let in again: after so long times how often it was in a row, which falls by one
//!   for each such time in which it was not;
//! - the share of failures over a window, where a service asks for that.

use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{OutlierRate, OutlierTerms};

/// What is known of one instance.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// What the workers' counters said last.
    counted: Option<(u32, u32)>,
    /// When a request was last seen to have succeeded.
    pub(super) succeeded: Option<Duration>,
    /// Whether one failed after that.
    pub(super) fails: bool,
    /// How often it was set aside in a row.
    pub(super) ejections: u32,
    /// When it is let in again, if it is set aside.
    pub(super) until: Option<Duration>,
    /// Since when nothing was held against it.
    clean: Duration,
    window: Option<Box<Window>>,
}

impl Traffic {
    /// Takes in what the workers counted. `in_a_row`: what the word counts.
    pub(super) fn sampled(
        &mut self,
        now: Duration,
        (requests, failures): (u32, u32),
        in_a_row: u16,
        terms: &OutlierTerms,
    ) {
        let before = self.counted.replace((requests, failures));
        // What was counted before belongs to whoever had the slot.
        let Some((requests_before, failures_before)) = before else { return };
        let failed = failures.wrapping_sub(failures_before);
        // The two are not read in one moment.
        let ended = requests.wrapping_sub(requests_before).max(failed);
        if ended > failed {
            self.succeeded = Some(now);
            self.fails = failed > 0 && in_a_row > 0;
        } else if failed > 0 {
            self.fails = true;
        }
        match &terms.rate {
            None => self.window = None,
            Some(rate) if ended > 0 => {
                self.window.get_or_insert_default().add(now, rate.window, (ended, failed));
            }
            Some(_) => {}
        }
        self.forgive(now, terms.ejected);
    }

    /// Whether nothing was counted since it was looked at last, and nothing about it changes with time alone.
    pub(super) fn is_quiet(&self, counted: (u32, u32)) -> bool {
        self.counted == Some(counted)
            && self.until.is_none()
            && self.ejections == 0
            && self.window.is_none()
    }

    /// For each time that passed well one is forgotten.
    fn forgive(&mut self, now: Duration, ejected: Duration) {
        if self.until.is_none() && self.ejections > 0 && now.saturating_sub(self.clean) >= ejected {
            self.ejections -= 1;
            self.clean = now;
        }
    }

    /// Whether so large a share of its requests failed that it is to be set aside.
    pub(super) fn fails_too_often(&self, now: Duration, rate: &OutlierRate) -> bool {
        let Some(window) = &self.window else { return false };
        let (ended, failed) = window.sum(now, rate.window);
        let percent = u64::from(failed) * 100 >= u64::from(ended) * u64::from(rate.errors_percent);
        ended >= rate.min_requests.max(1) && percent
    }

    /// It was set aside at `now`; gives until when.
    pub(super) fn ejected(&mut self, now: Duration, terms: &OutlierTerms) -> Duration {
        self.ejections = self.ejections.saturating_add(1);
        let long = terms.ejected.saturating_mul(self.ejections).min(terms.ejected_max);
        let until = now.saturating_add(long.max(terms.ejected.min(terms.ejected_max)));
        self.until = Some(until);
        until
    }

    /// It is let in again.
    pub(super) fn readmitted(&mut self, now: Duration) {
        self.until = None;
        self.clean = now;
        self.fails = false;
        self.window = None;
    }

    /// Somebody else is at its address: nothing of it is known.
    pub(super) fn forget(&mut self) {
        *self = Self { counted: self.counted, ..Self::default() };
    }
}

/// Requests and failures over a time, in [`limits::OUTLIER_PARTS`] parts of it.
#[derive(Debug, Default)]
struct Window {
    parts: [(u32, u32); limits::OUTLIER_PARTS],
    /// The number of the latest part.
    at: u128,
}

impl Window {
    fn add(&mut self, now: Duration, window: Duration, (ended, failed): (u32, u32)) {
        let at = Self::part(now, window);
        let parts = limits::OUTLIER_PARTS as u128;
        for old in (self.at + 1..=at).rev().take(limits::OUTLIER_PARTS) {
            self.parts[(old % parts) as usize] = (0, 0);
        }
        self.at = at.max(self.at);
        let part = &mut self.parts[(self.at % parts) as usize];
        *part = (part.0.saturating_add(ended), part.1.saturating_add(failed));
    }

    fn sum(&self, now: Duration, window: Duration) -> (u32, u32) {
        let parts = limits::OUTLIER_PARTS as u128;
        let oldest = (Self::part(now, window) + 1).saturating_sub(parts);
        let oldest_kept = (self.at + 1).saturating_sub(parts);
        let within = oldest.max(oldest_kept)..=self.at;
        within.map(|at| self.parts[(at % parts) as usize]).fold((0, 0), |sum: (u32, u32), one| {
            (sum.0.saturating_add(one.0), sum.1.saturating_add(one.1))
        })
    }

    fn part(now: Duration, window: Duration) -> u128 {
        now.as_nanos() / (window.as_nanos() / limits::OUTLIER_PARTS as u128).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(1_000 + seconds)
    }

    fn terms() -> OutlierTerms {
        let window = Duration::from_secs(10);
        let rate = OutlierRate { errors_percent: 50, min_requests: 20, window };
        OutlierTerms { rate: Some(rate), ..OutlierTerms::default() }
    }

    #[test]
    fn what_succeeded_last_and_what_failed_since() {
        let mut traffic = Traffic::default();
        let terms = terms();
        traffic.sampled(at(0), (u32::MAX, 7), 0, &terms);
        assert_eq!(traffic.succeeded, None, "whose requests these were is not known");
        traffic.sampled(at(1), (2, 7), 0, &terms);
        assert_eq!((traffic.succeeded, traffic.fails), (Some(at(1)), false));
        traffic.sampled(at(2), (3, 8), 1, &terms);
        assert_eq!((traffic.succeeded, traffic.fails), (Some(at(1)), true));
        traffic.sampled(at(3), (3, 8), 1, &terms);
        assert!(traffic.fails, "nothing new");
        traffic.sampled(at(4), (9, 9), 0, &terms);
        assert_eq!((traffic.succeeded, traffic.fails), (Some(at(4)), false));
        traffic.sampled(at(5), (12, 10), 1, &terms);
        assert_eq!((traffic.succeeded, traffic.fails), (Some(at(5)), true), "the last one failed");
    }

    #[test]
    fn a_share_of_failures_over_a_window() {
        let (mut traffic, terms) = (Traffic::default(), terms());
        let rate = terms.rate.unwrap();
        traffic.sampled(at(0), (0, 0), 0, &terms);
        traffic.sampled(at(1), (19, 19), 0, &terms);
        assert!(!traffic.fails_too_often(at(1), &rate), "too few");
        traffic.sampled(at(2), (39, 19), 0, &terms);
        assert!(!traffic.fails_too_often(at(2), &rate), "19 of 39");
        traffic.sampled(at(3), (40, 20), 0, &terms);
        assert!(traffic.fails_too_often(at(3), &rate));
        assert!(traffic.fails_too_often(at(10), &rate));
        assert!(!traffic.fails_too_often(at(11), &rate), "the 19 are out of it");
        traffic.sampled(at(90), (41, 21), 0, &terms);
        assert!(!traffic.fails_too_often(at(90), &rate));
    }

    #[test]
    fn each_ejection_in_a_row_lasts_longer() {
        let (mut traffic, terms) = (Traffic::default(), terms());
        let mut now = at(0);
        let mut lasted = Vec::new();
        for _ in 0..12 {
            let until = traffic.ejected(now, &terms);
            lasted.push((until - now).as_secs());
            now = until;
            traffic.readmitted(now);
        }
        assert_eq!(lasted, [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]);
        for second in 0..=(30 * 4) {
            traffic.sampled(now + Duration::from_secs(second), (0, 0), 0, &terms);
        }
        assert_eq!(traffic.ejections, 8);
    }
}
