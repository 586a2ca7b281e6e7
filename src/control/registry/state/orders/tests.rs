//! Random sequences of commands in virtual time, against an oracle that keeps a plain list and looks at all of it each time.

use std::collections::{BTreeMap, BTreeSet};

use coregate_core::base::cells::Cells;
use coregate_core::base::limits;
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::plan::{HealthCheck, Plan, Probe, ServicePlan};
use proptest::prelude::*;

use super::*;
use crate::registry::directory::admission::Caller;
use crate::registry::directory::{Draft, Said, Status, Wish};
use crate::registry::health::Words;
use crate::registry::log::{Command, Configure, Detail, Refused};
use crate::registry::order::Expected;
use crate::registry::probe::{Finding, Probed};

const SERVICES: [&str; 2] = ["s", "t"];
const START: Duration = Duration::from_secs(50);
/// Instances of the first service are probed as often as this.
const EVERY: Duration = Duration::from_secs(1);
const RISE: usize = 2;
const FALL: usize = 2;

/// What is done, with small numbers that stand for services, ids and ports.
#[derive(Debug, Clone)]
enum Step {
    Register {
        service: usize,
        id: u8,
        port: u16,
        ttl: Option<u64>,
        said: Said,
    },
    Renew {
        service: usize,
        id: u8,
    },
    Deregister {
        service: usize,
        id: u8,
    },
    Status {
        service: usize,
        id: u8,
        wish: Wish,
    },
    /// Without a lease, as operators do.
    Raw {
        service: usize,
        port: u16,
        joins: bool,
    },
    Drain {
        service: usize,
        port: u16,
        drains: bool,
    },
    /// So many milliseconds pass.
    Pass(u64),
    /// The ports of `s` in the file, and whether there is `t`.
    Configure {
        ports: Vec<u16>,
        both: bool,
    },
    /// What listens at this port of the first service answers probes from now on, or does not.
    Answers {
        port: u16,
        well: bool,
    },
    /// Another process goes on; or it comes to nothing.
    Upgrade {
        succeeds: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (service, id, port) = (0..2_usize, 0..4_u8, 1..6_u16);
    let said = prop_oneof![3 => Just(Said::Up), 1 => Just(Said::Starting), 1 => Just(Said::Down)];
    let wish = prop_oneof![2 => said.clone().prop_map(Wish::Said), 1 => said.clone().prop_map(Wish::Own), 1 => Just(Wish::Maintenance)];
    let ttl = proptest::option::weighted(0.9, (2..8_u64).prop_map(|halves| halves * 500));
    let one = (service.clone(), id.clone());
    let at = (service.clone(), port.clone());
    prop_oneof![
        6 => (service, id, port.clone(), ttl, said).prop_map(|(service, id, port, ttl, said)| {
            Step::Register { service, id, port, ttl, said }
        }),
        4 => one.clone().prop_map(|(service, id)| Step::Renew { service, id }),
        2 => one.clone().prop_map(|(service, id)| Step::Deregister { service, id }),
        2 => (one, wish).prop_map(|((service, id), wish)| Step::Status { service, id, wish }),
        2 => (at.clone(), any::<bool>()).prop_map(|((service, port), joins)| Step::Raw { service, port, joins }),
        2 => (at, any::<bool>()).prop_map(|((service, port), drains)| Step::Drain { service, port, drains }),
        6 => (0..60_u64).prop_map(|steps| Step::Pass(steps * 50)),
        1 => (proptest::collection::btree_set(port, 0..3), any::<bool>())
            .prop_map(|(ports, both)| Step::Configure { ports: ports.into_iter().collect(), both }),
        3 => (1..6_u16, any::<bool>()).prop_map(|(port, well)| Step::Answers { port, well }),
        1 => any::<bool>().prop_map(|succeeds| Step::Upgrade { succeeds }),
    ]
}

/// What the oracle knows of an instance.
#[derive(Debug, Clone)]
struct Entry {
    service: usize,
    id: String,
    port: u16,
    lease: Option<(Duration, Duration)>,
    said: Said,
    maintenance: bool,
    /// Its lease is over, and it is kept; or it is judged anew from then on.
    late: Option<Option<Duration>>,
    /// When it was kept last because its service protects itself.
    guarded: Option<Duration>,
}

impl Entry {
    fn status(&self, draining: bool) -> Status {
        match (self.maintenance, self.said, draining) {
            (true, _, _) => Status::Maintenance,
            (_, Said::Starting, _) => Status::Starting,
            (_, Said::Down, _) => Status::Down,
            (_, Said::Up, true) => Status::Draining,
            (_, Said::Up, false) => Status::Up,
        }
    }

    fn serves(&self) -> bool {
        !self.maintenance && self.said == Said::Up
    }

    fn renew(&mut self, now: Duration) {
        self.late = None;
        self.lease = self.lease.map(|(ttl, _)| (ttl, now + ttl));
    }
}

/// What was found of an instance that is probed, all of it.
#[derive(Debug, Clone)]
struct Tried {
    /// Who it is, if it has registered.
    id: Option<String>,
    /// Whether it serves before its first probe.
    trusted: bool,
    found: Vec<bool>,
}

impl Tried {
    /// Whether it serves: all that was found is gone through.
    fn is_up(&self) -> bool {
        let Some(first) = self.found.iter().position(|passed| *passed || self.trusted) else {
            return self.trusted;
        };
        let (mut up, mut other) = (self.found[first], 0);
        for passed in &self.found[first + 1..] {
            other = if *passed == up { 0 } else { other + 1 };
            if other == if up { FALL } else { RISE } {
                (up, other) = (!up, 0);
            }
        }
        up
    }

    /// The same, where no probe has told is not enough.
    fn answers(&self) -> bool {
        self.is_up() && !self.found.is_empty()
    }
}

/// Both, and the time.
struct Play {
    state: State,
    cells: Cells,
    snapshot: Option<Snapshot>,
    now: Duration,
    files: [Option<BTreeSet<u16>>; 2],
    entries: Vec<Entry>,
    /// Services and ports that an operator drained, as long as they are there.
    drained: BTreeSet<(usize, u16)>,
    /// Ports of the first service at which nobody answers probes.
    dead: BTreeSet<u16>,
    /// What was found of its instances.
    tried: BTreeMap<u16, Tried>,
    revision: u64,
}

fn address(port: u16) -> Address {
    Address::Tcp(([10, 0, 0, 1], port).into())
}

impl Play {
    fn new() -> Self {
        let cells = Cells::owned(4_096);
        let files = [Some(BTreeSet::new()), Some(BTreeSet::new())];
        let state = State::new(cells.clone());
        let mut play = Self {
            state,
            cells,
            snapshot: None,
            now: START,
            files,
            entries: Vec::new(),
            drained: BTreeSet::new(),
            dead: BTreeSet::new(),
            tried: BTreeMap::new(),
            revision: 0,
        };
        play.configure();
        play
    }

    fn apply(&mut self, command: Command) -> Result<Detail, Refused> {
        self.state.apply(command, self.now)
    }

    fn configure(&mut self) {
        let template = Plan::to_instances(&[]).services.remove(0);
        let services = SERVICES.iter().zip(&self.files).filter_map(|(name, ports)| {
            let instances = ports.as_ref()?.iter().copied().map(address).collect();
            let register = Admission::Socket;
            let name = (*name).to_owned();
            let mut check = HealthCheck::of(Probe::Tcp);
            (check.every, check.timeout) = (EVERY, EVERY);
            (check.rise, check.fall) = (RISE as u32, FALL as u32);
            let health = (name == SERVICES[0]).then_some(check);
            Some(ServicePlan { name, instances, register, health, ..template.clone() })
        });
        let plan = Plan { services: services.collect(), ..Plan::default() };
        self.apply(Command::Configure(Box::new(Configure::from(plan)))).unwrap();
    }

    fn order(&mut self, service: usize, id: u8, what: What) -> Result<Detail, Refused> {
        let (service, id) = (SERVICES[service].to_owned(), id.to_string());
        self.apply(Command::Order(Box::new(Order {
            service,
            id,
            by: Caller::Socket,
            expected: Expected::Anything,
            what,
        })))
    }

    fn entry(&mut self, service: usize, id: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.service == service && entry.id == id)
    }

    /// What a registration does to the list.
    fn expect_registered(&mut self, mut new: Entry) {
        let claims = |entry: &Entry| entry.service == new.service && entry.port == new.port;
        self.entries.retain(|entry| !claims(entry) || entry.id == new.id);
        match self.entry(new.service, &new.id.clone()) {
            Some(entry) => {
                new.maintenance = entry.maintenance;
                *entry = new;
            }
            None => self.entries.push(new),
        }
    }

    fn step(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Register { service, id, port, ttl, said } => {
                let ttl = ttl.map(Duration::from_millis);
                let draft = Draft { ttl, said, ..Draft::at(address(port)) };
                let registration = Registration::new(&id.to_string(), draft).unwrap();
                let is_known = self.entry(service, &id.to_string()).is_some();
                let done = self.order(service, id, What::Register(Box::new(registration)));
                assert_eq!(done.is_ok(), self.files[service].is_some(), "{done:?}");
                if let Ok(Detail::Ordered(ordered)) = done {
                    assert_eq!(ordered.is_new, !is_known);
                    let (id, lease) = (id.to_string(), ttl.map(|ttl| (ttl, now + ttl)));
                    let (maintenance, late, guarded) = (false, None, None);
                    let entry =
                        Entry { service, id, port, lease, said, maintenance, late, guarded };
                    self.expect_registered(entry);
                }
            }
            Step::Renew { service, id } => {
                let done = self.order(service, id, What::Renew).is_ok();
                let entry = self.entry(service, &id.to_string());
                assert_eq!(done, entry.is_some());
                entry.into_iter().for_each(|entry| entry.renew(now));
            }
            Step::Deregister { service, id } => {
                let done = self.order(service, id, What::Deregister).is_ok();
                assert_eq!(done, self.entry(service, &id.to_string()).is_some());
                let id = id.to_string();
                self.entries.retain(|entry| entry.service != service || entry.id != id);
            }
            Step::Status { service, id, wish } => {
                let done = self.order(service, id, What::Status(wish)).is_ok();
                let entry = self.entry(service, &id.to_string());
                assert_eq!(done, entry.is_some());
                if let Some(entry) = entry {
                    let before = (entry.said, entry.maintenance);
                    match wish {
                        Wish::Said(said) => (entry.said, entry.maintenance) = (said, false),
                        Wish::Own(said) => entry.said = said,
                        Wish::Maintenance => entry.maintenance = true,
                    }
                    if before != (entry.said, entry.maintenance) {
                        entry.late = entry.late.map(|again| again.or(Some(now)));
                    }
                }
            }
            Step::Raw { service, port, joins } => self.raw(service, port, joins),
            Step::Drain { service, port, drains } => {
                let (name, at) = (SERVICES[service].to_owned(), address(port));
                let what = if drains { What::Drain { deadline: START } } else { What::Enable };
                let order = Order::of_operator(name, &at, what);
                let done = self.apply(Command::Operate(Box::new(order))).is_ok();
                assert_eq!(done, self.members(service).contains(&port));
                match drains {
                    true if done => drop(self.drained.insert((service, port))),
                    _ => drop(self.drained.remove(&(service, port))),
                }
            }
            Step::Pass(ms) => {
                self.now += Duration::from_millis(ms);
                self.state.tick(self.now);
                self.expect_expired();
                self.expect_tried();
                self.probe();
            }
            Step::Configure { ports, both } => {
                self.files = [Some(ports.into_iter().collect()), both.then(BTreeSet::new)];
                self.configure();
                self.entries.retain(|entry| entry.service == 0 || both);
            }
            Step::Answers { port, well } => {
                if well {
                    self.dead.remove(&port)
                } else {
                    self.dead.insert(port)
                };
            }
            Step::Upgrade { succeeds } => self.upgrade(succeeds),
        }
    }

    /// Leases that are over: who answers is kept for some periods more, and beyond that only where the service protects itself.
    fn expect_expired(&mut self) {
        let (now, step) = (self.now.as_millis(), limits::LEASE_STEP.as_millis());
        let over = |at: Duration| at.as_millis().div_ceil(step) * step <= now;
        let (mut left, protects) = (Vec::new(), self.state.directory.is_protected(SERVICES[0]));
        for mut entry in std::mem::take(&mut self.entries) {
            let Some((ttl, ends)) = entry.lease.filter(|(_, ends)| over(*ends)) else {
                left.push(entry);
                continue;
            };
            let last = ends + ttl * limits::LATE_PERIODS;
            let tried = self.tried.get(&entry.port).filter(|_| entry.service == 0);
            let answers = entry.serves() && tried.is_some_and(Tried::answers);
            let judged = match entry.late {
                None => true,
                Some(again) => over(last) || again.is_some_and(over),
            };
            let here = self.state.directory.address_of(SERVICES[entry.service], &entry.id);
            let is_here = here == Some(&address(entry.port));
            // It is judged anew after so long.
            let again =
                (ttl / limits::LEASE_RENEWALS).max(limits::PROTECT_EVERY) + limits::LEASE_STEP;
            let lately = entry.guarded.is_some_and(|at| self.now < at + again);
            let protected = answers && is_here && (protects || lately);
            if !judged || answers && self.now < last || protected {
                entry.late = if judged { Some(None) } else { entry.late };
                if protects && over(last) {
                    entry.guarded = Some(self.now);
                }
                left.push(entry);
            }
        }
        self.entries = left;
    }

    /// Has the probes made that are due, and takes down what is found.
    fn probe(&mut self) {
        while let Some(order) = self.state.next_probe(self.now) {
            let Address::Tcp(place) = &order.address else { panic!("{order:?}") };
            let port = place.port();
            let passed = !self.dead.contains(&port);
            let finding = match passed {
                true => Finding::Passed,
                false => Finding::Failed("connection refused".into()),
            };
            let took = Duration::ZERO;
            let (slot, generation) = (order.slot, order.generation);
            self.apply(Command::Probed(vec![Probed { slot, generation, finding, took }])).unwrap();
            let tried = self.tried.get_mut(&port).expect("only instances are probed");
            assert_eq!(tried.id.as_deref(), order.id.as_deref());
            let before = tried.is_up();
            tried.found.push(passed);
            let now = self.now;
            if before && !tried.is_up() {
                let own =
                    self.entries.iter_mut().filter(|one| one.service == 0 && one.port == port);
                own.for_each(|entry| entry.late = entry.late.map(|again| again.or(Some(now))));
            }
        }
    }

    /// Whose probes there are: who is there anew begins anew.
    fn expect_tried(&mut self) {
        let members = self.members(0);
        self.tried.retain(|port, _| members.contains(port));
        for port in members {
            let own = self.entries.iter().find(|one| one.service == 0 && one.port == port);
            let id = own.map(|entry| entry.id.clone());
            let of_file = self.files[0].as_ref().is_some_and(|ports| ports.contains(&port));
            let fresh =
                Tried { id: id.clone(), trusted: of_file || id.is_none(), found: Vec::new() };
            let tried = self.tried.entry(port).or_insert(fresh.clone());
            if tried.id.is_some() && id.is_some() && tried.id != id {
                *tried = fresh;
            }
            tried.id = id;
        }
    }

    fn raw(&mut self, service: usize, port: u16, joins: bool) {
        let (name, at) = (SERVICES[service].to_owned(), address(port));
        let change = match joins {
            true => Change::Register { service: name, address: at },
            false => Change::Deregister { service: name, address: at },
        };
        let Ok(Detail::Changed { results, .. }) = self.apply(Command::Change(vec![change])) else {
            panic!("changes are told apart")
        };
        let holder = |entry: &Entry| entry.service == service && entry.port == port;
        let was_there = self.entries.iter().any(holder);
        assert_eq!(results[0].is_ok(), self.files[service].is_some() && (joins || was_there));
        match joins {
            true if results[0].is_ok() => self.expect_registered(Entry {
                service,
                id: address(port).to_string(),
                port,
                lease: None,
                said: Said::Up,
                maintenance: false,
                late: None,
                guarded: None,
            }),
            true => {}
            false => self.entries.retain(|entry| !holder(entry)),
        }
    }

    fn upgrade(&mut self, succeeds: bool) {
        let Ok(Detail::HandedOver(checkpoint)) = self.apply(Command::HandOver) else {
            panic!("it hands over")
        };
        let refused = self.order(0, 0, What::Deregister);
        assert!(matches!(refused, Err(Refused::HandedOver)), "{refused:?}");
        // Renewals are heard still: whoever goes on, leases begin anew.
        let renewed = self.order(0, 0, What::Renew);
        assert!(!matches!(renewed, Err(Refused::HandedOver)), "{renewed:?}");
        let now = self.now;
        if succeeds {
            let json = serde_json::to_string(&checkpoint).unwrap();
            self.state = State::new(self.cells.clone());
            self.state.inherit(serde_json::from_str(&json).unwrap(), now);
            self.configure();
            // However long it takes: nobody's lease ends meanwhile.
            self.state.tick(now + limits::LEASE_MAX);
            self.apply(Command::TakeOver).unwrap();
            self.state.predecessor_gone();
            // Who is up is trusted there until its first probe; what else was found is known.
            for tried in self.tried.values_mut() {
                if tried.found.ends_with(&[true]) && tried.is_up() {
                    (tried.trusted, tried.found) = (true, Vec::new());
                }
            }
        } else {
            self.state.tick(now + limits::LEASE_MAX);
            self.apply(Command::TakeBack).unwrap();
        }
        self.entries.iter_mut().for_each(|entry| entry.renew(now));
    }

    /// The ports of a service, of the file and of those that registered.
    fn members(&self, service: usize) -> BTreeSet<u16> {
        let own = self.entries.iter().filter(|entry| entry.service == service && entry.serves());
        own.map(|entry| entry.port).chain(self.files[service].iter().flatten().copied()).collect()
    }

    #[track_caller]
    fn check(&mut self) {
        self.expect_tried();
        for (port, tried) in &self.tried {
            let member = self.state.compiler.member(SERVICES[0], &address(*port)).unwrap();
            let word = self.cells.verdict(member.slot).load();
            let held = |one: &Entry| one.service == 0 && one.port == *port && !one.serves();
            let held = self.entries.iter().any(held);
            let takes = tried.is_up() && !held && !self.drained.contains(&(0, *port));
            assert_eq!(word.takes_requests(member.generation), takes, "{port}: {tried:?}");
        }
        let serving = [self.members(0), self.members(1)];
        self.drained.retain(|(service, port)| serving[*service].contains(port));
        self.state.directory.assert_whole();
        self.state.health.assert_whole(&Words::new(&self.cells, true));
        let members = self.state.compiler.members().map(|(.., one)| (one.slot, one.generation));
        let members: Vec<_> = members.collect();
        let known = members
            .iter()
            .filter(|(slot, which)| self.state.health.weight_of((*slot, *which)).is_some());
        assert_eq!(known.count(), members.len());
        assert_eq!(self.state.contradictions(), 0);
        self.snapshot = self.state.snapshot().or(self.snapshot.take());
        let leased = self.entries.iter().filter(|entry| entry.lease.is_some()).count();
        assert_eq!(self.state.leased(), leased);
        let revision = self.state.directory.services(None, 1).revision;
        assert!(revision >= self.revision);
        self.revision = revision;
        for (at, name) in SERVICES.iter().enumerate() {
            let own = self.entries.iter().filter(|entry| entry.service == at);
            let expected: BTreeMap<_, _> = own
                .map(|entry| {
                    let status = entry.status(self.drained.contains(&(at, entry.port)));
                    (entry.id.clone(), (address(entry.port).to_string(), status))
                })
                .collect();
            let view = self.state.directory.instances(name, None, 100, self.now);
            let seen = view.into_iter().flat_map(|view| view.instances);
            let seen: BTreeMap<_, _> =
                seen.map(|one| (one.id, (one.address, one.status))).collect();
            assert_eq!(seen, expected);
            let expected: BTreeSet<_> = serving[at].iter().copied().map(address).collect();
            let services = self.snapshot.iter().flat_map(Snapshot::services);
            let service = services.filter(|service| *service.name == **name);
            let routed: Vec<_> = service
                .flat_map(|service| service.instances.iter())
                .map(|one| &one.address)
                .collect();
            assert_eq!(routed.len(), expected.len());
            assert_eq!(routed.into_iter().cloned().collect::<BTreeSet<_>>(), expected);
        }
    }
}

proptest! {
    #[test]
    fn the_registry_is_as_the_oracle_says(steps in proptest::collection::vec(step(), 1..120)) {
        let mut play = Play::new();
        for step in steps {
            play.step(step);
            play.check();
        }
    }
}

/// A renewal at the last moment counts, and one a moment later does not.
#[test]
fn a_lease_lasts_as_long_as_it_says() {
    let mut play = Play::new();
    let register = |id| Step::Register {
        service: 1,
        id,
        port: u16::from(id) + 1,
        ttl: Some(1_000),
        said: Said::Up,
    };
    play.step(register(0));
    play.step(register(1));
    play.step(Step::Pass(950));
    play.step(Step::Renew { service: 1, id: 0 });
    play.step(Step::Pass(50));
    play.check();
    assert_eq!(play.entries.len(), 1, "who was silent is gone");
    assert!(play.order(1, 1, What::Renew).is_err(), "and has to register");
    play.step(Step::Pass(900));
    play.check();
    assert_eq!(play.entries.len(), 1);
    play.step(Step::Pass(100));
    play.check();
    assert!(play.entries.is_empty());
}

/// A registration that says the same, and a renewal, change nothing; so nothing is published.
#[test]
fn the_same_again_is_no_change() {
    let mut play = Play::new();
    let register =
        || Step::Register { service: 0, id: 0, port: 1, ttl: Some(1_000), said: Said::Up };
    play.step(register());
    play.check();
    let revision = play.revision;
    play.step(register());
    play.step(Step::Renew { service: 0, id: 0 });
    assert!(!play.state.has_changed());
    play.check();
    assert_eq!(play.revision, revision);
}
