//! A world of instances around one registry, in virtual time and from a seed: heartbeats are lost, instances flap, die and come back,
//! claim each other's addresses; the host stands still for seconds; the gateway is restarted and upgraded. The registry knows of
//! it only what it is told.
//!
//! Invariants, each looked at after every step of 20 ms:
//!
//! 1. **Nobody is believed for long**: who has not been heard of for TTL x (1 + `LATE_PERIODS`) is no instance any more, unless its
//!    service protects itself and it answers by all that the registry was told.
//! 2. **Who is dead gets no requests**: an instance that is probed and has answered nothing for so long that `fall` probes must have
//!    failed takes none.
//! 3. **Who is well is used**: an instance that renews, and has answered for so long that `rise` probes must have passed, takes requests,
//!    unless live requests have set it aside.
//! 4. **One record an address**, and both maps, the queue, the entries and the compiler's members agree ([`Directory`]'s and
//!    [`Health`]'s own invariants).
//! 5. **Words and beliefs agree**: who is said to serve takes requests by its word, and the other way round.
//! 6. **Ejections are capped**: there is a permit for each mark, and no mark is set beyond the limit.
//! 7. **Nothing acknowledged is lost**: what the store was told is what a restarted registry has, and that is what the one before had.
//! 8. **One probe at a time** of each instance, and none before 0.9 of its interval has passed, unless it is somebody new.
//!
//! A world in which one rule is broken on purpose is played too: the invariant that it is for must object.
//!
//! [`Directory`]: crate::registry::directory::Directory
//! [`Health`]: crate::registry::health::Health

mod invariants;
mod processes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use coregate_core::base::cells::Mark;
use coregate_core::base::limits;
use coregate_core::snapshot::plan::{Address, Admission, HealthCheck, Plan, Probe, ServicePlan};
use coregate_core::snapshot::services::Ejecting;

use super::*;
use crate::registry::directory::admission::Caller;
use crate::registry::directory::view::{InstanceView, Kind};
use crate::registry::directory::{Draft, Kept, Registration, What as Told};
use crate::registry::health::Words;
use crate::registry::order::{Expected, Order, What};
use crate::registry::probe::{Finding, Probed};
use crate::registry::time::FairTime;

const STEP: Duration = Duration::from_millis(20);
const TTL: Duration = Duration::from_secs(3);
const EVERY: Duration = Duration::from_millis(500);
const LATENCY: u64 = 100;
const SERVICES: [&str; 2] = ["probed", "plain"];
/// Of each service; the last two of the first stand in the file.
const EACH: usize = 8;
/// A probe comes within this after the last, whatever its jitter, its latency and the steps of this world.
const PROBED_WITHIN: Duration = Duration::from_millis(500 * 11 / 10 + LATENCY + 60);

/// A rule that is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doctored {
    No,
    /// Leases are renewed by nobody.
    RenewsAll,
    /// Marks are taken off again.
    Unmarks,
    /// The store forgets one.
    Forgets,
}

/// A process that may be an instance.
#[derive(Debug)]
struct Actor {
    service: usize,
    id: u32,
    port: u16,
    of_file: bool,
    answers: bool,
    renews: bool,
    next_beat: Duration,
    /// Since when it answers, or does not, without a break, in the registry's time.
    so_since: Duration,
    /// When it was heard last, in the registry's time, if it is registered as far as it knows.
    heard: Option<Duration>,
}

struct World {
    dice: u64,
    doctored: Doctored,
    cells: Cells,
    state: State,
    fair: FairTime,
    base: Instant,
    /// Of the world, which goes on while the registry stands still.
    real: Duration,
    now: Duration,
    actors: Vec<Actor>,
    /// What the store has.
    stored: BTreeMap<(String, String), Kept>,
    results: VecDeque<(Duration, Probed)>,
    on_way: BTreeSet<(u32, u16)>,
    ordered: BTreeMap<(u32, u16, Option<String>), Duration>,
    counted: BTreeMap<u32, (u32, u32)>,
    marked: [usize; 2],
    /// Until when no heartbeat of a service comes through.
    cut_off: [Duration; 2],
    /// Times that each thing happened: a world in which nothing happens proves nothing.
    happened: BTreeMap<&'static str, u32>,
}

fn address(port: u16) -> Address {
    Address::Tcp(([10, 0, 0, 1], port).into())
}

fn plan() -> Plan {
    let mut check = HealthCheck::of(Probe::Tcp);
    (check.every, check.timeout) = (EVERY, EVERY);
    let file = (EACH - 2..EACH).map(|at| address(at as u16 + 1)).collect();
    let service = |name: &str| {
        let mut plan = ServicePlan { register: Admission::Socket, ..ServicePlan::named(name) };
        plan.outlier.ejected = Duration::from_secs(1);
        plan.slow_start = Duration::from_secs(1);
        plan
    };
    let probed = ServicePlan { health: Some(check), instances: file, ..service(SERVICES[0]) };
    Plan { services: vec![probed, service(SERVICES[1])], ..Plan::default() }
}

impl World {
    fn new(seed: u64, doctored: Doctored) -> Self {
        let (cells, base) = (Cells::owned(4_096), Instant::now());
        let actor = |at: usize| Actor {
            service: at / EACH,
            id: at as u32,
            port: (at % EACH) as u16 + 1,
            of_file: at / EACH == 0 && at % EACH >= EACH - 2,
            answers: true,
            renews: true,
            next_beat: Duration::ZERO,
            so_since: Duration::ZERO,
            heard: None,
        };
        let mut world = Self {
            dice: seed,
            doctored,
            state: State::seeded(cells.clone(), seed),
            cells,
            fair: FairTime::new(base),
            base,
            real: Duration::ZERO,
            now: Duration::ZERO,
            actors: (0..2 * EACH).map(actor).collect(),
            stored: BTreeMap::new(),
            results: VecDeque::new(),
            on_way: BTreeSet::new(),
            ordered: BTreeMap::new(),
            counted: BTreeMap::new(),
            marked: [0; 2],
            cut_off: [Duration::ZERO; 2],
            happened: BTreeMap::new(),
        };
        world.configure();
        world
    }

    fn configure(&mut self) {
        self.apply(Command::Configure(Box::new(plan().into()))).unwrap();
    }

    fn apply(&mut self, command: Command) -> Result<Detail, Refused> {
        self.state.apply(command, self.now)
    }

    /// A number below `most` (splitmix64, Steele et al. 2014).
    fn below(&mut self, most: u64) -> u64 {
        self.dice = self.dice.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.dice;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % most
    }

    /// Once in so many steps, and then it is noted.
    fn once_in(&mut self, steps: u64, what: &'static str) -> bool {
        let happens = self.below(steps) == 0;
        *self.happened.entry(what).or_default() += u32::from(happens);
        happens
    }

    fn step(&mut self) {
        let stands_still = if self.once_in(1_500, "stands still") { 4_000 } else { 0 };
        self.real += STEP + Duration::from_millis(stands_still);
        self.now = self.fair.advance(self.base + self.real, STEP);
        self.change_the_world();
        self.beat();
        self.deliver();
        if self.doctored == Doctored::RenewsAll {
            self.state.directory.renew_all(self.now);
        }
        let counted = self.counted.clone();
        self.state.sample(self.now, |slot| counted.get(&slot.0).copied().unwrap_or_default());
        self.state.tick(self.now);
        self.probe();
        self.ask();
        self.keep();
        self.state.take_notices();
        self.state.snapshot();
        self.state.reclaim(&[], 100);
        if self.once_in(1_200, "restarted") {
            self.restart();
        }
        if self.once_in(900, "upgraded") {
            self.upgrade();
        }
        if self.doctored == Doctored::Unmarks {
            let slots = (0..4_096).map(InstanceSlot).map(|slot| self.cells.verdict(slot));
            slots.for_each(|word| {
                let _ = word.clear(word.load().generation(), Mark::Down);
            });
        }
        self.check();
    }

    fn change_the_world(&mut self) {
        for at in 0..self.actors.len() {
            if self.once_in(700, "flapped") {
                let actor = &mut self.actors[at];
                (actor.answers, actor.so_since) = (!actor.answers, self.now);
            }
            if self.once_in(1_500, "fell silent, or spoke again") {
                self.actors[at].renews ^= true;
            }
            if self.once_in(3_000, "came back as another") {
                self.actors[at].id += 1_000;
                self.actors[at].heard = None;
                (self.actors[at].answers, self.actors[at].so_since) = (true, self.now);
            }
        }
        for service in 0..2 {
            if self.once_in(2_000, "cut off") {
                self.cut_off[service] = self.real + TTL * 6;
            }
        }
    }

    /// Who renews does, three times a term, or registers where nobody knows it.
    fn beat(&mut self) {
        for at in 0..self.actors.len() {
            let Actor { service, id, port, of_file, renews, next_beat, .. } = self.actors[at];
            if of_file || !renews || next_beat > self.real || self.cut_off[service] > self.real {
                continue;
            }
            self.actors[at].next_beat = self.real + TTL / limits::LEASE_RENEWALS;
            let order = |what| {
                let (service, id) = (SERVICES[service].to_owned(), id.to_string());
                let expected = Expected::Anything;
                Command::Order(Box::new(Order { service, id, by: Caller::Socket, expected, what }))
            };
            let known = self.actors[at].heard.is_some();
            if known && self.apply(order(What::Renew)).is_ok() {
                self.actors[at].heard = Some(self.now);
                continue;
            }
            let draft = Draft { ttl: Some(TTL), ..Draft::at(address(port)) };
            let what = Registration::new(&id.to_string(), draft).unwrap();
            self.apply(order(What::Register(Box::new(what)))).unwrap();
            self.actors[at].heard = Some(self.now);
            self.actors[at].so_since = self.now;
        }
    }

    fn answers(&self, service: usize, place: &Address) -> bool {
        let mut own = self.actors.iter().filter(|one| one.service == service);
        own.any(|one| address(one.port) == *place && one.answers)
    }

    fn probe(&mut self) {
        while let Some(order) = self.state.next_probe(self.now) {
            let which = (order.slot.0, order.generation);
            assert!(self.on_way.insert(which), "invariant 8: one probe at a time");
            let whose = (which.0, which.1, order.id.as_deref().map(str::to_owned));
            if let Some(before) = self.ordered.insert(whose, self.now) {
                let least = EVERY * 9 / 10;
                // The second probe of who is new comes early, so that those that came together are spread.
                assert!(self.now - before >= least / 5, "invariant 8: {order:?} too soon");
            }
            let finding = match self.answers(0, &order.address) {
                true => Finding::Passed,
                false => Finding::Failed("connection refused".into()),
            };
            let took = Duration::from_millis(self.below(LATENCY));
            let (slot, generation) = (order.slot, order.generation);
            let probed = Probed { slot, generation, finding, took };
            self.results.push_back((self.real + took, probed));
        }
    }

    fn deliver(&mut self) {
        let real = self.real;
        let (due, later) = self.results.drain(..).partition(|(at, _)| *at <= real);
        self.results = later;
        let due: VecDeque<_> = due;
        for (_, probed) in &due {
            self.on_way.remove(&(probed.slot.0, probed.generation));
        }
        self.apply(Command::Probed(due.into_iter().map(|(_, one)| one).collect())).unwrap();
    }

    /// A worker asks some of those who take requests.
    fn ask(&mut self) {
        for (service, place, member) in self.members() {
            let (slot, generation) = (member.slot, member.generation);
            let takes = self.cells.verdict(slot).load().takes_requests(generation);
            if !takes || self.below(10) > 0 {
                continue;
            }
            let id = self.state.compiler.service_named(SERVICES[service]).unwrap();
            let outlier = self.cells.outlier(id, slot, generation);
            let (requests, failures) = self.counted.entry(slot.0).or_default();
            *requests += 1;
            let terms = Ejecting::new(&self.state.compiler.plan().services[service].outlier);
            let count =
                self.state.compiler.members().filter(|(name, ..)| *name == SERVICES[service]);
            let most = terms.most(count.count());
            let well = self
                .actors
                .iter()
                .any(|one| one.service == service && address(one.port) == place && one.answers);
            if well {
                self.cells.verdict(slot).succeeded(generation);
            } else {
                *failures += 1;
                if outlier.failed(terms.failures.unwrap(), most) {
                    *self.happened.entry("set aside").or_default() += 1;
                }
            }
        }
    }

    fn members(&self) -> Vec<(usize, Address, coregate_core::snapshot::compile::Member)> {
        let number = |name: &str| SERVICES.iter().position(|one| *one == name).unwrap();
        let members = self.state.compiler.members();
        members.map(|(name, place, one)| (number(name), place.clone(), one)).collect()
    }

    /// What has changed goes to the store, which is as fast as can be.
    fn keep(&mut self) {
        for changed in self.state.take_changes() {
            let key = (changed.service.to_string(), changed.id.to_string());
            match changed.what {
                Told::Said => {
                    let kept = self.state.kept_of(&key.0, &key.1);
                    kept.into_iter().for_each(|kept| drop(self.stored.insert(key.clone(), kept)));
                }
                Told::Gone(_) => drop(self.stored.remove(&key)),
                Told::Health => {}
            }
        }
    }
}

fn play(seed: u64, doctored: Doctored, steps: usize) -> BTreeMap<&'static str, u32> {
    let mut world = World::new(seed, doctored);
    for step in 0..steps {
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.step()));
        if let Err(why) = played {
            let said = why.downcast_ref::<String>().cloned();
            let said = said.or_else(|| why.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            panic!("seed {seed}, step {step}: {}", said.unwrap_or_default());
        }
    }
    world.happened
}

#[test]
fn the_invariants_hold_in_every_world() {
    let mut happened = BTreeMap::<_, u32>::new();
    for seed in 0..6 {
        for (what, times) in play(seed, Doctored::No, 3_000) {
            *happened.entry(what).or_default() += times;
        }
    }
    assert!(happened.len() >= 12 && happened.values().all(|times| *times > 0), "{happened:?}");
}

/// What an invariant says of a world in which a rule is broken.
fn objects(doctored: Doctored) -> String {
    for seed in 0..20 {
        if let Err(why) = std::panic::catch_unwind(|| play(seed, doctored, 3_000)) {
            return why.downcast_ref::<String>().cloned().unwrap_or_default();
        }
    }
    panic!("{doctored:?}: nobody objects")
}

#[test]
fn a_broken_rule_is_noticed() {
    assert!(objects(Doctored::RenewsAll).contains("invariant 1"));
    assert!(objects(Doctored::Forgets).contains("invariant 7"));
    let said = objects(Doctored::Unmarks);
    assert!(said.contains("left: false"), "words are not as health has them: {said}");
}
