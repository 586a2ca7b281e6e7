//! What an answer of a source means: pure, with times and chance given.
//!
//! - An answer counts for its TTL, within the operator's bounds, and up to a tenth longer, so that sources that began together do
//!   not stay so. Never shorter: a cache on the way would give the same answer again.
//! - A failure changes nothing; it is tried again after 1 s, 2 s, 4 s and so on.
//! - That there is nothing is believed when two look-ups in a row say so, at least a second apart: Kubernetes says of a headless
//!   service without ready pods that its name does not exist, and so do servers that are being restarted.

use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;

use coregate_core::snapshot::plan::DnsTerms;

/// Instances, and their weights.
pub(super) type Instances = Vec<(Address, u32)>;

/// What a look at a source gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// These instances.
    Found {
        /// They.
        instances: Instances,
        /// For how long.
        ttl: Duration,
        /// What failed nonetheless; for that part the last answer stands in.
        lacking: Option<String>,
    },
    /// There is nothing.
    Nothing {
        /// For how long.
        ttl: Duration,
    },
    /// No answer.
    Failed(String),
}

/// What is known of a source.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    /// What the registry was told.
    told: Option<Instances>,
    /// Since when there is said to be nothing, without a break.
    nothing: Option<Duration>,
    failures: u32,
    is_failing: bool,
    is_cut: bool,
}

/// What follows from an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The registry is to be told this.
    pub(super) tell: Option<Instances>,
    /// The next look is due after this.
    pub(super) next: Duration,
    /// What the operator is to be told.
    pub(super) news: Option<News>,
    /// What is wrong, if something is.
    pub(super) failing: Option<String>,
}

/// Something changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The source fails from now on.
    Fails,
    /// It does no more.
    Answers,
    /// It brings so many, and not all of them are taken.
    TooMany(usize),
}

impl Keeper {
    /// An answer has come at `now`; `chance` is from 0 to 1.
    pub(super) fn take(
        &mut self,
        answer: Answer,
        now: Duration,
        chance: f64,
        terms: &DnsTerms,
    ) -> Step {
        let fresh = |ttl: Duration| {
            ttl.clamp(terms.min_ttl, terms.max_ttl.max(terms.min_ttl)).mul_f64(1.0 + chance / 10.0)
        };
        match answer {
            Answer::Failed(why) => {
                self.nothing = None;
                let doubled = limits::SOURCE_RETRY * (1 << self.failures.min(10));
                self.failures = self.failures.saturating_add(1);
                let next = doubled.min(limits::SOURCE_RETRY_MAX).mul_f64(1.0 - chance / 4.0);
                Step { tell: None, next, news: self.fails(true), failing: Some(why) }
            }
            Answer::Found { mut instances, ttl, lacking } => {
                (self.nothing, self.failures) = (None, 0);
                let all = instances.len();
                instances.sort();
                instances.dedup_by(|one, other| one.0 == other.0);
                instances.truncate(limits::INSTANCES_PER_SOURCE);
                let is_cut =
                    instances.len() == limits::INSTANCES_PER_SOURCE && instances.len() < all;
                let cut = (is_cut && !self.is_cut).then_some(News::TooMany(all));
                self.is_cut = is_cut;
                let news = self.fails(lacking.is_some()).or(cut);
                let tell = (self.told.as_ref() != Some(&instances)).then_some(instances);
                Step { tell, next: fresh(ttl), news, failing: lacking }
            }
            Answer::Nothing { ttl } => {
                self.failures = 0;
                let news = self.fails(false);
                let since = *self.nothing.get_or_insert(now);
                let is_known = self.told.as_ref().is_some_and(Vec::is_empty);
                let is_sure = now.saturating_sub(since) >= limits::DNS_NOTHING_AGAIN;
                let tell = (is_sure && !is_known).then(Vec::new);
                let next = if is_known || is_sure { fresh(ttl) } else { limits::DNS_NOTHING_AGAIN };
                Step { tell, next, news, failing: None }
            }
        }
    }

    /// The registry has taken this.
    pub(super) fn told(&mut self, instances: Instances) {
        self.told = Some(instances);
    }

    fn fails(&mut self, fails: bool) -> Option<News> {
        let before = std::mem::replace(&mut self.is_failing, fails);
        (before != fails).then_some(if fails { News::Fails } else { News::Answers })
    }

    /// How many instances there are of it.
    pub(super) fn count(&self) -> usize {
        self.told.as_ref().map_or(0, Vec::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn found(ports: &[u16], ttl: u64) -> Answer {
        let address = |port: &u16| (Address::Tcp(([10, 0, 0, 1], *port).into()), 1);
        let instances = ports.iter().map(address).collect();
        Answer::Found { instances, ttl: SECOND * ttl as u32, lacking: None }
    }

    /// A keeper, and the time.
    #[derive(Default)]
    struct Bench(Keeper, Duration);

    impl Bench {
        /// What the registry is told, in ports; what is said; and in how many milliseconds the next look is.
        fn takes(&mut self, answer: Answer) -> (Option<usize>, Option<News>, u128) {
            let step = self.0.take(answer, self.1, 0.0, &DnsTerms::default());
            self.1 += step.next;
            let count = step.tell.as_ref().map(Vec::len);
            step.tell.into_iter().for_each(|instances| self.0.told(instances));
            (count, step.news, step.next.as_millis())
        }
    }

    #[test]
    fn an_answer_counts_for_its_time_and_is_told_once() {
        let mut bench = Bench::default();
        assert_eq!(bench.takes(found(&[2, 1, 2], 5)), (Some(2), None, 5_000));
        assert_eq!(bench.takes(found(&[1, 2], 0)), (None, None, 1_000), "in another order");
        assert_eq!(bench.takes(found(&[1, 3], 600)), (Some(2), None, 30_000));
        assert_eq!(bench.takes(found(&[], 5)), (Some(0), None, 5_000), "an empty file");
        let late = bench.0.take(found(&[1], 10), bench.1, 1.0, &DnsTerms::default());
        assert_eq!(late.next, SECOND * 11);
        assert!(late.tell.is_some() && bench.0.count() == 0, "told is what was taken");
    }

    #[test]
    fn a_failure_changes_nothing_and_is_said_once() {
        let mut bench = Bench::default();
        bench.takes(found(&[1], 5));
        let failed = || Answer::Failed("SERVFAIL".into());
        assert_eq!(bench.takes(failed()), (None, Some(News::Fails), 1_000));
        let waits: Vec<_> = (0..40).map(|_| bench.takes(failed())).collect();
        assert!(waits.iter().all(|(told, news, _)| told.is_none() && news.is_none()));
        let waits: Vec<_> = waits.iter().take(5).map(|(_, _, next)| next / 1_000).collect();
        assert_eq!(waits, [2, 4, 8, 16, 30]);
        assert_eq!(bench.takes(found(&[1], 5)), (None, Some(News::Answers), 5_000));
        assert_eq!(bench.takes(failed()).2, 1_000, "from the beginning again");
    }

    #[test]
    fn nothing_has_to_be_said_twice() {
        let mut bench = Bench::default();
        let nothing = || Answer::Nothing { ttl: SECOND * 9 };
        bench.takes(found(&[1], 5));
        assert_eq!(bench.takes(nothing()), (None, None, 1_000));
        assert_eq!(bench.takes(Answer::Failed("x".into())), (None, Some(News::Fails), 1_000));
        assert_eq!(bench.takes(nothing()), (None, Some(News::Answers), 1_000), "a break between");
        assert_eq!(bench.takes(nothing()), (Some(0), None, 9_000));
        assert_eq!(bench.takes(nothing()), (None, None, 9_000));
        assert_eq!(bench.takes(found(&[1], 5)), (Some(1), None, 5_000));
        assert_eq!(bench.takes(nothing()), (None, None, 1_000));
        bench.1 -= SECOND;
        assert_eq!(bench.takes(nothing()), (None, None, 1_000), "too soon after the first");
        let mut fresh = Bench::default();
        assert_eq!(fresh.takes(nothing()).0, None);
        assert_eq!(fresh.takes(nothing()).0, Some(0));
    }

    #[test]
    fn too_many_are_cut_and_what_is_lacking_is_said() {
        let mut bench = Bench::default();
        let ports: Vec<_> = (1..=5_000).collect();
        let most = limits::INSTANCES_PER_SOURCE;
        assert_eq!(bench.takes(found(&ports, 5)), (Some(most), Some(News::TooMany(5_000)), 5_000));
        assert_eq!(bench.takes(found(&ports, 5)), (None, None, 5_000));
        let Answer::Found { instances, ttl, .. } = found(&[1], 5) else { unreachable!() };
        let lacking = Answer::Found { instances, ttl, lacking: Some("AAAA: SERVFAIL".into()) };
        assert_eq!(bench.takes(lacking), (Some(1), Some(News::Fails), 5_000));
    }
}
