//! Random spends of several workers, a store that is slow, ends of periods, crashes, orderly ends and successors, in virtual time:
//! never more than the limit in a period, and no more lost than what a crash leaves in the words.

use std::collections::BTreeMap;

use coregate_core::base::time::Tick;
use coregate_core::policy::period::Every;
use coregate_core::policy::quota::{Drawn, Places, Whose};
use coregate_core::snapshot::compile::compile;
use coregate_core::snapshot::plan::{HostPattern, PathPattern, Plan, RoutePlan, ServicePlan};
use coregate_core::snapshot::quotas::Quota;
use proptest::prelude::*;

use super::tests::plan;
use super::*;

const WORKERS: usize = 3;
const LIMIT: u64 = 400;

/// The quotas of a route, as workers see them.
fn compiled() -> Vec<Arc<Quota>> {
    let mut route = RoutePlan::to(HostPattern::Any, PathPattern::ALL, "s");
    route.policies.quotas = vec!["day".into(), "month".into()];
    let plan = Plan {
        routes: vec![route],
        services: vec![ServicePlan::named("s")],
        quotas: plans(),
        ..Plan::default()
    };
    let snapshot = compile(&plan, 1).unwrap();
    let route = snapshot.routes().next().unwrap();
    route.guard.quotas.to_vec()
}

fn plans() -> Vec<QuotaPlan> {
    vec![plan("day", Every::Day, LIMIT), plan("month", Every::Month, 5 * LIMIT)]
}

/// What is written together, behind its number; none: a count that is gone.
type Batch = (u64, Vec<(Id, Option<KeptQuota>)>);

struct World {
    cells: Cells,
    quotas: Quotas,
    plans: Vec<Arc<Quota>>,
    calendars: Vec<Calendar>,
    workers: Vec<Places>,
    /// What would be found after a crash.
    stored: BTreeMap<Id, KeptQuota>,
    /// What is on its way there: batches behind their numbers.
    writing: Vec<Batch>,
    number: u64,
    settled: u64,
    wall: u64,
    /// Admitted, by quota and the end of the period.
    admitted: BTreeMap<(usize, u64), u64>,
    /// Lost by crashes.
    lost: BTreeMap<(usize, u64), u64>,
}

impl World {
    fn new() -> Self {
        let cells = Cells::owned(0);
        let mut world = Self {
            quotas: Quotas::new(cells.clone()),
            workers: Vec::new(),
            cells,
            plans: compiled(),
            calendars: plans().into_iter().map(|plan| plan.calendar).collect(),
            stored: BTreeMap::new(),
            writing: Vec::new(),
            number: 0,
            settled: 0,
            wall: 40 * 24 * 3_600,
            admitted: BTreeMap::new(),
            lost: BTreeMap::new(),
        };
        world.begin();
        world
    }

    /// A process begins, with words of its own.
    fn begin(&mut self) {
        self.cells = Cells::owned(0);
        self.quotas = Quotas::new(self.cells.clone());
        self.quotas.configure(&plans());
        self.quotas.restore(self.stored.values().cloned().collect());
        self.workers = (0..WORKERS).map(|_| Places::new(self.cells.clone())).collect();
    }

    /// One that took what is left over from nobody: all that lay in words is lost.
    fn crash(&mut self) {
        for (id, entry) in &self.quotas.entries {
            let at = usize::from(&*id.quota == "month");
            *self.lost.entry((at, entry.period.ends)).or_default() += self.quotas.leased(id, entry);
        }
        self.writing.clear();
        self.begin();
    }

    fn stop(&mut self) {
        self.quotas.take_back();
        self.hand();
        self.write(u64::MAX);
        self.begin();
    }

    /// Another process goes on with the same words.
    fn upgrade(&mut self) {
        self.quotas.fill_up();
        self.quotas.close(true);
        let kept = self.quotas.kept();
        self.hand();
        self.write(u64::MAX);
        self.hear();
        self.quotas = Quotas::new(self.cells.clone());
        self.quotas.configure(&plans());
        self.quotas.inherit(kept);
    }

    fn hand(&mut self) {
        let touched = self.quotas.take_touched().into_iter();
        let batch: Vec<_> = touched.map(|id| (id.clone(), self.quotas.kept_of(&id))).collect();
        self.number += 1;
        self.writing.push((self.number, batch));
        self.quotas.handed(Some(self.number));
    }

    /// The store commits what it has up to here.
    fn write(&mut self, up_to: u64) {
        for (number, batch) in self.writing.extract_if(.., |(number, _)| *number <= up_to) {
            for (id, kept) in batch {
                match kept {
                    Some(kept) => drop(self.stored.insert(id, kept)),
                    None => drop(self.stored.remove(&id)),
                }
            }
            self.settled = number;
        }
        let settled = self.settled;
        self.quotas.settle(|number| number <= settled);
    }

    /// A worker admits a request, if it can; asks otherwise.
    fn spend(&mut self, worker: usize, which: usize) -> bool {
        let quota = Arc::clone(&self.plans[which]);
        let whose = Whose { consumer: None, route: "/", service: "s" };
        let drawn = self.workers[worker].take(&quota, &whose, (self.wall, Tick(0)));
        let ask = match drawn {
            Drawn::Taken { ask, .. } => {
                let ends = self.ends(which);
                *self.admitted.entry((which, ends)).or_default() += 1;
                ask.then_some(None)
            }
            Drawn::Ask => Some(Some(Ticket((worker * 2 + which) as u64))),
            Drawn::Spent { .. } => None,
        };
        if let Some(ticket) = ask {
            let question = Question::new(&quota, &whose);
            let by = WorkerId(worker as u16);
            self.quotas.ask(Asked { by, ticket, question }, self.wall);
        }
        matches!(drawn, Drawn::Taken { .. })
    }

    fn ends(&self, which: usize) -> u64 {
        self.calendars[which].at(self.wall).ends
    }

    fn hear(&mut self) {
        for Answered { by, ticket, answer } in self.quotas.take_answers() {
            let Answer::Place(place) = answer else { continue };
            let quota = &self.plans[ticket.0 as usize % 2];
            let whose = Whose { consumer: None, route: "/", service: "s" };
            let places = &self.workers[by.index()];
            places.learn(places.key(quota, &whose), place);
        }
    }

    fn check(&self) {
        for ((which, ends), admitted) in &self.admitted {
            let limit = [LIMIT, 5 * LIMIT][*which];
            assert!(*admitted <= limit, "{admitted} of {limit} until {ends}");
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Spend(usize, usize, usize),
    Hand,
    Write(u64),
    Pass(u64),
    Crash,
    Stop,
    Upgrade,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        60 => (0..WORKERS, 0_usize..2, 1_usize..40).prop_map(|(worker, which, times)| Step::Spend(worker, which, times)),
        20 => Just(Step::Hand),
        20 => (0_u64..4).prop_map(Step::Write),
        5 => (1_u64..30_000).prop_map(Step::Pass),
        2 => Just(Step::Crash),
        2 => Just(Step::Stop),
        2 => Just(Step::Upgrade),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn never_above_the_limit_and_no_more_lost_than_leased(steps in prop::collection::vec(step(), 0..400)) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::Spend(worker, which, times) => {
                    for _ in 0..times {
                        world.spend(worker, which);
                        world.hear();
                    }
                }
                Step::Hand => world.hand(),
                Step::Write(behind) => world.write(world.number.saturating_sub(behind)),
                Step::Pass(time) => {
                    world.wall += time;
                    world.quotas.tick(world.wall);
                }
                Step::Crash => world.crash(),
                Step::Stop => world.stop(),
                Step::Upgrade => world.upgrade(),
            }
            world.hear();
            world.check();
        }
        // All that was not lost can be spent.
        for which in 0..2 {
            for _ in 0..10 * LIMIT {
                if !world.spend(0, which) {
                    world.hand();
                    world.write(u64::MAX);
                    world.hear();
                }
            }
            let ends = world.ends(which);
            let admitted = world.admitted.get(&(which, ends)).copied().unwrap_or_default();
            let lost = world.lost.get(&(which, ends)).copied().unwrap_or_default();
            let limit = [LIMIT, 5 * LIMIT][which];
            prop_assert!(admitted <= limit && admitted + lost >= limit, "{} and {} of {}", admitted, lost, limit);
        }
    }
}
