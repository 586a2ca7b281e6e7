//! What holds of the health of all instances, whatever was done; and the ways of single ones. Random sequences are played through the
//! state, which has the compiler and the directory beside it.

use coregate_core::base::cells::{Cells, Mark};
use coregate_core::snapshot::compile::Given;
use coregate_core::snapshot::plan::{OutlierTerms, Probe, ServicePlan};

use super::*;
use crate::registry::probe::{Finding, ProbeOrder, Probed};

impl Health {
    /// Invariants 2 to 4, and the counts.
    #[track_caller]
    pub(crate) fn assert_whole(&self, words: &Words<'_>) {
        let (mut probed, mut on_way, mut down, mut ejected, mut demand) = (0, 0, 0, 0, 0);
        let mut raised = 0;
        for entry in self.entries.iter().flatten() {
            down += u64::from(!entry.is_up());
            ejected += u64::from(entry.traffic.until.is_some());
            raised += usize::from(entry.raised_at.is_some());
            if let Some(probing) = &entry.probing {
                probed += 1;
                on_way += usize::from(matches!(probing.turn, probes::Turn::OnWay(_)));
                demand += schedule::rate(probing.check.every);
            }
            let group = &self.groups[&entry.service];
            assert!(group.slots_from(entry.slot.0).next() == Some(entry.slot.0));
            assert!(group.heaviest() >= entry.weight);
            if words.are_ours() {
                let word = words.load(entry).expect("a word of its own");
                assert_eq!(word.has(Mark::Down), !entry.is_up(), "{entry:?}");
                assert_eq!(word.share(), entry.share);
            }
        }
        assert_eq!(self.counts.probed, probed as u64);
        assert_eq!(self.schedule.len(), probed);
        assert_eq!(self.schedule.on_way(), on_way);
        assert_eq!(self.schedule.demand(), demand);
        assert_eq!((self.counts.down, self.counts.ejected), (down, ejected));
        assert_eq!(self.readmissions.len() as u64, ejected);
        assert_eq!(self.recoveries.len(), raised);
        let members = self.groups.values().map(Group::count).sum::<usize>();
        assert_eq!((members, self.entries.iter().flatten().count()), (self.members, self.members));
    }
}

const NOW: Duration = Duration::from_secs(100);
const SERVICE: ServiceId = ServiceId(3);

/// A service whose instances have slots from 0 on.
struct Play {
    health: Health,
    cells: Cells,
    now: Duration,
}

fn plan() -> ServicePlan {
    ServicePlan { health: Some(HealthCheck::of(Probe::Tcp)), ..ServicePlan::named("s") }
}

fn address(slot: u32) -> Address {
    Address::Tcp(([10, 0, 0, 1], 80 + slot as u16).into())
}

impl Play {
    fn new(plan: &ServicePlan, count: u32, begins: Standing) -> Self {
        let mut play = Self { health: Health::new(7), cells: Cells::owned(1_024), now: NOW };
        play.configure(plan);
        (0..count).for_each(|slot| play.join(slot, Described::default(), begins));
        play
    }

    fn configure(&mut self, plan: &ServicePlan) {
        let words = Words::new(&self.cells, true);
        self.health.configure([(SERVICE, plan)].into_iter(), self.now, &words);
    }

    fn join(&mut self, slot: u32, said: Described, begins: Standing) {
        let (slot, generation) = (InstanceSlot(slot), 1);
        self.cells.verdict(slot).begin(generation).unwrap();
        let given = Given { slot, generation, service: SERVICE, address: address(slot.0) };
        let words = Words::new(&self.cells, true);
        self.health.join(&given, said, begins, None, self.now, &words);
    }

    /// Time passes in steps, in which probes are made whose findings `find` knows. Gives who was probed when.
    fn pass(&mut self, time: Duration, find: impl Fn(u32) -> Finding) -> Vec<(Duration, u32)> {
        let (mut made, ends) = (Vec::new(), self.now + time);
        while self.now < ends {
            self.now += limits::PROBE_STEP;
            let words = Words::new(&self.cells, true);
            self.health.tick(self.now, &words);
            while let Some(ProbeOrder { slot, generation, .. }) = self.health.next_probe(self.now) {
                made.push((self.now, slot.0));
                let probed =
                    Probed { slot, generation, finding: find(slot.0), took: Duration::ZERO };
                self.health.probed(probed, self.now, &words);
            }
            self.health.assert_whole(&words);
        }
        made
    }

    fn takes(&self, slot: u32) -> bool {
        self.cells.verdict(InstanceSlot(slot)).load().takes_requests(1)
    }

    fn share(&self, slot: u32) -> u16 {
        self.cells.verdict(InstanceSlot(slot)).load().share()
    }

    fn sample(&mut self, counted: (u32, u32)) {
        let words = Words::new(&self.cells, true);
        self.health.sample(self.now, &words, |_| counted);
        self.health.assert_whole(&words);
    }

    fn turns(&mut self) -> Vec<Turn> {
        self.health.take_turns().into_iter().map(|turned| turned.turn).collect()
    }
}

fn failed() -> Finding {
    Finding::Failed("connection refused".into())
}

const EVERY: Duration = limits::PROBE_EVERY;

#[test]
fn one_failure_takes_down_who_is_trusted_and_two_passes_bring_it_up_again() {
    let mut play = Play::new(&plan(), 1, Standing::Trusted);
    assert!(play.takes(0), "it serves at once");
    let made = play.pass(EVERY, |_| failed());
    assert_eq!(made.len(), 1);
    assert!(!play.takes(0));
    assert_eq!(play.turns(), [Turn::Down("connection refused".into())]);
    play.pass(EVERY * 11 / 10, |_| Finding::Passed);
    assert!(!play.takes(0), "one is not enough");
    let up = |play: &mut Play| {
        play.pass(limits::PROBE_STEP, |_| Finding::Passed);
        play.takes(0)
    };
    while !up(&mut play) {}
    assert_eq!(play.share(0), 6_554, "a tenth at first");
    assert_eq!(play.turns(), [Turn::Up]);
    play.pass(limits::SLOW_START / 2, |_| Finding::Passed);
    assert!((32_000..40_000).contains(&play.share(0)), "{}", play.share(0));
    play.pass(limits::SLOW_START * 6 / 10, |_| Finding::Passed);
    assert_eq!(play.share(0), 0, "all of it");
    play.pass(EVERY * 21 / 10, |_| failed());
    assert!(play.takes(0), "one or two failures are not enough");
    play.pass(EVERY * 13 / 10, |_| failed());
    assert!(!play.takes(0));
}

#[test]
fn who_is_new_serves_when_its_first_probe_passes() {
    let mut play = Play::new(&plan(), 1, Standing::New);
    assert!(!play.takes(0));
    let made = play.pass(limits::PROBE_STEP, |_| Finding::Warned);
    assert_eq!(made.len(), 1, "at once");
    assert!(!play.takes(0), "this counts neither way");
    play.pass(EVERY * 23 / 10, |_| failed());
    assert_eq!(play.turns(), [Turn::Waits("connection refused".into())], "once");
    play.pass(EVERY * 11 / 10, |_| Finding::Passed);
    assert!(play.takes(0));
    assert_eq!((play.share(0), play.turns()), (0, vec![Turn::Begins]), "nothing to recover from");
}

#[test]
fn nobody_is_probed_more_often_than_its_interval_says() {
    let mut play = Play::new(&plan(), 50, Standing::Trusted);
    let made = play.pass(EVERY * 10, |_| Finding::Passed);
    for slot in 0..50 {
        let times: Vec<_> =
            made.iter().filter(|(_, one)| *one == slot).map(|(at, _)| *at).collect();
        assert!(times[0] <= NOW + EVERY + limits::PROBE_STEP);
        for pair in times.windows(2) {
            let between = pair[1] - pair[0];
            let most = EVERY * 11 / 10 + limits::PROBE_STEP * 2;
            assert!((EVERY * 9 / 10..=most).contains(&between), "{between:?}");
        }
    }
    let mut by_second = [0; 5];
    for (at, _) in made.iter().filter(|(at, _)| *at < NOW + EVERY) {
        by_second[(*at - NOW).as_secs() as usize] += 1;
    }
    assert!(by_second.iter().all(|count| (8..=14).contains(count)), "staggered: {by_second:?}");
}

#[test]
fn a_probe_of_which_nothing_comes_is_made_again_and_its_late_result_counts_for_nobody() {
    let mut play = Play::new(&plan(), 1, Standing::New);
    play.now += limits::PROBE_STEP;
    let first = play.health.next_probe(play.now).unwrap();
    assert!(play.health.next_probe(play.now).is_none());
    play.now += limits::PROBE_TIMEOUT + limits::PROBE_LOST + limits::PROBE_STEP;
    let words = Words::new(&play.cells, true);
    assert!(play.health.next_probe(play.now).is_some());
    assert_eq!(play.health.counts().lost, 1);
    let probed = |finding| Probed {
        slot: first.slot,
        generation: first.generation,
        finding,
        took: Duration::ZERO,
    };
    play.health.probed(probed(Finding::Passed), play.now, &words);
    play.health.probed(probed(failed()), play.now, &words);
    assert!(play.takes(0), "only one was on its way");
    let other = Probed { generation: 9, ..probed(failed()) };
    play.health.probed(other, play.now, &words);
    play.health.assert_whole(&words);
}

#[test]
fn another_instance_at_the_same_address_begins_anew() {
    let mut play = Play::new(&plan(), 0, Standing::New);
    let said = |id: &str| Described { id: Some(id.into()), ..Described::default() };
    play.join(0, said("a"), Standing::New);
    play.pass(EVERY, |_| Finding::Passed);
    assert!(play.takes(0));
    while play.health.next_probe(play.now).is_none() {
        play.now += limits::PROBE_STEP;
    }
    let words = Words::new(&play.cells, true);
    play.health.describe((InstanceSlot(0), 1), said("b"), Standing::New, play.now, &words);
    assert!(!play.takes(0));
    let (slot, generation, took) = (InstanceSlot(0), 1, Duration::ZERO);
    let of_a = Probed { slot, generation, finding: Finding::Passed, took };
    play.health.probed(of_a, play.now, &words);
    assert!(!play.takes(0), "this was sent to a");
    let made = play.pass(limits::PROBE_STEP * 2, |_| Finding::Passed);
    assert_eq!(made.len(), 1, "at once");
    assert!(play.takes(0));
}

#[test]
fn an_own_check_takes_the_place_of_the_services() {
    let mut play = Play::new(&plan(), 0, Standing::New);
    let mut check = HealthCheck::of(Probe::Tcp);
    check.every = Duration::from_secs(1);
    let own =
        Described { id: Some("a".into()), check: Some(Arc::new(check)), ..Described::default() };
    play.join(0, own, Standing::New);
    let made = play.pass(Duration::from_secs(10), |_| Finding::Passed);
    assert!((9..=13).contains(&made.len()), "{}", made.len());
    let plain = Described { id: Some("a".into()), ..Described::default() };
    let words = Words::new(&play.cells, true);
    play.health.describe((InstanceSlot(0), 1), plain, Standing::New, play.now, &words);
    let made = play.pass(Duration::from_secs(10), |_| Finding::Passed);
    assert!((1..=3).contains(&made.len()), "{}", made.len());
    play.configure(&ServicePlan::named("s"));
    assert_eq!(play.pass(EVERY * 3, |_| panic!("nobody asks any more")), []);
    assert!(play.takes(0));
}

#[test]
fn shares_follow_weights() {
    let mut plain = ServicePlan::named("s");
    plain.weights = [(address(1), 2), (address(2), 4)].into();
    let mut play = Play::new(&plain, 3, Standing::Trusted);
    play.pass(limits::PROBE_STEP, |_| failed());
    assert_eq!([0, 1, 2].map(|slot| play.share(slot)), [16_384, 32_768, 0]);
    let words = Words::new(&play.cells, true);
    play.health.leave(InstanceSlot(2), 1);
    play.health.tick(play.now, &words);
    assert_eq!([0, 1].map(|slot| play.share(slot)), [32_768, 0]);
    plain.weights.clear();
    play.configure(&plain);
    play.pass(limits::PROBE_STEP, |_| failed());
    assert_eq!([0, 1].map(|slot| play.share(slot)), [0, 0]);
}

#[test]
fn who_was_set_aside_comes_back_after_its_time_and_recovers() {
    let plan = ServicePlan::named("s");
    let mut play = Play::new(&plan, 2, Standing::Trusted);
    play.sample((0, 0));
    for expected in [30, 60] {
        assert!(play.health.take_turns().is_empty());
        assert!(play.cells.outlier(SERVICE, InstanceSlot(0), 1).eject(1));
        play.now += limits::SAMPLE_EVERY;
        play.sample((0, 0));
        assert_eq!(play.turns(), [Turn::Ejected(Duration::from_secs(expected))]);
        play.pass(Duration::from_secs(expected) - limits::PROBE_STEP, |_| failed());
        assert!(!play.takes(0));
        play.pass(limits::PROBE_STEP, |_| failed());
        assert!(play.takes(0));
        assert_eq!((play.share(0), play.turns()), (6_554, vec![Turn::Readmitted]));
    }
    assert_eq!(play.health.counts().ejections, 2);
}

#[test]
fn a_share_of_failures_sets_aside_as_many_as_may_be() {
    let mut plan = ServicePlan::named("s");
    let window = Duration::from_secs(10);
    let rate =
        coregate_core::snapshot::plan::OutlierRate { errors_percent: 50, min_requests: 20, window };
    plan.outlier = OutlierTerms { rate: Some(rate), ..OutlierTerms::default() };
    let mut play = Play::new(&plan, 4, Standing::Trusted);
    play.sample((0, 0));
    play.now += limits::SAMPLE_EVERY;
    play.sample((30, 20));
    let aside = (0..4).filter(|slot| !play.takes(*slot)).count();
    assert_eq!(aside, 2, "half of them at most");
    assert_eq!(play.health.counts().ejected, 2);
}

/// An upgrade: what is down stays down, who is set aside comes back in its time.
#[test]
fn health_goes_on_in_another_process() {
    let mut play = Play::new(&plan(), 2, Standing::Trusted);
    play.pass(EVERY, |slot| if slot == 0 { failed() } else { Finding::Passed });
    let kept = play.health.kept(play.now);
    assert_eq!(kept.len(), 1, "one is well");
    let text = serde_json::to_string(&kept).unwrap();
    let kept: Vec<KeptHealth> = serde_json::from_str(&text).unwrap();
    let mut after = Health::new(1);
    let words = Words::new(&play.cells, true);
    after.configure([(SERVICE, &plan())].into_iter(), NOW, &words);
    for slot in 0..2 {
        let before = kept.iter().find(|one| one.slot == slot).cloned();
        let slot = InstanceSlot(slot);
        let given = Given { slot, generation: 1, service: SERVICE, address: address(slot.0) };
        after.join(&given, Described::default(), Standing::Trusted, before, NOW, &words);
    }
    after.write_all(&words);
    after.assert_whole(&words);
    assert!(!play.takes(0) && play.takes(1));
}
